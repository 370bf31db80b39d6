"""The simulated pair under the contract of all instruments."""

from __future__ import annotations

import pytest

from drivers.testing.bench import Bench
from drivers.testing.console_contract import ConsoleContract
from drivers.testing.potentiostat_contract import PotentiostatContract


class TestSimPotentiostat(PotentiostatContract):
    @pytest.fixture
    def bench(self, sim_potentiostat: Bench) -> Bench:
        return sim_potentiostat


class TestSimConsole(ConsoleContract):
    @pytest.fixture
    def bench(self, sim_console: Bench) -> Bench:
        return sim_console
