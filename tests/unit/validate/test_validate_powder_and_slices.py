"""The fit of a powder pattern and the look along the stack, on signals whose truth is known."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import fresnel

from orchestrator.validate.evidence import Encoded, Place, Spectrum
from orchestrator.validate.measures import measured
from orchestrator.validate.measures.powder import pattern
from orchestrator.validate.measures.slices import centre, slices

DATA: dict[str, Any] = {"spectral_width_Hz": 93458.0, "carrier_MHz": 116.66, "reference_MHz": 116.65, "scans": 1}
HERE = Place(0.0, "rest", 0.0, 0, 0.0, 0.0, 0.0, 0.0)


def test_the_pattern_is_that_of_fresnels_integrals() -> None:
    t_s = np.linspace(1e-6, 5e-3, 300)
    reach = np.sqrt(6.0 * 22.5e3 * t_s)
    sine, cosine = fresnel(reach)
    wanted = (np.exp(-1j * math.pi * 22.5e3 * t_s) * (cosine + 1j * sine) / reach).real
    assert pattern(t_s, 45e3) == pytest.approx(0.4 + 0.6 * wanted, abs=1e-6)


def test_the_coupling_is_found_where_the_largest_point_is_not() -> None:
    t_s = np.arange(512) / DATA["spectral_width_Hz"] + 10e-6
    centre_Hz = 43.0 * DATA["reference_MHz"] - 1e6 * (DATA["carrier_MHz"] - DATA["reference_MHz"])
    noise = np.random.default_rng(3).normal(scale=0.5, size=(2, 512))
    fid = 100.0 * np.exp(t_s * (2j * math.pi * centre_Hz - math.pi * 400.0)) * pattern(t_s, 44e3) + noise[0] + 1j * noise[1]
    evidence = SimpleNamespace(spectra=lambda *_: [Spectrum("a", fid, HERE, DATA)])
    words = {"coupling_kHz": [43, 43.5], "of": "a", "window_ppm": [-110, 190]}
    found = measured(words, {"": evidence})  # type: ignore[dict-item]
    assert found.value == pytest.approx(44.0, abs=4 * found.sigma)
    assert found.sigma < 0.1


def test_a_window_of_slices_lies_where_it_was_put() -> None:
    views, z_mm = 32, (np.arange(32) - 16) * 0.125
    t_s = np.arange(64) / DATA["spectral_width_Hz"]
    line = np.exp(-2j * math.pi * 1e4 * t_s - 1000.0 * t_s)  # 0 ppm, with the carrier 10 kHz above it
    kspace = np.exp(-2j * math.pi * np.outer(np.arange(views) - 16, 0.5) / 4.0) * line
    one = Encoded("a", kspace, z_mm, HERE, DATA)
    found = centre(one, [-30, 30])
    assert found.value == pytest.approx(0.5, abs=0.01)
    assert slices(one, [-30, 30])[1].argmax() == 20
    assert abs(centre(one, [-30, 30], [-1.0, 0.0]).value - 0.5) > 0.4
