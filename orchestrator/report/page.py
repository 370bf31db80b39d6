"""The page, top to bottom: verdict, what not to trust, the figure, then every table. One file, no script, no request."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.model.salt import SaltBetween, unknown
from orchestrator.report import words
from orchestrator.report.distrust import Interval, total_s
from orchestrator.report.facts import LOST, Facts, Spectrum, Step
from orchestrator.report.html import Markup, element, escaped, folded, joined, section, table
from orchestrator.report.verdict import Check, Verdict
from orchestrator.report.words import duration, number

SALT = "Current and salt"
SALT_HEADS = ("#", "step", "current / (mA/cm2)", "of the limiting current", "Sand's time", "took", "")
ABOVE = (
    "Above that the salt at the plated face is gone after Sand's time, π D (c F / (2 j t_anion))², and deposits are dendritic from "
    "then on. As if the face were flat, the current even, and the salt at rest before each step."
)

MOST_ROWS = 1000
NOTHING_ASKED = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
BESIDE = "report"
UTC = slice(0, 19)
RESTART_s = 1.0
"""A clock whose offset jumps by more has begun anew, as those do that count from the start of a program."""


def page(facts: Facts, judged: Verdict, distrust: Sequence[Interval], folder: Path, left_out: Sequence[str]) -> str:
    """The whole file. ``folder``: where the figure's files lie; ``left_out``: what its data leave out."""
    body = joined(part for each in _parts(facts, judged, distrust, folder, left_out) for part in (each, Markup("\n")))
    return document(facts.title, body)


def document(title: str, body: Markup) -> str:
    """A page that asks for nothing: style within, no script, no request."""
    css = (Path(__file__).parent / "page.css").read_text("utf-8")
    head = (
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{escaped(NOTHING_ASKED)}">'),
        element("title", f"{title}: report"),
        element("style", Markup(css)),
    )
    return f'<!doctype html>\n<html lang="en">{element("head", *head)}\n{element("body", body)}</html>\n'


def _parts(facts: Facts, judged: Verdict, distrust: Sequence[Interval], folder: Path, left_out: Sequence[str]) -> Iterator[Markup]:
    yield element("h1", facts.title)
    yield element("p", _under(facts), cls="under")
    if facts.simulated:
        recorded = f", and {facts.played_back}" if facts.played_back else ""
        yield element(
            "p", f"Simulated: the instruments of this run are emulated{recorded}. Nothing here is a measurement.", cls="simulated"
        )
    yield element("p", judged.sentence, cls=f"verdict{' complete' if judged.complete else '' if facts.over else ' open'}")
    yield element("div", table(("check", "", "found"), (_check(check) for check in judged.checks)))
    yield interval_table(distrust, facts.last_s)
    yield figure(folder, left_out)
    yield pictured(folder)
    yield _preparation(facts)
    yield _steps(facts)
    yield salt(facts)
    yield _spectra(facts)
    yield section("Relative or absolute", element("p", words.scale(facts)), charge_figure(folder))
    yield _charges(facts)
    yield section("Methods, for the supporting information", element("blockquote", words.methods(facts)), _gaps_to_fill(facts))
    yield _not_measured(facts)
    yield _alarms(facts)
    yield _people(facts)
    yield _clocks(facts)
    yield _instruments(facts)
    yield _verbatim(facts)
    yield _checksums(facts)
    yield section("How to cite", element("p", words.cite(facts)))


def _under(facts: Facts) -> str:
    until = f" to {facts.end[UTC]} UTC" if facts.end else ", still open"
    return f"Run {facts.run_id} · cell {facts.cell.get('id', '?')} · {facts.start[UTC]}{until} · {duration(facts.last_s)}"


def _check(check: Check) -> tuple[Any, ...]:
    word, cls = {True: ("yes", "good"), False: ("no", "bad"), None: ("look", "doubt")}[check.ok]
    return check.name, element("span", word, cls=cls), check.text


def _h(seconds: float) -> str:
    """Hours since the start of the run, as the figure has them."""
    return f"{seconds / 3600:.3f}" if math.isfinite(seconds) else "–"


def interval_table(distrust: Sequence[Interval], last_s: float) -> Markup:
    """What is not to be trusted, of a time that ends at ``last_s``."""
    if not distrust:
        return section(
            "Intervals not to trust", element("p", "None was found: no gap, stall, lost link, alarm, gain change or unverified spectrum.")
        )
    covered = total_s(distrust)
    whole = f" ({100 * covered / last_s:.1f} % of the run)" if last_s else ""
    told = element("p", f"{len(distrust)}, together {duration(covered)}{whole}. Grey in the figure.")
    rows = ((_h(one.start_s), _h(one.end_s), one.what, one.why) for one in distrust[:MOST_ROWS])
    return section(
        "Intervals not to trust", told, table(("from / h", "to / h", "what", "why"), rows), _more(len(distrust), "not_to_trust.csv")
    )


def _more(n: int, file: str) -> Markup:
    return element("p", f"{n - MOST_ROWS} more stand in {BESIDE}/{file}.", cls="none") if n > MOST_ROWS else Markup("")


# --------------------------------------------------------------------------------------------------------------- figure


def figure(folder: Path, left_out: Sequence[str]) -> Markup:
    """Waterfall, voltage, current, areas; ``left_out``: what its data leave out."""
    links = [element("a", name, href=f"{BESIDE}/{name}") for name in ("figure.png", "figure.svg", "figure.pdf", "redraw.py")]
    files = joined(part for link in links for part in (link, " · "))
    caption = (
        "Spectra (intensity, negative as zero; each from its start until the next, blank where one is missing), cell "
        "voltage, current and areas with standard errors on one time axis. "
    )
    told = f"{caption}{'. '.join([*left_out, ''])}Its data are the CSV files in {BESIDE}/; redraw.py draws it from them alone."
    return section(
        "Figure",
        _picture(folder / "figure.png", "Spectra, voltage, current and areas against time"),
        element("figcaption", told),
        element("p", files),
    )


PICTURED = {
    "figure_spectra": "First and last spectrum of each acquisition: before and after.",
    "figure_images": "First and last image of each acquisition (of a series, its shortest echo time), on one scale.",
    "figure_T2": "T2 of every pixel where it is determined, before and after; the isolated cluster is ringed. Below, the histograms.",
}


def pictured(folder: Path) -> Markup:
    """Spectra, images and maps of T2 of a run that took images; nothing of another."""
    drawn = [(folder / f"{name}.png", caption) for name, caption in PICTURED.items() if (folder / f"{name}.png").is_file()]
    if not drawn:
        return Markup("")
    told = f"Their data are the files that {BESIDE}/pictures.csv names; redraw_pictures.py draws them from these alone."
    parts = [part for path, caption in drawn for part in (_picture(path, caption), element("figcaption", caption))]
    return section("Before and after: spectra, images, T2", *parts, element("p", told, cls="none"))


def _picture(path: Path, alt: str) -> Markup:
    if not path.is_file():
        return element("p", "No figure: matplotlib is not installed here (extra [report]). The data and redraw.py are there.", cls="doubt")
    raw = base64.b64encode(path.read_bytes()).decode()
    return element("figure", Markup(f'<img alt="{escaped(alt)}" src="data:image/png;base64,{raw}">'))


def charge_figure(folder: Path) -> Markup:
    """Areas against net charge; nothing where there are none."""
    path = folder / "areas_against_charge.png"
    if not path.is_file():
        return Markup("")
    return joined(
        (
            _picture(path, "Areas against net charge"),
            element("figcaption", "The same areas against the net charge at the middle of each spectrum."),
        )
    )


# --------------------------------------------------------------------------------------------------------------- tables


def _preparation(facts: Facts) -> Markup:
    notes = [str(event["data"]["text"]) for event in facts.of("note") if event["data"].get("who") == "rig"]
    rows = []
    for step in facts.steps:
        if step.index < 0:
            result = "; ".join(note.removeprefix(f"{step.text}: ") for note in notes if note.startswith(f"{step.text}: "))
            rows.append(
                (
                    step.text,
                    duration(step.took_s),
                    f"{step.verified} of {step.asked}" if step.asked else "–",
                    result or step.reason or "not done",
                )
            )
    missing = facts.plan.get("not_available", ())
    told = element("p", f"Asked for, and not available in this version: {', '.join(missing)}.", cls="doubt") if missing else Markup("")
    return section("Preparation", table(("action", "took", "spectra", "result"), rows), told)


def _steps(facts: Facts) -> Markup:
    heads = ("#", "step", "from / h", "took", "planned", "mA h", "planned", "spectra", "ended by")
    return section("Steps, planned and actual", table(heads, (_step(step) for step in facts.steps if step.index >= 0)))


def salt(facts: Facts) -> Markup:
    """Steps of a planned current beside what the salt bears; of a cell whose record does not say which salt, what is missing."""
    driven = [step for step in facts.steps if step.index >= 0 and step.current_A]
    if not driven:
        return Markup("")
    between = SaltBetween.of(facts.cell)
    if between is None:
        missing = f"Sand's time is not computed: the cell record has no {' and no '.join(unknown(facts.cell))}."
        return section(SALT, element("p", missing, cls="none"))
    told = f"The salt bears {number(between.limiting_mA_per_cm2)} mA/cm2 for ever (2 D c F / (t_anion L)). {ABOVE}"
    return section(SALT, table(SALT_HEADS, (_beside_salt(step, between) for step in driven)), element("p", told, cls="none"))


def _beside_salt(step: Step, between: SaltBetween) -> tuple[Any, ...]:
    j_mA_per_cm2, lasts_s = abs(step.current_A) * 1e3 / between.area_cm2, between.lasts_s(step.current_A)
    share = f"{number(j_mA_per_cm2 / between.limiting_mA_per_cm2, 3)} times"
    lasts = "never reached" if math.isinf(lasts_s) else duration(lasts_s)
    longer = "longer than Sand's time" if step.took_s > lasts_s else ""
    return step.index, step.text, number(j_mA_per_cm2), share, lasts, duration(step.took_s), longer


def _step(step: Step) -> tuple[Any, ...]:
    spectra = f"{step.verified} of {step.asked}" if step.asked else "–"
    took, planned = duration(step.took_s), duration(step.planned_s)
    charge, expected = number(step.charge_mAh), number(step.planned_mAh)
    return step.index, step.text, _h(step.start_s), took, planned, charge, expected, spectra, step.reason or "not done"


def _spectra(facts: Facts) -> Markup:
    names = facts.area_names
    heads = (
        "key",
        "from / h",
        "took",
        "UTC",
        "scans",
        "charge / mA h",
        "E start / V",
        "E end / V",
        *names,
        "why",
        "state",
        "flags",
        "raw files",
    )
    rows = table(heads, (_spectrum(one, names) for one in facts.spectra[:MOST_ROWS]))
    told = element(
        "p", f"{len(facts.spectra)} spectra; all of them stand in ", element("a", "spectra.csv", href=f"{BESIDE}/spectra.csv"), "."
    )
    return section(
        "Spectra", told, folded("One row per spectrum", rows) if facts.spectra else rows, _more(len(facts.spectra), "spectra.csv")
    )


def _spectrum(one: Spectrum, names: Sequence[str]) -> tuple[Any, ...]:
    areas = (_area(one, name) for name in names)
    asked = f"{one.scans_done} of {one.scans_asked}"
    voltages = number(one.voltage_start_V), number(one.voltage_end_V)
    took, utc = duration(one.end_s - one.start_s), utc_text(one.start_utc_ns)
    return (
        one.key,
        _h(one.start_s),
        took,
        utc,
        asked,
        number(one.charge_mAh, 5),
        *voltages,
        *areas,
        one.reasons,
        one.state,
        one.flags,
        one.raw_folder,
    )


def _area(one: Spectrum, name: str) -> str:
    area = one.areas.get(name)
    if area is None:
        return "–"
    return number(area.value) + (f" ± {area.error:.1g}" if math.isfinite(area.error) else "")


def utc_text(utc_ns: int) -> str:
    """``2026-11-22T01:02:03``; a dash where it is not known."""
    return str(np.datetime64(utc_ns, "ns"))[UTC] if utc_ns > 0 else "–"


def _charges(facts: Facts) -> Markup:
    """Host's integral against the instrument's own count, where it counts."""
    if "charge_C" not in facts.run.aux:
        return section(
            "Charge", element("p", "The instrument does not count charge itself; all charges are the host's integral of the current.")
        )
    counted = facts.run.aux["charge_C"]
    time_s, value_mAh = counted["time"], counted["value"] / 3.6
    rows = []
    for step in facts.steps:
        inside = value_mAh[(time_s >= step.start_s) & (time_s <= step.end_s)] if math.isfinite(step.end_s) else value_mAh[:0]
        if inside.size and step.charge_mAh > 0:
            device = float(np.nanmax(np.abs(inside)))
            rows.append((step.index, number(step.charge_mAh, 6), number(device, 6), f"{100 * (device / step.charge_mAh - 1):+.3f} %"))
    heads = ("step", "step's charge / mA h", "last seen on the instrument / mA h", "difference")
    return section("Charge: record against the instrument's own count", table(heads, rows))


def _gaps_to_fill(facts: Facts) -> Markup:
    return element("p", "What stands in [brackets] the file does not know.", cls="none") if "[" in words.methods(facts) else Markup("")


def _not_measured(facts: Facts) -> Markup:
    rows = ((one.key, _h(one.time_s), one.state, one.why) for one in facts.asked if one.state in LOST)
    return section("Acquisitions that were lost, and why", table(("key", "asked at / h", "state", "why"), rows))


def _alarms(facts: Facts) -> Markup:
    cleared = _times(facts, "alarm.cleared")
    seen = _times(facts, "alarm.acknowledged")
    rows = []
    for event in facts.of("alarm.raised"):
        data = event["data"]
        until = next((time_s for time_s in cleared.get(data["id"], ()) if time_s >= event["time"]), math.nan)
        who = "yes" if any(time_s >= event["time"] for time_s in seen.get(data["id"], ())) else "no"
        rows.append((_h(event["time"]), _h(until), data["level"], data["title"], data["text"], who))
    return section("Alarms", table(("raised / h", "cleared / h", "level", "alarm", "what happened", "acknowledged"), rows))


def _times(facts: Facts, kind: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for event in facts.of(kind):
        found.setdefault(event["data"]["id"], []).append(event["time"])
    return found


def _people(facts: Facts) -> Markup:
    rows = []
    for event in facts.of("note", "command.received", "rule.fired"):
        data = event["data"]
        told = {
            "note": ("note", data.get("text")),
            "rule.fired": ("rule", f"{data.get('rule')}: {', '.join(map(str, data.get('actions', ())))}"),
        }
        what, text = told.get(event["kind"], ("command", f"{data.get('verb')} {data.get('why') or ''}"))
        rows.append((_h(event["time"]), what, data.get("who", ""), text))
    return section("Notes, commands and rules", table(("at / h", "", "who", "what"), rows))


def _clocks(facts: Facts) -> Markup:
    """Per clock: how often it was read, its offset from the run's clock and how that drifted."""
    node = facts.run.entry["clock"]
    names = node["instrument"].asstr()[()] if node["instrument"].shape[0] else np.array([])
    rows = []
    for name in sorted(set(names)):
        mine = names == name
        device, mono, half = (node[column][()][mine] for column in ("device_ns", "mono_ns", "half_width_ns"))
        if not name:
            rows.append(("this computer", mine.sum(), "is the reference", "–", f"± {half.max() / 1e6:.3g} ms"))
            continue
        offset_s = (device - mono) / 1e9
        parts = np.split(offset_s, np.flatnonzero(np.abs(np.diff(offset_s)) > RESTART_s) + 1)
        drift = number(max(float(np.ptp(part)) for part in parts) * 1e3, 3, "ms") + (
            f", {len(parts) - 1} restarts" if len(parts) > 1 else ""
        )
        rows.append((name, mine.sum(), f"{offset_s[-1]:.6f} s (last)", drift, f"± {half.max() / 1e6:.3g} ms"))
    return section("Clocks", table(("clock", "readings", "offset from the run's clock", "drift over the run", "uncertainty at most"), rows))


def _instruments(facts: Facts) -> Markup:
    keys = ("role", "id", "driver", "vendor", "model", "serial", "firmware", "address")
    rows = [tuple(str(one.get(key, "")) for key in keys) for one in facts.instruments]
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    return section("Instruments and versions", table(keys, rows), element("p", versions))


def _verbatim(facts: Facts) -> Markup:
    names = ("experiment", "rig", "cell", "twin")
    texts = [(name, facts.text(name)) for name in names]
    return section("Configuration, verbatim", *(folded(name, element("pre", words.pretty(text))) for name, text in texts if text))


def _checksums(facts: Facts) -> Markup:
    streams: Mapping[str, Any] = facts.closeout.get("streams", {})
    rows = [("run.h5 (digest)", "", words.digest(facts))] if words.digest(facts) else []
    rows += [(name, stream["count"], stream["sha256"]) for name, stream in streams.items()]
    sources = _sources(facts)
    told = element("p", "`operando verify` checks all of them, and the hash of every raw file.", cls="none")
    return section("Checksums (SHA-256)", table(("stream", "rows", "SHA-256"), [*rows, *sources]), told)


def _sources(facts: Facts) -> Iterable[tuple[str, str, str]]:
    import json

    text = facts.text("source_digests")
    return [(f"{name} file", "", value) for name, value in json.loads(text).items()] if text else []
