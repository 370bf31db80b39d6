"""Who keeps a run from going on, and why: each owner has a word of its own, and nobody ends another's."""

from __future__ import annotations

from enum import StrEnum


class Owner(StrEnum):
    """Who has paused the cell, or refuses acquisitions."""

    PERSON = "person"
    RULE = "rule"
    MISSED = "missed policy"
    BOOKING = "booking"
    DISK = "disk"
    ENDING = "ending"
    HANDS = "hands"


RESUMED_BY_PEOPLE = (Owner.PERSON, Owner.RULE, Owner.HANDS)
"""What a person's ``resume`` ends; the others end by themselves, or never."""


class Whys:
    """One reason an owner, in the order in which they came."""

    def __init__(self) -> None:
        self._of: dict[Owner, str] = {}

    def add(self, owner: Owner, why: str) -> None:
        """This owner's reason, instead of an earlier one of its own."""
        self._of[owner] = why

    def remove(self, *owners: Owner) -> list[str]:
        """End what these owners wanted; returns the reasons that are gone."""
        return [self._of.pop(owner) for owner in owners if owner in self._of]

    @property
    def wished(self) -> bool:
        """True when somebody wanted it so; nobody wants a full disk."""
        return Owner.DISK not in self._of

    @property
    def text(self) -> str | None:
        """All reasons in one line; None when there is none."""
        return "; ".join(self._of.values()) or None
