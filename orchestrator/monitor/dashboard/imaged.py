"""The newest image with its scale, the map of T2 beside it, and how T2 is spread. Drawn once and then only fed."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.models import BasicTicker, ColorBar, ColumnDataSource, LinearColorMapper, Range1d
from bokeh.palettes import Magma256, Viridis256
from numpy.typing import NDArray

from orchestrator.monitor.dashboard.dark import BACK, FAINT, INK, NOW, dark_figure
from orchestrator.monitor.dashboard.rigs import Rig
from orchestrator.monitor.dashboard.sentence import clock
from orchestrator.monitor.images import Strip
from orchestrator.monitor.payloads import Image

EMPTY = "#0b0f14"
BINS = 24
SPREAD_percent = (2.0, 98.0)
"""Of the T2 that are determined, so much is inside the scale of colours."""
NO_PICTURE: dict[str, list[Any]] = {"image": [], "x": [], "y": [], "dw": [], "dh": []}

Real = NDArray[np.float64]


class Picture:
    """Values (y, z) in colour, z to the right, in mm where the size of a pixel is known; a bar says what the colours are."""

    def __init__(self, name: str, palette: tuple[str, ...], height: int = 250) -> None:
        self._across, self._up = Range1d(0.0, 1.0), Range1d(0.0, 1.0)
        self.figure = dark_figure(height, x_range=self._across, y_range=self._up, visible=False)
        self._colours = LinearColorMapper(palette=palette, low=0.0, high=1.0, nan_color=EMPTY, low_color=palette[0])
        self._source = ColumnDataSource(NO_PICTURE)
        self.figure.image("image", source=self._source, x="x", y="y", dw="dw", dh="dh", color_mapper=self._colours, name=name)
        bar = ColorBar(color_mapper=self._colours, width=10, ticker=BasicTicker(desired_num_ticks=4), padding=4)
        bar.background_fill_color, bar.bar_line_color, bar.major_tick_line_color = BACK, FAINT, FAINT
        bar.major_label_text_color, bar.major_label_text_font_size = INK, "11px"
        self.figure.add_layout(bar, "right")
        self.figure.grid.visible = False
        for axis in self.figure.axis:
            axis.ticker.desired_num_ticks = 4

    def feed(self, strip: Strip, values: Real, low: float, high: float, words: str) -> None:
        """Draw it, from ``low`` to ``high``."""
        lengths = [n * size_mm if size_mm else float(n) for n, size_mm in zip(values.shape, strip.size_mm, strict=True)]
        self._up.update(start=-lengths[0] / 2, end=lengths[0] / 2)
        self._across.update(start=-lengths[1] / 2, end=lengths[1] / 2)
        self._colours.update(low=low, high=max(high, low + 1e-12))
        at = {"x": [-lengths[1] / 2], "y": [-lengths[0] / 2], "dw": [lengths[1]], "dh": [lengths[0]]}
        self._source.data = {"image": [values.astype(np.float32)], **at}
        self.figure.xaxis.axis_label = words
        self.figure.yaxis.axis_label = "mm" if all(strip.size_mm) else "pixels"
        self.figure.visible = True


class Imaged:
    """Image, map and histogram; none of them is there while there is nothing to show."""

    def __init__(self) -> None:
        self.image = Picture("image", tuple(Magma256))
        self.map = Picture("map", tuple(Viridis256))
        self.spread = dark_figure(150, visible=False)
        self._counts = ColumnDataSource({"top": [], "left": [], "right": []})
        self.spread.quad("left", "right", "top", 0, source=self._counts, color=NOW, line_color=BACK, name="histogram")
        self.spread.xaxis.axis_label, self.spread.yaxis.axis_label = "T2, ms", "pixels"
        self.spread.yaxis.ticker.desired_num_ticks = 3

    def feed(self, rig: Rig, acquisition: str) -> None:
        """Draw what the acquisition has; of one that has no image the newest of all."""
        state = rig.state
        one = next((one for one in rig.images if one.level == acquisition), None) or next(iter(rig.images), None)
        if one is None or state is None:
            for figure in (self.image.figure, self.map.figure, self.spread):
                figure.visible = False
            return
        if (found := rig.pixels("image", one.level)) is not None:
            self.image.feed(*found, 0.0, float(found[1].max()), f"{_said(one)}, {clock(one.time_s, state.zone)}")
        self._feed_map(rig, one)

    def _feed_map(self, rig: Rig, one: Image) -> None:
        found = rig.pixels("map", one.level)
        self.map.figure.visible = self.spread.visible = found is not None and bool(np.any(found[1] > 0))
        if found is None or not self.map.figure.visible:
            return
        strip, values = found
        T2_ms = values[values > 0]
        low, high = (float(one) for one in np.percentile(T2_ms, SPREAD_percent))
        self.map.feed(strip, np.where(values > 0, values, np.nan), low, high, "T2, ms")
        counts, edges = np.histogram(T2_ms, BINS)
        self._counts.data = {"top": counts, "left": edges[:-1], "right": edges[1:]}
        self.spread.xaxis.axis_label = f"T2, ms   (median {np.median(T2_ms):.3g} of {T2_ms.size} pixels)"


def _said(one: Image) -> str:
    """Short enough to stand under half of a phone."""
    return f"no. {one.index + 1}" if one.echo_ms is None else f"TE {one.echo_ms:g} ms"
