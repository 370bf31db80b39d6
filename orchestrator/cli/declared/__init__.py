"""Every command as it is typed, by what it is about; the work is done in the modules of ``cli`` of the same names."""
