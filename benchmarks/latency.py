"""From the last sample of a step to the start of the acquisition, stamped inside the emulators' process.

Both emulators live in this process, on a real pseudo-terminal and a real socket. They mark the instant at which the last
sample of a step has been written, and the instant at which a command that starts an acquisition has been read. Between the
two stands either the program (``operando run`` at speed 1) or the control (``idle_client.py``), in turn.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.measure import OPERANDO, QUICK, Report, percentile, spread
from drivers import registry
from drivers.base import EmulatorAddress
from drivers.clock import Clock
from orchestrator.rig.emulators import EmulateRequest, make_emulators, make_twin

ROUNDS, STEPS = 1 if QUICK else 12, 10
OVERHEAD_s = 0.05
"""The emulated console takes this long to begin (2.3 s on a real one), so that it is idle again before the next step ends."""


@dataclass(frozen=True, slots=True)
class Laboratory:
    """The emulators, where they are reached, and the rig file that says so."""

    emulators: Mapping[str, Any]
    addresses: Mapping[str, EmulatorAddress]
    talk: Path
    rig: Path


def measure(repository: Path, scratch: Path) -> Report:
    """Alternate rounds of the program and of the control."""
    return asyncio.run(_measure(repository, scratch))


async def _measure(repository: Path, scratch: Path) -> Report:
    ours: list[list[float]] = []
    control: list[list[float]] = []
    async with emulated(repository, scratch) as laboratory:
        for _ in range(ROUNDS):
            ours.append(await round_ms(laboratory, program(repository, scratch, laboratory)))
            control.append(await round_ms(laboratory, _control(laboratory)))
            await _idle(laboratory)
    return _report(ours, control)


async def _idle(laboratory: Laboratory) -> None:
    """What the control has started last is over: the program rightly waits for nobody else's acquisition."""
    scanner = laboratory.emulators["openvnmrj"].scanner
    while scanner.active is not None or scanner.queue:
        await asyncio.sleep(0.1)


@asynccontextmanager
async def emulated(repository: Path, scratch: Path, *more: str) -> AsyncIterator[Laboratory]:
    """The two emulators, and ``more`` of them, in this process."""
    clock = Clock()
    options = {"openvnmrj": {"overhead_s": OVERHEAD_s}}
    twin = str(repository / "configs" / "twins" / "C1.yaml")
    request = EmulateRequest(("methodscript", "openvnmrj", *more), twin, options=options, folder=str(scratch / "emulated"))
    made = make_emulators(request, clock, registry.real_network(), make_twin(twin, seed=0, t0_mono_ns=clock.mono_ns()))
    addresses = {name: await emulator.start() for name, emulator in made.items()}
    try:
        rig = _rig(repository, scratch / "rig.yaml", addresses)
        yield Laboratory(made, addresses, Path(addresses["openvnmrj"].address) / ".talk", rig)
    finally:
        for emulator in made.values():
            await emulator.stop()


def _rig(repository: Path, path: Path, addresses: Mapping[str, EmulatorAddress]) -> Path:
    """The benchmarks' rig with the true addresses in it."""
    yaml = YAML()
    rig = yaml.load((repository / "benchmarks" / "night_rig.yaml").read_text("utf-8"))
    rig["instruments"] = {
        "potentiostat": {"driver": "methodscript", "address": addresses["methodscript"].address},
        "console": {"driver": "openvnmrj", "address": addresses["openvnmrj"].address},
    }
    del rig["twin"]
    yaml.dump(rig, path)
    return path


def program(repository: Path, scratch: Path, laboratory: Laboratory) -> list[str]:
    """The command that runs the steps."""
    experiment = str(repository / "benchmarks" / "latency.yaml")
    return [*OPERANDO, "run", experiment, "--rig", str(laboratory.rig), "--out", str(scratch), "--json"]


def _control(laboratory: Laboratory) -> list[str]:
    return [sys.executable, "-m", "benchmarks.idle_client", laboratory.addresses["methodscript"].address, str(laboratory.talk), str(STEPS)]


async def round_ms(laboratory: Laboratory, command: list[str]) -> list[float]:
    """Milliseconds of each step of one round."""
    before = marks(laboratory)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    said, complained = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {said.decode()[-2000:]} {complained.decode()[-2000:]}")
    found = latencies_ms(marks(laboratory)[len(before) :])
    if len(found) < STEPS:
        raise RuntimeError(f"{len(found)} of {STEPS} steps were followed by a start: {complained.decode()[-2000:]}")
    return found


def marks(laboratory: Laboratory) -> list[tuple[str, int]]:
    """What all emulators have marked, in order."""
    return sorted((row for emulator in laboratory.emulators.values() for row in emulator.stamps.rows()), key=lambda row: row[1])


def latencies_ms(rows: Iterable[tuple[str, int]]) -> list[float]:
    """From each last sample to the next start, if no other last sample lies between."""
    found, ended_ns = [], None
    for name, at_ns in rows:
        if name == "last sample":
            ended_ns = at_ns
        elif name == "start read" and ended_ns is not None:
            found.append((at_ns - ended_ns) / 1e6)
            ended_ns = None
    return found


def _report(ours: list[list[float]], control: list[list[float]]) -> Report:
    report = Report(
        "From the last sample to the start of the acquisition",
        f"{ROUNDS} rounds of {STEPS} steps each, the program and the control in turn, on a pseudo-terminal and a loopback socket: 10 Hz, "
        "guard time 0, journal, guard and observer on. Stamped inside the emulators' process: the last sample of a step has been "
        "written; the command that starts the acquisition has been read. The control is an event loop that does nothing else.",
        ("", "median (least to most)", "99 %"),
    )
    pooled = [[value for values in rounds for value in values] for rounds in (ours, control)]
    for name, values in zip(("operando run", "control"), pooled, strict=True):
        report.rows.append((name, spread(values, "ms"), f"{percentile(values, 99):.2f} ms"))
    beyond = [statistics.median(mine) - statistics.median(its) for mine, its in zip(ours, control, strict=True)]
    tail = percentile(pooled[0], 99) - percentile(pooled[1], 99)
    report.rows.append(("beyond the control, round by round", spread(beyond, "ms"), f"{tail:.2f} ms"))
    report.rows.append(("asked", "<= 2 ms", "<= 10 ms"))
    return report
