"""What must hold after every night, however bad it was. Each function says what does not, a sentence each."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from nights.live import Lived
from nights.truth import Drive
from orchestrator.model.events import Event
from orchestrator.monitor.said import is_sent
from orchestrator.plan.orders import PlannedStep
from orchestrator.recorder.reader import open_run
from orchestrator.recorder.recover import verify
from orchestrator.rig.shown import SHOWN
from orchestrator.runner.states import ACQUISITION, RUN, AcquisitionState, RunState, Table

Invariant = Callable[[Lived], Iterator[str]]
State = TypeVar("State", RunState, AcquisitionState)

ENDS = ("acquisition.verified", "acquisition.missed", "acquisition.rejected", "acquisition.lost")
WORDS = {"started": "acquiring"}
PENDING = frozenset({AcquisitionState.REQUESTED, AcquisitionState.ARMED})
BUG = "a fault of this program"
NOT_CONTINUED = "not continued"
ENDED_FROM_OUTSIDE = ("the host was killed", "the guard ended the run")
INTERVAL_S, ACTS_WITHIN_S = 1.0, 0.5
"""Of one sample, and what a stop may take on the wire."""
CHARGE_SHARE, CHARGE_EDGE_S = 1e-3, 0.1
"""Of the charge, and seconds of its current: so far the account of a step may lie from the truth where nothing was missed."""
AN_INSTANT_S = 1e-6
NOISE_V, NOISE_A = 5e-4, 2e-7


def nothing_of_ours_broke(lived: Lived) -> Iterator[str]:
    """No night, however bad, is a fault of this program; nothing stands in its log as one."""
    outcome = lived.ended.outcome
    if outcome.exit_code == 1 or BUG in outcome.reason:
        yield f"exit {outcome.exit_code}: {outcome.reason}"
    for alarm in lived.of("alarm.raised"):
        if "failed" in alarm.data["title"] and "Error" in alarm.data["text"]:
            yield f"alarm {alarm.data['id']}: {alarm.data['text']}"
    log = lived.folder / "log.jsonl"
    for line in log.read_text("utf-8").splitlines() if log.exists() else ():
        if json.loads(line).get("level") in {"error", "critical"}:
            yield f"log: {line[:600]}"


def it_ended_once(lived: Lived) -> Iterator[str]:
    """One end, the last record, as the program said; none where the guard ended the host."""
    ends = lived.of("run.ended")
    if dead(lived):
        if ends:
            yield "a dead host wrote the end of its run"
        return
    if len(ends) != 1 or ends[0] is not lived.events[-1]:
        yield f"{len(ends)} ends, the last record is {lived.events[-1].kind}"
    elif ends[0].data["exit_code"] != lived.ended.outcome.exit_code:
        yield f"the journal says exit {ends[0].data['exit_code']}, the program {lived.ended.outcome.exit_code}"


def dead(lived: Lived) -> bool:
    """The host was killed and nobody could go on with its run, or its guard has ended it."""
    outcome = lived.ended.outcome
    return outcome.state == NOT_CONTINUED or outcome.reason.startswith(ENDED_FROM_OUTSIDE)


def every_acquisition_has_an_end(lived: Lived) -> Iterator[str]:
    """Each that was requested is verified, missed, rejected or lost, once, with a reason; of a dead host's at most once."""
    asked = dict.fromkeys(event.data["key"] for event in lived.of("acquisition.requested"))
    ends: dict[str, list[Event]] = {key: [] for key in asked}
    for event in lived.of(*ENDS):
        ends.setdefault(event.data["key"], []).append(event)
    for key, found in ends.items():
        if len(found) > 1 or not (found or dead(lived)):
            yield f"{key} has {len(found)} ends: {', '.join(event.kind for event in found) or 'none'}"
        if any(event.kind != "acquisition.verified" and not event.data["why"] for event in found):
            yield f"{key} ended without a reason"
        if key not in asked:
            yield f"{key} ended, but nobody requested it"


def states_follow_their_tables(lived: Lived) -> Iterator[str]:
    """Run and acquisitions become only what the two tables allow."""
    now = RunState.QUEUED
    for event in lived.of("run.state"):
        if "continued" in event.data or event.data["why"].startswith(NOT_CONTINUED):
            now = RunState(event.data["to"])
            continue
        yield from _follows(RUN, now, RunState(event.data["to"]), "run")
        now = RunState(event.data["to"])
    states: dict[str, AcquisitionState] = {}
    for event in lived.events:
        kind, _, word = event.kind.partition(".")
        if kind != "acquisition":
            continue
        key, to = event.data["key"], AcquisitionState(WORDS.get(word, word))
        if event.data.get("added") and states.get(key) in PENDING:
            continue  # a trigger that was coalesced: one reason more
        if key in states:
            yield from _follows(ACQUISITION, states[key], to, key)
        elif to not in {AcquisitionState.REQUESTED, AcquisitionState.REJECTED}:
            yield f"{key} began as {to}"
        states[key] = to


def _follows(table: Table[State], now: State, to: State, what: str) -> Iterator[str]:
    if to not in table[now]:
        yield f"{what}: {now} does not become {to}"


def journal_and_file_agree(lived: Lived) -> Iterator[str]:
    """CRC chain, every stream of run.h5, every raw file; the close-out where the run has ended."""
    found = verify(lived.folder)
    if not found.ok:
        yield "; ".join(found.lines)
    if not dead(lived) and not lived.ended.closeout.get("ok"):
        yield f"close-out: {dict(lived.ended.closeout)}"
    with open_run(lived.folder) as file:
        if file.attributes["journal_seq"] != lived.events[-1].seq:
            yield f"run.h5 holds {file.attributes['journal_seq']} of {lived.events[-1].seq} records"
        rows, blocks = len(file.electrochemistry["time"]), sum(event.data["n"] for event in lived.of("ec.block"))
        if rows != blocks:
            yield f"run.h5 holds {rows} samples, the journal {blocks}"


def time_runs_forward(lived: Lived) -> Iterator[str]:
    """Samples in order, each once; every spectrum within the run, after it was asked for and before it was stored."""
    with open_run(lived.folder) as file:
        time_s = file.electrochemistry["time"]
        if len(time_s) > 1 and np.diff(time_s).min() < 0.0:
            at = int(np.diff(time_s).argmin())
            yield f"sample {at + 1} at {time_s[at + 1]} s comes after one at {time_s[at]} s"
        stamps = list(zip(file.electrochemistry["step"].tolist(), file.electrochemistry["time_device"].tolist(), strict=True))
        for at, (row, again) in enumerate(itertools.pairwise(stamps)):
            if row[0] == again[0] and again[1] <= row[1] and again[1] > 1e9:
                yield f"the sample at {time_s[at + 1]} s: the instrument stamped it {again[1]} ns after one of {row[1]} ns"
                break
        for name, rows in file.fid.items():
            yield from _spectra_in_time(lived, name, rows["key"].tolist(), rows["t_start"], rows["t_end"])


def _spectra_in_time(lived: Lived, name: str, keys: list[str], start_s: np.ndarray, end_s: np.ndarray) -> Iterator[str]:
    asked_s = {event.data["key"]: lived.second(event.mono_ns) for event in reversed(lived.of("acquisition.requested"))}
    stored_s = {event.data["key"]: lived.second(event.mono_ns) for event in lived.of("acquisition.stored")}
    begun, ended = ({event.data["key"] for event in lived.of(f"acquisition.{word}", heard=False)} for word in ("started", "acquired"))
    for key, begin_s, until_s in zip(keys, start_s.tolist(), end_s.tolist(), strict=True):
        # What the console did not say is not guessed: where nobody heard it, a start or an end is no number.
        from_s = asked_s[key] if math.isnan(begin_s) and key in begun else begin_s
        known_s = from_s if math.isnan(until_s) and key in ended else until_s
        if not asked_s[key] - 3.0 <= from_s <= known_s <= stored_s.get(key, math.inf) + 3.0:
            yield f"{name} {key}: {begin_s:.1f} to {until_s:.1f} s, asked at {asked_s[key]:.1f}, stored at {stored_s.get(key)}"


def charge_is_the_cells(lived: Lived) -> Iterator[str]:
    """Each step's charge (a part's: with those before it) is the twin's, to 0.1 %.

    Beyond that only by what is told: an end that was not seen (``charge_complete``), a ``gap`` and its uncertainty. A link that was lost
    and came back within a step leaves nothing unknown.
    """
    times_s = _sample_seconds(lived)
    begun = {event.data["key"]: event for event in lived.of("step.started")}
    true_C: dict[str, float] = {}
    allowed_C: dict[str, float] = {}
    for ended in lived.of("step.ended"):
        start = begun.get(ended.data["key"])
        if start is None or start.data["mode"] != "galvanostatic":
            continue
        step, told_C = ended.data["key"].partition(".")[0], ended.data["charge_C"]
        begin_s, end_s = lived.second(start.mono_ns), lived.second(ended.mono_ns)
        unseen_s = CHARGE_EDGE_S + (0.0 if ended.data["charge_complete"] else _after_last_s(times_s, begin_s, end_s))
        unseen_s += INTERVAL_S * sum(since_s < end_s and until_s > begin_s - INTERVAL_S for since_s, until_s in _hanging_s(lived))
        passed_C = lived.cell.charge_C(begin_s, end_s)
        true_C[step] = true_C.get(step, 0.0) + passed_C
        allowed_C[step] = allowed_C.get(step, 0.0) + CHARGE_SHARE * abs(passed_C) + abs(start.data["current_A"]) * unseen_s
        allowed_C[step] += sum(gap.data["uncertainty_C"] for gap in lived.of("gap", step_key=ended.data["key"]))
        if told_C is None or abs(told_C - true_C[step]) > allowed_C[step]:
            yield f"{ended.data['key']}: {told_C} C told, {true_C[step]:.6g} C passed, {unseen_s:.1f} s not seen"


def _hanging_s(lived: Lived) -> list[tuple[float, float]]:
    """From when to when the leads hung free: up to one interval of current in a step that no sample shows."""
    lost = [line for line in lived.cell.faults if line.data["fault"] == "contact_loss"]
    return [(line.t_s, math.inf if line.data["end_s"] is None else line.data["end_s"]) for line in lost]


def _sample_seconds(lived: Lived) -> np.ndarray:
    """float64 (n,): the run's samples with a current that is a number, in seconds."""
    with open_run(lived.folder) as file:
        found: np.ndarray = file.electrochemistry["time"][np.isfinite(file.electrochemistry["current"])]
    return found


def _after_last_s(times_s: np.ndarray, begin_s: float, end_s: float) -> float:
    """Seconds of a step after its last sample."""
    inside = times_s[(times_s >= begin_s) & (times_s <= end_s)]
    return end_s - float(inside[-1]) if len(inside) else end_s - begin_s


def current_stays_within_its_limit(lived: Lived) -> Iterator[str]:
    """The cell never takes more current than the experiment allows."""
    limit_A = lived.plan.limits.current_A
    for drive in lived.cell.drives:
        if drive.what == "current" and abs(drive.value) > limit_A * (1.0 + 1e-3):
            yield f"{drive.value:.4g} A from {drive.begin_s:.1f} s on; the limit is {limit_A} A"


def charge_stays_within_the_worst_case(lived: Lived) -> Iterator[str]:
    """No half-cycle, all parts of it together, passes more than its step's worst case, as ``check`` prints it, whoever watches."""
    worst_C: dict[float, float] = {}
    for step in lived.plan.steps:
        if step.current_A:
            worst_C[round(step.current_A, 9)] = max(worst_C.get(round(step.current_A, 9), 0.0), step.worst_charge_C)
    for parts in _half_cycles(lived):
        first = parts[0]
        passed_C = sum(abs(lived.cell.charge_C(part.begin_s, min(part.end_s, lived.until_s))) for part in parts)
        allowed_C = worst_C.get(round(first.value, 9), 0.0) + abs(first.value) * (INTERVAL_S + ACTS_WITHIN_S) * len(parts)
        if passed_C > allowed_C * (1.0 + CHARGE_SHARE):
            yield f"{passed_C:.4g} C at {first.value:.3g} A from {first.begin_s:.1f} s on; at worst it is {allowed_C:.4g} C"


def _half_cycles(lived: Lived) -> Iterator[list[Drive]]:
    """Drives of one current up to the next of the other sign: one half-cycle, in as many parts as pauses and deaths have cut it into."""
    driven = [drive for drive in lived.cell.drives if drive.what == "current" and drive.value]
    for _, parts in itertools.groupby(driven, lambda drive: drive.value):
        yield list(parts)


def voltage_beyond_its_limit_is_ended(lived: Lived) -> Iterator[str]:
    """A cell beyond its voltage limits is under current for one sampling interval at most, while samples come."""
    limits, times_s = lived.plan.limits, _sample_seconds(lived)
    since_s: float | None = None
    for t_s in times_s.tolist():
        voltage_V, _ = lived.cell.leads(t_s)
        beyond = not limits.voltage_lower_V - NOISE_V <= voltage_V <= limits.voltage_upper_V + NOISE_V
        if lived.cell.off_at(t_s) or not beyond:
            since_s = None
        elif since_s is None:
            since_s = t_s
        elif t_s - since_s > INTERVAL_S + ACTS_WITHIN_S:
            yield f"{voltage_V:.3f} V at {t_s:.1f} s, under current and beyond the limits since {since_s:.1f} s"
            return


def told_no_better_than_it_is(lived: Lived) -> Iterator[str]:
    """Whoever says *off* says the truth: run, records and guard; a cell that is left on is told as unknown."""
    for event in lived.of("cell.state", cell="off", confirmed=True):
        at_s = lived.second(event.mono_ns)
        if not (lived.cell.off_at(at_s) or lived.cell.off_at(at_s - AN_INSTANT_S)):  # virtual time may stand still until current is started
            yield f"at {at_s:.3f} s the journal says off ({event.data['detail']}), the cell is driven"
    outcome = lived.ended.outcome
    if outcome.cell == "off" and lived.cell.drives and lived.cell.drives[-1].on:
        yield f"the run says its cell is off; it is driven since {lived.cell.drives[-1].begin_s:.1f} s"
    ours = lived.of("cell.state")
    if outcome.cell == "unknown" and not dead(lived) and ours and not any(line["kind"] == "guard.acting" for line in lived.guard):
        yield "the cell's state is unknown, and no guard acts"
    for line in lived.guard:
        if line["kind"] == "guard.acted" and line["confirmed"] and lived.cell.drives and lived.cell.drives[-1].on:
            yield "the guard says the cell is safe; it is driven"


def steps_are_told_in_order(lived: Lived) -> Iterator[str]:
    """Each step that started has one end before the next starts; none goes on in the books of a run whose cell is known to be off."""
    running: str | None = None
    for event in lived.of("step.started", "step.ended"):
        key = event.data["key"]
        if event.kind == "step.started":
            if running is not None:
                yield f"{key} started while {running} ran"
            running = key
        elif running != key:
            yield f"{key} ended while {running or 'nothing'} ran"
        else:
            running = None
    if running is not None and lived.ended.outcome.cell == "off" and not dead(lived):
        yield f"{running} has no end"


def as_planned_means_every_step(lived: Lived) -> Iterator[str]:
    """Where the run says that it went as planned, each planned step ran, for its time or to one of its other ends."""
    if lived.ended.outcome.outcome != "as planned":
        return
    ended = {event.data["key"]: event for event in lived.of("step.ended")}
    parts: dict[str, float] = {}
    again: dict[str, int] = {}  # a part lasts whole sampling intervals: up to one is not run again
    for event in lived.of("step.started"):
        key, _, part = event.data["key"].partition(".")
        again[key] = int(part) if part.isdigit() else again.get(key, 0)
        if not part or part.isdigit():  # a part's duration counts those before it; a wait is no part
            parts[key] = ended[event.data["key"]].data["duration_s"] if event.data["key"] in ended else 0.0
    for step in lived.plan.steps:
        if step.key not in parts:
            yield f"{step.key} never started"
        elif _only_time_ends(step) and parts[step.key] < step.ends.time_s - CHARGE_EDGE_S - INTERVAL_S * again.get(step.key, 0):
            yield f"{step.key} ran for {parts[step.key]:.1f} of {step.ends.time_s:g} s"


def _only_time_ends(step: PlannedStep) -> bool:
    ends = step.ends
    return (ends.voltage_upper_V, ends.voltage_lower_V, ends.charge_C, ends.current_below_A) == (None,) * 4


def the_broker_has_every_event(lived: Lived) -> Iterator[str]:
    """Where the run was shown: each event once at least, each naming the one before; all of them where the broker is there at the end."""
    path = lived.folder / "emulated" / SHOWN
    if not path.exists():
        return
    shown = json.loads(path.read_text("utf-8"))
    before = dict(shown["events"])
    asked = [event.seq for event in lived.events if is_sent(event)]
    told = sorted(before)
    if told != asked[: len(told)]:
        yield f"the broker has events that are none, or lacks some in between: {sorted(set(told) ^ set(asked[: len(told)]))[:5]}"
    elif [before[seq] for seq in told] != [0, *told[:-1]][: len(told)]:
        yield "an event on the broker names another one before it than there was"
    if shown["state"] == "there" and len(told) < len(asked) and not dead(lived) and lived.night.killed_s is None:
        yield f"the broker has {len(told)} of {len(asked)} events"


def it_comes_to_an_end(lived: Lived) -> Iterator[str]:
    """Within the plan's own worst case, and what its waits and last acquisitions may take."""
    lasted_s = lived.second(lived.events[-1].mono_ns)
    if lasted_s > 2.0 * lived.plan.worst_s + 3600.0:
        yield f"it lasted {lasted_s:.0f} s; planned were at most {lived.plan.worst_s:.0f} s"


INVARIANTS: tuple[Invariant, ...] = (
    nothing_of_ours_broke,
    it_ended_once,
    every_acquisition_has_an_end,
    states_follow_their_tables,
    journal_and_file_agree,
    time_runs_forward,
    charge_is_the_cells,
    current_stays_within_its_limit,
    charge_stays_within_the_worst_case,
    voltage_beyond_its_limit_is_ended,
    told_no_better_than_it_is,
    steps_are_told_in_order,
    as_planned_means_every_step,
    the_broker_has_every_event,
    it_comes_to_an_end,
)


def broken(lived: Lived) -> list[str]:
    """Every invariant that does not hold, by name, with what it says."""
    return [f"{check.__name__}: {said}" for check in INVARIANTS for said in itertools.islice(check(lived), 3)]
