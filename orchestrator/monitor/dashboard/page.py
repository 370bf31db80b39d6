"""The words of the page, as HTML. Pure; everything that came from elsewhere is escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from html import escape
from typing import NamedTuple
from urllib.parse import quote

import numpy as np

from orchestrator.monitor.dashboard.fit import width_Hz
from orchestrator.monitor.dashboard.halves import C_PER_mAh, Halves
from orchestrator.monitor.dashboard.rigs import Rig, Rigs, rank
from orchestrator.monitor.dashboard.sentence import Said, clock, of_run_s, say, span, stale_since_s, volts
from orchestrator.monitor.payloads import Alarm, Event, FittedLine, Spectrum, State
from orchestrator.monitor.tiles import Row

SHOWN_ALARMS = 3
SHOWN_EVENTS = 60
QUIET = frozenset(
    {f"acquisition.{word}" for word in ("requested", "armed", "started", "acquired", "filed", "verified")}
    | {"fid.block", "raw.archived", "disk", "observable"}
)
"""Events that a person need not read one by one."""
SILENT = 3.0
NOISIER = 1.5
WEAKER = 0.7
MATCHED_dB = -10.0
"""A tenth of the power comes back: no probe is left like that."""
REFERENCE_SNR, REFLECTION = "line_snr(electrolyte)", "reflected_power"
OF_THE_CELL = frozenset({"C", "A", "V", "mAh"})
"""Units of what the cell's card shows anyway."""


class Line(NamedTuple):
    """One line of a card; ``amber``: look at it."""

    name: str
    value: str
    amber: bool = False


def overview(rigs: Rigs, halves: dict[str, Halves | None], now_s: float) -> str:
    """A card for each rig, those with something wrong first."""
    order = {"bad": 0, "stale": 1, "warn": 2, "note": 3, "fine": 4, "over": 5}
    said = [(say(rig, halves.get(rig.level), rigs.lost_s, now_s), rig) for rig in rigs.shown]
    said.sort(key=lambda one: order[one[0].tone])
    lost = "" if rigs.lost_s is None else _sentence(Said("stale", f"No broker since {clock(rigs.lost_s, 'UTC')} UTC", rigs.why))
    none = '<div class="none">No rig has shown itself on this broker yet.</div>' if not said and not lost else ""
    cards = "".join(f'<a href="rig?name={quote(rig.level)}">{_sentence(one, _card_top(rig))}</a>' for one, rig in said)
    return f'{lost}{none}<div class="rigs">{cards}</div>'


def _card_top(rig: Rig) -> str:
    experiment = rig.state.name if rig.state else ""
    progress = f"{100 * rig.state.progress:.0f} %" if rig.state else ""
    return f'<div class="rig"><span>{escape(rig.name)} · {escape(experiment)}</span><span>{progress}</span></div>'


def first_screen(rig: Rig, half: Halves | None, lost_s: float | None, now_s: float) -> str:
    """Which run, the sentence, what alarms stand."""
    said = say(rig, half, lost_s, now_s)
    return f"{_top(rig)}{_sentence(said)}{_alarms(rig.alarms, rig.state)}"


def _top(rig: Rig) -> str:
    state = rig.state
    if state is None:
        return ""
    simulated = f" · simulated{f' ×{state.speed:.3g}' if state.speed != 1.0 else ''}" if state.simulated else ""
    step = f"step {state.step_index + 1}/{state.steps}" if state.step_index is not None and state.step_index >= 0 and state.steps else ""
    names = f'<a href="./">‹ </a><b>{escape(rig.name)}</b> · {escape(state.name)}{simulated}'
    return f'<div class="top"><span>{names}</span><span>{step}</span></div>'


def _sentence(said: Said, top: str = "") -> str:
    rest = f'<span class="rest">{escape(said.rest)}</span>' if said.rest else ""
    return f'<div class="sentence {said.tone}">{top}<span class="head">{escape(said.head)}</span>{rest}</div>'


def _alarms(alarms: list[Alarm], state: State | None) -> str:
    if not alarms or state is None:
        return '<div class="none">No alarm stands.</div>' if state else ""
    shown = "".join(_alarm(one, state) for one in alarms[:SHOWN_ALARMS])
    more = f'<div class="none">and {len(alarms) - SHOWN_ALARMS} more, below</div>' if len(alarms) > SHOWN_ALARMS else ""
    return f'<div class="alarms">{shown}{more}</div>'


def _alarm(one: Alarm, state: State) -> str:
    seen = f" · seen by {escape(one.acknowledged_by or 'somebody')}" if one.acknowledged else ""
    return (
        f'<div class="alarm {tone(one.level)}{" seen" if one.acknowledged else ""}">'
        f"<b>{escape(one.title)}</b> since {clock(one.time_s, state.zone)}{seen}</div>"
    )


def tone(alarm_level: str) -> str:
    """Colour of an alarm."""
    return "bad" if rank(alarm_level) >= rank("alarm") else "warn" if rank(alarm_level) >= rank("warn") else "note"


def health(rig: Rig, half: Halves | None, lost_s: float | None, now_s: float) -> str:
    """Two cards: the cell, and apart from it the instruments."""
    state = rig.state
    if state is None:
        return ""
    stale = stale_since_s(rig, lost_s, now_s) is not None
    bar = f'<div class="bar"><div style="width:{100 * state.progress:.1f}%"></div></div>'
    cell, instruments = (_lines(lines) for lines in (_cell(rig, state, half), _instruments(rig, state, now_s)))
    faded = ' style="opacity:.5"' if stale else ""
    cards = f'<div class="card"><h2>Cell</h2>{cell}{bar}</div><div class="card"><h2>NMR</h2>{instruments}</div>'
    return f'<div class="health"{faded}>{cards}</div>'


def _lines(lines: Iterable[Line]) -> str:
    return "".join(
        f'<div class="line{" amber" if one.amber else ""}"><span>{escape(one.name)}</span><span>{escape(one.value)}</span></div>'
        for one in lines
    )


def _cell(rig: Rig, state: State, half: Halves | None) -> Iterator[Line]:
    on = "resting" if state.step_mode == "rest" else "under current"
    yield Line("state", {"on": on, "off": "open circuit"}.get(state.cell_state, "NOT KNOWN"), state.cell_state == "unknown")
    sample = rig.sample
    voltage_V = sample.voltage_V if sample else state.voltage_V
    current_A = sample.current_A if sample else state.current_A
    if voltage_V is not None:
        yield Line("voltage", volts(voltage_V), half is not None and half.expected is False)
    if sample and sample.voltage_we_V is not None:
        yield Line("working electrode", volts(sample.voltage_we_V))
    if sample and sample.voltage_ce_V is not None:
        yield Line("counter electrode", volts(sample.voltage_ce_V))
    if current_A is not None:
        yield Line("current", f"{1e3 * current_A:.3g} mA" if abs(current_A) >= 1e-5 else f"{1e6 * current_A:.2g} µA")
    if state.charge_step_C is not None:
        yield Line("this step", f"{abs(state.charge_step_C) / C_PER_mAh:.2g} mAh")
    if state.step_s is not None:
        yield Line("for", span(state.step_s))
    for sensor in [one for one in rig.sensors if one.unit not in OF_THE_CELL][:1]:
        yield Line(sensor.sensor, "?" if sensor.value is None else f"{sensor.value:.4g} {sensor.unit}", sensor.value is None)


def _instruments(rig: Rig, state: State, now_s: float) -> Iterator[Line]:
    run_s = of_run_s(rig, state, now_s)
    name = next(iter(rig.acquisitions), None)
    rows = rig.rows(name) if name else []
    yield _measured(state, run_s, [one.t_s for one in rows])
    bad = state.spectra_missed + state.spectra_rejected + state.spectra_lost
    yield Line("spectra", f"{state.spectra_stored}" + (f", {bad} not" if bad else ""), state.spectra_lost + state.spectra_rejected > 0)
    yield from _reference(rig, name or "")
    if len(rows) > 1:
        ratio = rows[-1].noise / float(np.median([one.noise for one in rows])) * _root(rows[-1].scans, rows)
        yield Line("noise", "as usual" if ratio < NOISIER else f"{ratio:.1f} × usual", ratio >= NOISIER)
    shares = (one.value for one in rig.observables.values() if one.name == REFLECTION and not one.unit)
    share = next((value for value in shares if value is not None and value > 0.0), None)
    back_dB = None if share is None else 10.0 * math.log10(share)
    yield Line("reflection", "unknown" if back_dB is None else f"{back_dB:.1f} dB", back_dB is not None and back_dB > MATCHED_dB)


def _reference(rig: Rig, acquisition: str) -> Iterator[Line]:
    """The line that nothing in the cell should change: how strong it is against this run's usual, and where."""
    levels = {one.name: level for level, one in rig.observables.items()}
    seen = rig.seen(acquisition, levels.get(REFERENCE_SNR, ""))["value"]
    spectrum = rig.spectrum(acquisition)
    if seen.size:
        ratio = float(seen[-1] / np.median(seen)) if np.median(seen) > 0 else 1.0
        yield Line("ref. line", f"S/N {seen[-1]:.0f}" + (f", {ratio:.1f} ×" if ratio < WEAKER else ""), ratio < WEAKER)
    elif spectrum is not None and spectrum.snr is not None:
        yield Line("signal/noise", f"{spectrum.snr:.0f}")
    away_ppm = next((one.value for one in rig.observables.values() if one.name.startswith("reference_shift(")), None)
    if away_ppm is not None:
        yield Line("ref. shift", f"{away_ppm:+.3f} ppm")
    elif spectrum is not None and spectrum.peak_ppm is not None:
        yield Line("strongest", f"{spectrum.peak_ppm + 0.0:.1f} ppm".replace("-0.0", "0.0"))


def _root(scans: int, rows: list[Row]) -> float:
    """Noise grows with the root of the scans that are added up."""
    return float(np.sqrt(np.median([one.scans for one in rows]) / max(1, scans)))


def _measured(state: State, run_s: float, times_s: list[float]) -> Line:
    """How long ago the last spectrum was, against how often they come."""
    if state.last_spectrum_s is None:
        return Line("last", "none yet")
    ago_s = run_s - state.last_spectrum_s
    usual_s = float(np.median(np.diff(times_s))) if len(times_s) > 2 else float("inf")
    measuring = state.acquisition_state == "acquiring" and not state.nmr_paused
    return Line("last", f"{span(ago_s)} ago", ago_s > SILENT * usual_s and not measuring)


def fit(rig: Rig, acquisition: str) -> str:
    """The fitted lines of the newest spectrum in numbers; nothing while none is fitted."""
    spectrum, lines = rig.spectrum(acquisition), rig.fitted(acquisition)
    if spectrum is None or not lines:
        return ""
    names = ("line", "ppm", "width, Hz", "phase", "area")
    head = "".join(f"<th>{name}</th>" for name in names)
    return f'<table class="fit"><tr>{head}</tr>{"".join(_fitted(one, spectrum) for one in lines)}</table>'


def _fitted(line: FittedLine, spectrum: Spectrum) -> str:
    taken_off_deg = (spectrum.ph0_deg or 0.0) + (spectrum.ph1_deg_per_ppm or 0.0) * line.shift_ppm
    phase_deg = (line.phase_deg - taken_off_deg + 180.0) % 360.0 - 180.0
    error = "" if line.amplitude_sd is None else f" ± {line.amplitude_sd:.2g}"
    shown = (line.name, f"{line.shift_ppm:.2f}", f"{width_Hz(line):.0f}", f"{phase_deg:.0f}°", f"{line.amplitude:.4g}{error}")
    return f"<tr>{''.join(f'<td>{escape(one)}</td>' for one in shown)}</tr>"


def events(rig: Rig) -> str:
    """What happened, the newest first."""
    state = rig.state
    shown = [event for event in reversed(rig.events) if event.kind not in QUIET and state and event.run_id == state.run_id][:SHOWN_EVENTS]
    if state is None or not shown:
        return '<h3>What happened</h3><div class="none">Nothing since this page\'s server began to listen; the run folder has it all.</div>'
    return f'<h3>What happened</h3><div class="events">{"".join(_event(event, state) for event in shown)}</div>'


def _event(event: Event, state: State) -> str:
    loud = {"alarm.raised": "bad", "acquisition.lost": "warn", "acquisition.rejected": "warn", "link.lost": "bad", "rule.fired": "warn"}
    return f'<div><time>{clock(event.time_s, state.zone)}</time><span class="{loud.get(event.kind, "")}">{escape(event.text)}</span></div>'
