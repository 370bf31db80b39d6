"""What a run looks like now: built from the journal's events alone, nothing asked of the rig."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.model.columns import unpack
from orchestrator.model.events import Event

HISTORY_POINTS = 4000


@dataclass(slots=True)
class StepLine:
    """One step as a person follows it."""

    index: int
    text: str
    cycle: int
    started_mono_ns: int
    ended_mono_ns: int | None = None
    reason: str = ""
    spectra: int = 0


@dataclass(slots=True)
class View:
    """The state of a run after the events fed so far."""

    name: str = ""
    zone: str = "UTC"
    simulated: bool = False
    speed: float = 1.0
    plan: Mapping[str, Any] = field(default_factory=dict)
    origin_mono_ns: int = 0
    now_mono_ns: int = 0
    now_utc_ns: int = 0
    state: str = "preparing"
    steps: list[StepLine] = field(default_factory=list)
    voltage_V: float | None = None
    we_V: float | None = None
    ce_V: float | None = None
    current_A: float | None = None
    charge_C: float | None = None
    history: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=HISTORY_POINTS))
    acquisition: Mapping[str, Any] | None = None
    acquisition_state: str = ""
    newest_fid: Event | None = None
    counts: dict[str, int] = field(default_factory=lambda: {"stored": 0, "missed": 0, "rejected": 0, "lost": 0})
    alarms: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    ended: Mapping[str, Any] | None = None

    def feed(self, events: Iterable[Event]) -> None:
        """Take in events, in order."""
        for event in events:
            self.now_mono_ns = max(self.now_mono_ns, event.mono_ns)
            self.now_utc_ns = max(self.now_utc_ns, event.utc_ns)
            take = TAKES.get(event.kind)
            if take is not None:
                take(self, event)

    @property
    def elapsed_s(self) -> float:
        """Seconds of the experiment since the run began."""
        return (self.now_mono_ns - self.origin_mono_ns) / 1e9

    @property
    def expected_s(self) -> float:
        """What the plan expects the whole run to last."""
        return float(self.plan.get("expected_s", 0.0))

    @property
    def fraction(self) -> float:
        """How much of the expected time has passed, never above 1."""
        if self.ended:
            return 1.0
        return min(1.0, self.elapsed_s / self.expected_s) if self.expected_s else 0.0

    @property
    def expected_end_utc_ns(self) -> int:
        """When the plan expects the end, from the run's own beginning."""
        start_utc_ns = self.now_utc_ns - (self.now_mono_ns - self.origin_mono_ns)
        return start_utc_ns + int(self.expected_s * 1e9)

    def voltages(self) -> NDArray[np.float64]:
        """float64 (n,): the voltage history, thinned."""
        return np.array([voltage for _, voltage in self.history])


def _run_started(view: View, event: Event) -> None:
    data = event.data
    view.name, view.plan, view.simulated, view.speed = data["name"], data["plan"], data["simulated"], data["speed"]
    view.zone = data.get("zone", "UTC")
    view.origin_mono_ns = event.mono_ns


def _run_state(view: View, event: Event) -> None:
    view.state = event.data["to"]
    if "continued" in event.data:
        view.ended = None


def _run_ended(view: View, event: Event) -> None:
    view.ended, view.state = event.data, event.data["state"]


def _step_started(view: View, event: Event) -> None:
    data = event.data
    view.steps.append(StepLine(data["index"], data["text"], data["cycle"], event.mono_ns))


def _step_ended(view: View, event: Event) -> None:
    if view.steps:
        reason, detail = event.data["reason"], event.data["detail"]
        view.steps[-1].ended_mono_ns, view.steps[-1].reason = event.mono_ns, detail if reason == "skip" and detail else reason


def _samples(view: View, event: Event) -> None:
    columns = unpack(event.data["columns"], event.blob or b"", event.data["n"])
    view.voltage_V, view.current_A = float(columns["voltage_V"][-1]), float(columns["current_A"][-1])
    view.we_V, view.ce_V = (float(columns[name][-1]) if name in columns else None for name in ("voltage_we_V", "voltage_ce_V"))
    view.charge_C = float(columns["charge_step_C"][-1])
    at_s = (int(columns["mono_ns"][-1]) - view.origin_mono_ns) / 1e9
    spacing_s = max(view.expected_s, 1.0) / HISTORY_POINTS
    if not view.history or at_s - view.history[-1][0] >= spacing_s:
        view.history.append((at_s, view.voltage_V))


def _requested(view: View, event: Event) -> None:
    if not event.data.get("added"):
        view.acquisition_state = "requested"


def _started(view: View, event: Event) -> None:
    view.acquisition, view.acquisition_state = event.data, "acquiring"


def _fid(view: View, event: Event) -> None:
    view.newest_fid = event


def _counted(view: View, event: Event) -> None:
    word = event.kind.rpartition(".")[2]
    view.counts[word] += 1
    view.acquisition_state = word
    if word == "stored" and view.steps:
        view.steps[-1].spectra += 1


def _alarm(view: View, event: Event) -> None:
    view.alarms[event.data["id"]] = event.data


def _no_alarm(view: View, event: Event) -> None:
    view.alarms.pop(event.data["id"], None)


TAKES = {
    "run.started": _run_started,
    "run.state": _run_state,
    "run.ended": _run_ended,
    "step.started": _step_started,
    "step.ended": _step_ended,
    "ec.block": _samples,
    "acquisition.requested": _requested,
    "acquisition.started": _started,
    "acquisition.stored": _counted,
    "acquisition.missed": _counted,
    "acquisition.rejected": _counted,
    "acquisition.lost": _counted,
    "fid.block": _fid,
    "alarm.raised": _alarm,
    "alarm.cleared": _no_alarm,
}
