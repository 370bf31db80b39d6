"""What a report needs of a run, out of its ``run.h5``: the run itself, its steps, its spectra, its observables."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.recorder.reader import Run

Event = Mapping[str, Any]
LOST = ("missed", "rejected", "lost")
AREAS = ("area(", "window_area(")
TOLD = (
    *("step.started", "step.ended", "gap", "link.lost", "link.restored", "alarm.raised", "alarm.cleared", "alarm.acknowledged"),
    *("acquisition.requested", "acquisition.armed", *(f"acquisition.{state}" for state in LOST), "cell.state", "note"),
    *("command.received", "rule.fired", "run.started", "run.state", "run.ended"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step as planned and as it went; what did not happen is NaN, and ``reason`` empty. Charges are magnitudes."""

    key: str
    text: str
    index: int
    planned_s: float
    planned_mAh: float
    start_s: float = math.nan
    took_s: float = math.nan
    charge_mAh: float = math.nan
    reason: str = ""
    asked: int = 0
    verified: int = 0
    current_A: float = 0.0
    """As planned; 0 where the plan sets none."""

    @property
    def end_s(self) -> float:
        """When it ended, on the run's clock."""
        return self.start_s + self.took_s


@dataclass(frozen=True, slots=True)
class Area:
    """One observable of one spectrum."""

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Spectrum:
    """One spectrum: times in s on the run's clock, charges in mA h, voltages in V; NaN: not known."""

    key: str
    acquisition: str
    row: int
    start_s: float
    end_s: float
    start_utc_ns: int
    charge_start_mAh: float
    charge_end_mAh: float
    voltage_start_V: float
    voltage_end_V: float
    charge_valid: bool
    scans_done: int
    scans_asked: int
    reasons: str
    state: str
    flags: str
    raw_folder: str
    areas: Mapping[str, Area] = field(default_factory=dict)

    @property
    def middle_s(self) -> float:
        """Half way between the first scan's start and the last scan's end."""
        return (self.start_s + self.end_s) / 2.0

    @property
    def charge_mAh(self) -> float:
        """Net charge at its middle; NaN where one end is not known."""
        return (self.charge_start_mAh + self.charge_end_mAh) / 2.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One acquisition that was asked for."""

    time_s: float
    key: str
    name: str
    state: str
    why: str
    step: str
    latency_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """Everything about a run but its samples.

    ``last_s``: the last instant that the file knows of. ``events``: of the kinds in TOLD. ``area_names``: the areas that the
    analysis found; windows only where no line was fitted.
    """

    run: Run
    attributes: Mapping[str, Any]
    title: str
    run_id: str
    start: str
    end: str
    last_s: float
    events: Sequence[Event]
    plan: Mapping[str, Any]
    cell: Mapping[str, Any]
    versions: Mapping[str, str]
    closeout: Mapping[str, Any]
    steps: Sequence[Step]
    spectra: Sequence[Spectrum]
    asked: Sequence[Asked]
    instruments: Sequence[Mapping[str, Any]]
    area_names: Sequence[str]
    per_area: Area | None = None
    """Of the budget: mA h of metal in one unit of area, as known last; None where nothing calibrates the areas."""
    closes: Sequence[float] = ()
    """Of the budget: by so many standard errors it fails in a cycle that it was not calibrated with."""

    @property
    def over(self) -> bool:
        """Has the run ended, as far as the file knows?"""
        return "outcome" in self.attributes

    @property
    def simulated(self) -> bool:
        """Were instruments simulated?"""
        return bool(self.attributes.get("simulated", 0))

    @property
    def played_back(self) -> str:
        """What of it was recorded before, for people; empty: nothing."""
        marks = {"the FIDs": "fids_recorded", "the electrochemistry": "ec_recorded"}
        found = [name for name, mark in marks.items() if self.attributes.get(mark)]
        if not found:
            return ""
        return f"{' and '.join(found)} {'are recordings' if found != ['the electrochemistry'] else 'is a recording'} played back"

    @property
    def coalesced(self) -> Counter[str]:
        """Triggers that added a reason to a pending acquisition, by its name."""
        return Counter(str(event["data"]["name"]) for event in self.of("acquisition.requested") if event["data"].get("added"))

    def of(self, *kinds: str) -> list[Event]:
        """The events of these kinds, in order."""
        return [event for event in self.events if event["kind"] in kinds]

    def text(self, name: str) -> str:
        """A text of ``control/``; empty where it has none."""
        try:
            return self.run.text(name)
        except KeyError:
            return ""


def gather(run: Run) -> Facts:
    """Read a run's facts; the samples and FIDs stay where they are."""
    entry, events = run.entry, run.events_of(*TOLD)
    plan = _json(run, "plan")
    asked = _asked(run)
    spectra = _spectra(run)
    ends = (
        [event["time"] for event in events[-1:]]
        + [spectrum.end_s for spectrum in spectra[-1:]]
        + entry["electrochemistry/time"][-1:].tolist()
    )
    return Facts(
        run=run,
        attributes=run.attributes,
        title=_of(entry, "title"),
        run_id=_of(entry, "entry_identifier"),
        start=_of(entry, "start_time"),
        end=_of(entry, "end_time"),
        last_s=max((time_s for time_s in ends if math.isfinite(time_s)), default=0.0),
        events=events,
        plan=plan,
        cell=_json(run, "cell"),
        versions=_json(run, "versions"),
        closeout=_json(run, "digests"),
        steps=_steps(plan, events, asked),
        spectra=spectra,
        asked=asked,
        instruments=[dict(node.attrs) for name, node in sorted(entry["instrument"].items()) if "driver" in node.attrs],
        area_names=_area_names(spectra),
        per_area=per_area_of(run),
        closes=closes_of(run),
    )


def per_area_of(run: Run) -> Area | None:
    """K of the lithium budget, as known last."""
    table = run.observables.get("mAh_per_area")
    return None if table is None or not len(table["value"]) else Area(float(table["value"][-1]), float(table["error"][-1]))


def closes_of(run: Run) -> list[float]:
    """``budget_closes`` of the cycles that could fail."""
    tables = [table["value"].tolist() for name, table in run.observables.items() if name.startswith("budget_closes(")]
    return [value for values in tables for value in values if math.isfinite(value) and value != 0.0]


def _area_names(spectra: Iterable[Spectrum]) -> list[str]:
    names = sorted({name for spectrum in spectra for name in spectrum.areas})
    return [name for name in names if name.startswith(AREAS[0])] or names


def _of(entry: Any, name: str) -> str:
    raw = entry[name][()] if name in entry else b""
    return raw.decode() if isinstance(raw, bytes) else str(raw)


def _json(run: Run, name: str) -> dict[str, Any]:
    """A text of ``control/`` that is JSON; empty where there is none, or where the rig wrote YAML."""
    try:
        told = json.loads(run.text(name))
    except (KeyError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


# ---------------------------------------------------------------------------------------------------------------- steps


def _steps(plan: Mapping[str, Any], events: Iterable[Event], asked: Iterable[Asked]) -> list[Step]:
    written = (*plan.get("prepare", ()), *plan.get("steps", ()))
    planned = {step["key"]: step for step in written if isinstance(step, Mapping)}
    started: dict[str, Event] = {}
    ended: dict[str, Event] = {}
    for event in events:
        if event["kind"] == "step.started":
            started.setdefault(_whole(event["data"]["key"]), event)
        elif event["kind"] == "step.ended":
            ended[_whole(event["data"]["key"])] = event
    counts = Counter(one.step for one in asked)
    good = Counter(one.step for one in asked if one.state == "verified")
    keys = [*planned, *(key for key in started if key not in planned)]
    return [_step(key, planned.get(key, {}), started.get(key), ended.get(key), counts[key], good[key]) for key in keys]


def _whole(key: str) -> str:
    """The step's key of a part that was interrupted (``KEY.1``)."""
    head, dot, tail = key.rpartition(".")
    return head if dot and tail.isdigit() else key


def _step(key: str, plan: Mapping[str, Any], started: Event | None, ended: Event | None, asked: int, verified: int) -> Step:
    begun = started["data"] if started else {}
    over = ended["data"] if ended else {}
    return Step(
        key,
        str(plan.get("text") or begun.get("text", "")),
        int(plan.get("index", begun.get("index", 0))),
        float(plan.get("expected_s", math.nan)),
        abs(float(plan.get("expected_charge_C", math.nan))) / 3.6,
        float(started["time"]) if started else math.nan,
        _number(over.get("duration_s")),
        abs(_number(over.get("charge_C"))) / 3.6,
        ": ".join(part for part in (str(over.get("reason", "")), str(over.get("detail", ""))) if part),
        asked,
        verified,
        float(plan.get("current_A") or 0.0),
    )


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


# -------------------------------------------------------------------------------------------------------------- spectra


def _asked(run: Run) -> list[Asked]:
    table = run.acquisitions
    names = ("time", "key", "name", "state", "why", "step", "latency")
    return [Asked(*row) for row in zip(*(table[name].tolist() for name in names), strict=True)]


def _spectra(run: Run) -> list[Spectrum]:
    areas = _areas(run)
    found = [spectrum for name in run.fid for spectrum in _of_acquisition(run, name, areas)]
    return sorted(found, key=lambda spectrum: (spectrum.start_s if math.isfinite(spectrum.start_s) else math.inf, spectrum.key))


COLUMNS = (
    *("key", "t_start", "t_end", "t_start_utc", "charge_start", "charge_end", "voltage_start", "voltage_end", "charge_valid"),
    *("scans_done", "scans_asked", "reasons", "state", "flags", "raw_folder"),
)


def _of_acquisition(run: Run, name: str, areas: Mapping[str, Mapping[str, Area]]) -> Iterable[Spectrum]:
    table = run.fid[name]
    for row, values in enumerate(zip(*(table[column].tolist() for column in COLUMNS), strict=True)):
        *measured, valid, done, asked, reasons, state, flags, folder = values
        key, start, end, utc, charge_start, charge_end, voltage_start, voltage_end = measured
        yield Spectrum(
            key,
            name,
            row,
            start,
            end,
            utc,
            charge_start,
            charge_end,
            voltage_start,
            voltage_end,
            bool(valid),
            done,
            asked,
            reasons,
            state,
            flags,
            folder,
            areas.get(key, {}),
        )


def _areas(run: Run) -> dict[str, dict[str, Area]]:
    """Areas by the spectrum's key, then by name."""
    found: dict[str, dict[str, Area]] = {}
    for name, table in run.observables.items():
        if name.startswith(AREAS):
            for key, value, error in zip(*(table[column].tolist() for column in ("spectrum_key", "value", "error")), strict=True):
                found.setdefault(key, {})[name] = Area(value, error)
    return found
