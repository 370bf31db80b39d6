"""Every fault by name, unplugging, snapshots, a real pseudo-terminal."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest

from drivers.base import Emulator, Settings
from drivers.clock import Clock
from drivers.errors import NotReachable
from drivers.methodscript.emulator import MethodScriptEmulator
from drivers.transport.memory import MemoryNetwork
from drivers.transport.real import RealNetwork
from drivers.transport.virtual import run_virtual

STEP = """\
var p
var i
var t
set_pgstat_mode 6
set_i 0
cell_on
timer_start
meas_loop_cp p i 5m 1 5
timer_get t
pck_start
pck_add t
pck_add p
pck_end
endloop
cell_off
send_string "END"
on_finished:
cell_off"""


def times(lines: list[str]) -> list[float]:
    return [(int(line[3:10], 16) - (1 << 27)) * {"n": 1e-9, "u": 1e-6, "m": 1e-3}[line[10]] for line in lines if line.startswith("P")]


async def start(b: Any) -> None:
    await b.host.send(f"e\n{STEP}\n\n")
    assert await b.host.lines(2) == ["e", "M000A"]


def test_it_is_an_emulator_and_refuses_unknown_faults(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            assert isinstance(b.emulator, Emulator)
            for name in sorted(b.emulator.fault_names - {"port_vanishes"}):
                b.emulator.inject(name)
            with pytest.raises(ValueError, match="no fault is called"):
                b.emulator.inject("gremlin")
            with pytest.raises(ValueError, match="no parameter"):
                b.emulator.inject("overload", loudness=3)

    run_virtual(main)


def test_silent(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            await start(b)
            b.emulator.inject("silent")
            await b.host.send("Z\n")
            assert await b.host.quiet(10) == b""
            assert not b.emulator.running
            assert b.twin.charge_C() == pytest.approx(0.025)

    run_virtual(main)


def test_a_fault_can_come_later_and_from_the_options(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock, faults={"silent": {"after_s": 2.5}}) as b:
            await start(b)
            assert len((await b.host.quiet(10)).splitlines()) == 2

    run_virtual(main)


def test_garbage_line_replaces_one_package(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock, faults=["garbage_line"]) as b:
            lines = await b.host.run(STEP)
            assert times(lines[2:]) == pytest.approx([2, 3, 4, 5])
            assert "\xff" in lines[1]

    run_virtual(main)


def test_half_a_line_then_a_stall(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock, faults={"half_line_then_stall": {"stall_s": 2.5}}) as b:
            await start(b)
            heard = await b.host.quiet(20)
            assert re.match(rb"Peb80F4240u;abPeb83D0900u;[^\n]+\nPeb84C4B40u;[^\n]+\n\*\nTEND\n\n$", heard)

    run_virtual(main)


def test_echo_but_no_start(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock, faults=["echo_but_no_start"]) as b:
            await b.host.send(f"e\n{STEP}\n\n")
            assert await b.host.line() == "e"
            assert await b.host.quiet(10) == b""
            await b.host.send("Z\n")
            assert await b.host.line() == "Z!0006"
            await clock.sleep(0.2)
            await b.host.send("r\n")
            assert await b.host.lines(2) == ["r", "M000A"]

    run_virtual(main)


def test_error_mid_step_leaves_the_cell_on(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock, faults={"error_mid_step_cell_on": {"after": 3, "code": 0x32}}) as b:
            await start(b)
            heard = (await b.host.quiet(10)).decode().splitlines()
            assert len(times(heard)) == 2
            assert heard[-1] == "!0032: Line 8"
            assert b.emulator.cell_on
            await b.host.send("\ne\ncell_off\n\n")
            assert await b.host.lines(2) == ["e", ""]
            assert not b.emulator.cell_on

    run_virtual(main)


def test_overload_and_nan_and_a_lost_reference(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock, faults={"overload": {"times": 1}}) as b:
            lines = await b.host.run(STEP)
            assert [line[-5:] for line in lines[1:3]] == ["2,206", "0,206"]
            b.emulator.inject("reading_nan", times=2)
            lines = await b.host.run(STEP)
            assert ["ab     nan" in line for line in lines[1:-2]] == [True, True, False, False, False]
            b.emulator.inject("voltage_jump", offset_V=-2.0)
            assert "ab82191C6u" in (await b.host.run(STEP))[1]
            b.emulator.clear("voltage_jump")
            b.emulator.inject("voltage_jump", offset_V=50.0)
            assert (await b.host.run(STEP))[1].endswith("ab85B8D80u,12,206")

    run_virtual(main)


def test_limit_at_first_sample(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock, faults={"limit_at_first_sample": {"voltage_V": 4.5}}) as b:
            lines = await b.host.run(STEP)
            assert "ab844AA20u" in lines[1]
            assert "ab8401" in lines[2]

    run_virtual(main)


def test_load_error_wrong_instrument_stray_xon_chunked(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock, faults=["load_error", "wrong_instrument", "stray_xon", "chunked"]) as b:
            await b.host.send("t\n")
            first = await b.host.stream.read()
            assert first == b"\x11"
            assert (await b.host.lines(2))[0].startswith("tespico")
            await b.host.send("l\nwait 1\n\n")
            assert await b.host.line() == "\x11l!4001: Line 1, Col 1"
            await clock.sleep(0.2)
            await b.host.send("l\nwait 1\n\n")
            assert await b.host.line() == "\x11l"

    run_virtual(main)


def test_chunked_streams_carry_the_same_bytes(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            whole = await b.host.run(STEP)
            b.twin.charge = 0.0
            b.emulator.inject("chunked", sizes=[5, 1])
            pieces: list[bytes] = []
            await b.host.send(f"e\n{STEP}\n\n")
            while not b"".join(pieces).endswith(b"\n\n"):
                pieces.append(await b.host.stream.read())
            assert max(len(piece) for piece in pieces) < 20
            assert b"".join(pieces).decode().splitlines()[1:-1] == whole

    run_virtual(main)


def test_the_timer_can_run_fast_without_losing_its_own_grid(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock, skew_ppm=200) as b:
            started = clock.mono_ns()
            lines = await b.host.run(STEP.replace("5m 1 5", "5m 1 1000"))
            assert times(lines) == pytest.approx(range(1, 1001))
            assert (clock.mono_ns() - started) / 1e9 == pytest.approx(1000 / 1.0002, abs=1e-6)

    run_virtual(main)


def test_reboot_mid_step_opens_the_cell_and_forgets_the_script(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            await start(b)
            b.emulator.inject("reboot_mid_step", after_s=2.5)
            assert len((await b.host.quiet(10)).splitlines()) == 2
            assert not b.emulator.cell_on
            assert b.twin.calls[-1][0] == "open"
            await b.host.send("r\n")
            assert await b.host.line() == "r!000C"

    run_virtual(main)


def test_a_host_that_goes_away_does_not_stop_the_script(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            await start(b)
            await b.host.stream.close()
            await clock.sleep(3.5)
            host = await b.open()
            lines = await host.until_empty()
            assert times(lines) == pytest.approx([4, 5])
            assert b.twin.charge_C() == pytest.approx(0.025)

    run_virtual(main)


def test_the_port_vanishes_and_returns(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            await start(b)
            b.emulator.inject("port_vanishes", seconds=2.2)
            with pytest.raises(EOFError):
                await b.host.line()
            with pytest.raises(NotReachable):
                await b.open()
            await clock.sleep(2.5)
            host = await b.open()
            assert times(await host.until_empty()) == pytest.approx([3, 4, 5])
            b.emulator.inject("port_vanishes", seconds=1, power_lost=True)
            await clock.sleep(1.5)
            await b.open()
            await b.host.send("r\n")
            assert await b.host.line() == "r!000C"

    run_virtual(main)


@pytest.mark.parametrize("after_s", [0.5, 1.0, 2.75])
def test_a_snapshot_goes_on_exactly(bench: Any, after_s: float) -> None:
    pieces: dict[str, Any] = {}

    async def whole(clock: Clock) -> None:
        async with bench(clock) as b:
            pieces["whole"] = await b.host.run(STEP)
            pieces["charge"] = b.twin.charge_C()

    async def first(clock: Clock) -> None:
        async with bench(clock) as b:
            await start(b)
            heard = await b.host.quiet(after_s)
            pieces["heard"] = heard.decode().splitlines()
            pieces["state"] = json.loads(json.dumps([b.emulator.snapshot(), b.twin.snapshot(), clock.mono_ns()]))

    async def second(clock: Clock) -> None:
        network = MemoryNetwork()
        async with bench(clock, network) as b:
            await b.emulator.stop()
            emulator, twin, _ = pieces["state"]
            b.twin.t0_mono_ns = 0
            b.twin.restore(twin)
            b.emulator = MethodScriptEmulator(Settings("potentiostat", "methodscript", ""), b.context)
            b.emulator.restore(emulator)
            await b.emulator.start()
            host = await b.open()
            pieces["rest"] = await host.until_empty()
            pieces["charge after"] = b.twin.charge_C()

    run_virtual(whole)
    run_virtual(first)
    run_virtual(second, start_ns=pieces["state"][2])
    assert ["M000A", *pieces["heard"], *pieces["rest"]] == pieces["whole"]
    assert math.isclose(pieces["charge"], pieces["charge after"])


def test_nested_loops_files_and_arrays(bench: Any) -> None:
    text = """\
var n
var p
array a 3i
store_var n 0i ja
loop n < 2i
array_set a n n
meas_loop_ocp p 100m 200m
endloop
send_string f"{n} of {a[n]}"
add_var n 1i
endloop
file_open "/x" 2
set_script_output 2
send_string "to the file"
set_script_output 0
send_string "nowhere"
set_script_output 3
send_string "both"
if (n == 2i & n != 3i) | n > 5i
send_string "yes"
else
send_string "no"
endif
abort
send_string "never"
on_finished:
send_string "finished\""""

    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            assert await b.host.run(text) == [
                "L", "M000B", "*", "T0 of 0", "M000B", "*", "T1 of 1", "+", "Tboth", "Tyes", "Tfinished",
            ]  # fmt: skip
            assert b.emulator.machine.files == {"/x": ["Tto the file", "Tboth", "Tyes", "Tfinished"]}

    run_virtual(main)


def test_a_script_that_never_waits_still_takes_time(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            await b.host.run("var t\ntimer_start\nloop t < 2\ntimer_get t\nendloop")
            assert clock.mono_ns() == pytest.approx(2e9, rel=0.02)

    run_virtual(main)


def test_impedance_has_the_published_types(bench: Any) -> None:
    text = """\
var f
var r
var j
set_pgstat_mode 6
set_i 0
cell_on
meas_loop_geis f r j 1m 10k 1 5i 0
pck_start
pck_add f
pck_add r
pck_add j
pck_end
endloop
on_finished:
cell_off"""

    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            lines = await b.host.run(text)
            assert lines[0] == "M000E"
            assert len(lines) == 7
            fields = [line[1:].split(";") for line in lines[1:-1]]
            assert [field[:2] for field in fields[0]] == ["dc", "cc", "cd"]
            assert fields[-1][0] == "dc80F4240u"
            assert fields[-1][1].startswith("cc")
            assert fields[-1][2].startswith("cd7")

    run_virtual(main)


def test_stamps_show_when_the_last_sample_was_written(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            await b.host.run(STEP)
            await clock.sleep(0.1)
            rows = b.emulator.stamps.rows()
            assert [name for name, _ in rows] == ["e received", *["package"] * 5, "last sample", "script end"]
            assert b.emulator.stamps.last("last sample") == [at for name, at in rows if name == "package"][-1]

    run_virtual(main)


@pytest.mark.posix_only
async def test_a_real_pseudo_terminal_and_a_link_that_survives_unplugging(bench: Any, tmp_path: Any) -> None:
    clock = Clock()
    async with bench(clock, RealNetwork(), link=str(tmp_path / "port")) as b:
        assert b.address == str(tmp_path / "port")
        await b.host.send("t\n")
        assert (await b.host.lines(2))[1] == "R*"
        assert times(await b.host.run(STEP.replace("5m 1 5", "5m 10m 50m"))) == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05])
        b.emulator.inject("port_vanishes", seconds=0.05)
        with pytest.raises(EOFError):
            await b.host.line(5)
        await clock.sleep(0.1)
        await b.open()
        await b.host.send("i\n")
        assert (await b.host.line(5)).startswith("i")


def test_a_fault_ends_when_its_time_is_over(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            b.emulator.inject("silent", after_s=2, for_s=3)
            b.emulator.inject("overload", after_s=1, for_s=100)
            await clock.sleep(2.5)
            assert "silent" in b.emulator.faults
            await clock.sleep(3.0)
            assert "silent" not in b.emulator.faults
            assert "overload" in b.emulator.faults
            state = b.emulator.snapshot()["faults"]
            assert state["ends"] == [[pytest.approx(95.5e9), "overload"]]

    run_virtual(main)


def test_packages_come_twice_or_out_of_order(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            b.emulator.inject("duplicate_package", times=1)
            await start(b)
            assert times(await b.host.lines(3)) == pytest.approx([1.0, 1.0, 2.0], abs=1e-3)
            b.emulator.inject("packages_overtake", times=1)
            lines = await b.host.lines(2)
            assert times(lines) == pytest.approx([4.0, 3.0], abs=1e-3), lines

    run_virtual(main)


def test_a_bug_of_the_emulator_takes_its_port_away_and_is_said(
    bench: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It happens in a timer that nobody awaits: a host that waits for samples would otherwise never know."""

    def fails(_: int) -> None:
        raise KeyError("a bug")

    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            await b.host.send("e\nvar c\nvar p\nset_pgstat_mode 2\ncell_on\nwait 5\ncell_off\n\n")
            await b.host.line()
            monkeypatch.setattr(b.emulator.machine, "run", fails)
            with pytest.raises((EOFError, NotReachable)):
                await b.host.line(60.0)
            assert isinstance(b.emulator.broken, KeyError)

    run_virtual(main)
    assert "the emulated instrument broke" in caplog.text
