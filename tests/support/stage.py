"""For the browser's tests: a laboratory's broker, a journal that grows, its publisher in a thread, dashboards and a phone."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from artificial_night import Night
from laboratory import Laboratory
from mqtt_watch import RIG, Growing, Rig, publishing

from drivers.clock import Clock
from orchestrator.control.messages import Answer, Command
from orchestrator.recorder.journal import Journal

PATIENCE_S = 60.0
"""Nothing takes so long: it costs only a test that fails, and a busy machine is no fault of the page."""
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}


class Stage:
    """A run that is published and obeys. Everything of it lives in the loop of one thread."""

    def __init__(self, folder: Path, laboratory: Laboratory) -> None:
        self.folder = folder
        self._laboratory = laboratory
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._over: asyncio.Event = asyncio.Event()
        self._publishing: Any = None
        self._night: Night
        self._put_s = 400.0
        self.rig: Rig
        self.run: Growing

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def begin(self, night: Night, events: int) -> None:
        """Write so many events of the night."""
        self._night = night

        async def begun() -> None:
            self.folder.mkdir(parents=True)
            journal = Journal.create(self.folder / "journal.sqlite", Clock())
            self.run, self.rig = Growing(self.folder, journal, night.told()), Rig(journal)
            await self.run.grow(4)
            now = night.at(0.6)
            journal.put("run.state", {"from": "preparing", "to": "running", "why": ""}, at=now)
            journal.put("cell.state", {"cell": "on", "confirmed": True, "detail": ""}, at=now)
            await self.run.grow(events - 4)

        self.do(begun())

    def until(self, what: Callable[[], object]) -> None:
        """Wait for what happens in the stage's loop."""

        async def come() -> None:
            async with asyncio.timeout(PATIENCE_S):
                while not what():
                    await asyncio.sleep(0.01)

        self.do(come())

    def grow(self, events: int | None = None) -> None:
        self.do(self.run.grow(events))

    def put(self, kind: str, data: dict[str, Any], blob: bytes | None = None) -> None:
        """One further event, now by the run's clock."""
        self._put_s += 0.1

        async def written() -> None:
            journal = self.run.journal
            await journal.durable(journal.put(kind, data, blob=blob, at=self._night.at(self._put_s)))

        self.do(written())

    def publish(self) -> None:
        self._publishing = asyncio.run_coroutine_threadsafe(self._publish(), self._loop)

    async def _publish(self) -> None:
        async with publishing(self.folder, self._laboratory.as_user("rig-magnet-2"), self._obey):
            await self._over.wait()

    async def _obey(self, command: Command) -> Answer:
        await self.rig.obey(command)
        return Answer(command.id, ok=True, text=f"{command.verb}: the cell is at open circuit", data={"state": "running", "cell": "off"})

    def end(self) -> None:
        if self._publishing is not None:
            self._loop.call_soon_threadsafe(self._over.set)
            self._publishing.result(PATIENCE_S)
        self.do(self.run.journal.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()


@contextmanager
def publisher_process(folder: Path, laboratory: Laboratory, state: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program that publishes a run, for tests that kill it."""
    broker = laboratory.as_user("rig-magnet-2").model_dump_json()
    command = ("publish", str(folder), "--broker", broker, "--rig", RIG, "--state", str(state))
    with subprocess.Popen((sys.executable, "-m", "orchestrator", *command)) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def dashboard(*arguments: str, env: dict[str, str] | None = None) -> Iterator[str]:
    """`operando dashboard`, and where it is."""
    command = (sys.executable, "-m", "orchestrator", "dashboard", "--port", "0", "--json", *arguments)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the dashboard did not start"
        try:
            yield json.loads(line)["url"]
        finally:
            process.terminate()
            assert process.wait(PATIENCE_S) == 0


def user_options(laboratory: Laboratory, user: str, port: int | None = None) -> tuple[str, ...]:
    """Of a dashboard; ``port``: where the broker is reached, if not at its own."""
    broker = laboratory.as_user(user)
    return (
        "--broker",
        f"mqtts://127.0.0.1:{port or laboratory.port}",
        "--user",
        user,
        "--password-file",
        broker.password_file,
        "--ca",
        broker.ca,
    )


def visit(page: Any, url: str) -> Any:
    """Open a page and wait until it lives."""
    page.goto(url)
    page.wait_for_function("document.getElementById('silent') && !document.getElementById('first')")
    return page


def finger_down(page: Any, verb: str) -> Any:
    """On a button; gives the button's mark of being held."""
    button = page.locator(f'button[data-verb="{verb}"]')
    button.scroll_into_view_if_needed()
    box = button.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    held = page.locator("button.held")
    held.wait_for()
    return held


def hold(page: Any, verb: str) -> None:
    """Press a button as long as it takes: the page takes the mark of the hold away when it is over."""
    finger_down(page, verb).wait_for(state="detached")
    page.mouse.up()


Opened = Callable[..., Any]
