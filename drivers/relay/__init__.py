"""A relay in the cell's lead on a serial line, as a hardware fence."""
