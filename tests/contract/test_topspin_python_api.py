"""Bruker's own Python interface as the route to the same agent: a module with the calls that are known of it, on the emulated data tree."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML
from wire_taps import Silence

from drivers.base import AcquisitionOrder, ConsoleActivity, Context, Failed, Filed, Settings
from drivers.clock import Clock
from drivers.errors import NotReachable, NotSupported, Rejected
from drivers.registry import factory, make_console, memory_network, real_network
from drivers.sim.switches import Faults
from drivers.testing.bench import EventLog, listening
from drivers.topspin.console.script import ScriptProcess
from drivers.topspin.console.site import Site
from drivers.topspin.console.topspin import TopSpin
from drivers.topspin.faults import DEFAULTS
from drivers.transport.virtual import run_virtual

pytestmark = [pytest.mark.timeout(120), pytest.mark.posix_only]
SUPPORT = Path(__file__).parents[1] / "support" / "bruker_api"
SPEED = 10.0


@asynccontextmanager
async def topspin(repository: Path, folder: Path, clock: Clock) -> AsyncIterator[str]:
    """An emulated TopSpin without an agent; where its own door is: host, port, token."""
    description = YAML(typ="safe").load(repository / "configs" / "twins" / "C1.yaml")
    twin = factory("twins", "twin")(description, seed=1, t0_mono_ns=clock.mono_ns())
    faults = Faults(DEFAULTS, clock, lambda _: None, lambda _: None)
    program = TopSpin(clock, twin, Site({}, folder, clock, faults), faults)
    program.make()
    program.start()
    door = ScriptProcess(program, real_network(), Path(), {}, folder)
    door._token = secrets.token_hex(8)
    server = await asyncio.start_server(door._called, "127.0.0.1", 0, limit=1 << 20)
    try:
        yield f"127.0.0.1 {server.sockets[0].getsockname()[1]} {door._token}"
    finally:
        server.close()
        for task in list(door._calls):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await program.stop()


def driver(root: Path, clock: Clock, **options: Any) -> Any:
    chosen = {"route": "python-api", "root": str(root), **options}
    return make_console(Settings("console", "topspin", "localhost:3081", options=chosen), Context(clock, real_network(), Silence()))


def order(key: str, **changes: Any) -> AcquisitionOrder:
    template = {"nucleus": "7Li", "dataset": "templates/7Li_metal/1", "points": 1024, "carrier_ppm": 100.0}
    return AcquisitionOrder(key=key, name=key, nucleus="7Li", template=template, **{"scans": 4, "dummies": 1, "recycle_s": 0.5, **changes})


async def finished(log: EventLog[Any], count: int) -> Any:
    for _ in range(600):
        over = [event for event in log.events if isinstance(event, Filed | Failed)]
        if len(over) >= count:
            return over[-1]
        await asyncio.sleep(0.05)
    raise AssertionError(log.events)


def stop_the_child(root: Path) -> None:
    """The agent's own way: a file beside its settings."""
    (root / "operando_agent.stop").touch()


async def test_an_acquisition_by_brukers_interface(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, root = Clock(SPEED), tmp_path / "nmr"
    async with topspin(repository, tmp_path, clock) as door:
        monkeypatch.setenv("OPERANDO_TEST_TOPSPIN", door)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")]))
        console = driver(root, clock)
        try:
            assert (await console.connect()).firmware == "4.4.0"
            async with listening(console.events(), clock) as log:
                back = await console.prepare(order("one"))
                assert (back.parameters["NS"], back.parameters["D 1"], back.parameters["TD"]) == (4, 0.5, 2048)
                await console.start("one")
                await console.start("one")
                assert isinstance(await finished(log, 1), Filed)
                fetched = await console.fetch("one", 0)
                assert (fetched.fid.scans, fetched.fid.data.shape) == (4, (1024,))
                assert np.any(fetched.fid.data)
                assert fetched.times.start_utc_ns is not None

                await console.prepare(order("halted", scans=2000))
                await console.start("halted")
                await asyncio.sleep(1.0)
                await console.release()

            again = driver(root, clock)  # the child lives on while zg runs, and is found again
            await again.connect()
            state = await again.read_state()
            assert (state.activity, state.key) == (ConsoleActivity.ACQUIRING, "halted")
            async with listening(again.events(), clock) as log:
                await again.halt("halted")
                assert isinstance(await finished(log, 1), Filed)
                assert 0 < (await again.fetch("halted", 0)).fid.scans < 2000
                with pytest.raises(Rejected):
                    await again.prepare(order("far", scans=1 << 21))
                assert await again.hand_back() == ()
            await again.release()
        finally:
            stop_the_child(root)


async def test_without_the_packages_it_says_what_to_install(repository: Path, tmp_path: Path) -> None:
    clock, root = Clock(), tmp_path / "nmr"
    root.mkdir()
    with pytest.raises(NotSupported, match="Bruker's own packages") as refusal:
        await driver(root, clock).connect()
    assert "ts_remote_api" in str(refusal.value)
    assert "pip install" in str(refusal.value)


async def test_without_its_folder_and_in_virtual_time_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotReachable, match="not the folder"):
        await driver(tmp_path / "nowhere", Clock()).connect()


def test_virtual_time_is_refused(tmp_path: Path) -> None:
    async def main(clock: Clock) -> None:
        options = {"route": "python-api", "root": str(tmp_path)}
        context = Context(clock, memory_network(), Silence())
        with pytest.raises(NotSupported, match="virtual"):
            await make_console(Settings("console", "topspin", "localhost:3081", options=options), context).connect()

    run_virtual(main)
