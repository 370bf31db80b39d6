"""A console that fails in every way its emulator knows: the cell never notices, each record has an end and a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

RunNight = Callable[..., Any]

ALL = 7
MIDWAY = "under_current_s=45"


@dataclass(frozen=True)
class Case:
    """``verified``: how many of the seven spectra arrive (at least); ``why``: stands in the reason of one that does not."""

    fault: str
    verified: int
    why: str
    alarm: str = ""


BEFORE_THE_RUN = {
    "openvnmrj.silent": ("no answer", "is VnmrJ busy, or a dialog open?"),
    "talk_missing": ("no usable", "type `listenon` in VnmrJ"),
    "refused_port": ("nothing listens at 127.0.0.1", "start the instrument's program first"),
    "dead_listener_freeze": ("no answer", "can it reach our listener?"),
}
DURING_THE_RUN = [
    Case(f"openvnmrj.silent:{MIDWAY}", 2, "does not answer", "nmr-silent"),
    Case("talk_missing:under_current_s=5", 2, "no usable", "nmr-silent"),
    Case("acquisition_error", 6, "the console reports 15: hard error"),
    Case("acquisition_error:times=100", 0, "the console reports 15: hard error", "nmr-silent"),
    Case("wrong_nucleus", 0, "the transmitter stays at", "nmr-silent"),
    Case("svf_fails", 6, "has saved no complete files"),
    Case("svf_fails:times=100", 0, "has saved no complete files", "nmr-silent"),
    Case("disk_full", 6, "has saved no complete files"),
]
BORNE = ["stale_pid", "curpar_stale", "clock_off", "background_processing", "foreground_busy:after_s=40", "wexp_stale:after_s=60"]


def the_cell_never_noticed(night: Any) -> None:
    """Every step ended by its own time and charge, at open circuit in the end; nothing critical."""
    steps = [event.data for event in night.of("step.ended") if not event.data["key"].endswith(".end")]
    assert [data["reason"] for data in steps] == ["time", "time", "time"]
    assert night.of("step.ended")[1].data["charge_C"] == pytest.approx(-0.12, rel=1e-3)
    assert night.of("cell.state")[-1].data["confirmed"]
    assert not night.of("alarm.raised", level="critical")
    assert not night.guard() or all(line["kind"] != "guard.acting" for line in night.guard())


@pytest.mark.parametrize("fault", BEFORE_THE_RUN)
def test_a_console_that_is_not_there_is_told_before_anything_starts(run_night: RunNight, fault: str) -> None:
    night = run_night(fault)
    assert night.summary == (3, "failed", "untouched")
    assert night.reason.startswith("console: the console cannot be reached")
    for text in (*BEFORE_THE_RUN[fault], "\n  sent: ", "\n  came back: ", "\n  done: nothing was started", "\n  you can: "):
        assert text in night.reason
    assert not night.of("step.started")
    assert not [one for one in night.truth if one.what == "drive"], "nothing was touched"


@pytest.mark.parametrize("case", DURING_THE_RUN, ids=lambda case: case.fault)
def test_a_console_that_fails_costs_spectra_and_nothing_else(run_night: RunNight, case: Case) -> None:
    night = run_night(case.fault)
    assert night.summary == (3, "finished", "off")
    assert not night.ended.outcome.complete
    the_cell_never_noticed(night)
    unhappy = [event for kind in ("missed", "rejected", "lost") for event in night.of(f"acquisition.{kind}")]
    assert len(night.of("acquisition.verified")) >= case.verified
    asked = len(unhappy) + len(night.of("acquisition.verified"))
    assert asked == ALL or (asked < ALL and case.alarm), "what waits for a lost console is coalesced"
    assert f"console: {len(unhappy)} of {asked} acquisitions are not verified" in night.reason
    for label in ("\n  sent: a0", "\n  came back: ", "\n  done: the electrochemistry went on", "\n  you can: "):
        assert label in night.reason
    assert any(case.why in event.data["why"] for event in unhappy), [event.data["why"] for event in unhappy]
    if case.alarm:
        assert night.of("alarm.raised", id=case.alarm, level="alarm")


@pytest.mark.parametrize("fault", BORNE)
def test_what_a_night_survives(run_night: RunNight, fault: str) -> None:
    night = run_night(fault)
    assert night.summary == (0, "finished", "off")
    the_cell_never_noticed(night)
    assert len(night.of("acquisition.verified")) == ALL


@pytest.mark.parametrize("fault", [f"foreground_busy:seconds=100,{MIDWAY}", f"dead_listener_freeze:{MIDWAY}", "foreground_busy:after_s=91"])
def test_a_silence_costs_what_falls_into_it_and_no_more(run_night: RunNight, fault: str) -> None:
    night = run_night(fault)
    the_cell_never_noticed(night)
    (lost,), (restored,) = night.of("link.lost", instrument="console"), night.of("link.restored", instrument="console")
    assert lost.mono_ns < restored.mono_ns < night.of("acquisition.requested")[-1].mono_ns
    asked_ns = {event.data["key"]: event.mono_ns for event in reversed(night.of("acquisition.requested"))}
    verified = {event.data["key"] for event in night.of("acquisition.verified")}
    missed = {event.data["key"]: event.data["why"] for event in night.of("acquisition.missed")}
    assert verified | set(missed) == set(asked_ns)
    assert all(asked_ns[key] < restored.mono_ns for key in missed)
    assert all("console lost" in why or "whether it ran is not known" in why for why in missed.values()), missed
    assert not night.of("acquisition.lost"), "what never started is missed, what started is kept"


@pytest.mark.parametrize(("fault", "rig"), [("openvnmrj.tuner_hang:under_current_s=20", "sim"), ("console.tuner_hang", "memory")])
def test_a_tuner_that_hangs_is_overdue_halted_and_costs_one_spectrum(run_night: RunNight, fault: str, rig: str) -> None:
    """The pulse program waits for the tuner (domain.md 2.1): only a halt ends it, and only the host can order one."""
    night = run_night(fault, rig=rig)
    the_cell_never_noticed(night)
    (fired,) = [event.data for event in night.of("rule.fired") if event.data["rule"] == "acquisition overdue"]
    assert fired["values"]["duration_s"] == pytest.approx(1.5 * fired["values"]["planned_s"] + 60, abs=1)
    (lost,) = night.of("acquisition.lost")
    assert "halted before" in lost.data["why"]
    asked = [event.data["key"] for event in night.of("acquisition.requested")]
    later = asked[asked.index(lost.data["key"]) + 1 :]
    verified = {event.data["key"] for event in night.of("acquisition.verified")}
    assert set(later) & verified, "the console measures again"


def test_a_tuner_that_stalls_again_and_again_is_told(run_night: RunNight) -> None:
    longer = (
        "Rest for 30 seconds, nmr: {fast: at start}}\n  - {step: Plate",
        "Rest for 12 minutes, nmr: {fast: every 1 minute}}\n  - {step: Plate",
    )
    night = run_night("openvnmrj.tuner_hang:times=3,stall_s=25,after_s=400", changes=[longer])
    the_cell_never_noticed(night)
    assert [event.data["rule"] for event in night.of("rule.fired")] == ["tuner stall"]
    assert len(night.of("acquisition.lost")) == 0


def test_missed_spectra_can_make_the_cell_wait_at_open_circuit(run_night: RunNight) -> None:
    policy = "busy: coalesce\nmissed_acquisition: wait at open circuit after 1 missed\nprotocol:"
    night = run_night("svf_fails:times=2", changes=[("protocol:", policy)])
    assert night.summary == (3, "finished", "off")
    assert night.of("alarm.raised", id="missed")
    assert night.of("run.state", to="paused")
    ended = [event.data for event in night.of("step.ended") if event.data["key"] in {"s0001-c01-plate", "s0001-c01-plate.1"}]
    assert [data["over"] for data in ended] in ([True], [False, True])
    told_C = [abs(data["charge_C"]) for data in ended]
    assert told_C == sorted(told_C), "Q_step is the step's, not a part's"
    assert ended[-1]["charge_C"] == pytest.approx(-0.12, rel=0.05), "what the step was owed was passed after the wait"


@pytest.mark.parametrize(
    ("fault", "exit_code", "says"),
    [
        ("console.fails", 3, "7 of 7 acquisitions are not verified"),
        ("potentiostat.device_error:after_samples=40", 3, "ended s0001-c01-plate by itself"),
    ],
)
def test_the_pair_in_memory_takes_faults_too(run_night: RunNight, fault: str, exit_code: int, says: str) -> None:
    night = run_night(fault, rig="memory")
    assert night.ended.outcome.exit_code == exit_code
    assert says in night.reason
