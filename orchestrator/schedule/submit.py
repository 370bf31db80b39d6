"""From what somebody types to an entry: planned, weighed against its times, pinned, or refused with the arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import rig_file, twin_file
from orchestrator.plan.estimate import at_end_s
from orchestrator.plan.instants import local
from orchestrator.plan.orders import Plan
from orchestrator.plan.resolve import Unresolved
from orchestrator.recorder.records import refuse_network_folder
from orchestrator.rig.cells import kept_record
from orchestrator.rig.folders import state_folder
from orchestrator.rig.gather import Gathered, gather, program
from orchestrator.rig.request import RunRequest, speed_of
from orchestrator.schedule.entry import Entry, Refused, Submission, entry_folder
from orchestrator.schedule.pinned import pin, refuse_relative
from orchestrator.schedule.queue import Queue
from orchestrator.schedule.windows import BadTime, Opening, Times, arithmetic, first_fit, refusal, times_of

STARTS_WITHIN_s = 60.0
"""From the decision to start until the run has looked at what is left of its window itself, and refuses what does not fit."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was typed; times as text, to be read by the rig's clock. ``speed``: ``1``, a number or ``max``."""

    experiment: Path
    rig: Path | None
    out: Path
    station: str | None = None
    not_before: str | None = None
    must_end_by: str | None = None
    booking: str | None = None
    nightly: tuple[str, ...] = ()
    repeat: int = 1
    priority: int = 0
    speed: str = "1"
    seed: int = 0
    loaded: bool = False
    who: str = ""


@dataclass(frozen=True, slots=True)
class Submitted:
    """An entry, and what its first opening has for it."""

    entry: Entry
    opening: Opening
    text: str


def submit(queue: Queue, wanted: Wanted) -> Submitted:
    """Queue a run. Raises ConfigError, PlanError, CannotRun as ``run`` does, NoSpeed, and Refused."""
    speed = speed_of(wanted.speed)
    out = wanted.out.absolute()
    refuse_network_folder(out / "journal.sqlite")
    gathered = gather(RunRequest(wanted.experiment, wanted.rig, out, wanted.station, None, speed, wanted.seed, display="none"))
    refuse_relative(gathered.experiment, gathered.rig)
    if not any(check["check"] == "ocv" for check in gathered.plan.prepare_checks):
        hint = "write in the experiment `prepare: [ocv 2.9..3.3 V for 60 s]` or the like"
        raise Refused(f"nothing says what open-circuit voltage this cell has, so a wrong cell would not be noticed at night: {hint}")
    if wanted.repeat < 1:
        raise Refused(f"--repeat {wanted.repeat}: at least once")
    times, now_ns = _times(wanted, gathered), queue.clock.utc_ns()
    needs_s, worst_s = needs(gathered.plan, speed)
    cut_short = gathered.plan.booking_end is not None
    opening = first_fit(times, now_ns, needs_s, cut_short=cut_short)
    if opening is None:
        raise Refused(refusal(times, now_ns, needs_s, worst_s))
    refuse_booked(queue, gathered.rig.name, times)
    number = queue.reserve()
    asked = Submission(
        name=gathered.experiment.name,
        rig=gathered.rig.name,
        station=gathered.plan.station,
        zone=gathered.rig.zone,
        cell=gathered.experiment.cell.id,
        files=pin(_files(queue, wanted, gathered), entry_folder(queue.home, number) / "files"),
        program=program(),
        out=str(out),
        state_folder=str(state_folder(gathered.rig.name, simulated=gathered.all_simulated)),
        times=times,
        needs_s=needs_s,
        worst_s=worst_s,
        cut_short=cut_short,
        resumes=gathered.experiment.when_run_dies == "resume",
        repeat=wanted.repeat,
        speed=wanted.speed,
        seed=wanted.seed,
        who=wanted.who,
        submitted_utc_ns=now_ns,
    )
    entry = queue.add(number, asked, priority=wanted.priority, loaded=wanted.loaded)
    return Submitted(entry, opening, arithmetic(opening, asked.zone, needs_s, worst_s))


def needs(plan: Plan, speed: float | None) -> tuple[float, float]:
    """Real seconds that a run takes as expected and at worst, with its start, preparation and closing; virtual time takes none."""
    around_s = sum(step.expected_s for step in plan.prepare) + at_end_s(plan)
    scale = math.inf if speed is None else speed
    return STARTS_WITHIN_s + (plan.expected_s + around_s) / scale, STARTS_WITHIN_s + (plan.worst_s + around_s) / scale


def _times(wanted: Wanted, gathered: Gathered) -> Times:
    ends = (wanted.must_end_by, gathered.experiment.booking_ends)
    asked = {"not_before": wanted.not_before, "booking": wanted.booking, "nightly": wanted.nightly}
    try:
        return times_of(gathered.rig.zone, must_end_by=ends, **asked)  # type: ignore[arg-type]
    except BadTime as error:
        raise Refused(str(error)) from None
    except Unresolved as error:
        raise Refused(f"{error.message}; {error.hint}") from None


def _files(queue: Queue, wanted: Wanted, gathered: Gathered) -> dict[str, Path]:
    """What a run reads: experiment, rig, twin, and a cell record that lies beside the experiment."""
    found = {"experiment": wanted.experiment, "rig": gathered.rig_path, "twin": twin_file(gathered.rig)}
    assert wanted.rig is not None or rig_file(gathered.experiment) is not None
    cell = gathered.experiment.cell
    record = Path(cell.where.file or wanted.experiment)
    # A record of OPERANDO_HOME is not copied: what it tells goes on with every run.
    if kept_record(cell, queue.home) is None and record.resolve() != wanted.experiment.resolve():
        found["cell"] = record
    return {name: path for name, path in found.items() if path is not None}


def refuse_booked(queue: Queue, rig: str, times: Times, but: Iterable[int] = ()) -> None:
    """Magnet time is booked once. Raises Refused."""
    if times.booking is None:
        return
    for other in queue.entries():
        theirs = other.asked.times.booking
        if theirs is None or other.asked.rig != rig or other.id in but:
            continue
        if times.booking[0] < theirs[1] and theirs[0] < times.booking[1]:
            first, last = (f"{local(one, times.zone):%a %d %b %H:%M}" for one in theirs)
            raise Refused(f"rig `{rig}` is booked from {first} to {last} for entry {other.id} ({other.asked.name})")
