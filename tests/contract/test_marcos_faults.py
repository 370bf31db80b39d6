"""What a MaRCoS console can do to its driver, one fault of the emulator at a time: what a person is told, and that the next scan runs."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import console_stands
import numpy as np
import pytest
from console_stands import Vendor

from drivers.base import AcquisitionOrder, Failed, Fetched, Filed
from drivers.errors import InstrumentError

H1_MHz = 7.05 * 16.546 / 0.38863797
"""Such that 0 ppm of 7Li is where the twin of C1 has it."""
OPTIONS = {"H1_MHz": H1_MHz, "nyquist_zone": 2}
TEMPLATE = {"nucleus": "7Li", "points": 1024, "spectral_width_Hz": 96000.0, "carrier_ppm": 100, "pulse_us": 8}


def order(key: str, **changes: Any) -> AcquisitionOrder:
    given = {"name": "small", "nucleus": "7Li", "template": TEMPLATE, "scans": 4, "recycle_s": 0.5}
    return AcquisitionOrder(key, **{**given, **changes})


class Laboratory(console_stands.Laboratory):
    async def ran(self, key: str, **changes: Any) -> Filed | Failed:
        """How it ended."""
        await self.start(order(key, **changes))
        return await self.ended(key)

    async def acquired(self, key: str, **changes: Any) -> Fetched:
        return await self.filed(order(key, **changes))


Test = Callable[[Laboratory], Coroutine[Any, Any, None]]


@pytest.fixture
def laboratory(repository: Path, tmp_path: Path) -> Callable[[Test], None]:
    """Runs a test in virtual time."""
    return Vendor("marcos", repository, driven={**OPTIONS, "data_root": str(tmp_path / "scans")}).laboratory(Laboratory)


def test_metal_is_where_metal_is(laboratory: Callable[[Test], None]) -> None:
    """Both halves were written apart: were one mirrored about the carrier, at 100 ppm, metal would change places with the electrolyte."""

    async def scene(lab: Laboratory) -> None:
        fid = (await lab.acquired("line", scans=8)).fid
        spectrum = np.abs(np.fft.fftshift(np.fft.fft(np.asarray(fid.data)[:256], 4096)))
        offset_Hz = np.fft.fftshift(np.fft.fftfreq(4096, 1 / fid.spectral_width_Hz))
        shift_ppm = (fid.carrier_MHz - fid.reference_MHz) / fid.reference_MHz * 1e6 + offset_Hz / fid.carrier_MHz
        metal, mirrored = spectrum[(shift_ppm > 230) & (shift_ppm < 285)], spectrum[(shift_ppm > -85) & (shift_ppm < -20)]
        assert metal.max() > 5 * mirrored.max()

    laboratory(scene)


HARMLESS = ["split_messages", "slow", "not_idle", "rx_nearly_full"]
ONCE = ["underrun", "rx_full", "no_data", "short_data", "error_reply", "hangs_up", "half_answer", "garbage"]


@pytest.mark.parametrize("fault", HARMLESS)
def test_it_goes_on_as_if_nothing_were(laboratory: Callable[[Test], None], fault: str) -> None:
    async def scene(lab: Laboratory) -> None:
        lab.emulator.inject(fault)
        found = await lab.acquired("one")
        assert (found.fid.scans, found.partial) == (4, False)

    laboratory(scene)


@pytest.mark.parametrize("fault", ONCE)
def test_a_scan_that_was_spoiled_is_never_passed_off_as_one(laboratory: Callable[[Test], None], fault: str) -> None:
    """Measured again, or failed with a reason; and the next acquisition is whole."""

    async def scene(lab: Laboratory) -> None:
        lab.emulator.inject(fault, after_s=0.3)
        ended = await lab.ran("one")
        if isinstance(ended, Filed):
            found = await lab.console.fetch("one", 0)
            assert np.asarray(found.fid.data).size == 1024
            assert found.fid.scans == 4 or found.partial
        else:
            assert ended.why
        lab.emulator.clear(fault)
        assert (await lab.acquired("two")).fid.scans == 4

    laboratory(scene)


def test_no_rf_is_noise_and_no_mistake_of_the_console(laboratory: Callable[[Test], None]) -> None:
    async def scene(lab: Laboratory) -> None:
        right = np.asarray((await lab.acquired("one")).fid.data)
        lab.emulator.inject("no_rf")
        nothing = np.asarray((await lab.acquired("two")).fid.data)
        assert np.abs(nothing[:64]).mean() < 0.5 * np.abs(right[:64]).mean()

    laboratory(scene)


def test_a_sequencer_that_was_left_halted_is_said_and_made_safe(laboratory: Callable[[Test], None]) -> None:
    async def scene(lab: Laboratory) -> None:
        lab.emulator.inject("left_halted")
        with pytest.raises(InstrumentError, match="state 8"):
            await lab.ran("one")
        assert (await lab.console.make_safe()).confirmed
        assert (await lab.acquired("two")).fid.scans == 4

    laboratory(scene)


def test_a_console_that_starts_anew_is_met_again(laboratory: Callable[[Test], None]) -> None:
    async def scene(lab: Laboratory) -> None:
        await lab.acquired("one")
        lab.emulator.inject("reboot", seconds=20.0)
        await lab.clock.sleep(120.0)
        assert (await lab.acquired("two")).fid.scans == 4

    laboratory(scene)
