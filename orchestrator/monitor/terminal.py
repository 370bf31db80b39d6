"""The view on a terminal: steps, voltage, newest spectrum, progress and the end time; plain lines where there is none."""

from __future__ import annotations

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

from orchestrator.model.events import Event
from orchestrator.monitor.braille import draw
from orchestrator.monitor.view import StepLine, View

Spectrum = Callable[[Event], tuple[NDArray[np.float64], NDArray[np.float64]]]
"""fid.block → (shift_ppm float64 (n,), intensity float64 (n,)), ppm falling from left to right."""

STEPS_SHOWN = 7
PLOT_ROWS = 7


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


def screen(view: View, spectrum: Spectrum, width: int) -> RenderableType:
    """Everything, one above the other."""
    inner = max(20, width - 4)
    return Group(
        _headline(view),
        _steps(view),
        Panel(_voltage(view, inner), title="cell voltage", title_align="left", border_style="dim"),
        Panel(_newest(view, spectrum, inner), title=_spectrum_title(view), title_align="left", border_style="dim"),
        _progress(view),
        *_alarms(view),
    )


def _headline(view: View) -> Text:
    text = Text()
    text.append(f" {view.name} ", style="bold reverse")
    text.append(f" {view.state}", style="bold")
    if view.simulated:
        text.append("  simulated" + (f", {view.speed:g} times as fast" if view.speed != 1 else ""), style="yellow")
    if view.voltage_V is not None and view.current_A is not None:
        text.append(f"   E {view.voltage_V * 1e3:+9.2f} mV   I {view.current_A * 1e3:+8.4f} mA")
    if view.charge_C is not None:
        text.append(f"   Q step {view.charge_C / 3.6:+8.4f} mAh")
    return text


def _steps(view: View) -> Table:
    table = Table(box=None, padding=(0, 1), expand=True)
    for heading, justify in (
        ("step", "right"),
        ("", "left"),
        ("cycle", "right"),
        ("time", "right"),
        ("spectra", "right"),
        ("ended by", "left"),
    ):
        table.add_column(heading, justify=justify, header_style="dim")  # type: ignore[arg-type]
    for line in view.steps[-STEPS_SHOWN:]:
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


def _voltage(view: View, width: int) -> Text:
    values = view.voltages()
    if values.size == 0:
        return Text("no sample yet", style="dim")
    lines = draw(values, width - 11, PLOT_ROWS)
    labels = [f"{values.max() * 1e3:+8.1f} mV", *[""] * (PLOT_ROWS - 2), f"{values.min() * 1e3:+8.1f} mV"]
    return Text("\n".join(f"{label:>11}{line}" for label, line in zip(labels, lines, strict=True)), no_wrap=True)


def _spectrum_title(view: View) -> str:
    event = view.newest_fid
    if event is None:
        return "newest spectrum"
    age_s = (view.now_mono_ns - event.mono_ns) / 1e9
    return f"newest spectrum: {event.data['name']}, {event.data['nucleus']}, {event.data['scans']} scans, {duration_text(age_s)} ago"


def _newest(view: View, spectrum: Spectrum, width: int) -> Text:
    if view.newest_fid is None:
        return Text("none yet", style="dim")
    shift_ppm, intensity = spectrum(view.newest_fid)
    lines = draw(intensity, width, PLOT_ROWS)
    left, right = f"{shift_ppm[0]:.0f} ppm", f"{shift_ppm[-1]:.0f} ppm"
    axis = left + " " * max(1, width - len(left) - len(right)) + right
    return Text("\n".join([*lines, axis]), no_wrap=True)


def _progress(view: View) -> Table:
    done = view.counts["stored"]
    not_taken = view.counts["missed"] + view.counts["rejected"] + view.counts["lost"]
    text = f"{view.fraction:4.0%}  {duration_text(view.elapsed_s)} of about {duration_text(view.expected_s)}"
    ends = f"ends about {clock_text(view.expected_end_utc_ns, view.zone)}" if view.plan and not view.ended else ""
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(
        ProgressBar(total=1.0, completed=view.fraction),
        f"{text}  {ends}  {done} spectra" + (f", {not_taken} not taken" if not_taken else ""),
    )
    return grid


def _alarms(view: View) -> list[Text]:
    colours = {"info": "cyan", "warn": "yellow", "alarm": "red", "critical": "bold white on red"}
    return [
        Text(f"{alarm['level']}: {alarm['title']} - {alarm['text']}", style=colours.get(alarm["level"], "red"))
        for alarm in view.alarms.values()
    ]


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
            yield f"{'':>14}  {alarm['level']}: {alarm['title']} - {alarm['text']}"


def _instant(line: StepLine, key: str) -> int:
    return line.ended_mono_ns if key.startswith("end") and line.ended_mono_ns is not None else line.started_mono_ns


def _plain_step(number: int, line: StepLine) -> Iterator[tuple[str, str]]:
    yield f"start{number}", f"step {step_name(line)}: {line.text}"
    if line.ended_mono_ns is not None:
        yield f"end{number}", f"step {step_name(line)} ended by {line.reason}, {line.spectra} spectra"


def console() -> Console:
    """The terminal; honours NO_COLOR and pipes by itself."""
    return Console()
