"""The package's kernel on a channel: it takes the place of EC-Lab's firmware, and locks EC-Lab out until EC-Lab puts its own back."""

from __future__ import annotations

import logging

from drivers.biologic import eclib, wire
from drivers.biologic.channel import Channel, Refused
from drivers.biologic.models import Options
from drivers.biologic.wire import Family

FIRMWARE_S = 60.0
KERNELS = {
    Family.VMP3: ("kernel.bin", "Vmp_ii_0437_a6.xlx"),
    Family.VMP300: ("kernel4.bin", "Vmp_iv_0395_aa.xlx"),
    Family.PREMIUM: ("kernel.bin", ""),
}
"""Kernel and gate array by family (inferred from public programs)."""
WAY_BACK = "to give the channel back, start EC-Lab and let it update the channel's firmware (docs/how-to/biologic.md)"

_log = logging.getLogger(__name__)


class Firmware:
    """Of one channel."""

    def __init__(self, channel: Channel, options: Options) -> None:
        self._channel, self._options = channel, options

    async def ensure(self) -> None:
        """Our kernel on the channel; other firmware gives way only where the rig says so, and nothing runs. Raises Rejected."""
        try:
            infos = await self._channel.infos()
        except Refused as refused:
            if refused.code == wire.EC_LAB:
                raise self._channel.refusal(
                    "EC-Lab has the channel", advice="close EC-Lab's connection to this instrument first"
                ) from refused
            if refused.code not in wire.NO_KERNEL:
                raise
            infos = eclib.ChannelInfos()
        if infos.FirmwareCode == eclib.FIRMWARE_KERNEL:
            return
        await self._may_replace(infos)
        await self._replace()

    async def _may_replace(self, infos: eclib.ChannelInfos) -> None:
        number = self._channel.number + 1
        if number not in self._options.ours:
            advice = f"write `ours: [{number}]` in the rig if EC-Lab may lose this channel; {WAY_BACK}"
            raise self._channel.refusal(
                f"channel {number} has other firmware ({infos.FirmwareCode}), and the rig does not say it is ours", advice=advice
            )
        if infos.State != eclib.STATE_STOP:
            raise self._channel.refusal(f"channel {number} runs under other firmware", advice="stop it in EC-Lab first")
        for other, plugged in enumerate(self._channel.plugged):
            if plugged and other != self._channel.number and await self._runs(other):
                advice = "wait until it is over: the package's firmware would be loaded beside it"
                raise self._channel.refusal(f"channel {other + 1} of the same instrument runs, or cannot be asked", advice=advice)

    async def _runs(self, channel: int) -> bool:
        """Whatever cannot be told counts as running."""
        try:
            (infos,) = await self._channel.call("BL_GetChannelInfos", self._channel.id, channel)
        except Refused as refused:
            return refused.code not in wire.NO_KERNEL
        return bool(self._channel.of(eclib.ChannelInfos, infos).State != eclib.STATE_STOP)

    async def _replace(self) -> None:
        mask = bytes(int(number == self._channel.number) for number in range(eclib.CHANNELS))
        kernel, gates = KERNELS[self._channel.family]
        _log.warning(
            "%s: the package's firmware replaces what is on channel %d; %s", self._channel.name, self._channel.number + 1, WAY_BACK
        )
        files = (self._channel.file(kernel), self._channel.file(gates) if gates else "")
        results = (await self._channel.call("BL_LoadFirmware", self._channel.id, mask, 0, 1, *files, within_s=FIRMWARE_S))[0]
        code = results[self._channel.number] if len(results) > self._channel.number else 0
        if code < 0:
            raise Refused(code, "BL_LoadFirmware", self._channel.name)
        infos = await self._channel.infos()
        if infos.FirmwareCode != eclib.FIRMWARE_KERNEL:
            raise self._channel.refusal(f"firmware {infos.FirmwareCode} is on the channel after the kernel was loaded")
