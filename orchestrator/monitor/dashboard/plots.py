"""The pictures of one rig, each drawn once and then only fed: the overlay of half-cycles, and the waterfall beside the voltage."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import (
    AdaptiveTicker,
    ColumnDataSource,
    CustomJSTickFormatter,
    LinearAxis,
    LinearColorMapper,
    PrintfTickFormatter,
    Range1d,
)
from bokeh.palettes import Magma256
from numpy.typing import NDArray

from orchestrator.monitor.dashboard.dark import BACK, BEFORE, METAL, NOW, POINT, dark_figure, dressed
from orchestrator.monitor.dashboard.fit import shifts_ppm, worth_looking
from orchestrator.monitor.dashboard.grid import grid
from orchestrator.monitor.dashboard.halves import Areas, Halves
from orchestrator.monitor.dashboard.rigs import Rig
from orchestrator.monitor.dashboard.sentence import minute_of_day
from orchestrator.monitor.payloads import Axis
from orchestrator.monitor.tiles import Row

SIDE_POINTS = 900
LEAST_V = 0.02
"""So much of the voltage is shown at least, or noise at rest would fill the picture."""
MINUTE_s = 60.0
CLOCK = """
const minutes = ((Math.round(tick) % 1440) + 1440) % 1440
return `${Math.floor(minutes / 60)}`.padStart(2, '0') + ':' + `${minutes % 60}`.padStart(2, '0')
"""


class Overlay:
    """The running half-cycle over the same one of the cycle before: voltage, and the metal's area on the axis at the right."""

    def __init__(self, height: int = 176) -> None:
        self.volts = Range1d(0.0, 1.0)
        self.figure = dark_figure(height, y_range=self.volts)
        self._before, self._now, self._point = (ColumnDataSource({"x": [], "y": []}) for _ in range(3))
        self.figure.line("x", "y", source=self._before, line_width=5, color=BEFORE, alpha=0.55)
        self.figure.line("x", "y", source=self._now, line_width=2.5, color=NOW)
        self.figure.scatter("x", "y", source=self._point, size=9, color=POINT)
        self.figure.yaxis.axis_label = "V"
        self.area = Range1d(0.0, 1.0)
        self.figure.extra_y_ranges = {"area": self.area}
        right = LinearAxis(y_range_name="area", visible=False)
        self.figure.add_layout(right, "right")
        dressed(right)
        self._right = right
        right.axis_label_text_color = right.major_label_text_color = METAL
        self._area_before, self._area_now = (ColumnDataSource({"x": [], "y": []}) for _ in range(2))
        area = {"y_range_name": "area", "size": 7, "marker": "diamond", "line_color": METAL}
        self.figure.scatter("x", "y", source=self._area_before, fill_alpha=0.0, line_alpha=0.55, name="area before", **area)
        self.figure.scatter("x", "y", source=self._area_now, fill_color=METAL, name="area", **area)
        self.figure.yaxis[0].formatter = PrintfTickFormatter(format="%.3g")
        for axis in self.figure.yaxis:
            axis.ticker.desired_num_ticks = 4

    def feed(self, half: Halves | None, areas: Areas | None) -> None:
        """Draw the half-cycle."""
        self._feed_areas(areas)
        if half is None:
            return
        self._now.data = {"x": half.now.along, "y": half.now.voltage_V}
        self._point.data = {"x": half.now.along[-1:], "y": half.now.voltage_V[-1:]}
        before = half.before
        self._before.data = {"x": [], "y": []} if before is None else {"x": before.along, "y": before.voltage_V}
        voltages_V = half.now.voltage_V if before is None else np.concatenate([half.now.voltage_V, before.voltage_V])
        middle_V, half_V = float(voltages_V.max() + voltages_V.min()) / 2, max(float(np.ptp(voltages_V)), LEAST_V) * 0.55
        self.volts.update(start=middle_V - half_V, end=middle_V + half_V)
        with_what = "" if before is None else f"   (blue: now, grey: cycle {before.cycle})"
        self.figure.xaxis.axis_label = f"{'minutes of rest' if half.resting else 'mAh of this step'}{with_what}"

    def _feed_areas(self, areas: Areas | None) -> None:
        now, before = (np.empty(0), np.empty(0)) if areas is None else (areas.now, areas.before)
        for source, one in ((self._area_now, now), (self._area_before, before)):
            source.data = {"x": one[0], "y": one[1]} if areas else {"x": [], "y": []}
        self._right.visible = areas is not None
        if areas is None:
            return
        values = np.concatenate([now[1], before[1]])
        margin = 0.1 * float(np.ptp(values)) or 0.1 * abs(float(values[0])) or 1.0
        self.area.update(start=float(values.min()) - margin, end=float(values.max()) + margin)
        self._right.axis_label = areas.name


class Night:
    """Waterfall of spectra beside the voltage, on one time axis that runs down the page, the newest at the bottom."""

    def __init__(self, height: int = 460) -> None:
        self.time = Range1d(1.0, 0.0)
        self.shift = Range1d(1.0, 0.0)
        self.map = dark_figure(height, x_range=self.shift, y_range=self.time)
        self.side = dark_figure(height, y_range=self.time, y_axis_location=None)
        self.side.styles = {"max-width": "34%"}
        self.map.yaxis.formatter = CustomJSTickFormatter(code=CLOCK)
        self.map.yaxis.ticker = self.side.ygrid.ticker = AdaptiveTicker(base=60, mantissas=[1, 2, 5, 10, 15, 30], desired_num_ticks=8)
        self.map.xaxis.ticker.desired_num_ticks, self.side.xaxis.ticker.desired_num_ticks = 4, 3
        self.side.xgrid.ticker = self.side.xaxis[0].ticker
        self.map.grid.visible = False
        self.map.background_fill_color = BACK
        self.map.xaxis.axis_label, self.side.xaxis.axis_label = "ppm", "V"
        self._image = ColumnDataSource({"image": [], "x": [], "y": [], "dw": [], "dh": []})
        mapper = LinearColorMapper(palette=("#0b0f14", *Magma256[1:]), low=0, high=255)
        self.map.image("image", source=self._image, x="x", y="y", dw="dw", dh="dh", color_mapper=mapper, name="waterfall")
        self._line = ColumnDataSource({"x": [], "y": []})
        self.side.line("x", "y", source=self._line, color=NOW, line_width=1.5)

    def feed(self, rig: Rig, acquisition: str | None, samples: NDArray[Any]) -> None:
        """Draw the whole night."""
        state = rig.state
        if state is None:
            return
        last_s = max(state.t_s, float(samples["t_s"][-1]) if samples.size else 0.0, 1.0)
        begun = minute_of_day(state.time_s - state.t_s, state.zone)
        self.time.update(start=begun + last_s / MINUTE_s, end=begun)
        thin = samples[:: max(1, samples.size // SIDE_POINTS)]
        self._line.data = {"x": thin["voltage_V"].astype(np.float32), "y": (begun + thin["t_s"] / MINUTE_s).astype(np.float32)}
        axis = rig.axis(acquisition) if acquisition else None
        found = grid(rig.rows(acquisition)) if acquisition else None
        self.map.visible = found is not None or not rig.images
        if axis is None or found is None:
            self._image.data = {"image": [], "x": [], "y": [], "dw": [], "dh": []}
            return
        low, high = sorted((axis.first_ppm, axis.last_ppm))
        start, end = _looked_at(rig.rows(acquisition or ""), axis)
        self.shift.update(start=start, end=end)
        self.map.xaxis.axis_label = f"{axis.nucleus} {axis.acquisition}, ppm"
        heights = {"y": [begun + found.first_s / MINUTE_s], "dh": [(found.last_s - found.first_s) / MINUTE_s]}
        self._image.data = {"image": [found.counts[:, ::-1]], "x": [low], "dw": [high - low], **heights}


def _looked_at(rows: list[Row], axis: Axis) -> tuple[float, float]:
    """The part of the axis in which any spectrum of the night shows something, the greater shift first."""
    strongest = np.abs(np.stack([one.intensity for one in rows])).max(axis=0)
    noise = float(np.median([one.noise for one in rows]))
    return worth_looking(shifts_ppm(axis, strongest.size), strongest, noise)
