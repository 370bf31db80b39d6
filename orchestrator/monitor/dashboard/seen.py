"""What the spectra say: the newest one with its fitted lines, and the observables of the run. Drawn once and then only fed."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, Range1d
from numpy.typing import NDArray

from orchestrator.monitor.dashboard.dark import BEFORE, INK, METAL, NOW, POINT, SUM, dark_figure
from orchestrator.monitor.dashboard.fit import Curves, around, curves, shifts_ppm, worth_looking
from orchestrator.monitor.dashboard.halves import C_PER_mAh
from orchestrator.monitor.dashboard.rigs import Rig
from orchestrator.monitor.payloads import FittedLine

SLOPE_OVER = 6
HEADROOM = 0.12
CLOSE = "yellow: fitted lines; dashed: their sum; grey: what they leave; ppm"
NOTHING: dict[str, list[Any]] = {"x": [], "y": []}


class Newest:
    """The newest spectrum over the run's first, ppm right to left, both for one scan, with its fitted lines and their sum.

    ``close``: only where the lines are; not there while none is fitted.
    """

    def __init__(self, height: int = 200, *, close: bool = False) -> None:
        self._close = close
        self.shift, self.height = Range1d(1.0, 0.0), Range1d(0.0, 1.0)
        self.figure = dark_figure(height, x_range=self.shift, y_range=self.height, y_axis_location=None, visible=not close)
        self._line, self._first, self._sum, self._rest = (ColumnDataSource(NOTHING) for _ in range(4))
        self._lines = ColumnDataSource({"xs": [], "ys": []})
        self._words = ColumnDataSource({"x": [], "y": [], "text": []})
        name = "close" if close else "fitted"
        self.figure.line("x", "y", source=self._first, color=BEFORE, line_width=1.5, alpha=0.6)
        self.figure.line("x", "y", source=self._rest, color=BEFORE, line_width=1.0, name=f"rest of {name}")
        self.figure.line("x", "y", source=self._line, color=NOW, line_width=3.5 if close else 1.5, name=f"spectrum of {name}")
        self.figure.multi_line("xs", "ys", source=self._lines, color=METAL, line_width=1.5, name=name)
        self.figure.line("x", "y", source=self._sum, color=SUM, line_width=1.5, line_dash="dashed", name=f"sum of {name}")
        said = {"text_color": METAL, "text_font_size": "12px", "text_baseline": "bottom", "text_align": "center", "y_offset": -3}
        self.figure.text("x", "y", "text", source=self._words, **said)
        self.figure.xaxis.ticker.desired_num_ticks = 5
        self.figure.ygrid.visible = False

    def feed(self, rig: Rig, acquisition: str | None) -> None:
        """Draw it."""
        axis = rig.axis(acquisition) if acquisition else None
        rows = rig.rows(acquisition) if acquisition else []
        if not self._close:
            self.figure.visible = bool(rows) or not rig.images
        if axis is None or acquisition is None or not rows:
            return
        newest, spectrum, lines = rig.newest(acquisition) or rows[-1], rig.spectrum(acquisition), rig.fitted(acquisition)
        found = curves(spectrum, lines) if spectrum is not None else None
        where = around(spectrum, lines) if spectrum is not None else None
        if self._close:
            self.figure.visible = found is not None
        shift_ppm, scans = shifts_ppm(axis, newest.intensity.size), max(1, newest.scans)
        intensity = newest.intensity / scans
        high, low = worth_looking(shift_ppm, intensity, newest.noise / scans) if where is None or not self._close else where
        self.shift.update(start=high, end=low)
        self._line.data = {"x": shift_ppm, "y": intensity}
        first = rows[0].intensity / max(1, rows[0].scans)
        self._first.data = NOTHING if self._close else {"x": shifts_ppm(axis, first.size), "y": first}
        inside = intensity[(shift_ppm <= high) & (shift_ppm >= low)]
        top, bottom = float(inside.max(initial=0.0)), float(inside.min(initial=0.0))
        room = HEADROOM * (top - bottom) or 1.0
        self.height.update(start=bottom - room * (2.0 if self._close else 1.0), end=top + room * (2.0 if self._close else 1.0))
        self._draw_lines(found, lines, where or (high, low))
        if found is not None and self._close:
            shown = (shift_ppm <= high) & (shift_ppm >= low)
            rest = intensity - found.held(intensity.size)
            self._rest.data = {"x": shift_ppm[shown], "y": rest[shown] - float(rest[shown].mean()) + bottom - room}
        number = f"{axis.acquisition} no. {newest.index + 1}, {newest.scans} scans; grey: the run's first; ppm"
        self.figure.xaxis.axis_label = CLOSE if self._close else number

    def _draw_lines(self, found: Curves | None, lines: list[FittedLine], shown: tuple[float, float]) -> None:
        if found is None:
            self._lines.data, self._sum.data, self._words.data = {"xs": [], "ys": []}, NOTHING, {**NOTHING, "text": []}
            return
        inside = (found.shift_ppm <= shown[0]) & (found.shift_ppm >= shown[1])
        x = found.shift_ppm[inside]
        self._lines.data = {"xs": [x for _ in lines], "ys": [one[inside] for one in found.lines]}
        self._sum.data = {"x": x, "y": found.whole[inside]} if len(lines) > 1 else NOTHING
        at = [one.shift_ppm for one in lines]
        tops, names = [float(one.max()) for one in found.lines], [f"{one.name} {one.shift_ppm:.1f}" for one in lines]
        self._words.data = {"x": at, "y": tops, "text": names} if self._close else {**NOTHING, "text": []}


class Observed:
    """An observable against the net charge of the run; the newest value apart."""

    def __init__(self, height: int = 170) -> None:
        self.figure = dark_figure(height, visible=False)
        self._points, self._newest = ColumnDataSource(NOTHING), ColumnDataSource(NOTHING)
        self.figure.line("x", "y", source=self._points, color=NOW, line_width=1.0, alpha=0.45)
        self.figure.scatter("x", "y", source=self._points, color=NOW, size=5, name="observed")
        self.figure.scatter("x", "y", source=self._newest, color=POINT, size=8)
        self.figure.yaxis.ticker.desired_num_ticks = 4
        self.figure.xaxis.axis_label_text_color = INK

    def feed(self, rig: Rig, where: tuple[str, str] | None, samples: NDArray[Any]) -> None:
        """Draw the whole run's values."""
        seen = rig.seen(*(where or ("", "")))
        self.figure.visible = len(seen) > 1
        if not self.figure.visible or samples.size < 2:
            return
        passed_C = np.concatenate([[0.0], np.cumsum(samples["current_A"][1:] * np.diff(samples["t_s"]))])
        charge_mAh = np.interp(seen["t_s"], samples["t_s"], passed_C) / C_PER_mAh
        self._points.data = {"x": charge_mAh, "y": seen["value"]}
        self._newest.data = {"x": charge_mAh[-1:], "y": seen["value"][-1:]}
        newest = rig.observables.get(where[1]) if where else None
        self.figure.yaxis.axis_label = ", ".join(word for word in (newest.name, newest.unit) if word) if newest else ""
        self.figure.xaxis.axis_label = f"net charge, mAh{_sloped(charge_mAh, seen['value'])}"


def _sloped(charge_mAh: NDArray[Any], values: NDArray[Any]) -> str:
    """The slope over the newest values, where charge has passed in one direction."""
    charge_mAh, values = charge_mAh[-SLOPE_OVER:], values[-SLOPE_OVER:]
    steps = np.diff(charge_mAh)
    if len(steps) < SLOPE_OVER - 1 or not (np.all(steps > 0) or np.all(steps < 0)):
        return ""
    return f"   (slope of the last {SLOPE_OVER}: {float(np.polyfit(charge_mAh, values, 1)[0]):.3g} per mAh)"
