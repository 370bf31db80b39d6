"""Who is there; nothing starts by it; a scan goes on, or is kept, when the link is let go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drivers.base import Console, ConsoleActivity, Progress
from drivers.errors import WrongInstrument
from drivers.testing.bench import ConsoleBench, listening, on_bench
from drivers.testing.console_contract.scans import Scanned, check_fetched


class Connecting(Scanned):
    """Who is there; nothing starts by it; a scan goes on, or is kept, when the link is let go."""

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
