"""How soon a run that is handed in takes its first sample, and how soon the next run follows; tomato beside it.

Ours: ``operando serve`` and ``operando queue add`` on simulated instruments, at speed 1; and ``operando run`` typed by hand. Times
are the computer's UTC: when the command was given, and what the journals say of first sample and end. tomato: from ``ketchup
submit`` to the first reading that its instrument is asked for.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.latency import Laboratory, emulated, marks
from benchmarks.measure import OPERANDO, QUICK, Report, spread
from benchmarks.peers.side import Case, NotHere, until
from benchmarks.peers.tomato import Tomato
from benchmarks.rigs import experiment, memory_rig
from benchmarks.trigger import environments
from orchestrator.model.columns import unpack
from orchestrator.recorder.records import Reader

ROUNDS, RUNS = (1, 2) if QUICK else (5, 5)
STEPS = "- Rest for 1 seconds\n- Plate working at 0.5 mA/cm2 for 2 seconds"
LOOK_s = 1.0
PATIENCE_s = 60.0 * RUNS


def measure(repository: Path, scratch: Path) -> Report:
    """By hand, by the queue, by tomato, in turn."""
    report = Report(
        "From handing in to the first sample",
        f"{ROUNDS} rounds in turn, each: one `operando run`; {RUNS} runs of three seconds through `operando serve` (which looks each "
        f"{LOOK_s:g} s); one tomato job. The checks before the first current, guard and observer included.",
        ("", "median (least to most)"),
    )
    typed, queued, next_, theirs = [], [], [], []
    bench = _Bench(repository, scratch)
    for number in range(ROUNDS):
        typed.append(bench.typed(scratch / f"typed{number}"))
        first, gaps = bench.queued(scratch / f"queued{number}")
        queued.append(first)
        next_ += gaps
        theirs += asyncio.run(_tomato(repository, scratch / f"tomato{number}"))
    report.rows += [
        ("`operando run` to the first sample", spread(typed, "s")),
        ("`operando queue add` to the first sample", spread(queued, "s")),
        ("end of a run to the next one's first sample", spread(next_, "s")),
        ("tomato 2.2: `ketchup submit` to the first sample", spread(theirs, "s") if theirs else "not measured"),
    ]
    return report


class _Bench:
    def __init__(self, repository: Path, scratch: Path) -> None:
        self._repository, self._rig = repository, memory_rig(repository, scratch / "rig.yaml", points=4096)
        self._file = experiment(scratch / "short.yaml", STEPS, 0.1, "prepare: [ocv -0.5..0.5 V for 2 s]")
        self._environment = {**os.environ, "OPERANDO_HOME": str(scratch / "home"), "OPERANDO_BROKER": "none"}

    def typed(self, folder: Path) -> float:
        """Seconds from the command to the first sample."""
        began_ns = time.time_ns()
        self._operando("run", str(self._file), "--rig", str(self._rig), "--out", str(folder), "--json")
        return (_instants(folder)[0][0] - began_ns) / 1e9

    def queued(self, folder: Path) -> tuple[float, list[float]]:
        """Seconds from the command to the first sample, and from the end of each run to the first sample of the next."""
        with self._served():
            began_ns = time.time_ns()
            words = ("--rig", str(self._rig), "--out", str(folder), "--loaded", "--repeat", str(RUNS), "--json")
            self._operando("queue", "add", str(self._file), *words)
            until(lambda: len(_instants(folder)) == RUNS, f"end of {RUNS} runs in {folder}", PATIENCE_s)
        runs = _instants(folder)
        return (runs[0][0] - began_ns) / 1e9, [(later[0] - earlier[1]) / 1e9 for earlier, later in itertools.pairwise(runs)]

    @contextmanager
    def _served(self) -> Iterator[None]:
        process = subprocess.Popen([*OPERANDO, "serve", "--look-s", str(LOOK_s), "--json"], env=self._environment, stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            process.stdout.readline()
            yield
        finally:
            process.terminate()
            process.communicate()

    def _operando(self, *words: str) -> None:
        done = subprocess.run([*OPERANDO, *words], env=self._environment, cwd=self._repository, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"operando {words[0]}: {done.stdout[-1000:]} {done.stderr[-2000:]}")


def _instants(folder: Path) -> list[tuple[int, int]]:
    """Of each run that has ended, in order: its first sample and its end, UTC ns."""
    found = []
    for journal in folder.glob("*/journal.sqlite"):
        with Reader(journal) as reader:
            events = list(reader.events())
        blocks = [event for event in events if event.kind == "ec.block"]
        if blocks and events[-1].kind == "run.ended":
            first = blocks[0]
            mono_ns = unpack(first.data["columns"], first.blob or b"", first.data["n"])["mono_ns"][0]
            found.append((int(mono_ns) - first.mono_ns + first.utc_ns, events[-1].utc_ns))
    return sorted(found)


async def _tomato(repository: Path, folder: Path) -> list[float]:
    """Seconds, once; nothing where it cannot be had."""
    folder.mkdir()
    async with emulated(repository, folder, "keithley2450") as laboratory:
        return await asyncio.to_thread(_job, Tomato(environments(repository)), laboratory, folder)


def _job(side: Tomato, laboratory: Laboratory, folder: Path) -> list[float]:
    case = Case(folder / "case", {"keithley2450": {"port": laboratory.addresses["keithley2450"].port}}, 2e-4, 2.0)
    case.folder.mkdir()
    try:
        side.install()
        side.start(case)
        until(lambda: _readings(side, laboratory), "reading")
        return [(_readings(side, laboratory)[0] - side.submitted_ns) / 1e9]
    except NotHere:
        return []
    finally:
        side.end()


def _readings(side: Tomato, laboratory: Laboratory) -> list[int]:
    return [at_ns for name, at_ns in marks(laboratory) if name.startswith(":READ") and at_ns > side.submitted_ns]
