"""Data, messages and codes of the DLL: rows from the reference, section 3.3."""

from __future__ import annotations

import cmath
import math
from dataclasses import replace

import pytest
from biologic_bench import bits

from drivers.biologic import wire
from drivers.biologic.eclib import CODES, STATE_RUN, CurrentValues, DataInfos
from drivers.biologic.wire import Family
from drivers.errors import BadReply
from drivers.stream.rows import Point, Row

VALUES = CurrentValues(TimeBase=2e-5)


def infos(technique: int, columns: int, rows: int = 1, process: int = 0) -> DataInfos:
    return DataInfos(NbRows=rows, NbCols=columns, TechniqueID=technique, ProcessIndex=process)


def test_the_row_of_the_reference() -> None:
    (found,) = wire.decode((0, 50000, 0x406CCCCD, 0x3A03126F, 0), infos(155, 5), VALUES)
    assert found == Row(1.0, pytest.approx(3.7), pytest.approx(5e-4))


def test_a_long_time_goes_on_in_the_high_word() -> None:
    (found,) = wire.decode((1, 0, bits(3.7), bits(0.0), 0), infos(157, 5), VALUES)
    assert found.time_s == pytest.approx(2**32 * 2e-5)


def test_an_open_circuit_has_no_current_and_two_widths() -> None:
    narrow, wide = (0, 50000, bits(3.7)), (0, 50000, bits(3.7), bits(0.1))
    assert wire.decode(wide, infos(100, 4), VALUES) == (Row(1.0, pytest.approx(3.7), 0.0),)
    singles = {bits(3.7): 3.7}
    assert wire.decode(narrow, infos(100, 3), VALUES, Family.VMP300, singles) == (Row(1.0, 3.7, 0.0),)
    with pytest.raises(BadReply, match="another family"):
        wire.decode(narrow, infos(100, 3), VALUES, Family.VMP3)


def test_the_counter_electrode_is_that_of_the_answer_while_it_still_is_that_of_the_row() -> None:
    words = (0, 25000, bits(3.7), bits(5e-4), 0, 0, 50000, bits(3.8), bits(5e-4), 0)
    runs = replace(VALUES, State=STATE_RUN, Ece=0.15, ElapsedTime=1.1)
    old, fresh = wire.decode(words, infos(155, 5, 2), runs, counter=True)
    assert math.isnan(old.ce_V or 0.0)
    assert fresh.ce_V == 0.15
    (over,) = wire.decode(words[5:], infos(155, 5), replace(runs, State=0), counter=True)
    assert math.isnan(over.ce_V or 0.0), "the circuit is open by now"
    assert wire.decode(words, infos(155, 5, 2), runs)[1].ce_V is None, "Ref is on the counter electrode"


def test_a_rest_of_the_vmp3_family_records_its_own() -> None:
    wide = (0, 50000, bits(3.7), bits(0.125))
    assert wire.decode(wide, infos(100, 4), VALUES, counter=True) == (Row(1.0, pytest.approx(3.7), 0.0, ce_V=0.125),)


def test_only_singles_are_given_to_the_dll_to_convert() -> None:
    words = (0, 50000, 11, 22, 3, 0, 100000, 33, 22, 3)
    assert wire.words_to_convert(words, infos(155, 5, 2), Family.VMP300) == {11, 22, 33}
    assert wire.words_to_convert((), infos(155, 5, 0), Family.VMP300) == frozenset()
    found = wire.decode(words, infos(155, 5, 2), VALUES, Family.VMP300, {11: 1.0, 22: 2.0, 33: 3.0})
    assert [one.voltage_V for one in found] == [1.0, 3.0]


def test_a_point_of_a_sweep_is_an_impedance() -> None:
    numbers = [100.0, 0.02, 1e-4, -0.5, 3.7, 0.0, 0, 0.0, 0.0, 0.0, 0.0, 0, 0, 12.5, 0.0]
    words = tuple(one if isinstance(one, int) else bits(one) for one in numbers)
    (found,) = wire.decode(words, infos(107, 15, process=1), VALUES)
    assert isinstance(found, Point)
    assert found.impedance_ohm == pytest.approx(cmath.rect(200.0, -0.5), rel=1e-6)
    assert (found.frequency_Hz, found.time_s, found.voltage_V) == (100.0, 12.5, pytest.approx(3.7))
    assert len(wire.decode(words[:14], infos(104, 14, process=1), VALUES, Family.VMP300, dict.fromkeys(words, 1.0))) == 1


def test_a_point_without_current_is_not_a_number() -> None:
    (found,) = wire.decode((0,) * 15, infos(107, 15, process=1), VALUES)
    assert isinstance(found, Point)
    assert math.isnan(found.impedance_ohm.real)


@pytest.mark.parametrize("technique", [150, 151, 152, 153])
def test_triggers_and_loops_bring_no_samples(technique: int) -> None:
    assert wire.decode((1, 2), infos(technique, 2), VALUES) == ()


@pytest.mark.parametrize(
    ("words", "found", "values"),
    [
        ((1, 2, 3), infos(155, 5), VALUES),
        ((1,) * 10, infos(155, 5, 3), VALUES),
        ((1,) * 5, infos(155, 5, -1), VALUES),
        ((1,) * 5, infos(999, 5), VALUES),
        ((1,) * 5, infos(104, 5, process=7), VALUES),
        ((1,) * 5, infos(155, 5), CurrentValues(TimeBase=0.0)),
        ((1,) * 5, infos(155, 5), CurrentValues(TimeBase=math.nan)),
        ((1.5, "x", None, 1, 1), infos(155, 5), VALUES),
    ],
)
def test_what_are_no_rows(words: tuple[int, ...], found: DataInfos, values: CurrentValues) -> None:
    with pytest.raises(BadReply):
        wire.decode(words, found, values)


def test_messages_are_one_line_and_some_refuse() -> None:
    text = wire.message(b"cannot load experiment\r\nafter make\x00rubbish")
    assert text == "cannot load experiment after make"
    assert wire.refuses(text)
    assert not wire.refuses("technique loaded")
    assert wire.message(b"\xff\x80\x81") != ""


def test_codes_are_told_apart() -> None:
    assert wire.meaning(-308) == f"-308, {CODES[-308]}"
    assert wire.meaning(-999) == "-999"
    assert -200 in wire.LINK
    assert wire.NO_KERNEL.isdisjoint(wire.LINK | {wire.EC_LAB, wire.IN_PROGRESS})
