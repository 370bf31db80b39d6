"""The OpenVnmrJ driver meets a console, prepares, and refuses what cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.base import AcquisitionOrder, Console, ConsoleActivity, Filed
from drivers.errors import NotReachable, Rejected, WrongInstrument

Play = Callable[..., None]

WHOLE = ["Started", "Acquired", "Filed"]


def test_it_is_a_console(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        assert isinstance(bench.driver, Console)
        assert bench.tap.out == []

    play(scenario)


def test_connect_only_asks(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        who = await bench.driver.connect()
        assert (who.model, who.serial) == ("OpenVnmrJ", "localhost")
        assert len(bench.tap.out) == 1
        assert bench.tap.out[0].startswith(b"expactive:$a")
        assert bench.tap.out[0].endswith(b"\0")
        assert (await bench.driver.read_state()).activity is ConsoleActivity.IDLE

    play(scenario)


def test_no_talk_file(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        with pytest.raises(NotReachable, match="listenon"):
            await bench.driver.connect()

    play(scenario, listening=False)


def test_a_stale_talk_file(play: Play, tmp_path: Path) -> None:
    async def scenario(bench: Any) -> None:
        (tmp_path / ".talk").write_text("localhost 12774 4711\n")
        with pytest.raises(NotReachable, match="58929"):
            await bench.driver.connect()

    play(scenario, listening=False)


def test_a_silent_foreground(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.console.answers = False
        with pytest.raises(NotReachable, match="no answer"):
            await bench.driver.connect()

    play(scenario)


def test_the_wrong_computer(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        with pytest.raises(WrongInstrument, match="localhost"):
            await bench.driver.connect()
        assert bench.tap.out == []

    play(scenario, identity="mercury200")


def test_a_data_station_has_no_console(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        bench.console.active = -1
        with pytest.raises(WrongInstrument, match="data station"):
            await bench.driver.connect()

    play(scenario)


def test_a_console_that_could_not_answer_is_not_asked(play: Play, tmp_path: Path) -> None:
    async def scenario(bench: Any) -> None:
        (tmp_path / ".talk").write_text("mercury200 12774 4711\n")
        with pytest.raises(NotReachable, match="listen_host"):
            await bench.driver.connect()

    play(scenario, listening=False)


def test_prepare_sets_and_reads_back(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        read = await bench.driver.prepare(replace(order, template={**order.template, "gain": 30, "pulse_us": 8.0}))
        assert read.parameters["np"] == 8
        assert (read.parameters["nt"], read.parameters["ss"], read.parameters["d1"], read.parameters["tn"]) == (4, 1, 1.0, "Li7")
        assert read.parameters["sfrq"] == pytest.approx(116.6 * (1 + 100e-6), abs=1e-8)
        assert read.deviations == {"pw": (8.0, 5.0)}
        sent = " ".join(bench.console.heard)
        assert "wexp='' werr=''" in sent
        assert "text('key-1')" in sent
        assert "pw=" not in sent
        assert all(len(command) < 1000 for command in bench.tap.out)

    play(scenario)


def test_pulses_only_inside_what_the_rig_unlocks(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        read = await bench.driver.prepare(replace(order, template={**order.template, "pulse_us": 8.0}))
        assert read.deviations == {}
        assert bench.console.parameters["pw"] == 8.0
        with pytest.raises(Rejected, match="outside"):
            await bench.driver.prepare(replace(order, template={**order.template, "pulse_us": 20.0}))

    play(scenario, unlock={"pulse_us": [1.0, 10.0]})


@pytest.mark.parametrize(
    "changes",
    [
        {"scans": 0},
        {"dummies": -1},
        {"recycle_s": float("nan")},
        {"nucleus": "Li"},
        {"key": "a b"},
        {"key": "../x"},
        {"template": {"points": 10**6}},
        {"template": {"np": 7}},
        {"template": {"sw": "wide"}},
        {"template": {"dataset": "/a'b"}},
    ],
)
def test_impossible_orders_move_nothing(play: Play, order: AcquisitionOrder, changes: dict[str, Any]) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        sent = len(bench.tap.out)
        with pytest.raises(Rejected):
            await bench.driver.prepare(replace(order, **changes))
        assert len(bench.tap.out) == sent

    play(scenario)


def test_a_second_process_finds_and_follows_the_scan(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(replace(order, scans=10))
        await bench.clock.sleep(2.0)
        await bench.driver.release()
        bench.driver = again = bench.another()
        bench.events.clear()
        await again.connect()
        state = await again.read_state()
        assert (state.activity, state.key) == (ConsoleActivity.ACQUIRING, "key-1")
        await again.start("key-1")
        collecting = asyncio.create_task(bench.collect())
        await bench.clock.sleep(20.0)
        assert bench.kinds() == WHOLE
        assert isinstance(bench.events[-1], Filed)
        assert sum("au" in command.split() for command in bench.console.heard) == 1
        await again.release()
        await collecting

    play(scenario)
