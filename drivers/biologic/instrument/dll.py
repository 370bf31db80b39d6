"""The DLL's calls on an emulated instrument: connections, channels, codes, buffers. A pure-Python stand-in for ``EClib64.dll``.

Inferred, where no source says it: codes for labels and types that a technique does not have (-405), for a call on a connection that is
not there (-1, another's: -7), for UpdateParameters on what does not run (-6), and that firmware is not loaded on a channel that runs
(-13). The firmware that EC-Lab leaves reads 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PureWindowsPath

from drivers.biologic.eclib import (
    CHANNELS,
    FIRMWARE_KERNEL,
    FIRMWARE_NONE,
    STATE_RUN,
    STATE_STOP,
    TYPE_BOOL,
    TYPE_INT,
    TYPE_SINGLE,
    WORDS,
    ChannelInfos,
    CurrentValues,
    DataInfos,
    DeviceInfos,
    EccParam,
)
from drivers.biologic.instrument.channel import Channel
from drivers.biologic.instrument.data import bits, single
from drivers.biologic.instrument.parameters import LoadRefused, settled, technique_of, updated
from drivers.sim.switches import Faults

EC_LAB = 1
VERSION = 1134
CONNECTIONS = 4
MOST_UPDATED = 10
DEVICE_CODES = {1: 0, 2: 15, 3: 22}
KERNELS = {1: "kernel.bin", 2: "kernel4.bin", 3: "kernel5.bin"}
MAKE_MESSAGE = "cannot load experiment after make"
Labels = Callable[[str], None]


class Eclib:
    """``channels``: by number; ``family``: of all boards; ``now_s``: the twin's time; ``note`` hears of every call, by name."""

    def __init__(self, channels: Mapping[int, Channel], faults: Faults, *, family: int, now_s: Callable[[], float], note: Labels) -> None:
        self.channels = channels
        self.faults = faults
        self.family = family
        self.now_s = now_s
        self.note = note
        self.connections: list[int] = []
        self.connected_ever = 0
        self.cell_channel = min(channels)

    # ---------------------------------------------------------------------------------------------------- the instrument

    def BL_Connect(self, address: str, timeout_s: int) -> tuple[int, int, DeviceInfos]:  # noqa: ARG002
        """Open it."""
        self.note("BL_Connect")
        if (fault := self.faults.use("connect_failed")) is not None:
            return int(fault["code"]), 0, DeviceInfos()
        if "communication_failed" in self.faults:
            return -201, 0, DeviceInfos()
        if len(self.connections) >= CONNECTIONS:
            return -207, 0, DeviceInfos()
        self.connections.append(self.connected_ever)
        self.connected_ever += 1
        return 0, self.connections[-1], self._device()

    def _device(self) -> DeviceInfos:
        return DeviceInfos(
            DeviceCode=DEVICE_CODES[self.family],
            RAMSize=64,
            CPU=1,
            NumberOfChannels=len(self.channels),
            NumberOfSlots=CHANNELS,
            FirmwareVersion=VERSION,
            FirmwareDate_yyyy=2024,
            FirmwareDate_mm=5,
            FirmwareDate_dd=14,
            NbOfConnectedPC=len(self.connections),
        )

    def BL_TestConnection(self, ID: int) -> int:
        """Is it there?"""
        return self._link(ID)

    def BL_Disconnect(self, ID: int) -> int:
        """What runs goes on."""
        self.note("BL_Disconnect")
        if ID not in self.connections:
            return -1
        self.connections.remove(ID)
        return 0

    def _link(self, ID: int) -> int:
        if ID not in self.connections:
            return -7 if 0 <= ID < self.connected_ever else -1
        return -200 if "communication_failed" in self.faults else 0

    def BL_GetChannelsPlugged(self, ID: int) -> tuple[int, bytes]:
        """Which slots hold a channel."""
        missing = self.cell_channel if "channel_missing" in self.faults else None
        return self._link(ID), bytes(int(n in self.channels and n != missing) for n in range(CHANNELS))

    # ------------------------------------------------------------------------------------------------------- one channel

    def _reach(self, ID: int, channel: int) -> tuple[int, Channel | None]:
        """The channel as it is now, or why it cannot be asked."""
        code = self._link(ID)
        if code:
            return code, None
        missing = channel == self.cell_channel and "channel_missing" in self.faults
        if channel not in self.channels or missing:
            return -3, None
        if channel == self.cell_channel and self.faults.use("busy"):
            return -12, None
        found = self.channels[channel]
        found.advance(self.now_s())
        return 0, found

    def _obeying(self, ID: int, channel: int) -> tuple[int, Channel | None]:
        """A channel with the package's kernel on it."""
        code, found = self._reach(ID, channel)
        if found is None or found.firmware == FIRMWARE_KERNEL:
            return code, found
        return (-9 if found.firmware == EC_LAB else -308), None

    def BL_GetChannelBoardType(self, ID: int, channel: int) -> tuple[int, int]:
        """The board's family."""
        code, _ = self._reach(ID, channel)
        return code, self.family

    def BL_GetChannelInfos(self, ID: int, channel: int) -> tuple[int, ChannelInfos]:
        """What it is, and what it does."""
        code, found = self._reach(ID, channel)
        if found is None:
            return code, ChannelInfos()
        if found.firmware == FIRMWARE_NONE and channel == self.cell_channel and "firmware_gone" in self.faults:
            return -308, ChannelInfos()
        return 0, ChannelInfos(
            Channel=channel,
            BoardVersion=3,
            BoardSerialNumber=1000 + channel,
            FirmwareCode=found.firmware,
            FirmwareVersion=VERSION,
            NbAmps=0,
            MemSize=found.memory.size_bytes,
            MemFilled=found.memory.filled_bytes,
            State=self._state(found, look=False),
            MaxIRange=10,
            MinIRange=4,
            MaxBandwidth=9,
            NbOfTechniques=len(found.techniques),
        )

    def _state(self, found: Channel, *, look: bool) -> int:
        """Between two techniques it may once read STOP."""
        state = found.state()
        if look and found.seams:
            found.seams = 0
            if "stop_sample" in self.faults and state == STATE_RUN:
                return STATE_STOP
        return state

    def BL_LoadFirmware(
        self,
        ID: int,
        channels: bytes,
        ShowGauge: int,  # noqa: ARG002
        ForceReload: int,
        BinFile: str,
        XlxFile: str,  # noqa: ARG002
    ) -> tuple[int, tuple[int, ...]]:
        """The kernel on the channels whose byte is 1."""
        self.note("BL_LoadFirmware")
        code = self._link(ID)
        if code:
            return code, (code,) * CHANNELS
        results = [self._load_firmware(n, force=bool(ForceReload), file=BinFile) if wanted else 0 for n, wanted in enumerate(channels)]
        return next((one for one in results if one), 0), tuple(results)

    def _load_firmware(self, channel: int, *, force: bool, file: str) -> int:
        found = self.channels.get(channel)
        if found is None:
            return -3
        found.advance(self.now_s())
        if found.state() == STATE_RUN:
            return -13
        mine = channel == self.cell_channel
        if (mine and "incompatible" in self.faults) or PureWindowsPath(file).name.lower() != KERNELS[self.family]:
            return -309
        if found.firmware != FIRMWARE_KERNEL or force:
            found.load_firmware()
        if mine:
            for fault in ("firmware_gone", "eclab_firmware"):
                self.faults.clear(fault)
        return 0

    # --------------------------------------------------------------------------------------------------------- techniques

    def BL_LoadTechnique(
        self,
        ID: int,
        channel: int,
        FName: str,
        Params: tuple[EccParam, ...],
        FirstTechnique: int,
        LastTechnique: int,
        DisplayParams: int,  # noqa: ARG002
    ) -> int:
        """Add a technique to the list."""
        self.note("BL_LoadTechnique")
        code, found = self._obeying(ID, channel)
        if found is None:
            return code
        if (refusal := self._spoilt_load(found, channel)) is not None:
            return refusal
        if found.running is not None or found.start_when_made:
            return -13
        if found.making and FirstTechnique:
            return self._load_while_making(found)
        if not FirstTechnique and (not found.techniques or found.complete):
            return -403
        try:
            technique = settled(technique_of(FName, self.family), Params)
        except LoadRefused as refused:
            found.messages.append(refused.message)
            return refused.code
        found.load(technique, first=bool(FirstTechnique), last=bool(LastTechnique))
        return 0

    def _spoilt_load(self, found: Channel, channel: int) -> int | None:
        """What a fault makes of a load; None: nothing."""
        if channel != self.cell_channel:
            return None
        if self.faults.use("load_lost"):
            found.lose_firmware()
            self.faults.on.setdefault("firmware_gone", {})
            return -200
        if "needs_power_cycle" in self.faults:
            return -401
        if self.faults.use("load_refused"):
            found.messages.append(MAKE_MESSAGE)
            return 0
        return None

    def _load_while_making(self, found: Channel) -> int:
        """The first time it answers 0 and says so; then -403. The list is broken either way."""
        if found.techniques:
            found.techniques, found.complete = [], False
            found.messages.append(MAKE_MESSAGE)
            return 0
        return -403

    def BL_UpdateParameters(self, ID: int, channel: int, TechIndx: int, Params: tuple[EccParam, ...], EccFileName: str) -> int:
        """New values for what runs."""
        self.note("BL_UpdateParameters")
        code, found = self._obeying(ID, channel)
        if found is None:
            return code
        if found.running is None:
            return -6
        if len(Params) > MOST_UPDATED or not 0 <= TechIndx < len(found.techniques):
            return -405
        try:
            if technique_of(EccFileName, self.family) != found.techniques[TechIndx]["name"]:
                return -405
            found.renew(TechIndx, updated(found.techniques[TechIndx], Params))
        except LoadRefused as refused:
            return refused.code
        return 0

    def BL_DefineBoolParameter(self, lbl: str, value: int, index: int) -> tuple[int, EccParam]:
        """Yes or no."""
        return 0, EccParam(lbl, TYPE_BOOL, int(bool(value)), index)

    def BL_DefineSglParameter(self, lbl: str, value: float, index: int) -> tuple[int, EccParam]:
        """A single."""
        return 0, EccParam(lbl, TYPE_SINGLE, bits(value), index)

    def BL_DefineIntParameter(self, lbl: str, value: int, index: int) -> tuple[int, EccParam]:
        """A whole number."""
        return 0, EccParam(lbl, TYPE_INT, int(value), index)

    # ------------------------------------------------------------------------------------------------------ start and stop

    def BL_StartChannel(self, ID: int, channel: int) -> int:
        """Run the list."""
        self.note("BL_StartChannel")
        code, found = self._obeying(ID, channel)
        if found is None:
            return code
        if channel == self.cell_channel and (fault := self.faults.use("start_refused")) is not None:
            return int(fault["code"])
        if found.running is not None or found.start_when_made:
            return -13
        if not found.complete:
            return -403
        if channel == self.cell_channel and self.faults.use("start_ignored") is not None:
            return 0
        found.start()
        found.advance(self.now_s())
        return 0

    def BL_StopChannel(self, ID: int, channel: int) -> int:
        """Open circuit."""
        self.note("BL_StopChannel")
        code, found = self._obeying(ID, channel)
        if found is None:
            return code
        if channel != self.cell_channel or not self.faults.use("stop_deaf"):
            found.stop()
        return 0

    # -------------------------------------------------------------------------------------------------------------- values

    def BL_GetCurrentValues(self, ID: int, channel: int) -> tuple[int, CurrentValues]:
        """What it shows now."""
        code, found = self._obeying(ID, channel)
        return (code, CurrentValues()) if found is None else (0, self._values(found))

    def _values(self, found: Channel) -> CurrentValues:
        voltage_V, current_A = found.read()
        run = found.running
        full_A = found.range_A if run is not None else None
        return CurrentValues(
            State=self._state(found, look=True),
            MemFilled=found.memory.filled_bytes,
            TimeBase=found.time_base_s,
            Ewe=voltage_V,
            EweRangeMin=-found.range_V,
            EweRangeMax=found.range_V,
            Ece=found.leads.counter_V(found.now_s),
            Eoverflow=int(abs(voltage_V) > found.range_V),
            I=current_A,
            IRange=int(found.techniques[run["index"]]["values"].get("I_Range", [0])[0]) if run is not None else 0,
            Ioverflow=int(bool(run and run.get("overload")) or (full_A is not None and abs(current_A) > 1.02 * full_A)),
            ElapsedTime=found.elapsed_s,
            OptErr=found.opt_err,
        )

    def BL_GetData(self, ID: int, channel: int) -> tuple[int, tuple[int, ...], DataInfos, CurrentValues]:
        """The oldest rows of one technique and one process."""
        code, found = self._obeying(ID, channel)
        if found is None:
            return code, (), DataInfos(), CurrentValues()
        if channel == self.cell_channel and (fault := self.faults.use("points_lost")) is not None:
            found.memory.lose(int(fault["rows"]))
        values, block, skipped = self._values(found), found.memory.take(WORDS), found.memory.skipped
        found.memory.skipped = 0
        if block is None:
            run = found.running
            index = 0 if run is None else int(run["index"])
            return 0, (), DataInfos(IRQskipped=skipped, TechniqueIndex=index), values
        rows, scale = block["rows"], 1000.0 if "start_time_ms" in self.faults else 1.0
        infos = DataInfos(
            IRQskipped=skipped,
            NbRows=len(rows),
            NbCols=len(rows[0]),
            TechniqueIndex=block["technique"],
            TechniqueID=block["id"],
            ProcessIndex=block["process"],
            loop=block["loop"],
            StartTime=block["start_s"] * scale,
        )
        return 0, tuple(word for row in rows for word in row), infos, values

    def BL_ConvertChannelNumericIntoSingle(self, num: int, ChannelType: int) -> tuple[int, float]:  # noqa: ARG002
        """A bit cast."""
        return 0, single(num)

    def BL_GetMessage(self, ID: int, channel: int) -> tuple[int, bytes]:
        """The oldest message."""
        code, found = self._reach(ID, channel)
        return code, found.messages.pop(0).encode("ascii", "replace") if found is not None and found.messages else b""

    def BL_GetOptErr(self, ID: int, channel: int) -> tuple[int, int, int]:
        """The option's error, once."""
        code, found = self._reach(ID, channel)
        if found is None:
            return code, 0, 0
        error, found.opt_err = found.opt_err, 0
        return 0, error, 0
