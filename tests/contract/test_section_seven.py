"""The fault scripts of potentiostats.md, section 7: the switch that each emulator has for it, and what a driver makes of it."""

from __future__ import annotations

import pytest
from potentiostat_stands import STANDS, Stands

from drivers.registry import fault_names
from drivers.testing.bench import Bench
from drivers.testing.potentiostat_contract import Befalling

SENTENCES = (
    "silent device",
    "garbage line",
    "half line then stall",
    "echo but no start",
    "error mid-step with cell left on",
    "overload",
    "reading NaN",
    "voltage jump",
    "port vanishes and returns",
    "reboot mid-step",
    "clock skew 200 ppm",
)
"""Three more are contract tests of every driver: host killed, limit met at the first sample, buffer wrap."""

SWITCHES: dict[str, tuple[str, ...]] = {
    "methodscript": (
        "silent",
        "garbage_line",
        "half_line_then_stall",
        "echo_but_no_start",
        "error_mid_step_cell_on",
        "overload",
        "reading_nan",
        "voltage_jump",
        "port_vanishes",
        "reboot_mid_step",
        "clock_skew",
    ),
    "keithley": (
        "silent",
        "garbage",
        "half_line",
        "model_fails",
        "stays_on",
        "-a source-measure unit limits instead: SOURSTAT 32, which the driver's own tests meet",
        "overflow",
        "voltage_jump",
        "port_vanishes",
        "reboot",
        "clock_skew",
    ),
    "biologic": (
        "communication_failed",
        "-a DLL's calls have no lines",
        "link_cut",
        "start_ignored",
        "stop_deaf",
        "too_hot",
        "not_a_number",
        "voltage_jump",
        "link_cut",
        "reboot",
        "clock_skew",
    ),
    "neware": (
        "silent",
        "garbage",
        "half_answer",
        "start_ignored",
        "stop_deaf",
        "protected",
        "not_a_number",
        "voltage_jump",
        "bts_gone",
        "power_lost",
        "clock_skew",
    ),
    "arbin": (
        "silent",
        "garbage",
        "half_answer",
        "start_ignored",
        "error",
        "unsafe",
        "not_a_number",
        "voltage_jump",
        "port_vanishes",
        "power_lost",
        "clock_skew",
    ),
    "zahner": (
        "silent",
        "garbage",
        "half_answer",
        "set_ignored",
        "error",
        "overload",
        "not_a_number",
        "voltage_jump",
        "port_vanishes",
        "reboot",
        "-no clock on this wire",
    ),
}
"""By driver, in the order of the sentences; ``-`` and a reason: there is none."""
CASES = [
    pytest.param(driver, fault, id=f"{driver}-{sentence}".replace(" ", "_"))
    for driver, faults in SWITCHES.items()
    for sentence, fault in zip(SENTENCES, faults, strict=True)
    if not fault.startswith("-")
]


def test_every_potentiostat_answers_every_sentence_with_a_switch_it_has() -> None:
    assert set(SWITCHES) == set(STANDS)
    for driver, faults in SWITCHES.items():
        named = {fault for fault in faults if not fault.startswith("-")}
        assert named <= fault_names("emulators", STANDS[driver].emulator)


AT_A_START = ("echo_but_no_start", "garbage_line", "half_line_then_stall")


@pytest.mark.parametrize(("driver", "fault"), CASES)
class TestEveryFault(Befalling):
    test_a_fault_before_a_start_harms_no_cell_and_hides_nothing = None

    @pytest.fixture
    def bench(self, stand: Stands, driver: str) -> Bench:
        return stand(driver)


@pytest.mark.parametrize(("driver", "fault"), [case for case in CASES if str(case.id).endswith(AT_A_START)])
class TestEveryFaultAtAStart(Befalling):
    test_a_fault_in_a_step_harms_no_cell_and_hides_nothing = None

    @pytest.fixture
    def bench(self, stand: Stands, driver: str) -> Bench:
        return stand(driver)
