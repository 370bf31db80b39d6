"""The page on a phone: what stands on it, what it asks for, what a held button does."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from counted import Counted
from image_taken import image_taken
from playwright.sync_api import expect
from stage import Stage, finger_down, hold, visit

from orchestrator.control.messages import Command

pytestmark = [pytest.mark.needs("mosquitto", "openssl", "chromium"), pytest.mark.timeout(300)]
HEIGHT = 844


def opened(page: Any, url: str) -> Any:
    visit(page, f"{url}/rig?rig=magnet-2")
    expect(page.locator(".sentence.fine")).to_contain_text("cell-17 fine")
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
    expect(count).not_to_have_text(str(before))
    assert int(count.inner_text()) > before
    expect(phone.locator(".events")).to_contain_text("stored")
    drawn = "Bokeh.documents[0].get_model_by_name('waterfall').data_source.data.image.length"
    phone.wait_for_function(f"{drawn} === 1")


def test_an_alarm_is_the_sentence_until_it_is_over(stage: Stage, for_alice: str, phone: Any) -> None:
    opened(phone, for_alice)
    alarm = {"id": "soft <short>", "level": "alarm", "title": "voltage <b>falls</b>", "text": "t", "advice": "look at the cell"}
    stage.put("alarm.raised", alarm)
    expect(phone.locator(".sentence.bad .head")).to_have_text("cell-17: voltage <b>falls</b>")
    expect(phone.locator(".sentence.bad .rest")).to_have_text("look at the cell")
    expect(phone.locator(".alarm")).to_have_count(1)
    hold(phone, "acknowledge soft <short>")
    expect(phone.locator(".said.done")).to_be_visible()
    assert stage.rig.done[-1].verb == "acknowledge"
    assert stage.rig.done[-1].arguments == {"alarm": "soft <short>"}
    stage.put("alarm.cleared", {"id": "soft <short>"})
    expect(phone.locator(".sentence.fine")).to_be_visible()


def test_abort_is_held_and_answered_and_a_tap_does_nothing(stage: Stage, for_alice: str, phone: Any) -> None:
    opened(phone, for_alice)
    done = len(stage.rig.done)
    phone.locator('button[data-verb="abort"]').tap()
    hold(phone, "abort")
    expect(phone.locator(".said.done").first).to_contain_text("abort: the cell is at open circuit")
    assert [(one.verb, one.who.split(" ")[0]) for one in stage.rig.done[done:]] == [("abort", "alice")]


def test_the_connection_opens_when_the_finger_goes_down_and_closes_when_it_lets_go(
    stage: Stage, for_alice: str, phone: Any, wire: Counted
) -> None:
    opened(phone, for_alice)
    expect(phone.locator(".none", has_text="may command")).to_be_visible()
    stage.until(lambda: wire.now == 1)  # the page's own; who asked for the rights has left
    before, done = wire.opened, len(stage.rig.done)
    finger_down(phone, "abort")
    stage.until(lambda: wire.opened == before + 1)
    assert phone.locator("button.held").count() == 1  # so early
    phone.mouse.up()
    expect(phone.locator(".said").first).to_contain_text("Let go too soon: nothing was sent")
    stage.until(lambda: wire.now == 1)
    assert len(stage.rig.done) == done
    finger_down(phone, "abort")
    stage.until(lambda: wire.now == 2)
    phone.locator("button.held").wait_for(state="detached")
    phone.mouse.up()
    expect(phone.locator(".said.done").first).to_contain_text("abort: the cell is at open circuit")
    assert (wire.opened, [one.verb for one in stage.rig.done[done:]]) == (before + 2, ["abort"])


def test_a_button_under_a_finger_stays_what_it_is(stage: Stage, for_alice: str, phone: Any) -> None:
    opened(phone, for_alice)
    done = len(stage.rig.done)
    finger_down(phone, "abort")
    stage.do(stage.rig.obey(Command("other1", "pause nmr", {}, "carol", "", "")))
    phone.locator("button.held").wait_for(state="detached")
    phone.mouse.up()
    expect(phone.locator(".said.done").first).to_be_visible()
    assert [one.verb for one in stage.rig.done[done:]] == ["pause nmr", "abort"]
    expect(phone.locator('button[data-verb="resume"]')).to_be_visible()
    stage.do(stage.rig.obey(Command("other2", "resume", {}, "carol", "", "")))
    expect(phone.locator('button[data-verb="pause-nmr"]')).to_be_visible()


def test_a_finger_that_slides_away_takes_its_command_back_and_one_that_trembles_does_not(stage: Stage, for_alice: str, phone: Any) -> None:
    opened(phone, for_alice)
    done = len(stage.rig.done)
    for away_px in (60, 15):
        held = finger_down(phone, "abort")
        box = phone.locator('button[data-verb="abort"]').bounding_box()
        phone.mouse.move(box["x"] + 20, box["y"] + 20 + away_px)
        held.wait_for(state="detached")
        said = phone.locator(".said").first
        expect(said).to_contain_text("too soon" if away_px > 40 else "the cell is at open circuit")
        phone.mouse.up()
    assert [one.verb for one in stage.rig.done[done:]] == ["abort"]


def test_a_note_is_written(stage: Stage, for_alice: str, phone: Any) -> None:
    opened(phone, for_alice)
    phone.locator("form.note input").fill("bubble at the top")
    phone.locator("form.note button").click()
    expect(phone.locator(".said.done")).to_be_visible()
    assert stage.rig.done[-1].arguments == {"text": "bubble at the top"}


def test_an_image_is_shown_with_its_size_and_its_map(stage: Stage, for_alice: str, phone: Any) -> None:
    for block, echo_ms in enumerate((2.0, 6.0, 10.0)):
        stage.put("fid.block", *image_taken(block, echo_ms))
    opened(phone, for_alice)
    for name in ("image", "map"):
        drawn = f"Bokeh.documents[0].get_model_by_name('{name}')?.data_source.data.image.length === 1"
        phone.wait_for_function(drawn)
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
    expect(phone.locator(".rigs a")).to_have_count(1)
    opened(phone, for_all)
    expect(phone.locator(".locked").first).to_be_visible()
    done = len(stage.rig.done)
    hold(phone, "abort")
    expect(phone.locator(".said.refused")).to_contain_text("bob may look, not command")
    assert len(stage.rig.done) == done
