"""The page on a phone: what stands on it, what it asks for, what a held button does."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from image_taken import image_taken
from playwright.sync_api import expect
from stage import Stage, hold, visit

pytestmark = [pytest.mark.needs("mosquitto", "openssl", "chromium"), pytest.mark.timeout(120)]
HEIGHT = 844


def opened(page: Any, url: str) -> Any:
    visit(page, f"{url}/rig?rig=magnet-2")
    expect(page.locator(".sentence.fine")).to_contain_text("cell-17 fine", timeout=20_000)
    return page


def test_the_first_screen_has_all_that_matters(stage: Stage, for_alice: str, phone: Any) -> None:
    opened(phone, for_alice)
    expect(phone.locator(".sentence")).to_contain_text("charging, cycle 1")
    expect(phone.locator(".sentence")).to_contain_text("last spectrum")
    expect(phone.locator(".health .card")).to_have_count(2)
    abort = phone.locator('button[data-verb="abort"]')
    expect(abort).to_contain_text("open circuit NOW")
    box = abort.bounding_box()
    assert box["y"] + box["height"] <= HEIGHT
    assert phone.evaluate("document.documentElement.scrollWidth") == 390


def test_it_asks_nobody_else_for_anything(stage: Stage, for_alice: str, phone: Any) -> None:
    opened(phone, for_alice)
    visit(phone, for_alice)
    expect(phone.locator(".rigs a")).to_have_count(1)
    here = urlsplit(for_alice).netloc
    assert len(phone.asked) > 5
    assert {urlsplit(url.removeprefix("blob:")).netloc for url in phone.asked} == {here}


def test_spectra_and_events_arrive(stage: Stage, for_alice: str, phone: Any) -> None:
    opened(phone, for_alice)
    count = phone.locator(".health .card").nth(1).locator(".line", has_text="spectra").locator("span").nth(1)
    before = int(count.inner_text())
    stage.grow(40)
    expect(count).not_to_have_text(str(before), timeout=10_000)
    assert int(count.inner_text()) > before
    expect(phone.locator(".events")).to_contain_text("stored")
    drawn = "Bokeh.documents[0].get_model_by_name('waterfall').data_source.data.image.length"
    phone.wait_for_function(f"{drawn} === 1", timeout=10_000)


def test_an_alarm_is_the_sentence_until_it_is_over(stage: Stage, for_alice: str, phone: Any) -> None:
    opened(phone, for_alice)
    alarm = {"id": "soft <short>", "level": "alarm", "title": "voltage <b>falls</b>", "text": "t", "advice": "look at the cell"}
    stage.put("alarm.raised", alarm)
    expect(phone.locator(".sentence.bad .head")).to_have_text("cell-17: voltage <b>falls</b>", timeout=10_000)
    expect(phone.locator(".sentence.bad .rest")).to_have_text("look at the cell")
    expect(phone.locator(".alarm")).to_have_count(1)
    hold(phone, "acknowledge soft <short>")
    expect(phone.locator(".said.done")).to_be_visible()
    assert stage.rig.done[-1].verb == "acknowledge"
    assert stage.rig.done[-1].arguments == {"alarm": "soft <short>"}
    stage.put("alarm.cleared", {"id": "soft <short>"})
    expect(phone.locator(".sentence.fine")).to_be_visible(timeout=10_000)


def test_abort_is_held_and_answered_and_a_tap_does_nothing(stage: Stage, for_alice: str, phone: Any) -> None:
    opened(phone, for_alice)
    done = len(stage.rig.done)
    phone.locator('button[data-verb="abort"]').tap()
    hold(phone, "abort")
    expect(phone.locator(".said.done").first).to_contain_text("abort: the cell is at open circuit", timeout=6000)
    assert [(one.verb, one.who.split(" ")[0]) for one in stage.rig.done[done:]] == [("abort", "alice")]


def test_a_note_is_written(stage: Stage, for_alice: str, phone: Any) -> None:
    opened(phone, for_alice)
    phone.locator("form.note input").fill("bubble at the top")
    phone.locator("form.note button").click()
    expect(phone.locator(".said.done")).to_be_visible(timeout=6000)
    assert stage.rig.done[-1].arguments == {"text": "bubble at the top"}


def test_an_image_is_shown_with_its_size_and_its_map(stage: Stage, for_alice: str, phone: Any) -> None:
    for block, echo_ms in enumerate((2.0, 6.0, 10.0)):
        stage.put("fid.block", *image_taken(block, echo_ms))
    opened(phone, for_alice)
    for name in ("image", "map"):
        drawn = f"Bokeh.documents[0].get_model_by_name('{name}')?.data_source.data.image.length === 1"
        phone.wait_for_function(drawn, timeout=40_000)
    where = "Bokeh.documents[0].get_model_by_name('image').data_source.data"
    assert phone.evaluate(f"[{where}.dw[0], {where}.dh[0]]") == pytest.approx([3.0, 9.6])
    counted = phone.evaluate("Array.from(Bokeh.documents[0].get_model_by_name('histogram').data_source.data.top).reduce((a, b) => a + b)")
    assert counted >= 60  # the block has 80 pixels
    assert phone.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("user", ["bob"])
def test_a_viewer_looks_and_is_refused(stage: Stage, for_all: str, phone: Any, laboratory: Any, user: str) -> None:
    phone.goto(f"{for_all}/rig?rig=magnet-2")
    expect(phone).to_have_title("Operando")
    expect(phone.locator(".sentence")).to_have_count(0)
    phone.locator("input[name=user]").fill(user)
    phone.locator("input[name=password]").fill("wrong")
    phone.locator("button").click()
    expect(phone.locator("p")).to_contain_text("does not know")
    phone.locator("input[name=user]").fill(user)
    phone.locator("input[name=password]").fill(Path(laboratory.as_user(user).password_file).read_text().strip())
    phone.locator("button").click()
    expect(phone.locator(".rigs a")).to_have_count(1, timeout=20_000)
    opened(phone, for_all)
    expect(phone.locator(".locked").first).to_be_visible(timeout=6000)
    done = len(stage.rig.done)
    hold(phone, "abort")
    expect(phone.locator(".said.refused")).to_contain_text("bob may look, not command", timeout=6000)
    assert len(stage.rig.done) == done
