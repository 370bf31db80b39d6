"""The screen: everything that matters fits into the window, whatever its height."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from orchestrator.model.columns import pack
from orchestrator.model.events import Event, alarm_line
from orchestrator.monitor.terminal import plain_lines, screen
from orchestrator.monitor.view import View

LONG = "Plate working at 1 mA/cm2 until 0.2 mAh/cm2 or abs(E) 0.45 V or 20 minutes"
COLUMNS = ("mono_ns", "voltage_V", "current_A", "charge_step_C")


def event(seq: int, kind: str, blob: bytes | None = None, **data: Any) -> Event:
    return Event(seq, seq * 1_000_000_000, seq * 1_000_000_000, kind, data, blob)


def samples(seq: int) -> Event:
    columns = {"mono_ns": np.array([seq * 1_000_000_000]), "voltage_V": np.array([0.1]), "current_A": np.array([4e-4])}
    described, blob = pack({**columns, "charge_step_C": np.array([0.5])})
    return event(seq, "ec.block", blob, columns=described, n=1)


def view(steps: int, *alarms: Event) -> View:
    """A run in its last step; those before were ended by their charge."""
    made = View()
    plan = {"expected_s": 5700.0}
    made.feed([event(0, "run.started", name="demo", plan=plan, simulated=True, speed=60.0), event(1, "run.state", to="running")])
    for index in range(steps):
        made.feed([event(2 + 2 * index, "step.started", index=index, text=LONG, cycle=index)])
        if index < steps - 1:
            made.feed([event(3 + 2 * index, "step.ended", reason="charge", detail="")])
    made.feed([samples(2 * steps + 2), event(2 * steps + 3, "fid.block", name="fast", nucleus="7Li", scans=32), *alarms])
    return made


def spectrum(_: Event) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.linspace(500, -200, 400), np.sin(np.linspace(0, 9, 400))


def drawn(seen: View, width: int, height: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, height=height, force_terminal=False).print(screen(seen, spectrum, width, height))
    return file.getvalue().splitlines()


def alarm(seq: int, name: str, level: str = "warn") -> Event:
    text = f"something about {name} that is so long that it takes more than one row of any terminal in the room"
    return event(seq, "alarm.raised", id=name, level=level, title="Something", text=text + "\n  sent: t", advice="look at it")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (120, 40), (200, 60)])
@pytest.mark.parametrize("alarms", [0, 2, 9])
def test_everything_fits_into_the_window(width: int, height: int, alarms: int) -> None:
    lines = drawn(view(12, *(alarm(100 + n, f"a{n}") for n in range(alarms))), width, height)
    assert len(lines) <= height
    said = "\n".join(lines)
    for part in (" demo ", "running", "+100.00 mV", "cell voltage", "newest spectrum: fast, 7Li, 32 scans", "ppm", "done in about"):
        assert part in said
    assert sum("charge" in line for line in lines) >= 1, "some of the steps before"
    assert all(len(line) <= width for line in lines)


def test_of_many_alarms_the_worst_is_seen() -> None:
    worst = alarm(99, "cell-unknown", "critical")
    lines = drawn(view(12, worst, *(alarm(100 + n, f"a{n}") for n in range(20))), 100, 30)
    assert any(line.startswith("critical [cell-unknown] Something: ") for line in lines)
    assert any("more: operando status" in line for line in lines)


def test_a_step_takes_one_row_and_a_high_window_shows_more_of_them() -> None:
    low, high = drawn(view(12), 80, 24), drawn(view(12), 80, 60)
    assert sum("Plate working" in line for line in low) == 3
    assert sum("Plate working" in line for line in high) == 7


def test_what_ended_a_step_is_said_in_words() -> None:
    seen = view(1)
    seen.feed([event(50, "step.ended", reason="skip", detail="skipped by anna")])
    assert any("skipped by anna" in line for line in drawn(seen, 100, 30))


def test_the_end_is_told_by_the_clock_on_the_wall() -> None:
    seen = view(3)
    assert any("0%  9 s of about 1 h 35 min  done in about 1 min 35 s" in line for line in drawn(seen, 100, 30))
    seen.speed = 1.0
    assert any("ends about Thu 01:35" in line for line in drawn(seen, 100, 30))


def test_a_window_without_anything_yet() -> None:
    assert len(drawn(View(), 80, 24)) <= 24


def test_an_alarm_is_one_line_with_what_to_do() -> None:
    data = {"id": "disk", "level": "warn", "title": "The disk is nearly full", "text": "3 MB are free\nmore", "advice": "make room"}
    assert alarm_line(data) == "warn [disk] The disk is nearly full: 3 MB are free; make room"
    seen = view(1, event(60, "alarm.raised", **data))
    assert [line.strip() for line in plain_lines(seen, {"start0"})] == [alarm_line(data)]
