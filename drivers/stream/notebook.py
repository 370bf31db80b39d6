"""What an instrument was told to run, in a file for whoever comes after a death: parsed, its age compared, written in one piece."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from drivers.base import EndConditions, ImpedanceOrder, Limits, Mode, StepOrder

SLACK_S, SLACK = 10.0, 5e-4
"""The instrument's time of a step may differ so much from ours (a clock 200 ppm off, and the seconds of a start)."""


def same_age(started_utc_ns: int, elapsed_s: float | None, now_utc_ns: int) -> bool:
    """Can what has run for ``elapsed_s`` by the instrument's clock be what was started then?"""
    age_s = (now_utc_ns - started_utc_ns) / 1e9
    return elapsed_s is not None and age_s >= 0 and abs(age_s - elapsed_s) <= SLACK_S + SLACK * age_s


def parsed(text: str) -> tuple[dict[str, Any], int, StepOrder]:
    """The table in a notebook's text, when its step was started (UTC ns), and the step. Raises ValueError for what is none."""
    try:
        found: dict[str, Any] = json.loads(text)
        order = found["order"]
        impedance = ImpedanceOrder(**order["impedance"]) if order["impedance"] else None
        parts = {"mode": Mode(order["mode"]), "ends": EndConditions(**order["ends"]), "limits": Limits(**order["limits"])}
        return found, int(found["started_utc_ns"]), StepOrder(**{**order, **parts, "impedance": impedance})
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError("not a notebook") from error


def write(path: Path, text: str) -> None:
    """A file in one piece. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)
