"""The command socket, acquisitions and the back channel, in virtual time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nmrglue
import numpy as np
import pytest

from drivers.base import Emulator
from drivers.clock import Clock
from drivers.errors import NotReachable
from drivers.openvnmrj.vnmrfiles import fid_size, read_procpar, swapped_port, texts
from drivers.transport.memory import MemoryNetwork
from drivers.transport.real import RealNetwork
from drivers.transport.virtual import run_virtual


def procpar(folder: Path) -> dict[str, Any]:
    return texts(read_procpar((folder / "procpar").read_text(encoding="latin-1")))


# --------------------------------------------------------------------------------------------------------------- socket


def test_talk_names_the_port_in_network_order(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as d:
            assert isinstance(d.console, Emulator)
            host, port, pid = (d.vnmruser / ".talk").read_text().split()
            assert (host, int(port), int(pid) > 1) == ("127.0.0.1", swapped_port(d.console.port), True)
            await d.send("listenoff")
            await clock.sleep(1)
            assert not (d.vnmruser / ".talk").exists()
            await d.send("listenon")
            await clock.sleep(1)
            assert (d.vnmruser / ".talk").read_text().split()[1] == port

    run_virtual(main)


def test_commands_with_and_without_nul_several_lines_and_end_of_transmission(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as d:
            await d.send("nt=8")
            await d.send(b"ss=2")
            await d.send(b"gain=20\nd1=3\x04\nif nt=8 then\npw=5\nendif\n")
            assert await d.ask("%d %d %d %g %g", "nt", "ss", "gain", "d1", "pw") == "8 2 20 3 5"

    run_virtual(main)


def test_a_second_write_is_lost(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as d:
            stream = await d.network.connect("127.0.0.1", d.console.port)
            await stream.write(b"nt=8")
            await clock.sleep(0.1)
            with pytest.raises(NotReachable):
                await stream.write(b"nt=12")
            assert await d.ask("%d", "nt") == "8"

    run_virtual(main)


def test_a_long_command_is_cut_at_1024_and_executed_in_pieces(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as d:
            head = "nt=5 " + " " * (1024 - 5 - 4) + "nt=1"
            assert len(head) == 1024
            await d.send(head + "6 gain=40")
            assert await d.ask("%d %d", "nt", "gain") == "1 30"
            assert any("syntax error" in message for message in d.console.foreground.messages)

    run_virtual(main)


def test_a_silent_client_freezes_the_foreground(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as d:
            silent = await d.network.connect("127.0.0.1", d.console.port)
            await clock.sleep(0.1)
            await d.send(f"write('net','h','{d.port}','alive')")
            with pytest.raises(TimeoutError):
                await d.hear(300)
            await silent.close()
            assert await d.hear(1) == "alive"

    run_virtual(main)


def test_an_error_ends_the_line_and_nothing_else(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as d:
            await d.send("nt=2 nosuchcommand nt=3")
            await d.send("gain='loud' gain=10")
            assert await d.ask("%d %d", "nt", "gain") == "2 30"

    run_virtual(main)


def test_macros_of_the_user_with_arguments_and_returns(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as d:
            (d.vnmruser / "maclib" / "twice").write_text("if $#=1 then return(2*$1) endif return(0)\n")
            (d.vnmruser / "maclib" / "told").write_text(f"twice($1):$x write('net','h','{d.port}','%s: %g',$0,$x)\n")
            await d.send("told(21)")
            assert await d.hear() == "told: 42"
            assert await d.ask("%g", "nt") == "16"

    run_virtual(main)


def test_files_time_and_queries(desk: Any, tmp_path: Path) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, zone="Europe/Berlin") as d:
            path = tmp_path / "answer"
            await d.send(f"write('reset','{path}') write('file','{path}','gain=%g',gain) mkdir('{tmp_path}/a/b')")
            await d.send(f"exists('{tmp_path}/a/b','directory'):$d exists('zz','parameter'):$p write('net','h','{d.port}','%d %d',$d,$p)")
            assert await d.hear() == "1 0"
            assert path.read_text() == "gain=30\n"
            await d.send(f"unixtime:$s,$u unixtime('%F %T'):$t write('net','h','{d.port}','%d %s',$s,$t)")
            seconds, _, local = (await d.hear()).partition(" ")
            assert int(seconds) == clock.utc_ns() // 10**9
            assert local == "2023-11-14 23:13:20"
            await d.send(f"write('net','h','1','x'):$ok,$code write('net','h','{d.port}','%d %d',$ok,$code)")
            assert await d.hear() == "0 -4"

    run_virtual(main)


# ---------------------------------------------------------------------------------------------------------- acquisition


def test_an_acquisition_lasts_scans_times_repetition_plus_overhead(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, overhead_s=2.0) as d:
            await d.send("text('cell A')")
            assert await d.acquire("first", "tn='Li7' nt=10 ss=2 d1=1 bs=4") == "DONE first"
            assert clock.mono_ns() / 1e9 == pytest.approx(2.0 + 12 * 1.08192)
            folder = d.vnmruser / "first.fid"
            assert sorted(path.name for path in folder.iterdir()) == ["fid", "log", "procpar", "text"]
            p = procpar(folder)
            assert (p["ct"], p["nt"], p["acqstatus"], p["tn"]) == (10, 10, 101, "Li7")
            assert (p["time_run"], p["time_complete"]) == ("20231114T221320", "20231114T221334")
            assert p["time_saved"]
            assert (folder / "fid").stat().st_size == fid_size(int(p["np"]))
            assert (folder / "text").read_text() == "cell A\n"
            log = [line.split(": ")[1] for line in (folder / "log").read_text().splitlines()]
            assert log == ["Experiment started", "BS 1 completed", "BS 2 completed", "Acquisition complete"]
            scan = d.twin.scans[0]
            assert (scan.scans, scan.dummies, scan.nucleus, scan.points) == (10, 2, "7Li", 8192)
            assert (scan.t_start_s, scan.t_end_s) == pytest.approx((2.0, 2.0 + 12 * 1.08192))

    run_virtual(main)


def test_the_axis_is_mirrored_as_nmrglue_sees_it(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as d:
            await d.acquire("line", "nt=4 d1=1 tof=5000")
            dictionary, data = nmrglue.varian.read(str(d.vnmruser / "line.fid"))
            p = procpar(d.vnmruser / "line.fid")
            f_fft = np.fft.fftfreq(data.size, 1 / p["sw"])[np.argmax(abs(np.fft.fft(data)))]
            physical_MHz = p["sfrq"] - f_fft * 1e-6
            assert (physical_MHz / p["reffrq"] - 1) * 1e6 == pytest.approx(100, abs=0.1)
            assert dictionary["nblocks"] == 1

    run_virtual(main)


def test_expactive_halt_abort_and_halt2(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as d:
            active = f"expactive:$a expactive('current'):$e,$u write('net','h','{d.port}','%d %d %s',$a,$e,$u)"
            await d.send(active)
            assert await d.hear() == "0 0 nobody"
            for stop, expected in (("halt", "DONE halt"), ("aa", "FAIL aa")):
                done = await start(d, stop)
                await clock.sleep(2.3 + 10 * 1.08192 + 0.5)
                await d.send(active)
                assert await d.hear() == "1 1 vnmr1"
                await d.send("au")
                await d.send(stop)
                assert await d.hear() == expected
                assert (await d.ask("%d", "ct")) == "8"
                assert done is None
            assert procpar(d.vnmruser / "halt.fid")["ct"] == 8
            assert not (d.vnmruser / "aa.fid").exists()
            await start(d, "halt2")
            await clock.sleep(5)
            await d.send("halt2")
            with pytest.raises(TimeoutError):
                await d.hear(1000)

    run_virtual(main)


async def start(d: Any, name: str) -> None:
    done = f"svf(\\'{d.vnmruser}/{name}\\') write(\\'net\\',\\'h\\',\\'{d.port}\\',\\'DONE {name}\\')"
    await d.send(f"nt=100 d1=1 bs=4 wexp='{done}' werr='write(\\'net\\',\\'h\\',\\'{d.port}\\',\\'FAIL {name}\\')' au")


def test_parameters_are_frozen_at_submission_and_go_runs_nothing(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as d:
            await d.send(f"wexp='write(\\'net\\',\\'h\\',\\'{d.port}\\',\\'DONE\\')' nt=4 go")
            await clock.sleep(1)
            await d.send("nt=64 tn='Na23'")
            await clock.sleep(60)
            assert d.heard.empty()
            await d.send(f"svf('{d.vnmruser}/kept')")
            await clock.sleep(1)
            p = procpar(d.vnmruser / "kept.fid")
            assert (p["nt"], p["tn"]) == (4, "Li7")
            assert await d.ask("%d %s", "nt", "tn") == "64 Na23"

    run_virtual(main)


def test_svf_refuses_an_existing_name_unless_forced(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as d:
            await d.acquire("same")
            first = (d.vnmruser / "same.fid" / "procpar").read_text()
            await clock.sleep(10)
            await d.send(f"svf('{d.vnmruser}/same') nt=99")
            assert await d.ask("%d", "nt") == "4"
            assert (d.vnmruser / "same.fid" / "procpar").read_text() == first
            await d.send(f"svf('{d.vnmruser}/same','force') nt=99")
            assert await d.ask("%d", "nt") == "99"
            assert (d.vnmruser / "same.fid" / "procpar").read_text() != first

    run_virtual(main)


def test_clearing_wexp_disarms_a_running_acquisition(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as d:
            await start(d, "armed")
            await clock.sleep(5)
            await d.send("wexp='' halt")
            with pytest.raises(TimeoutError):
                await d.hear(1000)
            assert not (d.vnmruser / "armed.fid").exists()

    run_virtual(main)


def test_small_commands(desk: Any, tmp_path: Path) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as d:
            net = f"write('net','h','{d.port}',"
            await d.send(f"format(3.14159,6,2):$f {net}'%s',$f)")
            assert await d.hear() == "  3.14"
            await d.send(f"substr('abcdef',2,3):$s length($s):$n strstr('abc','c'):$p {net}'%s|%d|%d',$s,$n,$p)")
            assert await d.hear() == "bcd|3|3"
            await d.send(f"setvalue('sw',12345) getvalue('sw'):$v {net}'%g %g',$v,at)")
            assert await d.hear() == "12345 0.08192"
            await d.send(f"create('mine','string') mine='x' serverport:$port {net}'%s %d',mine,$port)")
            assert await d.hear() == f"x {d.console.port}"
            await d.send(f"write('line3','pw is %g',pw):$m exists('svf','command'):$e exists('nope','maclib'):$x {net}'%s %d %d',$m,$e,$x)")
            assert await d.hear() == "pw is 8 1 0"
            await d.send("nt=4 au")
            await clock.sleep(4)
            await d.send(f"sa sleep(1) {net}'%d %d',acqstatus[1],ct)")
            assert await d.hear() == "18 0"
            await d.send("text('kept here') nt=8 d1=0.1 au")
            await clock.sleep(60)
            await d.send(f"svf('{tmp_path}/kept') text('other') nt=100 tn='Na23' rt('{tmp_path}/kept') text:$t {net}'%d %s %s',nt,tn,$t)")
            assert await d.hear() == "8 Li7 kept here\n"

    run_virtual(main)


def test_the_console_may_know_its_folder_by_another_name(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, shown_as="/home/vnmr1/vnmrsys") as d:
            await d.send("mkdir('/home/vnmr1/vnmrsys/data/run') write('reset','/home/vnmr1/vnmrsys/data/run/note') nt=1 go")
            await clock.sleep(30)
            await d.send("svf('/home/vnmr1/vnmrsys/data/run/one')")
            await d.send(f"exists('/home/vnmr1/vnmrsys/data/run/one.fid','directory'):$e write('net','h','{d.port}','%d',$e)")
            assert await d.hear() == "1"
            assert sorted(path.name for path in (d.vnmruser / "data/run").iterdir()) == ["note", "one.fid"]

    run_virtual(main)


def test_the_status_stream_tells_what_changes(desk: Any) -> None:
    async def main(clock: Any) -> None:
        network = MemoryNetwork()
        listener = await network.listen(port=50_000)
        async with desk(clock, network, infostat_port=50_000) as d:
            stream = await listener.accept()
            await d.send("nt=4 d1=1 au")
            await clock.sleep(10)
            lines = (await stream.read()).decode().splitlines()
            assert lines[:3] == ["infostat init", "status Idle", "queue 0"]
            states = [line.removeprefix("status ") for line in lines if line.startswith("status")]
            assert states == ["Idle", "PreAcq", "Acquiring", "Idle"]
            assert "user vnmr1" in lines
            assert "ct 3" in lines
            assert "timeleft 0:00:05" in lines
            await stream.close()
        await listener.close()

    run_virtual(main)


# --------------------------------------------------------------------------------------------------------------- faults


def test_faults_of_talk(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, pid=4711) as d:
            path = d.vnmruser / ".talk"
            good = path.read_text()
            d.console.inject("talk_missing")
            assert not path.exists()
            d.console.clear("talk_missing")
            assert path.read_text() == good
            d.console.inject("stale_pid")
            assert path.read_text().split()[2] == "4194303"
            d.console.clear("stale_pid")
            d.console.inject("swapped_byte_order")
            assert path.read_text().split()[1] == str(d.console.port)
            d.console.clear("swapped_byte_order")
            d.console.inject("refused_port")
            assert path.read_text().split()[1] == str(swapped_port(1))
            with pytest.raises(ValueError, match="no fault"):
                d.console.inject("gremlin")

    run_virtual(main)


def test_a_busy_foreground_queues_and_a_silent_one_does_nothing_more(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as d:
            d.console.inject("foreground_busy", seconds=100)
            await d.send("nt=2")
            await d.send(f"write('net','h','{d.port}','%d',nt)")
            assert await d.hear() == "2"
            assert clock.mono_ns() == pytest.approx(100e9)
            d.console.inject("silent", after_s=5)
            await start(d, "unseen")
            with pytest.raises(TimeoutError):
                await d.hear(10_000)
            assert d.console.scanner.active is None
            d.console.clear("silent")
            assert await d.hear() == "DONE unseen"

    run_virtual(main)


def test_an_acquisition_error_runs_werr(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, faults={"acquisition_error": {"scans": 6, "code": 13}}) as d:
            assert await d.acquire("bad", "nt=40 d1=1 bs=4") == "FAIL bad"
            assert await d.ask("%d %d", "acqstatus[1]", "ct") == "13 4"
            assert await d.acquire("good") == "DONE good"

    run_virtual(main)


def test_a_tuner_that_hangs_holds_the_scans_up_until_somebody_halts(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, faults={"tuner_hang": {}}) as d:
            await start(d, "hung")
            await clock.sleep(3600)
            assert await d.ask("%d %d", "ct", "acqstatus[1]") == "0 0"
            assert d.console.scanner.state_of() == 1
            await d.send("halt")
            assert await d.hear() == "DONE hung"
            assert await d.ask("%d", "ct") == "0"
            assert await d.acquire("good", "nt=4 d1=1") == "DONE good"

    run_virtual(main)


def test_a_tuner_that_stalls_makes_the_acquisition_longer(desk: Any) -> None:
    async def main(clock: Any) -> None:
        lasted: list[float] = []
        async with desk(clock) as d:
            for fault in (False, True):
                if fault:
                    d.console.inject("tuner_hang", stall_s=40)
                began_ns = clock.mono_ns()
                assert await d.acquire(f"slow{fault}", "nt=4 d1=1") == f"DONE slow{fault}"
                lasted.append((clock.mono_ns() - began_ns) / 1e9)
            assert lasted[1] - lasted[0] == pytest.approx(40)

    run_virtual(main)


def test_svf_fails_and_a_full_disk(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, faults=["svf_fails"]) as d:
            await d.send(f"wexp='svf(\\'{d.vnmruser}/x\\') nt=77' nt=1 au")
            await clock.sleep(60)
            assert not (d.vnmruser / "x.fid").exists()
            d.console.inject("disk_full")
            await d.send(f"svf('{d.vnmruser}/half')")
            await clock.sleep(1)
            assert (d.vnmruser / "half.fid/fid").stat().st_size == fid_size(16384) // 2
            assert await d.ask("%d", "nt") == "1"

    run_virtual(main)


def test_a_disk_that_takes_nothing_does_not_end_the_foreground(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as d:
            (d.vnmruser / "taken").write_text("a file where svf needs a folder")
            await d.send(f"svf('{d.vnmruser}/taken/x')")
            await clock.sleep(1)
            assert await d.ask("%d", "nt") == "16"

    run_virtual(main)


def test_a_dead_listener_freezes_the_foreground_for_its_time_out(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, faults=["dead_listener_freeze"], connect_timeout_s=40) as d:
            await d.send(f"write('net','h','{d.port}','lost')")
            await d.send(f"write('net','h','{d.port}','found')")
            assert await d.hear() == "found"
            assert clock.mono_ns() == pytest.approx(40e9)

    run_virtual(main)


def test_background_processing_works_while_the_foreground_is_elsewhere(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, faults=["background_processing"]) as d:
            await start(d, "behind")
            await clock.sleep(20)
            d.console.inject("foreground_busy", seconds=100_000)
            assert await d.hear() == "DONE behind"
            assert clock.mono_ns() < 200e9

    run_virtual(main)


def test_somebody_elses_acquisition_fires_the_stale_wexp(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as d:
            assert await d.acquire("mine") == "DONE mine"
            await d.send("rm('-r','x') d1=1")
            d.console.inject("wexp_stale", scans=3)
            await clock.sleep(3)
            await d.send(f"expactive('current'):$e,$u write('net','h','{d.port}','%d %s',$e,$u)")
            assert await d.hear() == "1 guest"
            await clock.sleep(60)
            assert any("already exists" in message for message in d.console.foreground.messages)

    run_virtual(main)


def test_gain_steps_clock_and_nucleus_and_curpar(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, faults=["clock_off", "curpar_stale"]) as d:
            curpar = d.vnmruser / "exp1" / "curpar"
            d.console.inject("gain_rounding")
            await d.send("gain=13.3")
            assert await d.ask("%g", "gain") == "14"
            await d.send("gain=26.7")
            assert await d.ask("%g", "gain") == "26"
            d.console.inject("wrong_nucleus")
            await d.send("tn='Na23' flush")
            assert await d.ask("%s %.3f", "tn", "sfrq") == "Na23 116.642"
            await d.acquire("wrong")
            p = procpar(d.vnmruser / "wrong.fid")
            assert (p["tn"], p["sfrq"]) == ("Na23", pytest.approx(116.642))
            assert p["time_run"] == "20231115T010720"
            assert d.twin.scans[-1].nucleus == "7Li"
            assert not curpar.exists()

    run_virtual(main)


def test_a_nucleus_the_twin_lacks_gives_noise(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as d:
            assert await d.acquire("fluorine", "tn='F19' nt=4") == "DONE fluorine"
            _, data = nmrglue.varian.read(str(d.vnmruser / "fluorine.fid"))
            assert 50 < data.real.std() / 2 < 120

    run_virtual(main)


# ------------------------------------------------------------------------------------------------------------- snapshot


@pytest.mark.parametrize("after_s", [1.0, 8.0])
def test_a_snapshot_goes_on_to_the_same_bytes(desk: Any, after_s: float, tmp_path: Path) -> None:
    found: dict[str, Any] = {}
    line = "nt=12 d1=1 wexp='svf(\\'{}/n\\') write(\\'net\\',\\'h\\',\\'{}\\',\\'DONE\\')' au"

    async def whole(clock: Clock) -> None:
        async with desk(clock, pid=5) as d:
            await d.send(line.format(d.vnmruser, d.port))
            await d.hear()
            found["whole"] = [(d.vnmruser / "n.fid" / name).read_bytes() for name in ("fid", "procpar", "log")]
            await d.send(f"rm('-r','{d.vnmruser}/n.fid')")
            await clock.sleep(1)

    async def first(clock: Clock) -> None:
        async with desk(clock, pid=5) as d:
            await d.send(line.format(d.vnmruser, d.port))
            await clock.sleep(after_s)
            found["state"] = json.loads(json.dumps([d.console.snapshot(), clock.mono_ns()]))

    async def second(clock: Clock) -> None:
        made = MemoryNetwork()
        async with desk(clock, made, pid=5) as d:
            await d.console.stop()
            d.twin.t0_mono_ns = 0
            fresh = type(d.console)(d.console.settings, d.context)
            fresh.restore(found["state"][0])
            d.console = fresh
            await fresh.start()
            await clock.sleep(60)
            found["again"] = [(d.vnmruser / "n.fid" / name).read_bytes() for name in ("fid", "procpar", "log")]

    run_virtual(whole)
    run_virtual(first)
    run_virtual(second, start_ns=found["state"][1], epoch_utc_ns=1_700_000_000_000_000_000 + found["state"][1])
    assert [part == other for part, other in zip(found["whole"], found["again"], strict=True)] == [True, True, True]


async def test_on_real_sockets(desk: Any) -> None:
    clock = Clock(speed=50.0)
    async with desk(clock, RealNetwork()) as d:
        assert await d.ask("%d", "nt") == "16"
        assert await d.acquire("real", "nt=4 d1=1") == "DONE real"
        assert procpar(d.vnmruser / "real.fid")["ct"] == 4
        assert d.console.stamps.last("saved") is not None
