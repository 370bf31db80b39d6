"""Event 1 of a run that this program does not drive, and what both ways of making one need."""

from __future__ import annotations

import hashlib
import platform as python_platform
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from orchestrator.model.rule import Rule
from orchestrator.rig.gather import LIBRARIES, revision

CANNOT = "cannot stop this cell, cannot start or stop an acquisition, cannot change a limit: it only looks"
IMPORTED = "was not driven by this program: read from the vendors' files when it was over"
LIBRARIES_OF_FILES = ("galvani", "fastnda")


def started(
    name: str,
    run_id: str,
    *,
    rung: int | str,
    cannot: str,
    origin_mono_ns: int,
    utc_ns: int,
    zone: str,
    watched: Mapping[str, Any],
    rig_name: str = "",
    rules: Iterable[Rule] = (),
    rules_text: str = "",
    cell: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Data of ``run.started``: no experiment, no rig and an empty plan, since nobody told this program of any."""
    plan = {
        "name": name,
        "station": "",
        "zone": zone,
        "cell": dict(cell or {}),
        "steps": [],
        "acquisitions": {},
        "rules": [rule.model_dump(mode="json") for rule in rules],
        "expected_s": 0.0,
    }
    return {
        "name": name,
        "run_id": run_id,
        "experiment": rules_text,
        "rig": "",
        "cell": dict(cell or {}),
        "plan": plan,
        "digests": {"experiment": hashlib.sha256(rules_text.encode()).hexdigest()},
        "versions": {library: _version(library) for library in (*LIBRARIES, *LIBRARIES_OF_FILES)},
        "platform": {"python": sys.version.split()[0], "system": python_platform.system(), "machine": python_platform.machine()},
        "seed": 0,
        "epoch_utc_ns": utc_ns,
        "speed": 1.0,
        "zone": zone,
        "rig_name": rig_name,
        "revision": revision(),
        "booking_end": "",
        "faults": [],
        "data": "",
        "simulated": False,
        "fids_recorded": rung == "import",
        "origin_mono_ns": origin_mono_ns,
        "station": "",
        "rung": rung,
        "cannot": cannot,
        "commands": [],
        "watched": dict(watched),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
