"""Runs battery NMR experiments unattended: potentiostat and NMR console together, into one HDF5 file."""

__version__ = "0.1.0"
