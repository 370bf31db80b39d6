"""The page over a simulated run as it really goes: every process, one broker, one phone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from laboratory import Laboratory
from playwright.sync_api import expect
from stage import PATIENCE_S, dashboard, hold, user_options, visit

from orchestrator.recorder.records import Reader

REPOSITORY = Path(__file__).parents[2]
pytestmark = [pytest.mark.needs("mosquitto", "openssl", "chromium"), pytest.mark.timeout(300)]


TURNED = """
version: 1
experiment: turned
cell: {id: strip-1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0}
limits: {abs_E_V: 0.5, abs_I_mA: 0.5, charge_per_step_mAh: 0.85, host_lost: open circuit within 60 s}
acquisitions:
  metal: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 4}
protocol:
  - {step: Rest for 2 minutes, nmr: {metal: at start}}
  - {prompt: turn the cell by 90 degrees, within_h: 12}
  - {step: Rest for 2 minutes, nmr: {metal: at start}}
"""


@pytest.fixture(scope="module")
def rig() -> str:
    return "sim"


@contextmanager
def running(laboratory: Laboratory, tmp_path: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """The program as a rig of the laboratory, 60 times as fast as life."""
    broker = laboratory.as_user("rig-sim")
    env = {**os.environ, "OPERANDO_HOME": str(tmp_path / "home"), "OPERANDO_BROKER": broker.url, "OPERANDO_BROKER_USER": broker.user}
    env |= {"OPERANDO_BROKER_PASSWORD_FILE": broker.password_file, "OPERANDO_BROKER_CA": broker.ca}
    common = ("--speed", "60", "--out", str(tmp_path / "runs"), "--json")
    with subprocess.Popen((sys.executable, "-m", "orchestrator", *command, *common), env=env, stdout=subprocess.PIPE) as run:
        try:
            yield run
        finally:
            run.terminate()  # over already, unless something went wrong


def test_a_prompt_is_answered_from_a_phone(laboratory: Laboratory, phone: Any, tmp_path: Path) -> None:
    (tmp_path / "turned.yaml").write_text(TURNED, "utf-8")
    rig = REPOSITORY / "configs" / "rigs" / "sim.yaml"
    with (
        dashboard(*user_options(laboratory, "alice")) as url,
        running(laboratory, tmp_path, "run", str(tmp_path / "turned.yaml"), "--rig", str(rig)) as run,
    ):
        visit(phone, f"{url}/rig?rig=sim")
        expect(phone.locator(".sentence.note .head")).to_contain_text("strip-1 waits for a person: turn the cell by 90 degrees")
        expect(phone.locator(".sentence.note .rest")).to_contain_text("open circuit")
        hold(phone, str(phone.locator('button[data-verb^="acknowledge prompt"]').get_attribute("data-verb")))
        told, _ = run.communicate(timeout=PATIENCE_S)
    ended = json.loads(told)
    assert ended["complete"]
    with Reader(Path(ended["folder"]) / "journal.sqlite") as reader:
        events = list(reader.events())
    after = next(at for at, event in enumerate(events) if event.kind == "alarm.acknowledged")
    stored = [at for at, event in enumerate(events) if event.kind == "acquisition.stored"]
    assert [at > after for at in stored] == [False, True], "nothing is measured between the prompt and its answer"


def test_a_run_is_watched_and_aborted_from_a_phone(laboratory: Laboratory, phone: Any, tmp_path: Path) -> None:
    with (
        dashboard(*user_options(laboratory, "alice")) as url,
        running(laboratory, tmp_path, "demo") as run,
    ):
        visit(phone, f"{url}/rig?rig=sim")
        expect(phone.locator(".sentence.fine")).to_contain_text("C1 fine")
        spectra = phone.locator(".health .card").nth(1).locator(".line", has_text="spectra").locator("span").nth(1)
        expect(spectra).not_to_have_text("0")
        for name, column in (("area", "x"), ("fitted", "xs"), ("close", "xs")):
            drawn = f"Bokeh.documents[0].get_model_by_name('{name}').data_source.data.{column}.length > 0"
            phone.wait_for_function(drawn)
        hold(phone, "abort")
        expect(phone.locator(".sentence.bad .head")).to_contain_text("C1 aborted")
        expect(phone.locator(".sentence.bad .rest")).to_contain_text("cell at open circuit")
        expect(phone.locator("button[data-verb=abort]")).to_have_count(0)
        expect(phone.locator(".events")).to_contain_text("abort")
        run.communicate(timeout=PATIENCE_S)
        assert run.returncode != 0
