"""One protocol on every potentiostat over the same twin: the same reasons, signs and units, and the same charge in each step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from eclab_stand_in import EcLab
from ruamel.yaml import YAML
from wire_taps import Silence

from drivers.base import Context, EndConditions, Limits, Mode, Reason, SampleBlock, Settings, StepEnded, StepOrder, StepStarted
from drivers.biologic.eclab_door import CALLS
from drivers.biologic.remote import serve
from drivers.clock import Clock
from drivers.registry import factory, make_emulator, make_potentiostat, memory_network
from drivers.testing.bench import EventLog, listening
from drivers.transport.virtual import run_virtual

LIMITS = Limits(voltage_upper_V=0.6, voltage_lower_V=-0.6, current_A=5e-4, charge_C=0.72, time_s=4000.0)
REST = StepOrder("rest", Mode.REST, EndConditions(30.0), LIMITS)
PLATE = StepOrder("plate", Mode.GALVANOSTATIC, EndConditions(300.0, 0.55, -0.55), LIMITS, current_A=-4e-4)
STRIP = replace(PLATE, key="strip", current_A=4e-4, ends=EndConditions(3600.0, charge_C=0.432))
BACK = replace(PLATE, key="back", current_A=-3e-4, ends=EndConditions(360.0))
PROTOCOL = (REST, PLATE, STRIP, BACK)
WANTED = [(Reason.TIME, 0.0), (Reason.TIME, -0.12), (Reason.CHARGE, 0.432), (Reason.TIME, -0.108)]
DRIVERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "sim": ("", "", {}),
    "methodscript": ("methodscript", "", {}),
    "keithley": ("keithley2450", "", {}),
    "biologic": ("biologic", "1", {"door": "dll", "ours": [1]}),
    "biologic by EC-Lab": ("biologic", "1", {"door": "eclab", "decimal": "."}),
    "neware": ("neware", "21-1-1", {}),
    "arbin": ("arbin", "", {"min_voltage_V": -5.0}),
    "zahner": ("zahner", "", {}),
}
"""Emulator, channel, options."""


def counted_C(log: EventLog[Any], key: str) -> float:
    """What the samples of a step add up to, from its start to its end."""
    blocks = [block for block in log.of(SampleBlock) if block.step_key == key]
    started = next(event.mono_ns for event in log.of(StepStarted) if event.key == key)
    ended = next(event.mono_ns for event in log.of(StepEnded) if event.key == key)
    edges_ns = np.concatenate([[started], *(block.mono_ns for block in blocks), [ended]])
    current_A = np.concatenate([block.current_A for block in blocks])
    return float(np.sum(np.diff(edges_ns) / 1e9 * np.concatenate([current_A, current_A[-1:]])))


@pytest.mark.parametrize("name", DRIVERS)
def test_each_step_has_the_charge_that_was_asked_for(repository: Path, tmp_path: Path, name: str) -> None:
    """Within 0.1 %, truly and as counted; the step that ends on charge has 1080 samples, of which one may be late."""
    description = YAML(typ="safe").load(repository / "configs" / "twins" / "C1.yaml")
    emulated, channel, options = DRIVERS[name]
    found: list[tuple[Reason, float, float]] = []

    async def main(clock: Clock) -> None:
        twin = factory("twins", "twin")(description, seed=1, t0_mono_ns=clock.mono_ns())
        context = Context(clock, memory_network(), Silence(), twin)
        prepared = {"firmware": "kernel"} if options.get("door") == "eclab" else {}
        emulator: Any = make_emulator(Settings("emulator", emulated, "", options=prepared), context) if emulated else None
        address = (await emulator.start()).address if emulator else "sim"
        served = await serve(context.network, EcLab(emulator), CALLS) if prepared else None
        address = served.address if served else address
        if name == "keithley":  # as its last user left it
            stream = await context.network.visa(address)
            await stream.write(b"*CLS\n:OUTP:CURR:SMOD HIMP\n:OUTP:VOLT:SMOD HIMP\n")
            await stream.close()
        given = options | ({"folder": str(tmp_path)} if channel else {})
        settings = Settings("potentiostat", name.partition(" ")[0], address, channel=channel, options=given)
        driver = make_potentiostat(settings, replace(context, twin=None if emulated else twin))
        await driver.connect()
        async with listening(driver.events(), clock) as log:
            for n, order in enumerate(PROTOCOL):
                before_C = twin.charge_C()
                await driver.load((order,))
                await driver.start(order.key)
                ended = await log.until(StepEnded, n + 1, within_s=4000.0)
                found.append((ended.reason, counted_C(log, order.key), twin.charge_C() - before_C))
            assert (await driver.make_safe()).confirmed
        await driver.release()
        if served:
            await served.stop()
        if emulator:
            await emulator.stop()

    run_virtual(main)
    assert [reason for reason, _, _ in found] == [reason for reason, _ in WANTED]
    charges_C = [charge_C for _, charge_C in WANTED]
    assert [one for _, one, _ in found] == pytest.approx(charges_C, rel=1e-3, abs=1e-5)
    assert [one for _, _, one in found] == pytest.approx(charges_C, rel=1e-3, abs=1e-5)
