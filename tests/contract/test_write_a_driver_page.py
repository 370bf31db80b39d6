"""The driver on the page `write-a-driver` is a driver: its code is taken from there and runs steps on an instrument made to that page."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from fault_bench import order
from wire_taps import Silence

from drivers.base import Capabilities, Context, EndConditions, LinkLost, LinkRestored, Reason, SampleBlock, Settings, StepEnded
from drivers.clock import Clock
from drivers.errors import Rejected, WrongInstrument
from drivers.registry import memory_network
from drivers.testing.bench import EventLog, listening
from drivers.transport.virtual import run_virtual

OHM = 100.0
Test = Callable[[Any, Any, EventLog[Any], Clock], Coroutine[Any, Any, None]]


class Bench:
    """The instrument of that page, with 100 ohm on its leads that drift by 1 mV a second."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.set, self.begun_s, self.ended_s, self.deaf = clock, [""] * 6, -1.0, 0.0, False

    def now_s(self) -> float:
        return self.clock.mono_ns() / 1e9

    def voltage_V(self, t_s: float) -> float:
        return float(self.set[1] or 0.0) * OHM + 1e-3 * t_s if self.begun_s >= 0 else 0.0

    def over_s(self) -> float:
        """How long the step lasts: its time, or until it drifts above its upper voltage."""
        seconds, high_V = float(self.set[2]), float(self.set[4])
        return min(seconds, max(0.0, (high_V - self.voltage_V(0.0)) / 1e-3))

    def running(self) -> bool:
        return self.begun_s >= 0 and not self.ended_s and self.now_s() - self.begun_s < self.over_s()

    def hear(self, line: str) -> str:
        verb, *said = line.split()
        elapsed_s = max(0.0, (self.ended_s or self.now_s()) - self.begun_s) if self.begun_s >= 0 else 0.0
        if verb == "SET":
            self.set, self.begun_s, self.ended_s = said, -1.0, 0.0
        elif verb == "GO":
            self.begun_s = self.now_s()
        elif verb == "HALT":
            self.ended_s = self.now_s()
        elif verb == "ID?":
            return "BENCH-7 0042"
        elif verb == "SEE?":
            state = "run" if self.running() else "idle"
            return f"{state} {elapsed_s:.3f} {self.voltage_V(elapsed_s):.6f} {self.set[1] if state == 'run' else 0}"
        else:
            last_s, every_s = min(elapsed_s, self.over_s()), float(self.set[5])
            times = [n * every_s for n in range(int(last_s / every_s) + 1)]
            return ";".join(f"{t},{self.voltage_V(t):.6f},{self.set[1]}" for t in times[int(said[0]) :])
        return "ok"

    async def serve(self, listener: Any) -> None:
        while True:
            stream = await listener.accept()
            while (data := await stream.read()) and not self.deaf:
                await stream.write(self.hear(data.decode().strip()).encode() + b"\n")
            await stream.close()


@pytest.fixture
def play(repository: Path) -> Callable[[Test], None]:
    page = (repository / "docs" / "how-to" / "write-a-driver.md").read_text("utf-8")
    code, _ = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    made: dict[str, Any] = {"__name__": "bench7"}
    exec(compile("from __future__ import annotations\nimport asyncio\n" + code, "write-a-driver.md", "exec"), made)

    def run(test: Test) -> None:
        async def main(clock: Clock) -> None:
            network, instrument = memory_network(), Bench(clock)
            listener = await network.listen()
            serving = asyncio.create_task(instrument.serve(listener))
            settings = Settings("bench", "bench7", f"{listener.host}:{listener.port}", identity="0042")
            driver = made["Bench7"](settings, Context(clock, network, Silence()))
            assert isinstance(made["Bench7"].declared(settings), Capabilities)
            assert (await driver.connect()).serial == "0042"
            async with listening(driver.events(), clock) as log:
                await test(driver, instrument, log, clock)
            await driver.release()
            serving.cancel()
            await asyncio.wait({serving})

        run_virtual(main)

    return run


def test_steps_end_for_their_reasons(play: Callable[[Test], None]) -> None:
    async def test(driver: Any, _: Bench, log: EventLog[Any], __: Clock) -> None:
        for key, ends in (("time", EndConditions(20.0)), ("upper", EndConditions(60.0, voltage_upper_V=0.05))):
            await driver.load((order(key, ends=ends),))
            await driver.start(key)
            await log.until(StepEnded, 1 if key == "time" else 2)
        assert [(one.key, one.reason) for one in log.of(StepEnded)] == [("time", Reason.TIME), ("upper", Reason.V_UPPER)]
        times = [t for block in log.of(SampleBlock) if block.step_key == "time" for t in block.mono_ns.tolist()]
        assert len(times) in {20, 21}
        with pytest.raises(Rejected):
            await driver.load((order(current_A=1.0),))

    play(test)


def test_it_is_made_safe_also_after_the_link_was_lost(play: Callable[[Test], None]) -> None:
    async def test(driver: Any, instrument: Bench, log: EventLog[Any], clock: Clock) -> None:
        await driver.load((order(time_s=600.0),))
        await driver.start("s1")
        await log.until(SampleBlock, 3)
        instrument.deaf = True
        await log.until(LinkLost)
        assert not (await driver.make_safe()).confirmed
        assert instrument.running()
        instrument.deaf = False
        await log.until(LinkRestored)
        assert (await log.until(StepEnded)).reason is Reason.ABORT
        assert not instrument.running()
        await clock.sleep(1.0)
        assert (await driver.make_safe()).confirmed

    play(test)


def test_another_instrument_is_refused(repository: Path, play: Callable[[Test], None]) -> None:
    async def test(driver: Any, _: Bench, __: EventLog[Any], ___: Clock) -> None:
        driver._door._settings = Settings("bench", "bench7", driver._door._settings.address, identity="7")
        with pytest.raises(WrongInstrument):
            await driver._door.open()

    play(test)
