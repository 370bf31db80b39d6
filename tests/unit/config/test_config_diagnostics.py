"""What a person reads when a file is wrong: everything at once, each with its place, a caret and a suggestion."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config import ConfigError, load_experiment, parse_experiment
from orchestrator.config.diagnostics import render

BAD = """\
version: 1
experiment: bad
cell: {id: LiLi-041, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.785,
       elektrode_normal_to_B0_deg: 0}
limits: {abs_E_V: 0.5, abs_I_mA: 0.5, charge_per_step_mAh: 0.85, host_lost: open circuit within 60 s}
acquisitions:
\tfast: {template: 7Li_metal}
protocol:
  - Rest for 1 hour
"""
NIGHT = """\
experiment: night
cell: {id: LiLi-041, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.785, electrode_normal_to_B0_deg: 0}
limits: {E_V: [0.5, -0.5], abs_I_mA: 0.5, charge_per_step_mAh: 0.85, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75 s, scans: 64.5, scan: 3}
protocol:
  - {step: Rest for 30 minuts, nmr: {fast: at strt}}
  - Charge at 0.5 mA/cm2 until 1 mAh/cm2
  - {step: Plate working at 1 mV until 1 mAh, nmr: {fsat: at end}}
"""
RENDERED = """\
night.yaml:3:15: the lower limit is not below the upper one
     |
   3 | limits: {E_V: [0.5, -0.5], abs_I_mA: 0.5, charge_per_step_mAh: 0.85, host_lost: open circuit within 60 s}
     |               ^ write [-0.5, 0.5]
night.yaml:5:42: expected a number
     |
   5 |   fast: {template: 7Li_metal, recycle_s: 0.75 s, scans: 64.5, scan: 3}
     |                                          ^^^^^^ the unit stands in the key: write the number alone
night.yaml:5:57: expected a whole number
     |
   5 |   fast: {template: 7Li_metal, recycle_s: 0.75 s, scans: 64.5, scan: 3}
     |                                                         ^^^^
night.yaml:5:63: unknown key `scan`
     |
   5 |   fast: {template: 7Li_metal, recycle_s: 0.75 s, scans: 64.5, scan: 3}
     |                                                               ^^^^ did you mean `scans`?
night.yaml:7:24: `minuts` is not a unit
     |
   7 |   - {step: Rest for 30 minuts, nmr: {fast: at strt}}
     |                        ^^^^^^ did you mean `minutes`?
night.yaml:7:47: `strt` is not understood here: expected `each`, `end`, `knee`, `start` or `x`
     |
   7 |   - {step: Rest for 30 minuts, nmr: {fast: at strt}}
     |                                               ^^^^ did you mean `start`?
night.yaml:8:5: `charge` has no meaning in a symmetric cell
     |
   8 |   - Charge at 0.5 mA/cm2 until 1 mAh/cm2
     |     ^^^^^^ in a symmetric cell write `Plate working at …` or `Strip working at …`
night.yaml:9:29: `1 mV` is not a current (A, mA, uA, mA/cm2, C/5)
     |
   9 |   - {step: Plate working at 1 mV until 1 mAh, nmr: {fsat: at end}}
     |                             ^^^^
8 problems; nothing was started."""


def test_every_mistake_at_once_with_caret_and_suggestion() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_experiment(NIGHT, file="night.yaml")
    assert str(caught.value) == RENDERED
    assert render(caught.value.problems) == RENDERED
    assert [problem.where.line for problem in caught.value.problems] == [3, 5, 5, 5, 7, 7, 8, 9]


def test_one_problem_is_one_problem() -> None:
    with pytest.raises(ConfigError, match=r"\n1 problem; nothing was started\.$"):
        parse_experiment(BAD.replace("\t", "  ").replace("elektrode", "electrode") + "x: 3\n")


def test_a_tab_is_shown_where_it_is() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_experiment(BAD, file="bad.yaml")
    (problem,) = caught.value.problems
    assert (problem.where.line, problem.where.column, problem.hint) == (7, 1, "YAML is indented with spaces, not tabs")


def test_the_caret_stands_under_its_word_after_a_tab() -> None:
    text = BAD.replace("\tfast: {template: 7Li_metal}", "  fast: {template:\t7Li_metal, scan: 3}")
    with pytest.raises(ConfigError) as caught:
        parse_experiment(text.replace("elektrode", "electrode"))
    line, caret = str(caught.value).splitlines()[2:4]
    shown = line[len("   7 | ") : line.index("scan")]
    assert caret[len("     | ") : caret.index("^")] == "".join("\t" if one == "\t" else " " for one in shown)
    assert caret.count("^") == len("scan")


def test_an_unknown_key_does_not_hide_what_follows() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_experiment(BAD.replace("\t", "  ").replace("Rest for 1 hour", "Charge at 1 mA until 0.4 V"))
    messages = [problem.message for problem in caught.value.problems]
    assert messages == [
        "unknown key `elektrode_normal_to_B0_deg`",
        "`charge` has no meaning in a symmetric cell",
        "1 mA is more than the limit of 0.5 mA",
    ]


def test_a_missing_file_is_named_and_one_like_it(tmp_path: Path) -> None:
    (tmp_path / "night.yaml").write_text(NIGHT)
    with pytest.raises(ConfigError) as caught:
        load_experiment(tmp_path / "nihgt.yaml")
    (problem,) = caught.value.problems
    assert (problem.message, problem.hint) == ("no such file", "did you mean `night.yaml`?")
    assert str(caught.value).startswith(f"{tmp_path / 'nihgt.yaml'}: no such file")


def test_files_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("experiment: \xe9t\xe9\n".encode("latin-1"))
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_experiment(path)
    with pytest.raises(ConfigError, match=r"cannot be read|no such file"):
        load_experiment(tmp_path)
    path.write_text("")
    with pytest.raises(ConfigError, match="the file is empty"):
        load_experiment(path)


def test_a_file_that_nobody_wrote_by_hand_is_not_read(tmp_path: Path) -> None:
    """Reading 10 MB as YAML takes minutes, in which nobody learns that it was the wrong file."""
    path = tmp_path / "large.yaml"
    path.write_text("version: 1\n" + "".join(f"key{number}: some text\n" for number in range(600_000)))
    with pytest.raises(ConfigError, match=r"large.yaml: 12\.\d MB is too large\n.*at most 256 kB"):
        load_experiment(path)


def test_a_list_is_no_experiment() -> None:
    with pytest.raises(ConfigError, match="expected a table"):
        parse_experiment("- Rest for 1 hour\n")


def test_missing_keys_say_what_they_are_for() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_experiment("experiment: a\nprotocol: [Rest for 1 hour]\ncell: {id: a, type: half}\n")
    found = {problem.message: problem.hint for problem in caught.value.problems}
    assert found == {
        "`limits` is missing": "what no step may pass; without limits nothing starts",
        "`working` is missing": "positive current is oxidation at this electrode; of a sample, what holds it",
    }
