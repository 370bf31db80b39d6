"""Started, acquired, filed, fetched: in this order, and as it was asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drivers.base import Acquired, ConsoleActivity, Filed, Started
from drivers.errors import InstrumentError
from drivers.testing.bench import ConsoleBench, near, on_bench
from drivers.testing.console_contract.scans import S, Scanned, check_fetched, check_order


class Acquiring(Scanned):
    """Started, acquired, filed, fetched: in this order, and as it was asked for."""

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
