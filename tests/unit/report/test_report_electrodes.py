"""A run with a reference electrode: both electrodes stand in report, figure, export, on a terminal and on the status page."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from artificial_night import Night
from reported import CE_V, clean, run_folder, with_reference
from rich.console import Console

from orchestrator.export.write import export
from orchestrator.model.events import Event
from orchestrator.monitor.statuspage import Page, rendered
from orchestrator.monitor.terminal import _headline
from orchestrator.monitor.view import View
from orchestrator.recorder.reader import open_run
from orchestrator.report.data import write_data
from orchestrator.report.facts import gather
from orchestrator.report.redraw import along_time
from orchestrator.report.several import write_several


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return [with_reference(event) for event in clean(Night(samples=60, fids=2, points=64))]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, events: list[Event]) -> Path:
    return run_folder(tmp_path_factory.mktemp("runs") / "20260101T000000Z_night", events)


def test_the_reports_data_and_its_figure_have_both(run: Path, tmp_path: Path) -> None:
    with open_run(run) as opened:
        write_data(gather(opened), [], tmp_path)
        measured_V = opened.electrochemistry["voltage_we"]
    with (tmp_path / "electrochemistry.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["voltage_we_V"]) for row in rows] == pytest.approx(measured_V.tolist())
    assert {float(row["voltage_ce_V"]) for row in rows} == {CE_V}
    panel = next(axes for axes in along_time(tmp_path).axes if axes.get_ylabel() == "E / V")
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["E", "E_we", "E_ce"]


def test_a_report_about_a_run_with_and_one_without_has_its_columns_once(run: Path, tmp_path: Path) -> None:
    other = Night(samples=40, fids=2, points=64, seed=8, epoch_ns=Night().epoch_ns + 10**14)
    plain = run_folder(tmp_path / "20260102T060000Z_b", clean(other))
    write_several([run, plain], tmp_path / "x")
    with (tmp_path / "x" / "report" / "electrochemistry.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["voltage_we_V"] != "" for row in rows} == {True, False}
    assert all(None not in row for row in rows)


def test_bluesky_has_both(run: Path) -> None:
    folder, _ = export(run, "bluesky")
    told = [json.loads(line) for line in (folder / "night.jsonl").read_text("utf-8").splitlines()]
    keys = next(document["data_keys"] for name, document in told if name == "descriptor" and document["name"] == "electrochemistry")
    assert {"voltage_we", "voltage_ce"} <= keys.keys()


def test_a_terminal_and_the_status_page_show_both(events: list[Event]) -> None:
    view, page = View(), Page()
    view.feed(events)
    page.feed(events)
    console = Console(width=200, record=True)
    console.print(_headline(view))
    assert f"E_ce {1e3 * CE_V:+9.2f} mV" in console.export_text()
    text = rendered(page, published_utc_ns=0, every_s=60, alive=True)
    assert "E_we, E_ce" in text
    assert ", +0.125 V<" in text
