"""The same image, or series of images, taken again and again in one step: what all of its passes together say. Pure.

Each pass is an acquisition of its own, whole at its full phase cycle. A rule looks at the error of the mean and ends the step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from orchestrator.analysis.maps import Summary

Kspace = NDArray[np.complexfloating[Any, Any]]


class Pass(NamedTuple):
    """One of them: complex (n, pe, ro) k-space of one scan, echo times in s, and how many scans each image has."""

    acquisition: str
    step: str
    echo_s: tuple[float, ...]
    kspace: Kspace
    scans: int


@dataclass(slots=True)
class _Sum:
    of: Pass
    weighted: NDArray[np.complex128]
    scans: int
    passes: int = 1

    @property
    def mean(self) -> NDArray[np.complex128]:
        return self.weighted / self.scans


class Passes:
    """The newest sum of each acquisition: another step, or other echo times, begin another one."""

    def __init__(self) -> None:
        self._sums: dict[str, _Sum] = {}

    def add(self, one: Pass) -> tuple[int, NDArray[np.complex128]]:
        """How many there are by now, and their mean complex128 (n, pe, ro)."""
        known = self._sums.get(one.acquisition)
        if known is None or not _alike(known.of, one):
            known = self._sums[one.acquisition] = _Sum(one, one.kspace.astype(np.complex128) * one.scans, one.scans)
        else:
            known.weighted += one.kspace * one.scans
            known.scans += one.scans
            known.passes += 1
        return known.passes, known.mean


def _alike(first: Pass, second: Pass) -> bool:
    return (first.step, first.echo_s, first.kspace.shape) == (second.step, second.echo_s, second.kspace.shape)


def errors_of_map(summary: Summary) -> Iterator[tuple[str, float]]:
    """``T2_error`` of electrode and isolated cluster: standard error over value."""
    yield "T2_error(electrode)", _over(summary.electrode_sd_s, summary.electrode_s)
    if summary.cluster is not None:
        yield "T2_error(cluster)", _over(summary.cluster.sd_s, summary.cluster.T2_s)


def error_of_image(kspace: Kspace) -> float:
    """Noise over the brightest pixel of a complex (1, pe, ro) k-space."""
    from orchestrator.analysis import maps

    return _over(maps.image_noise_sd(kspace), float(maps.magnitudes(kspace).max()))


def _over(error: float, value: float) -> float:
    return error / value if value > 0.0 and math.isfinite(error) else math.inf
