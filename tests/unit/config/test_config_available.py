"""What is parsed but not executed is named, at its place; what is executed is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config import ConfigError, load_experiment, parse_experiment
from orchestrator.model.available import NOT_YET, TUNER, not_available, uses

HEAD = """\
experiment: a
cell: {id: a, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 1, electrode_normal_to_B0_deg: 0,
       capacity_mAh: 4, x_now: 0 Li}
limits: {abs_E_V: 1, abs_I_mA: 5, charge_per_step_mAh: 9, host_lost: open circuit within 60 s}
acquisitions: {fast: {template: t}, other: {template: u}, turn: {of: {fast: 2, other: 1}}}
"""
EXECUTED = """\
prepare: [ocv -5..5 mV for 1 min, polarity +20 uA for 30 s must raise E, fast]
protocol:
  - {step: Rest for 1 h, name: rest, nmr: {fast: [at start, log-spaced 10 s to 1 h], turn: on demand}}
  - repeat: 3
    until: plate < 50 % of cycle 2
    steps:
      - step: Plate working at 1 mA until 1 mAh
        nmr: {turn: [every 1 %, every 5 min, every 10 mV, at x 0.2, at each knee]}
        then: {fast: at end}
      - {current_mA: 1, until: {charge_mAh: 1}, wait_for_nmr: at open circuit, sample_Hz: {first 1 min: 10, then: 1}, stop_when: short}
      - {voltage_V: 0.1, until: {time_h: 1}}
  - {name: look, at: open circuit, nmr: [fast, turn]}
rules:
  - {name: short, when: short_ratio < 0.2, for: 3 samples, armed_after: E has the new sign or 5 s, do: [open circuit, tag, alarm, mark]}
  - {name: voids, when: abs(E) > 3 * E_at_start, do: [record, flag a, info, warn, fast every 1 min, pause nmr, end step, skip to step look]}
  - {name: high, all: [E > 0.9 V, abs(I) > 1 uA], do: [critical, stop, abort]}
  - {name: off, enabled: false, when: area(metal) > 3, do: [retune]}
missed_acquisition: wait at open circuit after 2 missed
when_booking_ends: {cell: continue}
at_end: {cell: open circuit, nmr: [fast]}
"""


def test_what_this_version_executes() -> None:
    assert not_available(parse_experiment(HEAD + EXECUTED)) == ()


def test_what_needs_a_tuner_is_named_where_it_stands(repository: Path) -> None:
    experiment = load_experiment(repository / "configs" / "experiments" / "hard_carbon_dual_offset.yaml")
    assert not_available(experiment) == ()
    assert [(where.line, name) for where, name in uses(experiment, TUNER)] == [(10, "retune")]


LATER = {
    "prepare: [tune, gain frozen, pulse on reference, reference r, noise, blank, eis]\nprotocol: [Rest for 1 s]\n": set(),
    "protocol: [Rest for 1 s]\n"
    "budget: {metal_ppm: [235, 290], mol_per_area_from: stripping in cycles 2-4, dead: end of strip}\n"
    "after_short: {cell: do not move}\n": set(),
    "protocol: [Rest for 1 h or until E_we 1 V, Hold at E_ce 0.1 V until 1 h]\nrules:\n"
    "  - {name: a, any: [E_we > 1 V, E_ce > 1 V], do: [hold at E_ce 0.1 V until 1 h]}\n": set(),
    "protocol: [Rest for 1 s]\nat_end: {cell: open circuit after plate, nmr: [reference r], label: a, attach: [b]}\n": set(),
    "prepare: [blank]\nprotocol: [Rest for 1 s]\nrules:\n"
    "  - {name: a, when: area(x) > blank + 5 sd, do: [eis, retune, change acquisition fast, hold at 0 V until 1 h]}\n"
    "  - {name: b, when: shift(x) > 3 ppm, do: [warn]}\n  - {name: c, when: width(x) > 3 ppm, do: [warn]}\n"
    "  - {name: d, when: phase(x) > 3 deg, do: [warn]}\n  - {name: e, when: abs(phase(x) - phase(y)) > 3 deg, do: [warn]}\n"
    "  - {name: f, when: slope(x) < 0.7 of the same half-cycle in cycle 2, confidence: 2 SE, do: [warn]}\n"
    "  - {name: g, when: area(x) > mean + 3 sd, do: [warn]}\n  - {name: h, when: E > 1.1 * E at start, do: [warn]}\n"
    "  - {name: k, any: [noise_sd > 2, reflected_power > 0.1, line_snr(x) < 3], do: [warn]}\n"
    "  - {name: l, all: [{observable: voltage, slope: above, value: 0}, {observable: current, slope: below, value: 0}], do: [warn]}\n"
    "  - {name: i, track: strongest line 1..2 ppm in fast}\n  - {name: j, acquisition: fast, amplifier_check: noise level}\n": set(),
}
ACQUISITIONS = """\
acquisitions:
  a: {template: t, subtract: blank, TE_ms: [1, 2], until: {observable: area(x), error_percent: 2, scans_max: 99}}
  b: {manual: by hand, minutes: 3}
  c: {template: u}
  d: {of: [a, c], retune_between: true, retune: every 10 pairs}
prepare: [blank]
protocol: [Rest for 1 s]
"""


@pytest.mark.parametrize("text", LATER)
def test_what_comes_later(text: str) -> None:
    assert {name for _, name in not_available(parse_experiment(HEAD + text))} == LATER[text]


def test_acquisitions_that_come_later() -> None:
    head = HEAD[: HEAD.index("acquisitions")]
    found = {name for _, name in not_available(parse_experiment(head + ACQUISITIONS))}
    assert found == {"until (of an array)"}
    together = set().union(*LATER.values()) | found
    assert together == set(NOT_YET)


def test_dead_lithium_is_not_counted_before_the_rest_was_stripped() -> None:
    """After plating, dead metal and what can still be stripped are one line: no number would be either."""
    budget = "protocol: [Rest for 1 s]\nbudget: {metal_ppm: [235, 290], mol_per_area_from: stripping in cycles 2-4, dead: end of charge}\n"
    with pytest.raises(ConfigError) as refused:
        parse_experiment(HEAD + budget)
    (problem,) = refused.value.problems
    assert problem.message == "expected end of discharge | end of strip"
    assert "one line" in problem.hint
