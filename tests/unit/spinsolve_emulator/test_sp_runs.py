"""A run: the order of what is said, the folder and its files, abort, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import nmrglue
import numpy as np
import pytest
from spinsolve_client import LITHIUM, Client, Desk, data_1d, parameters

from drivers.spinsolve.instrument import files
from drivers.spinsolve.instrument.run import Receiver, Run


def test_a_run_says_running_progress_ready_completed(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        begin_ns = desk.clock.mono_ns()
        folder = await client.run(Number="10")
        assert client.story() == ["Running", "Ready", "Completed"]
        assert client.told("State")[0][1].get("dataFolder") == ""
        times_s = [(at_ns - begin_ns) / 1e9 for at_ns, _ in client.told("Progress")]
        assert times_s == pytest.approx([1 + n for n in range(1, 11)])
        last = client.told("Progress")[-1][1]
        assert (last.get("percentage"), last.get("secondsRemaining")) == ("100", "0")
        assert Path(folder).is_dir()

    play(scene)


def test_everybody_is_told_everything(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        other = await desk.connect()
        await client.run()
        await other.notified("Completed")
        assert other.story() == client.story()
        await other.ask("<HardwareRequest/>", "HardwareResponse")
        assert not [one for _, one in client.seen if one.tag == "HardwareResponse"], "an answer is for who asked"

    play(scene)


def test_a_client_that_goes_does_not_end_the_run(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        await client.start()
        await client.notified("State", status="Running")
        await client.close()
        later = await desk.connect()
        await later.notified("Completed", successful="true")

    play(scene)


def test_the_files_of_a_run(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        await client.send('<Set><UserData><Data key="opnmr_key" value="step-12"/><Data key="E" value="3.7"/></UserData></Set>')
        await client.send("<Set><Sample>cell A</Sample></Set>")
        begin = desk.emulator.program.local()
        folder = Path(await client.run(Number="5", AcquisitionTime="0.04"))
        found = parameters(folder)
        assert found["userData"] == "opnmr_key=step-12;E=3.7"
        assert (found["nrScans"], found["repTime"], found["rxChannel"], found["Sample"]) == (5, 1000, "7Li", "cell A")
        assert datetime.strptime(found["CurrentTime"], "%Y-%m-%dT%H:%M:%S.%f") == begin.replace(tzinfo=None)
        axis, values = data_1d(folder / "data.1d")
        assert values.size == found["nrPnts"] == 4096
        assert axis[1] == pytest.approx(found["dwellTime"] * 1e-3)
        assert abs(values[0]) == pytest.approx(500)
        assert found["bandwidth"] == pytest.approx(800 * 116.642 / 1e3)

    play(scene)


def test_nmrglue_and_the_program_agree_where_the_line_is(play: Callable[..., None]) -> None:
    """As two public programs show recorded data: ``proc_base.fft`` of ``data.1d`` against nmrglue's falling axis."""

    async def scene(_desk: Desk, client: Client) -> None:
        folder = await client.run(CenterFrequency="200")
        dictionary, fid = nmrglue.spinsolve.read(folder)
        universal = nmrglue.spinsolve.guess_udic(dictionary, fid)
        scale_ppm = nmrglue.fileiobase.uc_from_udic(universal).ppm_scale()
        spectrum = nmrglue.proc_base.fft(fid)
        assert universal[0]["label"] == "7Li"
        assert scale_ppm[np.argmax(np.abs(spectrum))] == pytest.approx(247.0, abs=0.5)
        axis, processed = data_1d(Path(folder) / "spectrum_processed.1d")
        assert axis[np.argmax(np.abs(processed))] == pytest.approx(247.0, abs=0.5)

    play(scene)


def test_the_golden_line_is_written_as_golden(tmp_path: Path, repository: Path) -> None:
    golden = json.loads((repository / "tests/golden/spinsolve/mirrored.json").read_text("utf-8"))
    place = np.arange(32)
    fid = np.exp(2j * np.pi * 1000.0 * place / 4000.0 - place / 16)  # above the carrier
    run = Run(1, LITHIUM, {}, 0, 1, 1.0, 1.0, 1.0)
    files.write(tmp_path / "run", run, Receiver("7Li", 100.0, 100.0005, 4000.0, 32), fid, scans=1)
    found, expected = (tmp_path / "run" / "data.1d").read_bytes(), bytes.fromhex(golden["data.1d"])
    assert found[:160] == expected[:160]
    assert np.allclose(np.frombuffer(found[160:], "<f4"), np.frombuffer(expected[160:], "<f4"), atol=1e-6)
    written = parameters(tmp_path / "run")
    assert (written["b1Freq"], written["lowestFrequency"]) == pytest.approx((100.0005, -1500.0))


def test_a_8192_point_file_has_the_size_of_recorded_ones(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        folder = Path(await client.run(AcquisitionTime="0.088"))
        assert (folder / "data.1d").stat().st_size == 98336

    play(scene)


def test_user_data_are_those_of_the_moment_of_writing(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        await client.send('<Set><UserData><Data key="k" value="1"/></UserData></Set>')
        await client.start()
        await client.notified("State", status="Running")
        await client.send('<Set><UserData><Data key="k" value="2"/></UserData></Set>')
        await client.notified("Completed")
        folder = Path(str((await client.notified("State", status="Ready")).get("dataFolder")))
        assert parameters(folder)["userData"] == "k=2"

    play(scene)


def test_where_data_go(play: Callable[..., None], tmp_path: Path) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        await client.send(f"<Set><DataFolder><UserFolder>{tmp_path}/here</UserFolder></DataFolder></Set>")
        assert await client.run(Number="1") == f"{tmp_path}/here"
        await client.send(r"<Set><DataFolder><TimeStamp>D:\opnmr\cellA</TimeStamp></DataFolder></Set>")
        when = f"{desk.emulator.program.local():%Y%m%d%H%M%S}"
        stamped = await client.run(Number="1")
        assert stamped == rf"D:\opnmr\cellA\{when}"
        assert (desk.emulator.disk.root / "cellA" / when / "data.1d").is_file()
        await client.send(r"<Set><DataFolder><TimeStampTree>d:/OPNMR/tree</TimeStampTree></DataFolder></Set>")
        when = f"{desk.emulator.program.local():%Y/%m/%d/%H/%M/%S}"
        await client.run(Number="1")
        assert (desk.emulator.disk.root / "tree" / when / "data.1d").is_file()
        await client.send(r"<Set><DataFolder><UserFolder>E:\other</UserFolder></DataFolder></Set>")
        assert await client.run(Number="1") == r"E:\other"
        assert (tmp_path / "disk" / "E" / "other" / "data.1d").is_file()

    play(scene, shown_as=r"D:\opnmr", root=str(tmp_path / "share"))


@pytest.mark.parametrize("number", ["3", "10", "16384", "1"])
def test_any_number_of_scans_is_taken_listed_or_not(play: Callable[..., None], number: str) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        folder = Path(await client.run(Number=number))
        assert parameters(folder)["nrScans"] == int(number)
        assert len(client.told("Progress")) <= 100

    play(scene)


def test_scans_follow_each_other_without_dummies(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        begin_s = (desk.clock.mono_ns() - desk.twin.t0_mono_ns) / 1e9
        await client.run(Number="6", RepetitionTime="2.5", PulseAngle="30")
        (scan,) = desk.twin.scans
        assert (scan.scans, scan.dummies, scan.tip_deg, scan.nucleus) == (6, 0, 30, "7Li")
        assert scan.t_start_s == pytest.approx(begin_s + 1)
        assert scan.t_end_s - scan.t_start_s == pytest.approx(6 * 2.5)
        assert scan.recycle_s == pytest.approx(2.5 - scan.points / scan.spectral_width_Hz)

    play(scene)


REFUSED = {
    "an unknown protocol": ("1D NOTHING", {}),
    "an unknown option": (LITHIUM, {"Dummies": "4"}),
    "a repetition below a second": (LITHIUM, {"RepetitionTime": "0.5"}),
    "an angle that is not listed": ("1D EXTENDED+", {"PulseAngle": "33"}),
    "no number": (LITHIUM, {"Number": "many"}),
    "an acquisition longer than the repetition": (LITHIUM, {"AcquisitionTime": "1.64"}),
    "a correlation, which needs couplings": ("COSY 2D", {}),
    "a step longer than the repetition": ("T1", {"RepetitionTime": "2", "MaximumInversionTime": "2000"}),
}


@pytest.mark.parametrize(("protocol", "options"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_said_and_not_run(play: Callable[..., None], protocol: str, options: dict[str, str]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        await client.start(protocol, **options)
        found = await client.notified("Error")
        assert found.get("protocol") == protocol
        assert found.get("error")
        await desk.clock.sleep(30)
        assert client.story() == ["Error"]

    play(scene)


def test_start_while_busy_is_an_error_and_the_run_goes_on(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        await client.start()
        await client.notified("State", status="Running")
        await client.start(Number="2")
        await client.notified("Error")
        await client.notified("Completed")
        folder = Path(str((await client.notified("State", status="Ready")).get("dataFolder")))
        assert parameters(folder)["nrScans"] == 4

    play(scene)


def test_abort_waits_for_the_scan_and_keeps_what_was_scanned(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        begin_ns = desk.clock.mono_ns()
        await client.start(Number="100", RepetitionTime="10")
        await client.notified("Progress", 3)
        await desk.clock.sleep(4)
        await client.send("<Abort/>")
        await client.notified("State", status="Stopping")
        done = await client.notified("Completed")
        assert (done.get("completed"), done.get("successful")) == ("false", "false")
        assert client.story() == ["Running", "Stopping", "Ready", "Completed"]
        ready_ns = next(at_ns for at_ns, one in client.told("State") if one.get("status") == "Ready")
        assert (ready_ns - begin_ns) / 1e9 == pytest.approx(1 + 4 * 10)
        folder = Path(str((await client.notified("State", status="Ready")).get("dataFolder")))
        assert parameters(folder)["nrScans"] == 4
        assert desk.twin.scans[-1].scans == 4

    play(scene)


def test_abort_before_the_first_scan_leaves_nothing(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        await client.start()
        await client.notified("State", status="Running")
        await client.send("<Abort/>")
        await client.notified("Completed", completed="false")
        assert (await client.notified("State", status="Ready")).get("dataFolder") == ""
        assert desk.twin.scans == []
        assert list(desk.emulator.disk.root.iterdir()) == []
        await client.run()

    play(scene)


def test_abort_with_nothing_running_is_answered_by_nothing(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        await client.send("<Abort/>")
        await client.ask("<HardwareRequest/>", "HardwareResponse")
        assert client.told() == []
        await client.run()

    play(scene)


def test_time_stamps_are_the_clock_of_the_pc_without_date_and_zone(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        await client.start()
        await client.notified("State", status="Running")
        shown = next(one.get("timestamp") for _, one in client.seen if one.tag == "StatusNotification")
        assert shown == f"{desk.emulator.program.local():%H:%M:%S}"
        assert desk.emulator.program.local().utcoffset().total_seconds() in {3600, 7200}

    play(scene, zone="Europe/Berlin", clock_off_s=18.0)


def test_a_nucleus_that_the_twin_has_not_gives_noise(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        folder = Path(await client.run("1D PROTON", Scan="QuickScan"))
        assert parameters(folder)["rxChannel"] == "1H"
        assert parameters(folder)["b1Freq"] == pytest.approx(116.642 / 0.38863797, rel=1e-4)
        assert np.std(data_1d(folder / "data.1d")[1]) > 1
        assert desk.twin.scans == []

    play(scene)
