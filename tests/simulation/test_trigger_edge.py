"""An edge on the console's trigger input begins what was armed: three consoles, and a night behind somebody else's cycler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from other_cycler import OtherCycler, current, rest
from wire_taps import Silence

from drivers import registry
from drivers.base import Acquired, AcquisitionOrder, Context, Failed, Filed, Settings, Started
from drivers.clock import Clock
from drivers.errors import Rejected
from drivers.transport.virtual import run_virtual
from orchestrator.config import load_twin

TEMPLATES: dict[str, dict[str, Any]] = {
    "sim": {"series": "series_1p_7Li_metal"},
    "topspin": {"dataset": "templates/7Li_edge/1", "points": 2048, "carrier_ppm": 100.0},
    "openvnmrj": {"seqfil": "s2pul_xgate", "points": 2048, "spectral_width_Hz": 93458.0, "carrier_ppm": 100.0},
}
ORDER = AcquisitionOrder("k1", "metal", "7Li", {}, scans=4, dummies=1, recycle_s=0.5, deadline_s=1200.0, edge_within_s=1100.0)
WAITED_s = 600.0


class Armed:
    """A console with its trigger input; ``edge``: the line, from outside."""

    def __init__(self, name: str, clock: Clock, twin: Any, folder: Path) -> None:
        self._network = registry.memory_network()
        self._context = Context(clock, self._network, Silence(), twin)
        self._name, self._folder, self.clock = name, folder, clock
        self.order = replace(ORDER, template={"nucleus": "7Li", **TEMPLATES[name]})
        self.heard: list[Any] = []

    async def begin(self) -> None:
        address = "memory"
        if self._name != "sim":
            self.emulator = registry.make_emulator(Settings("emulator", self._name, str(self._folder)), self._context)
            address = (await self.emulator.start()).address
        self.console = registry.make_console(Settings("console", self._name, address), self._context)
        self.edge = self.console.edge if self._name == "sim" else self.emulator.edge
        await self.console.connect()
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for event in self.console.events():
            self.heard.append(event)

    async def until(self, kind: type[Any]) -> Any:
        while not (found := [event for event in self.heard if isinstance(event, kind)]):
            await self.clock.sleep(0.5)
        return found[-1]

    async def end(self) -> None:
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        await self.console.release()
        if self._name != "sim":
            await self.emulator.stop()


def armed(name: str, folder: Path, test: Callable[[Armed], Any]) -> None:
    async def main(clock: Clock) -> None:
        description = load_twin(Path(__file__).parents[2] / "configs" / "twins" / "C1.yaml")
        twin = registry.factory("twins", "twin")(description, seed=1, t0_mono_ns=clock.mono_ns())
        one = Armed(name, clock, twin, folder)
        await one.begin()
        try:
            await test(one)
        finally:
            await one.end()

    run_virtual(main)


@pytest.mark.parametrize("name", TEMPLATES)
def test_nothing_is_measured_before_the_edge_and_it_begins_with_it(name: str, tmp_path: Path) -> None:
    async def test(one: Armed) -> None:
        await one.console.prepare(one.order)
        await one.console.start("k1")
        await one.clock.sleep(WAITED_s)
        assert not [event for event in one.heard if isinstance(event, Started | Acquired | Filed | Failed)]
        edge_ns = one.clock.mono_ns()
        await one.edge()
        filed = await one.until(Filed)
        started = await one.until(Started)
        assert abs(started.mono_ns - edge_ns) <= started.half_width_ns + 1e6
        assert [type(event) for event in one.heard if isinstance(event, Started | Acquired | Filed)] == [Started, Acquired, Filed]
        assert (filed.mono_ns - edge_ns) / 1e9 < 30.0
        assert (await one.console.fetch("k1")).fid.data.size >= 2048

    armed(name, tmp_path, test)


@pytest.mark.parametrize("name", TEMPLATES)
def test_an_edge_that_never_comes_is_given_up_and_leaves_the_console_free(name: str, tmp_path: Path) -> None:
    async def test(one: Armed) -> None:
        await one.console.prepare(one.order)
        await one.console.start("k1")
        await one.clock.sleep(60.0)
        await one.console.halt("k1")
        await one.until(Failed)
        assert not [event for event in one.heard if isinstance(event, Started)]
        plain = replace(one.order, key="k2", edge_within_s=0.0, template={"nucleus": "7Li", **TEMPLATES[name]})
        if name == "topspin":
            plain = replace(plain, template={**plain.template, "dataset": "templates/7Li_metal/1"})
        await one.console.prepare(plain)
        await one.console.start("k2")
        assert (await one.until(Filed)).key == "k2"

    armed(name, tmp_path, test)


def test_a_sequence_that_waits_is_the_sites_own(tmp_path: Path) -> None:
    async def test(one: Armed) -> None:
        template = {name: value for name, value in one.order.template.items() if name != "seqfil"}
        with pytest.raises(Rejected, match="no sequence waits for an edge"):
            await one.console.prepare(replace(one.order, template=template))

    armed("openvnmrj", tmp_path, test)


EXPERIMENT = """
version: 1
experiment: wired
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.4, host_lost: open circuit within 60 s}
acquisitions:
  metal: {template: 7Li_metal, recycle_s: 0.75, scans: 16, dummies: 2, start: at trigger edge within WAIT}
protocol:
  - {step: Rest for 4 minutes, nmr: {metal: at start}}
  - {step: Plate working at 1 mA/cm2 until 0.1 mAh/cm2, nmr: {metal: at start}}
  - {step: Strip working at 1 mA/cm2 until 0.1 mAh/cm2}
"""
PROGRAM = (rest(240.0), current(-0.4e-3, 360.0), current(0.4e-3, 360.0))


@pytest.fixture
def wired(live: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """A night on rung 1 with the cycler's trigger output on the console's input."""

    def night(wait: str = "30 minutes", *, cable: bool = True) -> Any:
        folder = tmp_path / "cycler"
        folder.mkdir()

        def before(night: Any) -> None:
            night.cycler = OtherCycler(night.potentiostat, night.clock, folder / "cell.mpt", PROGRAM)
            night.cycler.edge = night.console.edge if cable else None
            context = Context(night.clock, registry.memory_network(), Silence())
            night.potentiostat = registry.make_potentiostat(Settings("cycler", "follow", str(folder)), context)

        async def during(night: Any) -> None:
            await night.clock.sleep(5.0)
            await night.cycler.run()

        return live(EXPERIMENT.replace("WAIT", wait), during, before=before)

    return night


def test_each_edge_of_the_cycler_begins_the_spectrum_that_was_armed_before_it(wired: Callable[..., Any]) -> None:
    """Armed at the rest, begun by the edge into the plating; armed then, begun by the edge into the stripping: to the clock's tick."""
    night = wired()
    assert night.outcome.exit_code == 0, night.outcome
    started = [event.mono_ns for event in night.of("acquisition.started")]
    assert started == pytest.approx(night.cycler.began[1:], abs=1e8)
    asked = night.of("acquisition.requested")
    assert [event.data["edge_within_s"] for event in asked] == [1800.0, 1800.0]
    assert len(night.of("acquisition.verified")) == 2


def test_without_a_cable_it_is_missed_in_time_and_said_why(wired: Callable[..., Any]) -> None:
    night = wired("2 minutes", cable=False)
    missed = night.of("acquisition.missed")
    assert len(missed) == 2
    assert all("before the first scan" in event.data["why"] for event in missed)
    assert [event.data["index"] for event in night.of("step.started")] == [0, 1, 2]
