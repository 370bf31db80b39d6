"""The fault matrix: seconds the cell stays at its set current after a fault, and what the user was told in the end.

Every side drives the same emulated source-measure unit, in front of the same simulated cell, through the same protocol: a
current, then the opposite one. The cell and the instruments live in a process of their own that no fault touches, and are what is
asked. The peers come from their packages, into environments of their own, and drive the instrument through the smallest driver
that their documents ask for (``benchmarks/peers/``), whose safe state is open circuit.

``python -m benchmarks matrix`` does all; ``OPERANDO_MATRIX=side,side/fault,fault`` some, and keeps the rows of the others as they
stand on the page. ``OPERANDO_MATRIX_AT_ONCE`` (10) cases go on at a time, nearly all of it waiting; what costs a processor, their
start, is made by two at a time.
"""

from __future__ import annotations

import math
import os
import re
import signal
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.laboratory import Laboratory, Stretch, laboratory
from benchmarks.measure import Report, rows_on_page
from benchmarks.peers.bluesky import Bluesky
from benchmarks.peers.ours import HOST_LOST_s, Ours, WATCHDOG_s
from benchmarks.peers.queueserver import Queueserver
from benchmarks.peers.side import Case, NotApplicable, NotHere, Side, Told, until
from benchmarks.peers.tomato import Tomato
from benchmarks.trigger import environments

SIDES: tuple[type[Side], ...] = (Ours, Tomato, Bluesky, Queueserver)
SMU = "keithley2450"
CURRENT_A = 4e-4
STEP_s = 30.0
FAULT_AFTER_s = 6.0
WATCHED_s = 65.0
"""After the fault: longer than what is left of both steps and the promise of ``host_lost``."""
SETTLED_s = 4.0
SLACK_s = 2.0
SHOWN = 90
UNSAFE_s = float(HOST_LOST_s)
TITLE = "The fault matrix"
AT_ONCE, STARTING = 10, threading.Semaphore(2)
"""A start costs a processor for seconds; what follows is waiting."""
SECONDS = re.compile(r"(> )?([\d.]+) s; ")
WRONG, UNTOLD = "**wrong:", "**nothing told**"

Deed = Callable[[Side, Laboratory], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done. ``harmless``: the two steps may be carried out all the same, and be called so; ``cut``: nobody can reach the cell."""

    name: str
    deed: Deed
    harmless: bool = False
    cut: bool = False
    small_disk: bool = False
    broker: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """One case. ``after_s``: seconds at a set current after the fault, all together; ``still``: it was at current to the end.

    ``first_s``, ``opposite_s``: seconds of the whole case in the first step's direction, and in the other.
    """

    told: Told
    after_s: float = math.nan
    still: bool = False
    wrong: str = ""
    first_s: float = 0.0
    opposite_s: float = 0.0

    def cell(self) -> str:
        """As it stands in the table."""
        if math.isnan(self.after_s):
            return self.told.text
        mark = f" {WRONG} {self.wrong}**" if self.wrong else f" {UNTOLD}" if self.told.kind == "nothing" else ""
        return f"{'> ' if self.still else ''}{self.after_s:.1f} s; {_short(self.told.text)}{mark}".replace("|", "/").replace("\n", " ")


def _short(text: str) -> str:
    """Its beginning, and what it says of a cell whose state is not known."""
    whole = " ".join(text.split())
    unknown = " … cell: its state is UNKNOWN" if "UNKNOWN" in whole[SHOWN:] else " …" if len(whole) > SHOWN else ""
    return whole[:SHOWN] + unknown


def signalled(role: str, number: int) -> Deed:
    """Send a signal to the process in this role."""
    return lambda side, _: os.kill(side.pid(role), number)


def broken(fault: str, **parameters: object) -> Deed:
    """Break the instrument."""
    return lambda _, there: there.fail(SMU, fault, **parameters)


def filled(side: Side, _: Laboratory) -> None:
    """Let the small disk fill up."""
    assert side.case is not None
    (side.case.folder / "fill").touch()


KILL, TERM = signal.SIGKILL, signal.SIGTERM
FAULTS = (
    Fault("normal end", lambda _, __: None, harmless=True),
    Fault("orchestrator killed", signalled("orchestrator", KILL), harmless=True),
    Fault("worker killed", signalled("worker", KILL), harmless=True),
    Fault("driver killed", signalled("driver", KILL), harmless=True),
    Fault("guard killed", signalled("guard", KILL), harmless=True),
    Fault("device error in mid-step", broken("garbage", times=10**9)),
    Fault("device silent", broken("silent")),
    Fault("link cut", broken("port_vanishes", seconds=10**6), cut=True),
    Fault("user cancel before an opposite step", lambda side, _: side.cancel()),
    Fault("SIGTERM", signalled("service", TERM), harmless=True),
    Fault("SIGHUP", signalled("service", signal.SIGHUP), harmless=True),
    Fault("Ctrl-C", lambda side, _: side.interrupted(), harmless=True),
    Fault("disk full", filled, small_disk=True),
    Fault("broker dead", signalled("broker", KILL), harmless=True, broker=True),
)


def measure(repository: Path, scratch: Path) -> Report:
    """Each side through each fault; rows of faults that were not asked for stay as they are on the page."""
    sides, faults = _chosen()
    scratch, peers = Path(os.environ.get("OPERANDO_MATRIX_SCRATCH", scratch)), environments(repository)
    missing = {side: problem for side in sides if (problem := _problem(side, peers))}
    before = os.getloadavg()[0]
    cases = [(side, fault) for fault in faults for side in sides]
    with ThreadPoolExecutor(int(os.environ.get("OPERANDO_MATRIX_AT_ONCE", AT_ONCE))) as pool:
        jobs = {(side, fault): pool.submit(_case, side, fault, scratch, peers) for side, fault in cases if side not in missing}
        seen = {key: job.result() for key, job in jobs.items()}
    for side, fault in cases:
        seen.setdefault((side, fault), Seen(Told("nothing", missing.get(side, "not measured"))))
    known = {
        row[0].partition(" (")[0]: row for row in rows_on_page(repository / "docs" / "benchmarks.md", TITLE) if len(row) == len(SIDES) + 1
    }
    return _report(sides, faults, seen, before, known if len(sides) == len(SIDES) else {})


def _chosen() -> tuple[list[type[Side]], list[Fault]]:
    names, _, wanted = os.environ.get("OPERANDO_MATRIX", "/").partition("/")
    sides = [side for side in SIDES if not names or side.name in names.split(",")]
    return sides, [fault for fault in FAULTS if not wanted or fault.name in wanted.split(",")]


def _problem(side: type[Side], peers: Path) -> str:
    try:
        side(peers).install()
    except NotHere as problem:
        return str(problem)
    return ""


def _case(kind: type[Side], fault: Fault, scratch: Path, peers: Path) -> Seen:
    """One side through one fault; what is left of it stands in its folder."""
    folder = scratch / f"{kind.name}-{fault.name.replace(' ', '-').replace(',', '')}-{time.time_ns() // 1_000_000_000}"
    side = kind(peers)
    with laboratory(folder, SMU, "openvnmrj") as there:
        case = Case(folder, there.addresses, CURRENT_A, STEP_s, fault.small_disk, fault.broker)
        try:
            with STARTING:
                side.start(case)
                until(there.at_current, "current in the cell")
            time.sleep(FAULT_AFTER_s)
            began_ns = time.time_ns()
            fault.deed(side, there)
            return _watch(side, fault, there, began_ns)
        except NotApplicable as reason:
            return Seen(Told("nothing", f"- ({reason})"))
        except Exception as problem:  # noqa: BLE001 - one case that cannot be had does not cost the table
            return Seen(Told("nothing", f"not measured: {type(problem).__name__} {problem}"))
        finally:
            side.end()
            _end_filler(folder)


def _end_filler(folder: Path) -> None:
    path = folder / "fill.pid"
    if path.exists():
        os.kill(int(path.read_text()), signal.SIGKILL)


def _watch(side: Side, fault: Fault, there: Laboratory, began_ns: int) -> Seen:
    """Until the side has said its last word and the cell has been at rest for a while, or the time is over."""
    end, rested = time.monotonic() + WATCHED_s, time.monotonic()
    while time.monotonic() < end:
        time.sleep(0.25)
        rested = time.monotonic() if there.at_current() else rested
        if time.monotonic() - rested > SETTLED_s and side.over():
            break
    told = side.told()
    seen = Seen(told, there.seconds_at_current(began_ns), there.at_current(), "", *_directions(there.stretches()))
    return replace(seen, wrong=wrong(seen, fault))


def _directions(stretches: list[Stretch]) -> tuple[float, float]:
    """Seconds in the direction of the first stretch, and in the other."""
    now_ns = time.time_ns()
    spent = [(one.current_A * stretches[0].current_A > 0, (min(one.until_ns, now_ns) - one.from_ns) / 1e9) for one in stretches]
    return sum(seconds for same, seconds in spent if same), sum(seconds for same, seconds in spent if not same)


def wrong(seen: Seen, fault: Fault) -> str:
    """What the user was told that is not so; empty where it is so, or where nothing was told."""
    done = all(abs(spent - STEP_s) <= SLACK_s for spent in (seen.first_s, seen.opposite_s)) and not seen.still
    match seen.told.kind:
        case "as planned" if not (done and fault.harmless):
            return "told as planned"
        case "ended" if seen.opposite_s > 0:
            return "told that it ended, the opposite step was run"
        case "ended" if not fault.cut and (seen.still or seen.after_s > UNSAFE_s):
            return "told that it ended, current went on"
        case "running":
            return "still told running"
    return ""


def _report(
    sides: list[type[Side]], faults: list[Fault], seen: dict[tuple[type[Side], Fault], Seen], load: float, known: Mapping[str, list[str]]
) -> Report:
    report = Report(
        TITLE,
        f"The same emulated source-measure unit and simulated cell for all, asked of the cell: two steps of {STEP_s:g} s at opposite "
        f"currents; {FAULT_AFTER_s:g} s into the first one the fault; watched for {WATCHED_s:g} s. Each field: seconds at a set current "
        f"after the fault, both steps together; the last word that the user was told. Without a fault "
        f"{2 * STEP_s - FAULT_AFTER_s:g} s are left. Ours with `host_lost: open circuit within {HOST_LOST_s} s` and "
        f"`watchdog_s: {WATCHDOG_s}`, an NMR acquisition in each step. "
        "The peers from their packages, by the smallest driver that their documents ask for, its safe state open circuit; a process that a "
        "side does not have is told so. Once each; after the fault's name the day and the load average before it, "
        f"on {os.cpu_count()} cores.",
        (
            "fault (measured, load)",
            *(
                " ".join((side.name, *(one.partition("==")[2] for one in side.packages if one.startswith(f"{side.name}=="))))
                for side in sides
            ),
        ),
    )
    when = f"{time.strftime('%Y-%m-%d')}, {load:.1f}"
    rows = known | {fault.name: [f"{fault.name} ({when})", *(seen[side, fault].cell() for side in sides)] for fault in faults}
    report.rows += [rows[fault.name] for fault in FAULTS if fault.name in rows]
    measured = [[row[place] for row in report.rows if SECONDS.match(row[place])] for place in range(1, len(sides) + 1)]
    report.rows.append(("**wrong statuses**", *(f"**{sum(WRONG in cell for cell in cells)} of {len(cells)}**" for cells in measured)))
    report.rows.append(("nothing told", *(f"{sum(UNTOLD in cell for cell in cells)} of {len(cells)}" for cells in measured)))
    report.rows.append(("median, and longest", *(_longest(cells) for cells in measured)))
    return report


def _longest(cells: list[str]) -> str:
    """Of fields like ``> 65.0 s; what was told``."""
    found = sorted((float(match[2]), match[1] or "") for cell in cells if (match := SECONDS.match(cell)))
    return f"{statistics.median(seconds for seconds, _ in found):.1f} s, {found[-1][1]}{found[-1][0]:.1f} s" if found else ""
