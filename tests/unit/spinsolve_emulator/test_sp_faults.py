"""Every fault switch, each seen from the client's side; a restart from a snapshot; real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spinsolve_client import LITHIUM, Client, Desk, parameters

from drivers.clock import Clock
from drivers.errors import NotReachable
from drivers.spinsolve.instrument.faults import NAMES
from drivers.transport.memory import MemoryNetwork
from drivers.transport.real import RealNetwork
from drivers.transport.virtual import run_virtual


def fault(name: str, **given: Any) -> dict[str, dict[str, dict[str, Any]]]:
    return {"faults": {name: given}}


def data_of(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


def test_completed_before_ready(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        folder = await client.run()
        assert client.story() == ["Running", "Completed", "Ready"]
        assert "data.1d" in data_of(folder)
        await client.run()

    play(scene, **fault("swap_ready_completed"))


def test_messages_in_one_piece(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        await client.run()
        assert max(read.count(b"<?xml") for read in client.reads) > 1
        assert client.story() == ["Running", "Ready", "Completed"]

    play(scene, **fault("glue_messages", seconds=3.0))


def test_messages_in_pieces(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        await client.run()
        assert len(client.reads) > 3 * len(client.raw)
        assert client.story() == ["Running", "Ready", "Completed"]

    play(scene, **fault("split_messages", pieces=5))


def test_no_progress(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        await client.run()
        assert client.told("Progress") == []

    play(scene, **fault("drop_progress"))


def test_ready_without_its_folder(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        assert await client.run() == ""
        (folder,) = desk.emulator.disk.root.iterdir()
        assert "data.1d" in data_of(str(folder))
        assert await client.run() != ""

    play(scene, **fault("empty_folder"))


def test_an_error_that_does_not_end_the_run(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        folder = await client.run()
        assert client.story() == ["Running", "Error", "Ready", "Completed"]
        assert (await client.notified("Completed")).get("successful") == "true"
        assert parameters(Path(folder))["nrScans"] == 4

    play(scene, **fault("error_while_running"))


def test_an_error_that_does(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        assert await client.run() == ""
        assert client.story() == ["Running", "Error", "Ready", "Completed"]
        assert (await client.notified("Completed")).get("successful") == "false"
        assert "data.1d" in data_of(await client.run())

    play(scene, **fault("run_fails"))


def test_a_wrong_clock(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        right = desk.emulator.program.local()
        desk.emulator.inject("clock_off", seconds=7200)
        assert (desk.emulator.program.local() - right).total_seconds() == pytest.approx(7200)
        folder = await client.run()
        assert parameters(Path(folder))["CurrentTime"].startswith(f"{desk.emulator.program.local():%Y-%m-%dT%H:%M}")

    play(scene)


def test_the_folder_appears_late(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        folder = await client.run()
        assert not Path(folder).exists()
        await desk.clock.sleep(4.9)
        assert not Path(folder).exists()
        await desk.clock.sleep(0.2)
        assert "data.1d" in data_of(folder)

    play(scene, **fault("folder_late"))


def test_the_connection_is_reset_in_the_middle_of_a_run(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        await client.start(Number="20")
        await client._task
        assert client.ended
        done = len(client.told("Progress"))
        assert 8 <= done <= 11
        with pytest.raises(NotReachable):
            await desk.connect()
        await desk.clock.sleep(3.1)
        again = await desk.connect()
        await again.notified("Completed", successful="true")
        assert int(again.told("Progress")[0][1].get("percentage", "0")) > 5 * done
        assert parameters(Path(str((await again.notified("State", status="Ready")).get("dataFolder"))))["nrScans"] == 20

    play(scene, **fault("connection_reset", seconds=3.0))


def test_the_connection_is_reset_at_once(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        desk.emulator.inject("connection_reset", at="now")
        await client._task
        await desk.clock.sleep(0.1)
        await (await desk.connect()).run()

    play(scene)


def test_a_second_client_is_refused_or_takes_over(play: Callable[..., None]) -> None:
    async def refused(desk: Desk, client: Client) -> None:
        second = await desk.connect()
        await second._task
        await client.run()

    async def takes_over(desk: Desk, client: Client) -> None:
        second = await desk.connect()
        await client._task
        await second.run()

    play(refused, **fault("second_client"))
    play(takes_over, **fault("second_client", does="takes over"))


def test_a_second_client_sets_and_starts(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        await client.send('<Set><UserData><Data key="k" value="mine"/></UserData></Set>')
        await client.ask("<GetRequest><UserData/></GetRequest>", "GetResponse")
        desk.emulator.inject("second_client", does="sets")
        found = await client.ask("<GetRequest><UserData/></GetRequest>", "GetResponse")
        assert {one.get("key") for one in found[0]} == {"operator"}
        desk.emulator.inject("second_client", does="starts")
        await client.notified("State", protocol="1D PROTON", status="Running")
        await client.start()
        await client.notified("Error", protocol=LITHIUM)
        await client.notified("Completed", protocol="1D PROTON")
        with pytest.raises(ValueError, match="there are: refused"):
            desk.emulator.inject("second_client", does="sleeps")

    play(scene)


def test_somebody_presses_a_button(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        await client.send('<Set><UserData><Data key="k" value="mine"/></UserData></Set>')
        await client.send("<Set><DataFolder><UserFolder>mine</UserFolder></DataFolder></Set>")
        await client.start()
        await client.notified("State", status="Running")
        desk.emulator.inject("foreign_run", seconds=30.0)
        await client.notified("Completed", protocol=LITHIUM)
        begin_ns = desk.clock.mono_ns()
        await client.notified("Completed", protocol="1D PROTON")
        assert (desk.clock.mono_ns() - begin_ns) / 1e9 == pytest.approx(30, abs=5)
        foreign = await client.notified("State", protocol="1D PROTON", status="Ready")
        assert parameters(Path(str(foreign.get("dataFolder"))))["userData"] == ""
        assert await client.run() == "mine"

    play(scene)


@pytest.mark.parametrize(("name", "seen"), [("start_ignored", []), ("busy", ["Error"])])
def test_start_that_does_not_start(play: Callable[..., None], name: str, seen: list[str]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        await client.start()
        await desk.clock.sleep(60)
        assert client.story() == seen
        await client.run()

    play(scene, **fault(name))


@pytest.mark.parametrize(("name", "seen"), [("drop_ready", ["Running", "Completed"]), ("drop_completed", ["Running", "Ready"])])
def test_an_end_that_is_never_told(play: Callable[..., None], name: str, seen: list[str]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        await client.start()
        await desk.clock.sleep(60)
        assert client.story() == seen
        await client.run()

    play(scene, **fault(name))


def test_silence(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        await client.start()
        await client.notified("State", status="Running")
        desk.emulator.inject("silent", for_s=20.0)
        before = len(client.raw)
        await client.send("<HardwareRequest/>")
        await desk.clock.sleep(19)
        assert len(client.raw) == before
        await client.notified("Completed")
        assert [one.tag for _, one in client.seen].count("HardwareResponse") == 1

    play(scene)


def test_a_closed_port_opens_again_and_the_run_goes_on(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        await client.start(Number="30")
        await client.notified("State", status="Running")
        desk.emulator.inject("port_closed", for_s=10.0)
        await client._task
        with pytest.raises(NotReachable):
            await desk.connect()
        await desk.clock.sleep(10.1)
        await (await desk.connect()).notified("Completed", successful="true")

    play(scene)


def test_the_program_crashes_and_its_run_with_it(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        await client.send('<Set><UserData><Data key="k" value="mine"/></UserData></Set>')
        await client.start(Number="30")
        await client.notified("State", status="Running")
        desk.emulator.inject("program_gone", seconds=60.0)
        await client._task
        await desk.clock.sleep(60.1)
        again = await desk.connect()
        assert len((await again.ask("<GetRequest><UserData/></GetRequest>", "GetResponse"))[0]) == 0
        await desk.clock.sleep(60)
        assert again.told() == []
        assert "data.1d" in data_of(await again.run())

    play(scene)


def test_a_magnet_that_is_not_connected(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        found = await client.ask("<HardwareRequest/>", "HardwareResponse")
        assert found.findtext("ConnectedToHardware") == "false"
        await client.start()
        await client.notified("Error")
        assert (await client.ask("<CheckShimRequest/>", "CheckShimResponse")).get("error")

    play(scene, **fault("hardware_off"))


def test_user_data_that_are_taken_and_forgotten(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        for value in ("1", "2"):
            await client.send(f'<Set><UserData><Data key="k" value="{value}"/></UserData></Set>')
        found = await client.ask("<GetRequest><UserData/></GetRequest>", "GetResponse")
        assert [one.get("value") for one in found[0]] == ["2"]

    play(scene, **fault("user_data_lost"))


def test_a_full_disk(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        short, whole = Path(await client.run()) / "data.1d", Path(await client.run()) / "data.1d"
        assert short.stat().st_size == whole.stat().st_size // 2

    play(scene, **fault("disk_full"))


def test_parameters_without_data(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        assert "data.1d" not in data_of(await client.run())
        assert "data.1d" in data_of(await client.run())

    play(scene, **fault("no_data"))


def test_scans_that_last_longer_than_asked(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        begin_ns = desk.clock.mono_ns()
        await client.run(Number="10")
        assert (desk.clock.mono_ns() - begin_ns) / 1e9 == pytest.approx(1 + 10 * 1.5 + 1)

    play(scene, **fault("slow"))


def test_another_nucleus_than_the_protocol_says(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        assert parameters(Path(await client.run()))["rxChannel"] == "23Na"
        assert parameters(Path(await client.run()))["rxChannel"] == "7Li"

    play(scene, **fault("wrong_nucleus", nucleus="23Na"))


@pytest.mark.parametrize("after_s", [0.05, 3.3, 6.5, 11.5])
def test_a_run_goes_on_from_a_snapshot(tmp_path: Path, after_s: float) -> None:
    """Half a run before the kill, the rest in another process; together what one process would have told."""

    async def before(clock: Clock) -> tuple[str, list[str]]:
        desk = Desk(clock, MemoryNetwork(), tmp_path, faults={"swap_ready_completed": {}, "folder_late": {"seconds": 3.0}})
        client = await desk.begin()
        await client.send('<Set><UserData><Data key="k" value="mine"/></UserData></Set>')
        await client.start(Number="9")
        await desk.clock.sleep(after_s)
        state = json.dumps(desk.emulator.snapshot())
        await desk.end()
        return state, [one.get("percentage", one.get("status", one.tag)) for _, one in client.told()]

    state, first = run_virtual(before)

    async def later(clock: Clock) -> list[str]:
        desk = Desk(clock, MemoryNetwork(), tmp_path)
        desk.emulator.restore(json.loads(state))
        client = await desk.begin()
        await desk.clock.sleep(30)
        found = await client.ask("<GetRequest><UserData/></GetRequest>", "GetResponse")
        assert [one.get("value") for one in found[0]] == ["mine"]
        await desk.end()
        return [one.get("percentage", one.get("status", one.tag)) for _, one in client.told()]

    rest = run_virtual(later, start_ns=10**15)
    assert first + rest == ["Running", *(str(100 * n // 9) for n in range(1, 10)), "Completed", "Ready"]
    (folder,) = (tmp_path / "data").iterdir()
    assert parameters(folder)["nrScans"] == 9


async def test_real_sockets(tmp_path: Path) -> None:
    desk = Desk(Clock(speed=50), RealNetwork(), tmp_path)
    client = await desk.begin()
    try:
        async with asyncio.timeout(30):
            await client.ask("<AvailableProtocolOptionsRequest/>", "AvailableProtocolOptionsResponse")
            assert "data.1d" in data_of(await client.run())
            assert client.story() == ["Running", "Ready", "Completed"]
    finally:
        await desk.end()


def test_every_fault_is_tried() -> None:
    here = Path(__file__)
    written = here.read_text() + here.with_name("test_sp_messages.py").read_text()
    assert [name for name in sorted(NAMES) if f'"{name}"' not in written] == []
