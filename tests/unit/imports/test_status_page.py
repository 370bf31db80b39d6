"""``status.html`` and its picture: whole, self-contained, written on a folder that may vanish; of driven and of watched runs."""

from __future__ import annotations

import asyncio
import re
from html.parser import HTMLParser

import pytest

from orchestrator.monitor.statuspage import MOST_POINTS, Page, Thinned, rendered
from orchestrator.observer.status import HTML, PICTURE, StatusPage, drawn
from orchestrator.recorder.records import Reader


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def run(tmp_path, night):
    folder = tmp_path / "run"
    folder.mkdir()
    asyncio.run(night(samples=200, fids=3).write(folder / "journal.sqlite"))
    return folder


def page_of(folder) -> Page:
    page = Page()
    with Reader(folder / "journal.sqlite") as reader:
        page.feed(reader.events())
    return page


def test_it_needs_nothing_but_itself_and_shows_the_run(run):
    text = rendered(page_of(run), published_utc_ns=10**18, every_s=60, alive=True)
    links = Links()
    links.feed(text)
    assert links.found == []
    assert not re.search(r"https?://|url\(|@import", text)
    assert text.count("<polyline") >= 2
    assert "2001-09-09T01:46:40Z" in text


def test_what_others_have_written_is_text_and_no_markup(run):
    page = page_of(run)
    page.view.name = "<script>alert(1)</script>"
    page.cannot = "<b>nothing</b>"
    text = rendered(page, published_utc_ns=1, every_s=60, alive=True)
    assert "<script>alert" not in text
    assert "&lt;b&gt;nothing" in text


def test_a_program_that_is_gone_is_said_to_be(run):
    page = page_of(run)
    page.view.ended = None
    assert "go and look" in rendered(page, published_utc_ns=1, every_s=60, alive=False)


def test_a_curve_of_any_length_is_thinned_over_its_whole_length():
    curve = Thinned()
    for t_s in range(100_000):
        curve.add(float(t_s), 1.0, 0.0)
    assert len(curve.points) <= MOST_POINTS + 1
    assert curve.points[0][0] == 0.0
    assert curve.points[-1][0] > 99_000


def test_both_files_are_written_and_a_folder_that_goes_is_trouble_until_it_is_back(run, tmp_path):
    share = tmp_path / "share"
    share.mkdir()
    status = StatusPage(run / "journal.sqlite", share, every_s=0.01)
    with Reader(run / "journal.sqlite") as reader:
        status.write(reader)
        assert (share / HTML).read_text("utf-8").startswith("<!doctype html>")
        assert (share / PICTURE).read_bytes().startswith(b"\x89PNG")
        assert sorted(path.name for path in share.iterdir()) == [HTML, PICTURE]
        share.rename(tmp_path / "away")
        with pytest.raises(OSError):
            status.write(reader)
    status.start()
    assert not status.finish(20)
    assert "share" in (status.trouble or "")
    (tmp_path / "away").rename(share)
    again = StatusPage(run / "journal.sqlite", share)
    again.start()
    assert again.finish(20)
    assert again.trouble is None


def test_without_matplotlib_there_is_a_page_and_no_picture(run, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert drawn(page_of(run)) is None
