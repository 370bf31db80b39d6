"""What watching over MQTT costs, and how fast an abort from a phone is.

Real brokers on this computer. The broker of the laboratory is mosquitto with the configuration of configs/mosquitto and what
`operando init` writes: TLS, passwords, access list. Delays between processes are by the computer's own clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import late_samples
from benchmarks.crowd import PER_SECOND
from benchmarks.guard import EXPERIMENT
from benchmarks.measure import OPERANDO, QUICK, Report, alternate, cpu_s, median_and_99, spread
from drivers.clock import Clock, Stamp
from orchestrator.control.client import send
from orchestrator.model.broker import Broker
from orchestrator.model.columns import pack
from orchestrator.monitor.dashboard.person import Intent, Person
from orchestrator.monitor.mqtt import Link, connected
from orchestrator.monitor.outbox import Outbox
from orchestrator.monitor.picture import Out
from orchestrator.monitor.topics import Topics
from orchestrator.observer.publisher import Publisher
from orchestrator.observer.source import Source
from orchestrator.observer.words import Words
from orchestrator.recorder.journal import Journal
from orchestrator.rig.folders import state_folder
from orchestrator.rig.truth import read_truth

ROUNDS, EVENTS = (1, 20) if QUICK else (10, 100)
RIGS, SECONDS = 20, 10
TIMES_AWAY = 1 if QUICK else 3
AWAY_s = 12.0
SPECTRA = 72
S = 1_000_000_000
TOPICS = Topics("watched")
PATIENCE_s = 60.0
HOLD_s = 0.9
"""As long as a button of the page is held."""


def measure(repository: Path, scratch: Path) -> Report:
    """Aborts in turn with their control, one broker under 20 rigs, events from the journal to a watcher."""
    os.environ["OPERANDO_HOME"] = str(scratch / "home")
    report = Report(
        "Watching over MQTT",
        f"An abort is sent by a client that is connected already; its time ends when the emulated cell is at open circuit by its own "
        f"record ({ROUNDS} runs at speed 1 each, in turn). An event's time is from its commit in the journal to a subscriber.",
        ("", "measured", "asked"),
    )
    with laboratory(repository, scratch) as (broker, process):
        bench = Bench(repository, scratch, broker)
        over_mqtt, from_page, control = alternate(ROUNDS, bench.abort_over_mqtt, bench.abort_from_page, bench.abort_locally)
        events_ms = asyncio.run(bench.events_ms())
        current_s = [asyncio.run(bench.current_after_six_hours_s(number)) for number in range(TIMES_AWAY)]
        busy = asyncio.run(crowd(broker("operator"), process.pid))
        late = late_samples.Bench(repository, scratch, broker("rig-watched"), process).slices()
    report.rows += [
        ("abort over TLS, to open circuit", spread([1e3 * value for value in over_mqtt], "ms", 1), "<= 100 ms"),
        (
            "as the page does it: the connection opens when the finger goes down; from the end of the hold",
            spread([1e3 * value for value in from_page], "ms", 1),
            "<= 100 ms",
        ),
        ("control: the same through the control socket", spread([1e3 * value for value in control], "ms", 1), "control"),
        ("event in the journal to a subscriber over TLS", median_and_99(events_ms), "<= 300 ms with the page"),
        (f"{RIGS} rigs, {PER_SECOND} messages/s each, one watcher of all: mosquitto, TLS", busy, "one core with the dashboard"),
    ]
    asked = "after six hours without a broker: from its start until a watcher has state and spectra"
    report.rows.append((asked, spread(current_s, "s"), "<= 5 s"))
    report.rows += late.rows()
    with own_broker(scratch) as (url, pid):
        text = asyncio.run(crowd(Broker(url=url), pid))
        report.rows.append(("the same on `operando broker`, no TLS", text, "control"))
    return report


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def laboratory(repository: Path, scratch: Path) -> Iterator[tuple[Callable[[str], Broker], subprocess.Popen[bytes]]]:
    """The laboratory's broker; gives the settings of each of its users."""
    secrets, port = scratch / "secrets", _free_port()
    subprocess.run([*OPERANDO, "init", str(secrets), "--rig", "watched"], check=True, capture_output=True)
    text = (repository / "configs" / "mosquitto" / "mosquitto.conf").read_text("utf-8")
    for there, here in (("/mosquitto/secrets", secrets), ("/mosquitto/data", scratch), ("listener 8883", f"listener {port}")):
        text = text.replace(there, str(here))
    (scratch / "mosquitto.conf").write_text(f"user root\n{text}".replace("listener 8883", f"listener {port}"), "utf-8")
    process = subprocess.Popen([_mosquitto(), "-c", str(scratch / "mosquitto.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def as_user(user: str) -> Broker:
        files = {"password_file": str(secrets / f"{user}.password"), "ca": str(secrets / "ca.crt")}
        return Broker(url=f"mqtts://127.0.0.1:{port}", user=user, **files)

    try:
        yield as_user, process
    finally:
        process.kill()
        process.wait()


@contextmanager
def own_broker(scratch: Path) -> Iterator[tuple[str, int]]:
    """`operando broker`: its URL and process."""
    command = [*OPERANDO, "broker", "--port", "0", "--home", str(scratch / "broker"), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"], process.pid
        process.terminate()


class Bench:
    """A laboratory's rig, `watched`: its runs, its events, and how it comes back."""

    def __init__(self, repository: Path, scratch: Path, broker: Callable[[str], Broker]) -> None:
        self._scratch, self._broker = scratch, broker
        self._experiment = scratch / "monitoring.yaml"
        self._experiment.write_text(EXPERIMENT, "utf-8")
        text = (repository / "configs" / "rigs" / "memory.yaml").read_text("utf-8")
        text = text.replace(
            "potentiostat: {driver: sim, address: memory}", 'potentiostat: {driver: methodscript, address: "emulator:methodscript"}'
        )
        text = text.replace("name: memory", "name: watched").replace("../twins/", f"{repository / 'configs' / 'twins'}/")
        self._rig = scratch / "watched.yaml"
        self._rig.write_text(f"{text}\nbroker: {broker('rig-watched').model_dump_json()}\n", "utf-8")
        self._count = 0

    def abort_over_mqtt(self) -> float:
        """Seconds."""
        return asyncio.run(self.died(self._abort_over_mqtt))

    def abort_from_page(self) -> float:
        """Seconds."""
        return asyncio.run(self.died(self._abort_from_page))

    def abort_locally(self) -> float:
        """Seconds."""
        return asyncio.run(self.died(self._abort_locally))

    async def _abort_over_mqtt(self, link: Link) -> int:
        began_ns = time.time_ns()
        table = {"id": f"a{self._count}", "not_after_s": time.time() + 10, "reply_to": TOPICS.reply("operator", "bench")}
        await link.publish(Out(TOPICS.command("operator", "abort"), json.dumps(table).encode(), 1, retained=False))
        return began_ns

    async def _abort_from_page(self, _: Link) -> int:
        intent = Intent()
        held = asyncio.create_task(Person("operator", self._broker("operator"), Clock()).intend("watched", "abort", intent))
        await asyncio.sleep(HOLD_s)
        began_ns = time.time_ns()
        intent.decide({})
        outcome = await held
        assert outcome is not None
        assert outcome.result == "done", outcome
        return began_ns

    async def _abort_locally(self, _: Link) -> int:
        began_ns = time.time_ns()
        await asyncio.to_thread(send, state_folder("watched", simulated=False), "abort")
        return began_ns

    async def died(self, abort: Callable[[Link], Awaitable[int]]) -> float:
        """Seconds from what ``abort`` gives as its beginning, ns since 1970, until the cell of a new run is at open circuit."""
        self._count += 1
        out = self._scratch / f"watched{self._count}"
        command = [*OPERANDO, "run", str(self._experiment), "--rig", str(self._rig), "--out", str(out), "--json"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            async with connected(self._broker("operator"), "bench") as link:
                await link.subscribe(TOPICS.status, TOPICS.state)
                async with asyncio.timeout(PATIENCE_s):
                    async for heard in link.messages():
                        if heard.topic == TOPICS.state and not heard.retained and json.loads(heard.payload)["cell_state"] == "on":
                            break
                truth = next(out.glob("*/emulated/truth.jsonl"))
                await _until_drive(truth, "current")
                await asyncio.sleep(1.0)
                began_ns = await abort(link)
                return (await _until_drive(truth, "off") - began_ns) / 1e9
        finally:
            await asyncio.to_thread(_ended, process)

    async def events_ms(self) -> list[float]:
        """Milliseconds of each event from its commit to a subscriber."""
        folder, clock = self._scratch / "events", Clock()
        folder.mkdir()
        journal = Journal.create(folder / "journal.sqlite", clock)
        journal.put("run.started", STARTED)
        source = Source(folder, "watched", lambda: clock.utc_ns() / 1e9)
        outbox = Outbox(folder, source.picture.origin_ns)
        publisher = Publisher(source, outbox, self._broker("rig-watched"), "watched", _nobody, Words(None), clock)
        running = asyncio.create_task(publisher.run())
        delays_ms: list[float] = []
        async with connected(self._broker("operator"), "watcher") as link:
            await link.subscribe(TOPICS.event)
            messages = link.messages()
            await anext(messages)
            for number in range(EVENTS):
                await asyncio.sleep(0.037 * (1 + number % 5))  # in no step with any poll
                await journal.durable(journal.put("note", {"text": str(number), "who": "bench"}))
                began_s = time.perf_counter()
                await anext(messages)
                delays_ms.append(1e3 * (time.perf_counter() - began_s))
        publisher.stop()
        await running
        await journal.close()
        return delays_ms

    async def current_after_six_hours_s(self, number: int) -> float:
        """Seconds from the broker's start until a watcher has the newest state and every spectrum of a run nobody could watch."""
        folder, clock, port = self._scratch / f"alone{number}", Clock(), _free_port()
        folder.mkdir()
        journal = Journal.create(folder / "journal.sqlite", clock)
        for kind, data, blob, at in _six_hours():
            journal.put(kind, data, blob=blob, at=at)
        await journal.durable(journal.last_seq)
        source = Source(folder, "watched", lambda: clock.utc_ns() / 1e9)
        outbox = Outbox(folder, source.picture.origin_ns)
        broker = Broker(url=f"mqtt://127.0.0.1:{port}")
        publisher = Publisher(source, outbox, broker, "watched", _nobody, Words(None), clock)
        running = asyncio.create_task(publisher.run())
        await asyncio.sleep(AWAY_s)  # its pauses have become as long as they get
        (folder / "m.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n", "utf-8")
        began_s = time.perf_counter()
        process = subprocess.Popen([_mosquitto(), "-c", str(folder / "m.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            await asyncio.to_thread(_listens, port)
            async with connected(broker, "watcher") as link, asyncio.timeout(PATIENCE_s):
                await link.subscribe(TOPICS.state, f"{TOPICS.top}/view/row/#")
                rows, state = set(), 0
                async for heard in link.messages():
                    if heard.topic == TOPICS.state:
                        state = json.loads(heard.payload)["journal_seq"]
                    else:
                        rows.add(heard.topic)
                    if state == journal.last_seq and len(rows) == SPECTRA + 1:
                        return time.perf_counter() - began_s
            raise TimeoutError("it never became current")
        finally:
            publisher.stop()
            await running
            await journal.close()
            process.kill()
            process.wait()


async def crowd(broker: Broker, pid: int, rigs: int = RIGS, seconds: int = SECONDS) -> str:
    """What the broker's process takes of one core while all rigs publish; the clients are in another process."""
    began_s, cpu = time.perf_counter(), cpu_s(pid)
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.crowd", broker.model_dump_json(), str(rigs), str(seconds), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await client.communicate()
    heard, late_s = said.decode().split()
    share = (cpu_s(pid) - cpu) / (time.perf_counter() - began_s)
    return f"{100 * share:.1f} % of a core; {heard} of {rigs * PER_SECOND * seconds} heard, the last {float(late_s):.2f} s late"


STARTED = {
    "name": "bench",
    "run_id": "0",
    "experiment": "",
    "rig": "",
    "cell": {},
    "plan": {},
    "versions": {},
    "seed": 0,
    "speed": 1.0,
    "simulated": True,
    "origin_mono_ns": 0,
}


def _six_hours() -> Iterator[tuple[str, dict[str, Any], bytes | None, Stamp]]:
    """A run of six hours, a sample a second and a spectrum every five minutes, as the journal has it."""
    began_ns, rng = time.time_ns() - 6 * 3600 * S, np.random.default_rng(6)
    yield "run.started", STARTED, None, Stamp(0, began_ns)
    started = {"key": "s000", "index": 0, "cycle": 1, "text": "Charge at C/10", "mode": "galvanostatic"}
    yield "step.started", started, None, Stamp(S, began_ns + S)
    for minute in range(6 * 60):
        t_s = 60.0 * minute + np.arange(60) + 2.0
        at = Stamp(int(t_s[-1] * S), began_ns + int(t_s[-1] * S))
        values = {"voltage_V": 3.4 + 1e-6 * t_s, "current_A": np.full(60, 1e-3), "charge_step_C": 1e-3 * t_s}
        columns, blob = pack({"mono_ns": (t_s * S).astype(np.int64), **values})
        yield "ec.block", {"step_key": "s000", "cycle": 1, "index": 0, "n": 60, "columns": columns}, blob, at
        if minute % (6 * 60 // SPECTRA) == 0:
            fid = (rng.normal(size=2048) + 1j * rng.normal(size=2048)).astype("<c8")
            axis = {"spectral_width_Hz": 1e5, "carrier_MHz": 116.64, "reference_MHz": 116.61, "group_delay_points": 0.0}
            data = {"key": f"a{minute}", "block": 0, "name": "fast", "nucleus": "7Li", "dtype": "<c8", "shape": [2048], "scans": 8}
            yield "fid.block", data | axis | {"raw_dtype": ">i4", "reversed_axis": False}, fid.tobytes(), at
            yield "acquisition.stored", {"key": f"a{minute}", "block": 0, "fid_seq": 0}, None, at


def _mosquitto() -> str:
    program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    assert program is not None, "apt-get install mosquitto"
    return program


def _listens(port: int) -> None:
    until = time.monotonic() + PATIENCE_s
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            return
        time.sleep(0.01)


async def _until_drive(truth: Path, drive: str) -> int:
    """When the emulated cell came to be driven so, UTC ns."""
    async with asyncio.timeout(PATIENCE_s):
        while not (drives := [one for one in read_truth(truth) if one.what == "drive"]) or drives[-1].data["drive"] != drive:
            await asyncio.sleep(0.05)
    return drives[-1].real_utc_ns


def _ended(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(PATIENCE_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def _nobody(command: Any) -> Any:
    raise AssertionError(command)
