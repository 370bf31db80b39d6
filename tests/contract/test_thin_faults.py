"""What would leave a cell driven: Arbin and Zahner when their other side errs, lies or is deaf."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from wire_taps import Silence

from drivers.base import Context, EndConditions, Limits, Mode, Reason, SampleBlock, Settings, StepEnded, StepOrder
from drivers.clock import Clock
from drivers.registry import factory, make_emulator, make_potentiostat, memory_network
from drivers.testing.bench import EventLog, listening
from drivers.transport.virtual import run_virtual

LIMITS = Limits(voltage_upper_V=2.0, voltage_lower_V=-2.0, current_A=0.01, charge_C=100.0, time_s=10_000.0)
STEP = StepOrder("s1", Mode.GALVANOSTATIC, EndConditions(600.0), LIMITS, current_A=4e-4)
OPTIONS = {"arbin": {"min_voltage_V": -5.0}, "zahner": {}}
Act = Callable[[Any, Any, EventLog[Any], Any, Clock], Awaitable[None]]


def running(name: str, repository: Path, act: Act) -> None:
    """A step runs and has been seen to; then ``act(driver, emulator, log, twin, clock)``."""
    description = YAML(typ="safe").load(repository / "configs" / "twins" / "C1.yaml")

    async def main(clock: Clock) -> None:
        twin = factory("twins", "twin")(description, seed=1, t0_mono_ns=clock.mono_ns())
        context = Context(clock, memory_network(), Silence(), twin)
        emulator: Any = make_emulator(Settings("emulator", name, ""), context)
        address = (await emulator.start()).address
        driver = make_potentiostat(Settings("cycler", name, address, options=OPTIONS[name]), context)
        await driver.connect()
        async with listening(driver.events(), clock) as log:
            await driver.load((STEP,))
            await driver.start("s1")
            await log.until(SampleBlock, 3)
            await act(driver, emulator, log, twin, clock)
        await driver.release()
        await emulator.stop()

    run_virtual(main)


@pytest.mark.parametrize(
    ("name", "fault", "reason"),
    [
        ("arbin", "error", Reason.DEVICE_ERROR),
        ("arbin", "unsafe", Reason.DEVICE_ERROR),
        ("arbin", "paused", Reason.DEVICE_ERROR),
        ("zahner", "trips", Reason.LOST),
    ],
)
def test_a_step_that_breaks_off_leaves_nothing_driven(repository: Path, name: str, fault: str, reason: Reason) -> None:
    async def act(driver: Any, emulator: Any, log: EventLog[Any], twin: Any, clock: Clock) -> None:
        emulator.inject(fault)
        assert (await log.until(StepEnded, within_s=30.0)).reason is reason
        assert not emulator.driven
        assert (await driver.make_safe()).confirmed

    running(name, repository, act)


@pytest.mark.parametrize(
    ("name", "fault"), [("arbin", "stop_deaf"), ("arbin", "stop_refused"), ("zahner", "off_deaf"), ("zahner", "refused")]
)
def test_a_stop_that_is_not_obeyed_is_never_called_safe(repository: Path, name: str, fault: str) -> None:
    async def act(driver: Any, emulator: Any, log: EventLog[Any], twin: Any, clock: Clock) -> None:
        emulator.inject(fault, times=1000)
        safe = await driver.make_safe()
        assert emulator.driven
        assert not safe.confirmed
        emulator.clear(fault)
        assert (await log.until(StepEnded, within_s=60.0)).reason is Reason.ABORT
        assert not emulator.driven

    running(name, repository, act)
