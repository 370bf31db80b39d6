"""A BioLogic instrument below the DLL: firmware, channels, techniques, data."""
