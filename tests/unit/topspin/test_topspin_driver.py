"""The driver and the shipped agent over real sockets, on a stand-in for TopCmds: keys, folders, identities, and the pull variant."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from wire_taps import Silence

from drivers.base import Acquired, AcquisitionOrder, ConsoleActivity, Context, Failed, Filed, LinkLost, Settings, Started
from drivers.clock import Clock
from drivers.errors import NotReachable, NotSupported, Rejected, WrongInstrument
from drivers.testing.bench import EventLog, listening
from drivers.topspin.driver import TopSpin
from drivers.transport.real import RealNetwork

STANDIN = Path(__file__).parent / "standin"
AGENT = Path(__file__).parents[3] / "drivers" / "topspin" / "agent" / "operando_agent.py"
TEMPLATE = {"nucleus": "7Li", "dataset": "templates/1", "points": 512, "carrier_ppm": 100.0}
SECRET = b"sixteen bytes or more"


def order(key: str = "a00001-quant", **changes: Any) -> AcquisitionOrder:
    given = {"name": "quant", "nucleus": "7Li", "template": TEMPLATE, "scans": 16, "recycle_s": 0.5, "deadline_s": 30.0}
    return AcquisitionOrder(key, **{**given, **changes})


def driver(address: str, **options: Any) -> TopSpin:
    identity = options.pop("identity", "")
    return TopSpin(Settings("console", "topspin", address, identity=identity, options=options), Context(Clock(), RealNetwork(), Silence()))


def at(console: Any) -> str:
    return f"{console.where['host']}:{console.where['port']}"


@asynccontextmanager
async def connected(console: TopSpin) -> AsyncIterator[EventLog[Any]]:
    await console.connect()
    try:
        async with listening(console.events(), Clock()) as log:
            yield log
    finally:
        await console.release()


@pytest.fixture
def guarded(consoles: Callable[..., Any]) -> Any:
    console = consoles()
    (console.folder / "key").write_bytes(SECRET)
    console.settings["key_file"] = str(console.folder / "key")
    return console.start()


async def test_one_acquisition_with_a_key_through_a_mapped_folder(guarded: Any, tmp_path: Path) -> None:
    """The agent's own folder is known here under another name, as a share would be."""
    share = tmp_path / "share"
    share.symlink_to(guarded.root)
    topspin = driver(at(guarded), key_file=str(guarded.folder / "key"), path_map={str(guarded.root): str(share)}, dataset="cellA")
    async with connected(topspin) as log:
        back = await topspin.prepare(order())
        assert back.parameters["NS"] == 16
        assert back.deviations == {}
        await topspin.start("a00001-quant")
        filed = await log.until(Filed, within_s=15.0)
        assert filed.path == str(guarded.root / "cellA" / "1")
        fetched = await topspin.fetch("a00001-quant")
    assert [type(event) for event in log.events] == [Started, Acquired, Filed]
    assert (fetched.fid.scans, fetched.fid.data.shape, fetched.partial) == (16, (512,), False)
    assert fetched.fid.carrier_MHz == pytest.approx(116.641914 * 1.0001, rel=1e-9)
    assert {file.path.is_relative_to(share) for file in fetched.files} == {True}
    title = next(file for file in fetched.files if file.name.endswith("/title"))
    assert title.path.read_text() == "quant a00001-quant\nopnmr:a00001-quant"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, WrongInstrument, "wants a key"),
        ({"key_file": "wrong"}, WrongInstrument, "the agent's key is another"),
        ({"key_file": "missing"}, NotReachable, "cannot be read"),
        ({"key_file": "key", "identity": "another computer"}, WrongInstrument, "not on another computer"),
        ({"key_file": "key", "user": "nobody here"}, WrongInstrument, "locked by another user: TopSpin belongs to"),
        ({"key_file": "key", "path_map": {"{root}": "/not/mounted"}}, NotReachable, "not visible here"),
    ],
)
async def test_who_is_not_met(guarded: Any, options: dict[str, Any], error: type[Exception], words: str) -> None:
    (guarded.folder / "wrong").write_bytes(b"another key altogether")
    if "key_file" in options:
        options = {**options, "key_file": str(guarded.folder / options["key_file"])}
    if "path_map" in options:
        options = {**options, "path_map": {str(guarded.root): "/not/mounted"}}
    topspin = driver(at(guarded), **options)
    with pytest.raises(error, match=words) as caught:
        await topspin.connect()
    assert caught.value.advice or "computer" in words
    await topspin.release()
    assert not any(line.startswith(("RE", "WR", "XCMD")) for line in guarded.said())


async def test_an_agent_that_cannot_prove_itself_is_not_obeyed(consoles: Callable[..., Any], tmp_path: Path) -> None:
    """Somebody else's listener, which lets everybody in, is not the agent that shares our key."""
    console = consoles().start()
    (tmp_path / "key").write_bytes(SECRET)
    topspin = driver(at(console), key_file=str(tmp_path / "key"))
    with pytest.raises(WrongInstrument, match="does not know our key"):
        await topspin.connect()
    await topspin.release()


async def test_another_program_has_control(console: Any) -> None:
    first, second = driver(at(console)), driver(at(console))
    async with connected(first):
        with pytest.raises(Rejected, match="another program has control"):
            await second.connect()
        await second.release()


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:x", ":1"])
async def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(NotReachable):
        await driver(address).connect()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"template": {"nucleus": "7Li", "series": "s"}}, "needs a data set to clone"),
        ({"template": {**TEMPLATE, "dataset": "../../etc/1"}}, "cannot be a path"),
        ({"template": {**TEMPLATE, "dataset": "templates/2"}}, "no data set at"),
        ({"nucleus": "23Na"}, "is not of 23Na"),
        ({"key": "../x"}, "cannot be the name"),
        ({"scans": 0}, "cannot be"),
        ({"recycle_s": float("nan")}, "is no number"),
        ({"scans": 5000}, "outside what the rig allows"),
        ({"template": {**TEMPLATE, "pulse_us": 20}}, "outside what the rig allows"),
        ({"template": {**TEMPLATE, "pulse_us": 5}}, "P 1 may not be set here"),
    ],
)
async def test_what_is_not_prepared(visitor: Any, changes: dict[str, Any], words: str) -> None:
    """A pulse inside what the rig unlocks is still the agent's to refuse: its own settings lock it."""
    console = visitor
    topspin = driver(at(console), limits={"NS": [1, 4096]}, unlock={"pulse_us": [1, 10]})
    async with connected(topspin):
        asked = replace(order(), **changes)
        with pytest.raises(Rejected, match=words):
            await topspin.prepare(asked)
        with pytest.raises(Rejected):
            await topspin.start(asked.key)
    assert "XCMD zg" not in console.said()


async def test_pulse_and_power_are_compared_and_told(console: Any) -> None:
    topspin = driver(at(console))
    assert "pulse_us" in topspin.capabilities.locked
    async with connected(topspin):
        back = await topspin.prepare(order(template={**TEMPLATE, "pulse_us": 9, "gain": 101, "spectral_width_Hz": 2e5}))
        assert back.deviations == {"P 1": (9.0, 8.0), "SW_h": (2e5, 93457.9439252336)}
    assert not any("P 1" in line for line in console.said())


async def test_a_second_driver_follows_the_scan_of_the_first(console: Any) -> None:
    console.switch(zg_s=1.0)
    first, second = driver(at(console)), driver(at(console))
    async with connected(first):
        await first.prepare(order())
        await first.start("a00001-quant")
    async with connected(second) as log:
        state = await second.read_state()
        assert (state.activity, state.key) == (ConsoleActivity.ACQUIRING, "a00001-quant")
        await log.until(Filed, within_s=15.0)
        assert (await second.fetch("a00001-quant")).fid.scans == 16
    assert console.said().count("XCMD zg") == 1


async def test_the_clock_of_the_console(console: Any) -> None:
    topspin = driver(at(console))
    async with connected(topspin):
        sample = await topspin.read_clock()
        assert sample is not None
        assert abs(sample.device_ns - Clock().utc_of(sample.mono_ns)) < 1_000_000_000


# ---------------------------------------------------------------------------------------------------------------- pull


@pytest.fixture
async def called(consoles: Callable[..., Any]) -> AsyncIterator[tuple[Any, Callable[[], None]]]:
    """A console whose AU program calls us at the port of its settings; ``start`` begins it."""
    console = consoles(mode="pull", port=await free_port(), patience_s=20.0)
    (console.folder / "key").write_bytes(SECRET)
    console.settings["key_file"] = str(console.folder / "key")
    (console.folder / "settings.json").write_text(json.dumps({k: v for k, v in console.settings.items() if k != "port_file"}))
    running: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        environment = {**os.environ, "PYTHONPATH": str(STANDIN), "OPERANDO_AGENT_CONFIG": str(console.folder / "settings.json")}
        current = [console.template.parent.name, "1", "1", str(console.root)]
        running.append(subprocess.Popen([sys.executable, STANDIN / "au_program.py", AGENT, *current], cwd=console.folder, env=environment))

    yield console, start
    for process in running:
        process.kill()
        process.wait()


async def free_port() -> int:
    listener = await RealNetwork().listen("127.0.0.1", 0)
    await listener.close()
    return listener.port


async def test_the_pull_variant_acquires_one_after_the_other(called: tuple[Any, Callable[[], None]]) -> None:
    console, start = called
    topspin = driver(f"127.0.0.1:{console.settings['port']}", mode="pull", key_file=str(console.folder / "key"))
    assert topspin.capabilities.commands == {"prepare", "start", "fetch"}
    console.switch(zg_s=0.5)
    start()
    async with connected(topspin) as log:
        for n in range(1, 3):
            async with asyncio.timeout(20.0):
                while not topspin._bridge.connected:
                    await asyncio.sleep(0.02)
            back = await topspin.prepare(order(f"pulled-{n}"))
            assert back.parameters["NS"] == 16
            await topspin.start(f"pulled-{n}")
            await log.until(Started, n, within_s=15.0)
            with pytest.raises(NotSupported):
                await topspin.halt(f"pulled-{n}")
            assert (await topspin.read_state()).key == f"pulled-{n}"
            assert not (await topspin.make_safe()).confirmed
            await log.until(Filed, n, within_s=15.0)
            assert (await topspin.fetch(f"pulled-{n}")).fid.scans == 16
    assert not log.of(LinkLost)
    assert not log.of(Failed)
    assert [line for line in console.said() if line == "XCMD zg"] == ["XCMD zg"] * 2


async def test_whoever_calls_without_the_key_is_not_listened_to(called: tuple[Any, Callable[[], None]]) -> None:
    console, start = called
    (console.folder / "other").write_bytes(b"another key altogether")
    topspin = driver(f"127.0.0.1:{console.settings['port']}", mode="pull", key_file=str(console.folder / "other"))
    start()
    with pytest.raises(WrongInstrument, match="key"):
        await topspin.connect()
    await topspin.release()


async def test_on_a_network_pulling_needs_a_key() -> None:
    topspin = driver("0.0.0.0:0", mode="pull")
    with pytest.raises(NotReachable, match="key_file"):
        await topspin.connect()
    await topspin.release()
