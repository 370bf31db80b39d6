"""What holds after a short, what is asked where there was none, and in what state and with what words the cell is left."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Live = Callable[..., Any]
FILE = """
version: 1
experiment: shorted
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 1}
protocol:
  - {step: Plate working at 1 mA/cm2 for 4 minutes}
  - {name: after, at: open circuit, nmr: [fast], if_no_short: ask a person}
  - {step: Strip working at 1 mA/cm2 for 2 minutes}
rules:
  - {name: short, when: abs(E) < 0.2 * abs(I) * R_eis, for: 3 samples, not_after_edge_s: 5, do: [open circuit, tag, end step]}
interlocks: {hard short: off}
after_short: {current: never again in this run, cell: do not move}
at_end: {cell: open circuit after strip, label: for ex situ MAS, attach: [XCT, notes.txt, scans]}
"""


def shorting(night: Any) -> None:
    night.twin.befall("hard_short_on_reversal")


async def resumes(night: Any) -> None:
    await night.until("alarm.raised", id="question")
    await asyncio.sleep(600.0)
    assert (await night.command("resume")).ok


def test_after_a_short_no_current_flows_and_nobody_is_asked(live: Live) -> None:
    first = "  - {step: Plate working at 1 mA/cm2 for 4 minutes}\n"
    night = live(FILE.replace(first, first.replace("Plate", "Strip") + first, 1), before=shorting)
    assert night.outcome.exit_code == 0
    (fired,) = night.of("rule.fired", rule="short")
    assert "tag" in fired.data["actions"]
    later = [event.data["mode"] for event in night.of("step.started") if event.seq > fired.seq]
    assert later == ["rest"], "the list at open circuit, and nothing with current"
    assert not night.of("alarm.raised", id="question")
    (moved,) = night.of("alarm.raised", id="after-short")
    assert "do not move" in moved.data["text"]
    (left,) = night.of("alarm.raised", id="left-after")
    assert "after plate, not after strip" in left.data["text"]


def test_without_a_short_a_person_is_asked_and_the_cell_waits_at_open_circuit(live: Live) -> None:
    night = live(FILE, during=resumes)
    assert night.outcome.exit_code == 0
    (asked,) = night.of("alarm.raised", id="question")
    assert night.of("alarm.cleared", id="question")
    waiting = next(event for event in night.of("step.started") if event.seq > asked.seq)
    assert waiting.data["mode"] == "rest"
    ended = night.of("step.ended", key=waiting.data["key"])[0]
    assert ended.data["duration_s"] == pytest.approx(600.0, abs=5.0)
    assert night.of("step.started")[-1].data["verb"] == "strip"
    assert [event.data["text"] for event in night.of("note") if "left after" in event.data["text"]] == ["the cell is left after: strip"]


def test_a_run_may_end_where_no_short_has_happened(live: Live) -> None:
    night = live(FILE.replace("ask a person", "stop"))
    assert (night.outcome.exit_code, night.outcome.outcome) == (0, "as planned")
    assert "no short" in night.outcome.reason
    assert len(night.of("step.started")) == 1


def test_label_and_files_of_others_stand_in_the_journal(live: Live, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a dent on the left\n", encoding="utf-8")
    (tmp_path / "scans" / "day 1").mkdir(parents=True)
    (tmp_path / "scans" / "day 1" / "slice.tif").write_bytes(b"II*\x00")
    night = live(FILE.replace("ask a person", "continue"), beside=tmp_path)
    assert night.of("label")[0].data == {"label": "for ex situ MAS", "cell": "C1"}
    expected, notes, scans = [event.data for event in night.of("attachment")]
    assert expected["files"] == []
    assert "expected later" in expected["why"]
    assert notes["files"] == [{"name": "notes.txt", "size": 19, "sha256": hashlib.sha256(b"a dent on the left\n").hexdigest()}]
    assert scans["files"][0]["name"] == "day 1/slice.tif"
    assert (night.folder / scans["folder"] / "day 1" / "slice.tif").read_bytes() == b"II*\x00"


OPENS = """
version: 1
experiment: opened
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  long: {template: 7Li_metal, recycle_s: 2, scans: 120, dummies: 1}
protocol:
  - {step: Plate working at 1 mA/cm2 for 4 minutes, nmr: {long: at start}}
  - {step: Strip working at 1 mA/cm2 for 2 minutes}
rules:
  - {name: short, when: abs(E) > 1 mV, for: 30 samples, do: [open circuit, end step]}
after_short: {current: never again in this run}
at_end: {cell: open circuit}
"""


@pytest.mark.parametrize("waits", ["", "keep current", "at last voltage"])
def test_neither_what_follows_in_the_program_nor_a_wait_drives_current_after_a_short(live: Live, waits: str) -> None:
    night = live(OPENS.replace("at start}}", f"at start}}, wait_for_nmr: '{waits}'}}") if waits else OPENS)
    assert night.outcome.exit_code == 0
    fired = night.of("rule.fired", rule="short")[0]
    assert {event.data["mode"] for event in night.of("step.started") if event.seq > fired.seq} <= {"rest"}
    assert any("no current flows any more" in event.data["text"] for event in night.of("note"))
