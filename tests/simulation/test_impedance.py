"""Impedance between spectra, on the twin: taken where the file asks, journaled, and what rules learn from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from orchestrator.model.columns import unpack

Live = Callable[..., Any]
HEAD = """
version: 1
experiment: impedance
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 32, dummies: 4}
at_end: {cell: open circuit}
"""
FILE = (
    HEAD
    + """
prepare: [ocv -20..20 mV for 30 s, eis]
protocol:
  - {step: Rest for 10 minutes, nmr: {fast: continuously}, eis: at end}
  - {step: Plate working at 1 mA/cm2 for 2 minutes, eis: at end}
  - {eis: {frequency_Hz: [50000, 1], points: 12, amplitude_mV: 10}}
"""
)
ASKED = (
    HEAD
    + """
protocol:
  - {step: Plate working at 1 mA/cm2 for 4 minutes, nmr: {fast: continuously}}
  - {step: Strip working at 1 mA/cm2 for 2 minutes}
rules:
  - {name: driven, when: abs(E) > 1 mV, for: 3 samples, do: [info, eis]}
"""
)


def spectra_of(night: Any) -> list[dict[str, Any]]:
    return [unpack(event.data["columns"], event.blob, event.data["n"]) for event in night.of("eis")]


def test_spectra_are_taken_where_the_file_asks(live: Live) -> None:
    night = live(FILE)
    assert night.outcome.exit_code == 0
    assert [event.data["step_key"].split("-")[-1] for event in night.of("eis")] == ["eis"] * 4
    spectra = spectra_of(night)
    assert [len(one["z"]) for one in spectra] == [37, 37, 37, 12]
    assert np.allclose(sorted(spectra[-1]["frequency_Hz"])[::11], [1.0, 50000.0])
    for one in spectra:
        assert one["z"][np.argmin(one["frequency_Hz"])].real > one["z"][np.argmax(one["frequency_Hz"])].real > 0


def test_no_pulse_falls_into_a_spectrum_and_the_scan_that_runs_is_waited_for(live: Live) -> None:
    night = live(FILE)
    taken = [
        (start.mono_ns, end.mono_ns)
        for start in night.of("step.started", mode="impedance")
        for end in night.of("step.ended", key=start.data["key"])
    ]
    assert len(taken) == 4
    scans = [
        (start.mono_ns, end.mono_ns)
        for start in night.of("acquisition.started")
        for end in night.of("acquisition.acquired", key=start.data["key"])
    ]
    assert scans
    assert not [(scan, spectrum) for scan in scans for spectrum in taken if scan[0] < spectrum[1] and spectrum[0] < scan[1]]
    waited = [event for event in night.of("step.started") if "until the console is silent" in event.data["text"]]
    assert len(waited) == 1
    assert not night.of("acquisition.missed")


def test_rules_know_the_resistance_of_the_newest_spectrum_less_the_leads(live: Live) -> None:
    night = live(FILE)
    known = [event.data for event in night.of("observable", name="R_cell")]
    spectra = spectra_of(night)
    assert len(known) == len(spectra)
    for told, one in zip(known, spectra, strict=True):
        assert abs(told["value"] - (one["z"][np.argmin(one["frequency_Hz"])].real - 2.0)) < 1e-6


def test_a_rule_looks_at_the_real_part_of_the_newest_spectrum(live: Live) -> None:
    """At 1 kHz this cell has more than 3 and less than 300 ohm; the rule in between says so when its first spectrum is there."""
    rules = "rules: [{name: seen, when: Re(Z) at 1 kHz > 3 ohm, do: info}, {name: dry, when: Re(Z) at 1 kHz > 300 ohm, do: alarm}]"
    night = live(FILE.replace("prepare: [ocv -20..20 mV for 30 s, eis]\n", "") + rules + "\n")
    (fired,) = {event.data["rule"] for event in night.of("rule.fired")}
    assert fired == "seen"
    first = night.of("rule.fired")[0]
    assert first.seq > night.of("eis")[0].seq
    one = spectra_of(night)[0]
    order = np.argsort(one["frequency_Hz"])
    expected = np.interp(3.0, np.log10(one["frequency_Hz"][order]), one["z"].real[order])
    assert first.data["values"]["Re(Z) at 1000 Hz"] == pytest.approx(expected)


def test_a_rule_gets_its_spectrum_after_the_running_step(live: Live) -> None:
    night = live(ASKED)
    assert night.outcome.exit_code == 0
    spectrum, fired = night.of("eis")[0], night.of("rule.fired", rule="driven")
    first = night.of("step.ended")[0]
    assert fired[0].mono_ns < first.mono_ns <= spectrum.mono_ns
    strip = [event for event in night.of("step.ended") if "strip" in event.data["key"] and ".w" not in event.data["key"]]
    assert strip[0].data["duration_s"] < 2.0, "the instrument had the next step already: it is broken off and owed its rest"
    assert strip[0].mono_ns < spectrum.mono_ns < strip[-1].mono_ns
    assert abs(strip[-1].data["duration_s"] - 120.0) < 0.1
    assert len(night.of("eis")) == len(fired) == 2
