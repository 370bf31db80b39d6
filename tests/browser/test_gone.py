"""What a page says when somebody is gone: the publisher, the rig behind it, the dashboard itself. Nobody may see a frozen green page."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from artificial_night import Night
from laboratory import Laboratory
from playwright.sync_api import expect
from stage import Stage, dashboard, hold, publisher_process, user_options, visit

pytestmark = [pytest.mark.needs("mosquitto", "openssl", "chromium"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, laboratory: Laboratory) -> Any:
    """A run whose publisher is a program of its own."""
    made = Stage(tmp_path_factory.mktemp("runs") / "20261121T220000Z_night", laboratory)
    made.begin(Night(samples=100, fids=2, per_block=5, ended=False), 16)
    yield made
    made.end()


def test_stale_while_no_publisher_is_there(stage: Stage, laboratory: Laboratory, phone: Any, tmp_path: Path) -> None:
    with dashboard(*user_options(laboratory, "alice")) as url:
        with publisher_process(stage.folder, laboratory, tmp_path) as publisher:
            visit(phone, f"{url}/rig?rig=magnet-2")
            expect(phone.locator(".sentence.fine")).to_be_visible()
            publisher.send_signal(signal.SIGSTOP)
            hold(phone, "pause-cell")
            expect(phone.locator(".said.answer").first).to_contain_text("no answer within 3 s")
            publisher.kill()
            expect(phone.locator(".sentence.stale .head")).to_contain_text("cell-17 stale since")
            expect(phone.locator(".sentence.stale .rest")).to_contain_text("its publisher is gone")
        with publisher_process(stage.folder, laboratory, tmp_path):
            expect(phone.locator(".sentence.fine")).to_be_visible()
            hold(phone, "pause-nmr")
            expect(phone.locator(".said.refused").first).to_contain_text("refused")
    expect(phone.locator("#silent")).to_contain_text("STALE since")


def test_stale_when_the_broker_is_gone(tmp_path: Path, phone: Any, free_broker: Any) -> None:
    with dashboard("--broker", free_broker.url) as url:
        visit(phone, url)
        expect(phone.locator(".none")).to_contain_text("No rig has shown itself")
        free_broker.kill()
        expect(phone.locator(".sentence.stale")).to_contain_text("No broker since")


def test_it_is_not_shown_to_a_network_where_the_broker_knows_nobody(tmp_path: Path, free_broker: Any) -> None:
    import sys

    command = (sys.executable, "-m", "orchestrator", "dashboard", "--broker", free_broker.url, "--address", "0.0.0.0", "--port", "0")
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ}, timeout=60, check=False)
    assert done.returncode == 2
    assert "a login would be for show" in done.stderr
