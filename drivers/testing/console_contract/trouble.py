"""The link is lost and comes back."""

from __future__ import annotations

from contextlib import suppress

from drivers.base import ConsoleActivity, Failed, LinkLost, LinkRestored
from drivers.errors import InstrumentError
from drivers.testing.bench import ConsoleBench, on_bench
from drivers.testing.console_contract.scans import MANY_SCANS, S, Scanned, check_fetched, check_order

AWAY_S, BACK_WITHIN_S = 45.0, 30.0


class Trouble(Scanned):
    """The link is lost and comes back."""

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
