"""The software in front of the cycler: shapes of captured answers, quirks, every fault switch, a restart, real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from neware_client import HEAD, TERMINATOR, Host, step_file

from drivers.clock import Clock
from drivers.errors import NotReachable
from drivers.neware.instrument.faults import NAMES
from drivers.transport.memory import MemoryNetwork
from drivers.transport.real import RealNetwork
from drivers.transport.virtual import run_virtual

REST, CC = 4, 1
LONG = step_file((CC, {"Curr": 1.0, "Time": 1e6}))


def shape(text: bytes) -> Any:
    """Elements with the names of their attributes, in order; of rows the first."""

    def of(one: ET.Element) -> Any:
        seen: dict[str, Any] = {}
        for child in one:
            seen.setdefault(child.tag, of(child))
        return list(one.attrib), seen

    return of(ET.fromstring(text))


@pytest.fixture
def captured(repository: Path) -> dict[str, dict[str, str]]:
    return dict(json.loads((repository / "tests/golden/neware/captured.json").read_text("utf-8")))


def test_answers_have_the_shape_of_captured_ones(play: Callable[..., None], captured: dict[str, dict[str, str]]) -> None:
    async def scene(host: Host) -> None:
        async def check(name: str, request: str = "") -> None:
            sent = captured["requests"][request or name].replace("PATH", str(host.emulator.software.disk.root / "s.xml"))
            found, expected = await host.raw(sent), captured["answers"][name].encode()
            assert shape(found) == shape(expected), name
            assert found.split(b"\r\n")[:3] == expected.split(b"\r\n")[:3], name

        (host.emulator.software.disk.root / "s.xml").write_text(step_file((REST, {"Time": 5e3}), (CC, {"Curr": 1.0, "Time": 1e5})))
        for name in ("connect", "getdevinfo", "getchlstatus", "inquire", "light", "clearflag", "inquiredf", "download_nothing"):
            await check(name)
        await check("start")
        await host.clock.sleep(20)
        await check("inquire_working", "inquire")
        await check("start_refused", "start")
        await check("stop")
        for name in ("download", "downloadlog", "downloadStepLayer"):
            await check(name)

    play(scene)


def test_which_channels_there_are(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.start(LONG)
        found = (await host.ask("<cmd>getdevinfo</cmd>")).findall("middle/channel")
        assert len(found) == 16
        assert [(one.get("subdevid"), one.get("Channelid"), one.text) for one in found[:3]] == [
            ("1", "1", "false"),
            ("1", "2", "false"),
            ("1", "3", "true"),
        ]

    play(scene, busy=["1-2"])


def test_the_sub_device_that_is_wrongly_1(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.start(LONG)
        assert await host.status() == "working"
        assert b'subdevid="1" chlid="5"' in host.text
        assert (await host.counted())["subdevid"] == "2"
        host.emulator.inject("wrong_channel")
        assert (await host.counted())["subdevid"] == "1"

    play(scene, channel="2-5")


def test_a_wrong_password(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        assert await host.connect("wrong") == "false"
        assert await host.connect() == "ok"
        host.emulator.inject("connect_refused")
        assert [await host.connect(), await host.connect()] == ["false", "ok"]

    play(scene)


def test_what_is_no_request(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        for text in ("nonsense", "<bts></bts>", "<!DOCTYPE x><bts><cmd>getdevinfo</cmd></bts>"):
            await host.stream.write((text + TERMINATOR).encode())
        assert (await host.ask("<cmd>goto</cmd>")).findtext("result") == "false"
        for byte in (HEAD + "<cmd>getdevinfo</cmd></bts>").encode():
            await host.stream.write(bytes([byte]))
        assert (await host.raw("")).count(b"<channel ") == 16

    play(scene)


def test_a_flag_is_cleared(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.start(LONG)
        await host.clock.sleep(3)
        host.emulator.inject("protected")
        assert await host.status() == "protect"
        assert not host.twin.output_on
        cleared = f'<cmd>clearflag</cmd><list count = "1"><clearflag {host.where()}>true</clearflag></list>'
        assert [(await host.ask(cleared)).findtext("list/clearflag") for _ in range(2)] == ["ok", "false"]

    play(scene)


# ---------------------------------------------------------------------------------------------------------------- faults


def test_silence_and_the_test_goes_on(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.start(LONG)
        host.emulator.inject("silent", for_s=60.0)
        with pytest.raises(TimeoutError):
            await host.raw(HEAD + "<cmd>getdevinfo</cmd></bts>", within_s=10)
        await host.clock.sleep(55)
        await host.stream.read()
        assert await host.status() == "working"
        assert host.twin.output_on

    play(scene)


def test_late_cut_half_and_garbled_answers(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        begin_ns = host.clock.mono_ns()
        host.emulator.inject("slow")
        await host.status()
        assert (host.clock.mono_ns() - begin_ns) / 1e9 == pytest.approx(2.0)
        host.emulator.clear("slow")
        host.emulator.inject("split_messages", pieces=6)
        host.reads.clear()
        assert await host.status() == "finish"
        assert len(host.reads) > 4
        assert host.reads[-1] == b"\r\n", "cut inside the terminator"
        host.emulator.clear("split_messages")
        host.emulator.inject("garbage")
        assert b"bts" not in await host.raw(HEAD + "<cmd>getdevinfo</cmd></bts>")
        host.emulator.inject("half_answer")
        with pytest.raises(TimeoutError):
            await host.raw(HEAD + "<cmd>getdevinfo</cmd></bts>", within_s=10)

    play(scene)


def test_the_software_ends_and_the_cycler_runs_on(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.start(LONG)
        host.emulator.inject("bts_gone", seconds=30.0)
        assert await host.stream.read() == b""
        with pytest.raises(NotReachable):
            await host.connect()
        assert host.twin.output_on
        await host.clock.sleep(30.1)
        assert await host.connect() == "ok"
        assert len(await host.download()) >= 30

    play(scene)


def test_no_devices(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("no_devices")
        assert (await host.ask("<cmd>getdevinfo</cmd>")).findall("middle/channel") == []

    play(scene)


def test_starts_and_stops_that_are_not(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("start_refused")
        assert await host.start(LONG) == "false"
        host.emulator.inject("start_ignored")
        assert await host.start(LONG) == "ok"
        assert await host.status() == "finish"
        assert await host.start(LONG) == "ok"
        host.emulator.inject("stop_refused")
        assert await host.stop() == "false"
        host.emulator.inject("stop_deaf")
        assert await host.stop() == "ok"
        assert host.twin.output_on
        assert await host.stop() == "ok"
        assert not host.twin.output_on

    play(scene)


def test_somebody_pauses_and_resumes(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.start(step_file((CC, {"Curr": 1.0, "Time": 20e3})))
        await host.clock.sleep(5)
        host.emulator.inject("paused", for_s=100.0)
        assert await host.status() == "pause"
        assert not host.twin.output_on
        assert await host.start(LONG) == "false"
        await host.clock.sleep(99.9)
        await host.until("finish")
        assert host.twin.charge == pytest.approx(0.02, rel=0.01)

    play(scene)


def test_somebody_else_takes_the_channel(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.start(step_file((CC, {"Curr": 1.0, "Time": 5e3})))
        host.emulator.inject("foreign_run", seconds=50.0)
        assert (await host.inquire())["barcode"] == "cell"
        await host.clock.sleep(10)
        found = await host.inquire()
        assert (found["barcode"], found["workstatus"], found["step_type"]) == ("guest", "working", "rest")
        assert (await host.counted())["testid"] == "144"
        await host.until("finish")

    play(scene)


def test_power_is_lost(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.start(LONG)
        await host.clock.sleep(5)
        host.emulator.inject("power_lost")
        assert await host.status() == "stop"
        assert not host.twin.output_on

    play(scene)


def test_old_news(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.start(step_file((CC, {"Curr": 1.0, "Time": 20e3})))
        await host.clock.sleep(5)
        before, _ = await host.inquire(), await host.status()
        host.emulator.inject("stale")
        host.emulator.inject("rows_late", seconds=8.0)
        await host.clock.sleep(10)
        assert await host.inquire() == before
        assert int((await host.counted())["count"]) == pytest.approx(8, abs=1)
        await host.clock.sleep(20)
        assert await host.status() == "working"
        host.emulator.clear("stale")
        assert await host.status() == "finish"

    play(scene)


def test_a_lost_reference_trips_the_protection(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.start(step_file((CC, {"Curr": 1.0, "Time": 1e6}), protect='<Volt><Upper Value="42000"/></Volt>'))
        await host.clock.sleep(5)
        host.emulator.inject("voltage_jump")
        await host.clock.sleep(1.1)
        assert await host.status() == "protect"
        assert float((await host.inquire())["voltage"]) == pytest.approx(8.0, abs=0.01)

    play(scene)


def test_the_clock_of_the_pc(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.start(LONG)
        await host.clock.sleep(5)
        right = (await host.download())[0]["atime"]
        host.emulator.inject("clock_off", seconds=7200.0)
        wrong = (await host.download())[0]["atime"]
        assert (int(wrong[11:13]) - int(right[11:13])) % 24 == 2

    play(scene, zone="Europe/Zurich")


def test_a_cycler_whose_clock_is_fast_ends_its_step_sooner(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("clock_skew", ppm=50_000.0)
        await host.start(step_file((REST, {"Time": 21e3})))
        await host.clock.sleep(19.9)
        assert await host.status() == "working"
        await host.clock.sleep(0.2)
        assert await host.status() == "finish"
        rows = await host.download()
        assert [int(row["testtime"]) for row in rows[-2:]] == pytest.approx([20_000, 21_000], abs=1001)

    play(scene)


def test_readings_that_are_no_numbers(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.start(LONG)
        await host.clock.sleep(3)
        host.emulator.inject("not_a_number")
        assert (await host.inquire())["voltage"] == "nan"
        assert {(row["volt"], row["curr"]) for row in await host.download()} == {("nan", "nan")}
        host.emulator.clear("not_a_number")
        assert float((await host.inquire())["voltage"]) > 0

    play(scene)


@pytest.mark.parametrize("after_s", [3.5, 12.0, 23.3])
def test_a_test_goes_on_from_a_snapshot(tmp_path: Path, after_s: float) -> None:
    steps = (
        (REST, {"Time": 5e3}),
        (CC, {"Curr": 1.0, "Time": 5e3}),
        (2, {"Curr": 1.0, "Time": 5e3}),
        (5, {"Start_Step": 2, "Cycle_Count": 2}),
    )

    def times(rows: list[dict[str, str]]) -> list[tuple[str, str, int]]:
        return [(row["stepid"], row["cycleid"], int(row["testtime"])) for row in rows]

    async def whole(clock: Clock) -> list[tuple[str, str, int]]:
        host = Host(clock, MemoryNetwork(), tmp_path)
        await host.begin()
        await host.start(step_file(*steps))
        await host.until("finish")
        rows = times(await host.download())
        await host.end()
        return rows

    async def before(clock: Clock) -> tuple[str, Any, float]:
        host = Host(clock, MemoryNetwork(), tmp_path)
        await host.begin()
        await host.start(step_file(*steps))
        await host.clock.sleep(after_s)
        state = json.dumps(host.emulator.snapshot(), allow_nan=False)
        await host.end()
        return state, host.twin, (clock.mono_ns() - host.twin.t0_mono_ns) / 1e9

    expected = run_virtual(whole)
    state, twin, at_s = run_virtual(before)

    async def later(clock: Clock) -> list[tuple[str, str, int]]:
        host = Host(clock, MemoryNetwork(), tmp_path)
        host.twin.__dict__ |= twin.__dict__
        host.twin.t0_mono_ns = clock.mono_ns() - round(at_s * 1e9)
        host.emulator.restore(json.loads(state))
        await host.begin()
        await host.until("finish")
        rows = times(await host.download())
        await host.end()
        return rows

    found = run_virtual(later, start_ns=10**15)
    assert [row[:2] for row in found] == [row[:2] for row in expected]
    assert [row[2] for row in found] == pytest.approx([row[2] for row in expected], abs=2)


async def test_real_sockets(tmp_path: Path) -> None:
    host = Host(Clock(speed=20), RealNetwork(), tmp_path)
    await host.begin()
    try:
        async with asyncio.timeout(30):
            assert await host.start(step_file((REST, {"Time": 3e3}))) == "ok"
            await host.until("finish", 0.5)
            assert len(await host.download()) >= 4
    finally:
        await host.end()


def test_every_fault_is_tried() -> None:
    written = Path(__file__).read_text()
    assert [name for name in sorted(NAMES) if f'"{name}"' not in written] == []
