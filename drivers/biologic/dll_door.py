"""A channel through the EC-Lab Development Package: the DLL, with its own firmware in the place of EC-Lab's.

Built to the document, not yet met an instrument.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, TypeVar

from drivers.base import Identity
from drivers.biologic import eclib, wire
from drivers.biologic.calls import CALL_S, Calls
from drivers.biologic.door import Batch, ChannelTaken, Look
from drivers.biologic.models import OVERLOAD_E, OVERLOAD_I, POINTS_LOST, Options
from drivers.biologic.techniques import Plan, Technique, techniques_of
from drivers.biologic.wire import Family
from drivers.clock import Clock
from drivers.errors import DeviceFault, InstrumentError, NotReachable, Rejected, WrongInstrument

FIRMWARE_S = 60.0
MADE_S, MADE_EVERY_S = 5.0, 0.05
"""A list takes about 170 ms to be made, and the channel reads RUN meanwhile; another load in that time breaks it."""
MOST_MESSAGES = 100
MESSAGES_EVERY = 100
KERNELS = {
    Family.VMP3: ("kernel.bin", "Vmp_ii_0437_a6.xlx"),
    Family.VMP300: ("kernel4.bin", "Vmp_iv_0395_aa.xlx"),
    Family.PREMIUM: ("kernel.bin", ""),
}
"""Kernel and gate array by family (inferred from public programs)."""
BOARDS = {eclib.BOARD_ESSENTIAL: Family.VMP3, eclib.BOARD_PREMIUM: Family.VMP300, eclib.BOARD_DIGICORE: Family.PREMIUM}
NAMED = {"VMP3": Family.VMP3, "VMP-300": Family.VMP300, "premium": Family.PREMIUM}
WAY_BACK = "to give the channel back, start EC-Lab and let it update the channel's firmware (docs/how-to/biologic.md)"

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Refused(DeviceFault):
    """The DLL answered with a code below 0 that is no matter of the link."""

    def __init__(self, code: int, name: str, instrument: str) -> None:
        super().__init__(f"{name}: {wire.meaning(code)}", instrument=instrument, sent=name, received=str(code))
        self.code = code


class DllDoor:
    """One channel of one instrument."""

    stops_needed = 3

    def __init__(self, calls: Calls, clock: Clock, options: Options, address: str, channel: int, name: str, wanted: str) -> None:
        self._calls, self._clock, self._options = calls, clock, options
        self._address, self._channel, self._name, self._wanted = address, channel, name, wanted
        self._id: int | None = None
        self._plugged = b""
        self._board, self._family = eclib.BOARD_ESSENTIAL, NAMED.get(options.family, Family.VMP3)
        self._fetched = 0

    # ------------------------------------------------------------------------------------------------------- the calls

    async def _call(self, name: str, *args: Any, within_s: float = CALL_S) -> tuple[Any, ...]:
        """What a call brings besides its code. Raises NotReachable, Refused."""
        answer = await self._calls.call(name, *args, within_s=within_s)
        code, *values = answer if isinstance(answer, tuple) else (answer,)
        if not isinstance(code, int):
            raise DeviceFault(f"{name} answered {code!r}", instrument=self._name, sent=name)
        if code in wire.LINK:
            raise NotReachable(f"{name}: {wire.meaning(code)}", instrument=self._name, sent=name, received=str(code))
        if code < 0:
            raise Refused(code, name, self._name)
        return tuple(values)

    async def _on_channel(self, name: str, *args: Any, within_s: float = CALL_S) -> tuple[Any, ...]:
        if self._id is None:
            raise NotReachable("no connection", instrument=self._name, sent=name)
        return await self._call(name, self._id, self._channel, *args, within_s=within_s)

    async def _infos(self) -> eclib.ChannelInfos:
        (infos,) = await self._on_channel("BL_GetChannelInfos")
        return self._of(eclib.ChannelInfos, infos)

    async def _values(self) -> eclib.CurrentValues:
        (values,) = await self._on_channel("BL_GetCurrentValues")
        return self._of(eclib.CurrentValues, values)

    def _of(self, kind: type[T], value: Any) -> T:
        if not isinstance(value, kind):
            raise DeviceFault(f"{kind.__name__} were asked for, and {value!r} came", instrument=self._name)
        return value

    # ---------------------------------------------------------------------------------------------------------- opening

    async def open(self) -> Identity:
        """Connect, or test the connection that there is. Raises NotReachable, WrongInstrument."""
        if self._id is not None:
            try:
                await self._call("BL_TestConnection", self._id)
            except InstrumentError:
                await self._disconnect()
        if self._id is None:
            self._id, device = await self._call("BL_Connect", self._address, 5)
            self._firmware = str(self._of(eclib.DeviceInfos, device).FirmwareVersion)
        (self._plugged,) = await self._call("BL_GetChannelsPlugged", self._id)
        if len(self._plugged) <= self._channel or not self._plugged[self._channel]:
            raise WrongInstrument(
                f"no channel {self._channel + 1} is plugged", instrument=self._name, advice="look at its number in EC-Lab"
            )
        return await self._meet()

    async def _meet(self) -> Identity:
        """Who it is. A channel without our kernel may not say."""
        try:
            serial, kernel = await self._serial()
        except Refused as silent:
            if silent.code not in wire.NO_KERNEL | {wire.EC_LAB}:
                raise
            serial, kernel = "", wire.meaning(silent.code)
        await self._learn_board()
        return Identity("BioLogic", f"channel {self._channel + 1}, {self._family.name}", serial, f"{self._firmware}, {kernel}")

    async def _serial(self) -> tuple[str, str]:
        infos = await self._infos()
        serial = str(infos.BoardSerialNumber)
        if self._wanted and serial != self._wanted:
            raise WrongInstrument(
                f"the channel's board has the serial number {serial}, not {self._wanted}",
                instrument=self._name,
                advice="check address and channel, or the identity in the rig file",
            )
        return (
            serial,
            f"kernel {infos.FirmwareVersion}" if infos.FirmwareCode == eclib.FIRMWARE_KERNEL else f"firmware {infos.FirmwareCode}",
        )

    async def _learn_board(self) -> None:
        if self._options.family:
            self._board = next(board for board, family in BOARDS.items() if family is self._family)
            return
        (self._board,) = await self._on_channel("BL_GetChannelBoardType")
        self._family = BOARDS.get(self._board, Family.VMP3)

    async def _disconnect(self) -> None:
        number, self._id = self._id, None
        try:
            await self._call("BL_Disconnect", number, within_s=2.0)
        except InstrumentError as fault:
            _log.info("%s: not disconnected: %s", self._name, fault.message)

    async def close(self) -> None:
        """Disconnect; what runs goes on, and the channel keeps its data."""
        if self._id is not None:
            await self._disconnect()
        await self._calls.close()

    # ---------------------------------------------------------------------------------------------------------- looking

    async def look(self) -> Look:
        """Its current values; whether what runs is the package's own, and not EC-Lab's."""
        try:
            infos = await self._infos()
            values = await self._values()
        except Refused as refused:
            if refused.code in wire.NO_KERNEL:
                return Look(running=False, detail="no firmware on the channel: nothing drives it (inferred)")
            if refused.code == wire.EC_LAB:
                return Look(running=None, foreign=True, detail="EC-Lab has the channel")
            raise
        foreign = infos.FirmwareCode != eclib.FIRMWARE_KERNEL
        return Look(values.State != eclib.STATE_STOP, values.Ewe, values.I, values.ElapsedTime, foreign)

    async def fetch(self) -> Batch:
        """The oldest rows not yet read. Raises ChannelTaken where the channel's firmware is gone, BadReply for rows that are none."""
        try:
            words, infos, values = await self._on_channel("BL_GetData")
        except Refused as refused:
            if refused.code in wire.NO_KERNEL | {wire.EC_LAB}:
                raise ChannelTaken(refused.message, instrument=self._name, received=str(refused.code)) from refused
            raise
        self._of(eclib.DataInfos, infos)
        self._of(eclib.CurrentValues, values)
        singles = None
        if self._family is not Family.VMP3:
            singles = {word: await self._single(word) for word in sorted(wire.words_to_convert(words, infos, self._family))}
        rows = wire.decode(words, infos, values, self._family, singles)
        self._fetched += 1
        if values.State == eclib.STATE_STOP or self._fetched % MESSAGES_EVERY == 0:
            await self._messages()
        return Batch(rows, values.State != eclib.STATE_STOP, values.MemFilled > 0, _status(infos, values), await self._trouble(values))

    async def _single(self, word: int) -> float:
        (number,) = await self._call("BL_ConvertChannelNumericIntoSingle", word, self._board)
        return float(number)

    async def _trouble(self, values: eclib.CurrentValues) -> str:
        if not values.OptErr:
            return ""
        error, position = await self._on_channel("BL_GetOptErr")
        words = {2: "its emergency input is open", 101: "too hot"}
        return f"option error {error} ({words.get(error, 'not known')}) at position {position}"

    async def _messages(self) -> list[str]:
        """What the firmware has to say, until it has said all."""
        texts = []
        for _ in range(MOST_MESSAGES):
            (raw,) = await self._on_channel("BL_GetMessage")
            if not raw or not (text := wire.message(raw)):
                break
            _log.info("%s: %s", self._name, text)
            texts.append(text)
        return texts

    # ---------------------------------------------------------------------------------------------------------- running

    async def load(self, plan: Plan) -> None:
        """Our kernel where it is missing, then the list, once; then what the firmware says of it. Raises Rejected."""
        try:
            await self._kernel()
            values = await self._quiet()
            above = plan.order.voltage_V is None or plan.order.voltage_V >= values.Ewe
            made = techniques_of(plan, self._options.trigger(), bandwidth=self._options.bandwidth, above_rest=above)
            await self._load_list(made)
        except Refused as refused:
            raise self._refusal(refused.message, advice=_advice(refused.code)) from refused

    async def _quiet(self) -> eclib.CurrentValues:
        """Stopped, and emptied of what an earlier list left behind."""
        await self._on_channel("BL_StopChannel")
        values = await self._stopped()
        left = 0
        for _ in range(MOST_MESSAGES * 100):
            _, infos, now = await self._on_channel("BL_GetData")
            left += infos.NbRows
            if not infos.NbRows and not now.MemFilled:
                break
        if left:
            _log.warning("%s: %d rows of an earlier list were still in the channel; they are dropped", self._name, left)
        await self._messages()
        return values

    async def _stopped(self) -> eclib.CurrentValues:
        """Reads STOP several times in a row. Raises Rejected after some seconds without."""
        stops, waited_s = 0, 0.0
        while True:
            values = await self._values()
            stops = stops + 1 if values.State == eclib.STATE_STOP else 0
            if stops >= self.stops_needed:
                return values
            if waited_s >= MADE_S:
                await self._on_channel("BL_StopChannel")
                raise self._refusal(f"the channel reads running for {MADE_S:g} s, and nothing was started")
            await self._clock.sleep(MADE_EVERY_S * self._clock.speed)
            waited_s += MADE_EVERY_S

    async def _load_list(self, made: tuple[Technique, ...]) -> None:
        try:
            await self._load_once(made)
        except NotReachable as fault:
            if fault.received != "-200":
                raise
            # the load that answered so took the channel's firmware with it (seen at stations)
            _log.warning("%s: %s; looking whether the firmware is still there", self._name, fault.message)
            await self._kernel()
            await self._load_once(made)
        await self._stopped()
        infos = await self._infos()
        if infos.NbOfTechniques not in {0, len(made)}:
            raise self._refusal(f"the channel holds {infos.NbOfTechniques} techniques, not {len(made)}")

    async def _load_once(self, made: tuple[Technique, ...]) -> None:
        for number, technique in enumerate(made):
            first, last = int(number == 0), int(number == len(made) - 1)
            path = self._file(f"{technique.name}{self._family.value}.ecc")
            await self._on_channel("BL_LoadTechnique", path, technique.params, first, last, 0)
            if refused := [text for text in await self._messages() if wire.refuses(text)]:
                raise self._refusal(f"{technique.name} was refused by a message: {refused[0]}")

    async def start(self) -> None:
        """Run the list. Raises Rejected where the DLL refuses."""
        try:
            await self._on_channel("BL_StartChannel")
        except Refused as refused:
            raise self._refusal(refused.message, advice=_advice(refused.code)) from refused

    async def stop(self) -> None:
        """Stop the list; a channel without firmware has none."""
        try:
            await self._on_channel("BL_StopChannel")
        except Refused as refused:
            if refused.code not in wire.NO_KERNEL:
                raise

    # --------------------------------------------------------------------------------------------------------- firmware

    async def _kernel(self) -> None:
        """Our kernel on the channel. It replaces EC-Lab's only where the rig says that the channel is ours, and nothing else runs."""
        try:
            infos = await self._infos()
        except Refused as refused:
            if refused.code == wire.EC_LAB:
                raise self._refusal("EC-Lab has the channel", advice="close EC-Lab's connection to this instrument first") from refused
            if refused.code not in wire.NO_KERNEL:
                raise
            infos = eclib.ChannelInfos()
        if infos.FirmwareCode == eclib.FIRMWARE_KERNEL:
            return
        await self._may_replace(infos)
        await self._replace()

    async def _may_replace(self, infos: eclib.ChannelInfos) -> None:
        number = self._channel + 1
        if number not in self._options.ours:
            advice = f"write `ours: [{number}]` in the rig if EC-Lab may lose this channel; {WAY_BACK}"
            raise self._refusal(
                f"channel {number} has other firmware ({infos.FirmwareCode}), and the rig does not say it is ours", advice=advice
            )
        if infos.State != eclib.STATE_STOP:
            raise self._refusal(f"channel {number} runs under other firmware", advice="stop it in EC-Lab first")
        for other, plugged in enumerate(self._plugged):
            if plugged and other != self._channel and await self._runs(other):
                advice = "wait until it is over: the package's firmware would be loaded beside it"
                raise self._refusal(f"channel {other + 1} of the same instrument runs, or cannot be asked", advice=advice)

    async def _runs(self, channel: int) -> bool:
        """Whatever cannot be told counts as running."""
        try:
            (infos,) = await self._call("BL_GetChannelInfos", self._id, channel)
        except Refused as refused:
            return refused.code not in wire.NO_KERNEL
        return bool(self._of(eclib.ChannelInfos, infos).State != eclib.STATE_STOP)

    async def _replace(self) -> None:
        mask = bytes(int(channel == self._channel) for channel in range(eclib.CHANNELS))
        kernel, gates = KERNELS[self._family]
        _log.warning("%s: the package's firmware replaces what is on channel %d; %s", self._name, self._channel + 1, WAY_BACK)
        files = (self._file(kernel), self._file(gates) if gates else "")
        results = (await self._call("BL_LoadFirmware", self._id, mask, 0, 1, *files, within_s=FIRMWARE_S))[0]
        if bad := [code for code in results if code < 0]:
            raise Refused(bad[0], "BL_LoadFirmware", self._name)
        infos = await self._infos()
        if infos.FirmwareCode != eclib.FIRMWARE_KERNEL:
            raise self._refusal(f"firmware {infos.FirmwareCode} is on the channel after the kernel was loaded")
        await self._serial()

    def _file(self, name: str) -> str:
        """The DLL wants absolute paths; what stands in its place wants a name."""
        return str(Path(self._options.package) / name) if self._options.package else name

    def _refusal(self, message: str, advice: str = "") -> Rejected:
        return Rejected(message, instrument=self._name, did="nothing was started", advice=advice)


def _status(infos: eclib.DataInfos, values: eclib.CurrentValues) -> int:
    bits = (OVERLOAD_E if values.Eoverflow else 0) | (OVERLOAD_I if values.Ioverflow else 0)
    return bits | (POINTS_LOST if infos.IRQskipped > 0 else 0)


def _advice(code: int) -> str:
    known = {
        wire.EC_LAB: "close EC-Lab's connection to this instrument first",
        -401: "seen after EC-Lab was used on the channel: switch the instrument off and on",
        -309: "the package's version and the instrument's do not fit",
        -403: "another load was still being made; try again",
    }
    return known.get(code, "")
