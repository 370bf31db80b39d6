"""Halt keeps, abort discards, make_safe ends the scan, hand_back leaves the console as it was found."""

from __future__ import annotations

import pytest

from drivers.base import ConsoleActivity, Failed, Filed, HandsBack
from drivers.errors import InstrumentError
from drivers.testing.bench import ConsoleBench, on_bench
from drivers.testing.console_contract.scans import MANY_SCANS, S, Scanned, check_fetched, check_order


class Stopping(Scanned):
    """Halt keeps, abort discards, make_safe ends the scan, hand_back leaves the console as it was found."""

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
