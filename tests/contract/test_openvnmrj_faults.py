"""Every fault the OpenVnmrJ emulator can show, and what the driver makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from wire_taps import Silence

from drivers.base import AcquisitionOrder, ConsoleActivity, ConsoleEvent, Context, Failed, Settings
from drivers.clock import Clock
from drivers.errors import InstrumentError, NotReachable, Rejected
from drivers.registry import factory, make_console, make_emulator, memory_network
from drivers.transport.virtual import run_virtual

TEMPLATE = {"points": 1024, "spectral_width_Hz": 93458.0, "carrier_ppm": 100.0, "gain": 13.3}
ORDER = AcquisitionOrder("key-1", "fast", "7Li", TEMPLATE, scans=20, dummies=1, recycle_s=0.5, deadline_s=60.0)
WHOLE = ["Started", "Acquired", "Filed"]


@dataclass
class Bench:
    clock: Clock
    emulator: Any
    driver: Any
    events: list[ConsoleEvent] = field(default_factory=list)

    async def collect(self) -> None:
        async for event in self.driver.events():
            self.events.append(event)

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events if "Link" not in type(event).__name__]

    def links(self) -> list[str]:
        return [type(event).__name__ for event in self.events if "Link" in type(event).__name__]

    async def acquire(self, fault: str = "", **parameters: Any) -> None:
        """An acquisition of 11 s; the fault comes in its third second."""
        await self.driver.connect()
        await self.driver.prepare(ORDER)
        await self.driver.start("key-1")
        await self.clock.sleep(3.0)
        if fault:
            self.emulator.inject(fault, **parameters)

    def why(self) -> str:
        failed = self.events[-1]
        assert isinstance(failed, Failed)
        return failed.why


Play = Callable[[Callable[[Bench], Awaitable[None]]], None]


@pytest.fixture
def play(repository: Path, tmp_path: Path) -> Play:
    description = YAML(typ="safe").load(repository / "configs" / "twins" / "C1.yaml")

    def run(scenario: Callable[[Bench], Awaitable[None]]) -> None:
        async def main(clock: Clock) -> None:
            twin = factory("twins", "twin")(description, seed=1, t0_mono_ns=clock.mono_ns())
            context = Context(clock, memory_network(), Silence(), twin)
            emulator = make_emulator(Settings("emulator", "openvnmrj", str(tmp_path)), context)
            address = (await emulator.start()).address
            bench = Bench(clock, emulator, make_console(Settings("console", "openvnmrj", address), context))
            collecting = asyncio.create_task(bench.collect())
            await scenario(bench)
            await bench.driver.release()
            await collecting
            await emulator.stop()

        run_virtual(main)

    return run


def test_every_fault_of_the_emulator_is_tried_here() -> None:
    tried = Path(__file__).read_text(encoding="utf-8")
    names = factory("emulators", "openvnmrj").fault_names
    assert [name for name in sorted(names) if f'"{name}"' not in tried] == []


@pytest.mark.parametrize("fault", ["background_processing", "curpar_stale", "clock_off", "stale_pid", "cut_at_1024"])
def test_what_costs_nothing(play: Play, fault: str) -> None:
    async def scenario(bench: Bench) -> None:
        bench.emulator.inject(fault)
        await bench.acquire()
        await bench.clock.sleep(15.0)
        assert bench.kinds() == WHOLE
        assert bench.links() == []

    play(scenario)


def test_gain_is_what_the_console_says(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        bench.emulator.inject("gain_rounding")
        await bench.driver.connect()
        read = await bench.driver.prepare(ORDER)
        assert read.deviations["gain"] == (13.3, 14)
        await bench.driver.start("key-1")
        await bench.clock.sleep(20.0)
        assert (await bench.driver.fetch("key-1")).fid.gain == 14.0

    play(scenario)


@pytest.mark.parametrize(
    "fault", ["talk_missing", "swapped_byte_order", "refused_port", "silent", "dead_listener_freeze", "foreground_busy"]
)
def test_nobody_at_home(play: Play, fault: str) -> None:
    async def scenario(bench: Bench) -> None:
        bench.emulator.inject(fault)
        with pytest.raises(NotReachable):
            await bench.driver.connect()
        assert (await bench.driver.read_state()).activity is ConsoleActivity.UNKNOWN

    play(scenario)


@pytest.mark.parametrize("fault", ["talk_missing", "swapped_byte_order", "refused_port", "foreground_busy"])
def test_losing_the_console_does_not_lose_the_scan(play: Play, fault: str) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.acquire(fault)
        await bench.clock.sleep(90.0)
        assert bench.kinds() == WHOLE
        assert bench.links()[0] == "LinkLost"
        assert (await bench.driver.fetch("key-1")).fid.scans == 20

    play(scenario)


@pytest.mark.parametrize("fault", ["silent", "dead_listener_freeze"])
def test_a_console_that_never_tells_again_fails_in_time(play: Play, fault: str) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.acquire(fault)
        await bench.clock.sleep(150.0)
        assert bench.kinds() in (["Started", "Failed"], WHOLE)
        safe = await bench.driver.make_safe()
        await bench.clock.sleep(0.1)
        assert safe.confirmed is (bench.links()[-1] == "LinkRestored")

    play(scenario)


@pytest.mark.parametrize(("seconds", "kinds"), [(40.0, WHOLE), (66.0, WHOLE), (100.0, ["Failed"])])
def test_a_foreground_that_is_busy_when_au_comes(play: Play, seconds: float, kinds: list[str]) -> None:
    """Started late, once; or failed, and what the console makes of the old command later is nobody's and is never saved."""

    async def scenario(bench: Bench) -> None:
        await bench.driver.connect()
        await bench.driver.prepare(ORDER)
        foreground = bench.driver._foreground
        send, sent = foreground.send, []

        async def into_a_busy_foreground(command: bytes, **how: bool) -> None:
            if b" au " in command:
                bench.emulator.inject("foreground_busy", seconds=seconds)
                sent.append(command)
            await send(command, **how)

        foreground.send = into_a_busy_foreground
        await bench.driver.start("key-1")
        await bench.clock.sleep(80.0)
        await bench.driver.start("key-1")
        await bench.clock.sleep(60.0)
        assert bench.kinds() == kinds
        assert len(sent) == 1
        assert bench.links() == ["LinkLost", "LinkRestored"]
        assert (bench.emulator.experiment.vnmruser / "data" / "operando" / "key-1_b0.fid").exists() is (kinds == WHOLE)
        foreground.send = send
        await bench.driver.prepare(replace(ORDER, key="key-2"))
        await bench.driver.start("key-2")
        await bench.clock.sleep(20.0)
        assert bench.kinds() == kinds + WHOLE

    play(scenario)


@pytest.mark.parametrize("fault", ["svf_fails", "disk_full"])
def test_nothing_complete_was_saved(play: Play, fault: str) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.acquire(fault)
        await bench.clock.sleep(60.0)
        assert bench.kinds() == ["Started", "Failed"]
        assert "no complete files" in bench.why()
        with pytest.raises(InstrumentError):
            await bench.driver.fetch("key-1")
        await bench.driver.prepare(replace(ORDER, key="key-2"))
        await bench.driver.start("key-2")
        await bench.clock.sleep(20.0)
        assert bench.kinds()[2:] == WHOLE

    play(scenario)


def test_the_console_reports_an_error(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        bench.emulator.inject("acquisition_error", code=13)
        await bench.acquire()
        await bench.clock.sleep(20.0)
        assert bench.kinds() == ["Started", "Failed"]
        assert bench.why().endswith("the console reports 13: soft error")

    play(scenario)


def test_a_tuner_that_hangs_costs_its_acquisition_and_no_other(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        bench.emulator.inject("tuner_hang")
        await bench.acquire()
        await bench.clock.sleep(30.0)
        assert bench.kinds() == ["Started"]
        await bench.driver.halt("key-1")
        await bench.clock.sleep(5.0)
        assert bench.kinds() == ["Started", "Failed"]
        assert "halted before a block of scans was over" in bench.why()
        await bench.driver.prepare(replace(ORDER, key="key-2"))
        await bench.driver.start("key-2")
        await bench.clock.sleep(20.0)
        assert bench.kinds()[2:] == WHOLE

    play(scenario)


def test_a_driver_that_nobody_halts_gives_a_hung_scan_up_by_itself(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        bench.emulator.inject("tuner_hang")
        await bench.acquire()
        await bench.clock.sleep(200.0)
        assert bench.kinds() == ["Started", "Failed"]
        assert (await bench.driver.read_state()).activity is ConsoleActivity.IDLE

    play(scenario)


def test_somebody_elses_acquisition_fires_our_wexp(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.driver.connect()
        await bench.driver.prepare(ORDER)
        bench.emulator.inject("wexp_stale")
        await bench.driver.start("key-1")
        await bench.clock.sleep(30.0)
        assert bench.kinds() == ["Started", "Failed"]
        assert "somebody else" in bench.why()
        with pytest.raises(Rejected, match="somebody else"):
            await bench.driver.fetch("key-1")
        assert (await bench.driver.read_state()).activity is ConsoleActivity.IDLE

    play(scenario)


def test_an_acquisition_after_ours_finds_nothing_armed(play: Play) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.acquire()
        await bench.clock.sleep(15.0)
        before = await bench.driver.fetch("key-1")
        bench.emulator.inject("wexp_stale")
        await bench.clock.sleep(30.0)
        after = await bench.driver.fetch("key-1")
        assert [file.sha256 for file in after.files] == [file.sha256 for file in before.files]
        assert bench.kinds() == WHOLE

    play(scenario)


@pytest.mark.parametrize("nucleus", ["7Li", "23Na"])
def test_the_switch_of_nuclei_fails(play: Play, nucleus: str) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.driver.connect()
        await bench.driver.prepare(ORDER)
        bench.emulator.inject("wrong_nucleus")
        order = replace(ORDER, nucleus=nucleus, template={**TEMPLATE, "carrier_ppm": 0.0})
        with pytest.raises(Rejected, match="MHz"):
            await bench.driver.prepare(order)
        with pytest.raises(Rejected, match="not prepared"):
            await bench.driver.start("key-1")

    play(scenario)
