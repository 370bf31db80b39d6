"""A MethodSCRIPT instrument that fails in every way its emulator knows: the end of the run, the sentence, the cell itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from orchestrator.recorder.reader import open_run

RunNight = Callable[..., Any]

OFF, UNKNOWN, UNTOUCHED = "off", "unknown", "untouched"
MIDWAY = "under_current_s=20"


@dataclass(frozen=True)
class Case:
    """``driven_s``: for so long at most may the cell stay driven after the fault; None = the wire gives no way to end it."""

    fault: str
    exit_code: int
    state: str
    cell: str
    says: tuple[str, ...]
    driven_s: float | None = 0.0


# Under current: 8 s without samples, then the deadline of make_safe; what does not answer goes on to its own end.
UNDER_CURRENT = [
    Case(f"methodscript.silent:{MIDWAY}", 4, "failed", UNKNOWN, ("no sample of s0001-c01-plate", "nothing heard"), None),
    Case(f"half_line_then_stall:{MIDWAY}", 4, "failed", UNKNOWN, ("no sample of s0001-c01-plate",), 20.0),
    Case(f"half_line_then_stall:stall_s=10,{MIDWAY}", 3, "failed", OFF, ("no sample of s0001-c01-plate",), 20.0),
    Case(f"garbage_line:times=10000,{MIDWAY}", 4, "failed", UNKNOWN, ("is not MethodSCRIPT: 'ÿ",), 20.0),
    Case(f"port_vanishes:seconds=1000,{MIDWAY}", 4, "failed", UNKNOWN, ("port closed from the other side",), None),
    Case(f"port_vanishes:seconds=3,power_lost=true,{MIDWAY}", 3, "failed", OFF, ("no sample",), 2.0),
    Case(f"port_vanishes:seconds=null,power_lost=true,{MIDWAY}", 4, "failed", UNKNOWN, ("no sample", "port closed"), 2.0),
    Case(f"reboot_mid_step:{MIDWAY}", 3, "failed", OFF, ("ended s0001-c01-plate by itself", "now runs nothing"), 2.0),
    Case(f"error_mid_step_cell_on:{MIDWAY}", 3, "failed", OFF, ("ended s0001-c01-plate by itself", "cell_off was accepted"), 3.0),
    Case(f"voltage_jump:{MIDWAY}", 4, "failed", OFF, ("limit passed: voltage (V) 4.8", "passes the limit 0.6"), 2.0),
    Case(f"reading_nan:times=null,{MIDWAY}", 4, "failed", OFF, ("no valid reading for 3 samples",), 5.0),
]
BEFORE_CURRENT = [
    Case("methodscript.silent", 3, "failed", UNTOUCHED, ("no MethodSCRIPT instrument answers",)),
    Case("wrong_instrument", 3, "failed", OFF, ("no galvanostat",)),
    Case("load_error:times=100", 4, "failed", UNKNOWN, ("was not loaded: script refused", "4001")),
    Case("echo_but_no_start:times=100", 4, "failed", UNKNOWN, ("did not begin", "its start was accepted")),
    Case("half_line_then_stall", 4, "failed", UNKNOWN, ("was not loaded",)),
    Case("limit_at_first_sample", 4, "failed", OFF, ("limit passed: voltage (V) 5.9",)),
]
# Faults that a night survives: complete, as planned.
BORNE = [
    f"garbage_line:times=5,{MIDWAY}",
    f"half_line_then_stall:stall_s=3,{MIDWAY}",
    f"port_vanishes:seconds=3,{MIDWAY}",
    f"reading_nan:{MIDWAY}",
    f"overload:{MIDWAY}",
    "echo_but_no_start",
    "load_error",
    "chunked",
    "stray_xon",
]


def sentence_is_whole(night: Any, case: Case) -> None:
    """Which instrument, what was sent, what came back, what was done, what to do."""
    assert night.reason.startswith("potentiostat: ")
    for label in ("\n  sent: ", "\n  came back: ", "\n  done: ", "\n  you can: "):
        assert night.reason.count(label) == 1, night.reason
    for text in case.says:
        assert text in night.reason


def cell_is_told(night: Any, case: Case) -> None:
    """Open circuit read back, or unknown, an alarm about it, and a guard that goes on trying."""
    assert night.summary == (case.exit_code, case.state, case.cell)
    if not night.of("cell.state", intent=None):
        assert night.of("alarm.raised", id="connect"), "nothing was touched"
        return
    last = night.of("cell.state")[-1].data
    assert (last["cell"], last["confirmed"]) == (case.cell, case.cell == OFF)
    unknown = case.cell == UNKNOWN
    assert ("its state is UNKNOWN" in night.reason) == unknown
    assert bool(night.of("alarm.raised", id="cell-unknown", level="critical")) == unknown
    assert any(line["kind"] == "guard.acting" for line in night.guard()) == unknown


@pytest.mark.parametrize("case", UNDER_CURRENT, ids=lambda case: case.fault)
def test_an_instrument_that_fails_under_current(run_night: RunNight, case: Case) -> None:
    night = run_night(case.fault)
    sentence_is_whole(night, case)
    cell_is_told(night, case)
    assert night.last_sample_s() >= night.fault_s - 2.0, "everything received before the fault is in the file"
    driven_s = night.driven_s
    if case.driven_s is None:
        assert case.cell == UNKNOWN
        assert driven_s is None or driven_s > 60.0, "nothing reached it"
    else:
        assert driven_s is not None
        assert driven_s <= case.driven_s


@pytest.mark.parametrize("case", BEFORE_CURRENT, ids=lambda case: case.fault)
def test_an_instrument_that_fails_before_current(run_night: RunNight, case: Case) -> None:
    night = run_night(case.fault)
    sentence_is_whole(night, case)
    cell_is_told(night, case)
    assert not [one for one in night.truth if one.what == "drive" and one.data["drive"] != "off"], "no current ever flowed"


@pytest.mark.parametrize("fault", BORNE)
def test_what_a_night_survives(run_night: RunNight, fault: str) -> None:
    night = run_night(fault)
    assert night.summary == (0, "finished", "off")
    assert night.ended.outcome.complete
    assert len(night.of("acquisition.verified")) == 7
    plate = night.of("step.ended", key="s0001-c01-plate")[0].data
    assert plate["reason"] == "time"
    assert plate["charge_C"] == pytest.approx(-0.12, rel=0.05)
    assert not night.of("alarm.raised", level="critical")


@pytest.mark.parametrize(("fault", "least"), [("garbage_line:times=5", 5), ("duplicate_package:times=3", 3), ("", 0)])
def test_lines_that_are_no_samples_are_told_and_counted_in_the_file(run_night: RunNight, fault: str, least: int) -> None:
    night = run_night(*([f"{fault},{MIDWAY}"] if fault else []))
    assert night.summary == (0, "finished", "off")
    alarms = night.of("alarm.raised", id="garbled")
    assert [event.data["level"] for event in alarms] == ["warn"] * bool(least)
    with open_run(night.folder) as file:
        counted = file.aux["garbled_lines"]["value"].tolist() if least else []
        assert least or "garbled_lines" not in file.aux, "an honest wire costs no row"
    assert not least or counted[-1] >= least
    assert counted == sorted(counted)


def test_an_overload_that_stays_is_told_with_its_numbers(run_night: RunNight) -> None:
    """The driver names the bit of its instrument's status; three readings in a row are an alarm, and nothing else."""
    night = run_night(f"overload:{MIDWAY}")
    fired = night.of("rule.fired", rule="overload")[0].data
    assert fired["values"]["status"] == 2
    assert fired["step_key"] == "s0001-c01-plate"
    assert night.of("alarm.raised", id="interlock-overload", level="alarm")[0].data["values"] == fired["values"]


def test_a_cable_that_is_pushed_back_in_time_costs_samples_only(run_night: RunNight) -> None:
    """Five seconds out, under current: a gap that shows, both words in the journal, and no word that is not true."""
    night = run_night(f"port_vanishes:seconds=5,{MIDWAY}")
    assert night.summary == (0, "finished", "off")
    (lost,), (restored,) = night.of("link.lost", instrument="potentiostat"), night.of("link.restored", instrument="potentiostat")
    assert 5.0 <= (restored.mono_ns - lost.mono_ns) / 1e9 <= 6.5
    (alarm,) = night.of("alarm.raised", id="potentiostat-link")
    assert "s0001-c01-plate goes on on the instrument, which ends it at its own limits" in alarm.data["text"]
    assert night.of("alarm.cleared", id="potentiostat-link")
    assert not night.of("alarm.raised", level="critical")
    with open_run(night.folder) as file:
        time_s = np.asarray(file.electrochemistry["time"])
    gaps_s = np.diff(time_s[(time_s > 35.0) & (time_s < 325.0)])
    assert gaps_s.max() == pytest.approx(6.0, abs=1.1), "what was not heard is a gap"
    assert (gaps_s > 2.0).sum() == 1


def test_a_rest_that_nobody_sees_ends_before_current_would_follow(run_night: RunNight) -> None:
    night = run_night("methodscript.silent:after_s=12", changes=[("Rest for 30 seconds, nmr: {fast: at start}}\n  - {step: Plate", PLATE)])
    assert night.summary == (4, "failed", "unknown")
    acting = next(line for line in night.guard() if line["kind"] == "guard.acting")
    rest_ends_ns = night.of("step.started")[0].mono_ns + 60_000_000_000
    assert acting["run_mono_ns"] < rest_ends_ns + 15_000_000_000
    begun = next(event for event in night.events if event.kind == "alarm.raised" and event.data["id"] == "silent")
    assert begun.mono_ns < rest_ends_ns


PLATE = "Rest for 60 seconds, nmr: {fast: at start}}\n  - {step: Plate"


def test_the_device_may_finish_its_step_where_the_experiment_says_so(run_night: RunNight) -> None:
    """`host_lost: finish step on device`: silence is borne while the device keeps to its program, then it is asked."""
    night = run_night(f"methodscript.silent:{MIDWAY}", changes=[("open circuit within 60 s", "finish step on device")])
    assert night.summary[2] == "unknown"
    assert night.of("alarm.raised", id="silent")
    assert night.driven_s == pytest.approx(280.0, abs=5.0), "the device kept to its own end of the step"


def test_a_fault_that_nobody_knows_is_refused_before_anything_starts(run_night: RunNight) -> None:
    from orchestrator.rig.faults import BadFault

    with pytest.raises(BadFault, match="did you mean `silent`"):
        run_night("slient")
    with pytest.raises(BadFault, match="has no parameter `after`"):
        run_night("methodscript.silent:after=3")
    with pytest.raises(BadFault, match="there are: methodscript, openvnmrj"):
        run_night("keithley.silent")
    with pytest.raises(BadFault, match="parameter=value"):
        run_night("silent:soon")
