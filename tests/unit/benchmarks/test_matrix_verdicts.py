"""What counts as a wrong status in the fault matrix, and what the cell is asked."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.laboratory import Laboratory
from benchmarks.matrix import FAULTS, SIDES, TITLE, Fault, Seen, STEP_s, UNSAFE_s, _directions, _report, wrong
from benchmarks.measure import rows_on_page
from benchmarks.peers.side import Told

CANCEL = next(one for one in FAULTS if one.name.startswith("user cancel"))
END = next(one for one in FAULTS if one.name == "normal end")
CUT = next(one for one in FAULTS if one.cut)
DONE = {"after_s": 54.0, "first_s": STEP_s, "opposite_s": STEP_s}
HALF = {"after_s": 1.0, "first_s": 7.0}


@pytest.mark.parametrize(
    ("fault", "kind", "what", "is_wrong"),
    [
        (END, "as planned", DONE, False),
        (END, "as planned", {**DONE, "opposite_s": STEP_s - 5}, True),
        (END, "as planned", {**DONE, "still": True}, True),
        (END, "running", DONE, True),
        (CANCEL, "as planned", DONE, True),
        (CANCEL, "ended", HALF, False),
        (CANCEL, "ended", DONE, True),
        (CANCEL, "ended", {"after_s": UNSAFE_s + 1, "first_s": STEP_s}, True),
        (CANCEL, "ended", {**HALF, "still": True}, True),
        (CANCEL, "nothing", DONE, False),
        (CUT, "ended", {"after_s": 60.0, "first_s": 66.0, "still": True}, False),
        (CUT, "as planned", HALF, True),
    ],
)
def test_a_status_is_wrong_where_the_cell_says_otherwise(fault: Fault, kind: str, what: dict[str, Any], is_wrong: bool) -> None:
    assert bool(wrong(Seen(Told(kind, ""), **what), fault)) is is_wrong


def there(folder: Path, *drives: tuple[float, str, float]) -> Laboratory:
    lines = [json.dumps({"real_utc_ns": round(s * 1e9), "t_s": s, "what": "drive", "drive": d, "value": v}) for s, d, v in drives]
    (folder / "truth.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return Laboratory(None, {}, folder)  # type: ignore[arg-type]


def test_leaks_and_held_voltages_are_no_set_current(tmp_path: Path) -> None:
    laboratory = there(tmp_path, (1, "current", -1e-5), (2, "voltage", 0.0), (3, "current", -4e-4), (5, "current", 4e-4), (8, "off", 0.0))
    assert not laboratory.at_current()
    assert laboratory.seconds_at_current(4e9) == pytest.approx(4.0)
    assert _directions(laboratory.stretches()) == pytest.approx((2.0, 3.0))


def test_a_current_that_goes_on_counts_until_now(tmp_path: Path) -> None:
    laboratory = there(tmp_path, (3, "current", 4e-4))
    assert laboratory.at_current()
    assert laboratory.seconds_at_current(3e9) > 1e6
    assert math.isinf(laboratory.stretches()[0].until_ns)


def test_rows_of_an_earlier_day_stay_and_are_counted(tmp_path: Path) -> None:
    seen = {(side, END): Seen(Told("as planned", "done"), 54.0, first_s=STEP_s, opposite_s=STEP_s) for side in SIDES}
    seen |= {(side, CANCEL): Seen(Told("nothing", "gone"), 66.0, still=True) for side in SIDES}
    page = tmp_path / "page.md"
    page.write_text("# all\n\n" + _report(list(SIDES), [END, CANCEL], seen, 1.0, {}).markdown() + "\n## Another\n", "utf-8")
    known = {row[0].partition(" (")[0]: row for row in rows_on_page(page, TITLE)}
    wrongly = {(side, END): Seen(Told("running", "?"), 54.0, wrong="still told running") for side in SIDES}
    rows = {row[0].partition(" (")[0]: row for row in _report(list(SIDES), [END], wrongly, 2.0, known).rows}
    assert list(rows)[:2] == [END.name, CANCEL.name]
    assert rows[CANCEL.name] == known[CANCEL.name]
    assert rows["**wrong statuses**"][1:] == ("**1 of 2**",) * len(SIDES)
    assert rows["nothing told"][1] == "1 of 2"
    assert rows["median, and longest"][1] == "60.0 s, > 66.0 s"
