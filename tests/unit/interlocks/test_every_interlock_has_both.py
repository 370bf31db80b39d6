"""Every interlock of the table has, by name, a test in which it must fire and one honest cell on which it must not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from orchestrator.model.interlocks import TABLE

REPOSITORY = Path(__file__).parents[3]
FILES = (
    "tests/simulation/test_cut_off_and_unreadable.py",
    "tests/simulation/test_disk.py",
    "tests/simulation/test_interlocks_on_the_console.py",
    "tests/simulation/test_interlocks_on_the_twin.py",
    "tests/unit/interlocks/test_interlock_events.py",
    "tests/unit/interlocks/test_interlock_samples.py",
)
BOTH: dict[str, tuple[str, str]] = {
    "step cut-off": (
        "test_the_host_ends_a_step_that_the_instrument_would_not",
        "test_a_step_that_never_comes_to_its_other_ends_has_its_full_time",
    ),
    "safety limits": (
        "test_a_limit_that_is_passed_is_recorded_with_its_numbers",
        "test_the_same_night_without_a_short_is_quiet",
    ),
    "unreadable samples": (
        "test_three_samples_that_are_no_number_open_the_circuit",
        "test_two_samples_that_are_no_number_are_honest",
    ),
    "stale samples": (
        "test_samples_that_are_always_late_open_the_circuit",
        "test_samples_that_are_a_second_late_are_honest",
    ),
    "open lead": (
        "test_a_current_that_does_not_flow_is_an_open_lead",
        "test_a_held_voltage_whose_current_dies_away_is_no_open_lead",
    ),
    "lost reference": (
        "test_a_reference_that_lets_go_is_seen_after_three_seconds",
        "test_a_lead_that_is_touched_for_two_seconds_is_honest",
    ),
    "hard short": (
        "test_a_filament_in_sodium_alumina_is_a_hard_short",
        "test_graphite_that_crosses_zero_is_honest",
    ),
    "overload": (
        "test_the_bits_that_the_instrument_names_are_an_overload_after_three",
        "test_other_bits_and_a_moment_of_changing_range_are_honest",
    ),
    "hardware fence": (
        "test_the_fence_is_tripped_where_open_circuit_cannot_be_read_back",
        "test_the_fence_is_left_alone_where_the_potentiostat_obeys",
    ),
    "temperature": ("test_three_readings_above_the_limit_fire_once", "test_a_cell_at_its_temperature_is_honest"),
    "temperature sensor": (
        "test_a_sensor_that_was_pulled_out_is_no_hot_cell",
        "test_a_cell_at_its_temperature_is_honest",
    ),
    "clock step": (
        "test_a_clock_that_is_set_by_an_hour_is_told_once_and_ends_nothing",
        "test_a_clock_that_is_set_by_half_a_second_is_honest",
    ),
    "tuner stall": ("test_three_stalls_in_a_row_are_told_once", "test_single_stalls_of_a_whole_run_are_honest"),
    "acquisition overdue": (
        "test_an_acquisition_that_never_ends_is_overdue_and_halted",
        "test_acquisitions_in_their_time_are_honest",
    ),
    "amplifier trip": (
        "test_an_amplifier_that_trips_ends_nmr_and_not_the_cell",
        "test_fresh_copper_with_an_empty_metal_window_is_honest",
    ),
    "receiver overflow": (
        "test_a_fid_at_the_converters_limit_overflows",
        "test_loud_faint_and_empty_fids_are_honest",
    ),
    "disk": ("test_the_ballast_then_open_circuit_with_a_last_record", "test_a_nearly_full_disk_is_a_warning_that_goes"),
}
ASKED_FOR = (
    "test_hard_carbon_sodiated_and_held_at_5_mV_is_honest",
    "test_graphite_that_crosses_zero_is_honest",
    "test_fresh_copper_with_an_empty_metal_window_is_honest",
)
"""The three honest cells that stand in the issue."""


def test_none_of_the_table_is_missing_and_none_is_left_over() -> None:
    assert sorted(BOTH) == sorted(one.name for one in TABLE)


@pytest.fixture(scope="module")
def functions() -> dict[str, ast.FunctionDef]:
    """Every test of these files by its name."""
    trees = [ast.parse((REPOSITORY / path).read_text("utf-8")) for path in FILES]
    return {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", sorted({name for both in BOTH.values() for name in both} | set(ASKED_FOR)))
def test_it_is_there_and_is_always_run(functions: dict[str, ast.FunctionDef], name: str) -> None:
    marks = " ".join(ast.unparse(mark) for mark in functions[name].decorator_list)
    assert not any(word in marks for word in ("skip", "xfail", "mark.soak", "real_data")), "a test that does not run catches nothing"
    assert any(isinstance(node, ast.Assert) for node in ast.walk(functions[name])), "a test that asserts nothing catches nothing"
