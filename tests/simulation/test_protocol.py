"""Protocols on the simulated pair, in virtual time: what starts when, what waits for what, what is counted."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.sim.faults import Fault
from orchestrator.analysis.live import LiveAnalysis
from orchestrator.model.columns import unpack

Live = Callable[..., Any]

HEAD = """
version: 1
experiment: protocol
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2,
       capacity_mAh: 0.2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 32, dummies: 4}
  wide: {template: 7Li_wide, recycle_s: 4, scans: 8, dummies: 1}
"""
PLATE = "Plate working at 1 mA/cm2"


def protocol(*steps: str, more: str = "") -> str:
    return HEAD + more + "protocol:\n" + "".join(f"  - {step}\n" for step in steps)


def ends(night: Any) -> tuple[str, str, int]:
    return night.outcome.state, night.outcome.outcome, night.outcome.exit_code


def samples(night: Any) -> dict[str, np.ndarray]:
    blocks = [unpack(event.data["columns"], event.blob, event.data["n"]) for event in night.of("ec.block")]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


# ------------------------------------------------------------------------------------------------- samples and charge


def test_the_same_seed_makes_the_same_night(live: Live, repository: Path) -> None:
    demo = repository / "configs" / "experiments" / "demo.yaml"
    first, second = (live(demo, seed=3) for _ in range(2))
    assert [(e.kind, e.mono_ns, e.utc_ns, e.cause, e.data, e.blob) for e in first.journal.events] == [
        (e.kind, e.mono_ns, e.utc_ns, e.cause, e.data, e.blob) for e in second.journal.events
    ]


def test_the_demo_is_complete_and_makes_the_spectra_that_were_expected(live: Live, repository: Path) -> None:
    night = live(repository / "configs" / "experiments" / "demo.yaml")
    assert ends(night) == ("finished", "as planned", 0)
    made = Counter(event.data["name"] for event in night.of("fid.block"))
    assert sum(made.values()) == len(night.of("acquisition.verified"))
    for name, expected in night.plan.expected_spectra.items():
        assert abs(made[name] - expected) <= 0.2 * expected, (name, made[name], expected)


def test_rare_samples_neither_lengthen_a_short_step_nor_shorten_another(live: Live) -> None:
    night = live(protocol("Rest for 15 s", f"{PLATE} for 40 s", "Rest for 15 s", more="record: {every_s: 30}\n"))
    assert ends(night) == ("finished", "as planned", 0)
    assert [event.data["reason"] for event in night.of("step.ended")] == ["time"] * 3
    assert [event.data["duration_s"] for event in night.of("step.ended")] == pytest.approx([15.0, 40.0, 15.0], abs=0.1)
    assert night.of("step.ended")[1].data["charge_C"] == pytest.approx(-0.4e-3 * 40.0, rel=2e-3)
    keys = [event.data["step_key"] for event in night.of("ec.block") for _ in range(event.data["n"])]
    assert all(keys.count(event.data["key"]) >= 3 for event in night.of("step.ended"))


@pytest.mark.parametrize("every_s", [30, 600])
def test_rare_samples_do_not_lengthen_the_look_at_the_voltage_beyond_its_own_limit(live: Live, every_s: int) -> None:
    """Ten seconds at open circuit: three samples a minute apart would pass its limit of 70.2 s, and the device would end the run."""
    night = live(protocol(f"{PLATE} for 40 s", more=f"prepare: [ocv -20..20 mV]\nrecord: {{every_s: {every_s}}}\n"))
    assert ends(night) == ("finished", "as planned", 0)
    assert [event.data["duration_s"] for event in night.of("step.ended")] == pytest.approx([10.0, 40.0], abs=0.1)


def test_charge_agrees_with_the_cell_and_no_sample_is_lost(live: Live) -> None:
    night = live(protocol(f"{{step: {PLATE} until 0.05 mAh/cm2 or 20 minutes}}", "{step: Strip working at 0.5 mA/cm2 for 2 minutes}"))
    seen = samples(night)
    assert np.all(np.diff(seen["mono_ns"]) >= 0)
    assert seen["charge_net_C"][-1] == pytest.approx(night.twin.charge_C(), rel=2e-3)
    assert seen["charge_step_C"].min() == pytest.approx(-0.02 * 3.6, rel=2e-3)
    assert seen["charge_throughput_C"][-1] == pytest.approx(0.02 * 3.6 + 0.2e-3 * 120, rel=2e-3)
    assert seen["x"][-1] == pytest.approx(-seen["charge_net_C"][-1] / 0.72, rel=1e-6)
    assert len(seen["x"]) == sum(event.data["n"] for event in night.of("ec.block"))


def test_no_block_of_samples_is_longer_than_a_second_or_crosses_an_edge(live: Live) -> None:
    night = live(protocol("{step: Rest for 20 seconds}", f"{{step: {PLATE} for 20 seconds, sample_Hz: 20}}"))
    began = {event.data["key"]: event.mono_ns for event in night.of("step.started")}
    ended = {event.data["key"]: event.mono_ns for event in night.of("step.ended")}
    for event in night.of("ec.block"):
        mono_ns = unpack(event.data["columns"], event.blob, event.data["n"])["mono_ns"]
        assert mono_ns[-1] - mono_ns[0] <= 1_000_000_000
        key = event.data["step_key"]
        assert began[key] <= mono_ns[0] <= mono_ns[-1] <= ended[key]
    assert len(began) == len(ended) == 2


def test_dense_sampling_at_first_and_sparse_later(live: Live) -> None:
    night = live(protocol(f"{{step: {PLATE} for 60 seconds, sample_Hz: {{first 10 seconds: 10, then: 1}}}}"))
    mono_s = (samples(night)["mono_ns"] - night.of("step.started")[0].mono_ns) / 1e9
    assert (mono_s <= 10).sum() == pytest.approx(101, abs=2)
    assert (mono_s > 10).sum() == pytest.approx(50, abs=2)


# ------------------------------------------------------------------------------------------------------------ triggers


def test_a_trigger_while_the_console_is_busy_adds_its_reason_to_the_one_that_waits(live: Live) -> None:
    night = live(protocol(f"{{step: {PLATE} for 5 minutes, nmr: {{fast: every 10 s}}}}"))
    asked = [event for event in night.of("acquisition.requested") if not event.data.get("added")]
    added = [event for event in night.of("acquisition.requested") if event.data.get("added")]
    assert len(added) + len(asked) == 30
    assert 8 <= len(asked) <= 11
    assert {event.data["key"] for event in added} <= {event.data["key"] for event in asked}
    assert ends(night) == ("finished", "as planned", 0)


def test_queue_makes_a_record_of_each(live: Live) -> None:
    both = f"{{step: {PLATE} for 5 minutes, nmr: {{fast: [every 50 s, every 2 minutes], wide: every 100 s}}}}"
    night = live(protocol(both, more="busy: queue\n"))
    assert Counter(event.data["name"] for event in night.of("fid.block")) == {"fast": 8, "wide": 3}
    assert not [event for event in night.of("acquisition.requested") if event.data.get("added")]


def test_continuously_leaves_no_gap_but_the_consoles_own(live: Live) -> None:
    night = live(protocol(f"{{step: {PLATE} for 10 minutes, nmr: {{fast: continuously}}}}"))
    started = [event.mono_ns / 1e9 for event in night.of("acquisition.started")]
    duration = night.plan.acquisitions["fast"].duration_s
    assert np.diff(started) == pytest.approx(duration, abs=1.0)
    assert len(started) >= 600 / duration - 1


def test_an_interleave_is_a_full_round_of_its_members(live: Live) -> None:
    more = "  both: {of: {fast: 2, wide: 1}}\n"
    night = live(protocol("{step: Rest for 10 minutes, nmr: {both: at start}}", more=more))
    names = [event.data["name"] for event in night.of("acquisition.requested")]
    assert names == ["fast", "wide", "fast"]
    assert {event.data["asked_as"] for event in night.of("acquisition.requested")} == {"both"}
    assert ends(night) == ("finished", "as planned", 0)


@pytest.mark.parametrize("k", [1, 3])
def test_two_rates_k_fast_metal_spectra_for_each_quantitative_one(live: Live, k: int) -> None:
    """Round after round, back to back: each has its own recycle delay, and the analysis keeps them apart."""
    more = f"  both: {{of: {{fast: {k}, wide: 1}}}}\n"
    night = live(protocol(f"{{step: {PLATE} for 20 minutes, nmr: {{both: continuously}}}}", more=more))
    names = [event.data["key"].partition("-")[2] for event in night.of("acquisition.started")]
    turn = ["fast", "wide", *["fast"] * (k - 1)]
    assert len(names) > 2 * len(turn)
    assert names == (turn * len(names))[: len(names)]
    analysis = LiveAnalysis()
    found = [one for event in night.journal.events for one in analysis.feed(event) if one.name == "noise_sd" and one.context]
    told = Counter(one.context["acquisition"] for one in found if one.context)
    stored = Counter(event.data["name"] for event in night.of("fid.block"))
    assert told == stored
    assert abs(stored["fast"] - k * stored["wide"]) <= k


def test_every_key_is_its_own_and_stands_in_the_vendors_data(live: Live) -> None:
    night = live(protocol(f"{{step: {PLATE} for 5 minutes, nmr: {{fast: every 1 minute, wide: at start}}}}"))
    keys = [event.data["key"] for event in night.of("acquisition.requested") if not event.data.get("added")]
    assert len(set(keys)) == len(keys)
    for event in night.of("raw.archived"):
        assert event.data["key"].encode() in (night.folder / event.data["folder"] / "parameters.json").read_bytes()


def test_raw_files_are_there_before_the_journal_names_them(live: Live) -> None:
    missing: list[str] = []

    def look(night: Any) -> None:
        def watch(event: Any) -> None:
            if event.kind == "raw.archived":
                missing.extend(f["name"] for f in event.data["files"] if not (night.folder / event.data["folder"] / f["name"]).is_file())

        night.journal.watchers.append(watch)

    night = live(protocol("{step: Rest for 2 minutes, nmr: {fast: at start}}"), before=look)
    assert night.of("raw.archived")
    assert not missing


def test_between_an_edge_and_the_consoles_start_nothing_is_waited_for(live: Live) -> None:
    """What the edge asks for was prepared before it; neither disk nor thread nor console is asked before start is called."""
    calls: list[str] = []

    def note_calls(night: Any) -> None:
        for owner, name in ((night.console, "prepare"), (night.console, "start"), (night.journal, "durable"), (night.clock, "in_thread")):
            setattr(owner, name, _noted(calls, name, getattr(owner, name)))
        put = night.potentiostat._put

        def edge(event: Any) -> None:
            if type(event).__name__ == "StepEnded":
                calls.append("edge")
            put(event)

        night.potentiostat._put = edge

    steps = [step for _ in range(6) for step in (f"{{step: {PLATE} for 1 minute, nmr: {{fast: at end}}}}", "{step: Rest for 2 minutes}")]
    night = live(protocol(*steps), before=note_calls)
    after_edges = [following for call, following in itertools.pairwise(calls) if call == "edge"]
    assert after_edges.count("start") == 6
    assert {event.data["latency_s"] for event in night.of("acquisition.started")} == {0.0}


def _noted(calls: list[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*arguments: Any, **more: Any) -> Any:
        calls.append(name)
        return function(*arguments, **more)

    return noted


# ------------------------------------------------------------------------------------------------------ what waits for what


def test_a_list_at_open_circuit_ends_when_it_is_stored(live: Live) -> None:
    plate = f"{{step: {PLATE} for 1 minute}}"
    night = live(protocol(plate, "{name: look, at: open circuit, nmr: [fast, wide, fast]}", plate))
    assert [event.data["name"] for event in night.of("acquisition.requested")] == ["fast", "wide", "fast"]
    last = night.of("acquisition.stored")[-1]
    ended = night.of("step.ended")[1]
    assert 0 <= ended.mono_ns - last.mono_ns < 1e9
    assert night.of("step.started")[1].data["mode"] == "rest"
    assert night.of("step.started")[2].mono_ns - ended.mono_ns < 1e9


def test_a_list_at_open_circuit_does_not_wait_for_ever(live: Live) -> None:
    night = live(
        protocol("{name: look, at: open circuit, nmr: [fast, wide]}", f"{{step: {PLATE} for 1 minute}}"),
        options={"console": {"faults": ["echoes_no_start"]}},
    )
    planned_s = sum(night.plan.acquisitions[name].duration_s for name in ("fast", "wide"))
    began, ended = night.of("step.started")[0], night.of("step.ended")[0]
    assert (ended.mono_ns - began.mono_ns) / 1e9 <= 1.5 * planned_s + 31
    assert night.of("step.started", mode="galvanostatic")


def test_then_is_measured_at_open_circuit_before_the_next_step(live: Live) -> None:
    night = live(protocol(f"{{step: {PLATE} for 1 minute, then: {{wide: at end}}}}", "{step: Strip working at 1 mA/cm2 for 1 minute}"))
    stored, strip = night.of("acquisition.stored")[0], night.of("step.started", verb="strip")[0]
    assert stored.mono_ns <= strip.mono_ns
    assert strip.data["gap_s"] < 1.0
    between = [event.data["mode"] for event in night.of("step.started") if event.mono_ns < strip.mono_ns]
    assert between == ["galvanostatic", "rest"]


@pytest.mark.parametrize(
    ("cell", "mode"), [("at open circuit", "rest"), ("at last voltage", "potentiostatic"), ("keep current", "galvanostatic")]
)
def test_the_electrochemistry_waits_for_nmr_where_it_is_told_to(live: Live, cell: str, mode: str) -> None:
    text = protocol(
        f"{{step: {PLATE} for 1 minute, nmr: {{wide: at end}}, wait_for_nmr: {cell}}}", "{step: Strip working at 1 mA/cm2 for 1 minute}"
    )
    night = live(text)
    acquired = night.of("acquisition.acquired", block=0)[0]
    strip, waiting = night.of("step.started", verb="strip")[0], night.of("step.started")[1]
    assert waiting.data["mode"] == mode
    assert 0 <= strip.mono_ns - acquired.mono_ns < 1e9


def test_without_being_told_to_it_never_waits(live: Live) -> None:
    night = live(protocol(f"{{step: {PLATE} for 1 minute, nmr: {{wide: at end}}}}", "{step: Strip working at 1 mA/cm2 for 1 minute}"))
    assert night.of("step.started")[1].mono_ns == night.of("step.ended")[0].mono_ns
    assert len(night.of("cell.state", cell="on")) == 1


# ------------------------------------------------------------------------------------------------- charge of other steps


def test_a_percentage_of_what_has_passed_so_far(live: Live) -> None:
    half = HEAD.replace("type: symmetric", "type: half")
    text = half + (
        "protocol:\n"
        "  - {step: Lithiate working at 1 mA/cm2 for 2 minutes}\n"
        "  - {step: Rest for 10 seconds}\n"
        "  - {step: Lithiate working at 1 mA/cm2 until 150 % of the lithiation so far or 20 minutes}\n"
    )
    night = live(text)
    charges = [abs(e.data["charge_C"]) for e in night.of("step.ended")]
    assert charges[2] == pytest.approx(0.5 * charges[0], rel=5e-3)
    assert night.of("step.ended")[2].data["reason"] == "charge"


def test_a_repeat_is_left_when_a_cycle_passes_too_little(live: Live) -> None:
    plan_of_repeat = protocol(
        "repeat: 5\n    until: strip < 50 % of cycle 1\n    steps:\n"
        f"      - {{step: {PLATE} until 0.05 mAh/cm2 or 20 minutes}}\n"
        "      - {step: Strip working at 1 mA/cm2 until 0.05 mAh/cm2 or 20 minutes}",
        "{step: Rest for 30 seconds, name: after}",
    )

    async def shorten(night: Any) -> None:
        await night.until("step.started", cycle=3, verb="strip")
        await night.clock.sleep(20)
        await night.command("skip")

    night = live(plan_of_repeat, shorten)
    assert max(event.data["cycle"] for event in night.of("step.started") if event.data["verb"] == "strip") == 3
    assert night.of("step.started", name="after")
    assert any("repeat left" in event.data["text"] for event in night.of("note"))
    assert ends(night) == ("finished", "as planned", 0)


# ---------------------------------------------------------------------------------------------------- rules and policies


SHORT_RULE = """
rules:
  - {name: hard short, when: abs(E) < 0.2 * abs(I) * R_eis, for: 3 samples, not_after_edge_s: 5, do: [DO]}
"""


def shorted(*actions: str) -> str:
    steps = (
        f"{{step: {PLATE} for 4 minutes}}",
        "{step: Strip working at 1 mA/cm2 for 3 minutes}",
        "{step: Rest for 1 minute, name: after}",
    )
    return protocol(*steps) + SHORT_RULE.replace("DO", ", ".join(actions))


def inject_short(night: Any) -> None:
    night.twin.inject(Fault("hard_short_on_reversal", 10.0, value=0.05))


def test_a_hard_short_opens_the_circuit_and_nmr_goes_on(live: Live) -> None:
    async def resume_later(night: Any) -> None:
        await night.until("rule.fired")
        await night.clock.sleep(700)
        await night.command("stop")

    night = live(shorted("open circuit", "alarm", "fast every 2 minutes"), resume_later, before=inject_short)
    fired = night.of("rule.fired")[0]
    off = next(e for e in night.of("cell.state", cell="off") if e.mono_ns >= fired.mono_ns)
    assert off.mono_ns - fired.mono_ns < 1e6
    assert night.of("run.state", to="paused")
    assert night.of("alarm.raised", id="rule-hard short", level="alarm")
    later = [e for e in night.of("acquisition.started") if e.mono_ns > fired.mono_ns]
    assert 5 <= len(later) <= 7
    assert not night.of("step.started", name="after")
    assert "short_ratio" in fired.data["values"]


def test_open_circuit_and_end_step_goes_on_with_the_next(live: Live) -> None:
    night = live(shorted("open circuit", "tag", "end step"), before=inject_short)
    strip = night.of("step.started", verb="strip")[0].data["key"]
    ended = night.of("step.ended", key=strip)[0]
    assert ended.data["reason"] == "skip"
    assert ended.data["duration_s"] < 60
    assert night.of("step.started", name="after")
    assert ends(night) == ("finished", "as planned", 0)


def test_stop_when_ends_the_step_as_planned(live: Live) -> None:
    rules = "rules:\n  - {name: turned, when: abs(E) > 0.001 V, for: 3 samples, not_after_edge_s: 30, do: [warn]}\n"
    night = live(protocol(f"{{step: {PLATE} for 4 minutes, stop_when: turned}}", "{step: Rest for 30 seconds}") + rules)
    ended = night.of("step.ended")[0]
    assert ended.data["reason"] == "skip"
    assert "turned" in ended.data["detail"]
    assert 30 <= ended.data["duration_s"] < 60
    assert ends(night) == ("finished", "as planned", 0)


def test_stop_when_belongs_to_its_step_wherever_that_stands_in_a_program(live: Live) -> None:
    rules = "rules:\n  - {name: turned, when: abs(E) > 0.001 V, for: 3 samples, not_after_edge_s: 30, do: [warn]}\n"
    rest = "{step: Rest for 30 seconds}"
    night = live(protocol(rest, f"{{step: {PLATE} for 4 minutes, stop_when: turned}}", rest) + rules)
    ended = night.of("step.ended")[1]
    assert ended.data["reason"] == "skip"
    assert "turned" in ended.data["detail"]
    assert 30 <= ended.data["duration_s"] < 60
    assert ends(night) == ("finished", "as planned", 0)


@pytest.mark.parametrize(("action", "ended"), [("stop", ("finished", "ended early", 5)), ("abort", ("aborted", "ended early", 5))])
def test_a_rule_may_end_the_run(live: Live, action: str, ended: tuple[str, str, int]) -> None:
    night = live(shorted(action), before=inject_short)
    assert ends(night) == ended
    assert not night.of("step.started", name="after")


def test_a_healthy_cell_fires_no_rule(live: Live) -> None:
    night = live(shorted("open circuit", "alarm"))
    assert not night.of("rule.fired")
    assert ends(night) == ("finished", "as planned", 0)


def test_missed_acquisitions_stop_the_run_where_that_is_the_policy(live: Live) -> None:
    text = protocol(f"{{step: {PLATE} for 10 minutes, nmr: {{fast: every 1 minute}}}}", more="missed_acquisition: stop\n")
    night = live(text, options={"console": {"faults": ["fails"]}})
    assert ends(night) == ("finished", "ended early", 5)
    assert len(night.of("acquisition.lost")) == 1


def test_missed_acquisitions_make_the_cell_wait_at_open_circuit_until_nmr_is_back(live: Live) -> None:
    async def repair(night: Any) -> None:
        night.console.inject("fails")
        await night.until("run.state", to="paused")
        await night.clock.sleep(600)
        night.console.clear("fails")

    text = protocol(
        f"{{step: {PLATE} for 10 minutes, nmr: {{fast: every 1 minute}}}}",
        more="missed_acquisition: {fast: wait at open circuit after 2 missed}\n",
    )
    night = live(text, repair)
    assert [event.data["to"] for event in night.of("run.state")][2:4] == ["paused", "running"]
    assert night.of("alarm.raised", id="missed")
    assert ends(night) == ("finished", "as planned", 3)
    parts = [event for event in night.of("step.ended") if event.data["duration_s"] == pytest.approx(600, abs=2)]
    assert parts[-1].data["reason"] == "time"


# ---------------------------------------------------------------------------------------------------------- preparation


def test_a_cell_outside_its_window_is_never_put_under_current(live: Live) -> None:
    night = live(HEAD + "prepare: [ocv 2.0..3.0 V for 20 s]\n" + f"protocol: [{{step: {PLATE} for 1 minute}}]\n")
    assert ends(night) == ("failed", "ended early", 4)
    assert "not within" in night.outcome.reason
    assert not night.of("cell.state", cell="on")


PASSED, STOPPED = ("finished", "as planned", 0), ("failed", "ended early", 4)


@pytest.mark.parametrize(
    ("pulse", "swapped", "ended"),
    [
        ("+20 uA for 30 s must raise E", False, PASSED),
        ("-20 uA for 30 s must lower E", False, PASSED),
        ("+20 uA for 30 s must raise E", True, STOPPED),
        ("-20 uA for 30 s must lower E", True, STOPPED),
    ],
)
def test_a_pulse_finds_leads_that_are_swapped(live: Live, pulse: str, swapped: bool, ended: tuple[str, str, int]) -> None:
    """A symmetric cell stands at 0 V: only a pulse tells. 20 uA for 30 s of that sign pass, no more; what it moved is told."""

    def swap(night: Any) -> None:
        if swapped:
            night.twin.inject(Fault("sense_swapped", 0.0))

    sign = 1 if pulse.startswith("+") else -1
    night = live(HEAD + f"prepare: [polarity {pulse}]\n" + f"protocol: [{{step: {PLATE} for 1 minute}}]\n", before=swap)
    assert ends(night) == ended
    first = night.of("step.started")[0]
    assert first.data["current_A"] == pytest.approx(sign * 20e-6)
    assert night.of("step.ended", key=first.data["key"])[0].data["charge_C"] == pytest.approx(sign * 600e-6, rel=0.04)
    currents = samples(night)["current_A"]
    assert np.abs(currents).max() == pytest.approx(0.4e-3 if ended == PASSED else 20e-6, rel=0.02), "no more than the pulse where it fails"
    if swapped:
        assert "swapped or open" in night.outcome.reason


@pytest.mark.parametrize(("must", "ended"), [("raise", ("finished", "as planned", 0)), ("lower", ("failed", "ended early", 4))])
def test_the_polarity_is_tried_with_a_small_current(live: Live, must: str, ended: tuple[str, str, int]) -> None:
    night = live(HEAD + f"prepare: [polarity +20 uA for 30 s must {must} E]\n" + f"protocol: [{{step: {PLATE} for 1 minute}}]\n")
    assert ends(night) == ended
    assert night.of("step.started")[-1].data["current_A"] == pytest.approx(20e-6 if must == "lower" else -0.4e-3)
