"""What a file means, checked without the rig: one mistake at a time, where it stands and why it is one."""

from __future__ import annotations

import pytest

from orchestrator.config import ConfigError, parse_experiment

FULL = """\
experiment: full
cell: {id: F, type: full, positive: LFP 2.4 mAh, negative: graphite 1.6 mAh, working: positive, C_rate_of: negative, area_cm2: 0.8}
limits: {E_V: [2.4, 3.85], abs_I_mA: 0.4, charge_per_step_mAh: 2.1, host_lost: open circuit within 60 s}
prepare: [ocv 2..3.4 V, watch]
acquisitions:
  watch: {template: 7Li_metal, scans: 8}
  quant: {template: 7Li_wide, scans: 8}
  both: {of: [watch, quant]}
protocol:
  - {step: Charge at C/5 until 130 % of graphite or 3.8 V or 8 hours, name: first, nmr: {watch: every 2 %}, stop_when: plating}
  - {step: Hold at 3.8 V until C/50 or 2 hours, nmr: {both: at start}}
  - {name: look, at: open circuit, nmr: [watch, quant]}
  - Discharge at C/10 until 2.5 V or 14 hours
rules:
  - {name: plating, when: area(240..290 ppm) > 3, do: [end step, quant every 10 minutes]}
at_end: {cell: open circuit, nmr: [quant]}
"""
HALF = """\
experiment: half
cell: {id: H, type: half, working: hard carbon, counter: Na, area_cm2: 0.8, electrode_normal_to_B0_deg: 0}
limits: {E_V: [-0.1, 3.3], abs_I_mA: 0.1, charge_per_step_mAh: 1.6, host_lost: open circuit within 60 s}
acquisitions: {ionic: {template: 23Na_0ppm, scans: 8}}
protocol:
  - {step: Sodiate working at 0.05 mA until 0.005 V or 24 hours, nmr: {ionic: every 1 hour}}
"""
LIMITS = "the run would end"


def problems_of(text: str) -> list[tuple[int, str, str, str]]:
    """Line, the words under the caret, message, hint."""
    try:
        parse_experiment(text)
    except ConfigError as error:
        return [
            (
                one.where.line,
                text.splitlines()[one.where.line - 1][one.where.column - 1 :][: one.where.length],
                one.message,
                one.hint,
            )
            for one in error.problems
        ]
    return []


def test_both_files_are_right() -> None:
    assert problems_of(FULL) == []
    assert problems_of(HALF) == []


SAMPLE = """\
experiment: sample
cell: {id: S, type: sample, working: rotor, composition: LiCoO2, rotor_mm: 2.5, spinning_kHz: 20}
limits: {abs_E_V: 1, abs_I_uA: 1, charge_per_step_mAh: 0.001, host_lost: open circuit within 60 s}
acquisitions: {one: {template: 7Li_mas, scans: 8}}
protocol:
  - {name: ex situ, at: open circuit, nmr: [one]}
  - Rest for 10 minutes
"""


def test_a_sample_knows_no_current() -> None:
    assert problems_of(SAMPLE) == []
    for step in ("Charge at 1 uA until 0.5 V or 1 hour", "Plate working at 1 uA until 0.1 V or 1 hour"):
        (problem,) = problems_of(SAMPLE + f"  - {step}\n")
        assert problem[0] == 8
        assert "has no meaning in a sample" in problem[2]


MISTAKES = [
    # file, what is replaced, by what, line, words under the caret, message, part of the hint
    (HALF, "Sodiate working", "Discharge", 6, "Discharge", "`discharge` has no meaning in a half cell", "would sodiate the working"),
    (HALF, "Sodiate working", "Sodiate", 6, "Sodiate", "`sodiate` which electrode?", "Sodiate working at"),
    (HALF, "Sodiate working", "Sodiate hard carbn", 6, "hard carbn", "this cell has no electrode `hard carbn`", "`hard carbon`"),
    (FULL, "Charge at", "Charge graphite at", 10, "graphite", "`charge` names no electrode", "not an electrode"),
    (HALF, "until 0.005 V or 24 hours", "", 6, "Sodiate working at 0.05 mA", "this step has no end", "until"),
    (HALF, "0.05 mA", "C/20", 6, "C/20", "nobody says the capacity of this cell", "capacity_mAh"),
    (HALF, "every 1 hour", "every 1 %", 6, "every 1 %", "nobody says the capacity of this cell", "capacity_mAh"),
    (HALF, "every 1 hour", "every 1 h below 50 %", 6, "every 1 h below 50 %", "nobody says the capacity of this cell", ""),
    (FULL, "130 % of graphite", "130 % of grafite", 10, "130 % of grafite", "this cell has no electrode `grafite`", "graphite"),
    (HALF, " area_cm2: 0.8,", "", 6, "0.05 mA/cm2", "0.00005 A/cm2 needs the electrode's area", "area_cm2"),
    (HALF, "every 1 hour", "at x 0.5", 6, "at x 0.5", "x of what, counted from where?", "x_now"),
    (HALF, "counter: Na, area_cm2: 0.8, electrode_normal_to_B0_deg: 0", "counter: Na", 2, "Na", "`Na` is a metal", "242 and 272 ppm"),
    (FULL, "working: positive", "working: LPF", 2, "working", "the working electrode `LPF` is neither", ""),
    (FULL, "C_rate_of: negative", "C_rate_of: anode", 2, "anode", "this cell has no electrode `anode`", ""),
    (FULL, "3.8 V or 8 hours", "3.9 V or 8 hours", 10, "3.9 V", "3.9 V lies outside the limits, 2.4 to 3.85 V", LIMITS),
    (FULL, "Hold at 3.8 V", "Hold at 4.2 V", 11, "4.2 V", "4.2 V lies outside the limits", LIMITS),
    (FULL, "[end step, quant", "[hold at 4.2 V until 1 h, quant", 15, "hold at 4.2 V until 1 h", "4.2 V lies outside the limits", LIMITS),
    (
        FULL,
        "area(240..290 ppm) > 3",
        "E < 2 * E at start and area(watch) > 3",
        15,
        "E < 2 * E at start",
        "rule `plating` looks at spectra",
        "make two rules",
    ),
    (
        FULL,
        "when: area(240..290 ppm) > 3",
        "when: {observable: voltage, below: 0, reference: {of: mean, factor: 0.9}}",
        15,
        "{",
        "rule `plating`: voltage has no mean",
        "compare with a value",
    ),
    (
        FULL,
        "when: area(240..290 ppm) > 3",
        "when: {observable: shift(metal), slope: above, value: 0}",
        15,
        "{",
        "rule `plating`: shift(metal) has no slope",
        "dA/dQ",
    ),
    (FULL, "area(240..290 ppm) > 3,", "noise_sd(metal) > 3,", 15, "noise_sd", "`noise_sd` is of no line", ""),
    (
        FULL,
        "area(240..290 ppm) > 3,",
        "phase_difference_deg(a) > 3,",
        15,
        "phase_difference_deg",
        "`phase_difference_deg` is of two lines",
        "abs(phase(",
    ),
    (FULL, "acquisitions:", "windows: {SEI: [20, -20]}\nacquisitions:", 5, "[", "window `SEI` does not begin below its end", "[-20, 20]"),
    (FULL, "2.5 V or 14", "abs(E) 4 V or 14", 13, "abs(E) 4 V", "4 V lies outside the limits", LIMITS),
    (FULL, "C/5 until", "C/2 until", 10, "C/2", "0.8 mA is more than the limit of 0.4 mA", LIMITS),
    (FULL, "130 % of", "140 % of", 10, "140 % of graphite", "2.24 mAh is more than the limit of 2.1 mAh in a step", LIMITS),
    (
        FULL,
        "2.1, host",
        "2.1, lower_E_armed_once_above_V: 4, host",
        3,
        "lower_E_armed_once_above_V",
        "the lower limit would arm at 4 V",
        "",
    ),
    (HALF, "charge_per_step_mAh: 1.6", "charge_per_step_mAh_cm2: 2", 0, "", "", ""),
    (FULL, "{watch: every 2 %}", "{wacth: every 2 %}", 10, "wacth", "no acquisition is named `wacth`", "`watch`"),
    (FULL, "[watch, quant]}\n  - Dis", "[watch, qant]}\n  - Dis", 12, "qant", "no acquisition is named `qant`", "`quant`"),
    (FULL, "3.4 V, watch]", "3.4 V, tun]", 4, "tun", "no acquisition is named `tun`", "`tune`"),
    (FULL, "quant every 10", "qant every 10", 15, "qant", "no acquisition is named `qant`", "`quant`"),
    (FULL, "{of: [watch, quant]}", "{of: [watch, qant]}", 8, "qant", "no acquisition is named `qant`", "`quant`"),
    (FULL, "nmr: [quant]}", "nmr: [quants]}", 16, "quants", "no acquisition is named `quants`", "`quant`"),
    (FULL, "{of: [watch, quant]}", "{of: [watch, both]}", 8, "both", "`both` is an interleave itself", ""),
    (FULL, "stop_when: plating", "stop_when: platting", 10, "platting", "no rule is named `platting`", "`plating`"),
    (FULL, "[end step,", "[skip to step frist,", 15, "frist", "no step is named `frist`", "`first`"),
    (FULL, "at_end:", "  - {name: plating, enabled: false}\nat_end:", 16, "{", "a rule `plating` stands in line 15 already", ""),
    (FULL, " when: area(240..290 ppm) > 3,", "", 15, "{", "rule `plating` looks at nothing", "when:"),
    (FULL, ", do: [end step, quant every 10 minutes]", "", 15, "{", "rule `plating` does nothing", "do:"),
    (FULL, "area(240..290 ppm) > 3,", "short_ratio < 0.2, for: 3 spectra,", 15, "spectr", "rule `plating` looks at E and I", "3 samples"),
    (FULL, "> 3,", "> blank + 5 sd,", 15, "{", "rule `plating` needs a blank, but none is taken", "prepare"),
    (FULL, "7Li_metal, scans: 8", "7Li_metal, subtract: blank", 6, "watch", "`watch` subtracts a blank, but none is taken", "prepare"),
    (FULL, "acquisitions:", "missed_acquisition: {wacth: stop}\nacquisitions:", 5, "wacth", "no acquisition is named `wacth`", "`watch`"),
    (FULL, "  quant:", "  tune:", 7, "tune", "`tune` is a word of the language", "another name"),
    (
        FULL,
        "  quant: {template: 7Li_wide, scans: 8}",
        "  quant: {manual: by hand, minutes: 3}",
        8,
        "quant",
        "`quant` is measured by a person",
        "",
    ),
]


@pytest.mark.parametrize(
    ("text", "old", "new", "line", "words", "message", "hint"),
    MISTAKES,
    ids=[f"{index}-{row[5][:30]}" for index, row in enumerate(MISTAKES)],
)
def test_mistake(text: str, old: str, new: str, line: int, words: str, message: str, hint: str) -> None:
    assert text.count(old) == 1
    changed = text.replace(old, new)
    if "needs the electrode's area" in message:
        changed = changed.replace("0.05 mA", "0.05 mA/cm2")
        message = "5e-05 A/cm2 needs the electrode's area"
    found = problems_of(changed)
    if not message:
        assert found == []
        return
    assert [one[:2] for one in found if one[2].startswith(message)][:1] == [(line, words)], found
    assert hint in next(one[3] for one in found if one[2].startswith(message))


def test_a_wrong_section_is_not_judged_twice() -> None:
    """One wrong letter is one problem: what cannot be read is not complained about again."""
    for old, new in (
        ("area(240..290 ppm)", "aera(240..290 ppm)"),
        ("type: full", "type: fill"),
        ("abs_I_mA", "abs_I_ma"),
        ("watch: {template", "watch: {tamplate"),
        ("Charge at", "Chrage at"),
    ):
        found = problems_of(FULL.replace(old, new, 1))
        assert 1 <= len(found) <= 2, found
        assert "named" not in str(found)


def test_the_lowest_limit_counts_from_zero_for_symmetric_windows() -> None:
    text = HALF.replace("E_V: [-0.1, 3.3]", "abs_E_V: 0.5").replace("0.005 V", "abs(E) 0.6 V")
    assert [one[1:3] for one in problems_of(text)] == [("abs(E) 0.6 V", "0.6 V lies outside the limits, -0.5 to 0.5 V")]
