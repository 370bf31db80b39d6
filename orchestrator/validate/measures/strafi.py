"""Profiles by echoes in a stray field: one carrier, one slice."""

from __future__ import annotations

import math

import numpy as np

from orchestrator.validate.compare import Found
from orchestrator.validate.measures.series import straight
from orchestrator.validate.measures.words import Runs, Words, measure, run_of


@measure
def rise_per_mm(words: Words, runs: Runs) -> Found:
    """Echoes at several carriers in a stray field, ``where`` over ``over``: slope along the stack of the line through the ratio.

    ``tell: middle``: its value at 0. Each carrier shows its slice, by how much of the mean FID of all of ``over`` there is in its own.
    ``ppm_per_mm``: how the field rises.
    """
    evidence, name = run_of(words, runs), str(words["rise_per_mm"])
    upper, lower = (evidence.spectra(name, words[which]) for which in ("where", "over"))
    moved_ppm = [(float(one.data["carrier_MHz"]) / float(one.data["reference_MHz"]) - 1.0) * 1e6 for one in upper]
    z_mm = np.array(moved_ppm) / float(words["ppm_per_mm"])
    shape = np.mean([one.fid for one in lower], axis=0)
    ratio = np.array([abs(np.vdot(shape, one.fid)) / abs(np.vdot(shape, other.fid)) for one, other in zip(upper, lower, strict=True)])
    (middle, rise), covariance = straight(z_mm, ratio, np.zeros_like(ratio))
    return Found(middle, math.sqrt(covariance[0, 0])) if words.get("tell") == "middle" else Found(rise, math.sqrt(covariance[1, 1]))
