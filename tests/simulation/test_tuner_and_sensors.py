"""Nights with a tuner and a temperature controller behind their wires, in virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wire_taps import Silence

from drivers import registry
from drivers.base import Context, Settings
from orchestrator.config import load_experiment, load_rig
from orchestrator.model.columns import unpack
from orchestrator.model.events import Event
from orchestrator.observer.analysis import Inline
from orchestrator.plan import make_plan
from orchestrator.plan.orders import Plan
from orchestrator.runner.rehearsal import rehearse

Live = Callable[..., Any]

HEAD = """
version: 1
experiment: tuned
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2,
       capacity_mAh: 0.2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 0}
  metal: {template: 23Na_mrs_1126ppm, recycle_s: 0.1, scans: 8, dummies: 0}
  ionic: {template: 23Na_0ppm, recycle_s: 0.1, scans: 8, dummies: 0}
  both: {of: [ionic, metal], retune_between: false, retune: every 2 pairs}
  two: {of: [fast, metal], retune_between: true}
"""
PRESETS = {"7Li": {"frequency_MHz": 116.64}, "23Na": {"frequency_MHz": 79.39}, "high": {"frequency_MHz": 117.0}}
VT = {"unit": "K", "query": "MEAS?", "pattern": "T1: ([+-]?[0-9.]+) K", "quantity": "temperature", "set": "SETP {value:.2f}"}
RIG = Path(__file__).parent.parent.parent / "configs" / "rigs" / "memory.yaml"


class Bench:
    """Tuner and controller with their emulators, handed to a night."""

    def __init__(self, driver: str, **vt: Any) -> None:
        self._driver_of = {"tuner": driver, "vt": "scpi"}
        self._options = {"tuner": {"presets": PRESETS}, "vt": {**VT, **vt}}
        self.tuner: Any = None
        self.vt: Any = None

    def lay(self, night: Any) -> None:
        """Put both on the night's bench."""
        network = registry.memory_network()
        for name, kind, make in (("tuner", "atm", registry.make_tuner), ("vt", "scpi", registry.make_sensor)):
            context = Context(night.clock, network, Silence())
            emulator = registry.make_emulator(Settings(name, kind, ""), context)
            setattr(self, name, emulator)
            night.further[name] = (emulator, partial(self._driver, name, kind, make, context))

    def _driver(self, name: str, kind: str, make: Any, context: Context, address: str) -> tuple[Any, Settings]:
        settings = Settings(name, self._driver_of[name], address, options=self._options[name])
        return make(settings, context), settings


@pytest.fixture
def tuned(live: Live, tmp_path: Path) -> Callable[..., Any]:
    """Live through a night on a rig with both; ``nuclei``: what the rig says of them."""

    def run(
        protocol: str,
        during: Any = None,
        *,
        nuclei: str = "{7Li: {}, 23Na: {}}",
        more: str = "",
        head: str = HEAD,
        driver: str = "atm",
        **vt: Any,
    ) -> tuple[Any, Bench]:
        text = RIG.read_text("utf-8").replace("../twins", str(RIG.parent.parent / "twins"))
        lines = [line for line in text.splitlines() if not line.strip().startswith("nuclei:")]
        lines.insert(lines.index("stations:"), "  t: {driver: atm, address: 'emulator:atm'}")
        lines.insert(lines.index("stations:"), f"  vt: {{driver: scpi, address: 'emulator:scpi', options: {json.dumps(VT | vt)}}}")
        at = next(k for k, line in enumerate(lines) if line.startswith("    console:"))
        lines[at + 1 : at + 1] = [f"    nuclei: {nuclei}", "    tuner: t", "    sensors: [vt]"]
        text = "\n".join(lines)
        rig, experiment = tmp_path / "rig.yaml", tmp_path / "experiment.yaml"
        rig.write_text(text, "utf-8")
        experiment.write_text(head + more + "protocol:\n  - " + protocol, "utf-8")
        plan = make_plan(load_experiment(experiment), load_rig(rig), station=None, booking_end_utc_ns=None, start_utc_ns=None)
        assert isinstance(plan, Plan)
        assert plan.not_available == ()
        bench = Bench(driver, **vt)
        return live(plan, during, before=bench.lay), bench

    return run


def why(night: Any) -> list[str]:
    return [event.data["why"] for event in night.of("tuned")]


def test_tuned_before_the_first_spectrum_and_each_other_preset(tuned: Callable[..., Any]) -> None:
    night, bench = tuned("{name: look, at: open circuit, nmr: [fast, fast, metal, ionic, fast]}")
    assert night.outcome.exit_code == 0
    assert why(night) == ["the first spectrum", "another preset, after `7Li`", "another preset, after `23Na`"]
    first = night.of("tuned")[0]
    assert first.data["duration_s"] == pytest.approx(14.6, abs=0.1)
    assert first.data["ok"]
    began = night.of("acquisition.started", key=first.data["key"])[0]
    assert began.mono_ns >= first.mono_ns
    reflected = night.of("observable", name="reflected_power")[0].data
    assert (reflected["unit"], reflected["key"]) == ("", first.data["key"])
    assert 10.0 * np.log10(reflected["value"]) == pytest.approx(first.data["reflection_dB"])
    assert first.data["reflection_dB"] < -20
    assert not bench.tuner.at_tuner
    assert night.of("instrument", role="tuner")


def test_every_so_many_spectra(tuned: Callable[..., Any]) -> None:
    night, bench = tuned("{name: look, at: open circuit, nmr: [fast, fast, fast, fast, fast]}", nuclei="{7Li: {retune_every: 2}}")
    assert why(night) == ["the first spectrum", "every 2 spectra", "every 2 spectra"]
    assert bench.tuner.searches == 3


def test_when_the_reflection_rises(tuned: Callable[..., Any]) -> None:
    async def drift(night: Any) -> None:
        await night.until("acquisition.verified", key="a00002-fast")
        night.further["tuner"][0].inject("detuned", by_MHz=0.5)

    night, _ = tuned("{name: look, at: open circuit, nmr: [fast, fast, fast, fast]}", drift, nuclei="{7Li: {retune_above_dB: -12}}")
    assert len(why(night)) == 2
    assert why(night)[1].startswith("the reflection has risen to -")


CHECKED = "rules: [{name: pulses, acquisition: fast, amplifier_check: reflected power only}]\n"
WATCHED = "{name: look, at: open circuit, nmr: [fast, fast, fast, fast, fast, fast, fast, fast, fast]}"


@pytest.mark.parametrize(("fault", "fires"), [("poor", ["amplifier trip"]), ("detuned", [])])
def test_what_the_probe_reflects_is_the_amplifiers_witness(tuned: Callable[..., Any], fault: str, fires: list[str]) -> None:
    """A probe that no tuning brings back is told as no pulse in the coil; one that drifts and is tuned again is not."""

    async def spoilt(night: Any) -> None:
        await night.until("acquisition.verified", key="a00006-fast")
        night.further["tuner"][0].inject(fault, **{"poor": {"depth_dB": 1.0}, "detuned": {"by_MHz": 2.0}}[fault])

    night, _ = tuned(WATCHED, spoilt, nuclei="{7Li: {retune_above_dB: -12}}", more=CHECKED)
    assert [event.data["rule"] for event in night.of("rule.fired")] == fires
    assert any(event.data["value"] > 0.3 for event in night.of("observable", name="reflected_power"))


def test_a_power_meter_is_the_amplifiers_witness(tuned: Callable[..., Any]) -> None:
    """The rig names a sensor on the amplifier's directional coupler; nothing comes back from an amplifier that sends nothing."""
    meter = {"unit": "W", "quantity": "reflected_power", "pattern": "T1: ([+-]?[0-9.]+) K", "every_s": 1.0}

    async def trip(night: Any) -> None:
        await night.until("acquisition.verified", key="a00006-fast")
        night.further["vt"][0].time_constant_s = 0.01
        night.further["vt"][0].set_point = 0.0

    night, _ = tuned(WATCHED, trip, more=CHECKED, **meter)
    assert [event.data["rule"] for event in night.of("rule.fired")] == ["amplifier trip"]
    assert night.of("rule.fired")[0].data["values"]["reflected_power"] == pytest.approx(0.0)
    metered = [event.data for event in night.of("observable", name="reflected_power") if event.data["unit"] == "W"]
    assert [one["key"] for one in metered] == [event.data["key"] for event in night.of("acquisition.verified")]


def test_an_interleave_retunes_as_it_says(tuned: Callable[..., Any]) -> None:
    night, _ = tuned("{name: look, at: open circuit, nmr: [both, both, both, both, both]}")
    assert why(night) == ["the first spectrum", "every 2 rounds", "every 2 rounds"]
    again, _ = tuned("{name: look, at: open circuit, nmr: [two, two]}", nuclei="{7Li: {tuner_preset: high}, 23Na: {tuner_preset: high}}")
    assert len(why(again)) == 4


def test_a_rule_asks_for_it(tuned: Callable[..., Any]) -> None:
    rule = "rules:\n  - {name: odd, when: E > -9 V, do: [retune]}\n"
    night, _ = tuned("{step: Rest for 5 minutes, nmr: {fast: every 1 minute}}", more=rule)
    assert "rule `odd`" in why(night)


REFLECTED = "rules: [{name: detuned, acquisition: fast, when: reflected_power > 0.2, for: 1 spectra, do: [warn, retune]}]\n"


@pytest.mark.parametrize(("by_MHz", "fires"), [(2.0, True), (0.0, False)])
def test_a_rule_looks_at_what_the_probe_reflects(tuned: Callable[..., Any], by_MHz: float, fires: bool) -> None:
    """It is asked with the spectrum's analysis; live, and rehearsed over the journal of the run."""

    async def drift(night: Any) -> None:
        analysis = Inline(night.clock, night.commands, errors.append)
        started = {"plan": night.plan.model_dump(mode="json"), "origin_mono_ns": night.clock.mono_ns()}
        begun.append(Event(1, night.clock.mono_ns(), night.clock.utc_ns(), "run.started", started))
        analysis.before(begun)
        night.journal.watchers.append(analysis.heard)
        task = asyncio.ensure_future(analysis.run())
        await night.until("acquisition.verified", key="a00003-fast")
        night.further["tuner"][0].inject("detuned", by_MHz=by_MHz)
        try:
            await task
        finally:
            task.cancel()

    errors: list[str] = []
    begun: list[Event] = []
    night, _ = tuned(WATCHED, drift, nuclei="{7Li: {retune_above_dB: -0.01}}", more=REFLECTED)
    assert errors == []
    fired = night.of("rule.fired", rule="detuned")
    assert bool(fired) == fires
    rehearsed = [one for one in rehearse([*begun, *night.journal.events], night.plan.rules) if one.rule == "detuned"]
    assert [one.spectrum_key for one in rehearsed] == [one.data["spectrum_key"] for one in fired]
    if fires:
        assert fired[0].data["values"]["reflected_power"] > 0.2
        assert fired[0].data["spectrum_key"] == "a00004-fast"
        assert any("rule `detuned`" in one for one in why(night))


def test_a_stall_is_bounded_told_and_flagged(tuned: Callable[..., Any]) -> None:
    async def stall(night: Any) -> None:
        night.further["tuner"][0].inject("stall", stall_s=200)

    night, _ = tuned("{name: look, at: open circuit, nmr: [fast, fast]}", stall)
    first = night.of("tuned")[0]
    assert not first.data["ok"]
    assert 90 <= first.data["duration_s"] <= 120
    assert night.of("acquisition.armed", key="a00001-fast")[0].data["untuned"]
    assert night.of("alarm.raised", id="tuner")
    assert night.of("alarm.raised", id="tuner-power"), "a box that is busy cannot say that its power is off"
    assert len(night.of("acquisition.verified")) == 2


def test_the_preparation_tunes_once_for_each_nucleus_and_the_first_spectrum_needs_no_other(tuned: Callable[..., Any]) -> None:
    more = "prepare: [tune]\n"
    night, bench = tuned("{name: look, at: open circuit, nmr: [metal, fast]}", more=more)
    assert night.outcome.exit_code == 0
    assert why(night) == ["the preparation", "the preparation", "another preset, after `23Na`"]
    assert [event.data["nucleus"] for event in night.of("tuned")] == ["7Li", "23Na", "7Li"]
    first = night.of("acquisition.started")[0]
    assert night.of("tuned")[1].mono_ns <= first.mono_ns < night.of("tuned")[2].mono_ns
    assert not bench.tuner.at_tuner


def test_a_nucleus_that_a_person_tunes_is_asked_for(tuned: Callable[..., Any]) -> None:
    async def person(night: Any) -> None:
        asked = await night.until("alarm.raised")
        assert asked.data["text"] == "please tune the probe to 7Li at 137 ppm"
        await night.command("acknowledge", alarm=asked.data["id"])

    of_sodium = ("  metal:", "  ionic:", "  both:", "  two:")
    head = "".join(line for line in HEAD.splitlines(keepends=True) if not line.startswith(of_sodium))
    more = "prepare: [tune at 137 ppm]\n"
    night, bench = tuned("{name: look, at: open circuit, nmr: [fast]}", person, nuclei="{7Li: {manual: true}}", more=more, head=head)
    assert night.outcome.exit_code == 0
    assert bench.tuner.searches == 0
    assert len(night.of("acquisition.verified")) == 1


def test_a_wide_line_in_steps_takes_the_probe_along(tuned: Callable[..., Any]) -> None:
    more = "  wide: {template: 7Li_vocs, recycle_s: 0.5, scans: 8, dummies: 0, carrier_ppm: [-100, 100, 300]}\n"
    night, bench = tuned("{name: look, at: open circuit, nmr: [wide]}", more=more)
    assert night.outcome.exit_code == 0
    assert [event.data["carrier_ppm"] for event in night.of("tuned")] == [-100.0, 100.0, 300.0]
    assert why(night) == ["the first spectrum", "another carrier, 100 ppm", "another carrier, 300 ppm"]
    assert bench.tuner.resonance_MHz == pytest.approx(116.64 * 1.0003, abs=1e-6)
    began = [event.mono_ns for event in night.of("acquisition.started")]
    assert all(tuning.mono_ns <= start for tuning, start in zip(night.of("tuned"), began, strict=True))


def test_a_stall_that_ends_well_is_borne_by_its_spectra_until_the_next_good_tuning(tuned: Callable[..., Any]) -> None:
    async def stall(night: Any) -> None:
        await night.until("acquisition.verified", key="a00012-fast")
        night.further["tuner"][0].inject("stall", stall_s=40)

    protocol = "{name: look, at: open circuit, nmr: [" + ", ".join(["fast"] * 18) + "]}"
    night, _ = tuned(protocol, stall, nuclei="{7Li: {retune_every: 2}}")
    stalled = [event.data["key"] for event in night.of("tuned") if event.data["stalled"]]
    assert len(stalled) == 1
    assert all(event.data["ok"] for event in night.of("tuned"))
    flagged = [event.data["key"] for event in night.of("acquisition.armed") if event.data.get("tuner_stalled")]
    assert flagged[0] == stalled[0]
    assert len(flagged) == 2, "the one after the next is tuned again"
    assert not night.of("alarm.raised", id="tuner")


def test_a_tuner_inside_the_pulse_program_is_timed_and_its_stall_is_flagged(tuned: Callable[..., Any]) -> None:
    """domain.md 2.1: a stall of 30 to 389 s in 10 of 600; its time is hidden inside the acquisition."""

    async def stalls(night: Any) -> None:
        await night.until("acquisition.verified", key="a00006-fast")
        night.console.inject("tuner_hang", stall_s=30, times=1)

    protocol = "{name: look, at: open circuit, nmr: [" + ", ".join(["fast"] * 10) + "]}"
    night, bench = tuned(protocol, stalls, driver="atmc", more="prepare: [tune]\n")
    assert night.outcome.exit_code == 0
    assert bench.tuner.searches == 0, "nobody has told it anything"
    inside = night.of("tuned")
    assert {event.data["why"] for event in inside} == {"inside the pulse program"}
    assert len(inside) == 10
    (stalled,) = [event.data for event in inside if event.data["stalled"]]
    assert stalled["duration_s"] == pytest.approx(30, abs=1)
    flagged = [event.data["key"] for event in night.of("acquisition.acquired") if event.data.get("tuner_stalled")]
    assert flagged == [stalled["key"]]


def test_a_tuner_that_never_answers_does_not_keep_the_night(tuned: Callable[..., Any]) -> None:
    async def gone(night: Any) -> None:
        await night.until("run.state", to="running")
        night.further["tuner"][0].inject("refuse", times=9)

    night, _ = tuned("{name: look, at: open circuit, nmr: [fast, fast, fast, fast]}", gone)
    assert [event.data["ok"] for event in night.of("tuned")] == [False] * 3
    assert all(event.data["untuned"] for event in night.of("acquisition.armed")[:3])
    levels = [event.data["level"] for event in night.of("alarm.raised", id="tuner")]
    assert levels == ["warn", "alarm"]
    assert night.outcome.outcome == "as planned"
    assert len(night.of("acquisition.verified")) == 4


def temperatures(night: Any) -> np.ndarray:
    blocks = [unpack(event.data["columns"], event.blob, event.data["n"]) for event in night.of("aux.block", sensor="vt")]
    return np.concatenate([block["value"] for block in blocks])


def test_a_set_point_is_waited_for_and_settles(tuned: Callable[..., Any]) -> None:
    night, bench = tuned("{set: temperature, to_K: 308.15, settle_min: 5}\n  - {step: Rest for 1 minute}")
    assert night.outcome.exit_code == 0
    rest = next(event for event in night.of("step.started") if event.data["text"].startswith("Rest"))
    assert 360 + 60 + 300 <= night.seconds(rest) <= 360 + 60 + 300 + 60
    assert bench.vt.value == pytest.approx(308.15, abs=0.5)
    seen = temperatures(night)
    assert seen[0] == pytest.approx(298.15, abs=0.1)
    assert seen[-1] == pytest.approx(308.15, abs=0.5)
    assert len(seen) == pytest.approx(night.seconds(night.journal.events[-1]) / 10, abs=3)


def test_a_set_point_that_is_refused_or_never_reached_stands_still(tuned: Callable[..., Any]) -> None:
    async def person(night: Any) -> None:
        late = await night.until("alarm.raised", id="hands")
        assert "refused by vt" in late.data["text"]
        await night.until("run.state", to="paused")
        await night.command("resume")

    night, bench = tuned("{set: temperature, to_K: 400}\n  - {step: Rest for 1 minute}", person, range=[250, 330])
    assert night.outcome.exit_code == 0
    assert bench.vt.set_point == 298.15


def test_a_sensor_that_is_unplugged_is_missing_and_the_interlock_hears_of_it(tuned: Callable[..., Any]) -> None:
    async def unplug(night: Any) -> None:
        await night.clock.sleep(60)
        night.further["vt"][0].inject("unplugged")
        missing = await night.until("alarm.raised", id="sensor-vt")
        assert missing.data["level"] == "warn"
        await night.clock.sleep(60)
        night.further["vt"][0].faults.clear("unplugged")

    night, _ = tuned("{step: Rest for 5 minutes}", unplug)
    assert temperatures(night).max() < 300
    assert night.of("alarm.cleared", id="sensor-vt")
    assert any(event.data["rule"] == "temperature sensor" for event in night.of("rule.fired"))


def test_a_temperature_above_its_limit_is_the_interlocks(tuned: Callable[..., Any]) -> None:
    async def heat(night: Any) -> None:
        await asyncio.sleep(0)
        night.further["vt"][0].restore({"set_point": 340.0, "value": 340.0})
        await night.until("rule.fired", rule="temperature")
        await night.command("stop")

    limit = "interlocks: {temperature: {above: 330 K}}\n"
    night, _ = tuned("{step: Plate working at 1 mA/cm2 for 5 minutes}", heat, more=limit)
    assert any(event.data["rule"] == "temperature" for event in night.of("rule.fired"))
