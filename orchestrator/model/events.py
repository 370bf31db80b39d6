"""What happened: the journal's events, their kinds and what stands in each (journal ``user_version`` 1).

An event is made once, by whoever saw it happen. ``mono_ns``/``utc_ns`` are when it happened on the run's clock; ``data``
is plain JSON; ``blob`` holds arrays as ``model.columns`` packs them. ``cause`` is the ``seq`` of the event that led to it.

The table ``KINDS`` says for each kind which keys its ``data`` must have; further keys are allowed and documented here:

* ``run.started`` name, run_id, experiment, rig, cell (verbatim text / dicts), plan (dict), digests, versions, revision,
  platform, seed, epoch_utc_ns, speed, zone, simulated, origin_mono_ns, station; rig_name, booking_end and faults as asked for,
  data (name of the folder that an emulated console plays back, "" = none), revision ("" where there is no checkout).
  Of a run that somebody else drives or drove also rung (0: watched only; "import": read when it was over), cannot (what this
  program cannot do, a sentence), commands (what the instruments obey: none) and watched {nmr, ec, zone, offset, …}; its plan is empty.
* ``run.state`` from, to, why; where a process begins to live the run: clock {boot_id, scaled_from_ns} (not in virtual time), and
  of a continued run also continued (how often), origin_mono_ns, gap_s, versions and revision where they have changed.
* ``run.ended`` state, outcome, reason, complete, exit_code.
* ``step.started`` key, index, cycle, text, mode, current_A, voltage_V, device_ns; trigger (hardware: the console's line; software) and
  latency_s since the start was asked for (null inside a program); ends (of the whole step, resolved), follows (so
  many steps follow in its program), adopted (true: it ran already when a continued run found it, and mono_ns follows from that).
* ``step.ended`` key, reason, detail, duration_s, charge_C, charge_complete (false: the end was not seen, and charge_C counts up
  to the last sample and at most two intervals more), device_ns; over (false: a part was cut off, the step is not over), charge_net_C,
  charge_throughput_C, x (of the run, then), charge_uncertainty_C (of charge_C: at most so much passed unseen). A step that was
  interrupted ends in parts (``KEY``, ``KEY.1`` …): duration_s and charge_C of each count those before it too.
* ``gap``: nobody heard the cell from so long before this instant up to it. step_key, seconds, charge_C (passed meanwhile, by ``how``:
  ``counted by the instrument``, ``set current``, ``open circuit``), uncertainty_C.
* ``ec.block`` step_key, cycle, index, n, columns; of a cycler's file also file and row (the number in it of the row after the
  last); half_width_ns (of mono_ns, where not 0: the largest in the block; only here and
  in no column of run.h5); blob columns: mono_ns i8, voltage_V f8, current_A f8, charge_step_C f8,
  charge_net_C f8, charge_throughput_C f8, x f8,
  status u2 (bit 15: no sample, but the edge of a gap; bit 14: had from the instrument's memory, measured while no rig lived),
  and device_ns i8, voltage_we_V f8, voltage_ce_V f8 where known.
* ``aux.block`` sensor, unit, n, columns (mono_ns i8, value f8). · ``eis`` step_key, n, columns (frequency_Hz f8, z c16).
* ``acquisition.requested`` key, name, nucleus, reasons, step_key, scans, dummies, recycle_s, planned_s, asked_as, listed,
  edge_within_s (an edge on the console's trigger input decides its start); a coalesced
  trigger is the same kind with ``added`` true and only the new reasons. · ``.armed`` key, parameters, deviations.
  ``.started`` key, block, latency_s, heard, half_width_ns. ``.acquired`` key, block, scans_done, heard, half_width_ns (heard
  false: the console did not say so, and when it happened is not known). ``.filed`` key, block, path.
  ``.stored`` key, block, fid_seq. ``.verified`` key. ``.missed/.rejected/.lost`` key, name, why, and partial,
  unwanted (by a pause or a booking), exhausted, fault (false: does not count against the missed policy).
* ``fid.block`` key, block, name, nucleus, dtype, shape, raw_dtype, spectral_width_Hz, carrier_MHz, reference_MHz, scans,
  group_delay_points, reversed_axis, gain, t_start_mono_ns, t_end_mono_ns (null: not known; where nobody heard them, or heard them late,
  by the console's stamps and the offset of its clock: then also t_half_width_ns, t_end_half_width_ns and t_from), times {stamps, zone,
  start_utc_ns, end_utc_ns, resolution_ns}, parameters, files [{name, size, sha256}], partial; blob: the FID's bytes, C order. Of what is
  no single pulse also kind, sequence, settings (the template's numbers), rows {name, values} (swept inside the block), block_value {name,
  value} (of the whole block; blocks: how many there are), row_s [[began, ended] …] (after the first row began; missing: not known),
  encodes (of an image: its rows are k-space).
* ``raw.archived`` key, block, folder, files (of what was adopted from a watched folder each also
  modified_utc_ns). · ``observable`` name, value, error, unit, key, algorithm; of R_cell
  also step_key, n (samples or frequencies), at (A or Hz) and lead_ohm. Those that somebody outside has found bear their sender as
  source; the first of a spectrum has context: acquisition, nucleus, scans, blank (1: ended before the first current), and at the middle
  of the acquisition mono_ns, t_s, charge_mAh, charge_step_mAh, throughput_mAh, x, cycle, step_key, voltage_V, current_A, where known.
  The area of a fitted line has line: phase_deg (of its FID at time zero), shift_ppm, lorentz_Hz, gauss_Hz, and their errors as …_sd_….
* ``preparation`` what (reference, pulse, gain, noise), of, key (of the acquisition it was read from), found (numbers by name), applied
  (what was set by it: nucleus and scale of its pulses, or template and gain; empty: nothing), why.
* ``label`` label, cell: what the cell is called from now on. · ``attachment`` name, folder (in the run folder), files (name, size,
  sha256; none: why says what is expected).
* ``rule.fired`` rule, actions, values, step_key; over spectra also spectrum_key; of an interlock also interlock (true), limits (its
  numbers) and where.
* ``alarm.raised`` id, level (info, warn, alarm, critical), title, text, advice, and values: the numbers that led to it, where there
  are some. ``alarm.cleared`` id. ``alarm.acknowledged`` id, who. · ``command.received`` id, verb, arguments, who, and if_state and
  why where they were given. ``.answered`` id, ok, text.
* ``note`` text, who. · ``link.lost`` instrument, why. ``link.restored`` instrument, detail. · ``instrument`` role, id, driver,
  address, vendor, model, serial, firmware, simulated, capabilities; of a console fids_recorded: its data were recorded
  before; of a potentiostat that plays a recording back ec_recorded (run.started has both).
* ``clock.sample`` instrument ("" = this computer), half_width_ns, and device_ns where an instrument has a clock.
* ``tuned`` nucleus, preset, ok, duration_s, reflection_dB (null: not known), why (it was due), detail, key ("" = of no spectrum),
  stalled (it took far longer than those before), and carrier_ppm where it was told a carrier.
* ``disk`` free_bytes, needed_bytes. · ``cell.state`` cell (on, off, unknown), confirmed, detail, intent (keys about to be started).
* ``guard.*`` what the guard said in ``guard.jsonl``, imported by ``continue``: line (its number in the file).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JOURNAL_VERSION = 1

KINDS: dict[str, frozenset[str]] = {
    "run.started": frozenset(
        {"name", "run_id", "experiment", "rig", "cell", "plan", "versions", "seed", "speed", "simulated", "origin_mono_ns"}
    ),
    "run.state": frozenset({"from", "to", "why"}),
    "run.ended": frozenset({"state", "outcome", "reason", "complete", "exit_code"}),
    "step.started": frozenset({"key", "index", "cycle", "text", "mode"}),
    "step.ended": frozenset({"key", "reason", "detail", "duration_s", "charge_C"}),
    "gap": frozenset({"step_key", "seconds", "charge_C", "uncertainty_C", "how"}),
    "ec.block": frozenset({"step_key", "cycle", "index", "n", "columns"}),
    "aux.block": frozenset({"sensor", "unit", "n", "columns"}),
    "eis": frozenset({"step_key", "n", "columns"}),
    "acquisition.requested": frozenset({"key", "name", "reasons"}),
    "acquisition.armed": frozenset({"key", "parameters", "deviations"}),
    "acquisition.started": frozenset({"key", "block", "latency_s"}),
    "acquisition.acquired": frozenset({"key", "block", "scans_done"}),
    "acquisition.filed": frozenset({"key", "block", "path"}),
    "acquisition.stored": frozenset({"key", "block", "fid_seq"}),
    "acquisition.verified": frozenset({"key"}),
    "acquisition.missed": frozenset({"key", "name", "why"}),
    "acquisition.rejected": frozenset({"key", "name", "why"}),
    "acquisition.lost": frozenset({"key", "name", "why"}),
    "fid.block": frozenset(
        {"key", "block", "name", "nucleus", "dtype", "shape", "raw_dtype", "spectral_width_Hz", "carrier_MHz", "reference_MHz", "scans"}
    ),
    "raw.archived": frozenset({"key", "block", "folder", "files"}),
    "observable": frozenset({"name", "value", "error", "unit", "key"}),
    "preparation": frozenset({"what", "of", "key", "found", "applied", "why"}),
    "label": frozenset({"label", "cell"}),
    "attachment": frozenset({"name", "folder", "files", "why"}),
    "rule.fired": frozenset({"rule", "actions", "values"}),
    "alarm.raised": frozenset({"id", "level", "title", "text"}),
    "alarm.cleared": frozenset({"id"}),
    "alarm.acknowledged": frozenset({"id", "who"}),
    "command.received": frozenset({"id", "verb", "arguments", "who"}),
    "command.answered": frozenset({"id", "ok", "text"}),
    "note": frozenset({"text", "who"}),
    "link.lost": frozenset({"instrument", "why"}),
    "link.restored": frozenset({"instrument"}),
    "instrument": frozenset({"role", "id", "driver", "vendor", "model", "simulated"}),
    "clock.sample": frozenset({"instrument", "half_width_ns"}),
    "tuned": frozenset({"nucleus", "preset", "ok", "duration_s", "why"}),
    "disk": frozenset({"free_bytes", "needed_bytes"}),
    "cell.state": frozenset({"cell", "confirmed", "detail"}),
    "guard.started": frozenset({"pid"}),
    "guard.lost": frozenset({"why"}),
    "guard.restarted": frozenset({"pid"}),
    "guard.acted": frozenset({"why", "confirmed", "detail"}),
    "guard.acting": frozenset({"why"}),
    "guard.fenced": frozenset({"detail"}),
    "guard.safe": frozenset({"confirmed", "detail"}),
    "guard.failed": frozenset(),
    "guard.stood_down": frozenset(),
    "guard.note": frozenset({"detail"}),
    "guard.finishing": frozenset({"within_s"}),
    "guard.watching": frozenset(),
    "guard.blind": frozenset({"why"}),
    "guard.heard": frozenset({"step_key"}),
    "guard.finished": frozenset({"why"}),
    "guard.relieved": frozenset({"detail"}),
    "guard.tripped": frozenset({"confirmed", "detail"}),
}

GAP_EDGE = 1 << 15
"""Bit of ``status`` in an ``ec.block``: this row is no sample, its voltage and current are NaN; nothing is known up to the next edge."""

DRAINED = 1 << 14
"""Bit of ``status`` in an ``ec.block``: measured while no rig lived, and had from the instrument's memory afterwards."""

PROMPT = "prompt-"
"""So the id of an alarm begins that asks a person to do something: who acknowledges it says that it is done."""

ALARM_LEVELS = ("info", "warn", "alarm", "critical")


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One record of the journal. ``seq`` 0 = not yet numbered."""

    seq: int
    mono_ns: int
    utc_ns: int
    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    blob: bytes | None = None
    source: str = "rig"
    cause: int | None = None
    v: int = JOURNAL_VERSION


def complaints(kind: str, data: dict[str, Any]) -> tuple[str, ...]:
    """What is wrong with an event's shape: an unknown kind, or keys that are missing."""
    required = KINDS.get(kind)
    if required is None:
        return (f"unknown kind {kind!r}",)
    if required <= data.keys():
        return ()
    return tuple(f"{kind}: missing {name!r}" for name in sorted(required - data.keys()))


def alarm_line(alarm: Mapping[str, Any]) -> str:
    """``warn [id] title: what happened; what a person can do``. Of a longer text the first line: the run's end tells the rest."""
    happened, advice = str(alarm["text"]).partition("\n")[0], alarm.get("advice", "")
    return f"{alarm['level']} [{alarm['id']}] {alarm['title']}: {happened}" + (f"; {advice}" if advice else "")
