"""Spectra, fitted lines and observables of one run as messages: rows of the waterfall, the newest spectrum, the night of each number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from orchestrator.model.events import Event
from orchestrator.monitor.history import SeenHistory
from orchestrator.monitor.images import MAGNITUDE, T2, Images, strips
from orchestrator.monitor.payloads import Axis, FittedLine, Image, Message, Observable, Spectrum
from orchestrator.monitor.topics import Levels, Topics
from orchestrator.monitor.waterfall import Slots, seen

REMEMBERED = 500
"""Middles of so many spectra are known: what the analysis sees in one comes soon after it."""

Put = Callable[[str, bytes], None]


@dataclass(slots=True)
class Stack:
    """The spectra of one acquisition."""

    level: str
    count: int = 0
    slots: Slots = field(default_factory=Slots)
    axis: bytes = b""


class Where(NamedTuple):
    """When and in which state of the cell a spectrum was taken. ``at``: run, run_id and the instant of its middle."""

    at: Mapping[str, Any]
    tag: int
    cycle: int
    voltage_V: float | None


class Spectra:
    """``put`` is called with topic and payload of everything that is new; ``tiles`` puts what has gathered."""

    def __init__(self, topics: Topics, put: Put) -> None:
        self._topics = topics
        self._put = put
        self._acquisitions, self._observables, self._lines = Levels(), Levels(), Levels()
        self._stacks: dict[str, Stack] = {}
        self._seen: dict[tuple[str, str], SeenHistory] = {}
        self._images, self._taken = Images(), dict[str, int]()
        self._measured: dict[str, tuple[str, float]] = {}

    def fid(self, event: Event, where: Where) -> None:
        """A ``fid.block``."""
        data = event.data
        name = str(data["name"])
        if data.get("encodes"):
            self._image(event, where)
            return
        stack = self._stacks.setdefault(name, Stack(self._acquisitions.of(name)))
        self._measured[str(data["key"])] = stack.level, where.at["t_s"]
        if len(self._measured) > REMEMBERED:
            del self._measured[next(iter(self._measured))]
        found = seen(event, stack.count, where.tag, where.at["t_s"], where.at["time_s"], where.voltage_V, where.cycle)
        if found is None:
            return
        index, stack.count = stack.count, stack.count + 1
        of_run, nucleus = {name: where.at[name] for name in ("run", "run_id")}, str(data["nucleus"])
        ends = {"first_ppm": found.first_ppm, "last_ppm": found.last_ppm, "points": found.row.intensity.size}
        axis = Axis(**of_run, acquisition=name, level=stack.level, nucleus=nucleus, **ends).encoded()
        if axis != stack.axis:
            stack.axis = axis
            self._put(self._topics.axis(stack.level), axis)
        self._put(self._topics.newest_row(stack.level), found.fine.encoded())
        if (place := stack.slots.place(index)) is not None:
            self._put(self._topics.row(stack.level, place), found.row.encoded())
        seen_as = {"snr": found.snr, "peak_ppm": found.peak_ppm, "intensity": found.peak, "noise": found.row.noise}
        named = {"acquisition": name, "level": stack.level, "key": str(data["key"]), "index": index, "nucleus": nucleus}
        cell = {"voltage_V": where.voltage_V, "cycle": where.cycle, "partial": bool(data.get("partial"))}
        made = {name: value for name, value in found.made.items() if value is not None}
        self._say(self._topics.spectrum(stack.level), Spectrum(**where.at, **named, **seen_as, **cell, **made, scans=data["scans"]))

    def _image(self, event: Event, where: Where) -> None:
        """An image, and the map that it completes; k-space that was halted shows nothing."""
        data, found = event.data, self._images.seen(event)
        name = str(data["name"])
        level, index = self._acquisitions.of(name), self._taken.get(name, 0)
        self._measured[str(data["key"])] = level, where.at["t_s"]
        if found is None:
            return
        self._taken[name] = index + 1
        told = {"acquisition": name, "level": level, "key": str(data["key"]), "index": index, "nucleus": str(data["nucleus"])}
        rows, columns = found.image.shape
        size = {"rows": rows, "columns": columns, "echo_ms": found.echo_ms, "scans": data["scans"]}
        self._say(self._topics.image(level), Image(**where.at, **told, **size, voltage_V=where.voltage_V, cycle=where.cycle))
        for kind, of, values in (("image", MAGNITUDE, found.image), ("map", T2, found.T2_ms)):
            for number, one in enumerate(strips(of, values, found.size_mm, where.tag, index) if values is not None else ()):
                self._put(self._topics.strip(kind, level, number), one.encoded())

    def observable(self, event: Event, at: Mapping[str, Any], tag: int) -> None:
        """An ``observable``, at the instant of the event."""
        data, key = event.data, str(event.data["key"] or "")
        told = {"value": _finite(data["value"]), "error": _finite(data["error"]), "unit": str(data["unit"] or "")}
        message = Observable(**at, name=data["name"], **told, key=key or None, source=event.source)
        level = self._observables.of(str(data["name"]))
        self._say(self._topics.observable(level), message)
        if message.value is None:
            return
        nowhere = self._acquisitions.of(""), message.t_s
        acquisition, t_s = self._measured.get(key, nowhere)
        error = message.error if message.error is not None else math.nan
        self._seen.setdefault((acquisition, level), SeenHistory(tag)).add((t_s, message.value, error))
        if isinstance(shape := data.get("line"), Mapping):
            self._line(message, acquisition, shape)

    def _line(self, area: Observable, acquisition: str, shape: Mapping[str, Any]) -> None:
        """A fitted line, whose area has come; of one that lacks what a picture needs, nothing."""
        if not shape.keys() >= FittedLine.SHAPE:
            return
        name = area.name.removeprefix("area(").removesuffix(")")
        at = {name: getattr(area, name) for name in ("run", "run_id", "time_s", "time_utc", "t_s")}
        of = {"name": name, "level": acquisition, "key": area.key or "", "amplitude": area.value, "amplitude_sd": area.error}
        numbers = {name: float(value) for name, value in shape.items() if name in FittedLine.model_fields}
        self._say(self._topics.line(acquisition, self._lines.of(name)), FittedLine(**at, **of, **numbers))

    def tiles(self) -> None:
        """Put the tiles of observables that have changed."""
        for (acquisition, level), values in self._seen.items():
            for tile, payload in values.tiles():
                self._put(self._topics.seen(acquisition, level, tile), payload)

    def _say(self, topic: str, message: Message) -> None:
        self._put(topic, message.encoded())


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) < float("inf") else None
