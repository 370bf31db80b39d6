"""A bench: the driver on one end of a line in memory, and on the other a hand-written instrument, line by line, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from drivers.base import (
    ByteStream,
    Context,
    EndConditions,
    Limits,
    LinkLost,
    LinkRestored,
    Mode,
    PotentiostatEvent,
    SampleBlock,
    Settings,
    StepEnded,
    StepOrder,
    StepStarted,
)
from drivers.clock import Clock
from drivers.methodscript import wire
from drivers.methodscript.driver import MethodScript
from drivers.registry import recorded_network
from drivers.transport.memory import MemoryNetwork
from drivers.transport.virtual import run_virtual

FIRMWARE = ("tes4_hr1500#Mar 12 2026 14:28:01", "R*")
LIMITS = Limits(voltage_upper_V=4.3, voltage_lower_V=2.3, current_A=1e-3, charge_C=19.0, time_s=40000.0)


@dataclass
class Wiretap:
    """Everything that passed."""

    out: bytearray = field(default_factory=bytearray)
    into: bytearray = field(default_factory=bytearray)

    def sent(self, data: bytes) -> None:
        self.out += data

    def received(self, data: bytes) -> None:
        self.into += data


@dataclass
class Instrument:
    """The instrument's end of the wire, played by the test."""

    stream: ByteStream
    lines: wire.LineSplitter = field(default_factory=wire.LineSplitter)
    waiting: list[str] = field(default_factory=list)

    async def hear(self) -> str:
        while not self.waiting:
            self.waiting += self.lines.feed(await self.stream.read())
        return self.waiting.pop(0)

    async def say(self, *lines: str) -> None:
        await self.stream.write("".join(f"{line}\n" for line in lines).encode("latin-1"))

    async def expect(self, *lines: str) -> None:
        for line in lines:
            assert await self.hear() == line

    async def script(self, command: str) -> list[str]:
        """The lines of a script sent by ``l`` or ``e``; empty lines before it are let go."""
        while (heard := await self.hear()) == "":
            pass
        assert heard == command
        body = []
        while line := await self.hear():
            body.append(line)
        return body

    async def greet(
        self, bits: frozenset[int] = frozenset({wire.CA, wire.CP, wire.SET_I, wire.GEIS}), serial: str = "ES4HR20B0008"
    ) -> None:
        for command, answer in (("t", FIRMWARE), ("i", ("i" + serial,)), ("v", ("v01.09.00",)), ("CM", ("CM" + wire.encode_bits(bits),))):
            await self.expect(command)
            await self.say(*answer)

    async def take_program(self) -> list[str]:
        body = await self.script("l")
        await self.say("l")
        await self.expect("r")
        await self.say("r")
        return body

    async def sample(self, t_s: float, voltage_V: float, current_A: float = -5e-4, charge_C: float = 0.0, meta: str = "") -> None:
        values = zip(("eb", "ab", "ba", "ja"), (t_s, voltage_V, current_A, charge_C), strict=True)
        await self.say("P" + ";".join(kind + wire.encode_value(value) + (meta if kind == "ab" else "") for kind, value in values))

    async def switched_off(self) -> None:
        """Take the rescue script."""
        assert await self.script("e") == ["cell_off"]
        await self.say("e", "")

    async def looked_at(self, voltage_V: float = 3.7) -> None:
        """Take the look at open circuit."""
        assert "meas_loop_ocp p 100m 300m" in await self.script("e")
        await self.say("e", "M000B", *[f"Pab{wire.encode_value(voltage_V)}"] * 3, "*", "")


@dataclass
class Bench:
    """Driver, instrument, clock and what came out."""

    clock: Clock
    network: MemoryNetwork
    driver: MethodScript
    instrument: Instrument
    tap: Wiretap
    events: list[PotentiostatEvent] = field(default_factory=list)

    async def collect(self) -> None:
        async for event in self.driver.events():
            self.events.append(event)

    def steps(self) -> list[tuple[str, str]]:
        """Starts, ends (with reason) and links, in order."""
        named: list[tuple[str, str]] = []
        for event in self.events:
            match event:
                case StepStarted(key):
                    named.append(("started", key))
                case StepEnded(key, reason=reason):
                    named.append((str(reason), key))
                case LinkLost():
                    named.append(("lost", ""))
                case LinkRestored():
                    named.append(("restored", ""))
        return named

    def blocks(self) -> list[SampleBlock]:
        return [event for event in self.events if isinstance(event, SampleBlock)]

    def ends(self) -> list[StepEnded]:
        return [event for event in self.events if isinstance(event, StepEnded)]

    async def running(self, *program: StepOrder) -> list[str]:
        """Connected, loaded, started; the script as sent."""
        script: list[str] = []

        async def play() -> None:
            await self.instrument.greet()
            script.extend(await self.instrument.take_program())

        async with asyncio.TaskGroup() as group:
            group.create_task(play())
            await self.driver.connect()
            await self.driver.load(program)
            await self.driver.start(program[0].key)
        return script

    async def together(self, host: Awaitable[Any], instrument: Awaitable[Any]) -> Any:
        """Both sides at once; what the host's side gave."""
        answer, _ = await asyncio.gather(host, instrument)
        return answer


Scenario = Callable[[Bench], Awaitable[None]]


def order(key: str = "a", **changes: Any) -> StepOrder:
    """A constant-current step of an hour."""
    given: dict[str, Any] = {
        "mode": Mode.GALVANOSTATIC,
        "ends": EndConditions(3600.0, 4.2, 2.5, 18.0),
        "limits": LIMITS,
        "current_A": -5e-4,
    }
    return StepOrder(key, **(given | changes))


@pytest.fixture
def play() -> Callable[..., None]:
    """Run a scenario on a fresh bench in virtual time; options go to the driver."""

    def run(scenario: Scenario, *, identity: str = "", chunking: tuple[int, ...] = (), **options: Any) -> None:
        async def main(clock: Clock) -> None:
            network, tap = MemoryNetwork(chunking), Wiretap()
            stream, address = await network.serve_serial("potentiostat")
            settings = Settings("pstat", "methodscript", address, identity=identity, options=options)
            driver = MethodScript(settings, Context(clock, recorded_network(network, tap), tap))
            bench = Bench(clock, network, driver, Instrument(stream), tap)
            collecting = asyncio.create_task(bench.collect())
            await scenario(bench)
            await bench.driver.release()
            await collecting

        run_virtual(main)

    return run


@pytest.fixture
def make_order() -> Callable[..., StepOrder]:
    return order
