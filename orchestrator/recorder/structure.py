"""Everything of a run file that is not rows: groups, texts, attributes. From it the next chapter's file and the merged one begin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator.recorder.appends import Append, Attributes, Make, Rows, Text
from orchestrator.recorder.datasets import Dataset
from orchestrator.recorder.layout import STATIC


class Structure:
    """What the appends so far have made. Bounded by the number of streams and instruments, not by the length of the run."""

    def __init__(self) -> None:
        self.makes: dict[str, Make] = {group.path: Make(group.path, group) for group in STATIC}
        self._optional: dict[str, dict[str, None]] = {}
        self._attributes: dict[str, dict[str, Any]] = {}
        self._texts: dict[str, str] = {}

    def remember(self, appends: Iterable[Append]) -> None:
        """Take the next appends, in order."""
        for append in appends:
            match append:
                case Make():
                    self.makes[append.path] = append
                case Rows():
                    self._note_optional(append)
                case Attributes():
                    known = self._attributes.setdefault(append.path, {})
                    known |= {name: value for name, value in append.values.items() if value is not None}
                case Text():
                    self._texts[append.path] = append.text
                case _:
                    pass

    def _note_optional(self, rows: Rows) -> None:
        for dataset in rows.group.datasets:
            if dataset.optional and dataset.name in rows.columns:
                self._optional.setdefault(rows.path, {})[dataset.name] = None

    def growing(self, path: str) -> list[Dataset]:
        """The datasets of a group that have rows, optional ones once they are known; empty where the group has none."""
        make = self.makes[path]
        known = self._optional.get(path, {})
        mine = (each for each in make.group.datasets if not each.link and each.dims[0] == make.group.grows)
        return [each for each in mine if each.name not in make.fixed and (not each.optional or each.name in known)]

    def optional(self, path: str) -> list[Dataset]:
        """The optional datasets of a group that are known by now."""
        return [each for each in self.growing(path) if each.optional]

    def described(self) -> list[Append]:
        """Attributes and texts, to be done once all groups are made."""
        attributes = [Attributes(path, values) for path, values in self._attributes.items()]
        return [*attributes, *(Text(path, text) for path, text in self._texts.items())]
