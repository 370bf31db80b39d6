"""Every potentiostat this program has, each beside its emulated instrument and a cell that tells the truth: one bench for all of them."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from biologic_bench import Cable
from ruamel.yaml import YAML
from wire_taps import Silence

from drivers.base import Context, Limits, Settings
from drivers.clock import Clock
from drivers.registry import factory, make_emulator, make_potentiostat, memory_network
from drivers.testing.bench import Bench, PotentiostatBench, Run
from drivers.transport.real import RealNetwork

WIDE = Limits(voltage_upper_V=2.0, voltage_lower_V=-2.0, current_A=0.01, charge_C=100.0, time_s=10_000.0)
CURRENT_A, AWAY_V = 4e-4, 0.05
OPEN_CIRCUIT_A = 1e-6
"""The twin's current noise is 20 nA; the smallest step here is 400 times as large as this."""


@cache
def _written(path: Path) -> Mapping[str, Any]:
    written: Mapping[str, Any] = YAML(typ="safe").load(path)
    return written


def cell(repository: Path, clock: Clock, rest_V: float, seed: int = 1) -> Any:
    """The twin of C1, whose cell stands at ``rest_V``."""
    description: Any = copy.deepcopy(_written(repository / "configs" / "twins" / "C1.yaml"))
    description["cell"]["open_circuit_V"] = rest_V
    return factory("twins", "twin")(description, seed=seed, t0_mono_ns=clock.mono_ns())


async def _as_it_is(network: Any, address: str) -> None:
    """It needs nothing."""


async def with_a_small_buffer(_: Any, network: Any, address: str, readings: int) -> None:
    """A Keithley whose buffer keeps so many readings."""
    stream = await network.visa(address)
    await stream.write(f':TRAC:POIN {readings},"defbuffer1"\n:TRAC:POIN? "defbuffer1"\n'.encode())
    assert await stream.read() == f"{readings}\n".encode()
    await stream.close()


async def with_a_small_memory(emulator: Any, network: Any, address: str, readings: int) -> None:
    """A BioLogic whose channel keeps so many rows of five words."""
    emulator.channel.memory.size_bytes = readings * 5 * 4


async def left_in_high_impedance(network: Any, address: str) -> None:
    """A Keithley as its last user left it; fresh from power-on its output is off in NORMAL, and the cell is loaded."""
    stream = await network.visa(address)
    await stream.write(b"*CLS\n:OUTP:CURR:SMOD HIMP\n:OUTP:VOLT:SMOD HIMP\n:OUTP?\n")
    assert await stream.read() == b"0\n"
    await stream.close()


@dataclass(frozen=True)
class AtNoCurrent:
    """The truth about a cell on a source-measure unit: its open circuit is 0 A with the output on (off, it could not measure)."""

    twin: Any
    before_C: float

    @property
    def t0_mono_ns(self) -> int:
        return int(self.twin.t0_mono_ns)

    def measure(self, t_s: float) -> Any:
        leads = self.twin.measure(t_s)
        return leads._replace(output_on=leads.output_on and abs(leads.current_A) > OPEN_CIRCUIT_A)

    def charge_C(self) -> float:
        return float(self.twin.charge_C()) - self.before_C


def _raise_gpio_1(emulator: Any) -> None:
    """Line 1 of a MethodSCRIPT instrument."""
    emulator.front_end.gpio_input |= 0b10


@dataclass(frozen=True)
class Stand:
    """One driver, its emulator, and how the instrument is treated on a bench.

    ``cable``: its link is cut between both; else the emulator falls ``silent``. ``skew``, ``reboot``: the emulator's faults of that kind.
    ``line(emulator)``: the console raises its line. ``small_buffer(emulator, network, address, readings)``: where it has one that can be
    made small. ``folder``: an option that is given a folder. ``prepared(network, address)``: what somebody did before.
    """

    driver: str
    emulator: str
    channel: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    cable: bool = True
    skew: str = ""
    reboot: str = "reboot"
    folder: bool = False
    small_buffer: Callable[[Any, Any, str, int], Awaitable[None]] | None = None
    line: Callable[[Any], None] | None = None
    prepared: Callable[[Any, str], Awaitable[None]] = _as_it_is
    truth: Callable[[Any], Any] = lambda twin: twin


STANDS = {
    stand.driver: stand
    for stand in (
        Stand("methodscript", "methodscript", cable=False, skew="clock_skew", reboot="reboot_mid_step", line=_raise_gpio_1),
        Stand(
            "keithley",
            "keithley2450",
            cable=False,
            skew="clock_skew",
            line=lambda emulator: emulator.drive_line(2, 1),
            small_buffer=with_a_small_buffer,
            prepared=left_in_high_impedance,
            truth=lambda twin: AtNoCurrent(twin, twin.charge_C()),
        ),
        Stand(
            "biologic",
            "biologic",
            "1",
            {"door": "dll"},
            skew="clock_skew",
            folder=True,
            line=lambda emulator: emulator.trigger(),
            small_buffer=with_a_small_memory,
        ),
        Stand("neware", "neware", "21-1-1", skew="clock_skew", reboot="power_lost"),
        Stand("arbin", "arbin", "1", {"min_voltage_V": -5.0, "max_current_A": 0.1}, skew="clock_skew", reboot="power_lost"),
        Stand("zahner", "zahner", "", {"max_current_A": 0.1}),
    )
}


@dataclass(frozen=True)
class Stands:
    """Sets a bench up for a driver by its name."""

    run: Run
    speed: float | None
    repository: Path
    folder: Path

    def __call__(self, name: str, *, rest_V: float = 0.0005, limits: Limits = WIDE, faults: tuple[str, ...] = ()) -> Bench:
        """``faults``: of the emulator, from the beginning."""
        stand = STANDS[name]

        @asynccontextmanager
        async def opened(clock: Clock) -> AsyncIterator[PotentiostatBench]:
            twin = cell(self.repository, clock, rest_V)
            network: Any = memory_network() if self.speed is None else RealNetwork()
            told = Settings("emulator", stand.emulator, "", options={"faults": list(faults)})
            emulator: Any = make_emulator(told, Context(clock, network, Silence(), twin))
            lines: list[tuple[float, int]] = []

            def heard(t_s: float, what: str, data: Mapping[str, Any]) -> None:
                if what == "line":
                    lines.append((t_s, data["level"]))

            twin.listeners.append(heard)
            address, cable = (await emulator.start()).address, Cable(network)
            await stand.prepared(network, address)
            options = {**stand.options, **({"folder": str(self.folder)} if stand.folder else {})}

            def another(identity: str = "") -> Any:
                settings = Settings("cycler", stand.driver, address, channel=stand.channel, identity=identity, options=options)
                return make_potentiostat(settings, Context(clock, cable, Silence()))

            async def shrink(readings: int) -> None:
                assert stand.small_buffer
                await stand.small_buffer(emulator, network, address, readings)

            try:
                yield PotentiostatBench(
                    potentiostat=another(),
                    clock=clock,
                    truth=stand.truth(twin),
                    another=another,
                    current_A=CURRENT_A,
                    upper_V=rest_V + AWAY_V,
                    lower_V=rest_V - AWAY_V,
                    rest_V=rest_V,
                    limits=limits,
                    cut_link=cable.cut if stand.cable else lambda: emulator.inject("silent"),
                    mend_link=cable.mend if stand.cable else lambda: emulator.clear("silent"),
                    skew_clock=(lambda: emulator.inject(stand.skew)) if stand.skew else None,
                    shrink_buffer=shrink if stand.small_buffer else None,
                    raise_line=(lambda: stand.line(emulator)) if stand.line else None,
                    line_out=(lambda: lines) if stand.line else None,
                    reboot=lambda: emulator.inject(stand.reboot),
                    inject=emulator.inject,
                    clear=emulator.clear,
                )
            finally:
                await emulator.stop()

        return Bench(opened, self.run)
