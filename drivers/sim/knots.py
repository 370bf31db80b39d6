"""States in the order of their times, as rows of doubles: hours of them take a tenth of the memory of the tuples."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from math import isnan, nan
from typing import Any, Generic, TypeVar, get_type_hints

S = TypeVar("S")

SHORT = {str: "str", int: "int", float: "float"}
DRIVES = ("off", "current", "voltage", "voltage_we")


class Shape(Generic[S]):
    """How a state (a named tuple of numbers, a drive, numbers that may be missing, and named tuples of numbers) is a row."""

    def __init__(self, specimen: S) -> None:
        whole: Any = specimen
        self._made: Any = type(whole)
        values, kinds = tuple(whole), get_type_hints(self._made)
        self._parts: list[tuple[Any, int]] = [
            (type(value), len(value)) if isinstance(value, tuple) else (SHORT.get(kinds[name], "float | None"), 1)
            for name, value in zip(self._made._fields, values, strict=True)
        ]
        self.width = sum(count for _, count in self._parts)

    def row(self, state: S) -> list[float]:
        """One number after the other."""
        found: list[float] = []
        for (kind, _), value in zip(self._parts, state, strict=True):  # type: ignore[call-overload]
            if not isinstance(kind, str):
                found.extend(value)
            else:
                found.append(nan if value is None else DRIVES.index(value) if kind == "str" else value)
        return found

    def state(self, row: list[float]) -> S:
        """The state of a row."""
        values: list[Any] = []
        place = 0
        for kind, count in self._parts:
            values.append(kind(*row[place : place + count]) if not isinstance(kind, str) else _number(kind, row[place]))
            place += count
        return self._made(*values)  # type: ignore[no-any-return]

    def of_lists(self, lists: list[Any]) -> S:
        """The state of a snapshot: its named tuples as lists."""
        return self._made(  # type: ignore[no-any-return]
            *(value if isinstance(kind, str) else kind(*value) for (kind, _), value in zip(self._parts, lists, strict=True))
        )


def _number(kind: str, number: float) -> Any:
    if kind == "str":
        return DRIVES[int(number)]
    if kind == "int":
        return int(number)
    return None if isnan(number) else number


class Knots(Generic[S]):
    """The states; the first one gives the shape of all."""

    def __init__(self, shape: Shape[S], states: Iterable[S]) -> None:
        self.shape = shape
        self.times_s = array("d")
        self._rows = array("d")
        for state in states:
            self.append(state)

    def __len__(self) -> int:
        return len(self.times_s)

    def __iter__(self) -> Iterator[S]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, n: int) -> S:
        width = self.shape.width
        return self.shape.state(self._rows[n * width : (n + 1) * width].tolist())

    def append(self, state: S) -> None:
        """One more, the newest."""
        row = self.shape.row(state)
        self.times_s.append(row[0])
        self._rows.extend(row)

    def cut(self, first: int, end: int) -> None:
        """Keep those from ``first`` on and before ``end``."""
        width = self.shape.width
        self.times_s, self._rows = self.times_s[first:end], self._rows[first * width : end * width]
