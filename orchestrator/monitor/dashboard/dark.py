"""Colours and manners that all pictures of the page share."""

from __future__ import annotations

from typing import Any

from bokeh.plotting import figure

BACK, PANEL, INK, FAINT = "#0b0f14", "#11171f", "#aab6c3", "#232c37"
NOW, BEFORE, POINT, METAL, SUM = "#6fb7ff", "#7d8a99", "#ffffff", "#f2b84b", "#ffe9bd"


def dark_figure(height: int, **options: Any) -> Any:
    """Dark, without tools: on a phone a finger scrolls the page."""
    one = figure(height=height, sizing_mode="stretch_width", toolbar_location=None, tools="", min_width=80, frame_align=False, **options)
    one.background_fill_color, one.border_fill_color, one.outline_line_color = PANEL, BACK, None
    one.grid.grid_line_color = FAINT
    for axis in one.axis:
        dressed(axis)
    one.min_border = 2
    return one


def dressed(axis: Any) -> None:
    """An axis to be read in the dark."""
    axis.axis_line_color = axis.major_tick_line_color = FAINT
    axis.minor_tick_line_color = None
    axis.major_label_text_color = axis.axis_label_text_color = INK
    axis.major_label_text_font_size = axis.axis_label_text_font_size = "12px"
    axis.axis_label_text_font_style = "normal"
