"""The MethodSCRIPT driver and its emulator under the contract of all potentiostats."""

from __future__ import annotations

import pytest
from potentiostat_stands import Stands

from drivers.testing.bench import Bench
from drivers.testing.potentiostat_contract import Ends, Loading, PotentiostatContract, Skipping, Trouble


class TestMethodScript(PotentiostatContract):
    @pytest.fixture
    def bench(self, stand: Stands) -> Bench:
        return stand("methodscript")


class TestMethodScriptInPieces(Loading, Ends, Skipping, Trouble):
    """The same over a line that cuts the output anywhere and lets control characters in."""

    @pytest.fixture
    def bench(self, stand: Stands) -> Bench:
        return stand("methodscript", faults=("chunked", "stray_xon"))
