"""Connecting changes nothing, and finds what runs."""

from __future__ import annotations

import pytest

from drivers.base import (
    CellState,
    Confirmation,
    Potentiostat,
)
from drivers.errors import WrongInstrument
from drivers.testing.bench import PotentiostatBench, near, on_bench


class Connecting:
    """Connecting changes nothing, and finds what runs."""

    @on_bench
    async def test_it_is_a_potentiostat(self, bench: PotentiostatBench) -> None:
        """The protocol's methods are there, and what it says it can do makes sense."""
        capabilities = bench.potentiostat.capabilities
        assert isinstance(bench.potentiostat, Potentiostat)
        assert capabilities.max_steps >= 1
        assert 0 < capabilities.make_safe_s <= 30
        assert capabilities.on_device_limits <= {"time", "voltage", "charge", "current"}

    @on_bench
    async def test_connect_says_who_and_changes_nothing(self, bench: PotentiostatBench) -> None:
        """The cell is as it was, and nothing was started."""
        before = bench.leads()
        identity = await bench.potentiostat.connect()
        assert identity.vendor
        assert identity.model
        assert bench.leads().output_on == before.output_on is False
        assert near(bench.charge_C(), 0.0, 1e-12)
        state = await bench.potentiostat.read_state()
        assert state.running is not True
        await bench.potentiostat.release()

    @on_bench
    async def test_another_identity_is_refused(self, bench: PotentiostatBench) -> None:
        """What answers is not what the rig names."""
        stranger = bench.another(identity="somebody else's instrument")
        with pytest.raises(WrongInstrument):
            await stranger.connect()
        await stranger.release()
        assert not bench.leads().output_on

    @on_bench
    async def test_a_second_connection_finds_the_step_running(self, bench: PotentiostatBench) -> None:
        """Release leaves the cell as it is; connecting again neither stops nor resets it."""
        await bench.potentiostat.connect()
        await bench.start(bench.small_step(time_s=300.0))
        await bench.clock.sleep(5.0)
        assert bench.leads().output_on
        await bench.potentiostat.release()
        await bench.clock.sleep(5.0)
        left = bench.leads()
        assert left.output_on
        assert near(left.current_A, bench.current_A, 0.05 * bench.current_A)
        again = bench.another()
        await again.connect()
        assert bench.leads().output_on
        assert (await again.read_state()).cell is not CellState.OFF
        assert (await again.make_safe()).confirmation is Confirmation.CONFIRMED
        assert not bench.leads().output_on
        await again.release()
