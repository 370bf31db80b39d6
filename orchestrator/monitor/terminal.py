"""The view on a terminal: steps, voltage, newest spectrum, progress and the end time; plain lines where there is none."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.model.events import ALARM_LEVELS, Event, alarm_line
from orchestrator.monitor.braille import draw
from orchestrator.monitor.view import StepLine, View

Spectrum = Callable[[Event], tuple[NDArray[np.float64], NDArray[np.float64]]]
"""fid.block → (shift_ppm float64 (n,), intensity float64 (n,)), ppm falling from left to right."""

STEPS_SHOWN = 7
FEWEST_STEPS = 3
PLOT_ROWS = 7
FEWEST_PLOT_ROWS = 2
FRAME_ROWS = 7
"""Headings of the steps, two frames, the axis in ppm and the progress bar."""
ALARM_SHARE = 3
"""Alarms take at most this part of the screen; the worst are kept."""
ENDED_BY_COLUMNS = 20
ALARM_STYLES = {"info": "cyan", "warn": "yellow", "alarm": "red", "critical": "bold white on red"}
RULER = Console(file=io.StringIO())


def clock_text(utc_ns: int, zone: str) -> str:
    """``Sun 07:40`` in the rig's zone."""
    return f"{datetime.fromtimestamp(utc_ns / 1e9, UTC).astimezone(ZoneInfo(zone)):%a %H:%M}"


def duration_text(seconds: float) -> str:
    """``1 h 05 min``, ``4 min 10 s``, ``8 s``."""
    whole = round(max(0.0, seconds))
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def screen(view: View, spectrum: Spectrum, width: int, height: int = 60) -> RenderableType:
    """Everything, one above the other, in ``height`` rows where at all possible: what does not fit, nobody sees."""
    inner = max(20, width - 4)
    alarms = _alarms(view, width, height // ALARM_SHARE)
    headline = _headline(view)
    free = height - FRAME_ROWS - sum(rows_of(text, width) for text in (headline, *alarms))
    steps, plot_rows = _shares(free, len(view.steps))
    return Group(
        headline,
        _steps(view, steps),
        Panel(_voltage(view, inner, plot_rows), title="cell voltage", title_align="left", border_style="dim"),
        Panel(_newest(view, spectrum, inner, plot_rows), title=_spectrum_title(view), title_align="left", border_style="dim"),
        _progress(view),
        *alarms,
    )


def _shares(free: int, steps: int) -> tuple[int, int]:
    """Of the free rows: how many steps are shown, and how high each of the two plots is."""
    at_best = min(STEPS_SHOWN, steps, max(FEWEST_STEPS, free - 2 * PLOT_ROWS))
    shown = max(1, min(at_best, free - 2 * FEWEST_PLOT_ROWS))
    return shown, max(FEWEST_PLOT_ROWS, min(PLOT_ROWS, (free - shown) // 2))


def rows_of(text: Text, width: int) -> int:
    """How many rows a text takes on a terminal so wide."""
    return len(text.wrap(RULER, max(1, width)))


def _headline(view: View) -> Text:
    text = Text()
    text.append(f" {view.name} ", style="bold reverse")
    text.append(f" {view.state}", style="bold")
    if view.simulated:
        text.append("  simulated" + (f", {view.speed:g} times as fast" if view.speed != 1 else ""), style="yellow")
    if view.voltage_V is not None and view.current_A is not None:
        text.append(f"   E {view.voltage_V * 1e3:+9.2f} mV   I {view.current_A * 1e3:+8.4f} mA")
    if view.we_V is not None and view.ce_V is not None:
        text.append(f"   E_we {view.we_V * 1e3:+9.2f}  E_ce {view.ce_V * 1e3:+9.2f} mV")
    if view.charge_C is not None:
        text.append(f"   Q step {view.charge_C / 3.6:+8.4f} mAh")
    return text


def _steps(view: View, shown: int) -> Table:
    table = Table(box=None, padding=(0, 1), expand=True)
    table.add_column("step", justify="right", header_style="dim", no_wrap=True)
    table.add_column("", ratio=1, no_wrap=True, overflow="ellipsis")
    for heading in ("cycle", "time", "spectra"):
        table.add_column(heading, justify="right", header_style="dim", no_wrap=True)
    table.add_column("ended by", header_style="dim", no_wrap=True, max_width=ENDED_BY_COLUMNS, overflow="ellipsis")
    for line in view.steps[-shown:]:
        running = line.ended_mono_ns is None
        end_ns = view.now_mono_ns if line.ended_mono_ns is None else line.ended_mono_ns
        table.add_row(
            step_name(line),
            line.text,
            str(line.cycle or ""),
            duration_text((end_ns - line.started_mono_ns) / 1e9),
            str(line.spectra),
            "running" if running else line.reason,
            style="bold green" if running else "",
        )
    return table


def step_name(line: StepLine) -> str:
    """The step's number as people count, or ``prep`` before the protocol."""
    return str(line.index + 1) if line.index >= 0 else "prep"


def _voltage(view: View, width: int, rows: int) -> Text:
    values = view.voltages()
    if values.size == 0:
        return Text("no sample yet", style="dim")
    lines = draw(values, width - 12, rows)
    labels = [f"{values.max() * 1e3:+8.1f} mV", *[""] * (rows - 2), f"{values.min() * 1e3:+8.1f} mV"]
    return Text("\n".join(f"{label:>11} {line}" for label, line in zip(labels, lines, strict=True)), no_wrap=True)


def _spectrum_title(view: View) -> str:
    event = view.newest_fid
    if event is None:
        return "newest spectrum"
    age_s = (view.now_mono_ns - event.mono_ns) / 1e9
    return f"newest spectrum: {event.data['name']}, {event.data['nucleus']}, {event.data['scans']} scans, {duration_text(age_s)} ago"


def _newest(view: View, spectrum: Spectrum, width: int, rows: int) -> Text:
    if view.newest_fid is None:
        return Text("none yet", style="dim")
    shift_ppm, intensity = spectrum(view.newest_fid)
    lines = draw(intensity, width, rows)
    left, right = f"{shift_ppm[0]:.0f} ppm", f"{shift_ppm[-1]:.0f} ppm"
    axis = left + " " * max(1, width - len(left) - len(right)) + right
    return Text("\n".join([*lines, axis]), no_wrap=True)


def _progress(view: View) -> Table:
    done = view.counts["stored"]
    not_taken = view.counts["missed"] + view.counts["rejected"] + view.counts["lost"]
    text = f"{view.fraction:4.0%}  {duration_text(view.elapsed_s)} of about {duration_text(view.expected_s)}"
    if not view.expected_s:
        text = duration_text(view.elapsed_s)
    ends = _ends(view) if view.expected_s and not view.ended else ""
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(
        ProgressBar(total=1.0, completed=view.fraction),
        f"{text}  {ends}  {done} spectra" + (f", {not_taken} not taken" if not_taken else ""),
    )
    return grid


def _ends(view: View) -> str:
    """The end by the clock on the wall; where the experiment's clock is not that one, how long it takes still."""
    if view.speed in {0.0, 1.0}:
        return f"ends about {clock_text(view.expected_end_utc_ns, view.zone)}"
    return f"done in about {duration_text((view.expected_s - view.elapsed_s) / view.speed)}"


def _alarms(view: View, width: int, most_rows: int) -> list[Text]:
    """The alarms that stand, the worst last, beside the cursor; where they are too many, how many more there are."""
    alarms = sorted(view.alarms.values(), key=lambda alarm: ALARM_LEVELS.index(alarm["level"]))
    texts = [Text(alarm_line(alarm), style=ALARM_STYLES[alarm["level"]]) for alarm in alarms]
    hidden = 0
    while len(texts) > 1 and sum(rows_of(text, width) for text in texts) > most_rows:
        texts.pop(0)
        hidden += 1
    return [Text(f"and {hidden} more: operando status", style="dim"), *texts] if hidden else texts


def plain_lines(view: View, told: set[str]) -> Iterator[str]:
    """What is new since ``told``, a line each, for logs and pipes."""
    for number, line in enumerate(view.steps):
        for key, text in _plain_step(number, line):
            if key not in told:
                told.add(key)
                yield f"{duration_text((_instant(line, key) - view.origin_mono_ns) / 1e9):>14}  {text}"
    for name, alarm in view.alarms.items():
        if name not in told:
            told.add(name)
            yield f"{'':>14}  {alarm_line(alarm)}"


def _instant(line: StepLine, key: str) -> int:
    return line.ended_mono_ns if key.startswith("end") and line.ended_mono_ns is not None else line.started_mono_ns


def _plain_step(number: int, line: StepLine) -> Iterator[tuple[str, str]]:
    yield f"start{number}", f"step {step_name(line)}: {line.text}"
    if line.ended_mono_ns is not None:
        yield (
            f"end{number}",
            f"step {step_name(line)} ended by {line.reason}, {line.spectra} {'spectrum' if line.spectra == 1 else 'spectra'}",
        )


def console() -> Console:
    """The terminal; honours NO_COLOR and pipes by itself."""
    return Console()
