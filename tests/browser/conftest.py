"""One broker, one browser and one run for the tests of the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from artificial_night import Night
from counted import Counted
from laboratory import Laboratory, start_laboratory
from mosquitto import Mosquitto
from mqtt_watch import RIG
from stage import PATIENCE_S, PHONE, Stage, dashboard, user_options


@pytest.fixture(scope="module")
def rig() -> str:
    """Its name."""
    return RIG


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory, rig: str) -> Iterator[Laboratory]:
    made = start_laboratory(tmp_path_factory.mktemp("laboratory"), Path(__file__).parents[2], rig)
    yield made
    made.mosquitto.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    import shutil

    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=1000 * PATIENCE_S)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def phone(browser: Any) -> Iterator[Any]:
    """A page of 390 x 844; ``asked`` is every address it asked for."""
    context = browser.new_context(**PHONE)
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE_S)
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("websocket", lambda socket: page.asked.append(socket.url))
    yield page
    context.close()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, laboratory: Laboratory) -> Iterator[Stage]:
    """A run in the middle, published: 3 spectra of 6."""
    made = Stage(tmp_path_factory.mktemp("runs") / "20261121T220000Z_night", laboratory)
    made.begin(Night(samples=700, fids=6, per_block=5, ended=False), 110)
    made.publish()
    yield made
    made.end()


@pytest.fixture(scope="module")
def wire(laboratory: Laboratory, stage: Stage) -> Iterator[Counted]:
    """The wire between the operator's dashboard and the broker."""
    made = stage.do(Counted(laboratory.port).start())
    yield made
    stage.do(made.end())


@pytest.fixture(scope="module")
def for_alice(laboratory: Laboratory, wire: Counted) -> Iterator[str]:
    """The dashboard of an operator's own computer."""
    with dashboard(*user_options(laboratory, "alice", wire.own_port)) as url:
        yield url


@pytest.fixture(scope="module")
def for_all(laboratory: Laboratory, stage: Stage) -> Iterator[str]:
    """The dashboard of the laboratory: it asks who is there."""
    with dashboard(*user_options(laboratory, "viewer"), "--address", "0.0.0.0", "--name", "127.0.0.1") as url:
        yield url


@pytest.fixture
def free_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that lets in anybody."""
    made = Mosquitto(tmp_path).start()
    yield made
    made.end()
