"""Schedules on a channel: each end, at its value; charge as it passed; the cell left at open circuit; no host needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from arbin_client import CHARGE, DISCHARGE, ERROR, FINISHED, IDLE, REST, UNSAFE, Host, set_request

from drivers.clock import Clock
from drivers.transport.memory import MemoryNetwork
from drivers.transport.virtual import run_virtual

CURRENT, VOLTAGE, OPEN = "operando_current.sdx", "operando_voltage.sdx", "operando_rest.sdx"
LONG: dict[str, float] = {"u1": 1e-3, "u2": 4.2, "u3": 2.0, "u4": 1e6, "u5": 1.0, "u7": 4.3, "u8": 1.9, "u9": 0.01, "u10": 2.0}


@pytest.mark.parametrize(
    ("given", "why", "lasts_s"),
    [
        ({"u4": 100.0}, "PV_CHAN_Step_Time>=MV_UD4", 100.0),
        ({"u2": 3.101}, "PV_CHAN_Voltage>=MV_UD2", 100.0),
        ({"u1": -1e-3, "u3": 2.899}, "PV_CHAN_Voltage<=MV_UD3", 100.0),
        ({"u5": 0.1 / 3600.0}, "PV_CHAN_Charge_Capacity>=MV_UD5", 100.0),
        ({"u1": -1e-3, "u5": 0.1 / 3600.0}, "PV_CHAN_Discharge_Capacity>=MV_UD5", 100.0),
        ({"u2": 3.05}, "PV_CHAN_Voltage>=MV_UD2", 0.0),
    ],
)
def test_a_current_ends_where_it_should(play: Callable[..., None], given: dict[str, float], why: str, lasts_s: float) -> None:
    async def scene(host: Host) -> None:
        await host.run(CURRENT, **{**LONG, **given})
        if lasts_s:
            await host.clock.sleep(50)
            assert await host.status() == (CHARGE if given.get("u1", 1.0) > 0 else DISCHARGE)
        found = await host.until(FINISHED)
        assert found["exit"] == why
        assert found["test_s"] == pytest.approx(lasts_s, abs=0.02)
        assert abs(host.twin.charge) == pytest.approx(1e-3 * lasts_s, abs=2e-5)
        way = "charge" if given.get("u1", 1.0) > 0 else "discharge"
        assert found[way] == pytest.approx(abs(host.twin.charge) / 3600.0, rel=1e-4, abs=1e-12)
        assert not host.twin.output_on

    play(scene)


def test_a_held_voltage_tapers(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.run(VOLTAGE, **{**LONG, "u1": 3.2, "u6": 1.8e-3})
        assert await host.status() == CHARGE
        found = await host.until(FINISHED, 10.0)
        assert found["exit"] == "abs(PV_CHAN_Current)<=MV_UD6"
        assert found["charge"] * 3600.0 == pytest.approx(host.twin.charge, rel=1e-3)
        assert host.twin.measure(host.twin.t_s).voltage_V == pytest.approx(3.02, abs=1e-3), "3.2 V less 1.8 mA x 100 ohm"

    play(scene)


def test_a_rest_stays_at_open_circuit_and_minds_its_limits(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.run(OPEN, **{**LONG, "u4": 30.0})
        await host.clock.sleep(10)
        assert await host.status() == REST
        assert not host.emulator.driven
        assert (await host.until(FINISHED))["step_s"] == pytest.approx(30.0, abs=1e-6)
        await host.run(OPEN, **{**LONG, "u2": 2.9})
        assert await host.status() == FINISHED, "the limit is met at the first sample"

    play(scene)


def test_a_safety_opens_the_circuit_and_waits_for_a_stop(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.run(CURRENT, **{**LONG, "u7": 3.105})
        found = await host.until(UNSAFE, 20.0)
        assert found["exit"] == "PV_CHAN_Voltage"
        assert host.twin.charge == pytest.approx(0.5, abs=1e-3)
        assert not host.twin.output_on
        assert await host.start("again") == 18
        assert await host.stop() == 0
        assert await host.status() == IDLE
        assert await host.start("again") == 0

    play(scene)


def test_cycles_labels_and_a_step_that_is_set_while_it_runs(play: Callable[..., None]) -> None:
    ten = "PV_CHAN_Step_Time >= 10 -> {}"
    charge = {"label": "up", "control": "current", "value": "MV_UD1", "limits": [ten.format("down")]}
    skipped = {"label": "never", "control": "rest", "limits": ["PV_CHAN_Step_Time >= 1e6"]}
    discharge = {
        "label": "down",
        "control": "current",
        "value": "-MV_UD1",
        "limits": ["MV_UD2 >= 1 -> End Test", ten.format("up")],
    }

    async def scene(host: Host) -> None:
        await host.run("round.sdx", u1=1e-3)
        await host.clock.sleep(15)
        assert ((await host.info())["where"], host.twin.current_A) == ("[1] 3: down, Current", pytest.approx(-1e-3))
        await host.clock.sleep(10)
        found = await host.info()
        assert (found["where"], found["test_s"], found["step_s"]) == ("[2] 1: up, Current", pytest.approx(25.0), pytest.approx(5.0))
        assert await host.tell(set_request(0, 52, 2e-3)) == 0
        assert (await host.info())["current"] == pytest.approx(2e-3)
        await host.clock.sleep(5)
        assert (await host.info())["where"] == "[2] 3: down, Current"
        assert host.twin.charge == pytest.approx(0.015, abs=1e-4)
        assert await host.tell(set_request(0, 53, 1.0)) == 0
        found = await host.until(FINISHED)
        assert (found["charge"] * 3600.0, found["discharge"] * 3600.0) == (pytest.approx(0.025, rel=1e-3), pytest.approx(0.01, rel=1e-3))

    play(scene, schedules={"round.sdx": {"steps": [charge, skipped, discharge]}})


def test_a_schedule_that_goes_in_circles_without_time(play: Callable[..., None]) -> None:
    one = {"label": "a", "control": "rest", "limits": ["PV_CHAN_Step_Time >= 0 -> a"]}

    async def scene(host: Host) -> None:
        await host.run("circle.sdx")
        assert await host.status() == ERROR
        assert await host.stop() == 0
        assert await host.status() == IDLE

    play(scene, schedules={"circle.sdx": {"steps": [one]}})


def test_the_host_dies_and_the_cell_stays_inside(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.run(CURRENT, **{**LONG, "u2": 3.105})
        await host.stream.close()
        await host.clock.sleep(1000)
        assert not host.twin.output_on
        assert host.twin.charge == pytest.approx(0.5, abs=1e-3)
        assert await host.connect() == 1
        assert (await host.info())["exit"] == "PV_CHAN_Voltage>=MV_UD2"

    play(scene)


@pytest.mark.parametrize("after_s", [3.3, 12.0, 19.9])
def test_a_test_goes_on_from_a_snapshot(after_s: float) -> None:
    up = {"label": "up", "control": "current", "value": 1e-3, "limits": ["PV_CHAN_Step_Time >= 10"]}
    down = {"label": "down", "control": "current", "value": -2e-3, "limits": ["PV_CHAN_Step_Time >= 10"]}
    options: dict[str, Any] = {"schedules": {"two.sdx": {"steps": [up, down]}}}

    async def main(clock: Clock, broken: bool) -> tuple[float, float, str, float]:
        host = Host(clock, MemoryNetwork(), **options)
        await host.begin()
        await host.run("two.sdx")
        await host.clock.sleep(after_s)
        if broken:
            state, twin = json.loads(json.dumps(host.emulator.snapshot())), host.twin
            await host.end()
            host = Host(clock, MemoryNetwork(), **options)
            host.twin = host.emulator.twin = twin
            host.emulator.channel._twin = twin
            host.emulator.restore(state)
            await host.begin()
        await host.clock.sleep(30.0)
        found = await host.info()
        twin_charge, ended = host.twin.charge, (found["test_s"], found["exit"], found["discharge"])
        assert await host.start("test 1") == 35, "the name is used"
        await host.end()
        return (twin_charge, *ended)

    whole = run_virtual(lambda clock: main(clock, broken=False))
    parts = run_virtual(lambda clock: main(clock, broken=True))
    assert parts[0] == pytest.approx(whole[0], rel=1e-6)
    assert parts[1:] == (pytest.approx(whole[1]), whole[2], pytest.approx(whole[3]))


def test_looking_changes_nothing(play: Callable[..., None]) -> None:
    seen: list[tuple[float, float]] = []

    async def scene(host: Host, every_s: float) -> None:
        await host.run(CURRENT, **{**LONG, "u2": 3.102})
        found = await host.until(FINISHED, every_s)
        seen.append((found["test_s"], found["charge"]))

    play(lambda host: scene(host, 0.37))
    play(lambda host: scene(host, 200.0))
    assert seen[0] == pytest.approx(seen[1])
