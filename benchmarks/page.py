"""The dashboard in a real browser: from an event's commit in the journal to the page, opening, and twenty rigs at once.

Chromium with a phone's window on this computer, over TLS to mosquitto. The page's clock and that of the journal are one.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import OPERANDO, QUICK, Report, cpu_s, family, percentile, spread
from benchmarks.monitoring import PER_SECOND, RIGS, ROUNDS, SECONDS, STARTED, Bench, HOLD_s, laboratory, own_broker
from drivers.clock import Clock
from orchestrator.model.broker import Broker
from orchestrator.monitor.mqtt import Link, connected
from orchestrator.monitor.outbox import Outbox
from orchestrator.monitor.payloads import Sample, State, utc
from orchestrator.monitor.picture import Out
from orchestrator.monitor.topics import Topics
from orchestrator.observer.publisher import Publisher
from orchestrator.observer.source import Source
from orchestrator.observer.words import Words
from orchestrator.recorder.journal import Journal

EVENTS = 20 if QUICK else 60
OPENINGS = 5
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
WATCH = """
window.stamps = {}
const find = (root) => {
  for (const one of root.querySelectorAll('*')) {
    if (one.matches('.events')) return one
    if (one.shadowRoot) { const found = find(one.shadowRoot); if (found) return found }
  }
}
const look = () => {
  const events = find(document)
  const text = events && events.firstElementChild ? events.firstElementChild.innerText : ''
  const number = (text.match(/no\\.(\\d+)/) || [])[1]
  if (number !== undefined && !(number in window.stamps)) window.stamps[number] = Date.now()
  requestAnimationFrame(look)
}
look()
"""


def measure(repository: Path, scratch: Path) -> Report:
    """Each in turn; nothing else runs."""
    report = Report(
        "The page in a browser",
        f"An event's time is from its commit in the journal, over mosquitto with TLS, to the frame in which the page shows it ({EVENTS} "
        f"events, {OPENINGS} openings). Opening: from the address to the page that lives.",
        ("", "measured", "asked"),
    )
    with laboratory(repository, scratch) as (broker, _):
        shown_ms, openings = asyncio.run(_watched(broker, scratch))
        aborts_s = asyncio.run(_aborted(broker, Bench(repository, scratch, broker)))
    report.rows += [
        (
            "event in the journal to the page",
            f"median {percentile(shown_ms, 50):.0f} ms, 99 % {percentile(shown_ms, 99):.0f} ms",
            "<= 300 ms",
        ),
        ("abort held on a phone: from the end of the hold to open circuit", spread([1e3 * one for one in aborts_s], "ms", 1), "<= 100 ms"),
        ("opening a rig's page", spread([one.wall_s for one in openings], "s"), "<= 2 s"),
        ("process time of that: the dashboard", spread([one.server_s for one in openings], "s"), ""),
        ("process time of that: the browser, the first opening with an empty cache", spread([one.browser_s for one in openings], "s"), ""),
    ]
    with own_broker(scratch) as (url, pid):
        report.rows.append((f"{RIGS} rigs, {PER_SECOND} messages/s each, one open overview", asyncio.run(_crowd(url, pid)), "one core"))
    return report


@contextmanager
def dashboard(*options: str) -> Iterator[tuple[str, int]]:
    """Its address and process."""
    command = [*OPERANDO, "dashboard", "--port", "0", "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"], process.pid
        process.terminate()


@asynccontextmanager
async def phone() -> AsyncIterator[Any]:
    """A page of a phone's size."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield await (await chromium.new_context(**PHONE)).new_page()
        await chromium.close()


class Opening(NamedTuple):
    """One opening of a page: seconds by the wall, and of process time of the dashboard and of the browser."""

    wall_s: float
    server_s: float
    browser_s: float


async def _watched(broker: Any, scratch: Path) -> tuple[list[float], list[Opening]]:
    folder, clock = scratch / "events", Clock()
    folder.mkdir()
    journal = Journal.create(folder / "journal.sqlite", clock)
    journal.put("run.started", STARTED)
    source = Source(folder, "watched", lambda: clock.utc_ns() / 1e9)
    outbox = Outbox(folder, source.picture.origin_ns)
    publisher = Publisher(source, outbox, broker("rig-watched"), "watched", _nobody, Words(None), clock)
    running = asyncio.create_task(publisher.run())
    operator = broker("operator")
    files = ("--user", "operator", "--password-file", str(operator.password_file), "--ca", str(operator.ca))
    with dashboard("--broker", operator.url, *files) as (url, pid):
        async with phone() as page:
            openings = [await _opened(page, f"{url}/rig?rig=watched", pid) for _ in range(OPENINGS)]
            await page.evaluate(WATCH)
            committed: dict[str, float] = {}
            for number in range(EVENTS):
                await asyncio.sleep(0.137 * (1 + number % 5))  # in no step with any poll
                await journal.durable(journal.put("note", {"text": f"no.{number}", "who": "bench"}))
                committed[str(number)] = time.time() * 1e3
            await asyncio.sleep(2.0)
            stamps = await page.evaluate("window.stamps")
    publisher.stop()
    await running
    await journal.close()
    return [stamps[number] - at_ms for number, at_ms in committed.items() if number in stamps], openings


async def _aborted(broker: Any, bench: Bench) -> list[float]:
    """Seconds of each abort from the end of the hold, by the browser's clock, until the cell is at open circuit by its own record."""
    operator = broker("operator")
    files = ("--user", "operator", "--password-file", str(operator.password_file), "--ca", str(operator.ca))
    with dashboard("--broker", operator.url, *files) as (url, pid):
        async with phone() as page:
            await _opened(page, f"{url}/rig?rig=watched", pid)
            await page.evaluate("addEventListener('pointerdown', () => { window.down = Date.now() }, true)")

            async def hold(_: Link) -> int:
                box = await page.locator('button[data-verb="abort"]').bounding_box()
                await page.mouse.move(box["x"] + 20, box["y"] + 20)
                await page.mouse.down()
                await page.locator(".said.done").wait_for()
                await page.mouse.up()
                return round((await page.evaluate("window.down") + 1e3 * HOLD_s) * 1e6)

            return [await bench.died(hold) for _ in range(ROUNDS)]


async def _opened(page: Any, url: str, server: int) -> Opening:
    began_s, server_s, browser_s = time.perf_counter(), cpu_s(server), _browser_s(server)
    await page.goto(url)
    await page.wait_for_function("document.getElementById('silent') && !document.getElementById('first')")
    return Opening(time.perf_counter() - began_s, cpu_s(server) - server_s, _browser_s(server) - browser_s)


def _browser_s(server: int) -> float:
    """Process time of all that this process has started but the dashboard: Chromium, and Playwright's driver."""
    return sum(cpu_s(pid) for pid in family(os.getpid()) if pid not in {os.getpid(), server})


async def _crowd(url: str, broker_pid: int) -> str:
    """What broker and dashboard take of one core, by their process time, while all rigs publish and a phone looks on."""
    with dashboard("--broker", url) as (page_url, page_pid):
        async with phone() as page:
            process = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.page", url)
            await asyncio.sleep(2.0)
            await page.goto(page_url)
            await page.wait_for_function(f"document.getElementById('silent') && {RIGS} > 0")
            began_s, before = time.perf_counter(), (cpu_s(broker_pid), cpu_s(page_pid))
            await process.wait()
            took_s = time.perf_counter() - began_s
            broker, own = (cpu_s(pid) - then for pid, then in zip((broker_pid, page_pid), before, strict=True))
    return f"`operando broker` {100 * broker / took_s:.0f} %, dashboard {100 * own / took_s:.0f} % of a core"


async def _rigs(broker: Broker) -> None:
    """Twenty rigs that say what they do and ten samples a second."""
    async with AsyncExitStack() as stack:
        links = [await stack.enter_async_context(connected(broker, f"rig{number}")) for number in range(RIGS)]
        await asyncio.gather(*(_rig(Topics(f"rig{number}"), link) for number, link in enumerate(links)))


async def _rig(topics: Topics, link: Link) -> None:
    def at() -> dict[str, Any]:
        now_s = time.time()
        return {"run_id": topics.rig, "run": topics.rig, "time_s": now_s, "time_utc": utc(now_s), "t_s": now_s % 1e5}

    heard = {"heard_s": time.time(), "heard_utc": "", "published_s": time.time(), "published_utc": ""}
    state = State(**at(), rig=topics.rig, name="crowd", state="running", rig_alive=True, cell_state="on", journal_seq=1, **heard)
    await link.publish(Out(topics.state, state.encoded()))
    await link.publish(Out(topics.status, b"online"))
    began_s = asyncio.get_running_loop().time()
    for count in range(PER_SECOND * (SECONDS + 5)):
        await asyncio.sleep(max(0.0, began_s + count / PER_SECOND - asyncio.get_running_loop().time()))
        sample = Sample(**at(), seq=count, step_key="s000", step_index=0, cycle=1, voltage_V=3.4, current_A=1e-3, charge_step_C=0.1)
        await link.publish(Out(topics.ec, sample.encoded(), 0, retained=False))


async def _nobody(command: Any) -> Any:
    raise AssertionError(command)


if __name__ == "__main__":
    asyncio.run(_rigs(Broker(url=sys.argv[1])))
