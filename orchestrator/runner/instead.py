"""What triggers ask for in place of what the experiment says, since a rule has changed it (``do: change acquisition``). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

EVERY = ""
"""Stands for every acquisition that has no change of its own."""


class Instead:
    """Acquisition → the one that is taken for it from now on; the newest change counts."""

    def __init__(self, changes: Mapping[str, str] | None = None) -> None:
        self._changes = dict(changes or {})

    def change(self, old: str | None, new: str) -> None:
        """``old`` None: all of them."""
        if old is None:
            self._changes.clear()
        self._changes[old or EVERY] = new

    def __bool__(self) -> bool:
        """True where something has been changed."""
        return bool(self._changes)

    def of(self, name: str) -> str:
        """What is taken where a trigger says ``name``."""
        return self._changes.get(name, self._changes.get(EVERY, name))

    def asked_for(self, taken: str, names: Iterable[str]) -> list[str]:
        """Which of ``names`` a trigger may have said where ``taken`` was measured: one that ran when it was changed is still its own."""
        return [name for name in names if taken in {name, self.of(name)}]

    @property
    def changes(self) -> dict[str, str]:
        """As it is given to a run that goes on."""
        return dict(self._changes)
