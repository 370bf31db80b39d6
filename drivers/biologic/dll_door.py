"""A channel through the EC-Lab Development Package: the DLL, with its own firmware in the place of EC-Lab's.

Built to the document, not yet met an instrument.
"""

from __future__ import annotations

import logging

from drivers.base import Identity
from drivers.biologic import eclib, wire
from drivers.biologic.calls import Calls
from drivers.biologic.channel import Channel, Refused
from drivers.biologic.firmware import Firmware
from drivers.biologic.models import OVERLOAD_E, OVERLOAD_I, POINTS_LOST, Options
from drivers.biologic.techniques import Technique, techniques_of
from drivers.biologic.wire import Family
from drivers.clock import Clock
from drivers.errors import NotReachable, WrongInstrument
from drivers.stream.bounds import StepPlan
from drivers.stream.door import Batch, ChannelTaken, Look

MADE_S, MADE_EVERY_S = 5.0, 0.05
"""A list takes about 170 ms to be made, and the channel reads RUN meanwhile; another load in that time breaks it."""
MESSAGES_EVERY = 100
MOST_READS, EMPTY_READS = 10_000, 5

_log = logging.getLogger(__name__)


class DllDoor:
    """One channel of one instrument."""

    stops_needed = 3

    def __init__(self, calls: Calls, clock: Clock, options: Options, address: str, channel: int, name: str, wanted: str) -> None:
        self._clock, self._options, self._wanted = clock, options, wanted
        self._channel = Channel(calls, options, address, channel, name)
        self._firmware = Firmware(self._channel, options)
        self._fetched = 0

    # ---------------------------------------------------------------------------------------------------------- opening

    async def open(self) -> Identity:
        """Connect, or test the connection that there is. Raises NotReachable, WrongInstrument."""
        await self._channel.connect()
        return await self._meet()

    async def _meet(self) -> Identity:
        """Who it is. A channel without our kernel may not say."""
        try:
            serial, kernel = await self._serial()
        except Refused as silent:
            if silent.code not in wire.NO_KERNEL | {wire.EC_LAB}:
                raise
            serial, kernel = "", wire.meaning(silent.code)
        await self._channel.learn_board()
        model = f"channel {self._channel.number + 1}, {self._channel.family.name}"
        return Identity("BioLogic", model, serial, f"{self._channel.device_firmware}, {kernel}")

    async def _serial(self) -> tuple[str, str]:
        infos = await self._channel.infos()
        serial = str(infos.BoardSerialNumber)
        if self._wanted and serial != self._wanted:
            raise WrongInstrument(
                f"the channel's board has the serial number {serial}, not {self._wanted}",
                instrument=self._channel.name,
                advice="check address and channel, or the identity in the rig file",
            )
        ours = infos.FirmwareCode == eclib.FIRMWARE_KERNEL
        return serial, f"kernel {infos.FirmwareVersion}" if ours else f"firmware {infos.FirmwareCode}"

    async def close(self) -> None:
        """Disconnect; what runs goes on, and the channel keeps its data."""
        await self._channel.close()

    # ---------------------------------------------------------------------------------------------------------- looking

    async def look(self) -> Look:
        """Its current values; whether what runs is the package's own, and not EC-Lab's."""
        try:
            infos = await self._channel.infos()
            values = await self._channel.values()
        except Refused as refused:
            if refused.code in wire.NO_KERNEL:
                return Look(running=False, detail="no firmware on the channel: nothing drives it (inferred)")
            if refused.code == wire.EC_LAB:
                return Look(running=None, foreign=True, detail="EC-Lab has the channel")
            raise
        foreign = infos.FirmwareCode != eclib.FIRMWARE_KERNEL
        cell_V = values.Ewe - values.Ece if self._options.three else values.Ewe
        return Look(values.State != eclib.STATE_STOP, cell_V, values.I, values.ElapsedTime, foreign)

    async def fetch(self) -> Batch:
        """The oldest rows not yet read. Raises ChannelTaken where the channel's firmware is gone, BadReply for rows that are none."""
        try:
            words, infos, values = await self._channel.on_channel("BL_GetData")
        except Refused as refused:
            if refused.code in wire.NO_KERNEL | {wire.EC_LAB}:
                raise ChannelTaken(refused.message, instrument=self._channel.name, received=str(refused.code)) from refused
            raise
        self._channel.of(eclib.DataInfos, infos)
        self._channel.of(eclib.CurrentValues, values)
        family, singles = self._channel.family, None
        if family is not Family.VMP3:
            singles = {word: await self._channel.single(word) for word in sorted(wire.words_to_convert(words, infos, family))}
        rows = wire.decode(words, infos, values, family, singles, counter=self._options.three)
        self._fetched += 1
        if values.State == eclib.STATE_STOP or self._fetched % MESSAGES_EVERY == 0:
            await self._channel.messages()
        return Batch(rows, values.State != eclib.STATE_STOP, values.MemFilled > 0, _status(infos, values), await self._trouble(values))

    async def _trouble(self, values: eclib.CurrentValues) -> str:
        if not values.OptErr:
            return ""
        error, position = await self._channel.on_channel("BL_GetOptErr")
        words = {2: "its emergency input is open", 101: "too hot"}
        if not error:
            return ""
        return f"option error {error} ({words.get(error, 'not known')}) at position {position}"

    # ---------------------------------------------------------------------------------------------------------- running

    async def write(self, plan: StepPlan) -> None:
        """The DLL takes no files."""

    async def load(self, plan: StepPlan) -> None:
        """Our kernel where it is missing, then the list, once; then what the firmware says of it. Raises Rejected."""
        try:
            await self._firmware.ensure()
            await self._serial()
            values = await self._quiet()
            above = plan.order.voltage_V is None or plan.order.voltage_V >= values.Ewe
            made = techniques_of(plan, self._options.trigger(plan.order), bandwidth=self._options.bandwidth, above_rest=above)
            await self._load_list(made)
        except Refused as refused:
            raise self._channel.refusal(refused.message, advice=_advice(refused.code)) from refused

    async def _quiet(self) -> eclib.CurrentValues:
        """Stopped, and emptied of what an earlier list left behind."""
        await self._channel.on_channel("BL_StopChannel")
        values = await self._stopped()
        left = empty = 0
        for _ in range(MOST_READS):
            _, infos, now = await self._channel.on_channel("BL_GetData")
            left, empty = left + infos.NbRows, 0 if infos.NbRows else empty + 1
            if not now.MemFilled or empty >= EMPTY_READS:
                break
        if left:
            _log.warning("%s: %d rows of an earlier list were still in the channel; they are dropped", self._channel.name, left)
        await self._channel.messages()
        return values

    async def _stopped(self) -> eclib.CurrentValues:
        """Reads STOP several times in a row. Raises Rejected after some seconds without."""
        stops, waited_s = 0, 0.0
        while True:
            values = await self._channel.values()
            stops = stops + 1 if values.State == eclib.STATE_STOP else 0
            if stops >= self.stops_needed:
                return values
            if waited_s >= MADE_S:
                await self._channel.on_channel("BL_StopChannel")
                raise self._channel.refusal(f"the channel reads running for {MADE_S:g} s, and nothing was started")
            await self._clock.sleep(MADE_EVERY_S * self._clock.speed)
            waited_s += MADE_EVERY_S

    async def _load_list(self, made: tuple[Technique, ...]) -> None:
        try:
            await self._load_once(made)
        except NotReachable as fault:
            if fault.received != "-200":
                raise
            # the load that answered so took the channel's firmware with it (seen at stations)
            _log.warning("%s: %s; looking whether the firmware is still there", self._channel.name, fault.message)
            await self._firmware.ensure()
            await self._load_once(made)
        await self._stopped()
        infos = await self._channel.infos()
        if infos.NbOfTechniques not in {0, len(made)}:
            raise self._channel.refusal(f"the channel holds {infos.NbOfTechniques} techniques, not {len(made)}")

    async def _load_once(self, made: tuple[Technique, ...]) -> None:
        for number, technique in enumerate(made):
            first, last = int(number == 0), int(number == len(made) - 1)
            path = self._channel.file(f"{technique.name}{self._channel.family.value}.ecc")
            await self._channel.on_channel("BL_LoadTechnique", path, technique.params, first, last, 0)
            if refused := [text for text in await self._channel.messages() if wire.refuses(text)]:
                raise self._channel.refusal(f"{technique.name} was refused by a message: {refused[0]}")

    async def start(self) -> None:
        """Run the list. Raises Rejected where the DLL refuses."""
        try:
            await self._channel.on_channel("BL_StartChannel")
        except Refused as refused:
            raise self._channel.refusal(refused.message, advice=_advice(refused.code)) from refused

    async def stop(self) -> None:
        """Stop the list; a channel without firmware has none."""
        try:
            await self._channel.on_channel("BL_StopChannel")
        except Refused as refused:
            if refused.code not in wire.NO_KERNEL:
                raise


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
