"""The emulated TopSpin goes on from plain data, in another process as it were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from wire_taps import Silence

from drivers.base import Context, Settings
from drivers.registry import factory, fault_names, make_emulator
from drivers.topspin.emulator import TopSpinEmulator
from drivers.topspin.faults import NAMES
from drivers.transport.memory import MemoryNetwork
from drivers.transport.virtual import run_virtual


def test_it_is_found_by_name(tmp_path: Path) -> None:
    assert factory("emulators", "topspin") is TopSpinEmulator
    assert fault_names("emulators", "topspin") == NAMES


def test_a_scan_goes_on_after_the_other_side_has_died(desk: Any) -> None:
    """Snapshot in the middle of a scan; restored later and elsewhere in time it ends when it would have, with the same data."""

    async def whole(clock: Any) -> tuple[bytes, str]:
        async with desk(clock) as here:
            path = await here.acquired(await here.caller(), NS="64", expno=7)
            return (path / "fid").read_bytes(), (path / "audita.txt").read_text()

    async def first(clock: Any) -> tuple[str, int]:
        async with desk(clock) as here:
            agent = await here.caller()
            await here.clone(agent, NS="64", expno=8)
            await agent.call("XCMD", "zg", 0)
            here.emulator.inject("slow", after_s=100.0)
            here.emulator.inject("automation")
            await clock.sleep(10)
            return json.dumps(here.emulator.snapshot()), clock.mono_ns()

    async def second(clock: Any, state: Any) -> tuple[Path, Any]:
        async with desk(clock, restored=json.loads(state)) as here:
            assert here.emulator.port == json.loads(state)["port"]
            running = here.emulator.topspin.server.active
            assert running is not None
            await here.emulator.topspin.server.ended(running.number)
            assert "automation" in here.emulator.faults.on
            agent = await here.caller()
            assert await agent.call("CURDATA")
            assert "slow" not in here.emulator.faults
            await clock.sleep(100)
            assert "slow" in here.emulator.faults
            return here.path(8), here.twin.scans

    fid, audit = run_virtual(whole)
    state, at_ns = run_virtual(first)
    path, scans = run_virtual(lambda clock: second(clock, state), start_ns=at_ns, epoch_utc_ns=1_700_000_000_000_000_000 + at_ns)
    assert (path / "fid").read_bytes() == fid
    ended = [line for line in audit.splitlines() if line.startswith("(   1")]
    assert [line for line in (path / "audita.txt").read_text().splitlines() if line.startswith("(   1")] == ended
    assert scans[-1].scans == 64


def test_what_was_halted_or_comes_late_is_filed_after_the_other_side_has_died(desk: Any) -> None:
    async def first(clock: Any) -> tuple[Any, int]:
        async with desk(clock, write_s=5.0) as here:
            agent = await here.caller()
            await here.clone(agent, expno=1)
            here.emulator.inject("files_late", seconds=60)
            await agent.call("XCMD", "zg")
            here.emulator.clear("files_late")
            await here.clone(agent, NS="1000", expno=2)
            await agent.call("XCMD", "zg", 0)
            await clock.sleep(20)
            await agent.call("XCMD", "halt", 0)
            await clock.sleep(1)
            assert not (here.path(1) / "acqus").exists()
            assert not (here.path(2) / "acqus").exists()
            return here.emulator.snapshot(), clock.mono_ns()

    async def second(clock: Any, state: Any) -> None:
        async with desk(clock, restored=state, write_s=5.0) as here:
            await clock.sleep(60)
            agent = await here.caller()
            for expno, scans in ((1, range(4, 5)), (2, range(25, 40))):
                await agent.call("RE", here.target(expno))
                assert int(await agent.call("GETPARSTAT", "NS")) in scans

    state, at_ns = run_virtual(first)
    run_virtual(lambda clock: second(clock, json.loads(json.dumps(state))), start_ns=at_ns)


def test_a_port_that_was_closed_stays_closed(desk: Any) -> None:
    async def first(clock: Any) -> dict[str, Any]:
        async with desk(clock) as here:
            here.emulator.inject("agent_gone")
            await clock.sleep(1)
            return dict(here.emulator.snapshot())

    async def second(clock: Any, state: Any) -> None:
        async with desk(clock, restored=state) as here:
            await clock.sleep(1)
            assert here.emulator.script is None
            here.emulator.clear("agent_gone")
            await clock.sleep(1)
            assert await (await here.caller()).call("CURDATA")

    state = run_virtual(first)
    run_virtual(lambda clock: second(clock, state))


def test_a_temporary_folder_goes_with_it(tmp_path: Path) -> None:
    async def main(clock: Any) -> Path:
        from drivers.registry import factory

        twin = factory("twins", "twin")({}, seed=1, t0_mono_ns=clock.mono_ns())
        agent = str(Path(__file__).parent / "remote_agent.py")

        settings = Settings("console", "topspin", "", options={"agent": agent, "folder": ""})
        emulator = make_emulator(settings, Context(clock, MemoryNetwork(), Silence(), twin))
        await emulator.start()
        folder: Path = emulator.folder
        assert (folder / "nmr" / "templates" / "23Na_900ppm" / "1" / "acqu").exists()
        await emulator.stop()
        return folder

    assert not run_virtual(main).exists()
