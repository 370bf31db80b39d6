"""Pure numpy and scipy: from FIDs to spectra, lines, maps and budgets. No I/O, no clock."""
