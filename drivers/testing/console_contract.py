"""What every console driver must do (``drivers.base.Console``), tried on a bench with a simulated magnet."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from drivers.base import (
    Acquired,
    AcquisitionOrder,
    Console,
    ConsoleActivity,
    ConsoleEvent,
    Failed,
    Fetched,
    Filed,
    HandsBack,
    LinkLost,
    LinkRestored,
    Progress,
    Started,
)
from drivers.errors import InstrumentError, NotSupported, Rejected, WrongInstrument
from drivers.testing.bench import ConsoleBench, EventLog, listening, near, on_bench

Log = EventLog[ConsoleEvent]
S = 1e9
MANY_SCANS = 2000
AWAY_S, BACK_WITHIN_S = 45.0, 30.0


def check_order(log: Log) -> None:
    """For each block: started, progress with growing scans, acquired, filed, or failed in between; times never go back."""
    at: dict[tuple[str, int], str] = {}
    scans: dict[tuple[str, int], int] = {}
    may_follow = {
        "": {"Started"},
        "Started": {"Progress", "Acquired", "Failed"},
        "Progress": {"Progress", "Acquired", "Failed"},
        "Acquired": {"Filed", "Failed"},
    }
    last_ns = -1
    for event in log.events:
        assert event.mono_ns >= last_ns, f"{event} lies before what came before it"
        last_ns = event.mono_ns
        if isinstance(event, Started | Progress | Acquired | Filed | Failed):
            block, name = (event.key, event.block), type(event).__name__
            assert name in may_follow.get(at.get(block, ""), set()), f"{name} after {at.get(block, 'nothing')} in {block}"
            at[block] = name
        if isinstance(event, Progress):
            assert event.scans_done >= scans.get(block, 0)
            scans[block] = event.scans_done


def check_fetched(fetched: Fetched, order: AcquisitionOrder, block: int = 0) -> None:
    """Who it is, a FID that is one, files that are what their hashes say, and the key in the vendor's own data."""
    assert (fetched.key, fetched.block) == (order.key, block)
    fid = fetched.fid
    assert fid.nucleus == order.nucleus
    assert fid.data.ndim == 1
    assert fid.data.dtype in {np.dtype(np.complex64), np.dtype(np.complex128)}
    assert np.all(np.isfinite(fid.data))
    assert np.any(fid.data)
    assert fid.raw_dtype
    assert fid.carrier_MHz > 0
    assert near(fid.carrier_MHz, fid.reference_MHz, 0.01 * fid.reference_MHz)
    assert fetched.times.zone
    assert fetched.times.stamps
    check_files(fetched)


def check_files(fetched: Fetched) -> None:
    """Sizes and hashes agree with the disk, names stay inside the archive, the key stands in the vendor's data."""
    assert fetched.files
    contents = [file.path.read_bytes() for file in fetched.files]
    for file, content in zip(fetched.files, contents, strict=True):
        assert file.size == len(content)
        assert file.sha256 == hashlib.sha256(content).hexdigest()
        assert not file.name.startswith(("/", "\\"))
        assert ".." not in file.name
    assert len({file.name for file in fetched.files}) == len(fetched.files)
    key = fetched.key.encode()
    assert any(key in content for content in contents) or any(fetched.key in file.name for file in fetched.files), "the key is nowhere"


class ConsoleContract:
    """Subclass it and supply the fixture ``bench`` (``drivers.testing.bench``)."""

    async def acquire(self, bench: ConsoleBench, log: Log, order: AcquisitionOrder, block: int = 0) -> Fetched:
        """Prepare, start, wait until filed, fetch."""
        filed = len(log.of(Filed))
        await bench.console.prepare(order)
        await bench.console.start(order.key, block)
        await log.until(Filed, filed + 1, within_s=self.lasts_s(bench, order))
        return await bench.console.fetch(order.key, block)

    def lasts_s(self, bench: ConsoleBench, order: AcquisitionOrder) -> float:
        """More seconds than an acquisition can take."""
        acquisition_s = bench.points / bench.spectral_width_Hz
        return 3 * (order.scans + order.dummies) * (order.recycle_s + acquisition_s) + 10 * bench.console.capabilities.overhead_s + 30

    # ----------------------------------------------------------------------------------------------------- connecting

    @on_bench
    async def test_it_is_a_console(self, bench: ConsoleBench) -> None:
        """The protocol's methods are there, and what it says it can do makes sense."""
        capabilities = bench.console.capabilities
        assert isinstance(bench.console, Console)
        assert capabilities.commands >= {"prepare", "start", "fetch"}
        assert capabilities.overhead_s >= 0
        assert 0 < capabilities.make_safe_s <= 60

    @on_bench
    async def test_connect_says_who_and_starts_nothing(self, bench: ConsoleBench) -> None:
        """Idle before and after."""
        identity = await bench.console.connect()
        assert identity.vendor
        assert identity.model
        assert (await bench.console.read_state()).activity is ConsoleActivity.IDLE
        await bench.console.release()

    @on_bench
    async def test_another_identity_is_refused(self, bench: ConsoleBench) -> None:
        """What answers is not what the rig names."""
        stranger = bench.another(identity="somebody else's console")
        with pytest.raises(WrongInstrument):
            await stranger.connect()
        await stranger.release()

    @on_bench
    async def test_losing_the_link_never_stops_a_scan(self, bench: ConsoleBench) -> None:
        """After a release the scan goes on; a fresh connection finds it, and fetches it by its key."""
        if not bench.console.capabilities.autonomous:
            return  # what was scanned is kept: the next test
        order = bench.small_acquisition("kept", scans=20)
        await bench.console.connect()
        await bench.console.prepare(order)
        await bench.console.start(order.key)
        await bench.clock.sleep(1.0)
        await bench.console.release()
        again = bench.another()
        await again.connect()
        state = await again.read_state()
        assert state.activity is ConsoleActivity.ACQUIRING
        assert state.key in {"kept", None}
        await bench.clock.sleep(self.lasts_s(bench, order))
        assert (await again.read_state()).activity is ConsoleActivity.IDLE
        fetched = await again.fetch("kept", 0)
        check_fetched(fetched, order)
        assert fetched.fid.scans == 20
        await again.release()

    @on_bench
    async def test_what_was_scanned_outlives_a_release(self, bench: ConsoleBench) -> None:
        """Where a scan does not go on without us: a fresh connection finds the console idle, and the scans so far by their key."""
        if bench.console.capabilities.autonomous:
            return  # the scan itself goes on: the test before
        order = bench.small_acquisition("kept", scans=20)
        await bench.console.connect()
        async with listening(bench.console.events(), bench.clock) as log:
            await bench.console.prepare(order)
            await bench.console.start(order.key)
            await log.until(Progress)
            await bench.console.release()
        again = bench.another()
        await again.connect()
        assert (await again.read_state()).activity is ConsoleActivity.IDLE
        fetched = await again.fetch("kept", 0)
        check_fetched(fetched, order)
        assert 0 < fetched.fid.scans < 20
        assert fetched.partial
        await again.prepare(replace(order, key="next"))
        await again.release()

    # ------------------------------------------------------------------------------------------------- link lost and back

    @on_bench
    async def test_a_link_that_is_back_says_so_though_nobody_asks(self, bench: ConsoleBench) -> None:
        """Lost while idle: LinkLost, nothing asked, LinkRestored; each once, and the console works again. Twice over."""
        if bench.cut_link is None or bench.mend_link is None:
            return  # this bench cannot cut it
        async with bench.connected() as log:
            for n in range(1, 3):
                bench.cut_link()
                with suppress(InstrumentError):
                    await bench.console.prepare(bench.small_acquisition(f"unheard-{n}"))
                await log.until(LinkLost, n)
                await bench.clock.sleep(AWAY_S)
                assert len(log.of(LinkRestored)) == n - 1
                bench.mend_link()
                await log.until(LinkRestored, n, within_s=BACK_WITHIN_S)
                order = bench.small_acquisition(f"heard-{n}")
                check_fetched(await self.acquire(bench, log, order), order)
            links = [type(event) for event in log.events if isinstance(event, LinkLost | LinkRestored)]
            assert links == [LinkLost, LinkRestored] * 2
            check_order(log)

    @on_bench
    async def test_it_is_handed_back_twice(self, bench: ConsoleBench) -> None:
        """Where it can be: after a block, idle, with sentences for what could not be put back, and ready to be prepared anew."""
        if not isinstance(bench.console, HandsBack):
            return  # it can only be made safe
        async with bench.connected() as log:
            await self._run_block(bench, log, bench.small_acquisition("first"))
            await bench.console.make_safe()
            for left in (await bench.console.hand_back(), await bench.console.hand_back()):
                assert isinstance(left, tuple)
                assert all(sentence for sentence in left)
            assert (await bench.console.read_state()).activity is ConsoleActivity.IDLE
            await self._run_block(bench, log, bench.small_acquisition("second"))

    @on_bench
    async def test_make_safe_while_the_link_is_away(self, bench: ConsoleBench) -> None:
        """Unconfirmed, in the declared time; once the link is back the scan is ended without being asked again."""
        if bench.cut_link is None or bench.mend_link is None or "make_safe" not in bench.console.capabilities.commands:
            return  # this bench cannot cut it
        async with bench.connected() as log:
            await self._run_for_some_scans(bench, log, bench.small_acquisition("unsafe", scans=MANY_SCANS))
            bench.cut_link()
            asked_ns = bench.clock.mono_ns()
            assert not (await bench.console.make_safe()).confirmed
            assert (bench.clock.mono_ns() - asked_ns) / S / bench.clock.speed <= bench.console.capabilities.make_safe_s
            await log.until(LinkLost)
            await bench.clock.sleep(AWAY_S)
            bench.mend_link()
            await log.until(LinkRestored, within_s=BACK_WITHIN_S)
            await log.until(Failed, within_s=60.0)
            assert (await bench.console.read_state()).activity is ConsoleActivity.IDLE

    # ---------------------------------------------------------------------------------------------- preparing, starting

    @on_bench
    async def test_prepare_reads_back_and_does_not_start(self, bench: ConsoleBench) -> None:
        """Deviations name what was asked and what is."""
        async with bench.connected() as log:
            back = await bench.console.prepare(bench.small_acquisition())
            assert back.parameters
            assert all(asked != found for asked, found in back.deviations.values())
            await bench.clock.sleep(3.0)
            assert not log.of(Started)
            assert (await bench.console.read_state()).activity is ConsoleActivity.IDLE

    @on_bench
    async def test_an_unknown_nucleus_is_refused(self, bench: ConsoleBench) -> None:
        """Rejected; nothing runs."""
        async with bench.connected() as log:
            order = bench.small_acquisition()
            with pytest.raises(Rejected):
                await bench.console.prepare(replace(order, nucleus="299Xx", template={**order.template, "nucleus": "299Xx"}))
            with pytest.raises(InstrumentError):
                await bench.console.start(order.key)
            await bench.clock.sleep(3.0)
            assert not log.of(Started)

    @on_bench
    async def test_a_key_that_was_not_prepared_does_not_start(self, bench: ConsoleBench) -> None:
        """Neither before nor after another was prepared."""
        async with bench.connected() as log:
            with pytest.raises(InstrumentError):
                await bench.console.start("never prepared")
            await bench.console.prepare(bench.small_acquisition())
            with pytest.raises(InstrumentError):
                await bench.console.start("never prepared")
            await bench.clock.sleep(3.0)
            assert not log.of(Started)

    @on_bench
    async def test_the_same_key_twice_is_once(self, bench: ConsoleBench) -> None:
        """At once, while it runs, and after it was filed."""
        async with bench.connected() as log:
            order = bench.small_acquisition("once")
            await bench.console.prepare(order)
            await bench.console.start("once")
            await bench.console.start("once")
            await log.until(Started)
            await bench.console.start("once")
            await log.until(Filed, within_s=self.lasts_s(bench, order))
            await bench.console.start("once")
            await bench.clock.sleep(self.lasts_s(bench, order))
            assert len(log.of(Started)) == len(log.of(Filed)) == 1

    # ---------------------------------------------------------------------------------------------------- an acquisition

    @on_bench
    async def test_started_acquired_filed_fetched(self, bench: ConsoleBench) -> None:
        """In this order, as long as it must, with every point and scan."""
        async with bench.connected() as log:
            order = bench.small_acquisition("whole")
            fetched = await self.acquire(bench, log, order)
            check_order(log)
            check_fetched(fetched, order)
            assert not fetched.partial
            assert fetched.fid.scans == order.scans
            assert fetched.fid.data.shape == (bench.points,)
            assert near(fetched.fid.spectral_width_Hz, bench.spectral_width_Hz, 0.01 * bench.spectral_width_Hz)
            lasted_s = (log.of(Acquired)[0].mono_ns - log.of(Started)[0].mono_ns) / S
            shortest_s = (order.scans + order.dummies) * (order.recycle_s + bench.points / bench.spectral_width_Hz)
            assert 0.9 * shortest_s <= lasted_s <= self.lasts_s(bench, order)

    @on_bench
    async def test_read_state_tells_what_runs(self, bench: ConsoleBench) -> None:
        """Idle, acquiring with the key, idle."""
        async with bench.connected() as log:
            assert (await bench.console.read_state()).activity is ConsoleActivity.IDLE
            order = bench.small_acquisition("seen", scans=20)
            await bench.console.prepare(order)
            await bench.console.start("seen")
            await log.until(Started)
            state = await bench.console.read_state()
            assert (state.activity, state.key) == (ConsoleActivity.ACQUIRING, "seen")
            await log.until(Filed, within_s=self.lasts_s(bench, order))
            assert (await bench.console.read_state()).activity is ConsoleActivity.IDLE

    @on_bench
    async def test_two_nuclei_in_turn(self, bench: ConsoleBench) -> None:
        """Each with its own frequency, and back again."""
        async with bench.connected() as log:
            carriers_MHz = []
            first, second = bench.orders.values()
            for n, order in enumerate((first, second, first)):
                fetched = await self.acquire(bench, log, replace(order, key=f"turn-{n}"))
                check_fetched(fetched, replace(order, key=f"turn-{n}"))
                carriers_MHz.append(fetched.fid.carrier_MHz)
            assert carriers_MHz[0] == carriers_MHz[2]
            assert not near(carriers_MHz[0], carriers_MHz[1], 0.01 * carriers_MHz[0])
            check_order(log)

    @on_bench
    async def test_blocks_are_fetched_one_by_one(self, bench: ConsoleBench) -> None:
        """An array of two blocks: each started, filed and fetched under its own number."""
        async with bench.connected() as log:
            order = bench.small_acquisition("array", blocks=2)
            await bench.console.prepare(order)
            for block in range(2):
                await bench.console.start("array", block)
                filed = await log.until(Filed, block + 1, within_s=self.lasts_s(bench, order))
                assert (filed.key, filed.block) == ("array", block)
            found = [await bench.console.fetch("array", block) for block in range(2)]
            for block, fetched in enumerate(found):
                check_fetched(fetched, order, block)
            assert not np.array_equal(found[0].fid.data, found[1].fid.data)
            check_order(log)

    @on_bench
    async def test_a_fetch_can_be_repeated(self, bench: ConsoleBench) -> None:
        """The same bytes each time; what was never acquired cannot be fetched."""
        async with bench.connected() as log:
            order = bench.small_acquisition("twice")
            first = await self.acquire(bench, log, order)
            second = await bench.console.fetch("twice", 0)
            assert np.array_equal(first.fid.data, second.fid.data)
            assert [file.sha256 for file in first.files] == [file.sha256 for file in second.files]
            with pytest.raises(InstrumentError):
                await bench.console.fetch("never acquired", 0)

    # ---------------------------------------------------------------------------------------------------------- stopping

    @on_bench
    async def test_halt_keeps_what_was_scanned(self, bench: ConsoleBench) -> None:
        """Acquired and filed with fewer scans, marked partial."""
        if "halt" not in bench.console.capabilities.commands:
            return  # cannot halt
        async with bench.connected() as log:
            order = bench.small_acquisition("halted", scans=MANY_SCANS)
            await self._run_for_some_scans(bench, log, order)
            await bench.console.halt("halted")
            await log.until(Filed, within_s=60.0)
            fetched = await bench.console.fetch("halted", 0)
            check_fetched(fetched, order)
            assert 0 < fetched.fid.scans < MANY_SCANS
            assert fetched.partial
            check_order(log)
            assert (await bench.console.read_state()).activity is ConsoleActivity.IDLE

    @on_bench
    async def test_abort_discards(self, bench: ConsoleBench) -> None:
        """Failed, nothing to fetch, and the next acquisition runs."""
        if "abort" not in bench.console.capabilities.commands:
            return  # cannot abort
        async with bench.connected() as log:
            order = bench.small_acquisition("aborted", scans=MANY_SCANS)
            await self._run_for_some_scans(bench, log, order)
            await bench.console.abort("aborted")
            failed = await log.until(Failed, within_s=60.0)
            assert failed.key == "aborted"
            assert failed.why
            with pytest.raises(InstrumentError):
                await bench.console.fetch("aborted", 0)
            assert not log.of(Filed)
            assert (await bench.console.read_state()).activity is ConsoleActivity.IDLE
            next_order = bench.small_acquisition("after")
            check_fetched(await self.acquire(bench, log, next_order), next_order)
            check_order(log)

    @on_bench
    async def test_make_safe_ends_the_scan(self, bench: ConsoleBench) -> None:
        """RF off in the declared time; the block fails; twice is as good as once."""
        if "make_safe" not in bench.console.capabilities.commands:
            return  # cannot be made safe
        async with bench.connected() as log:
            await self._run_for_some_scans(bench, log, bench.small_acquisition("unsafe", scans=MANY_SCANS))
            asked_ns = bench.clock.mono_ns()
            await bench.console.make_safe()
            assert (bench.clock.mono_ns() - asked_ns) / S / bench.clock.speed <= bench.console.capabilities.make_safe_s
            assert (await log.until(Failed, within_s=60.0)).key == "unsafe"
            assert (await bench.console.read_state()).activity is ConsoleActivity.IDLE
            await bench.console.make_safe()
            check_order(log)

    @on_bench
    async def test_make_safe_when_idle(self, bench: ConsoleBench) -> None:
        """No event, and the console still works afterwards."""
        async with bench.connected() as log:
            await bench.console.make_safe()
            await bench.console.make_safe()
            assert not log.events
            order = bench.small_acquisition()
            check_fetched(await self.acquire(bench, log, order), order)

    async def _run_block(self, bench: ConsoleBench, log: Log, order: AcquisitionOrder) -> None:
        await bench.console.prepare(order)
        await bench.console.start(order.key)
        await log.until(Filed)

    async def _run_for_some_scans(self, bench: ConsoleBench, log: Log, order: AcquisitionOrder) -> None:
        await bench.console.prepare(order)
        await bench.console.start(order.key)
        await log.until(Started)
        scan_s = order.recycle_s + bench.points / bench.spectral_width_Hz
        await bench.clock.sleep((order.dummies + 3.5) * scan_s + bench.console.capabilities.overhead_s)

    # ------------------------------------------------------------------------------------------------------------- extras

    @on_bench
    async def test_look_shows_the_scan_in_progress_or_says_it_cannot(self, bench: ConsoleBench) -> None:
        """A partial FID, or NotSupported, as the capabilities say."""
        async with bench.connected() as log:
            await self._run_for_some_scans(bench, log, bench.small_acquisition("looked", scans=MANY_SCANS))
            if bench.console.capabilities.look:
                fetched = await bench.console.look("looked")
                assert 0 < fetched.fid.scans < MANY_SCANS
                assert fetched.partial
            else:
                with pytest.raises(NotSupported):
                    await bench.console.look("looked")
            assert (await bench.console.read_state()).activity is ConsoleActivity.ACQUIRING

    @on_bench
    async def test_the_clock_is_read_with_its_uncertainty(self, bench: ConsoleBench) -> None:
        """The reading lies between asking and answer."""
        async with bench.connected():
            before_ns = bench.clock.mono_ns()
            sample = await bench.console.read_clock()
            if sample is not None:
                assert before_ns <= sample.mono_ns <= bench.clock.mono_ns()
                assert sample.half_width_ns >= 0
