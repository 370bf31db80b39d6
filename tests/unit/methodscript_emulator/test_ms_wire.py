"""What goes over the line: commands, echoes, the canonical scripts with their streams, aborts, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drivers.transport.virtual import run_virtual


def script(repository: Path, name: str) -> str:
    return (repository / f"tests/golden/methodscript_emulator/{name}.mscr").read_text().split("\n", 1)[1]


def number(field: str) -> float:
    factor = {"n": 1e-9, "p": 1e-12, "u": 1e-6, "m": 1e-3, " ": 1.0, "i": 1.0}[field[9]]
    return (int(field[2:9], 16) - (1 << 27)) * factor


def test_identification(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            await b.host.send("t\ni\nv\n")
            assert await b.host.lines(4) == ["tes4_hr1500#Mar 12 2026 14:28:01", "R*", "iES4HR20B0008", "v01.09.00"]
            await b.host.send("CM\n")
            bits = int((await b.host.line()).removeprefix("CM"), 16)
            assert bits >> 67 & 1
            assert bits >> 68 & 1
            await b.host.send("CC\n")
            assert int((await b.host.line()).removeprefix("CC"), 16) >> 98 & 1

    run_virtual(main)


@pytest.mark.parametrize("model", ["es4_lr", "espico", "nexus1"])
def test_other_models_say_who_they_are(bench: Any, model: str) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock, model=model) as b:
            await b.host.send("t\n")
            assert (await b.host.lines(2))[0].startswith("t" + model)
            await b.host.send("CM\n")
            bits = (await b.host.line()).removeprefix("CM")
            assert bool(int(bits, 16) >> 67 & 1) is (model != "espico")

    run_virtual(main)


def test_idle_answers_and_a_tenth_of_a_second_of_deafness(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            for command, answer in (("Z", "Z!0006"), ("Y", "Y!0006"), ("h", "h!0006"), ("r", "r!000C"), ("q", "q!0003"), ("G7F", "G!0004")):
                await b.host.send(f"{command}\n")
                assert await b.host.line() == answer
                await b.host.send("i\n")
                assert await b.host.quiet(0.09) == b""
                await clock.sleep(0.02)
            await b.host.send("i\n")
            assert (await b.host.line()).startswith("i")
            await b.host.send("\ni\r\n")
            assert (await b.host.line()).startswith("i")

    run_virtual(main)


def test_registers_and_flash(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            await b.host.send("S0801\nG08\n")
            assert await b.host.lines(2) == ["S", "G0801"]
            await b.host.send('l\nsend_string "stored"\n\n')
            assert await b.host.line() == "l"
            await b.host.send("Fmscr\n")
            assert await b.host.line() == "Fmscr"
            await b.host.send("l\nwait 1\n\n")
            assert await b.host.line() == "l"
            await b.host.send("Lmscr\nr\n")
            assert await b.host.lines(4) == ["Lmscr", "r", "Tstored", ""]

    run_virtual(main)


def test_canonical_ocv(bench: Any, repository: Path) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            started = clock.mono_ns()
            stream = await b.host.run(script(repository, "ocv"))
            assert stream[:2] == ["M000B", "Peb80F4240u;ab8387520u,10,206"]
            assert stream[-1] == "*"
            assert len(stream) == 602
            assert clock.mono_ns() - started == 600 * 10**9

    run_virtual(main)


def test_canonical_constant_current_ends_on_its_lower_voltage(bench: Any, repository: Path) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            b.twin.rest_V, b.twin.capacity_F = 2.6, 10.0
            stream = await b.host.run(script(repository, "cc"))
            # E = 2.6 - 0.05 - t * 50 µV: 2.5 V after 1000 s
            packages = [line for line in stream if line.startswith("P")]
            assert stream[0] == "M000A"
            assert stream[-2:] == ["*", "TSTEP_END 3"]
            assert len(packages) in {1000, 1001}
            first = packages[0][1:].split(";")
            assert [field[:2] for field in first] == ["eb", "ab", "db", "ja"]
            assert [number(field) for field in first] == pytest.approx([1.0, 2.54995, -5e-4, -5e-4])
            assert number(packages[-1][1:].split(";")[3]) == pytest.approx(-0.5, abs=6e-4)
            assert not b.emulator.cell_on
            assert b.emulator.front_end.gpio_level == 0
            assert b.twin.charge_C() == pytest.approx(-0.5, abs=6e-4)

    run_virtual(main)


def test_constant_current_ends_on_charge(bench: Any, repository: Path) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            stream = await b.host.run(script(repository, "cc").replace("q <= -18", "q <= -180m"))
            assert stream[-1] == "TSTEP_END 4"
            assert sum(line.startswith("P") for line in stream) in {360, 361}

    run_virtual(main)


def test_canonical_constant_voltage_tapers(bench: Any, repository: Path) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            b.twin.rest_V, b.twin.capacity_F = 4.195, 0.5
            stream = await b.host.run(script(repository, "cv"))
            fields = [line[1:].split(";") for line in stream if line.startswith("P")]
            assert stream[0] == "M0007"
            assert [field[:2] for field in fields[0]] == ["eb", "da", "ba"]
            assert fields[0][1] == "da8401640u"
            assert number(fields[-1][2]) <= 25e-6 < number(fields[-2][2])
            assert fields[0][2].endswith(",10,212")
            assert fields[-1][2].endswith(",10,212")

    run_virtual(main)


def test_z_closes_the_loop_and_runs_on_finished(bench: Any, repository: Path) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            await b.host.send("e\n" + script(repository, "cc") + "\n\n")
            await clock.sleep(5.5)
            assert b.emulator.cell_on
            await b.host.send("Z\n")
            lines = ["e", *await b.host.until_empty()][1:]
            assert lines[0] == "e"
            assert lines[-2:] == ["Z", "*"]
            assert not b.emulator.cell_on
            assert clock.mono_ns() == pytest.approx(5.5e9)

    run_virtual(main)


def test_y_ends_only_the_measurement_loop(bench: Any, repository: Path) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            await b.host.send("e\n" + script(repository, "cc") + "\n\n")
            await clock.sleep(2.5)
            await b.host.send("Y\n")
            lines = await b.host.until_empty()
            assert lines[-3:] == ["Y", "*", "TSTEP_END 1"]

    run_virtual(main)


def test_halt_leaves_the_cell_polarised_and_resume_goes_on(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            await b.host.send("e\n" + LOOP + "\n\n")
            await clock.sleep(2.2)
            await b.host.send("h\n")
            await clock.sleep(10)
            assert b.emulator.cell_on
            assert (await b.host.lines(6))[-2:] == ["h", "Peb82DC6C0u;ab8401642u,10,206"]
            await b.host.send("H\n")
            assert await b.host.line() == "H"
            rest = await b.host.until_empty()
            assert [number(line[1:]) for line in rest[:-1]] == pytest.approx([13.2, 14.2])

    run_virtual(main)


LOOP = """\
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
on_finished:
cell_off"""


def test_other_commands_while_running_are_refused(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            await b.host.send("e\n" + LOOP + "\n\nt\n")
            assert await b.host.lines(3) == ["e", "M000A", "t!0006"]
            await b.host.send("Z\n")
            await clock.sleep(0.5)
            assert b.emulator.running
            await b.host.send("Z\n")
            assert (await b.host.until_empty())[0] == "Z"

    run_virtual(main)


def test_a_runtime_error_leaves_the_cell_on_and_skips_on_finished(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock, empty_line_after_error=True) as b:
            bad = LOOP.replace("timer_get t", "div_var t i\nsub_var i i\ndiv_var t i")
            await b.host.send(f"e\n{bad}\n\n")
            lines = await b.host.until_empty()
            assert lines == ["e", "M000A", "!0028: Line 11"]
            assert b.emulator.cell_on
            assert not b.emulator.running
            await clock.sleep(0.2)
            assert await b.host.run("cell_off") == []
            assert not b.emulator.cell_on

    run_virtual(main)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("set_pgstat_mode 3\nset_e 3\ncell_on\nvar p\nmeas_loop_ocp p 1 5\nendloop", "!0014: Line 5"),
        ("set_pgstat_mode 3\nset_e 7", "!000F: Line 2"),
        ("set_pgstat_mode 9", "!0021: Line 1"),
        ("cell_on", "!0023: Line 1"),
        ("var p\nvar i\nset_pgstat_mode 6\nmeas_loop_cp p i 1m 1 5\nendloop", "!4027: Line 4"),
        ("var p\nvar i\nset_pgstat_mode 3\ncell_on\nmeas_loop_cp p i 1m 1 5\nendloop", "!0023: Line 5"),
        ("var a\ndiv_var a a", "!0028: Line 2"),
        ("var a\nlog_var a 10", "!0010: Line 2"),
        ("array a 3i\nwait a[3i]", "!400F: Line 2"),
        ("var a\npck_add a", "!401B: Line 2"),
        ("set_script_output 7", "!403C: Line 1"),
        ("var p\nset_pgstat_mode 3\nmeas_loop_ocp p 0 5\nendloop", "!4204: Line 3"),
        ("set_i 1", "!4205: Line 1"),
    ],
)
def test_runtime_errors(bench: Any, body: str, error: str) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock, empty_line_after_error=True) as b:
            assert (await b.host.run(body))[-1] == error

    run_virtual(main)


def test_a_pico_refuses_the_galvanostat_at_run(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock, model="espico", empty_line_after_error=True) as b:
            assert await b.host.run("set_pgstat_mode 6") == ["!0021: Line 1"]

    run_virtual(main)


def test_a_zero_ends_in_a_space_on_the_wire(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            script = "var a\nvar n\nstore_var n 0i ja\npck_start\npck_add a\npck_add n\npck_end"
            assert await b.host.run(script) == ["Pja8000000 ;ja8000000i"]
            assert await b.host.run(script.replace("\npck_add n", "")) == ["Pja8000000 "]

    run_virtual(main)


def test_arithmetic_on_both_kinds_of_numbers(bench: Any) -> None:
    script = """\
var a
var n
store_var a 1500m ja
store_var n 7i ja
add_var n 3i
div_var n 4i
send_string f"{n}"
mul_var n a
send_string f"{n}"
pow_var a 2
send_string f"{a}"
float_to_int a
bit_lsl_var a 2i
bit_or_var a 0b1
send_string f"{a}"
mod_var a 5i
send_string f"{a}"
log_var n 3
send_string f"{n}\""""

    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            assert await b.host.run(script) == ["T2", "T3", "T2.25", "T9", "T4", "T1"]

    run_virtual(main)


def test_waiting_pacing_and_digital_lines(bench: Any) -> None:
    script = """\
var t
var g
timer_start
set_int 200m
wait 50m
await_int
timer_get t
send_string f"{t}"
await_int
timer_get t
send_string f"{t}"
set_gpio_cfg 0b11 1
set_gpio 0b101
set_gpio_pullup 0b1000 1
get_gpio g
send_string f"{g}\""""

    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            assert await b.host.run(script) == ["T0.2", "T0.4", "T9"]
            assert b.emulator.front_end.gpio_level == 1

    run_virtual(main)


def test_a_load_error_moves_nothing(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            await b.host.send("l\nvar a\nfrobnicate a\n\n")
            assert await b.host.line() == "l!4001: Line 2, Col 1"
            await clock.sleep(0.2)
            await b.host.send("r\n")
            assert await b.host.line() == "r!000C"
            assert b.twin.calls == []

    run_virtual(main)


def test_resynchronisation_recipe_ends_a_half_sent_script(bench: Any) -> None:
    async def main(clock: Any) -> None:
        async with bench(clock) as b:
            await b.host.send("l\nvar a\nwai")
            await b.host.send("\n\nZ\n")
            assert await b.host.line() == "l!4001: Line 2, Col 1"
            await clock.sleep(0.2)
            await b.host.send("\nZ\n")
            assert await b.host.line() == "Z!0006"

    run_virtual(main)
