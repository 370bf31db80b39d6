"""Who listens to a wire in tests."""

from __future__ import annotations

from dataclasses import dataclass, field


class Silence:
    """Nobody keeps the bytes."""

    def sent(self, data: bytes) -> None: ...

    def received(self, data: bytes) -> None: ...


@dataclass
class Tap:
    """Everything that passed, a piece each."""

    out: list[bytes] = field(default_factory=list)
    into: list[bytes] = field(default_factory=list)

    def sent(self, data: bytes) -> None:
        self.out += [data] if data else []

    def received(self, data: bytes) -> None:
        self.into += [data] if data else []
