"""Runs battery NMR experiments unattended: potentiostat and NMR console together, into one HDF5 file.

``from orchestrator import open_run`` opens a run for reading, finished or not (``recorder.labelled``).
"""

from __future__ import annotations

from typing import Any

__version__: str
__all__ = ["__version__", "open_run"]


def __getattr__(name: str) -> Any:
    """``open_run``, taken in when it is asked for: it needs h5py, and the commands start without; ``__version__`` of what is installed."""
    if name == "__version__":
        from importlib.metadata import version

        return version("operando-nmr")
    if name == "open_run":
        from orchestrator.recorder.labelled import open_run

        return open_run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
