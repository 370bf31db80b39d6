"""A run on one page that needs nothing but itself: for labs where no broker is allowed. Pure: a picture of the run in, HTML out."""

from __future__ import annotations

import html
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.model.columns import unpack
from orchestrator.model.events import ALARM_LEVELS, Event, alarm_line
from orchestrator.monitor.said import is_sent, sentence
from orchestrator.monitor.terminal import clock_text, duration_text
from orchestrator.monitor.tiles import max_hold
from orchestrator.monitor.view import View
from orchestrator.monitor.waterfall import spectrum_of
from orchestrator.recorder.runtime import iso_utc

Real = NDArray[np.float64]
MOST_POINTS = 2000
LAST_EVENTS = 12
MOST_NAMES = 8
MOST_OBSERVABLES = 40
WIDTH, HEIGHT = 760.0, 220.0
QUIET = frozenset({"observable", "raw.archived", "fid.block", "acquisition.requested", "acquisition.started", "acquisition.acquired"})


@dataclass(slots=True)
class Thinned:
    """A curve of any length in at most MOST_POINTS points: when they are too many, every second is enough."""

    spacing_s: float = 0.0
    points: list[tuple[float, float, float]] = field(default_factory=list)

    def add(self, t_s: float, voltage_V: float, current_A: float) -> None:
        """The next sample."""
        if self.points and t_s - self.points[-1][0] < self.spacing_s:
            return
        self.points.append((t_s, voltage_V, current_A))
        if len(self.points) > MOST_POINTS:
            self.points = self.points[::2]
            self.spacing_s = max(1.0, 2 * self.spacing_s)


@dataclass(slots=True)
class Page:
    """Feed it every event once, in order."""

    view: View = field(default_factory=View)
    curve: Thinned = field(default_factory=Thinned)
    newest: dict[str, Event] = field(default_factory=dict)
    observables: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    events: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=LAST_EVENTS))
    why: str = ""
    cannot: str = ""
    cell: str = "unknown"
    seq: int = 0

    def feed(self, events: Iterable[Event]) -> None:
        """Take in events."""
        for event in events:
            self.view.feed([event])
            self.seq = event.seq
            self._take(event)
            if is_sent(event) and event.kind not in QUIET:
                self.events.append((event.utc_ns, sentence(event.kind, event.data)))

    def _take(self, event: Event) -> None:
        data = event.data
        match event.kind:
            case "run.started":
                self.cannot = str(data.get("cannot") or "")
            case "run.state":
                self.why = str(data["why"])
            case "cell.state":
                self.cell = str(data["cell"])
            case "ec.block" if data["n"]:
                self._samples(event)
            case "fid.block":
                self._newest(event)
            case "observable" if len(self.observables) < MOST_OBSERVABLES or data["name"] in self.observables:
                self.observables[str(data["name"])] = data
            case _:
                pass

    def _samples(self, event: Event) -> None:
        columns = unpack(event.data["columns"], event.blob or b"", event.data["n"])
        t_s = (int(columns["mono_ns"][-1]) - self.view.origin_mono_ns) / 1e9
        self.curve.add(t_s, float(columns["voltage_V"][-1]), float(columns["current_A"][-1]))

    def _newest(self, event: Event) -> None:
        name = str(event.data["name"])
        self.newest.pop(name, None)
        self.newest[name] = event
        while len(self.newest) > MOST_NAMES:
            del self.newest[next(iter(self.newest))]

    def spectra(self) -> list[tuple[Event, Real, Real]]:
        """Of each acquisition the newest: its event, float64 (n,) shift in ppm, falling, and intensity."""
        return [(event, *spectrum_of(event)) for event in reversed(self.newest.values())]


def rendered(page: Page, *, published_utc_ns: int, every_s: float, alive: bool) -> str:
    """The whole page."""
    view = page.view
    title = f"{view.name}: {view.state if alive or view.ended else 'its program is gone'}"
    parts = [_head(page, alive=alive), _alarms(view), _curve(page.curve), *(_spectrum(*one, view) for one in page.spectra())]
    parts += [_observables(page.observables), _events(page, view)]
    foot = f"published {iso_utc(published_utc_ns)[:19]}Z, journal record {page.seq}; every {every_s:.0f} s"
    return TEMPLATE.format(
        title=html.escape(title), body="\n".join(parts), foot=html.escape(foot), published_ms=published_utc_ns // 1_000_000,
        stale_s=round(5 * every_s), refresh_s=round(every_s), over="true" if view.ended else "false",
    )  # fmt: skip


def _head(page: Page, *, alive: bool) -> str:
    view = page.view
    rows = [("state", view.state + (f" ({page.why})" if page.why and not view.ended else ""))]
    if view.ended:
        rows.append(("ended", f"{view.ended['outcome']}: {view.ended['reason']}"))
    elif not alive:
        rows.append(("program", "its process is gone without its end: go and look"))
    if page.cannot:
        rows.append(("this program", page.cannot))
    rows.append(("cell", page.cell))
    if view.steps:
        line = view.steps[-1]
        rows.append(("step", f"{line.index + 1}: {line.text}" + (f", cycle {line.cycle}" if line.cycle else "")))
    if view.voltage_V is not None and view.current_A is not None:
        rows.append(("E, I", f"{_number(view.voltage_V)} V, {_number(view.current_A * 1e3)} mA"))
    if view.we_V is not None and view.ce_V is not None:
        rows.append(("E_we, E_ce", f"{_number(view.we_V)} V, {_number(view.ce_V)} V"))
    counts = ", ".join(f"{count} {word}" for word, count in view.counts.items() if count or word == "stored")
    rows += [("spectra", counts), ("since the start", duration_text(view.elapsed_s))]
    if view.expected_s and not view.ended:
        rows.append(("ends about", clock_text(view.expected_end_utc_ns, view.zone)))
    mark = '<b class="simulated">simulated</b>' if view.simulated else ""
    return f"<h1>{html.escape(view.name)} {mark}</h1><table>{_table(rows)}</table>"


def _number(value: float) -> str:
    return "not said" if value != value else f"{value:+.5g}"  # noqa: PLR0124 - NaN


def _table(rows: Iterable[Sequence[str]]) -> str:
    return "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)


def _alarms(view: View) -> str:
    alarms = sorted(view.alarms.values(), key=lambda alarm: -ALARM_LEVELS.index(alarm["level"]))
    return "".join(f'<p class="said {alarm["level"]}">{html.escape(alarm_line(alarm))}</p>' for alarm in alarms)


def _curve(curve: Thinned) -> str:
    points = np.array([point for point in curve.points if point[1] == point[1]])
    if len(points) < 2:
        return "<p>no samples yet</p>"
    hours = points[:, 0] / 3600
    return _plot("cell voltage / V", hours, points[:, 1], f"{max(0.0, float(hours[0])):.2f} h", f"{hours[-1]:.2f} h")


def _spectrum(event: Event, shift_ppm: Real, intensity: Real, view: View) -> str:
    age_s = (view.now_mono_ns - event.mono_ns) / 1e9
    data = event.data
    title = f"{data['name']}: {data['nucleus']}, {data['scans']} scans, {duration_text(age_s)} before the last event"
    held = max_hold(intensity, min(intensity.size, 1024)).astype(np.float64)
    left, right = (f"{round(float(edge))} ppm" for edge in (shift_ppm[0], shift_ppm[-1]))
    return _plot(title, np.arange(held.size, dtype=np.float64), held, left, right)


def _plot(title: str, x: Real, y: Real, left: str, right: str) -> str:
    """One curve as SVG, with its lowest and highest value and both ends of its axis."""
    low, high = float(np.min(y)), float(np.max(y))
    across = WIDTH / max(float(np.ptp(x)), 1e-12)
    down = HEIGHT / max(high - low, 1e-12)
    points = " ".join(f"{(a - x[0]) * across:.1f},{(high - b) * down:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    labels = f"<figcaption>{html.escape(title)} <span>{low:.4g} … {high:.4g}</span></figcaption>"
    axis = f'<div class="axis"><span>{html.escape(left)}</span><span>{html.escape(right)}</span></div>'
    box = f'viewBox="0 -4 {WIDTH:.0f} {HEIGHT + 8:.0f}" preserveAspectRatio="none" role="img"'
    return f'<figure>{labels}<svg {box}><polyline points="{points}"/></svg>{axis}</figure>'


def _observables(found: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        (
            name,
            f"{data['value']:.5g}" + (f" ± {data['error']:.2g}" if data.get("error") else ""),
            str(data["unit"] or ""),
            str(data["key"] or ""),
        )
        for name, data in sorted(found.items())
        if isinstance(data["value"], int | float)
    ]
    return f"<h2>What the newest spectra say</h2><table>{_table(rows)}</table>" if rows else ""


def _events(page: Page, view: View) -> str:
    rows = [(clock_text(utc_ns, view.zone), text) for utc_ns, text in reversed(page.events)]
    return f"<h2>Lately ({html.escape(view.zone)})</h2><table>{_table(rows)}</table>"


TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{refresh_s}"><title>{title}</title>
<style>
body {{ font: 16px/1.4 system-ui, sans-serif; margin: 1em auto; max-width: 800px; padding: 0 1em; color: #1a1a1a; background: #fff }}
h1 {{ font-size: 1.3em }} h2 {{ font-size: 1.05em }} td {{ padding: .1em 1em .1em 0; vertical-align: top; overflow-wrap: anywhere }}
td:first-child {{ white-space: nowrap }}
figure {{ margin: 1em 0 }} figcaption {{ display: flex; justify-content: space-between; gap: 1em }}
svg {{ width: 100%; height: 180px; background: #f5f5f5 }}
polyline {{ fill: none; stroke: #1558a6; stroke-width: 1.5; vector-effect: non-scaling-stroke }}
.axis {{ display: flex; justify-content: space-between; font-size: .85em }}
.said {{ padding: .5em; margin: .3em 0; background: #e8eefc }}
.said.warn {{ background: #fff3c4 }} .said.alarm, .said.critical {{ background: #fdd }}
.simulated {{ color: #8a6100 }} #stale {{ display: none; background: #fdd; padding: .5em }}
@media (prefers-color-scheme: dark) {{
 body {{ background: #16181c; color: #e6e6e6 }} svg {{ background: #22252b }} polyline {{ stroke: #7db4f0 }}
 .said, #stale {{ color: #1a1a1a }} }}
</style></head><body>
<p id="stale" role="alert"></p>
{body}
<footer><small>{foot}</small></footer>
<script>
(function () {{
  var minutes = Math.floor((Date.now() - {published_ms}) / 60000);
  if (!{over} && minutes * 60 > {stale_s}) {{
    var box = document.getElementById("stale");
    box.style.display = "block";
    box.textContent = "This page is " + minutes + " min old: nobody has written it since. Is the computer on?";
  }}
}})();
</script>
</body></html>
"""
