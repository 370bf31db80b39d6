"""Commands to a running rig, and its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a verb: its name, its type, and whether the verb means nothing without it."""

    name: str
    type: type
    required: bool = False


ARGUMENTS: Mapping[str, tuple[Argument, ...]] = {
    "status": (),
    "pause nmr": (),
    "pause cell": (Argument("now", bool),),
    "resume": (),
    "skip": (),
    "stop": (Argument("after_step", bool),),
    "abort": (),
    "acquire": (Argument("name", str, required=True), Argument("every_s", float)),
    "acknowledge": (Argument("alarm", str, required=True),),
    "note": (Argument("text", str, required=True),),
    "observed": (Argument("observables", list, required=True), Argument("through", int)),
}
"""Every verb and what it takes; the command line sends these names and the runner reads them.

``through`` of ``observed``: whoever looks at the spectra has told of all that were stored up to this event.
"""

VERBS = tuple(ARGUMENTS)
IN_WORDS = {bool: "true or false", str: "a text", float: "a number", int: "a whole number", list: "a list of tables"}


def complaint(verb: str, arguments: Mapping[str, Any]) -> str | None:
    """What is wrong with a command, in a sentence; None when nothing is."""
    if verb not in ARGUMENTS:
        return f"no verb {verb!r}; there are: {', '.join(VERBS)}"
    known = {argument.name: argument for argument in ARGUMENTS[verb]}
    for name in arguments:
        if name not in known:
            return f"`{verb}` takes no argument {name!r}; it takes: {', '.join(known) or 'none'}"
    for name, argument in known.items():
        if name not in arguments:
            if argument.required:
                return f"`{verb}` needs {name!r}, {IN_WORDS[argument.type]}"
        elif not _fits(arguments[name], argument.type):
            return f"{name!r} of `{verb}` must be {IN_WORDS[argument.type]}, not {arguments[name]!r}"
    return None


def _fits(value: object, wanted: type) -> bool:
    if wanted is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if wanted is list:
        return isinstance(value, list) and all(isinstance(one, dict) for one in value)
    return isinstance(value, wanted)


@dataclass(frozen=True, slots=True)
class Command:
    """One command: a verb of ``VERBS``, its arguments, and who gave it. The same ``id`` twice is once.

    ``if_state``: refused in any other state of the run ("": in none). ``why``: the reason that was given.
    """

    id: str
    verb: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    who: str = "local"
    if_state: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a command; given only when the journal has it."""

    id: str
    ok: bool
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)
