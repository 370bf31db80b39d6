"""The Neware driver in front of the emulated BTS client under the contract of all potentiostats."""

from __future__ import annotations

from dataclasses import replace

import pytest
from potentiostat_stands import WIDE, Stands

from drivers.testing.bench import Bench
from drivers.testing.potentiostat_contract import Ends, PotentiostatContract, Safety, Truth


class TestNeware(PotentiostatContract):
    @pytest.fixture
    def bench(self, stand: Stands) -> Bench:
        return stand("neware")


class TestNewareOnAFullCell(Ends, Safety, Truth):
    """A cell that stands at 3.6 V."""

    @pytest.fixture
    def bench(self, stand: Stands) -> Bench:
        return stand("neware", rest_V=3.6, limits=replace(WIDE, voltage_upper_V=4.3, voltage_lower_V=2.5))
