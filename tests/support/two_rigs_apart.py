"""Run inside ``unshare -rmn``: a broker, two rigs and a dashboard in network namespaces of their own; links are cut and put back.

Prints one JSON object: what the dashboard's page said in each act. Needs root of its own namespace, touches nothing outside.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from artificial_night import Night
from mosquitto import Mosquitto

from drivers.clock import Clock
from orchestrator.recorder.journal import Journal

BROKER_AT, PORT, PAGE_PORT = "10.77.0.1", 18831, 18751
PATIENCE_S = 60.0
ALARM = {"id": "soft short", "level": "alarm", "title": "soft short", "text": "t", "advice": "look at the cell"}
SOONER = "from orchestrator.monitor import mqtt; mqtt.KEEPALIVE_s = 3; from orchestrator.cli import main; raise SystemExit(main())"
"""The program, but for how soon it misses a peer that says nothing: the test waits for that four times."""
READ = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{PAGE_PORT}/', timeout=5).read().decode())"


def run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=20)


def within(place: str, *command: str) -> tuple[str, ...]:
    return ("nsenter", f"--net=/run/netns/{place}", *command)


def lay_cables(*places: str) -> None:
    """A switch here, and a namespace at the end of each cable."""
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "switch", "type", "bridge")
    run("ip", "addr", "add", f"{BROKER_AT}/24", "dev", "switch")
    run("ip", "link", "set", "switch", "up")
    for number, place in enumerate(places, 2):
        run("ip", "netns", "add", place)
        run("ip", "link", "add", place, "type", "veth", "peer", "name", "eth", "netns", place)
        run("ip", "link", "set", place, "master", "switch", "up")
        run(*within(place, "ip", "link", "set", "lo", "up"))
        run(*within(place, "ip", "addr", "add", f"10.77.0.{number}/24", "dev", "eth"))
        run(*within(place, "ip", "link", "set", "eth", "up"))


def cable(place: str, state: str) -> None:
    run("ip", "link", "set", place, state)


@contextmanager
def program(place: str, *command: str, log: Path) -> Iterator[None]:
    with (
        log.open("wb") as said,
        subprocess.Popen(within(place, sys.executable, "-c", SOONER, *command), stdout=said, stderr=said) as process,
    ):
        try:
            yield
        finally:
            process.kill()


def page() -> dict[str, str]:
    """What the overview says of each rig: tone and head of its card; and ``broker`` where there is none."""
    done = subprocess.run(within("page", sys.executable, "-c", READ), capture_output=True, text=True, timeout=20, check=False)
    found = {}
    for card in done.stdout.split('<div class="sentence ')[1:]:
        tone = card.split('"')[0]
        head = card.split('class="head">')[1].split("<")[0] if 'class="head">' in card else ""
        rig = card.split('class="rig"><span>')[1].split(" ")[0] if 'class="rig"><span>' in card else "broker"
        found[rig] = f"{tone}: {head}"
    return found


def until(what: Callable[[dict[str, str]], Any]) -> dict[str, str]:
    end = time.monotonic() + PATIENCE_S
    while not what(found := page()):
        if time.monotonic() > end:
            raise TimeoutError(f"the page says {found}")
        time.sleep(1.0)
    return found


async def begun(folder: Path) -> Journal:
    """The journal of a run in its middle."""
    folder.mkdir(parents=True)
    night, journal = Night(samples=20, fids=1, per_block=5, ended=False), Journal.create(folder / "journal.sqlite", Clock())
    for kind, data, blob, at in night.told():
        journal.put(kind, data, blob=blob, at=at)
    now = night.at(30.0)
    journal.put("run.state", {"from": "preparing", "to": "running", "why": ""}, at=now)
    await journal.durable(journal.put("cell.state", {"cell": "on", "confirmed": True, "detail": ""}, at=now))
    return journal


async def acts(folder: Path, stack: ExitStack) -> dict[str, dict[str, str]]:
    """The play."""
    broker = Mosquitto(folder, ("user root", "allow_anonymous true"), PORT, BROKER_AT).start()
    stack.callback(broker.end)
    journals = []
    for rig in ("north", "south"):
        run_folder = folder / rig / "20261121T220000Z_night"
        journals.append(await begun(run_folder))
        options = ("--broker", broker.broker.model_dump_json(), "--rig", rig, "--state", str(folder / rig))
        stack.enter_context(program(rig, "publish", str(run_folder), *options, log=folder / f"{rig}.log"))
    stack.enter_context(program("page", "dashboard", "--broker", broker.url, "--port", str(PAGE_PORT), log=folder / "page.log"))
    said = {"both are there": until(lambda one: one.keys() >= {"north", "south"} and all("fine" in words for words in one.values()))}
    cable("north", "down")
    await journals[0].durable(journals[0].put("alarm.raised", ALARM, at=Night().at(40.0)))
    said["the north is cut off"] = until(lambda one: one.get("north", "").startswith("stale"))
    cable("north", "up")
    said["the north is back"] = until(lambda one: one.get("north", "").startswith("bad"))
    cable("page", "down")
    said["the page is cut off"] = until(lambda one: "broker" in one)
    cable("page", "up")
    said["the page is back"] = until(lambda one: "broker" not in one and one.get("south", "").startswith("fine"))
    for journal in journals:
        await journal.close()
    return said


def main(folder: Path) -> None:
    lay_cables("north", "south", "page")
    with ExitStack() as stack:
        print(json.dumps(asyncio.run(acts(folder, stack))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
