"""Where things stand on the broker: ``operando/v1/<rig>/…``. Pure names; ``monitor.payloads`` says what is in them.

Every level is of lower-case letters, digits and ``-``, which is safe in every consumer; the payload has the full name. What is
retained is the whole picture: whoever comes at three in the morning has it from the broker alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

VERSION = 1
ROOT = f"operando/v{VERSION}"

ROWS = 256
"""So many spectra of each acquisition are on the broker at once; see ``monitor.tiles``."""
EC_TILES = 24
SEEN_TILES = 16

Payload = Literal["text", "json", "row", "samples", "seen", "strip"]


def level(text: str) -> str:
    """A name as a level of a topic: ``7Li_metal`` → ``7li-metal``."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "unnamed"


class Levels:
    """Names as levels, where no two names share one: the later of two that look alike gets ``-2``."""

    def __init__(self) -> None:
        self._levels: dict[str, str] = {}

    def of(self, name: str) -> str:
        """The level of this name; the same name always has the same."""
        if name not in self._levels:
            wanted, taken = level(name), set(self._levels.values())
            others = (f"{wanted}-{number}" for number in range(2, len(taken) + 3))
            self._levels[name] = wanted if wanted not in taken else next(one for one in others if one not in taken)
        return self._levels[name]


COMMAND_LEVELS: Mapping[str, str] = {
    "status": "status",
    "pause-nmr": "pause nmr",
    "pause-cell": "pause cell",
    "resume": "resume",
    "skip": "skip",
    "stop": "stop",
    "abort": "abort",
    "acquire": "acquire",
    "acknowledge": "acknowledge",
    "note": "note",
}
"""The last level of a command's topic, and the verb of ``control.messages`` that it stands for. There is no "set current"."""


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one rig, by its level."""

    rig: str

    @property
    def top(self) -> str:
        """What all of them begin with."""
        return f"{ROOT}/{self.rig}"

    @property
    def status(self) -> str:
        """``online`` or ``offline``; the broker itself says ``offline`` when the connection breaks."""
        return f"{self.top}/status"

    @property
    def state(self) -> str:
        """The rig now."""
        return f"{self.top}/state"

    @property
    def ec(self) -> str:
        """The newest sample."""
        return f"{self.top}/ec"

    @property
    def event(self) -> str:
        """The journal."""
        return f"{self.top}/event"

    def spectrum(self, acquisition: str) -> str:
        """The newest spectrum of an acquisition, in numbers."""
        return f"{self.top}/spectrum/{acquisition}"

    def image(self, acquisition: str) -> str:
        """The newest image of an acquisition, in numbers."""
        return f"{self.top}/image/{acquisition}"

    def strip(self, kind: str, acquisition: str, number: int) -> str:
        """Some rows of the newest ``image`` of an acquisition, or of its ``map`` of T2."""
        return f"{self.top}/view/{kind}/{acquisition}/{number:03d}"

    def line(self, acquisition: str, name: str) -> str:
        """A fitted line of the newest spectrum of an acquisition."""
        return f"{self.top}/line/{acquisition}/{name}"

    def observable(self, name: str) -> str:
        """The newest value of an observable."""
        return f"{self.top}/observable/{name}"

    def sensor(self, name: str) -> str:
        """The newest value of a sensor."""
        return f"{self.top}/sensor/{name}"

    def alarm(self, name: str) -> str:
        """An alarm that stands; empty when it no longer does."""
        return f"{self.top}/alarm/{name}"

    def axis(self, acquisition: str) -> str:
        """The ppm axis of an acquisition's rows."""
        return f"{self.top}/view/axis/{acquisition}"

    def row(self, acquisition: str, slot: int) -> str:
        """One spectrum for the waterfall."""
        return f"{self.top}/view/row/{acquisition}/{slot:03d}"

    def newest_row(self, acquisition: str) -> str:
        """The newest spectrum, which the waterfall may have left out."""
        return f"{self.top}/view/row/{acquisition}/newest"

    def samples(self, tile: int) -> str:
        """A stretch of the night's voltage and current."""
        return f"{self.top}/view/ec/{tile:03d}"

    def seen(self, acquisition: str, observable: str, tile: int) -> str:
        """A stretch of the night's values of an observable in the spectra of one acquisition."""
        return f"{self.top}/view/observable/{acquisition}/{observable}/{tile:03d}"

    def command(self, user: str, verb: str) -> str:
        """Where ``user`` sends a command: a key of ``COMMAND_LEVELS``."""
        return f"{self.top}/cmd/{user}/{verb}"

    def reply(self, user: str, client: str) -> str:
        """Where the answer to a command goes; ``reply_to`` of the command names it."""
        return f"{self.top}/reply/{user}/{client}"

    @property
    def commands(self) -> str:
        """What the rig subscribes to."""
        return self.command("+", "+")

    @property
    def replies(self) -> str:
        """What every ``reply_to`` must begin with, before the user."""
        return f"{self.top}/reply/"

    @property
    def passing(self) -> tuple[str, ...]:
        """Retained topics that may be left from an earlier run, or of an alarm that no longer stands."""
        return tuple(f"{self.top}/{branch}/#" for branch in ("alarm", "spectrum", "image", "line", "observable", "sensor", "view"))

    def is_passing(self, topic: str) -> bool:
        """Is this one of them?"""
        return topic.startswith(tuple(one.removesuffix("#") for one in self.passing))

    def addressed(self, topic: str) -> tuple[str, str] | None:
        """User and verb's level of a command's topic; None where it is none of ours."""
        parts = topic.removeprefix(f"{self.top}/cmd/").split("/")
        return (parts[0], parts[1]) if topic.startswith(f"{self.top}/cmd/") and len(parts) == 2 else None


@dataclass(frozen=True, slots=True)
class Described:
    """One row of the topic tree: its pattern below ``operando/v1/<rig>/``, its payload and how it is sent.

    ``model``: the class of ``monitor.payloads`` where the payload is JSON. ``lane``: ``journal`` is delivered in order and never
    dropped, of ``newest`` only the newest value waits for a connection.
    """

    pattern: str
    payload: Payload
    model: str
    qos: Literal[0, 1]
    retained: bool
    lane: Literal["journal", "newest", "command"]
    meaning: str


TREE: tuple[Described, ...] = (
    Described("status", "text", "", 1, True, "newest", "`online` or `offline`; the last will says `offline` when the publisher is gone"),
    Described("state", "json", "State", 1, True, "newest", "what the rig is doing; again every 10 s at the latest"),
    Described("ec", "json", "Sample", 0, False, "newest", "the newest sample of the cell, at most one a second"),
    Described("sensor/<sensor>", "json", "SensorValue", 1, True, "newest", "the newest value of a sensor, at most one a second"),
    Described("spectrum/<acquisition>", "json", "Spectrum", 1, True, "newest", "the newest spectrum of an acquisition, in numbers"),
    Described("image/<acquisition>", "json", "Image", 1, True, "newest", "the newest image of an acquisition, in numbers"),
    Described("line/<acquisition>/<name>", "json", "FittedLine", 1, True, "newest", "a fitted line of the newest spectrum that has it"),
    Described("observable/<name>", "json", "Observable", 1, True, "newest", "the newest value of an observable"),
    Described("event", "json", "Event", 1, False, "journal", "what happened, an event of the journal each, in order and without a gap"),
    Described("alarm/<id>", "json", "Alarm", 1, True, "newest", "an alarm that stands; an empty payload clears it"),
    Described("view/axis/<acquisition>", "json", "Axis", 1, True, "newest", "the axis of an acquisition's rows"),
    Described("view/row/<acquisition>/<NNN>", "row", "", 1, True, "newest", f"one spectrum of the waterfall; at most {ROWS}, in no order"),
    Described("view/row/<acquisition>/newest", "row", "", 1, True, "newest", "the newest spectrum, which the waterfall may leave out"),
    Described("view/image/<acquisition>/<NNN>", "strip", "", 1, True, "newest", "some rows of the newest image of an acquisition"),
    Described("view/map/<acquisition>/<NNN>", "strip", "", 1, True, "newest", "the same of its newest map of T2, in ms"),
    Described("view/ec/<NNN>", "samples", "", 1, True, "newest", f"voltage and current from the run's start; at most {EC_TILES} tiles"),
    Described(
        "view/observable/<acquisition>/<name>/<NNN>",
        "seen",
        "",
        1,
        True,
        "newest",
        f"an observable's values in the spectra of an acquisition; `unnamed`: of none; at most {SEEN_TILES} tiles",
    ),
    Described("cmd/<user>/<verb>", "json", "Command", 1, False, "command", "what a person wants; never retained"),
    Described("reply/<user>/<client>", "json", "Reply", 1, False, "command", "what became of a command"),
)
