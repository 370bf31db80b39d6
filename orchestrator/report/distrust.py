"""The intervals of a run that are not to be trusted, each with why: pure, from facts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.recorder.rowio import blocks
from orchestrator.report.facts import LOST, Facts

STALL = 5.0
STALL_AT_LEAST_s = 10.0
CLOCK_WORSE_THAN_s = 1.0
HARMLESS = frozenset({"info"})
TO_PEOPLE = frozenset({"after-short"})
"""Alarms that say what nobody may do with the cell, and nothing of what is measured: after a short that is what the run is for."""


@dataclass(frozen=True, slots=True)
class Interval:
    """From when to when on the run's clock (s), what is meant, and why it is not to be trusted."""

    start_s: float
    end_s: float
    what: str
    why: str


def intervals(facts: Facts) -> list[Interval]:
    """All of them in order of time."""
    found = [*_gaps(facts), *_stalls(facts), *_links(facts), *_alarms(facts), *_not_measured(facts), *_spectra(facts), *_gains(facts)]
    return sorted(found, key=lambda one: (one.start_s, one.end_s, one.what))


def _gaps(facts: Facts) -> Iterator[Interval]:
    for event in facts.of("gap"):
        data = event["data"]
        passed_mAh, doubt_mAh = (_or_nan(data[name]) / 3.6 for name in ("charge_C", "uncertainty_C"))
        why = f"nobody heard the cell; {passed_mAh:.4g} mA h passed ({data['how']}, at most {doubt_mAh:.2g} mA h off)"
        yield Interval(event["time"] - data["seconds"], event["time"], "electrochemistry", why)


def _or_nan(value: Any) -> float:
    return math.nan if value is None else float(value)


def _stalls(facts: Facts) -> Iterator[Interval]:
    """Samples that came much later than their neighbours; an edge between two steps is none, and a gap has its own line."""
    told = [(event["time"] - event["data"]["seconds"], event["time"]) for event in facts.of("gap")]
    node = facts.run.entry["electrochemistry"]
    for start, n in blocks(node["time"]):
        times = node["time"][start : start + n + 1]
        late = np.diff(times)
        same_step = np.diff(node["step"][start : start + n + 1]) == 0
        usual_s = float(np.median(late)) if late.size else 0.0
        for row in np.flatnonzero(same_step & (late > max(STALL * usual_s, STALL_AT_LEAST_s))).tolist():
            first, last = float(times[row]), float(times[row + 1])
            if not any(begin < last and first < end for begin, end in told):
                yield Interval(first, last, "electrochemistry", f"no sample for {last - first:.0f} s; usual are {usual_s:.3g} s")


def _links(facts: Facts) -> Iterator[Interval]:
    yield from _pairs(facts, "link.lost", ("link.restored",), "instrument", lambda data: f"link lost: {data['why']}")


def _alarms(facts: Facts) -> Iterator[Interval]:
    def serious(data: dict[str, Any]) -> str:
        harmless = data["level"] in HARMLESS or str(data["id"]) in TO_PEOPLE
        return "" if harmless or _of_the_cell(data) else _alarm(data)

    yield from _pairs(facts, "alarm.raised", ("alarm.cleared",), "id", serious)
    ended_s = [event["time"] for event in facts.of("step.ended")]
    for event in facts.of("alarm.raised"):
        if _of_the_cell(event["data"]):
            until_s = next((end_s for end_s in ended_s if end_s >= event["time"]), facts.last_s)
            yield Interval(event["time"], until_s, str(event["data"]["id"]), _alarm(event["data"]))


def _of_the_cell(data: dict[str, Any]) -> bool:
    """A rule's warning says something of the cell in that step, and nothing of what is measured in later ones."""
    return str(data["id"]).startswith("rule-") and data["level"] == "warn"


def _alarm(data: dict[str, Any]) -> str:
    return f"alarm {data['level']}: {data['title']}: {str(data['text']).partition(chr(10))[0]}"


def _pairs(facts: Facts, begins: str, ends: tuple[str, ...], by: str, said: Any) -> Iterator[Interval]:
    """From each event to the one that ends it (the run's end where none does); ``said``: "" leaves it out."""
    open_ones: dict[str, Any] = {}
    for event in facts.of(begins, *ends):
        name = str(event["data"][by])
        if event["kind"] == begins:
            open_ones.setdefault(name, event)
        elif name in open_ones:
            yield from _one(open_ones.pop(name), event["time"], name, said)
    for name, event in open_ones.items():
        yield from _one(event, facts.last_s, name, said)


def _one(event: Any, end_s: float, name: str, said: Any) -> Iterator[Interval]:
    if why := said(event["data"]):
        yield Interval(event["time"], end_s, name, why)


def _not_measured(facts: Facts) -> Iterator[Interval]:
    ends = {str(event["data"]["key"]): event["time"] for event in facts.of(*(f"acquisition.{state}" for state in LOST))}
    for one in facts.asked:
        if one.state in LOST:
            yield Interval(
                one.time_s, ends.get(one.key, one.time_s), f"{one.name} ({one.key})", f"{one.state}: {one.why or 'no reason given'}"
            )


def _spectra(facts: Facts) -> Iterator[Interval]:
    has_samples = facts.run.entry["electrochemistry/time"].shape[0] > 0
    for spectrum in facts.spectra:
        reasons = [flag for flag in spectrum.flags.split(",") if flag and flag != "coalesced"]
        if not spectrum.charge_valid and facts.over and has_samples:
            reasons.append("its charge is not known")
        if spectrum.state not in {"verified", *LOST} and facts.over:
            reasons.append(f"never verified (last: {spectrum.state})")
        if reasons:
            yield Interval(spectrum.start_s, spectrum.end_s, f"{spectrum.acquisition} ({spectrum.key})", "; ".join(reasons))


def _gains(facts: Facts) -> Iterator[Interval]:
    """Receiver gain that changed under one acquisition: areas before and after are not of one scale."""
    known: dict[str, tuple[Any, float]] = {}
    names = {one.key: one.name for one in facts.asked}
    for event in facts.of("acquisition.armed"):
        gain, name = event["data"]["parameters"].get("gain", event["data"]["parameters"].get("RG")), names.get(event["data"]["key"], "")
        before = known.get(name, (gain, event["time"]))[0]
        if gain != before:
            yield Interval(
                event["time"], facts.last_s, name, f"receiver gain changed from {before} to {gain}: areas are not comparable with earlier"
            )
        known[name] = (gain, event["time"])


def total_s(found: Iterable[Interval]) -> float:
    """How long they cover together; what overlaps counts once."""
    covered, until = 0.0, -math.inf
    for one in sorted(found, key=lambda each: each.start_s):
        if math.isfinite(one.start_s) and math.isfinite(one.end_s):
            covered += max(0.0, one.end_s - max(one.start_s, until))
            until = max(until, one.end_s)
    return covered
