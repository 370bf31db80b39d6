"""What is said to a Keithley and what its replies mean, against bytes from the document (`tests/golden/keithley`)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from drivers.keithley import wire

GOLDEN = Path(__file__).parents[2] / "golden" / "keithley"
REPLIES: dict[str, Any] = json.loads((GOLDEN / "replies.json").read_text("utf-8"))


@pytest.mark.parametrize("case", REPLIES["identifications"], ids=lambda case: case["reply"])
def test_identifications(case: dict[str, Any]) -> None:
    assert list(wire.parse_identification(case["reply"])) == case["is"]


@pytest.mark.parametrize("case", REPLIES["errors"], ids=lambda case: case["reply"])
def test_errors_by_their_leading_integer(case: dict[str, Any]) -> None:
    assert list(wire.parse_error(case["reply"])) == case["is"]


@pytest.mark.parametrize("case", REPLIES["trigger_states"], ids=lambda case: case["reply"])
def test_states_of_the_trigger_model(case: dict[str, Any]) -> None:
    state = wire.parse_trigger_state(case["reply"])
    assert list(state) == case["is"]
    assert state.active == case["active"]


@pytest.mark.parametrize("case", REPLIES["numbers"], ids=lambda case: case["reply"])
def test_readings(case: dict[str, Any]) -> None:
    found = wire.reading(case["reply"])
    assert math.isnan(found) if case["is"] is None else found == case["is"]


def test_rows_of_the_buffer() -> None:
    (case,) = REPLIES["rows"]
    assert [list(row) for row in wire.parse_rows(case["reply"], 2)] == case["is"]
    with pytest.raises(ValueError, match="12 elements"):
        wire.parse_rows(case["reply"], 3)


def test_the_tag_and_the_window_of_a_listing() -> None:
    case = REPLIES["listing"]
    tag = wire.parse_tag(case["text"])
    assert tag == wire.Tag(*case["tag"])
    assert wire.parse_window(case["text"]) == tuple(case["window"])
    assert wire.parse_tag(f"1) LOG:EVEN INFO1, {tag.text()}") == tag
    assert wire.parse_tag("1) MEAS defbuffer1") is None
    assert wire.parse_window("6) BRAN:LIM:CONS OUT, low, high") is None


def one_row(text: str) -> Any:
    return wire.parse_rows(text, 1)


@pytest.mark.parametrize("text", REPLIES["garbage"])
@pytest.mark.parametrize(
    "parse", [wire.parse_identification, wire.parse_error, wire.parse_trigger_state, wire.parse_switch, wire.parse_word, one_row]
)
def test_what_is_no_reply_is_said_to_be_none(parse: Any, text: str) -> None:
    if (parse is wire.parse_word and text.isalpha()) or (parse is wire.parse_error and text[:1] == "1"):
        return  # words; and of an error message only the leading integer is sure
    with pytest.raises(ValueError, match=r"."):
        parse(text)


@pytest.mark.parametrize(("text", "value"), [("0", False), ("1", True), (" 1 ", True)])
def test_switches(text: str, value: bool) -> None:
    assert wire.parse_switch(text) is value


LOG = ':TRIG:BLOC:LOG:EVEN 1,INFO1,"operando a-1.p2 REST CURR 1000 5"'


@pytest.mark.parametrize("command", ["*IDN?", ":OUTP OFF", ':TRAC:DATA? 1,2,"defbuffer1",READ', LOG])
def test_commands_that_may_be_said(command: str) -> None:
    assert wire.encode(command) == command.encode() + b"\n"


UNSAID = [":OUTP OFF\n:OUTP ON", ":OUTP OFF;:OUTP ON", "OUTP ON", ":OUTP\x00", "", ":SOUR:CURR 1 # x", ":outp on", "*RST!"]


@pytest.mark.parametrize("command", UNSAID)
def test_commands_that_never_are(command: str) -> None:
    with pytest.raises(ValueError, match="cannot be said"):
        wire.encode(command)


@pytest.mark.parametrize("name", ["a b", 'x"', "a;b", "a\n", "", "ä", "k" * 81, "a,b"])
def test_names_that_cannot_stand_in_a_block(name: str) -> None:
    assert not wire.is_name(name)


def test_numbers_as_the_instrument_reads_them() -> None:
    assert [wire.number(value) for value in (4.2, -5e-5, 0.0004, 1e-6, 720.0)] == ["4.2", "-5E-05", "0.0004", "1E-06", "720"]
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="cannot be set"):
            wire.number(value)
