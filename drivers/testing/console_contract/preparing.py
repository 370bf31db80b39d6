"""What is prepared is read back and not started; what was not prepared does not start; the same key twice is once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drivers.base import ConsoleActivity, Filed, Started
from drivers.errors import InstrumentError, Rejected
from drivers.testing.bench import ConsoleBench, on_bench
from drivers.testing.console_contract.scans import Scanned


class Preparing(Scanned):
    """What is prepared is read back and not started; what was not prepared does not start; the same key twice is once."""

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
