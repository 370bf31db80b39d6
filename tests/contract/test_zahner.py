"""The Zahner driver in front of the emulated Thales under the contract of all potentiostats."""

from __future__ import annotations

import pytest
from potentiostat_stands import Stands

from drivers.testing.bench import Bench
from drivers.testing.potentiostat_contract import PotentiostatContract


class TestZahner(PotentiostatContract):
    @pytest.fixture
    def bench(self, stand: Stands) -> Bench:
        return stand("zahner")
