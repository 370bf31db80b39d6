"""The simulated console keeps the contract of ``drivers.base.Console``; its files say what its FIDs say."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.base import (
    Acquired,
    AcquisitionOrder,
    Console,
    ConsoleActivity,
    Context,
    Failed,
    Filed,
    LinkLost,
    LinkRestored,
    Progress,
    Settings,
    Started,
)
from drivers.clock import Clock
from drivers.errors import BadReply, InstrumentError, NotReachable, NotSupported, OutcomeUnknown, Rejected
from drivers.sim.console import SimConsole
from drivers.sim.physics import Scan
from drivers.sim.twin import Twin
from drivers.transport.virtual import EPOCH_UTC_NS, run_virtual

TEMPLATE: dict[str, Any] = {"nucleus": "7Li", "carrier_ppm": 137.0, "spectral_width_Hz": 100e3, "points": 5000}
REPETITION_S = 0.75 + 0.05


def order(key: str = "k1", **given: Any) -> AcquisitionOrder:
    base: dict[str, Any] = {"name": "fast", "nucleus": "7Li", "template": TEMPLATE, "scans": 64, "dummies": 4, "recycle_s": 0.75}
    return AcquisitionOrder(key, **(base | given))


class Bench:
    """The console, its twin and every event so far."""

    def __init__(self, clock: Clock, **options: Any) -> None:
        self.clock = clock
        self.twin = Twin({}, seed=1, t0_mono_ns=clock.mono_ns())
        self.console = SimConsole(Settings("nmr", "sim", "", options=options), Context(clock, None, None, self.twin))  # type: ignore[arg-type]
        self.events: list[Any] = []

    async def listen(self) -> None:
        async for event in self.console.events():
            self.events.append(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type, count: int = 1) -> None:
        while len(self.of(kind)) < count:
            await self.clock.sleep(0.5)


@asynccontextmanager
async def bench_at(clock: Clock, **options: Any) -> AsyncIterator[Bench]:
    bench = Bench(clock, **options)
    listener = asyncio.create_task(bench.listen())
    try:
        yield bench
    finally:
        await bench.console.release()
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)


def virtually(work: Callable[[Bench], Awaitable[None]], **options: Any) -> Bench:
    async def main(clock: Clock) -> Bench:
        async with bench_at(clock, **options) as bench:
            await work(bench)
            await asyncio.sleep(0)
            return bench

    return run_virtual(main)


async def acquire(bench: Bench, one: AcquisitionOrder | None = None) -> None:
    one = one or order()
    await bench.console.prepare(one)
    await bench.console.start(one.key)
    await bench.until(Filed, len(bench.of(Filed)) + 1)


def test_it_is_a_console_and_says_it_is_simulated() -> None:
    async def work(bench: Bench) -> None:
        console: Console = bench.console
        assert isinstance(console, Console)
        assert (await console.connect()).simulated
        assert (await console.read_state()).activity is ConsoleActivity.IDLE
        sample = await console.read_clock()
        assert sample is not None
        assert sample.device_ns == EPOCH_UTC_NS + 7_000_000_000

    virtually(work, clock_offset_s=7.0)


def test_without_a_twin_it_says_what_is_missing() -> None:
    with pytest.raises(InstrumentError, match="no twin"):
        SimConsole(Settings("nmr", "sim", ""), Context(Clock(), None, None))  # type: ignore[arg-type]


def test_prepare_reads_back_what_it_will_do() -> None:
    async def work(bench: Bench) -> None:
        read_back = await bench.console.prepare(order())
        assert read_back.deviations == {}
        assert {name: read_back.parameters[name] for name in ("scans", "dummies", "recycle_s", "points")} == {
            "scans": 64, "dummies": 4, "recycle_s": 0.75, "points": 5000,
        }  # fmt: skip
        assert read_back.parameters["carrier_MHz"] == pytest.approx(bench.twin.larmor_MHz("7Li") * (1 + 137e-6))
        nested = await bench.console.prepare(order(template={"name": "7Li_metal", "dataset": "x", "parameters": TEMPLATE}))
        assert nested == read_back
        series = await bench.console.prepare(order(nucleus="23Na", template={"series": "series_1p_23Na_ionic"}))
        assert series.parameters["nucleus"] == "23Na"

    virtually(work)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"nucleus": "31P", "template": {}}, "no `31P`"),
        ({"nucleus": "23Na"}, "template is for 7Li"),
        ({"template": {"series": "series_1p_31P"}}, "no series is called"),
        ({"template": {"power_W": 100}}, "unknown parameter `power_W`"),
        ({"template": {"points": math.nan}}, "not a finite number"),
        ({"template": {"carrier_ppm": "left"}}, "no number"),
        ({"recycle_s": math.nan}, "not a finite number"),
        ({"recycle_s": -1.0}, "not be negative"),
        ({"scans": 0}, "must be positive"),
        ({"dummies": -1}, "not be negative"),
    ],
)
def test_what_cannot_be_done_is_rejected(wrong: dict[str, Any], said: str) -> None:
    async def work(bench: Bench) -> None:
        with pytest.raises(Rejected, match=said):
            await bench.console.prepare(order(**wrong))
        with pytest.raises(Rejected, match="not prepared"):
            await bench.console.start("k1")

    assert virtually(work).events == []


def test_an_acquisition_from_start_to_files() -> None:
    async def work(bench: Bench) -> None:
        bench.twin.drive_current(0.0, 4e-4)
        await bench.clock.sleep(5.0)
        await acquire(bench)
        state = await bench.console.read_state()
        assert state.activity is ConsoleActivity.IDLE

    bench = virtually(work)
    names = [type(event).__name__ for event in bench.events]
    assert names == ["Started", *["Progress"] * 4, "Acquired", "Filed"]
    start_ns = bench.of(Started)[0].mono_ns
    assert (bench.of(Acquired)[0].mono_ns - start_ns) / 1e9 == pytest.approx(68 * REPETITION_S)
    assert (bench.of(Filed)[0].mono_ns - bench.of(Acquired)[0].mono_ns) / 1e9 == pytest.approx(2.8)
    assert [event.scans_done for event in bench.of(Progress)] == [13, 26, 39, 52]
    assert [(event.mono_ns - start_ns) / 1e9 for event in bench.of(Progress)] == pytest.approx([(4 + n) * 0.8 for n in (13, 26, 39, 52)])


def test_what_is_fetched_is_the_twins_fid_and_the_files_agree(tmp_path: Path) -> None:
    fetched: list[Any] = []

    async def work(bench: Bench) -> None:
        bench.twin.drive_current(0.0, 4e-4)
        await bench.clock.sleep(5.0)
        await acquire(bench)
        fetched.append(await bench.console.fetch("k1"))

    bench = virtually(work, scratch=str(tmp_path))
    (found,) = fetched
    scan = Scan("7Li", 5.0, 5.0 + 68 * REPETITION_S, 64, 4, 0.75, 5000, 100e3, found.fid.carrier_MHz, 8e-6, 90.0, 10e-6)
    twin = Twin({}, seed=1)
    twin.drive_current(0.0, 4e-4)
    np.testing.assert_allclose(found.fid.data, twin.acquire(scan), atol=1.0)
    assert (found.fid.data.dtype, found.fid.raw_dtype, found.partial) == (np.complex64, "<i4", False)
    assert found.fid.reference_MHz == bench.twin.larmor_MHz("7Li")
    assert found.parameters["key"] == "k1"
    assert found.times.stamps["start_utc"] == "2023-11-14T22:13:25.000000Z"
    assert found.times.start_utc_ns == EPOCH_UTC_NS + 5_000_000_000
    for file in found.files:
        content = file.path.read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.sha256)
    by_name = {file.name: file.path for file in found.files}
    stored = np.fromfile(by_name["fid.bin"], dtype="<i4").reshape(-1, 2)
    np.testing.assert_array_equal(stored[:, 0] + 1j * stored[:, 1], found.fid.data)
    written = json.loads(by_name["parameters.json"].read_text(encoding="utf-8"))
    assert (written["key"], written["scans"], written["end_utc"]) == ("k1", 64, found.times.stamps["end_utc"])
    assert bench.of(Filed)[0].path == "00000_k1_0"


def test_large_sums_keep_every_bit() -> None:
    async def work(bench: Bench) -> None:
        template = TEMPLATE | {"points": 64}
        await acquire(bench, order(scans=60000, recycle_s=0.1, template=template))
        fid = (await bench.console.fetch("k1")).fid
        assert fid.data.dtype == np.complex128
        assert np.abs(fid.data.real).max() > 2**24

    virtually(work)


def test_files_go_with_the_twin_unless_a_folder_was_named(tmp_path: Path) -> None:
    paths: list[Path] = []

    async def work(bench: Bench) -> None:
        await acquire(bench)
        paths.append((await bench.console.fetch("k1")).files[0].path)
        assert paths[-1].exists()

    virtually(work)
    gc.collect()
    virtually(work, scratch=str(tmp_path))
    assert [path.exists() for path in paths] == [False, True]


def test_keys_become_safe_folder_names(tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        await acquire(bench, order("../a b/c:1"))

    virtually(work, scratch=str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["00000_.._a_b_c_1_0"]


def test_start_is_once_and_one_at_a_time() -> None:
    async def work(bench: Bench) -> None:
        await bench.console.prepare(order("k1"))
        await bench.console.prepare(order("k2"))
        await bench.console.start("k1")
        await bench.console.start("k1")
        with pytest.raises(Rejected, match="another acquisition runs"):
            await bench.console.start("k2")
        await bench.until(Filed)
        await bench.console.start("k1")
        await bench.console.start("k1", 1)
        await bench.until(Filed, 2)

    bench = virtually(work)
    assert [(event.key, event.block) for event in bench.of(Started)] == [("k1", 0), ("k1", 1)]


def test_halt_keeps_the_scans_that_are_over() -> None:
    fetched: list[Any] = []

    async def work(bench: Bench) -> None:
        await bench.console.prepare(order())
        await bench.console.start("k1")
        await bench.clock.sleep((4 + 20.4) * REPETITION_S)
        state = await bench.console.read_state()
        assert (state.activity, state.key, state.block, state.scans_done) == (ConsoleActivity.ACQUIRING, "k1", 0, 20)
        await bench.console.halt("k2")
        await bench.console.halt("k1")
        await bench.until(Filed)
        fetched.append(await bench.console.fetch("k1"))

    bench = virtually(work)
    assert bench.of(Acquired)[0].scans_done == 20
    (found,) = fetched
    assert (found.partial, found.fid.scans) == (True, 20)
    whole = Twin({}, seed=1)
    scan = Scan("7Li", 0.0, 24 * REPETITION_S, 20, 4, 0.75, 5000, 100e3, found.fid.carrier_MHz)
    np.testing.assert_allclose(found.fid.data, whole.acquire(scan), atol=1.0)


def test_halt_during_the_dummies_leaves_nothing() -> None:
    async def work(bench: Bench) -> None:
        await bench.console.prepare(order())
        await bench.console.start("k1")
        await bench.clock.sleep(2.0)
        await bench.console.halt("k1")
        await bench.clock.sleep(10.0)

    assert [type(event) for event in virtually(work).events] == [Started, Failed]


def test_abort_discards() -> None:
    async def work(bench: Bench) -> None:
        await bench.console.prepare(order())
        await bench.console.start("k1")
        await bench.clock.sleep(20.0)
        await bench.console.abort("k1")
        with pytest.raises(InstrumentError, match="not filed"):
            await bench.console.fetch("k1")
        await bench.clock.sleep(100.0)

    bench = virtually(work)
    assert [type(event).__name__ for event in bench.events] == ["Started", "Progress", "Failed"]
    assert bench.events[-1].why == "aborted"


def test_look_shows_the_scans_so_far_and_disturbs_nothing() -> None:
    looked: list[Any] = []

    async def one(bench: Bench, look: bool) -> None:
        bench.twin.drive_current(0.0, 4e-4)
        await bench.console.prepare(order())
        with pytest.raises(NotSupported):
            await bench.console.look("k1")
        await bench.console.start("k1")
        await bench.clock.sleep(30.0)
        if look:
            looked.append(await bench.console.look("k1"))
        await bench.until(Filed)
        looked.append(await bench.console.fetch("k1"))

    virtually(lambda bench: one(bench, look=True))
    virtually(lambda bench: one(bench, look=False))
    seen, after_look, without = looked
    assert (seen.partial, seen.fid.scans, seen.files) == (True, math.floor(30.0 / REPETITION_S) - 4, ())
    np.testing.assert_array_equal(after_look.fid.data, without.fid.data)


def test_make_safe_stops_the_pulses() -> None:
    async def work(bench: Bench) -> None:
        await bench.console.prepare(order())
        await bench.console.start("k1")
        await bench.clock.sleep(20.0)
        assert (await bench.console.make_safe()).confirmed
        assert (await bench.console.read_state()).activity is ConsoleActivity.IDLE
        assert (await bench.console.make_safe()).confirmed

    assert [type(event) for event in virtually(work).events] == [Started, Progress, Failed]


# -------------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(("fault", "runs"), [("start_error", False), ("start_error_but_runs", True)])
def test_a_start_whose_outcome_is_unknown(fault: str, runs: bool) -> None:
    async def work(bench: Bench) -> None:
        await bench.console.prepare(order())
        with pytest.raises(OutcomeUnknown):
            await bench.console.start("k1")
        activity = (await bench.console.read_state()).activity
        assert activity is (ConsoleActivity.ACQUIRING if runs else ConsoleActivity.IDLE)

    virtually(work, faults=[fault])


@pytest.mark.parametrize(
    ("fault", "kinds"),
    [("echoes_no_start", []), ("fails", [Started, *[Progress] * 4, Failed]), ("never_filed", [Started, *[Progress] * 4, Acquired])],
)
def test_acquisitions_that_do_not_end_well(fault: str, kinds: list[type]) -> None:
    async def work(bench: Bench) -> None:
        await bench.console.prepare(order())
        await bench.console.start("k1")
        await bench.clock.sleep(200.0)

    assert [type(event) for event in virtually(work, faults=[fault]).events] == kinds


def test_a_tuner_that_hangs_is_ended_by_halt_and_the_next_acquisition_is_well() -> None:
    async def work(bench: Bench) -> None:
        await bench.console.prepare(order())
        await bench.console.start("k1")
        await bench.clock.sleep(3600.0)
        assert (await bench.console.read_state()).scans_done == 0
        await bench.console.halt("k1")
        await bench.console.prepare(order(key="k2"))
        await bench.console.start("k2")
        await bench.until(Filed)

    bench = virtually(work, faults=["tuner_hang"])
    assert [(type(event), event.key) for event in bench.events if not isinstance(event, Progress)] == [
        (Started, "k1"),
        (Failed, "k1"),
        (Started, "k2"),
        (Acquired, "k2"),
        (Filed, "k2"),
    ]


def test_a_tuner_that_stalls_makes_the_acquisition_longer_and_keeps_its_scans() -> None:
    ends: list[int] = []
    for faults in ({}, {"tuner_hang": {"stall_s": 40.0}}):

        async def work(bench: Bench) -> None:
            await bench.console.prepare(order())
            await bench.console.start("k1")
            await bench.until(Filed)
            assert (await bench.console.fetch("k1")).fid.scans == 64

        ends.append(virtually(work, faults=faults).of(Acquired)[0].mono_ns)
    assert ends[1] - ends[0] == 40_000_000_000


def test_silence_loses_events_but_not_the_scan() -> None:
    async def work(bench: Bench) -> None:
        await bench.console.prepare(order())
        await bench.console.start("k1")
        await bench.clock.sleep(5.0)
        bench.console.inject("silent")
        await bench.clock.sleep(100.0)
        with pytest.raises(NotReachable):
            await bench.console.read_state()
        assert not (await bench.console.make_safe()).confirmed
        bench.console.clear("silent")
        assert (await bench.console.fetch("k1")).fid.scans == 64

    assert [type(event) for event in virtually(work).events] == [Started, LinkLost, LinkRestored]


def test_garbage_on_disk_is_a_bad_reply() -> None:
    async def work(bench: Bench) -> None:
        await acquire(bench)
        with pytest.raises(BadReply, match="points"):
            await bench.console.fetch("k1")

    virtually(work, faults=["garbage"])


def test_somebody_elses_acquisition() -> None:
    async def work(bench: Bench) -> None:
        assert (await bench.console.read_state()).activity is ConsoleActivity.FOREIGN
        await bench.console.prepare(order())
        with pytest.raises(Rejected, match="somebody else"):
            await bench.console.start("k1")

    virtually(work, faults=["foreign"])


def test_a_wrong_nucleus_shows_in_the_read_back() -> None:
    async def work(bench: Bench) -> None:
        assert (await bench.console.prepare(order())).deviations == {"nucleus": ("7Li", "1H")}

    virtually(work, faults=["wrong_nucleus"])


async def test_scaled_time() -> None:
    async with bench_at(Clock(speed=200.0)) as bench:
        await bench.console.prepare(order())
        await bench.console.start("k1")
        async with asyncio.timeout(10):
            while not bench.of(Filed):
                await asyncio.sleep(0.01)
        assert (await bench.console.fetch("k1")).fid.scans == 64
    assert (bench.of(Acquired)[0].mono_ns - bench.of(Started)[0].mono_ns) / 1e9 == pytest.approx(68 * REPETITION_S)
