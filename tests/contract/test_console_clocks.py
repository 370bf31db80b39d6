"""Every console's clock, hours off: the offset is measured, and lays the vendor's stamps onto our clock where they have a zone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from wire_taps import Silence

from drivers.base import Acquired, AcquisitionOrder, Context, Filed, Settings, Started
from drivers.clock import Clock
from drivers.registry import factory, make_console, make_emulator, memory_network, names
from drivers.testing.bench import listening
from drivers.transport.virtual import run_virtual
from orchestrator.runner.vendor_clock import placed

FAST_S = 2 * 3600 + 54 * 60.0
"""As a DD2 workstation was found."""
S = 1e9
ROOT = r"D:\opnmr"
PULSE = {"points": 1024, "spectral_width_Hz": 93458, "carrier_ppm": 100, "pulse_us": 8}
BENCHES: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]] = {
    "topspin": ({}, {}, {"dataset": "templates/7Li_metal/1", "points": 1024}),
    "openvnmrj": ({}, {}, {**PULSE}),
    "spinsolve": (
        {"shown_as": ROOT, "profile": "real"},
        {"data_root": ROOT, "path_map": {ROOT: "data"}, "least_acquisition_s": 0.02},
        {"acquisition_time_s": 0.02, "pulse_angle_deg": 90, "options": {"Bandwidth": 800, "CenterFrequency": 100}},
    ),
    "marcos": ({}, {"H1_MHz": 7.05 * 42.577478, "nyquist_zone": 2}, {**PULSE}),
}
"""Options of the emulator, of the driver, and a template."""
ZONED = {"topspin", "marcos"}
"""Whose stamps say their zone: MaRCoS' are this computer's own."""
ASKED = {"topspin", "openvnmrj"}
"""Whose clock can be asked. Spinsolve says the time of day when something happens; MaRCoS has none."""


def test_the_table_is_about_every_console_but_the_simulation() -> None:
    assert set(BENCHES) == set(names("consoles")) - {"sim"}


@pytest.mark.parametrize("vendor", BENCHES)
def test_a_clock_that_is_hours_off_is_measured_and_applied(vendor: str, repository: Path, tmp_path: Path) -> None:
    description = YAML(typ="safe").load(repository / "configs" / "twins" / "C1.yaml")
    of_emulator, of_driver, template = BENCHES[vendor]

    async def main(clock: Clock) -> None:
        twin, network = factory("twins", "twin")(description, seed=1, t0_mono_ns=clock.mono_ns()), memory_network()
        chosen = {"folder": str(tmp_path), "clock_off_s": FAST_S, **of_emulator}
        emulator = make_emulator(Settings("emulator", vendor, str(tmp_path), options=chosen), Context(clock, network, Silence(), twin))
        address = (await emulator.start()).address
        options = {"data_root": str(tmp_path / "scans"), **of_driver} if vendor in {"marcos", "spinsolve"} else of_driver
        console = make_console(Settings("console", vendor, address, options=options), Context(clock, network, Silence()))
        try:
            await console.connect()
            async with listening(console.events(), clock) as log:
                order = AcquisitionOrder("one", "one", "7Li", {"nucleus": "7Li", **template}, 8, 0, 0.98)
                fired_ns = clock.mono_ns()
                await console.prepare(order)
                await console.start("one")
                await log.until(Filed)
                fetched = await console.fetch("one", 0)
                sample = await console.read_clock()
                heard_ns = (log.of(Started)[0].mono_ns, log.of(Acquired)[0].mono_ns)
            await console.release()
        finally:
            await emulator.stop()
        if vendor in ASKED:
            assert sample is not None
            off_s = (sample.device_ns - clock.utc_of(sample.mono_ns)) / S
            assert abs(off_s - FAST_S) <= sample.half_width_ns / S + 1.0
        overhead_s = console.capabilities.overhead_s
        found = placed([None, None], (0, 0), fetched.times, sample, overhead_s, (fired_ns, clock.mono_ns()))
        if vendor in ZONED & ASKED:
            assert abs(fetched.times.start_utc_ns - clock.utc_of(heard_ns[0])) / S > 0.9 * FAST_S  # alone it would be hours off
            for name, at_ns in zip(("t_start_mono_ns", "t_end_mono_ns"), heard_ns, strict=True):
                assert abs(found[name] - at_ns) <= found["t_half_width_ns"], name
        else:
            assert found == {}  # no zone, or no clock that could be asked: the stamp is kept, and not used
            assert fetched.times.stamps

    run_virtual(main)
