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
APART = 1e-6
"""Least part of a basis column that the others do not hold, below which least squares decide."""


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
        self._basis = np.concatenate([profiles, self.model.polynomial], axis=1)
        self._q, r = np.linalg.qr(self._basis)
        self.linear = _back_substituted(r, self._q.conj().T @ self.data)
        self.residual = self.data - self._basis @ self.linear
        self._at = outer.copy()

    def jacobian(self, outer: Floats) -> Floats:
        """float64 (2 · inside, outer): Kaufman's, which leaves out what is of second order in the residual."""
        self(outer)
        rows = np.stack([column for _, _, column in self._derivatives])
        rows *= np.array([-self.linear[n] * self.scale[n, k] for n, k, _ in self._derivatives])[:, None]
        rows -= (rows @ self._q.conj()) @ self._q.T
        return np.concatenate([rows.real, rows.imag], axis=1).T

    def whole_jacobian(self) -> Floats:
        """float64 (2 · inside, 2 · linear + outer): of the model by (re, im) of each linear parameter, then by the outer ones."""
        linear, points = 2 * self._basis.shape[1], len(self.data)
        rows = np.empty((linear + len(self._derivatives), points), np.complex128)
        rows[0:linear:2], rows[1:linear:2] = self._basis.T, 1j * self._basis.T
        for row, (n, _, column) in zip(rows[linear:], self._derivatives, strict=True):
            np.multiply(self.linear[n], column, out=row)
        return np.concatenate([rows.real, rows.imag], axis=1).T


def _back_substituted(r: Complexes, right: Complexes) -> Complexes:
    """complex128 (n,): solves a triangular system; by least squares where its columns hardly differ."""
    diagonal = np.abs(r.diagonal())
    apart = diagonal.min() > APART * diagonal.max()
    found = np.linalg.solve(r, right) if apart else np.linalg.lstsq(r, right, rcond=1e-12)[0]
    return found.astype(np.complex128, copy=False)


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
        normal = jacobian.T @ jacobian
        norms = np.sqrt(normal.diagonal())
        norms[norms == 0.0] = 1.0
        both = np.outer(norms, norms)
        found: Floats = np.linalg.pinv(normal / both, rcond=1e-14, hermitian=True) / both
        return found

    def outer_sd(self, covariance: Floats) -> Floats:
        """float64 (lines, 3): standard deviations of offset and widths in Hz; 0 where they were held."""
        sd = np.zeros_like(self.parameters)
        free = self.projection.free
        outer = covariance.diagonal()[len(covariance) - int(free.sum()) :]
        sd[free] = np.sqrt(np.maximum(outer, 0.0))
        return sd
