"""What the broker says of every rig, kept as it comes. Pure: ``hear`` messages in any order, then read.

Messages of another run than that of ``state`` are kept out of what is read: a row may arrive before the state of its run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from orchestrator.model.events import ALARM_LEVELS
from orchestrator.monitor.images import Strip, strip, whole
from orchestrator.monitor.payloads import (
    Alarm,
    Axis,
    Event,
    FittedLine,
    Image,
    Message,
    Observable,
    OfRun,
    Sample,
    SensorValue,
    Spectrum,
    State,
)
from orchestrator.monitor.tiles import SAMPLE, SEEN, NotATile, Row, max_hold, row, run_tag, samples, seen
from orchestrator.monitor.topics import ROOT, level

EVENTS = 300
NEWEST = "newest"
BRANCHES = ("status", "state", "ec", "sensor/+", "spectrum/+", "image/+", "line/+/+", "observable/+", "event", "alarm/+", "view/#")
FILTERS = tuple(f"{ROOT}/+/{branch}" for branch in BRANCHES)
"""All that a rig shows; neither commands nor their answers."""

Model = TypeVar("Model", bound=Message)
Of = TypeVar("Of", bound=OfRun)
Points = NDArray[np.float64]


@dataclass(slots=True)
class Stack:
    """The spectra of one acquisition: rows by their place on the broker, the newest among them."""

    axis: Axis | None = None
    rows: dict[str, Row] = field(default_factory=dict)


class Rig:
    """One rig, by its level in topics. ``heard_s``: when its state came, by this computer's clock."""

    def __init__(self, name: str) -> None:
        self.level = name
        self.status = ""
        self.state: State | None = None
        self.heard_s = 0.0
        self.changes = 0
        self.pictures = 0
        self.events: deque[Event] = deque(maxlen=EVENTS)
        self._observables: dict[str, Observable] = {}
        self._seen: dict[tuple[str, str, int], tuple[int, NDArray[Any]]] = {}
        self._alarms: dict[str, Alarm] = {}
        self._stacks: dict[str, Stack] = {}
        self._tiles: dict[int, tuple[int, NDArray[Any]]] = {}
        self._sample: Sample | None = None
        self._sensors: dict[str, SensorValue] = {}
        self._spectra: dict[str, Spectrum] = {}
        self._lines: dict[str, FittedLine] = {}
        self._images: dict[str, Image] = {}
        self._strips: dict[tuple[str, str, str], Strip] = {}

    @property
    def name(self) -> str:
        """As people call it."""
        return self.state.rig if self.state else self.level

    @property
    def alarms(self) -> list[Alarm]:
        """Those that stand, the worst and newest first."""
        standing = [alarm for alarm in self._alarms.values() if self._current(alarm)]
        return sorted(standing, key=lambda alarm: (-rank(alarm.level), -alarm.time_s))

    @property
    def sample(self) -> Sample | None:
        """The newest sample of this run."""
        return self._sample if self._sample and self._current(self._sample) else None

    @property
    def sensors(self) -> list[SensorValue]:
        """The newest value of each sensor."""
        return [one for one in self._sensors.values() if self._current(one)]

    @property
    def acquisitions(self) -> list[str]:
        """Levels of the acquisitions that have spectra, that with most of them first."""
        found = {name: len(self.rows(name)) for name, stack in self._stacks.items() if stack.axis and self._current(stack.axis)}
        return sorted((name for name, count in found.items() if count), key=lambda name: (-found[name], name))

    def axis(self, acquisition: str) -> Axis | None:
        """The ppm axis of an acquisition."""
        return self._stacks[acquisition].axis if acquisition in self._stacks else None

    def spectrum(self, acquisition: str) -> Spectrum | None:
        """The newest spectrum's numbers."""
        found = self._spectra.get(acquisition)
        return found if found and self._current(found) else None

    @property
    def images(self) -> list[Image]:
        """The newest image of each acquisition that takes any, in numbers; the newest of all first."""
        return sorted((one for one in self._images.values() if self._current(one)), key=lambda one: -one.time_s)

    def pixels(self, kind: str, acquisition: str) -> tuple[Strip, Points] | None:
        """The newest ``image`` or ``map`` of an acquisition: float64 (y, z), and a strip of it; None while rows are missing."""
        found = [one for (of, name, _), one in self._strips.items() if (of, name) == (kind, acquisition)]
        return None if self.state is None else whole(found, run_tag(self.state.run_id))

    def rows(self, acquisition: str) -> list[Row]:
        """The spectra of this run in order of time, each once."""
        stack = self._stacks.get(acquisition)
        if stack is None or stack.axis is None or self.state is None:
            return []
        points = stack.axis.points
        by_index = {one.index: one for place, one in stack.rows.items() if place != NEWEST and self._of_run(one, points)}
        newest = self.newest(acquisition)
        if newest is not None and newest.index not in by_index:
            by_index[newest.index] = replace(newest, intensity=max_hold(newest.intensity, points))
        return [by_index[index] for index in sorted(by_index)]

    def newest(self, acquisition: str) -> Row | None:
        """The newest spectrum, with all the points that there are of it."""
        stack = self._stacks.get(acquisition)
        found = stack.rows.get(NEWEST) if stack is not None else None
        return found if stack and found and stack.axis and self._of_run(found, stack.axis.points) else None

    def _of_run(self, one: Row, points: int) -> bool:
        return self.state is not None and one.run == run_tag(self.state.run_id) and one.intensity.size >= points

    def fitted(self, acquisition: str) -> list[FittedLine]:
        """The lines that were fitted to the newest spectrum of an acquisition, from the left; empty until the analysis has told of it."""
        spectrum = self.spectrum(acquisition)
        found = [one for one in self._lines.values() if spectrum and one.level == acquisition and one.key == spectrum.key]
        return sorted((one for one in found if self._current(one)), key=lambda one: -one.shift_ppm)

    def samples(self) -> NDArray[Any]:
        """``SAMPLE`` (n,): voltage and current from the run's start until now."""
        if self.state is None:
            return np.empty(0, SAMPLE)
        tag = run_tag(self.state.run_id)
        parts = [tile for _, (run, tile) in sorted(self._tiles.items()) if run == tag]
        known = np.concatenate(parts) if parts else np.empty(0, SAMPLE)
        newest = self._newest()
        return known if newest is None or (known.size and known["t_s"][-1] >= newest["t_s"][0]) else np.concatenate([known, newest])

    @property
    def observables(self) -> dict[str, Observable]:
        """The newest value of each observable of this run, by its level in topics."""
        return {level: one for level, one in self._observables.items() if self._current(one)}

    def seen(self, acquisition: str, observable: str) -> NDArray[Any]:
        """``SEEN`` (n,): values of an observable in the run's spectra of one acquisition, both by their levels in topics."""
        if self.state is None:
            return np.empty(0, SEEN)
        tag = run_tag(self.state.run_id)
        wanted = acquisition, observable
        parts = [values for (*names, _), (run, values) in sorted(self._seen.items()) if tuple(names) == wanted and run == tag]
        return np.concatenate(parts) if parts else np.empty(0, SEEN)

    def _newest(self) -> NDArray[Any] | None:
        one = self.sample
        if one is None or one.voltage_V is None:
            return None
        values = (one.t_s, one.voltage_V, one.current_A or 0.0, one.charge_step_C or 0.0, one.step_index, one.cycle)
        return np.array([values], SAMPLE)

    def _current(self, message: OfRun) -> bool:
        return self.state is not None and message.run_id == self.state.run_id

    # ---------------------------------------------------------------------------------------------------------- hearing

    def hear(self, branch: list[str], payload: bytes, now_s: float, *, retained: bool) -> None:
        """A message below this rig's name. Raises ValueError where it cannot be understood."""
        match branch:
            case ["status"]:
                self.status = payload.decode(errors="replace")
            case ["state"]:
                self._hear_state(payload, now_s, retained=retained)
            case ["ec"]:
                self._sample = Sample.model_validate_json(payload)
            case ["event"]:
                self._hear_event(Event.model_validate_json(payload))
            case ["alarm", name]:
                _keep(self._alarms, name, payload, Alarm)
            case ["sensor", name]:
                _keep(self._sensors, name, payload, SensorValue)
            case ["spectrum", name]:
                _keep(self._spectra, name, payload, Spectrum)
            case ["image", name]:
                _keep(self._images, name, payload, Image)
                self.pictures += 1
            case ["line", acquisition, name]:
                _keep(self._lines, f"{acquisition}/{name}", payload, FittedLine)
                self.pictures += 1
            case ["observable", name]:
                _keep(self._observables, name, payload, Observable)
            case ["view", *rest]:
                self._hear_view(rest, payload)
                self.pictures += 1
            case _:
                return
        self.changes += 1

    def _hear_state(self, payload: bytes, now_s: float, *, retained: bool) -> None:
        if not payload:
            self.state = None
            return
        state = State.model_validate_json(payload)
        if self.state is None or state.run_id != self.state.run_id:
            self.events = deque((event for event in self.events if event.run_id == state.run_id), EVENTS)
            self.pictures += 1
        self.heard_s = min(now_s, state.published_s) if retained else now_s
        self.state = state

    def _hear_event(self, event: Event) -> None:
        if not any(event.seq == other.seq and event.run_id == other.run_id for other in self.events):
            self.events.append(event)

    def _hear_view(self, branch: list[str], payload: bytes) -> None:
        match branch:
            case ["axis", name] if payload:
                self._stack(name).axis = Axis.model_validate_json(payload)
            case ["axis", name]:
                self._stack(name).axis = None
            case ["row", name, place] if payload:
                self._stack(name).rows[place] = row(payload)
            case ["row", name, place]:
                self._stack(name).rows.pop(place, None)
            case [("image" | "map") as kind, name, place] if payload:
                self._strips[kind, name, place] = strip(payload)
            case [("image" | "map") as kind, name, place]:
                self._strips.pop((kind, name, place), None)
            case ["ec", place] if payload:
                run, tile, values = samples(payload)
                self._tiles[tile] = run, values
            case ["ec", place]:
                self._tiles.pop(int(place), None)
            case ["observable", acquisition, name, place] if payload:
                run, tile, values = seen(payload)
                self._seen[acquisition, name, tile] = run, values
            case ["observable", acquisition, name, place]:
                self._seen.pop((acquisition, name, int(place)), None)

    def _stack(self, name: str) -> Stack:
        return self._stacks.setdefault(name, Stack())


def _keep(place: dict[str, Model], name: str, payload: bytes, model: type[Model]) -> None:
    if payload:
        place[name] = model.model_validate_json(payload)
    else:
        place.pop(name, None)


class Rigs:
    """All rigs on a broker. ``lost_s``: since when the broker is gone; None while there is a connection."""

    def __init__(self, now_s: float) -> None:
        self.by_level: dict[str, Rig] = {}
        self.lost_s: float | None = now_s
        self.why = "not connected yet"
        self.not_understood = 0

    def hear(self, topic: str, payload: bytes, now_s: float, *, retained: bool) -> None:
        """Any message of the broker; what cannot be understood is counted and left out."""
        top, _, below = topic.removeprefix(f"{ROOT}/").partition("/")
        if not topic.startswith(f"{ROOT}/") or level(top) != top or not below:
            return
        rig = self.by_level.get(top) or Rig(top)
        try:
            rig.hear(below.split("/"), payload, now_s, retained=retained)
        except (ValidationError, NotATile, ValueError):
            self.not_understood += 1
            return
        self.by_level[top] = rig

    @property
    def shown(self) -> list[Rig]:
        """Rigs that have said what they are doing, by name."""
        return sorted((rig for rig in self.by_level.values() if rig.state is not None), key=lambda rig: rig.level)


METAL = ("area(moss)", "area(metal)", "window_area(metal)", "area(bulk)")
"""What says how much metal there is, the most telling first."""


def metal(rig: Rig, acquisition: str) -> str | None:
    """Level of the observable that is the metal's area in an acquisition; None where nobody measures one.

    Moss that is hardly ever resolved says less than the whole metal's window, which every spectrum has.
    """
    levels = {one.name: level for level, one in rig.observables.items()}
    found = [(levels[name], len(rig.seen(acquisition, levels[name]))) for name in METAL if name in levels]
    most = max((count for _, count in found), default=0)
    return next((level for level, count in found if 2 * count > most), None)


def rank(alarm_level: str) -> int:
    """0 for the mildest; one that nobody knows is the worst."""
    return ALARM_LEVELS.index(alarm_level) if alarm_level in ALARM_LEVELS else len(ALARM_LEVELS)


def labels(rig: Rig) -> Mapping[str, str]:
    """Names of the acquisitions that have spectra, then of those that have images, by level."""
    spectra = {name: axis.acquisition for name in rig.acquisitions if (axis := rig.axis(name))}
    return spectra | {one.level: one.acquisition for one in rig.images}
