"""The driver against a played console: connecting, preparing, an ordinary acquisition, stopping."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.base import Acquired, AcquisitionOrder, Console, ConsoleActivity, Progress
from drivers.errors import NotReachable, NotSupported, Rejected, WrongInstrument
from drivers.spinsolve import wire
from drivers.spinsolve.protocols import BeyondProtocol

Play = Callable[..., None]
WHOLE = ["Started", "Acquired", "Filed"]


def test_connect_only_asks(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        assert isinstance(bench.driver, Console)
        assert bench.tap.out == []
        who = await bench.driver.connect()
        assert (who.vendor, who.model, who.serial, who.firmware) == ("Magritek", "Spinsolve 80", "SPA1234", "1.18.1.3062")
        assert bench.console.heard == ["<HardwareRequest />", "<GetRequest><UserData /></GetRequest>"]
        assert (await bench.driver.read_state()).activity is ConsoleActivity.IDLE
        assert await bench.driver.read_clock() is None

    play(scenario)


@pytest.mark.parametrize("identity", ["SPA1234", "Spinsolve 80"])
def test_the_right_identity(play: Play, identity: str) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()

    play(scenario, identity=identity)


def test_the_wrong_identity(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        with pytest.raises(WrongInstrument, match="Spinsolve 80 SPA1234"):
            await bench.driver.connect()
        assert bench.console.heard == ["<HardwareRequest />"]

    play(scenario, identity="SPA9", leave_folder="C:\\theirs")


def test_no_spectrometer_behind_it(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        with pytest.raises(NotReachable, match="no spectrometer"):
            await bench.driver.connect()

    play(scenario, console={"connected": False})


def test_nobody_answers(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        with pytest.raises(NotReachable, match="enable remote control"):
            await bench.driver.connect()

    play(scenario, console={"answers": False})


def test_another_program_answers(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        async def greet(_: str) -> None:
            await bench.console.streams[0].write(b"SSH-2.0-OpenSSH_9.2\r\n")

        bench.console.obey = greet
        with pytest.raises(WrongInstrument, match="SSH"):
            await bench.driver.connect()

    play(scenario)


@pytest.mark.parametrize("profile", ["xsd", "real"])
def test_one_acquisition(play: Play, order: AcquisitionOrder, profile: str) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        back = await bench.driver.prepare(order)
        assert back.deviations == {}
        assert back.parameters == {
            "protocol": "1D LITHIUM+",
            "Number": "4",
            "AcquisitionTime": "0.4",
            "RepetitionTime": "1",
            "PulseAngle": "90",
            "estimated_s": 4.0,
        }
        await bench.driver.start("key-1")
        await bench.driver.start("key-1")
        state = await bench.driver.read_state()
        assert (state.activity, state.key, state.block) == (ConsoleActivity.ACQUIRING, "key-1", 0)
        await bench.clock.sleep(20.0)
        assert bench.kinds() == WHOLE
        assert [one.scans_done for one in bench.events if isinstance(one, Progress)] == [1, 2, 3, 4]
        assert bench.last().path == r"D:\opnmr\2023\11\14\000001 1D LITHIUM+"
        assert bench.console.runs == 1
        fetched = await bench.driver.fetch("key-1")
        assert fetched.fid.data.tolist() == [1 + 2j, 3 - 4j, -5 + 6j]
        assert fetched.fid.scans == 4
        assert not fetched.partial
        assert fetched.times.stamps == {
            "CurrentTime": "2023-11-14T22:13:20.123456",
            "State Running": "22:13:20",
            "State Ready": "22:13:20",
            "Completed": "22:13:20",
        }
        assert "opnmr_key=key-1;opnmr_block=0;opnmr_scans=4" in fetched.parameters["userData"]

    play(scenario, console={"profile": profile})


def test_the_key_stands_in_the_console_only_while_ours_runs(play: Play, order: AcquisitionOrder) -> None:
    """What a person measures meanwhile never carries it."""

    async def scenario(bench: Any) -> None:
        bench.console.user_data["operator"] = "Anna"
        await bench.driver.connect()
        await bench.driver.prepare(order)
        assert bench.console.user_data == {"operator": "Anna"}
        await bench.driver.start("key-1")
        assert bench.console.user_data["opnmr_key"] == "key-1"
        await bench.clock.sleep(20.0)
        assert bench.console.user_data == {"operator": "Anna"}

    play(scenario)


def test_a_key_that_the_console_does_not_take(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.driver.prepare(order)
        with pytest.raises(Rejected, match="does not take our key"):
            await bench.driver.start("key-1")
        assert bench.console.runs == 0
        assert bench.kinds() == []

    play(scenario, console={"takes_key": False})


def test_documents_in_small_pieces(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(order)
        await bench.clock.sleep(20.0)
        assert bench.kinds() == WHOLE

    play(scenario, console={"pieces": 7})


def test_menus_one_by_one(play: Play, order: AcquisitionOrder) -> None:
    """A console that does not answer the great request."""

    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        assert (await bench.driver.prepare(order)).parameters["protocol"] == "1D LITHIUM+"
        asked = [body for body in bench.console.heard if body.startswith("<AvailableOptions")]
        assert asked == ['<AvailableOptionsRequest protocol="1D LITHIUM+" />']
        assert "LinkLost" not in bench.kinds()

    play(scenario, console={"whole_offer": False})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recycle_s": 0.1}, "repeats no faster than 1 s; 0.5 s was asked"),
        ({"template": {"acquisition_time_s": 0.085}}, "digitises a scan for no less than 0.4 s; 0.085 s was asked"),
        ({"recycle_s": 500.0}, "RepetitionTime is at most 120 s"),
        ({"scans": 100_000}, "makes 1 to 1024 scans"),
        ({"template": {"acquisition_time_s": 0.4, "pulse_angle_deg": 12}}, "PulseAngle is one of 30, 45, 60, 90"),
        ({"recycle_s": 1.0, "template": {"options": {"Power": 3}}}, "has no option Power"),
        ({"template": {"protocol": "1D PROTON"}}, "has no option Number"),
    ],
)
def test_what_its_protocols_cannot_do_has_a_name(play: Play, order: AcquisitionOrder, changes: dict[str, Any], said: str) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        with pytest.raises(BeyondProtocol, match=said) as refused:
            await bench.driver.prepare(replace(order, **changes))
        if "no faster" in said:
            assert "metal" in refused.value.advice
        with pytest.raises(Rejected, match="not prepared"):
            await bench.driver.start("key-1")
        assert not any("Estimate" in body for body in bench.console.heard)

    play(scenario)


def test_what_the_console_estimates_otherwise(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        with pytest.raises(Rejected, match="4 scans asked, the console says 8"):
            await bench.driver.prepare(order)
        bench.console.rounds_to, bench.console.estimate_error = "", "not with this sample"
        with pytest.raises(Rejected, match="not with this sample"):
            await bench.driver.prepare(order)

    play(scenario, console={"rounds_to": "8"})


def test_deviations_are_told(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        back = await bench.driver.prepare(replace(order, template={"acquisition_time_s": 0.5}, recycle_s=2.0, dummies=4))
        assert back.deviations == {"acquisition_time_s": (0.5, 0.8), "repetition_s": (2.8, 4.0), "dummies": (4, 0)}

    play(scenario)


def test_an_unknown_nucleus(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        with pytest.raises(Rejected, match="no protocol for 299Xx"):
            await bench.driver.prepare(replace(order, nucleus="299Xx"))

    play(scenario)


def test_a_share_that_is_not_mounted(play: Play, order: AcquisitionOrder, tmp_path: Path) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        with pytest.raises(Rejected, match="is not there"):
            await bench.driver.prepare(order)

    play(scenario, path_map={"D:\\": "nowhere"})


def test_no_data_root(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        with pytest.raises(Rejected, match="where the console shall save"):
            await bench.driver.prepare(order)

    play(scenario, data_root="")


def test_blocks_have_folders_of_their_own(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.driver.prepare(replace(order, blocks=2))
        for block in range(2):
            await bench.driver.start("key-1", block)
            await bench.clock.sleep(20.0)
        assert bench.kinds() == WHOLE * 2
        names = [(await bench.driver.fetch("key-1", block)).files[0].path.parent.name for block in range(2)]
        assert names == ["000001 1D LITHIUM+", "000002 1D LITHIUM+"]

    play(scenario)


def test_halt_keeps(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(replace(order, scans=1024, deadline_s=3600.0))
        await bench.clock.sleep(10.2)
        await bench.driver.halt("key-1")
        await bench.clock.sleep(20.0)
        assert bench.kinds() == WHOLE
        fetched = await bench.driver.fetch("key-1")
        assert (fetched.fid.scans, fetched.partial) == (11, True)
        assert fetched.times.stamps["State Stopping"] == "22:13:20"

    play(scenario, console={"completed": "false"})


def test_another_process_knows_that_it_is_partial(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(replace(order, scans=1024, deadline_s=3600.0))
        await bench.clock.sleep(3.2)
        await bench.driver.halt("key-1")
        await bench.clock.sleep(20.0)
        again = bench.another()
        await again.connect()
        assert (await again.fetch("key-1")).partial
        await again.release()

    play(scenario)


@pytest.mark.parametrize("verb", ["abort", "make_safe"])
def test_abort_discards(play: Play, order: AcquisitionOrder, verb: str) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(replace(order, scans=1024, deadline_s=3600.0))
        await bench.clock.sleep(3.2)
        if verb == "abort":
            await bench.driver.abort("key-1")
        else:
            assert (await bench.driver.make_safe()).confirmed
        await bench.clock.sleep(20.0)
        assert bench.kinds() == ["Started", "Failed"]
        assert bench.last().why == "aborted"
        with pytest.raises(Rejected):
            await bench.driver.fetch("key-1")
        with pytest.raises(Rejected):
            await bench.another().fetch("key-1")
        await bench.acquire(replace(order, key="key-2"))
        await bench.clock.sleep(20.0)
        assert bench.kinds()[2:] == WHOLE

    play(scenario)


def test_make_safe_says_when_a_long_scan_keeps_it_waiting(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(replace(order, recycle_s=119.6, deadline_s=3600.0))
        await bench.clock.sleep(3.0)
        before_ns = bench.clock.mono_ns()
        safe = await bench.driver.make_safe()
        assert not safe.confirmed
        assert "120 s" in safe.detail
        assert (bench.clock.mono_ns() - before_ns) / 1e9 < bench.driver.capabilities.make_safe_s
        await bench.clock.sleep(130.0)
        assert bench.kinds() == ["Started", "Failed"]

    play(scenario)


def test_what_is_not_running_cannot_be_stopped(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        for verb in (bench.driver.halt, bench.driver.abort):
            with pytest.raises(Rejected, match="not running"):
                await verb("key-1")
        with pytest.raises(NotSupported):
            await bench.driver.look("key-1")
        with pytest.raises(Rejected, match="no data"):
            await bench.driver.fetch("key-1")
        assert (await bench.driver.make_safe()).confirmed
        assert not any("Abort" in body for body in bench.console.heard)

    play(scenario)


def test_a_deadline_ends_with_what_there_is(play: Play, order: AcquisitionOrder) -> None:
    """The scans take longer than anybody thought: Abort, and what was scanned is kept."""

    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.driver.prepare(order)
        slow = bench.console.scan
        bench.console.scan = lambda protocol, scans, _: slow(protocol, 1024, 2.0)
        await bench.driver.start("key-1")
        await bench.clock.sleep(58.0)
        assert "Abort" not in str(bench.console.heard)
        await bench.clock.sleep(20.0)
        assert bench.kinds() == WHOLE
        assert bench.console.heard.count("<Abort />") == 1

    play(scenario)


def test_a_deadline_that_nothing_helps(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.driver.prepare(order)
        slow = bench.console.scan
        bench.console.scan = lambda protocol, scans, _: slow(protocol, 4, 5000.0)
        await bench.driver.start("key-1")
        await bench.clock.sleep(150.0)
        assert bench.kinds() == ["Started", "Failed"]
        assert "Abort did not help" in bench.last().why

    play(scenario)


def test_the_folder_that_is_left_behind(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(order)
        await bench.clock.sleep(20.0)
        assert bench.console.root == "D:\\opnmr"
        await bench.driver.release()
        await asyncio.sleep(0.1)
        assert bench.console.root == "C:\\theirs"

    play(scenario, leave_folder="C:\\theirs")


def test_acquired_when_the_scans_are_over_and_not_when_they_are_filed(play: Play, order: AcquisitionOrder) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire(order)
        began_ns = bench.clock.mono_ns()
        await bench.clock.sleep(20.0)
        acquired = next(one for one in bench.events if isinstance(one, Acquired))
        assert (acquired.mono_ns - began_ns) / 1e9 == pytest.approx(4.0, abs=0.01)
        assert (acquired.half_width_ns, acquired.scans_done) == (0, 4)
        assert (bench.last().mono_ns - began_ns) / 1e9 >= 9.0

    play(scenario, console={"saves_after_s": 5.0})


def test_the_time_of_day_that_it_says_is_its_clock(play: Play) -> None:
    async def scenario(bench: Any) -> None:
        await bench.driver.connect()
        await bench.acquire()
        sample = await bench.driver.read_clock()
        assert sample is not None
        assert sample.half_width_ns == 500_000_000
        assert abs(sample.device_ns - bench.clock.utc_of(sample.mono_ns)) <= 12 * 3600 * 10**9

    play(scenario)


@pytest.mark.parametrize(("text", "ahead_s"), [("12:00:18", 18.5), ("23:59:30", -29.5), ("13:00:00", 3600.5), ("", None), ("12h", None)])
def test_a_time_of_day_lies_in_the_nearest_day(text: str, ahead_s: float | None) -> None:
    """consoles.md 2.2: HH:MM:SS, local, no date; seen 18 s off."""
    utc_ns = 1_767_225_600 * 10**9 + (0 if text.startswith("23") else 12 * 3600 * 10**9)  # midnight, and noon
    sample = wire.clock_of(text, 7, utc_ns)
    assert (None if sample is None else (sample.device_ns - utc_ns) / 1e9) == ahead_s
