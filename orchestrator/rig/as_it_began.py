"""What a run that goes on takes from its first life: its clock, its files, the versions that it ran with."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from drivers.clock import Clock, boot_id
from orchestrator.config import ConfigError, load_rig, parse_experiment
from orchestrator.rig.gather import CannotRun, Gathered, revision
from orchestrator.rig.request import RunRequest
from orchestrator.rig.sources import noted_sources
from orchestrator.rig.world import GONE
from orchestrator.runner.resumption import Resumption, Story

TWIN = re.compile(r"^twin:\s*['\"]?([^'\"#\s]+)", re.MULTILINE)
SAME_CLOCK_S = 60.0
MOST_LINES = 40


@dataclass(frozen=True, slots=True)
class ContinueRequest:
    """What somebody asked for. ``cell_is_off``: a person has looked; ``as_begun``: though the files have changed.

    ``away_s``: of a run at ``--speed max``, how long nobody was there.
    """

    folder: Path
    cell_is_off: bool = False
    as_begun: bool = False
    display: str = "screen"
    away_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Former:
    """A run as its journal tells it. ``started``: data of event 1."""

    started: Mapping[str, Any]
    left: Resumption
    story: Story


# ------------------------------------------------------------------------------------------------------------- the clock


def clock_again(former: Former) -> tuple[Clock, int]:
    """The clock that counts on, and where second 0 of the run lies on it. Raises CannotRun for a time that ended with its process."""
    left, speed = former.left, float(former.started["speed"])
    if speed == 0.0:
        raise CannotRun(f"this run was lived in virtual time: {GONE}")
    if same_clock(left):
        known = left.clock
        return Clock.again(speed, known.get("scaled_from_ns"), known.get("utc_less_mono_ns")), left.origin_mono_ns
    if speed != 1.0:
        raise CannotRun(f"the computer was restarted: {GONE}")
    clock = Clock()
    stamp = clock.stamp()
    return clock, stamp.mono_ns - (stamp.utc_ns - left.start_utc_ns)


def same_clock(left: Resumption) -> bool:
    """Does the monotonic clock of the dead process still count? Where the system does not say, UTC must agree."""
    before, now = str(left.clock.get("boot_id", "")), boot_id()
    if before and now:
        return before == now
    stamp = Clock().stamp()
    drift_s = abs((stamp.utc_ns - stamp.mono_ns) - (left.last_utc_ns - left.last_told_ns)) / 1e9
    return stamp.mono_ns >= left.last_told_ns and drift_s < SAME_CLOCK_S


# ------------------------------------------------------------------------------------------------------------- the files


def gathered_again(request: ContinueRequest, former: Former) -> Gathered:
    """Experiment, rig and plan of a run that goes on: those with which it began. Raises CannotRun where a file has changed."""
    started, folder = former.started, request.folder
    sources = noted_sources(folder)
    same = {name: _unchanged(name, sources.get(name), str(started.get(name) or ""), request) for name in ("experiment", "rig", "twin")}
    rig_path = sources["rig"] if same["rig"] and (same["twin"] or not started.get("twin")) else as_begun(folder / "as-begun", started)
    try:
        rig = load_rig(rig_path)
        experiment = parse_experiment(str(started["experiment"]), file=str(sources.get("experiment", folder / "experiment.yaml")))
    except ConfigError as error:
        raise CannotRun(f"the files of this run cannot be read any more:\n{error}") from error
    data = sources.get("data")
    run_request = RunRequest(
        sources.get("experiment", folder / "experiment.yaml"),
        rig_path,
        folder.parent,
        str(started["station"]),
        str(started.get("booking_end") or "") or None,
        float(started["speed"]) or None,
        int(started["seed"]),
        data=data,
        display=request.display,
        twin=sources.get("twin") if same["twin"] else None,
    )
    return Gathered(run_request, experiment, rig, rig_path, former.left.plan)


def _unchanged(name: str, path: Path | None, text: str, request: ContinueRequest) -> bool:
    """True where the file lies there as it was; False where it is gone, or may differ. Raises CannotRun with the difference."""
    if path is None or not path.is_file():
        return False
    now = path.read_text("utf-8")
    if hashlib.sha256(now.encode()).digest() == hashlib.sha256(text.encode()).digest():
        return True
    if request.as_begun:
        return False
    lines = list(difflib.unified_diff(text.splitlines(), now.splitlines(), "as the run began", str(path.name), lineterm="", n=1))
    more = [f"… {len(lines) - MOST_LINES} more lines"] if len(lines) > MOST_LINES else []
    advice = "put it back, or go on with what the run began with: operando continue RUN --as-begun"
    raise CannotRun(
        "\n".join([f"the {name} file has changed since the run began; nothing was started", *lines[:MOST_LINES], *more, advice])
    )


def as_begun(folder: Path, started: Mapping[str, Any]) -> Path:
    """Rig and twin as they stand in event 1, written into a folder of the run; returns the rig's."""
    rig, twin = folder / "rigs" / "rig.yaml", TWIN.search(str(started["rig"]))
    rig.parent.mkdir(parents=True, exist_ok=True)
    rig.write_text(str(started["rig"]), encoding="utf-8")
    if twin is not None and started.get("twin") and not Path(twin[1]).is_absolute():
        path = (rig.parent / twin[1]).resolve()
        if path.is_relative_to(folder.parent.resolve()):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(started["twin"]), encoding="utf-8")
    return rig


def changed_versions(started: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Library, or ``revision`` of this program → (then, now), where they differ."""
    then = dict(started.get("versions") or {})
    now = {name: _version(name) for name in then}
    if started.get("revision"):
        then["revision"], now["revision"] = str(started["revision"]), revision()
    return {name: (str(then[name]), now[name]) for name in then if then[name] != now[name]}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
