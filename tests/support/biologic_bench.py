"""Steps for BioLogic's tests, and an instrument's side that answers what a test says and nothing else (it is no instrument)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from wire_taps import Silence

from drivers.base import Context, EndConditions, Limits, Mode, Settings, StepOrder
from drivers.biologic import eclib
from drivers.biologic.driver import BioLogic
from drivers.biologic.remote import Served, serve
from drivers.clock import Clock
from drivers.errors import NotReachable

LIMITS = Limits(voltage_upper_V=4.3, voltage_lower_V=2.4, current_A=1e-3, charge_C=20.0, time_s=40_000.0)
BASE_S = 2e-5


def step(mode: Mode = Mode.GALVANOSTATIC, *, ends: dict[str, Any] | None = None, limits: Limits = LIMITS, **changes: Any) -> StepOrder:
    """Half a milliampere for an hour, unless something else is said."""
    order = StepOrder("step-1", mode, EndConditions(time_s=3600.0, **(ends or {})), limits, current_A=5e-4)
    return replace(order, **changes)


def bits(value: float) -> int:
    """A single as the DLL keeps it."""
    return int(struct.unpack("<I", struct.pack("<f", value))[0])


def row(time_s: float, voltage_V: float, current_A: float) -> tuple[int, ...]:
    """One row of CPLIMIT."""
    ticks = round(time_s / BASE_S)
    return (ticks >> 32, ticks & 0xFFFFFFFF, bits(voltage_V), bits(current_A), 0)


class Scripted:
    """Answers each call with what ``answers`` holds for it: a value, a list of values in turn (the last one stays), or a function.

    What it does not hold is answered like an idle channel with our kernel. ``asked``: every call, in order.
    """

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if not name.startswith("BL_") and name[:1].islower():
            raise AttributeError(name)

        def call(*args: Any) -> Any:
            self.asked.append((name, args))
            answer = self.answers.get(name, IDLE.get(name, 0))
            if isinstance(answer, list):
                answer = answer.pop(0) if len(answer) > 1 else answer[0]
            return answer(*args) if callable(answer) else answer

        return call

    def names(self, *wanted: str) -> list[str]:
        """The calls of these names, in order."""
        return [name for name, _ in self.asked if name in wanted]


KERNEL = eclib.ChannelInfos(BoardSerialNumber=4711, FirmwareCode=eclib.FIRMWARE_KERNEL, FirmwareVersion=113)
IDLE: dict[str, Any] = {
    "BL_Connect": (0, 7, eclib.DeviceInfos(FirmwareVersion=1142)),
    "BL_GetChannelsPlugged": (0, bytes([1, 1] + [0] * 14)),
    "BL_GetChannelBoardType": (0, eclib.BOARD_ESSENTIAL),
    "BL_GetChannelInfos": (0, KERNEL),
    "BL_LoadFirmware": (0, (0,) * 16),
    "BL_GetCurrentValues": (0, eclib.CurrentValues(TimeBase=BASE_S, Ewe=3.7)),
    "BL_GetData": (0, (), eclib.DataInfos(), eclib.CurrentValues(TimeBase=BASE_S, Ewe=3.7)),
    "BL_GetMessage": (0, b""),
    "BL_GetOptErr": (0, 0, 0),
}


def running(rows: list[tuple[int, ...]], technique: int = eclib.CPLIMIT, *, state: int = eclib.STATE_RUN, **values: Any) -> tuple[Any, ...]:
    """An answer of BL_GetData."""
    infos = eclib.DataInfos(NbRows=len(rows), NbCols=len(rows[0]) if rows else 0, TechniqueID=technique)
    return 0, tuple(word for one in rows for word in one), infos, eclib.CurrentValues(State=state, TimeBase=BASE_S, **values)


async def reached(network: Any, clock: Clock, backend: Any, calls: frozenset[str] | None = None, **options: Any) -> tuple[BioLogic, Served]:
    """A driver in front of a backend, over a wire; not yet connected."""
    served = await (serve(network, backend) if calls is None else serve(network, backend, calls))
    settings = Settings("cycler", "biologic", served.address, channel="1", options=options)
    return BioLogic(settings, Context(clock, network, Silence())), served


class Cable:
    """A network whose connections can be cut; what lies behind them goes on."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self.whole = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    async def connect(self, host: str, port: int) -> Plugged:
        """As the network does, while the cable is whole."""
        if not self.whole:
            raise NotReachable("the cable is cut")
        return Plugged(await self._network.connect(host, port), self)

    def cut(self) -> None:
        """Nothing comes through any more."""
        self.whole = False

    def mend(self) -> None:
        """New connections are taken again."""
        self.whole = True


class Plugged:
    """One end of a connection through a cable."""

    def __init__(self, stream: Any, cable: Cable) -> None:
        self._stream, self._cable = stream, cable

    async def read(self, limit: int = 65536) -> bytes:
        """The end of the stream once the cable is cut."""
        data: bytes = await self._stream.read(limit)
        return data if self._cable.whole else b""

    async def write(self, data: bytes) -> None:
        """Raises NotReachable once the cable is cut."""
        if not self._cable.whole:
            raise NotReachable("the cable is cut")
        await self._stream.write(data)

    async def close(self) -> None:
        """Let go."""
        await self._stream.close()
