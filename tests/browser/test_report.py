"""The report in a real browser: it asks for nothing, runs nothing, fits a phone, can be printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from artificial_night import Night
from reported import HOSTILE, run_folder, troubled

from orchestrator.report.write import write_report

pytestmark = pytest.mark.needs("chromium")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = run_folder(tmp_path_factory.mktemp("report") / "20260101T000000Z_night", troubled(Night(samples=600, fids=4, points=256)))
    return write_report(folder).path


def test_it_fits_a_phone_and_asks_for_nothing(phone: Any, report: Path) -> None:
    said: list[str] = []
    phone.on("console", lambda message: said.append(message.text))
    phone.goto(report.as_uri())
    assert phone.title() == f"{HOSTILE}: report"
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [address for address in phone.asked if not address.startswith("data:")] == [report.as_uri()]
    assert phone.evaluate("[...document.images].every(one => one.complete && one.naturalWidth > 500)")
    assert phone.evaluate("document.scripts.length") == 0
    assert said == []
    verdict = phone.locator(".verdict").bounding_box()
    assert verdict["y"] < 844  # on the first screen
    phone.locator("summary", has_text="One row per spectrum").click()
    assert phone.locator("td", has_text="a0003").first.is_visible()
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_it_prints_without_cutting_a_table(browser: Any, report: Path, tmp_path: Path) -> None:
    page = browser.new_page(viewport={"width": 720, "height": 1000})
    page.emulate_media(media="print")
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    page.close()
