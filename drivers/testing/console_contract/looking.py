"""The scan in progress, and the console's clock."""

from __future__ import annotations

import pytest

from drivers.base import ConsoleActivity
from drivers.errors import NotSupported
from drivers.testing.bench import ConsoleBench, on_bench
from drivers.testing.console_contract.scans import MANY_SCANS, Scanned


class Looking(Scanned):
    """The scan in progress, and the console's clock."""

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
