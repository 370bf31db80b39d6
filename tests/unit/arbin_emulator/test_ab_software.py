"""MITS Pro's console interface: frames, log-in, what a channel says of itself, result codes, the public client on a real socket."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from arbin_client import CHARGE, IDLE, INFO, REST, Host, assign_request, framed, info_request, set_request, start_request
from biologic_client import CapacitorTwin

from drivers.arbin.instrument.schedule import BadSchedule
from drivers.clock import Clock
from drivers.transport.real import RealNetwork

CURRENT, VOLTAGE, OPEN = "operando_current.sdx", "operando_voltage.sdx", "operando_rest.sdx"
LONG: dict[str, float] = {"u1": 1e-3, "u2": 4.2, "u3": 2.0, "u4": 1e6, "u5": 1.0, "u7": 4.3, "u8": 1.9, "u9": 0.01, "u10": 2.0}


def test_a_channel_info_is_where_the_reference_says(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        assert struct.unpack_from("<I", host.greeting, 8664)[0] == 8, "channels"
        assert host.greeting[28:44].rstrip(b"\0") == b"207855"
        found = await host.info()
        assert found["length"] == 1779 + 2
        assert (found["channel"], found["status"], found["test"], found["exit"]) == (2, IDLE, "", "N/A")
        assert found["voltage"] == pytest.approx(3.0)
        assert host.emulator.software.odd == []

    play(scene, channel=3)


def test_a_request_may_come_in_any_pieces_and_with_either_length(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        for byte in info_request(0)[:-1]:
            await host.stream.write(bytes([byte]))
        await host.stream.write(info_request(0)[-1:])
        found = await host._exactly(1781)
        assert struct.unpack_from("<I", found, 12)[0] == 0xEEBA0003
        assert host.emulator.software.odd == []
        short = framed(INFO, struct.pack("<hh", 0, 1), behind=False)
        assert struct.unpack_from("<I", await host.ask(short), 24)[0] == 0
        assert host.emulator.software.odd == ["EEAB0003 of 24 bytes, length 24"]

    play(scene)


def test_noise_and_wrong_checksums_are_not_answered(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        wrong = bytearray(info_request(0))
        wrong[-1] ^= 1
        for nonsense in (b"hello", bytes(wrong), framed(0x12345678, bytes(8)), info_request(99)):
            await host.stream.write(nonsense)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await host.stream.read()
        assert await host.status() == IDLE, "and what follows is heard"

    play(scene)


def test_nobody_is_obeyed_who_has_not_logged_in(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        assert await host.connect("wrong") == 2
        with pytest.raises(TimeoutError):
            await host.ask(info_request(0), 5)
        assert await host.connect() == 1
        host.emulator.inject("login_refused")
        assert await host.connect() == 2
        host.emulator.inject("logged_in_already")
        assert await host.connect() == 3
        assert await host.status() == IDLE

    play(scene, password="000000")


def test_what_each_request_is_answered_by(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        assert await host.stop() == 0, "where nothing runs"
        assert await host.start() == 21, "nothing assigned"
        assert await host.assign("") == 18
        assert await host.assign("elsewhere.sdx") == 19
        assert await host.assign(CURRENT, **{**LONG, "u1": float("nan")}) == 23
        assert await host.assign(CURRENT.upper(), barcode="cell 7", **LONG) == 0
        assert await host.tell(start_request(0, "")) == 35
        assert await host.tell(set_request(0, 52, 1e-4)) == 17, "nothing runs"
        assert await host.tell(start_request(20, "x")) == 16
        assert await host.start("night") == 0
        found = await host.info()
        assert (found["test"], found["barcode"], found["schedule"]) == ("night", "cell 7", CURRENT.upper())
        assert (found["status"], found["where"], found["exit"]) == (CHARGE, "[1] 1: Step_A, Current", "N/A")
        assert await host.start("another") == 18
        assert await host.assign(OPEN) == 20
        assert await host.tell(set_request(0, 99, 1e-4)) == 18
        assert await host.tell(set_request(0, 52, float("inf"))) == 16
        assert await host.stop() == 0
        assert await host.start("night") == 35, "a name is used once"
        assert await host.tell(assign_request(0, OPEN, {4: 10.0})) == 0

    play(scene, channel=1)


def test_somebody_elses_channel_and_a_second_cell(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        assert (await host.info(1))["status"] == REST
        assert (await host.info(1))["test"] == "guest-2"
        host.ch = 3
        await host.run(CURRENT, **LONG)
        await host.clock.sleep(10)
        assert (await host.info())["current"] == pytest.approx(1e-3)
        assert host.twin.drives == [("open", pytest.approx(0.0), 0.0)]

    play(scene, busy=[2], cells={4: CapacitorTwin(Clock())})


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": []},
        {"steps": [{"label": "A", "control": "current", "limits": ["PV_CHAN_Step_Time >= 1"]}]},
        {"steps": [{"label": "A", "control": "rest", "limits": []}]},
        {"steps": [{"label": "A", "control": "rest", "limits": ["PV_CHAN_Smell >= 1"]}]},
        {"steps": [{"label": "A", "control": "rest", "limits": ["PV_CHAN_Step_Time >= soon"]}]},
        {"steps": [{"label": "A", "control": "rest", "limits": ["PV_CHAN_Step_Time >= 1 -> B"]}]},
        {"steps": [{"label": "A", "control": "rest", "limits": ["PV_CHAN_Step_Time >= 1"]}], "safety": {"PV_CHAN_Voltage": [1]}},
    ],
)
def test_schedules_that_cannot_be_run(play: Callable[..., None], wrong: dict[str, Any]) -> None:
    with pytest.raises(BadSchedule, match="wrong"):
        play(None, schedules={"wrong.sdx": wrong})


async def test_the_public_client_runs_a_test(tmp_path: Path) -> None:
    from pyctiarbin import ChannelInterface

    env = tmp_path / "env"
    env.write_text("ARBIN_CTI_USERNAME=admin\nARBIN_CTI_PASSWORD=000000\n")
    rest = {"label": "Step_A", "control": "rest", "limits": ["PV_CHAN_Step_Time >= 1"]}
    push = {"label": "Step_B", "control": "current", "value": "MV_UD1", "limits": ["PV_CHAN_Step_Time >= 100"]}
    host = Host(Clock(100.0), RealNetwork(), schedules={"two.sdx": {"steps": [rest, push]}})
    await host.begin()
    config = {"channel": 1, "test_name": "night", "schedule_name": "two.sdx", "ip_address": "127.0.0.1", "port": host.port}
    try:
        client = await asyncio.to_thread(ChannelInterface, config, str(env))
        assert client.get_num_channels() == 8
        assert await asyncio.to_thread(client.start_test)
        while (found := await asyncio.to_thread(client.read_channel_status))["status"] != "Charge":
            assert found["status"] == "Rest"
        assert found["testname"] == "night"
        assert found["step_and_cycle_format"] == "[1] 2: Step_B, Current"
        assert found["current_a"] == 1.0, "what that client sends as MV_UD1"
        assert await asyncio.to_thread(client.set_meta_variable, 1, -2e-3)
        found = await asyncio.to_thread(client.read_channel_status)
        assert (found["status"], found["current_a"]) == ("Discharge", pytest.approx(-2e-3))
        assert await asyncio.to_thread(client.stop_test)
        assert (await asyncio.to_thread(client.read_channel_status))["status"] == "Idle"
        assert host.emulator.software.odd == []
        assert not host.emulator.driven
        client._CyclerInterface__sock.close()  # that client never does
    finally:
        await host.end()
