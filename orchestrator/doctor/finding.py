"""One line of the doctor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """*ok*; *warn*: it runs, and may hurt at night; *fail*: it does not run; *unknown*: could not be found out here."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """``area``: computer, libraries, disk, ports, broker, or an instrument's name. ``fix``: what a person can do; "" when nothing."""

    area: str
    name: str
    state: State
    text: str
    fix: str = ""


def ok(area: str, name: str, text: str) -> Finding:
    """Nothing to do."""
    return Finding(area, name, State.OK, text)


def worst(findings: Iterable[Finding]) -> State:
    """The gravest state among them; what is unknown weighs nothing."""
    found = {finding.state for finding in findings}
    return State.FAIL if State.FAIL in found else State.WARN if State.WARN in found else State.OK
