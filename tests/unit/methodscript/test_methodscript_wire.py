"""Bytes ↔ values against the published samples (printed to seven digits), and what must hold for any of them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.methodscript import wire

GOLDEN = Path(__file__).parents[2] / "golden" / "methodscript"


def golden(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((GOLDEN / name).read_text())
    return read


@pytest.mark.parametrize("case", golden("packages.json")["packages"], ids=lambda case: case["line"])
def test_published_packages(case: dict[str, Any]) -> None:
    (package,) = wire.parse_line(case["line"])
    assert isinstance(package, wire.Package)
    read = [[v.kind, v.value, v.status, v.range_index] for v in package.variables]
    assert [[kind, pytest.approx(value, rel=5e-7), *rest] for kind, value, *rest in case["variables"]] == read


def test_noise_is_the_third_meta_field() -> None:
    (package,) = wire.parse_line("Peb9570C36u;ba898E141p,10,20F,40")
    assert isinstance(package, wire.Package)
    assert [variable.noise for variable in package.variables] == [None, 0]


@pytest.mark.parametrize(("value", "field"), golden("numbers.json")["numbers"])
def test_numbers_both_ways(value: float, field: str) -> None:
    assert wire.encode_value(value) == field
    assert wire.decode_value(field) == value


def test_nan_and_the_stripped_zero() -> None:
    assert wire.encode_value(math.nan) == golden("numbers.json")["nan"]
    assert math.isnan(wire.decode_value("     nan"))
    assert wire.decode_value("8000000") == 0.0
    (package,) = wire.parse_line("Peb80F4240u;ab     nan;ba8000000")
    assert isinstance(package, wire.Package)
    assert math.isnan(package.variables[1].value)
    assert package.variables[2].value == 0.0


@pytest.mark.parametrize("case", golden("lines.json")["lines"], ids=lambda case: case["line"] or "empty")
def test_every_kind_of_line(case: dict[str, Any]) -> None:
    (line,) = wire.parse_line(case["line"])
    assert type(line).__name__ == case["is"]
    assert {name: getattr(line, name) for name in case["fields"]} == case["fields"]


def test_echo_glued_to_the_loop_start() -> None:
    assert wire.parse_line("eM000B") == (wire.Echo("e"), wire.LoopStart(0x000B))


def test_firmware_in_two_lines() -> None:
    case = golden("lines.json")["firmware"]
    read = wire.parse_firmware(case["line"])
    assert (read.device, read.version, read.built, read.beta) == (case["device"], case["version"], case["built"], case["beta"])


@pytest.mark.parametrize(("text", "device", "version"), [("espico13#x\nR*", "espico", "1.3"), ("espbl1003#y\nB*", "espbl", "1.0.03")])
def test_firmware_of_others(text: str, device: str, version: str) -> None:
    assert (wire.parse_firmware(text).device, wire.parse_firmware(text).version) == (device, version)


@pytest.mark.parametrize("text", ["", "hello", "es4_hr", "KEITHLEY INSTRUMENTS"])
def test_not_firmware(text: str) -> None:
    with pytest.raises(ValueError, match="firmware"):
        wire.parse_firmware(text)


def test_capability_bits() -> None:
    assert wire.parse_bits("80000001") == {0, 31}
    bits = frozenset({wire.CA, wire.CP, wire.SET_I, 92})
    assert wire.parse_bits(wire.encode_bits(bits)) == bits


def test_meanings() -> None:
    assert wire.meaning(0x0032) == "critical cell overload, measurement aborted"
    assert wire.meaning(0x4207) == "argument error"
    assert wire.meaning(0x0999) == "meaning not known here"


def test_status_is_that_of_all_variables() -> None:
    (package,) = wire.parse_line("Pab8387520u,12,206;ba807A120n,18")
    assert isinstance(package, wire.Package)
    assert package.status == wire.OVERLOAD | wire.OVERLOAD_WARNING


@given(st.floats(-1e12, 1e12).filter(lambda x: x == 0 or abs(x) > 1e-15))
def test_encoding_is_within_half_a_count_and_the_finest_possible(value: float) -> None:
    field = wire.encode_value(value)
    assert abs(wire.decode_value(field) - value) <= 0.5 * wire.resolution_of(field) * (1 + 1e-9)
    prefixes = "".join(wire.PREFIX_POWER)
    finer = prefixes.index(field[7]) - 1
    if value and finer >= 0:
        assert abs(value) / 10.0 ** wire.PREFIX_POWER[prefixes[finer]] >= wire.FULL_SCALE * (1 - 1e-9)


@given(st.integers(-(1 << 27) + 1, (1 << 27) - 1))
def test_integers_are_exact(value: int) -> None:
    assert wire.decode_value(wire.encode_integer(value)) == value


STREAM = b"\x11e\r\nM000B\nPeb80F4240u;ab8387520u,10,206\nPeb8000000 ;ab8000000 \n*\n\n"
LINES = ["e", "M000B", "Peb80F4240u;ab8387520u,10,206", "Peb8000000 ;ab8000000 ", "*", ""]


@given(st.lists(st.integers(1, 12)))
def test_any_chunking_gives_the_same_lines(sizes: list[int]) -> None:
    splitter, lines, at = wire.LineSplitter(), [], 0
    for size in [*sizes, len(STREAM)]:
        lines += splitter.feed(STREAM[at : at + size])
        at += size
    assert lines == LINES
    assert splitter.rest == ""


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    splitter = wire.LineSplitter()
    lines = [line for _ in range(10) for line in splitter.feed(b"x" * 1000)]
    assert len(splitter.rest) <= wire.LONGEST_LINE
    assert "".join(lines) + splitter.rest == "x" * 10_000


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_any_line_is_something(text: str) -> None:
    assert wire.parse_line(text)


PIECES = (
    "ab806F47Fu,11,204",
    "ab806F47Fu",
    "eb8000001 ",
    "eb8000001",
    "ja     nan,10",
    "xxab8000000m",
    "ab8000000m,1\n2",
    "Ab8000000 ",
    "ab80",
    "",
)


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=5))
def test_a_package_is_its_variables_one_by_one(pieces: list[str]) -> None:
    try:
        expected: object = wire.Package(tuple(wire.parse_variable(piece) for piece in pieces))
    except ValueError:
        expected = wire.Garbage("P" + ";".join(pieces))
    assert repr(wire.parse_line("P" + ";".join(pieces))) == repr((expected,))
