"""The Keithley driver and the emulated 2450 under the contract of all potentiostats."""

from __future__ import annotations

from dataclasses import replace

import pytest
from potentiostat_stands import WIDE, Stands

from drivers.testing.bench import Bench
from drivers.testing.potentiostat_contract import Ends, PotentiostatContract, Safety, Truth


class TestKeithley(PotentiostatContract):
    @pytest.fixture
    def bench(self, stand: Stands) -> Bench:
        return stand("keithley")


class TestKeithleyOnAFullCell(Ends, Safety, Truth):
    """A cell that stands at 3.6 V: a voltage source at the cut-off, the current as its limit."""

    @pytest.fixture
    def bench(self, stand: Stands) -> Bench:
        return stand("keithley", rest_V=3.6, limits=replace(WIDE, voltage_upper_V=4.3, voltage_lower_V=2.5))
