"""Everything that a dying night needs, imported and read once: the server that forks such processes begins with this.

Two nights of a killed seed are planned and parsed like any other; what is made once in a process is made here.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import orchestrator.analysis.live  # noqa: F401  a run imports it late, and it brings scipy
from nights.live import gathered_night
from nights.schedule import killed_night

with tempfile.TemporaryDirectory() as scratch:
    gathered_night(killed_night(0), Path(scratch))
