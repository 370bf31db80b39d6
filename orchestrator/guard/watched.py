"""What a guard is told at its start."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from drivers.base import Settings

FENCE = "fence"


@dataclass(frozen=True, slots=True)
class Watched:
    """One rig, one instrument.

    ``limit_s``: how long silence is borne; ``acting_s``: how old samples may be while the rig itself makes the cell safe;
    ``trip_after_s``: how long the guard tries the potentiostat before it trips the fence. ``fence``: driver, address and options
    of the hardware fence, ``notify``: who is told, both as the rig file has them. ``posts``: the folder in which guards say which
    instrument they hold ("": nowhere). ``rig``, ``run``: names, for people. ``under_way``: the cell may be under
    current already, heartbeat or not, since this guard takes another's place.
    """

    folder: str
    token: str
    limit_s: float
    driver: str
    address: str
    instrument: str = "potentiostat"
    channel: str = ""
    identity: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    speed: float = 1.0
    in_rig_process: bool = False
    acting_s: float = 0.0
    trip_after_s: float = 20.0
    fence: Mapping[str, Any] | None = None
    notify: Sequence[Mapping[str, Any]] = ()
    posts: str = ""
    rig: str = ""
    run: str = ""
    under_way: bool = False

    @classmethod
    def read(cls, message: Mapping[str, Any]) -> Self:
        """From JSON; raises ValueError where a field is missing or unknown."""
        try:
            return cls(**message)
        except TypeError as error:
            raise ValueError(f"not a watch: {error}") from None

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return dataclasses.asdict(self)

    @property
    def settings(self) -> Settings:
        """The instrument, opened for the guard alone."""
        return Settings(self.instrument, self.driver, self.address, self.channel, self.identity, dict(self.options))

    @property
    def fence_settings(self) -> Settings | None:
        """The hardware fence, where the rig has one."""
        if self.fence is None:
            return None
        return Settings(FENCE, str(self.fence["driver"]), str(self.fence["address"]), options=dict(self.fence.get("options", {})))
