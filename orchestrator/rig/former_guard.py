"""The guard of a rig that has died: what it has written. The rig that continues the run asks it to watch again (``guard.start``)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from drivers.clock import Clock, Stamp
from orchestrator.model.events import KINDS
from orchestrator.platform import process_start

NOTICES_WITHIN_s = 5.0
ACTS_WITHIN_s = 90.0
LOOK_s = 0.1
OVER = frozenset({"guard.acted", "guard.stood_down", "guard.relieved"})
WAITS = frozenset({"guard.finishing", "guard.failed"})
"""It watches the device finish its step, or has tried in vain and tries again: what comes of that may take long."""
OWN = frozenset({"utc_ns", "mono_ns", "run_mono_ns", "kind"})


class FormerGuard:
    """Made before another guard is asked for. Reads ``guard.jsonl``; a line that was being written when the power went is none."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "guard.jsonl"

    def said(self) -> list[dict[str, Any]]:
        """Every whole line of the file."""
        found = []
        for line in self._path.read_text("utf-8", "replace").splitlines() if self._path.exists() else []:
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    @property
    def on_duty(self) -> bool:
        """True where a guard lives and has the cell: its rig is gone, and it has not come to its end yet."""
        newest = self._newest()
        return bool(newest) and _lives(newest[0]) and newest[-1]["kind"] not in OVER

    async def settled(self) -> None:
        """Return when it has done what it will do at once: opened the circuit, tried in vain, or decided to let the device finish."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while self.on_duty:
            kinds = {line["kind"] for line in self._newest()}
            limit_s = ACTS_WITHIN_s if "guard.acting" in kinds else NOTICES_WITHIN_s
            if kinds & WAITS or loop.time() - began_s > limit_s:
                return
            await asyncio.sleep(LOOK_s)

    def _newest(self) -> list[dict[str, Any]]:
        """What the last guard has said, from its start on."""
        lines = self.said()
        starts = [n for n, line in enumerate(lines) if line["kind"] == "guard.started"]
        return lines[starts[-1] :] if starts else []

    def lines(self, after: int, clock: Clock, *, same_clock: bool) -> Iterator[tuple[str, dict[str, Any], Stamp]]:
        """Kind, data and instant of each line from number ``after`` on, as events; ``same_clock``: its monotonic times are of this boot."""
        for number, line in enumerate(self.said()):
            if number >= after:
                kind, at = str(line["kind"]), _instant(line, clock, same_clock)
                data = {name: value for name, value in line.items() if name not in OWN}
                if kind not in KINDS:
                    kind, data = "guard.note", {"detail": json.dumps({"kind": kind, **data})}
                missing = dict.fromkeys(sorted(KINDS[kind] - data.keys()))
                if isinstance(heard := data.get("heard"), dict):
                    data["heard"] = {**heard, "mono_ns": at.mono_ns - int(float(heard.get("age_s") or 0.0) * 1e9)}
                if kind == "guard.heard":
                    data["mono_ns"] = at.mono_ns - int(float(data.get("age_s") or 0.0) * 1e9)
                yield kind, {**missing, **data, "line": number}, at


def _lives(started: Mapping[str, Any]) -> bool:
    return started.get("pid") is not None and process_start(int(started["pid"])) is not None


def _instant(line: Mapping[str, Any], clock: Clock, same_clock: bool) -> Stamp:  # noqa: FBT001
    """When a line was written, on the clock of the run."""
    if line.get("run_mono_ns") is not None:
        mono_ns = int(line["run_mono_ns"])
    elif same_clock:
        mono_ns = clock.of_computer(int(line["mono_ns"]))
    else:
        mono_ns = clock.mono_ns() - (clock.utc_ns() - int(line["utc_ns"]))
    return Stamp(mono_ns, clock.utc_of(mono_ns))
