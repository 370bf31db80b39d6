"""A narrow line must survive the few columns of a terminal."""

from __future__ import annotations

import numpy as np

from orchestrator.monitor.braille import draw, extremes


def test_one_point_of_sixteen_thousand_stands_out() -> None:
    values = np.zeros(16384)
    values[5000] = 1.0
    lines = draw(values, 72, 8)
    assert [len(line) for line in lines] == [72] * 8
    column = 5000 * 144 // 16384 // 2
    assert lines[0][column] != chr(0x2800)
    assert sum(character != chr(0x2800) for character in lines[0]) == 1


def test_extremes_keep_both_sides() -> None:
    low, high = extremes(np.array([0.0, 5.0, -3.0, 1.0]), 2)
    assert low.tolist() == [0.0, -3.0]
    assert high.tolist() == [5.0, 1.0]


def test_flat_empty_and_short_curves_are_drawn() -> None:
    assert len(draw(np.full(3, 2.0), 10, 4)) == 4
    assert draw(np.array([]), 5, 2) == ["     ", "     "]
    assert draw(np.array([np.nan]), 5, 1) == ["     "]


def test_a_rising_line_goes_up() -> None:
    lines = draw(np.linspace(0.0, 1.0, 100), 10, 3)
    assert lines[0].strip(chr(0x2800)) == lines[0][-4:].strip(chr(0x2800))
    assert lines[2][0] != chr(0x2800)
    assert lines[0][0] == chr(0x2800)
