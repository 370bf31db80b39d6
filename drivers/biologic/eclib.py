r"""The EC-Lab Development Package's DLL as Python sees it: calls by their own names, plain values, no ctypes.

Every call answers with the DLL's return code first (0 = done, below 0 = an error, see ``CODES``), and what the DLL would have written
through a pointer after it. A call whose code is below 0 brings values of no meaning. ``channel`` counts from 0. Nothing here raises for
what an instrument answers. Technique files are told apart by their name without path, case and board suffix: ``C:\x\CPLIMIT4.ecc`` is
CPLIMIT. Yes and no are 1 and 0.

Labels of parameters are case sensitive; those with [] come once a step (``index`` = step, from 0), the others with index 0:

=========  =================================================================================================================
ocv        Rest_time_T, Record_every_dE, Record_every_dT, E_Range
cplimit    Current_step[], vs_initial[], Duration_step[], Step_number (= steps - 1), Record_every_dT, Record_every_dE,
           Test1_Config[], Test1_Value[], Test2_…, Test3_…, Exit_Cond[] (0 next step, 1 next technique, 2 stop), N_Cycles, I_Range,
           E_Range, Bandwidth
calimit    as cplimit with Voltage_step[] in place of Current_step[], Record_every_dI in place of Record_every_dE
peis       vs_initial, vs_final, Initial_Voltage_step, Final_Voltage_step, Duration_step (the hold before the sweep), Step_number,
           Record_every_dT, Record_every_dI, Initial_frequency, Final_frequency, sweep (true linear, false logarithmic),
           Amplitude_Voltage, Frequency_number (points in all), Average_N_times, Correction, Wait_for_steady (periods), I_Range,
           E_Range, Bandwidth
geis       as peis with Initial_Current_step, Final_Current_step, Record_every_dE, Amplitude_Current
to, ti     Trigger_Logic (1 = rising), Trigger_Duration
loop       loop_N_times, protocol_number (index of the technique to go back to)
=========  =================================================================================================================

Test_Config: bit 0 active, bit 1 AND with the next test (0 = OR), bits 2-4 sign (0 = below or equal, 1 = above or equal), bits 5 and up the
variable (0 E, 1 AUX1, 2 AUX2, 3 I). Rows of ``BL_GetData`` are 32-bit words, singles as their IEEE-754 bits, all rows of one answer of one
technique and one process (VMP3 family; VMP-300 where it differs):

=================  =========================================================================================================
ocv                t_high, t_low, Ewe, Ece (VMP-300: without Ece)
cplimit, calimit   t_high, t_low, Ewe, I, cycle
peis, geis 0       t_high, t_low, Ewe, I (the hold before the sweep)
peis, geis 1       frequency, |Ewe|, |I|, phase of Zwe in radians (inferred), Ewe, I, -, |Ece|, |Ice|, phase of Zce, Ece, -, -, time,
                   I range (VMP-300: without I range); "-" is 0
=================  =========================================================================================================

t = (t_high * 2**32 + t_low) * ``CurrentValues.TimeBase`` seconds since the technique began. Labels of CALIMIT, PEIS, GEIS, TO, TI, LOOP
and the columns of a sweep: inferred from public programs that use the package. Built to the document, not yet met an instrument.

A stand-in for the DLL is reached over the wire of ``drivers.biologic.remote``: an emulator calls ``await serve(network, backend)`` and says
the address that it is given. Calls then come one at a time, each answered before the next.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Protocol

CHANNELS = 16
WORDS = 1000
"""Of the buffer that ``BL_GetData`` fills: at most so many words an answer."""

STATE_STOP, STATE_RUN, STATE_PAUSE = 0, 1, 2
FIRMWARE_NONE, FIRMWARE_KERNEL, FIRMWARE_ECAL = 0, 5, (10, 11)
TYPE_INT, TYPE_BOOL, TYPE_SINGLE = 0, 1, 2
BOARD_ESSENTIAL, BOARD_PREMIUM, BOARD_DIGICORE = 1, 2, 3
"""What ``BL_GetChannelBoardType`` answers (inferred): VMP3 family, VMP-300 family, the newest boards."""

OCV, CA, CP, PEIS, GEIS = 100, 101, 102, 104, 107
LOOP, TO, TI, TOS, CPLIMIT, CALIMIT = 150, 151, 152, 153, 155, 157
TECHNIQUES = {
    "ocv": OCV,
    "ca": CA,
    "cp": CP,
    "peis": PEIS,
    "geis": GEIS,
    "loop": LOOP,
    "to": TO,
    "ti": TI,
    "tos": TOS,
    "cplimit": CPLIMIT,
    "calimit": CALIMIT,
}
"""Name of the technique file, and ``DataInfos.TechniqueID``."""

CODES = {
    -1: "not connected",
    -3: "the channel is not plugged",
    -6: "the function cannot be used now (inferred)",
    -7: "the instrument does not know this connection (inferred)",
    -9: "EC-Lab's own firmware is on the channel",
    -12: "an operation is in progress",
    -13: "the channel runs",
    -200: "communication failed",
    -201: "no connection to the instrument",
    -207: "too many connections to the instrument",
    -308: "no firmware on the channel",
    -309: "the firmware does not fit",
    -400: "the technique file is missing or broken",
    -401: "the technique does not fit the firmware",
    -403: "the technique could not be loaded",
    -405: "the technique's parameters could not be loaded",
}
"""Return codes below 0 that were met or are documented."""


@dataclass(frozen=True, slots=True)
class EccParam:
    """One parameter of a technique; ``value`` as the DLL keeps it: the bits of an int32 or of a single, 0 or 1 for a bool."""

    label: str
    type: int
    value: int
    index: int

    def number(self) -> float | int | bool:
        """What the bits mean."""
        if self.type == TYPE_SINGLE:
            return float(struct.unpack("<f", struct.pack("<I", self.value & 0xFFFFFFFF))[0])
        return bool(self.value) if self.type == TYPE_BOOL else self.value


@dataclass(frozen=True, slots=True)
class DeviceInfos:
    """TDeviceInfos: 11 int32."""

    DeviceCode: int = 0
    RAMSize: int = 0
    CPU: int = 0
    NumberOfChannels: int = 0
    NumberOfSlots: int = 0
    FirmwareVersion: int = 0
    FirmwareDate_yyyy: int = 0
    FirmwareDate_mm: int = 0
    FirmwareDate_dd: int = 0
    HTdisplayOn: int = 0
    NbOfConnectedPC: int = 0


@dataclass(frozen=True, slots=True)
class ChannelInfos:
    """TChannelInfos: 19 int32."""

    Channel: int = 0
    BoardVersion: int = 0
    BoardSerialNumber: int = 0
    FirmwareCode: int = 0
    FirmwareVersion: int = 0
    XilinxVersion: int = 0
    AmpCode: int = 0
    NbAmps: int = 0
    Lcboard: int = 0
    Zboard: int = 0
    MUXboard: int = 0
    GPRAboard: int = 0
    MemSize: int = 0
    MemFilled: int = 0
    State: int = STATE_STOP
    MaxIRange: int = 0
    MinIRange: int = 0
    MaxBandwidth: int = 0
    NbOfTechniques: int = 0


@dataclass(frozen=True, slots=True)
class DataInfos:
    """TDataInfos: 7 int32, a double, an int32. ``IRQskipped`` above 0: points were lost."""

    IRQskipped: int = 0
    NbRows: int = 0
    NbCols: int = 0
    TechniqueIndex: int = 0
    TechniqueID: int = 0
    ProcessIndex: int = 0
    loop: int = 0
    StartTime: float = 0.0
    MuxPad: int = 0


@dataclass(frozen=True, slots=True)
class CurrentValues:
    """TCurrentValues. Volt, ampere, seconds, hertz, ohm; ``MemFilled`` in bytes; ``ElapsedTime`` since the start of the technique."""

    State: int = STATE_STOP
    MemFilled: int = 0
    TimeBase: float = 2e-5
    Ewe: float = 0.0
    EweRangeMin: float = 0.0
    EweRangeMax: float = 0.0
    Ece: float = 0.0
    EceRangeMin: float = 0.0
    EceRangeMax: float = 0.0
    Eoverflow: int = 0
    I: float = 0.0  # noqa: E741 the DLL's own name
    IRange: int = 0
    Ioverflow: int = 0
    ElapsedTime: float = 0.0
    Freq: float = 0.0
    Rcomp: float = 0.0
    Saturation: int = 0
    OptErr: int = 0
    OptPos: int = 0


class EclibBackend(Protocol):
    """The DLL, or what stands in its place. Called from one thread at a time, always the same one."""

    def BL_Connect(self, address: str, timeout_s: int) -> tuple[int, int, DeviceInfos]:
        """Open an instrument (``USB0``, an IP address): code, connection id, what it is."""

    def BL_TestConnection(self, ID: int) -> int:
        """Does it still answer?"""

    def BL_Disconnect(self, ID: int) -> int:
        """Let go; what runs goes on, and the data stay in the instrument."""

    def BL_GetChannelsPlugged(self, ID: int) -> tuple[int, bytes]:
        """16 bytes, 1 = there is a channel."""

    def BL_GetChannelBoardType(self, ID: int, channel: int) -> tuple[int, int]:
        """The board's family."""

    def BL_GetChannelInfos(self, ID: int, channel: int) -> tuple[int, ChannelInfos]:
        """The channel, its firmware, its state."""

    def BL_LoadFirmware(
        self, ID: int, channels: bytes, ShowGauge: int, ForceReload: int, BinFile: str, XlxFile: str
    ) -> tuple[int, tuple[int, ...]]:
        """Put the package's kernel on the channels whose byte of 16 is 1: code, and one code a channel."""

    def BL_LoadTechnique(
        self,
        ID: int,
        channel: int,
        FName: str,
        Params: tuple[EccParam, ...],
        FirstTechnique: int,
        LastTechnique: int,
        DisplayParams: int,
    ) -> int:
        """Add a technique to the channel's list; the first one begins a new list. May answer 0 and refuse by a message."""

    def BL_UpdateParameters(self, ID: int, channel: int, TechIndx: int, Params: tuple[EccParam, ...], EccFileName: str) -> int:
        """New values, at most 10, for a technique that runs."""

    def BL_DefineBoolParameter(self, lbl: str, value: int, index: int) -> tuple[int, EccParam]:
        """A parameter that is yes or no."""

    def BL_DefineSglParameter(self, lbl: str, value: float, index: int) -> tuple[int, EccParam]:
        """A parameter in single precision."""

    def BL_DefineIntParameter(self, lbl: str, value: int, index: int) -> tuple[int, EccParam]:
        """A whole number."""

    def BL_StartChannel(self, ID: int, channel: int) -> int:
        """Run the list."""

    def BL_StopChannel(self, ID: int, channel: int) -> int:
        """Stop it: open circuit (inferred)."""

    def BL_GetCurrentValues(self, ID: int, channel: int) -> tuple[int, CurrentValues]:
        """What the channel shows now."""

    def BL_GetData(self, ID: int, channel: int) -> tuple[int, tuple[int, ...], DataInfos, CurrentValues]:
        """The oldest data not yet read, ``NbRows * NbCols`` words (none: ``NbRows`` 0), which leave the instrument's memory."""

    def BL_ConvertChannelNumericIntoSingle(self, num: int, ChannelType: int) -> tuple[int, float]:
        """A word that holds a single; ``ChannelType``: the board's family."""

    def BL_GetMessage(self, ID: int, channel: int) -> tuple[int, bytes]:
        """The oldest message of the firmware that nobody has read; ``b""``: none."""

    def BL_GetOptErr(self, ID: int, channel: int) -> tuple[int, int, int]:
        """Code, the option's error (2 = its emergency input is open, 101 = too hot), position; reading it clears it."""
