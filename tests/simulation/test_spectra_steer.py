"""Spectra that steer: the twin's soft short is seen by dA/dQ while the voltage still looks well, and an honest cell is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from drivers.clock import Clock
from drivers.sim.faults import Fault
from orchestrator.config import parse_experiment
from orchestrator.model.events import Event
from orchestrator.observer.analysis import Inline, LATENCY_s, announce
from orchestrator.runner.closing import ANALYSIS_WITHIN_S
from orchestrator.runner.rehearsal import rehearse

Live = Callable[..., Any]

NIGHT = """
version: 1
experiment: soft-short
cell: {{id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2,
       capacity_mAh: 12}}
limits: {{abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 3, host_lost: open circuit within 60 s}}
prepare: [blank]
acquisitions:
  fast: {{template: 7Li_metal, recycle_s: 0.75, scans: 64, dummies: 4}}
protocol:
  - {{step: Rest for 5 minutes, nmr: {{fast: at start}}}}
  - {{step: Plate working at 1 mA/cm2 until {hours} hours, nmr: {{fast: every 4 minutes}}, stop_when: soft short}}
rules:
  - name: soft short
    when: {{observable: area(moss), slope: below, reference: {{of: mean, factor: 0.7, over: {{x: [0.03, 0.07]}}}}}}
    confidence: 2 SE
    for: 2 spectra
    do: [warn, mark x and E at the first of the two]
  - {{name: drowned, when: area(240..290 ppm) > blank + 5 sd, for: 3 spectra, do: [info]}}
record: {{every_s: 10}}
at_end: {{cell: open circuit}}
"""


STRIPPED = """  - {step: Strip working at 1 mA/cm2 until 10 minutes}
rules: []
interlocks: {hard short: off}
record:"""


def without_rules(text: str) -> str:
    """The night with nothing that ends its plating, and a reversal after it."""
    head, _, tail = text.replace(", stop_when: soft short", "").partition("rules:")
    return head + STRIPPED + tail.partition("record:")[2]


def analysed(
    live: Live,
    *,
    hours: float,
    short_at_s: float | None = None,
    seed: int = 1,
    rules: bool = True,
    befall: Callable[[Any], None] | None = None,
) -> Any:
    made: list[Inline] = []
    errors: list[str] = []

    def before(night: Any) -> None:
        made.append(Inline(night.clock, night.commands, errors.append))
        started = {"plan": night.plan.model_dump(mode="json"), "origin_mono_ns": night.clock.mono_ns()}
        made[0].before([Event(1, night.clock.mono_ns(), night.clock.utc_ns(), "run.started", started)])
        night.journal.watchers.append(made[0].heard)
        if short_at_s is not None:
            night.twin.inject(Fault("soft_short", short_at_s))
        if befall is not None:
            befall(night)

    async def during(_: Any) -> None:
        await made[0].run()

    text = NIGHT.format(hours=hours)
    night = live(text if rules else without_rules(text), during, before=before, seed=seed)
    assert errors == []
    return night


REHEARSED = """
rules:
  - {name: plating onset, when: area(240..290 ppm) > blank + 5 sd, for: 3 spectra, do: [end step]}
  - name: soft short
    when: {observable: area(moss), slope: below, reference: {of: mean, factor: 0.7, over: {x: [0.03, 0.07]}}}
    confidence: 2 SE
    for: 2 spectra
    do: [warn]
  - {name: hard short, when: abs(E) < 0.2 * abs(I) * R_eis, for: 3 samples, not_after_edge_s: 5, do: [open circuit, tag]}
"""


def rehearsed(night: Any) -> dict[str, Any]:
    """What these three rules would have said first of a run that had none of them: rule → firing."""
    head, _, tail = NIGHT.format(hours=1.0).replace(", stop_when: soft short", "").partition("rules:")
    wanted = parse_experiment(head + REHEARSED.lstrip() + "record:" + tail.partition("record:")[2], file="rules.yaml").rules
    started = {"plan": night.plan.model_dump(mode="json"), "origin_mono_ns": night.journal.events[0].mono_ns}
    begun = Event(1, night.journal.events[0].mono_ns, night.journal.events[0].utc_ns, "run.started", started)
    found: dict[str, Any] = {}
    for one in rehearse([begun, *night.journal.events], wanted):
        found.setdefault(one.rule, one)
    return found


def fired(night: Any, rule: str) -> list[Any]:
    return [event.data for event in night.of("rule.fired") if event.data["rule"] == rule]


def test_a_soft_short_is_seen_by_the_spectra_and_ends_the_step(live: Live) -> None:
    night = analysed(live, hours=4.5, short_at_s=2.0 * 3600)
    (short,) = fired(night, "soft short")
    values = short["values"]
    assert values["slope(moss) ratio"] + 2 * values["slope(moss) ratio SE"] < 0.7
    assert values["slope(moss) reference"] > 3 * values["slope(moss) reference SE"] > 0
    assert values["slope(moss)"] < 0.7 * values["slope(moss) reference"]
    assert abs(short["voltage_V"]) > 0.05  # no hard short: the voltage alone would not end anything
    (event,) = night.of("rule.fired", rule="soft short")
    assert 2.0 * 3600 < night.seconds(event) < 4.4 * 3600
    assert [each.data["id"] for each in night.of("alarm.raised")] == ["rule-drowned", "rule-soft short"]
    (plated,) = (each for each in night.of("step.ended") if "plate" in each.data["key"])
    assert "stop_when soft short" in plated.data["detail"]
    stored = night.of("acquisition.stored", key=short["spectrum_key"])[0]
    assert abs(event.mono_ns - stored.mono_ns - LATENCY_s * 1e9) < 0.1e9


def test_onset_soft_and_hard_short_are_rehearsed_over_one_finished_run(live: Live) -> None:
    def befall(night: Any) -> None:
        night.twin.befall("hard_short_on_reversal")

    night = analysed(live, hours=4.5, short_at_s=2.0 * 3600, rules=False, befall=befall)
    assert not {"plating onset", "soft short", "hard short"} & {event.data["rule"] for event in night.of("rule.fired")}
    found = rehearsed(night)
    assert set(found) == {"plating onset", "soft short", "hard short"}
    plate, strip = (next(each for each in night.of("step.started") if word in each.data["key"]) for word in ("plate", "strip"))
    after_s = {name: one.time_s - night.seconds(plate) for name, one in found.items()}
    assert 0 < after_s["plating onset"] < 30 * 60, "metal is plated from the first minute on"
    assert 1.8 * 3600 < after_s["soft short"] < 4.5 * 3600, "the twin's begins two hours into the run"
    assert night.seconds(strip) < found["hard short"].time_s < night.seconds(strip) + 600
    assert [found[name].actions for name in ("plating onset", "hard short")] == [("end step",), ("open circuit", "tag")]


def test_an_honest_cell_is_left_alone_and_its_numbers_are_those_of_the_twin(live: Live) -> None:
    night = analysed(live, hours=2.5)
    assert set(rehearsed(night)) == {"plating onset"}
    assert fired(night, "soft short") == []
    assert len(fired(night, "drowned")) == 1  # against the blank before the first current, metal is there at once
    slopes = [event.data for event in night.of("observable", name="slope(moss)")]
    assert len(slopes) > 25
    last = slopes[-1]
    umol_per_mAh, counts_per_umol, visible = 37.31, 50.0, 0.45
    assert abs(last["value"] / (umol_per_mAh * counts_per_umol * visible) - 1.0) < 0.1
    (plated,) = (each for each in night.of("step.ended") if "plate" in each.data["key"])
    assert plated.data["reason"] == "time"
    phase = [event.data["value"] for event in night.of("observable", name="phase(bulk)")]
    assert all(-53.0 < each < -48.0 for each in phase[5:])


def test_the_same_seed_finds_the_same(live: Live) -> None:
    first, second = ([(e.kind, e.mono_ns, e.data) for e in analysed(live, hours=0.5, seed=3).journal.events] for _ in range(2))
    assert first == second


SHORT = """
version: 1
experiment: one-spectrum
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 3, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 64, dummies: 4}
protocol:
  - Rest for 1 minute
at_end: {cell: open circuit, nmr: [fast, fast]}
"""


def last_told(night: Any) -> list[Any]:
    stored = night.of("acquisition.stored")[-1]
    return [event for event in night.of("observable", key=stored.data["key"]) if event.seq > stored.seq]


def one_spectrum(live: Live, latency_s: float) -> Any:
    made: list[Inline] = []

    def before(night: Any) -> None:
        made.append(Inline(night.clock, night.commands, lambda _: None, latency_s))
        started = {"plan": night.plan.model_dump(mode="json"), "origin_mono_ns": night.clock.mono_ns()}
        made[0].before([Event(1, night.clock.mono_ns(), night.clock.utc_ns(), "run.started", started)])
        night.journal.watchers.append(made[0].heard)
        announce(night.commands)

    async def during(_: Any) -> None:
        await made[0].run()

    return live(SHORT, during, before=before)


def test_the_run_ends_behind_what_its_last_spectrum_says(live: Live) -> None:
    night = one_spectrum(live, LATENCY_s)
    found = last_told(night)
    stored, off, ended = night.of("acquisition.stored")[-1], night.of("cell.state", cell="off")[-1], night.of("run.ended")[0]
    assert {"noise_sd", "area(bulk)"} <= {event.data["name"] for event in found}
    assert stored.seq < found[0].seq < ended.seq
    assert off.seq < found[0].seq, "nobody waits for an analysis under current"
    assert (found[0].mono_ns - stored.mono_ns) / 1e9 == LATENCY_s


def test_an_analysis_that_hangs_is_not_waited_for_long_and_one_that_is_not_there_not_at_all(live: Live) -> None:
    hangs = one_spectrum(live, 3600.0)
    assert last_told(hangs) == []
    stored, ended = hangs.of("acquisition.stored")[-1], hangs.of("run.ended")[0]
    assert ANALYSIS_WITHIN_S <= (ended.mono_ns - stored.mono_ns) / 1e9 < ANALYSIS_WITHIN_S + 5.0
    assert [event for event in hangs.of("note") if "did not tell of the last spectra" in event.data["text"]]
    assert hangs.outcome.exit_code == 0
    alone = live(SHORT)
    assert (alone.of("run.ended")[0].mono_ns - alone.of("acquisition.stored")[-1].mono_ns) / 1e9 < 1.0


async def test_what_the_analysis_fails_on_is_said_once_and_after_the_event() -> None:
    said: list[str] = []
    inline = Inline(Clock(), asyncio.Queue(), said.append)
    for seq in (1, 2):
        inline.heard(Event(seq, 0, 0, "run.started", {}))
    assert said == [], "not while the journal puts the event"
    await asyncio.sleep(0)
    assert len(said) == 1
    assert "KeyError" in said[0]
