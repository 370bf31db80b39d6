"""TopSpin arrays on the emulator, the shipped agent inside: T1 and T2 and nutation, a data set a row, each with times of its own."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import console_stands
import numpy as np
import pytest
from console_stands import Vendor

from drivers.base import AcquisitionOrder, Axis, Filed, LinkLost, Started
from drivers.errors import InstrumentError, Rejected

UNLOCK = {"tau_ms": [1, 60000], "TE_ms": [0.02, 50], "pulse_us": [1, 40]}
AGENT = {"unlock": {"D 7": [0.001, 60.0], "D 6": [1e-5, 0.05], "P 1": [1.0, 40.0]}}


class Laboratory(console_stands.Laboratory):
    async def acquire(self, order: AcquisitionOrder) -> Any:
        await self.console.prepare(order)
        await self.console.start(order.key)
        await self.log.until(Filed, len(self.log.of(Filed)) + 1, within_s=3600.0)
        return await self.console.fetch(order.key, 0)


@pytest.fixture
def lay(repository: Path, tmp_path: Path) -> Callable[..., None]:
    def run(test: Callable[[Laboratory], Coroutine[Any, Any, None]], unlock: Any = UNLOCK) -> None:
        emulated = {"folder": str(tmp_path), "agent_options": AGENT}
        Vendor("topspin", repository, emulated=emulated, driven={"unlock": unlock}).laboratory(Laboratory)(test)

    return run


def array(key: str, sequence: str, dataset: str, axis: Axis, **changes: Any) -> AcquisitionOrder:
    template = {"nucleus": "7Li", "dataset": f"templates/{dataset}/1", "points": 2048, "carrier_ppm": 0.0}
    return AcquisitionOrder(key, key, "7Li", template, **{"scans": 8, "recycle_s": 20.0, "sequence": sequence, "rows": axis, **changes})


def strengths(fetched: Any) -> Any:
    """Beyond the digital filter's ramp, where the lines are."""
    return np.abs(np.fft.fft(fetched.fid.data[:, 70:], axis=1)).max(axis=1)


def test_saturation_recovery_recovers_and_each_row_has_its_own_times(lay: Callable[..., None]) -> None:
    async def test(bench: Laboratory) -> None:
        delays = Axis("tau_ms", (20.0, 200.0, 2000.0, 20000.0))
        fetched = await bench.acquire(array("sr", "saturation_recovery", "7Li_T1", delays, recycle_s=0.1))
        assert fetched.fid.data.shape == (4, 2048)
        assert not fetched.partial
        found = strengths(fetched)
        assert np.all(np.diff(found) > 0)
        assert found[0] < 0.5 * found[-1]
        assert fetched.row_s.shape == (4, 2)
        assert fetched.row_s[0, 0] == 0.0
        assert np.all(fetched.row_s[1:, 0] >= fetched.row_s[:-1, 1])
        assert fetched.row_s[3, 1] - fetched.row_s[3, 0] == pytest.approx(8 * (20.0 + 0.1 + 2048 / 93458) + 2.0, abs=1.0)
        assert len([file for file in fetched.files if file.name.endswith("/fid")]) == 4
        assert len(bench.log.of(Started)) == len(bench.log.of(Filed)) == 1

    lay(test)


def test_inversion_turns_over_nutation_goes_round_and_echoes_fade(lay: Callable[..., None]) -> None:
    async def test(bench: Laboratory) -> None:
        inverted = await bench.acquire(array("ir", "inversion_recovery", "7Li_T1_inversion", Axis("tau_ms", (1.0, 30000.0))))
        one, other = inverted.fid.data[:, 70:300]
        assert np.vdot(one, other).real < 0
        turned = await bench.acquire(array("nut", "nutation", "7Li_metal", Axis("pulse_us", (2.0, 8.0, 16.0))))
        weak, strong, none = strengths(turned)
        assert strong > weak
        assert strong > 2 * none
        faded = strengths(await bench.acquire(array("t2", "hahn_echo", "7Li_T2", Axis("TE_ms", (0.1, 10.0, 40.0)))))
        assert np.all(np.diff(faded) < 0)

    lay(test)


def test_a_halted_array_keeps_its_rows_and_a_link_that_blinks_costs_none(lay: Callable[..., None]) -> None:
    async def test(bench: Laboratory) -> None:
        order = array("kept", "saturation_recovery", "7Li_T1", Axis("tau_ms", (100.0, 200.0, 300.0, 400.0)), recycle_s=1.0)
        await bench.console.prepare(order)
        await bench.console.start("kept")
        await bench.clock.sleep(5.0)
        bench.emulator.inject("silent")
        await bench.clock.sleep(40.0)
        bench.emulator.clear("silent")
        await bench.log.until(Filed, within_s=600.0)
        assert bench.log.of(LinkLost)
        assert not (await bench.console.fetch("kept", 0)).partial

        await bench.console.prepare(AcquisitionOrder(**{**_fields(order), "key": "cut"}))
        await bench.console.start("cut")
        await bench.clock.sleep(18.0)
        await bench.console.halt("cut")
        await bench.log.until(Filed, 2, within_s=600.0)
        cut = await bench.console.fetch("cut", 0)
        assert cut.partial
        assert 1 <= len(cut.fid.data) < 4
        assert cut.row_s.shape == (len(cut.fid.data), 2)
        assert np.all(np.isfinite(cut.row_s))
        with pytest.raises(InstrumentError):
            await bench.console.fetch("never", 0)

    lay(test)


def test_a_second_process_finds_the_rows(lay: Callable[..., None]) -> None:
    async def test(bench: Laboratory) -> None:
        await bench.acquire(array("sr", "saturation_recovery", "7Li_T1", Axis("tau_ms", (20.0, 200.0)), recycle_s=0.1))
        await bench.console.release()
        again = bench.another()
        await again.connect()
        fetched = await again.fetch("sr", 0)
        assert fetched.fid.data.shape == (2, 2048)
        await again.release()

    lay(test)


def test_rig_and_agent_must_both_unlock_a_delay(lay: Callable[..., None]) -> None:
    async def only_rig(bench: Laboratory) -> None:
        order = array("sr", "saturation_recovery", "7Li_T1", Axis("tau_ms", (20.0,)))
        elsewhere = AcquisitionOrder(**{**_fields(order), "template": {**order.template, "array_names": {"tau_ms": "D 9"}}})
        with pytest.raises(Rejected, match="D 9"):
            await bench.console.prepare(elsewhere)
        with pytest.raises(Rejected, match="D 1"):
            await bench.console.prepare(
                AcquisitionOrder(**{**_fields(order), "template": {**order.template, "array_names": {"tau_ms": "D 1"}}})
            )
        with pytest.raises(Rejected, match="outside"):
            await bench.console.prepare(array("sr", "saturation_recovery", "7Li_T1", Axis("tau_ms", (0.1,))))

    lay(only_rig)

    async def only_agent(bench: Laboratory) -> None:
        with pytest.raises(Rejected, match="unlock"):
            await bench.console.prepare(array("sr", "saturation_recovery", "7Li_T1", Axis("tau_ms", (20.0,))))

    lay(only_agent, {})


def _fields(order: AcquisitionOrder) -> dict[str, Any]:
    return {name: getattr(order, name) for name in order.__slots__}
