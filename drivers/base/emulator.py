"""The instrument's side of a wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class EmulatorAddress:
    """Where an emulator is found; what ``operando emulate`` prints as JSON (those that apply)."""

    name: str
    kind: str
    address: str
    host: str = ""
    port: int = 0
    visa: str = ""


@runtime_checkable
class Emulator(Protocol):
    """The instrument's side of a wire. Made by ``factory(settings, context)``; ``context.twin`` is the physics behind it.

    ``settings.options`` may hold ``faults`` (names), ``data`` (a folder to replay) and what the emulator documents.
    """

    fault_names: frozenset[str]

    async def start(self) -> EmulatorAddress:
        """Open the instrument's end of the wire and live."""

    async def stop(self) -> None:
        """Close the wire; the twin stays as it is."""

    def inject(self, fault: str, **parameters: Any) -> None:
        """Switch a fault on (``fault_names``)."""

    def snapshot(self) -> dict[str, Any]:
        """Plain data from which ``restore`` goes on."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
