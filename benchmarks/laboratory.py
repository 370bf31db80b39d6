"""A simulated cell in a process of its own, behind emulated instruments on real sockets, which fail when they are told to.

``python -m benchmarks.laboratory FOLDER NAME…`` prints a JSON line of addresses, then obeys each line of its standard input
(``INSTRUMENT FAULT {"parameter": value}``). It ends when its standard input does. What happened to the cell stands in
``FOLDER/truth.jsonl``.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
SET_CURRENT_A = 1e-4
"""Above this the cell is at the protocol's current, not at what a potentiostat leaks."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The cell driven at one current, UTC ns; ``until_ns`` is infinite while it lasts."""

    current_A: float
    from_ns: float
    until_ns: float


@dataclass(frozen=True, slots=True)
class Laboratory:
    """The instruments' addresses, and the cell that can be asked."""

    process: subprocess.Popen[str]
    addresses: dict[str, dict[str, object]]
    folder: Path

    def fail(self, instrument: str, fault: str, **parameters: object) -> None:
        """Switch a fault of an instrument on."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{instrument} {fault} {json.dumps(parameters)}\n")
        self.process.stdin.flush()

    def stretches(self) -> list[Stretch]:
        """Every stretch of the cell at a set current so far."""
        from orchestrator.rig.truth import read_truth

        drives = [one for one in read_truth(self.folder / "truth.jsonl") if one.what == "drive"]
        ends = [float(one.real_utc_ns) for one in drives[1:]] + [float("inf")]
        found = [
            Stretch(float(one.data["value"]), one.real_utc_ns, end)
            for one, end in zip(drives, ends, strict=True)
            if one.data["drive"] == "current" and abs(float(one.data["value"])) >= SET_CURRENT_A
        ]
        return [one for one in found if one.until_ns > one.from_ns]

    def at_current(self) -> bool:
        """True while the cell is at a set current."""
        return any(one.until_ns == float("inf") for one in self.stretches())

    def seconds_at_current(self, from_ns: float) -> float:
        """Seconds at a set current since then, until now."""
        now_ns = float(time.time_ns())
        return sum(max(0.0, min(one.until_ns, now_ns) - max(one.from_ns, from_ns)) for one in self.stretches()) / 1e9


@contextmanager
def laboratory(folder: Path, *names: str) -> Iterator[Laboratory]:
    """Start the emulators; they and the cell outlive whoever drives them."""
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "benchmarks.laboratory", str(folder), *names]
    with (folder / "said.txt").open("w") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True, cwd=REPOSITORY, start_new_session=True
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Laboratory(process, json.loads(process.stdout.readline()), folder)
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


async def main(folder: Path, names: tuple[str, ...]) -> None:
    """Serve until the standard input ends."""
    from drivers import registry
    from drivers.clock import Clock
    from orchestrator.rig.emulators import EmulateRequest, make_emulators, make_twin
    from orchestrator.rig.truth import TruthLog

    clock = Clock()
    twin = make_twin(str(REPOSITORY / "configs" / "twins" / "C1.yaml"), seed=0, t0_mono_ns=clock.mono_ns())
    truth = TruthLog(folder / "truth.jsonl")
    truth.listen(twin)
    request = EmulateRequest(names, "", folder=str(folder / "console"))
    made = make_emulators(request, clock, registry.real_network(), twin)
    addresses = {name: await emulator.start() for name, emulator in made.items()}
    print(json.dumps({name: {"address": one.address, "port": one.port} for name, one in addresses.items()}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        instrument, fault, parameters = line.split(" ", 2)
        made[instrument].inject(fault, **json.loads(parameters))
    for emulator in made.values():
        await emulator.stop()
    truth.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), tuple(sys.argv[2:])))
