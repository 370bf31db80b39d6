"""The page over a simulated run as it really goes: every process, one broker, one phone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from laboratory import Laboratory
from playwright.sync_api import expect
from stage import PATIENCE_S, dashboard, hold, user_options, visit

pytestmark = [pytest.mark.needs("mosquitto", "openssl", "chromium"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def rig() -> str:
    return "sim"


def test_a_run_is_watched_and_aborted_from_a_phone(laboratory: Laboratory, phone: Any, tmp_path: Path) -> None:
    broker = laboratory.as_user("rig-sim")
    env = {**os.environ, "OPERANDO_HOME": str(tmp_path / "home"), "OPERANDO_BROKER": broker.url, "OPERANDO_BROKER_USER": broker.user}
    env |= {"OPERANDO_BROKER_PASSWORD_FILE": broker.password_file, "OPERANDO_BROKER_CA": broker.ca}
    command = (sys.executable, "-m", "orchestrator", "demo", "--speed", "60", "--out", str(tmp_path / "runs"), "--json")
    with (
        dashboard(*user_options(laboratory, "alice")) as url,
        subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) as run,
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
        assert run.wait(PATIENCE_S) != 0
