"""Numbers, packages and the errors a load answers, line and column included."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from drivers.methodscript.interpreter import language
from drivers.methodscript.interpreter.language import ScriptError, Variable, encode, field, parse_number
from drivers.methodscript.interpreter.models import MODELS
from drivers.methodscript.interpreter.program import compile_script

HR = MODELS["es4_hr"]


def golden_values(repository: Path) -> list[list[str]]:
    lines = (repository / "tests/golden/methodscript_emulator/values.tsv").read_text().splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def test_every_golden_value_is_encoded_to_its_published_bytes(repository: Path) -> None:
    rows = golden_values(repository)
    assert len(rows) > 20
    assert [encode(float(number), integer=kind == "i") for kind, number, _, _ in rows] == [row[2] for row in rows]


def test_the_smallest_prefix_that_holds_the_number_is_taken() -> None:
    assert encode((2**27 - 1) * 1e-6) == "FFFFFFFu"
    assert encode(2**27 * 1e-6) == "8020C4Am"
    assert encode(1e30) == "     nan"


@pytest.mark.parametrize("power", range(-21, 30))
def test_the_smallest_prefix_that_holds_a_number_is_taken(power: int) -> None:
    for digits in (1.0, 1.3421772, 1.34217275, 1.34217279, 1.3421728, 9.9999999):
        number = digits * 10.0**power
        raws = [(prefix, round(number * scale)) for prefix, scale in language._SCALES]
        expected = next((f"{raw + 2**27:07X}{prefix}" for prefix, raw in raws if raw < 2**27), "     nan")
        assert encode(number) == expected
        if expected.strip() not in {"nan", "8000000a"}:
            assert encode(-number)[-1] == expected[-1]


def test_metadata_follows_a_measured_value_and_only_that() -> None:
    assert field(Variable(-57.847747e-6, "ba", status=0, range_index=0x88)) == "ba48D503Dp,10,288"
    assert field(Variable(2.799987e-9, "ba", status=4, range_index=0x84)) == "ba82AB973f,14,284"
    assert field(Variable(3.0, "ja", integer=True)) == "ja8000003i"


@pytest.mark.parametrize(
    ("text", "number", "integer"),
    [
        ("4200m", 4.2, False),
        ("-500u", -5e-4, False),
        ("5i", 5, True),
        ("0x1F", 31, True),
        ("0b101", 5, True),
        ("36000", 36000, False),
        ("2k", 2000, False),
    ],
)
def test_literals(text: str, number: float, integer: bool) -> None:
    found = parse_number(text)
    assert found is not None
    assert math.isclose(found.number, number)
    assert found.integer is integer


def rejection(*lines: str, model: str = "es4_hr") -> str:
    with pytest.raises(ScriptError) as caught:
        compile_script(lines, MODELS[model])
    return caught.value.text()


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (("var a", "vra b"), "!4001: Line 2, Col 1"),
        (("  frobnicate",), "!4001: Line 1, Col 3"),
        (("var a", "store_var a 1.5 ja"), "!4004: Line 2, Col 14"),
        (("var a", "if a ? 2", "endif"), "!4004: Line 2, Col 6"),
        (("var a", "wait"), "!4004: Line 2, Col 5"),
        (("var a", "loop a < 1", "wait 1"), "!4018: Line 3, Col 7"),
        (("var a", "if a < 1"), "!4018: Line 2, Col 9"),
        (("var p", "meas_loop_ocp p 1 5", "meas_loop_ocp p 1 5", "endloop", "endloop"), "!400B: Line 3, Col 1"),
        (("store_var x 1 ja",), "!420B: Line 1, Col 11"),
        (("var a", "add_var a b"), "!420B: Line 2, Col 11"),
        (('send_string f"ab{y}"',), "!420B: Line 1, Col 18"),
        (("var a", "var a"), "!4026: Line 2, Col 5"),
        (("wait 1 2",), "!420A: Line 1, Col 8"),
        (("cell_on kick(1)",), "!4008: Line 1, Col 9"),
        (("endif",), "!400E: Line 1, Col 1"),
        (("breakloop",), "!400E: Line 1, Col 1"),
        (("var a", "add_var 3 a"), "!420D: Line 2, Col 9"),
        (("wait 12q",), "!4039: Line 1, Col 6"),
        (("var a", "store_var a 1 zz"), "!4209: Line 2, Col 15"),
        (("array a 5i", "wait a"), "!420E: Line 2, Col 6"),
        (("var p", "meas_loop_ocp p 1 5", "set_e 1", "endloop"), "!4032: Line 3, Col 1"),
        (("var p", "meas_loop_ocp p 1 5", "set_i 1", "endloop"), "!4033: Line 3, Col 1"),
        (("var p", 'send_string f"a {p"'), "!4210: Line 2, Col 17"),
        (("x" * 256,), "!0008: Line 1, Col 256"),
    ],
)
def test_a_load_says_what_is_wrong_and_where(lines: tuple[str, ...], text: str) -> None:
    assert rejection(*lines) == text


def test_a_pico_has_no_galvanostat() -> None:
    script = ("var p", "var i", "meas_loop_cp p i 1m 1 5", "endloop")
    assert rejection(*script, model="espico") == "!001B: Line 3, Col 1"
    compile_script(script, HR)


def test_a_script_too_large_is_refused() -> None:
    assert rejection(*["wait 1"] * 20_000).startswith("!4005")


@pytest.mark.parametrize("name", ["ocv", "cc", "cv"])
def test_the_canonical_scripts_compile(repository: Path, name: str) -> None:
    lines = (repository / f"tests/golden/methodscript_emulator/{name}.mscr").read_text().splitlines()[1:]
    assert len(compile_script(lines, HR).instructions) > 10
