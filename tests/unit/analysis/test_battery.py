"""Battery quantities: slopes with honest errors, skin and pulse by the books, and a budget that can fail."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
from scipy.stats import pearsonr

from orchestrator.analysis import battery as b


def test_slopes_and_their_errors() -> None:
    rng = np.random.default_rng(2)
    charge = np.linspace(0.0, 1.0, 18)
    area = 5.0 + 3.0 * charge + rng.normal(size=(2000, 18)) * 0.2
    found = b.slope(charge, area, 0.2)
    assert found.slope.mean() == pytest.approx(3.0, abs=0.02)
    pulls = (found.slope - 3.0) / found.slope_sd
    assert np.std(pulls) == pytest.approx(1.0, abs=0.15)
    assert b.slope(charge, 5.0 + 3.0 * charge, 0.1).intercept == pytest.approx(5.0)


def test_a_slope_of_two_spectra_or_of_no_charge_is_none() -> None:
    assert math.isnan(float(b.slope([0.0, 1.0, np.nan], [1.0, 2.0, 3.0], 0.1).slope))
    assert math.isnan(float(b.slope([1.0, 1.0, 1.0], [1.0, 2.0, 3.0], 0.1).slope))


def test_scatter_beyond_the_stated_errors_widens_the_error() -> None:
    rng = np.random.default_rng(3)
    charge = np.linspace(0.0, 1.0, 30)
    found = b.slope(charge, charge + rng.normal(size=30), 0.01)
    assert float(found.slope_sd) > 0.3


@pytest.mark.parametrize(
    ("tip_deg", "size", "phase_deg"),
    [(1e-3, None, -45.0), (45, 0.261, -46.2), (90, 0.431, -50.4), (123, 0.468, -56.4), (180, 0.387, -79.4)],
)
def test_the_face_of_a_metal(tip_deg: float, size: float | None, phase_deg: float) -> None:
    """P2 and domain.md 4.12."""
    seen = b.metal_face(tip_deg)
    assert math.degrees(cmath.phase(seen)) == pytest.approx(phase_deg, abs=0.1)
    assert abs(seen) == pytest.approx(0.354 * math.radians(tip_deg) if size is None else size, rel=0.003)


def test_a_thin_metal_has_no_skin() -> None:
    assert cmath.phase(b.metal_face(90.0, 0.01)) == pytest.approx(0.0, abs=0.02)


def test_skin_depths() -> None:
    """P1: 11 and 12 µm in the papers."""
    assert b.skin_depth_um("23Na", 105.84) == pytest.approx(10.7, abs=0.05)
    assert b.skin_depth_um("7Li", 155.5) == pytest.approx(12.3, abs=0.05)
    assert b.seen_depth_um("7Li", 155.5, 90.0) == pytest.approx(0.431 * 12.3, rel=0.005)


def test_excitation_far_from_the_carrier_is_not_believed() -> None:
    factor, doubtful = b.excitation([0.0, 30e3, 200e3], 8.0, 90.0)
    assert factor[0] == pytest.approx(1.0)
    assert 0.5 < factor[1] < 1.1
    assert list(doubtful) == [False, False, True]


def test_mass() -> None:
    assert b.metal_mass_mg(2.0, 3.0, "7Li") == pytest.approx(6.0 / 3.861, rel=1e-3)


def cycles(
    n: int = 8, *, efficiency: float = 0.985, first: float = 0.90, k: float = 0.5, noise: float = 0.0, dies: float = 0.02, seed: int = 8
) -> dict[str, np.ndarray]:
    """Anode-free: each cycle loses to SEI at once and leaves dead metal."""
    rng = np.random.default_rng(seed)
    metal, made = 0.0, {name: [] for name in ("charge_mAh", "discharge_mAh", "charged", "discharged")}
    for cycle in range(n):
        plated = 2.0 * (first if cycle == 0 else efficiency)
        dead = dies * plated
        for name, value in (
            ("charge_mAh", 2.0),
            ("discharge_mAh", plated - dead),
            ("charged", metal + plated),
            ("discharged", metal + dead),
        ):
            made[name].append(value / k + noise * rng.normal() if name in {"charged", "discharged"} else value)
        metal += dead
    return {name: np.array(values) for name, values in made.items()}


def budget(**given: float) -> b.Budget:
    made = cycles(**given)  # type: ignore[arg-type]
    sd = np.full(len(made["charged"]), given.get("noise", 0.0) or 1e-6)
    return b.lithium_budget(made["charge_mAh"], made["discharge_mAh"], made["charged"], sd, made["discharged"], sd)


def test_the_budget_of_a_cell_whose_first_plating_hides_its_SEI() -> None:
    """practice.md 15: k from the first plating would be 11 % high."""
    found = budget()
    assert found.mAh_per_area == pytest.approx(0.5)
    assert list(found.calibrated[:5]) == [False, True, True, True, False]
    assert found.plating_efficiency == pytest.approx([0.90, *[0.985] * 7])
    assert found.sei_mAh == pytest.approx([0.2, *[0.03] * 7], abs=1e-6)
    assert found.dead_mAh[1:] == pytest.approx(0.02 * 2 * 0.985, abs=1e-6)
    assert found.doubtful == ()


def test_the_budget_carries_its_errors_and_fails_where_the_metal_hides() -> None:
    assert budget(noise=0.01).doubtful == ()
    assert 0.0 < budget(noise=0.01).mAh_per_area_sd < 0.01
    made = cycles(noise=0.01)
    sd = np.full(8, 0.01)
    made["charged"][6] *= 0.8  # dense metal, under its own skin
    found = b.lithium_budget(made["charge_mAh"], made["discharge_mAh"], made["charged"], sd, made["discharged"], sd)
    assert abs(found.closes[6]) > 3
    assert "cycles 7" in found.doubtful[0]
    with pytest.raises(ValueError, match="no metal is seen"):
        b.lithium_budget(made["charge_mAh"], made["discharge_mAh"], made["discharged"], sd, made["discharged"], sd)


def test_the_error_of_k_goes_into_all_that_follows_from_it() -> None:
    """Half of what is plated dies, so that k's error counts as much as an area's own: pulls of 600 runs, in cycles that gave no k."""
    sd = np.full(8, 0.02)
    pulls: dict[str, list[float]] = {"dead": [], "efficiency": [], "closes": [], "sei": []}
    for seed in range(600):
        made = cycles(noise=0.02, dies=0.5, seed=seed)
        found = b.lithium_budget(made["charge_mAh"], made["discharge_mAh"], made["charged"], sd, made["discharged"], sd)
        pulls["dead"].append((found.dead_mAh[6] - 0.985) / found.dead_sd_mAh[6])
        pulls["sei"].append((found.sei_mAh[6] - 0.03) / found.sei_sd_mAh[6])
        pulls["efficiency"].append((found.plating_efficiency[6] - 0.985) / found.plating_efficiency_sd[6])
        pulls["closes"].append(found.closes[6])
    for name, values in pulls.items():
        assert np.mean(values) == pytest.approx(0.0, abs=0.15), name
        assert np.std(values) == pytest.approx(1.0, abs=0.08), name


def test_correlations() -> None:
    t = np.linspace(0, 10, 200)
    found = b.correlations(np.sin(t), {"t": t, "same": np.sin(t), "flat": np.ones(200)})
    assert found.r["same"] == pytest.approx(1.0)
    assert found.p["same"] < 1e-9
    assert math.isnan(found.r["flat"])
    noise = np.random.default_rng(4).normal(size=200)
    known = pearsonr(t, np.sin(t) + noise)
    mine = b.correlations(np.sin(t) + noise, {"t": t})
    assert (mine.r["t"], mine.p["t"]) == pytest.approx((known.statistic, known.pvalue))
    assert math.isnan(b.correlations(np.array([1.0, np.nan, 2.0]), {"t": np.arange(3.0)}).r["t"])
