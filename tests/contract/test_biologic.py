"""The BioLogic driver in front of the emulated DLL under the contract of all potentiostats."""

from __future__ import annotations

import pytest
from potentiostat_stands import Stands

from drivers.testing.bench import Bench
from drivers.testing.potentiostat_contract import PotentiostatContract


class TestBioLogic(PotentiostatContract):
    @pytest.fixture
    def bench(self, stand: Stands) -> Bench:
        return stand("biologic")
