"""The instrument's SCPI: forms, paths, quotes, errors; what independent clients were seen to send (potentiostats.md 2.7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from drivers.keithley.smu.language import Complaint, commands, parse

Play = Callable[..., Any]

PYMEASURE = """SOUR:FUNC CURR | SOUR:CURR:RANG:AUTO 0 | SOUR:CURR:RANG 0.001 | SOUR:CURR:VLIM 4.5 | OUTP:CURR:SMOD HIMP
 | SENS:FUNC 'VOLT' | SENS:VOLT:NPLC 1.000000 | SENS:VOLT:RANG:AUTO 0 | SENS:VOLT:RANG 21
 | SENS:RES:RSENSE 1 | SOUR:CURR:LEV 0.0005 | OUTPUT ON"""
LABMCP = """SOUR:FUNC CURR | SOUR:CURR:RANG 0.001 | SOUR:CURR:LEV 0.0005 | SOUR:CURR:READ:BACK ON | SENS:FUNC "VOLT"
 | SENS:VOLT:RANG:AUTO ON | SENS:VOLT:NPLC 1 | SOUR:CURR:VLIM 4.5 | SENS:COUN 1 | SENS:VOLT:RSEN ON | SENS:CURR:RSEN ON | OUTP ON"""


@pytest.mark.parametrize(
    ("header", "path"),
    [
        (":SOURce1:VOLTage:ILIMit:LEVel", "SOUR:VOLT:ILIM"),
        ("sour:volt:ilim", "SOUR:VOLT:ILIM"),
        ("source:current:level:immediate:amplitude", "SOUR:CURR"),
        (":CURR:NPLC", "SENS:CURR:NPLC"),
        ("Output:State", "OUTP:STAT"),
        (":TRIG:BLOC:BRAN:LIM:CONS", "TRIG:BLOC:BRAN:LIM:CONS"),
        ("*idn", "*IDN"),
    ],
)
def test_one_command_in_many_spellings(header: str, path: str) -> None:
    command, _ = parse(f"{header}?", ())
    assert (command.path, command.query) == (path, True)


def test_the_path_is_remembered_along_a_line() -> None:
    path: tuple[str, ...] = ()
    found = []
    for text in commands(':SOUR:CURR:RANG 0.001;VLIM 4.5;*WAI;LEV 5e-4;:SENS:FUNC "VOLT;A"'):
        command, path = parse(text, path)
        found.append((command.path, command.arguments))
    assert found == [
        ("SOUR:CURR:RANG", ("0.001",)),
        ("SOUR:CURR:VLIM", ("4.5",)),
        ("*WAI", ()),
        ("SOUR:CURR", ("5e-4",)),
        ("SENS:FUNC", ('"VOLT;A"',)),
    ]


@pytest.mark.parametrize("header", ["SOUR:VOLTS", "SOU:VOLT", "SOUR2:VOLT", ":", "SOUR:VOLT!"])
def test_what_is_no_header(header: str) -> None:
    with pytest.raises(Complaint) as told:
        parse(f"{header} 1", ())
    assert told.value.code == -113


def test_a_line_is_a_number_of_its_own() -> None:
    command, _ = parse(":DIGital:LINE3:MODE DIG,OUT", ())
    assert (command.path, command.number, command.arguments) == ("DIG:LINE:MODE", 3, ("DIG", "OUT"))


def test_identity_and_what_a_fresh_instrument_says(play: Play) -> None:
    async def scene(b: Any) -> None:
        assert await b.ask("*IDN?") == "KEITHLEY INSTRUMENTS,MODEL 2450,04096331,1.7.12b"
        assert await b.ask("*LANG?") == "SCPI"
        assert int(await b.ask("*ESR?")) & 128
        assert int(await b.ask("*ESR?")) & 128 == 0, "read once"
        assert await b.ask(":OUTP?") == "0"
        assert await b.ask(":TRIG:STAT?") == "EMPTY;EMPTY;0"
        assert (await b.numbers(":SOUR:VOLT:ILIM?")) == [1.05e-4]
        assert await b.error() == 0

    play(scene)


def test_a_wrong_command_stops_its_line_and_says_so(play: Play) -> None:
    async def scene(b: Any) -> None:
        await b.send(":SOUR:FUNC CURR;:NONSENSE 1;:SOUR:CURR 5e-4")
        assert (await b.numbers(":SOUR:CURR?")) == [0.0]
        assert await b.ask(":SOUR:FUNC?") == "CURR"
        assert await b.ask(":SYST:ERR:COUN?") == "1"
        said = await b.ask(":SYST:ERR?")
        assert said.startswith('-113,"Undefined header;1;')
        assert await b.error() == 0
        for wrong, code in (
            (":SOUR:CURR", -109),
            (":SOUR:CURR x", -104),
            (":SOUR:CURR 9", -222),
            (":OUTP maybe", -224),
            (":SOUR:CURR:VLIM 0.001", -222),
        ):
            await b.send(wrong)
            assert await b.error() == code, wrong

    play(scene)


def test_several_answers_to_one_line(play: Play) -> None:
    async def scene(b: Any) -> None:
        assert await b.ask("*LANG?;:OUTP?;:SENS:FUNC?") == 'SCPI;0;"CURR:DC"'

    play(scene)


@pytest.mark.parametrize("dialogue", [PYMEASURE, LABMCP], ids=["pymeasure", "labmcp"])
def test_dialogues_of_independent_clients(play: Play, dialogue: str) -> None:
    async def scene(b: Any) -> None:
        await b.send(*(line.strip() for line in dialogue.split("|")))
        assert await b.error() == 0
        (voltage_V,) = await b.numbers("READ?")
        four_wires = "RSEN ON" in dialogue
        assert voltage_V == pytest.approx(3.05 + (0 if four_wires else 0.4 * 5e-4), abs=1e-5), "one of them measures with two wires"
        await b.send("OUTP OFF")
        assert await b.ask("OUTP?") == "0"
        assert not b.twin.output_on

    play(scene)


def test_a_range_that_moves_a_limit_is_only_a_warning(play: Play) -> None:
    async def scene(b: Any) -> None:
        await b.send(":SOUR:VOLT:ILIM 1", ":SOUR:VOLT:RANG 200")
        assert (await b.numbers(":SOUR:VOLT:ILIM?")) == [0.105]
        assert await b.error() == 0
        assert '";' not in (said := await b.ask(":SYST:EVEN:NEXT?"))
        assert said.startswith('5060,"Source limit changed')
        await b.send(":SOUR:VOLT:RANG 2", ":SOUR:VOLT 3")
        assert await b.error() == -222, "beyond a fixed range"
        await b.send(":SENS:VOLT:RANG 200", ":SOUR:CURR:VLIM 0.1")
        assert await b.error() == -221, "below a thousandth of the measuring range"

    play(scene)
