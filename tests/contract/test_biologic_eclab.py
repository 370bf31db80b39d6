"""The BioLogic driver's first door, EC-Lab, under the contract of all potentiostats: its settings files run on the emulated instrument."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from biologic_bench import Cable
from eclab_stand_in import EcLab
from potentiostat_stands import AWAY_V, CURRENT_A, WIDE, cell
from wire_taps import Silence

from drivers.base import Context, Settings
from drivers.biologic.eclab_door import CALLS
from drivers.biologic.remote import serve
from drivers.clock import Clock
from drivers.registry import make_emulator, make_potentiostat, memory_network
from drivers.testing.bench import Bench, PotentiostatBench, Run
from drivers.testing.potentiostat_contract import PotentiostatContract

REST_V = 0.0005


class TestBioLogicByEcLab(PotentiostatContract):
    @pytest.fixture
    def bench(self, bench_run: Run, repository: Path, tmp_path: Path) -> Bench:
        @asynccontextmanager
        async def opened(clock: Clock) -> AsyncIterator[PotentiostatBench]:
            twin, network = cell(repository, clock, REST_V), memory_network()
            told = Settings("emulator", "biologic", "", options={"firmware": "kernel"})
            emulator: Any = make_emulator(told, Context(clock, network, Silence(), twin))
            await emulator.start()
            served, cable = await serve(network, EcLab(emulator), CALLS), Cable(network)
            options = {"door": "eclab", "decimal": ".", "folder": str(tmp_path)}

            def another(identity: str = "") -> Any:
                settings = Settings("cycler", "biologic", served.address, channel="1", identity=identity, options=options)
                return make_potentiostat(settings, Context(clock, cable, Silence()))

            try:
                yield PotentiostatBench(
                    potentiostat=another(),
                    clock=clock,
                    truth=twin,
                    another=another,
                    current_A=CURRENT_A,
                    upper_V=REST_V + AWAY_V,
                    lower_V=REST_V - AWAY_V,
                    rest_V=REST_V,
                    limits=WIDE,
                    cut_link=cable.cut,
                    mend_link=cable.mend,
                    skew_clock=lambda: emulator.inject("clock_skew"),
                    inject=emulator.inject,
                    clear=emulator.clear,
                )
            finally:
                await served.stop()
                await emulator.stop()

        return Bench(opened, bench_run)
