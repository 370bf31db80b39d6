"""Whose turn it is on a rig, and why everybody else waits. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orchestrator.plan.instants import local, spoken
from orchestrator.schedule.entry import Entry, State
from orchestrator.schedule.windows import Opening, first_fit, needs_now, openings, said


@dataclass(frozen=True, slots=True)
class Waits:
    """Why an entry does not start now. ``never``: its window has passed, so a person must look."""

    why: str
    never: bool = False


@dataclass(frozen=True, slots=True)
class Goes:
    """It may start now; ``end_ns``: by when it must be over, None where nothing says."""

    end_ns: int | None


def turn(entry: Entry, others: Sequence[Entry], now_ns: int, program: str, *, rig_taken: bool) -> Goes | Waits:
    """May a queued entry start now? ``others``: all that are not over. ``rig_taken``: a run goes on that is not the queue's."""
    passed = _window_passed(entry, now_ns)
    if passed is not None:
        return passed
    if entry.loaded_utc_ns is None:
        return Waits(entry.why or f"cell {entry.asked.cell} is not confirmed loaded: operando queue confirm {entry.id}")
    if entry.program != program:
        return Waits(f"the program is another ({program}) than at submission ({entry.program}): operando queue confirm {entry.id}")
    on_rig = [one for one in others if one.asked.rig == entry.asked.rig and one.id != entry.id]
    for other in on_rig:
        if other.blocks_rig:
            state = "waits for a person" if other.state is State.HELD else "runs"
            return Waits(f"entry {other.id} ({other.asked.name}) {state} on rig {entry.asked.rig}")
    if rig_taken:
        return Waits(f"a run that the queue did not start goes on on rig {entry.asked.rig}")
    return _in_time(entry, on_rig, now_ns)


def _needs_s(entry: Entry) -> float:
    """What must be left: of a run that died, nobody knows what it still needs."""
    return 0.0 if entry.died else needs_now(entry.asked.needs_s, cut_short=entry.asked.cut_short)


def _window_passed(entry: Entry, now_ns: int) -> Waits | None:
    if first_fit(entry.asked.times, now_ns, _needs_s(entry)) is None:
        left = next(openings(entry.asked.times, now_ns), None)
        rest = "its window has passed" if left is None else f"what is left of its window, {said(left, entry.asked.zone)}, is too short"
        return Waits(f"{rest}: it needs {spoken(entry.asked.needs_s)}", never=True)
    return None


def _in_time(entry: Entry, on_rig: Iterable[Entry], now_ns: int) -> Goes | Waits:
    asked, needs_s = entry.asked, _needs_s(entry)
    opening = first_fit(asked.times, now_ns, needs_s)
    assert opening is not None
    if opening.start_ns > now_ns:
        return Waits(f"begins {local(opening.start_ns, asked.zone):%a %d %b %H:%M}")
    end_ns = opening.end_ns
    for other in on_rig:
        booked = other.asked.times.booking
        if booked is None or booked[1] <= now_ns:
            continue
        if booked[0] <= now_ns:
            return Waits(f"the magnet is booked for entry {other.id} until {local(booked[1], asked.zone):%a %d %b %H:%M}")
        end_ns = booked[0] if end_ns is None else min(end_ns, booked[0])
    left = Opening(now_ns, end_ns)
    if left.has_s < needs_s:
        return Waits(f"needs {spoken(needs_s)}; {said(left, asked.zone)} before the magnet is booked for another entry")
    return Goes(end_ns)
