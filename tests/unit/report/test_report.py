"""The report tells what became of a run, earns its word "complete", and lets nobody write HTML into it."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from artificial_night import Night
from reported import HOSTILE, clean, numbered, run_folder, troubled
from reported import plan as planned

from orchestrator.cli.app import run as operando
from orchestrator.recorder.publisher import publish_empty
from orchestrator.recorder.reader import open_run
from orchestrator.report import facts
from orchestrator.report.distrust import Interval, intervals, total_s
from orchestrator.report.facts import Area, gather
from orchestrator.report.html import Markup, element, table
from orchestrator.report.page import salt
from orchestrator.report.verdict import verdict
from orchestrator.report.words import scale
from orchestrator.report.write import Written, write_report

NIGHT = Night(samples=600, fids=4, points=256)
VOID = {"meta", "img"}


class Read(HTMLParser):
    """The page as a browser takes it apart: its tags, its text by heading, and whatever is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {}
        self.open: list[str] = []
        self._heading, self._in_heading = "", False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "h2":
            self._heading, self._in_heading = "", True

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self._in_heading = False

    def handle_data(self, data: str) -> None:
        if self._in_heading:
            self._heading += data
        self.sections[self._heading] = self.sections.get(self._heading, "") + " " + data


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_folder(tmp_path_factory.mktemp("good") / "20260101T000000Z_night", clean(NIGHT))


@pytest.fixture(scope="module")
def written(good: Path) -> Written:
    """The report of the good run, written once: drawing takes a second."""
    return write_report(good)


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_folder(tmp_path_factory.mktemp("bad") / "20260101T000000Z_night", troubled(NIGHT))


@pytest.fixture(scope="module")
def page(bad: Path) -> Read:
    return Read(write_report(bad).path.read_text("utf-8"))


def test_a_run_in_which_nothing_went_wrong_is_complete(written: Written) -> None:
    assert written.has_figure
    assert written.verdict.complete
    assert [check.name for check in written.verdict.checks if check.ok is not True] == []
    assert written.distrusted == 0
    assert "None was found" in Read(written.path.read_text("utf-8")).sections["Intervals not to trust"]


@pytest.mark.parametrize(
    ("kind", "change", "name"),
    [
        ("acquisition.verified", None, "Acquisitions"),
        ("cell.state", {"confirmed": False}, "Cell at the end"),
        ("cell.state", {"cell": "unknown"}, "Cell at the end"),
        ("raw.archived", None, "Raw files"),
        ("run.ended", {"outcome": "ended early"}, "Ended as planned"),
        ("gap", {}, "Samples"),
    ],
)
def test_complete_is_earned(tmp_path: Path, kind: str, change: dict[str, Any] | None, name: str) -> None:
    events = clean(Night(samples=120, fids=2, points=64))
    if kind == "gap":
        gap = {"step_key": "s000", "seconds": 3.0, "charge_C": 0.0, "uncertainty_C": 0.0, "how": "open circuit"}
        events.insert(-1, replace(events[-2], kind="gap", data=gap))
    at = next(n for n in reversed(range(len(events))) if events[n].kind == kind)
    changed = [] if change is None else [replace(events[at], data={**events[at].data, **change})]
    folder = run_folder(tmp_path / "run", numbered([*events[:at], *changed, *events[at + 1 :]]))
    with open_run(folder) as run:
        judged = verdict(gather(run))
    assert not judged.complete
    assert name in [check.name for check in judged.checks if check.ok is False]
    assert name in judged.sentence


def test_a_file_that_does_not_hold_the_journal_is_not_complete(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", clean(Night(samples=120, fids=2, points=64)), closed=False)
    with open_run(folder) as run:
        judged = verdict(gather(run))
    assert [check.name for check in judged.checks if check.ok is False] == ["run.h5 against the journal"]


def test_a_run_that_goes_on_is_neither(tmp_path: Path) -> None:
    events = [event for event in clean(Night(samples=120, fids=2, points=64)) if event.kind != "run.ended"]
    with open_run(run_folder(tmp_path / "run", numbered(events), closed=False)) as run:
        judged = verdict(gather(run))
    assert not judged.complete
    assert judged.sentence.startswith("Still running, or died")


def test_of_a_run_that_others_drove_it_is_not_claimed_that_it_ended_as_planned_nor_that_it_did_not(tmp_path: Path) -> None:
    events = [event for event in clean(Night(samples=120, fids=2, points=64)) if event.kind not in {"ec.block", "cell.state"}]
    events[-1] = replace(events[-1], data={**events[-1].data, "outcome": "imported"})
    folder = run_folder(tmp_path / "run", numbered(events))
    written = write_report(folder)
    told = {check.name: check.ok for check in written.verdict.checks}
    assert [told[name] for name in ("Ended as planned", "Cell at the end", "Samples")] == [None, None, None]
    assert (written.verdict.complete, written.distrusted, written.has_figure) == (True, 0, True)
    assert written.verdict.sentence == "Complete (finished, imported)."


def test_a_run_that_has_hardly_begun_has_a_page_too(tmp_path: Path) -> None:
    publish_empty(tmp_path)
    assert write_report(tmp_path).verdict.sentence.startswith("Still running, or died")


def test_every_interval_not_to_trust_is_told_with_its_reason(bad: Path) -> None:
    with open_run(bad) as run:
        found = [(one.start_s, one.end_s, one.why) for one in intervals(gather(run))]
    assert (100.0, 160.0, "link lost: no answer") in found
    assert (160.0, 200.0, "nobody heard the cell; 0.01 mA h passed (set current, at most 0.001 mA h off)") in found
    assert (300.0, 330.0, f"alarm warn: {HOSTILE}: slope fell") in found
    assert (400.0, 420.0, "missed: the console was busy") in found
    assert any("gain changed from 30 to 36" in why for *_, why in found)
    assert [why for *_, why in found if "deviating" in why]
    assert not [why for *_, why in found if "info" in why]
    assert not [why for *_, why in found if "do not move" in why], "what people may not do says nothing of the images after a short"


def test_a_silence_of_the_potentiostat_within_a_step_is_found(tmp_path: Path) -> None:
    events = clean(Night(samples=300, fids=1, points=64))
    silent = [event for event in events if not (event.kind == "ec.block" and 100 < (event.mono_ns - NIGHT.origin_ns) / 1e9 < 150)]
    with open_run(run_folder(tmp_path / "run", numbered(silent), closed=False)) as run:
        found = intervals(gather(run))
    assert [(one.start_s, one.end_s) for one in found if "no sample" in one.why] == [(100.0, 150.0)]


def test_what_overlaps_counts_once() -> None:
    told = [Interval(0, 10, "", ""), Interval(5, 8, "", ""), Interval(9, 20, "", ""), Interval(30, 31, "", "")]
    assert total_s(told) == 21.0


def test_the_page_asks_for_nothing_and_runs_nothing_whatever_a_name_says(page: Read, bad: Path) -> None:
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "iframe", "object", "embed", "form", "base"}
    assert page.open == []
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert tag != "img" or str(attributes["src"]).startswith("data:image/png;base64,")
        assert tag != "a" or str(attributes["href"]).startswith("report/")
    policy = next(attributes["content"] for tag, attributes in page.tags if "http-equiv" in attributes)
    assert str(policy).startswith("default-src 'none'")
    text = (bad / "report.html").read_text("utf-8")
    assert text.count("<script") == 0
    assert text.count("&lt;script&gt;") > 5
    assert HOSTILE in page.sections["Alarms"]


def test_areas_are_absolute_where_stripping_has_calibrated_them(tmp_path: Path) -> None:
    bare = gather(open_run(run_folder(tmp_path, clean(NIGHT))))
    assert scale(bare).startswith("Relative.")
    told = scale(replace(bare, plan={"budget": {"cycles": [2, 3]}}, per_area=Area(2.5, 0.125), closes=[0.5, -3.25]))
    assert told.startswith("Absolute for the metal of the budget, by the charge of stripping in cycles 2 to 3:")
    assert "2.5 ± 0.12 mA h, or 93.28 µmol of electrons" in told
    assert "by 3.2 standard errors at most" in told
    assert told.endswith("All other areas are relative: arbitrary units, to be compared within one acquisition at one receiver gain.")
    assert scale(replace(bare, per_area=Area(0.0, 0.1))).startswith("Relative.")


FOIL = {"mass_mg": 2.0, "area": 0.5, "area_sd": 0.01, "acquisition": "li"}


def weighed(bare: facts.Facts, foil: dict[str, Any], **how: Any) -> str:
    plan = {"acquisitions": {"li": {"nucleus": "7Li", "template": {"pulse_us": 5, "tip_deg": 90.0}}}}
    return scale(replace(bare, cell={"foil": foil}, plan=plan, **how))


def test_areas_are_absolute_by_a_weighed_foil(tmp_path: Path) -> None:
    bare = gather(open_run(run_folder(tmp_path, clean(NIGHT))))
    thin = weighed(bare, FOIL)
    assert thin.startswith("Absolute for the metal of li, by a weighed foil of 2 mg with an area of 0.5:")
    assert "one unit of area is 4 ± 0.08 mg of 7Li metal, or 15.45 mA h" in thin
    thick = weighed(bare, FOIL | {"thickness_um": 100.0})
    assert "the coil saw 12.2% (skin depth)" in thick, "2 x 0.431 x 14.2 um of 100 um (domain.md 4.12)"
    assert "one unit of area is 0.4891 ± 0.0098 mg" in thick
    both = weighed(bare, FOIL, per_area=Area(15.45, 0.1))
    assert "one unit of the budget's area is 15.45 mA h, 1 times as much as by the foil" in both
    assert weighed(bare, FOIL | {"acquisition": "another"}).startswith("Relative.")


SALT = {"diffusion_cm2_per_s": 3e-6, "mol_per_L": 1.0, "t_plus": 0.4, "gap_mm": 1.0}


def test_each_driven_step_stands_beside_sands_time_of_its_current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limiting: 2 x 3e-6 cm2/s x 96.485 C/cm3 / (0.6 x 0.1 cm); at 20 mA/cm2 π x 3e-6 x (96.485 / (2 x 0.02 x 0.6))² s."""
    mine = planned()
    mine["steps"][0]["current_A"] = -10e-3
    monkeypatch.setattr("reported.plan", lambda: mine)
    bare = gather(open_run(run_folder(tmp_path, clean(NIGHT))))
    cell = {"area_cm2": 0.5, "salt": SALT}
    told = Read(salt(replace(bare, cell=cell))).sections["Current and salt"]
    assert "bears 9.649 mA/cm2 for ever" in told
    row = " ".join(("0", "Charge at C/5", "20", "2.07 times", "2 min 32 s", "10 min 00 s", "longer than Sand's time"))
    assert row in told
    below = [replace(step, current_A=step.current_A / 4) for step in bare.steps]
    told = Read(salt(replace(bare, cell=cell, steps=below))).sections["Current and salt"]
    assert "never reached" in told
    assert "longer than" not in told
    assert "the cell record has no salt" in Read(salt(replace(bare, cell={"area_cm2": 0.5}))).sections["Current and salt"]
    assert salt(replace(bare, cell=cell, steps=[replace(step, current_A=0.0) for step in bare.steps])) == ""


def test_the_calibration_is_read_from_the_run(tmp_path: Path) -> None:
    found = {"mAh_per_area": [1.0, 2.0], "budget_closes(this cycle)": [0.0, 1.5], "area(bulk)": [3.0, 3.0]}
    tables = {name: {"value": np.array(values), "error": np.array([0.1, 0.2])} for name, values in found.items()}
    run = cast("Any", SimpleNamespace(observables=tables))
    assert facts.per_area_of(run) == Area(2.0, 0.2)
    assert facts.closes_of(run) == [1.5]
    assert facts.per_area_of(cast("Any", SimpleNamespace(observables={}))) is None


def test_every_section_is_there_and_says_what_is_so(page: Read) -> None:
    told = page.sections
    assert "ended early: by a person" in told[""]
    assert "Simulated" in told[""]
    assert "passed" in told["Preparation"]
    assert "prepare: tune" in told["Preparation"]
    assert "10 min 00 s" in told["Steps, planned and actual"]
    assert "a0003" in told["Spectra"]
    assert "Relative." in told["Relative or absolute"]
    methods = told["Methods, for the supporting information"]
    assert "64 scans after 4 dummies, a recycle delay of 0.75 s" in methods
    assert "WERE SIMULATED" in methods
    assert "the console was busy" in told["Acquisitions that were lost, and why"]
    assert "A. Person" in told["Notes, commands and rules"]
    assert "this computer" in told["Clocks"]
    assert "operando-nmr 0.1.0" in told["Instruments and versions"]
    assert "name: night µ" in told["Configuration, verbatim"]
    assert "electrochemistry/voltage" in told["Checksums (SHA-256)"]
    assert "run 0f0f" in told["How to cite"]


def test_the_figure_is_redrawn_from_its_data_alone(written: Written, good: Path, tmp_path: Path) -> None:
    for path in (good / "report").glob("*.csv"):
        shutil.copy(path, tmp_path)
    shutil.copy(good / "report" / "redraw.py", tmp_path)
    subprocess.run([sys.executable, "-I", str(tmp_path / "redraw.py")], check=True, cwd=tmp_path)
    for name in ("figure.png", "figure.svg", "figure.pdf", "areas_against_charge.png"):
        assert (
            hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == hashlib.sha256((good / "report" / name).read_bytes()).hexdigest()
        )


def test_the_data_are_those_of_the_run(written: Written, good: Path) -> None:
    with open_run(good) as run:
        voltage, spectra = run.electrochemistry["voltage"], run.spectra["li"]
        with (good / "report" / "electrochemistry.csv").open() as file:
            told = [float(row["voltage_V"]) for row in csv.DictReader(file)]
        assert told == pytest.approx(voltage.tolist())
        with (good / "report" / "waterfall_li.csv").open() as file:
            head, *rows = csv.reader(file)
        assert len(rows) == 4
        drawn = [abs(float(cell)) for cell in rows[1][2:]]
        assert max(drawn) == pytest.approx(float(abs(spectra.part("intensity", 1)).max()), rel=1e-4)
        strongest_ppm = float(head[2:][drawn.index(max(drawn))])
        assert strongest_ppm == pytest.approx(spectra["chemical_shift"][abs(spectra.part("intensity", 1)).argmax()], abs=1.0)
    with (good / "report" / "spectra.csv").open() as file:
        spectra_rows = list(csv.DictReader(file))
    assert [row["key"] for row in spectra_rows] == ["a0000", "a0001", "a0002", "a0003"]
    assert [float(row["area(metal)"]) for row in spectra_rows] == [10.0, 11.0, 12.0, 13.0]


def test_a_long_run_is_drawn_small_with_its_extremes_and_says_what_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator.report import data

    monkeypatch.setattr(data, "MOST_SAMPLES", 100)
    monkeypatch.setattr(data, "MOST_SPECTRA", 2)
    folder = run_folder(tmp_path / "run", clean(NIGHT))
    with open_run(folder) as run:
        said = data.write_data(gather(run), [], tmp_path)
        voltage = run.electrochemistry["voltage"]
    with (tmp_path / "electrochemistry.csv").open() as file:
        told = [float(row["voltage_V"]) for row in csv.DictReader(file)]
    assert 20 < len(told) <= 220
    assert (min(told), max(told)) == (pytest.approx(voltage.min()), pytest.approx(voltage.max()))
    assert "li: each stripe is the mean of 2 spectra in a row, of 4" in said
    assert any(text.startswith("electrochemistry: of 600 samples") for text in said)


def test_without_matplotlib_there_is_a_page_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.report.libraries.find_spec", lambda name: None)
    folder = run_folder(tmp_path / "run", clean(Night(samples=120, fids=2, points=64)))
    (folder / "report").mkdir()
    (folder / "report" / "figure.png").write_text("an older one")
    plain = write_report(folder)
    assert not plain.has_figure
    assert "No figure" in plain.path.read_text("utf-8")
    assert not (folder / "report" / "figure.png").exists()


def test_the_command_prints_the_verdict(good: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.report.write.draw", lambda folder, **_: True)
    assert operando(["report", str(good), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["complete"] is True
    assert Path(told["file"]) == good / "report.html"
    assert operando(["report", "nothing", "--out", str(good)]) == 2


def test_what_is_not_markup_is_escaped() -> None:
    assert element("p", "<b>", Markup("<i>"), cls='"x"') == '<p class="&quot;x&quot;">&lt;b&gt;<i></p>'
    assert "&lt;i&gt;" in table(("a",), [("<i>",)])
