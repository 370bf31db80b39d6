"""Variable projection: the linear parameters of a fit solved for inside, the bounded nonlinear ones looked for outside. Pure.

Golub and Pereyra 1973; Kaufman's derivative (BIT 15, 1975); Levenberg and Marquardt between bounds.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Complexes = NDArray[np.complex128]
Floats = NDArray[np.float64]

SETTLED = 1e-4
"""Of chi²: a hundredth of a standard deviation."""
FURTHER = 20.0
"""So many times what the last step brought is never reached by those that follow."""
DAMPING = (1e-3, 1e-10, 1e10)
MOST_LOOKS = 80


class Columns(Protocol):
    """What is fitted: columns by nonlinear parameters, and those that none moves."""

    def columns(self, parameters: Floats, free: NDArray[np.bool_] | None = None) -> tuple[Complexes, list[tuple[int, int, Complexes]]]:
        """complex128 (points, lines), and derivatives as (line, parameter, complex128 (points,))."""

    @property
    def polynomial(self) -> Complexes:
        """complex128 (points, order + 1)."""


class Projection:
    """Residuals, float64 (2 · inside,), as a function of the outer parameters alone."""

    def __init__(self, model: Columns, data: Complexes, begin: Floats, free: NDArray[np.bool_], scale: Floats) -> None:
        self.model, self.data, self.free, self.scale = model, data, free, scale
        self.parameters = begin.copy()
        self.linear: Complexes = np.empty(0, np.complex128)
        self.residual: Complexes = data
        self._at: Floats | None = None

    def __call__(self, outer: Floats) -> Floats:
        """At these outer parameters; what stands in ``linear``, ``parameters`` and ``residual`` belongs to the last call."""
        if self._at is None or not np.array_equal(self._at, outer):
            self._solve(outer)
        return np.concatenate([self.residual.real, self.residual.imag])

    def _solve(self, outer: Floats) -> None:
        self.parameters = self.parameters.copy()
        self.parameters[self.free] = outer * self.scale[self.free]
        profiles, self._derivatives = self.model.columns(self.parameters, self.free)
        self._basis = np.hstack([profiles, self.model.polynomial])
        self._q, r = np.linalg.qr(self._basis)
        self.linear = np.linalg.lstsq(r, self._q.conj().T @ self.data, rcond=1e-12)[0].astype(np.complex128)
        self.residual = self.data - self._basis @ self.linear
        self._at = outer.copy()

    def jacobian(self, outer: Floats) -> Floats:
        """float64 (2 · inside, outer): Kaufman's, which leaves out what is of second order in the residual."""
        self(outer)
        columns = np.stack([-self.linear[n] * self.scale[n, k] * column for n, k, column in self._derivatives], axis=1)
        columns -= self._q @ (self._q.conj().T @ columns)
        return np.concatenate([columns.real, columns.imag])

    def whole_jacobian(self) -> Floats:
        """float64 (2 · inside, 2 · linear + outer): of the model by (re, im) of each linear parameter, then by the outer ones."""
        linear = np.empty((len(self.data), 2 * self._basis.shape[1]), np.complex128)
        linear[:, 0::2], linear[:, 1::2] = self._basis, 1j * self._basis
        outer = [self.linear[n] * column for n, _, column in self._derivatives]
        columns = np.hstack([linear, np.stack(outer, axis=1)]) if outer else linear
        return np.concatenate([columns.real, columns.imag])


def minimised(projection: Projection, begin: Floats, low: Floats, high: Floats, asked: float = -math.inf) -> tuple[Floats, bool, int]:
    """Levenberg and Marquardt between bounds: where, whether it settled, and how many looks it took.

    Residuals are in units of the noise, so a fall of chi² below ``SETTLED`` is far less than a standard deviation.
    ``asked``: it also ends once chi² lies below this, or so far above that what a step still brings will not take it there.
    """
    outer, residual = begin, projection(begin)
    chi2, damping, looks = float(residual @ residual), DAMPING[0], 1
    while looks < MOST_LOOKS:
        jacobian = projection.jacobian(outer)
        downhill, normal = -(jacobian.T @ residual), jacobian.T @ jacobian
        free = ~(((outer <= low) & (downhill < 0.0)) | ((outer >= high) & (downhill > 0.0)))
        if not free.any():
            return outer, True, looks
        while looks < MOST_LOOKS:
            step = np.zeros_like(outer)
            diagonal = np.maximum(normal.diagonal()[free], np.finfo(float).tiny)
            step[free] = np.linalg.solve(normal[np.ix_(free, free)] + damping * np.diag(diagonal), downhill[free])
            tried = np.clip(outer + step, low, high)
            moved = tried - outer
            if float(moved @ (normal.diagonal() * moved)) < SETTLED:
                return outer, True, looks
            found = projection(tried)
            looks += 1
            fall = chi2 - float(found @ found)
            damping = float(np.clip(damping * (0.1 if fall > 0.0 else 10.0), *DAMPING[1:]))
            if fall > 0.0:
                outer, residual, chi2 = tried, found, chi2 - fall
                break
            if damping >= DAMPING[2]:
                return outer, False, looks
        if fall < SETTLED or chi2 < asked or (asked > 0.0 and fall * FURTHER < chi2 - asked):
            return outer, True, looks
    return outer, False, looks


class Solved:
    """Where a fit has come to."""

    def __init__(self, projection: Projection, parameters: Floats, *, converged: bool, evaluations: int) -> None:
        self.projection, self.parameters = projection, parameters
        self.converged, self.evaluations = converged, evaluations
        self.chi2 = float(np.sum(np.abs(projection.residual) ** 2))

    def covariance(self) -> Floats:
        """float64: of (re, im) of each linear parameter, then of the outer ones, in units of the noise."""
        jacobian = self.projection.whole_jacobian()
        norms = np.linalg.norm(jacobian, axis=0)
        norms[norms == 0.0] = 1.0
        scaled = jacobian / norms
        found: Floats = np.linalg.pinv(scaled.T @ scaled, rcond=1e-14, hermitian=True) / np.outer(norms, norms)
        return found

    def outer_sd(self, covariance: Floats) -> Floats:
        """float64 (lines, 3): standard deviations of offset and widths in Hz; 0 where they were held."""
        sd = np.zeros_like(self.parameters)
        free = self.projection.free
        outer = covariance.diagonal()[len(covariance) - int(free.sum()) :]
        sd[free] = np.sqrt(np.maximum(outer, 0.0))
        return sd
