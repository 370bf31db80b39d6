"""The DLL's calls on one channel: codes told apart, structures checked, the connection kept.

Built to the document, not yet met an instrument.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any, TypeVar

from drivers.biologic import eclib, wire
from drivers.biologic.calls import CALL_S, Calls
from drivers.biologic.models import Options
from drivers.biologic.wire import Family
from drivers.errors import BadReply, DeviceFault, InstrumentError, NotReachable, Rejected, WrongInstrument

DISCONNECT_S = 2.0
CONNECT_TIMEOUT_S = 5
MOST_MESSAGES = 100
BUSY_TIMES, BUSY_S = 10, 0.05
"""So often a call is made again that was answered with "an operation is in progress": it was not begun."""
BOARDS = {eclib.BOARD_ESSENTIAL: Family.VMP3, eclib.BOARD_PREMIUM: Family.VMP300, eclib.BOARD_DIGICORE: Family.PREMIUM}
NAMED = {"VMP3": Family.VMP3, "VMP-300": Family.VMP300, "premium": Family.PREMIUM}
BRINGS = {
    "BL_Connect": 2,
    "BL_GetChannelsPlugged": 1,
    "BL_GetChannelBoardType": 1,
    "BL_GetChannelInfos": 1,
    "BL_LoadFirmware": 1,
    "BL_GetCurrentValues": 1,
    "BL_GetData": 3,
    "BL_ConvertChannelNumericIntoSingle": 1,
    "BL_GetMessage": 1,
    "BL_GetOptErr": 2,
}
"""How many values a call brings besides its code; the others none."""
T = TypeVar("T")

_log = logging.getLogger(__name__)


class Refused(DeviceFault):
    """The DLL answered with a code below 0 that is no matter of the link."""

    def __init__(self, code: int, name: str, instrument: str) -> None:
        super().__init__(f"{name}: {wire.meaning(code)}", instrument=instrument, sent=name, received=str(code))
        self.code = code


class Channel:
    """One channel of one instrument. ``number`` counts from 0; ``plugged``: which of the 16 are there."""

    def __init__(self, calls: Calls, options: Options, address: str, number: int, name: str) -> None:
        self._calls, self._options, self._address = calls, options, address
        self.number, self.name = number, name
        self.id: int | None = None
        self.plugged = b""
        self.device_firmware = ""
        self.board, self.family = eclib.BOARD_ESSENTIAL, NAMED.get(options.family, Family.VMP3)

    async def call(self, name: str, *args: Any, within_s: float = CALL_S) -> tuple[Any, ...]:
        """What a call brings besides its code. Raises NotReachable, Refused, BadReply."""
        for _ in range(BUSY_TIMES):
            answer = await self._calls.call(name, *args, within_s=within_s)
            code, *values = answer if isinstance(answer, tuple) else (answer,)
            if not isinstance(code, int):
                raise BadReply(f"{name} answered {code!r}", instrument=self.name, sent=name)
            if code != wire.IN_PROGRESS:
                break
            await asyncio.sleep(BUSY_S)
        if code in wire.LINK:
            raise NotReachable(f"{name}: {wire.meaning(code)}", instrument=self.name, sent=name, received=str(code))
        if code < 0:
            raise Refused(code, name, self.name)
        if len(values) != BRINGS.get(name, 0):
            raise BadReply(f"{name} brought {len(values)} values, not {BRINGS.get(name, 0)}", instrument=self.name, sent=name)
        return tuple(values)

    async def on_channel(self, name: str, *args: Any, within_s: float = CALL_S) -> tuple[Any, ...]:
        """A call on this channel. Raises NotReachable, Refused, BadReply."""
        if self.id is None:
            raise NotReachable("no connection", instrument=self.name, sent=name)
        return await self.call(name, self.id, self.number, *args, within_s=within_s)

    async def infos(self) -> eclib.ChannelInfos:
        """The channel and its firmware."""
        (infos,) = await self.on_channel("BL_GetChannelInfos")
        return self.of(eclib.ChannelInfos, infos)

    async def values(self) -> eclib.CurrentValues:
        """What it shows now."""
        (values,) = await self.on_channel("BL_GetCurrentValues")
        return self.of(eclib.CurrentValues, values)

    def of(self, kind: type[T], value: Any) -> T:
        """The value, if it is one of this kind. Raises BadReply."""
        if not isinstance(value, kind):
            raise BadReply(f"{kind.__name__} were asked for, and {value!r} came", instrument=self.name)
        return value

    # --------------------------------------------------------------------------------------------------- the connection

    async def connect(self) -> None:
        """Connect, or test the connection that there is. Raises NotReachable, WrongInstrument."""
        if self.id is not None:
            try:
                await self.call("BL_TestConnection", self.id)
            except InstrumentError:
                await self.disconnect()
        if self.id is None:
            self.id, device = await self.call("BL_Connect", self._address, CONNECT_TIMEOUT_S)
            self.device_firmware = str(self.of(eclib.DeviceInfos, device).FirmwareVersion)
        (self.plugged,) = await self.call("BL_GetChannelsPlugged", self.id)
        if len(self.plugged) <= self.number or not self.plugged[self.number]:
            advice = "look at its number in EC-Lab"
            raise WrongInstrument(f"no channel {self.number + 1} is plugged", instrument=self.name, advice=advice)

    async def learn_board(self) -> None:
        """Which family of boards, unless the rig says it."""
        if self._options.family:
            self.board = next(board for board, family in BOARDS.items() if family is self.family)
            return
        (self.board,) = await self.on_channel("BL_GetChannelBoardType")
        self.family = BOARDS.get(self.board, Family.VMP3)

    async def disconnect(self) -> None:
        """Let go of the instrument; one that does not answer is let go all the same."""
        number, self.id = self.id, None
        try:
            await self.call("BL_Disconnect", number, within_s=DISCONNECT_S)
        except InstrumentError as fault:
            _log.info("%s: not disconnected: %s", self.name, fault.message)

    async def close(self) -> None:
        """Disconnect, and let go of the DLL."""
        if self.id is not None:
            await self.disconnect()
        await self._calls.close()

    # --------------------------------------------------------------------------------------------------------- and more

    async def single(self, word: int) -> float:
        """A word that holds a single, as the DLL converts it."""
        (number,) = await self.call("BL_ConvertChannelNumericIntoSingle", word, self.board)
        return float(number)

    async def messages(self) -> list[str]:
        """What the firmware has to say, until it has said all."""
        texts = []
        for _ in range(MOST_MESSAGES):
            (raw,) = await self.on_channel("BL_GetMessage")
            if not raw or not (text := wire.message(raw)):
                break
            _log.info("%s: %s", self.name, text)
            texts.append(text)
        return texts

    def file(self, name: str) -> str:
        """The DLL wants absolute paths; what stands in its place wants a name."""
        return str(Path(self._options.package) / name) if self._options.package else name

    def refusal(self, message: str, advice: str = "") -> Rejected:
        """Certainly nothing was started."""
        return Rejected(message, instrument=self.name, did="nothing was started", advice=advice)
