"""The way up: what somebody outside has found in the spectra comes back as events of the run, each journaled once.

The control verb ``observed`` brings a list of findings. Each is checked against the declared observables, journaled as an
``observable`` event, and only then handed to the interlocks and the rules.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from orchestrator.model.observables import base_name, declared
from orchestrator.runner.station import Surroundings

KEYS = frozenset({"name", "value", "error", "unit", "key", "algorithm", "cause", "context", "line"})
NEEDED = ("name", "value", "unit", "key", "algorithm")
ONLY_IF_THERE = frozenset({"context", "line"})
LONGEST_TEXT = 200
LONGEST_CONTEXT = 20
MOST_KNOWN = 2_000
"""So many findings are remembered, so that one that is sent again is not journaled again: those of a hundred spectra. Who sends repeats
none but what was not answered."""


class Observed(NamedTuple):
    """One finding: ``value`` in the declared unit, ``key`` of the acquisition (or step) it was found in, and by what.

    ``context``: numbers and texts about the cell while it was measured (charge, x, cycle, step). ``line``: of a fitted line's area,
    its phase, shift and widths.
    """

    name: str
    value: float
    error: float | None
    unit: str
    key: str
    algorithm: str
    cause: int | None = None
    context: Mapping[str, float | str] | None = None
    line: Mapping[str, float | str] | None = None


class Refused(ValueError):
    """A finding that is none; nothing of its list was journaled."""


def observed(row: Mapping[str, Any]) -> Observed:
    """One finding as it came; raises Refused, in a sentence."""
    missing = [name for name in NEEDED if name not in row]
    if missing or not KEYS.issuperset(row):
        unknown = sorted(set(row) - KEYS)
        raise Refused(
            f"an observable needs {', '.join(NEEDED)}" + (f"; it has no {unknown[0]!r}" if unknown else f"; {missing[0]!r} is missing")
        )
    name, unit, key, algorithm = (_text(row, one) for one in ("name", "unit", "key", "algorithm"))
    known = declared(name)
    if known is None or known.of_line != ("(" in name) or (known.of_line and not name.endswith(")")):
        raise Refused(f"{name!r} is not a declared observable" + (f"; write {base_name(name)}(LINE)" if known and known.of_line else ""))
    if unit != known.unit:
        raise Refused(f"{name} is in {known.unit or 'no unit'}, not in {unit or 'no unit'}")
    return Observed(
        name, _number(row, "value"), _error(row), unit, key, algorithm, _cause(row), _table(row, "context"), _table(row, "line")
    )


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row[name]
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise Refused(f"{name!r} of an observable is a text of at most {LONGEST_TEXT} characters, not {value!r:.80}")
    return value


def _number(row: Mapping[str, Any], name: str) -> float:
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Refused(f"{name!r} of an observable is a number, not {value!r:.80}")
    return float(value)


def _error(row: Mapping[str, Any]) -> float | None:
    error = None if row.get("error") is None else _number(row, "error")
    if error is not None and error < 0.0:
        raise Refused(f"'error' of an observable is not negative, and not {error:g}")
    return error


def _cause(row: Mapping[str, Any]) -> int | None:
    cause = row.get("cause")
    if cause is not None and (isinstance(cause, bool) or not isinstance(cause, int) or cause < 1):
        raise Refused(f"'cause' of an observable is the number of an event, not {cause!r:.80}")
    return cause


def _table(row: Mapping[str, Any], name: str) -> dict[str, float | str] | None:
    table = row.get(name)
    if table is None:
        return None
    right = isinstance(table, Mapping) and len(table) <= LONGEST_CONTEXT and all(_plain(*item) for item in table.items())
    if not right:
        raise Refused(f"{name!r} of an observable is a table of at most {LONGEST_CONTEXT} numbers and texts, not {table!r:.80}")
    return dict(table)


def _plain(name: object, value: object) -> bool:
    texts = all(len(one) <= LONGEST_TEXT for one in (name, value) if isinstance(one, str))
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(name, str) and texts and (number or isinstance(value, str))


class Inlet:
    """Journals findings, each once."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._s = surroundings
        self._known: dict[tuple[str, str, str], tuple[float, int]] = {}
        self._through: int | None = None
        self._further = asyncio.Event()

    def looked(self, through: int) -> None:
        """All spectra that were stored up to this event have been told of."""
        self._through = max(through, self._through or 0)
        self._further.set()

    async def told(self, through: int) -> None:
        """Return when all spectra that were stored up to this event have been told of; at once where nobody looks at spectra."""
        while self._through is not None and self._through < through:
            self._further.clear()
            await self._further.wait()

    def take(self, rows: Sequence[Mapping[str, Any]], who: str) -> tuple[list[Observed], int]:
        """The findings that are new; and the number in the journal that covers all of the list.

        Raises Refused before anything is journaled. 0: there was none.
        """
        found = [observed(row) for row in rows]
        new: list[Observed] = []
        last_seq = 0
        for one in found:
            known = self._known.get((one.name, one.key, one.algorithm))
            if known is None or known[0] != one.value:
                seq = self._put(one, who)
                self._remember(one, seq)
                new.append(one)
                known = (one.value, seq)
            last_seq = max(last_seq, known[1])
        return new, last_seq

    def known(self, data: Mapping[str, Any], seq: int) -> None:
        """An ``observable`` event that stands in the journal already: a continued run does not take it twice."""
        self._known[data["name"], data["key"], data.get("algorithm", "")] = (data["value"], seq)

    def _put(self, one: Observed, who: str) -> int:
        data = {name: value for name, value in one._asdict().items() if name != "cause" and (name not in ONLY_IF_THERE or value)}
        return self._s.journal.put("observable", data, source=who, cause=one.cause)

    def _remember(self, one: Observed, seq: int) -> None:
        self._known[one.name, one.key, one.algorithm] = (one.value, seq)
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]
