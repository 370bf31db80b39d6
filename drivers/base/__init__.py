"""The contract between the orchestrator and every instrument (``API_VERSION`` 1).

Times are nanoseconds of the run's monotonic clock (``mono_ns``, see ``drivers.clock``) unless a name says otherwise.
Positive current is oxidation at the electrode named *working*. Units stand in the names. Arrays are numpy, one row a
sample. A driver that cannot know something says so (``unknown``, ``None``); it never guesses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drivers.base.acquisition import ENCODES, IMAGES, ONE_PULSE, SEQUENCES, AcquisitionOrder, Axis, ReadBack, waits_s
from drivers.base.beside import Actuator, Fence, FenceState, Reading, Reflectometer, Sensor, Tuner, TuneResult, TunesAside, TunesInside
from drivers.base.both import ClockSample, Confirmation, Identity, LinkLost, LinkRestored, SafeState
from drivers.base.console import (
    Acquired,
    Console,
    ConsoleActivity,
    ConsoleCapabilities,
    ConsoleEvent,
    ConsoleState,
    Failed,
    Filed,
    HandsBack,
    Progress,
    Started,
)
from drivers.base.data import DataReader, Fetched, Fid, RawFile, VendorTimes
from drivers.base.emulator import Emulator, EmulatorAddress
from drivers.base.making import ByteStream, Context, Listener, Network, Settings, WireRecorder
from drivers.base.potentiostat import (
    CE,
    CELL,
    FOLLOWED,
    FULL_CONTROL,
    GARBLED,
    OBEYING,
    OBEYS_ITS_SOFTWARE,
    WATCHED,
    WE,
    Capabilities,
    CellState,
    ChannelState,
    ElectrodeBounds,
    EndConditions,
    ImpedanceOrder,
    ImpedanceSpectrum,
    Limits,
    Mode,
    Potentiostat,
    PotentiostatEvent,
    Reason,
    Rows,
    SampleBlock,
    StepEnded,
    StepOrder,
    StepStarted,
)

if TYPE_CHECKING:
    from drivers.base.arrays import Floats, Ints
else:

    def __getattr__(name: str) -> Any:
        if name not in {"Floats", "Ints"}:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from drivers.base import arrays

        return getattr(arrays, name)


API_VERSION = 1

__all__ = [
    "API_VERSION",
    "CE",
    "CELL",
    "ENCODES",
    "FOLLOWED",
    "FULL_CONTROL",
    "GARBLED",
    "IMAGES",
    "OBEYING",
    "OBEYS_ITS_SOFTWARE",
    "ONE_PULSE",
    "SEQUENCES",
    "WATCHED",
    "WE",
    "Acquired",
    "AcquisitionOrder",
    "Actuator",
    "Axis",
    "ByteStream",
    "Capabilities",
    "CellState",
    "ChannelState",
    "ClockSample",
    "Confirmation",
    "Console",
    "ConsoleActivity",
    "ConsoleCapabilities",
    "ConsoleEvent",
    "ConsoleState",
    "Context",
    "DataReader",
    "ElectrodeBounds",
    "Emulator",
    "EmulatorAddress",
    "EndConditions",
    "Failed",
    "Fence",
    "FenceState",
    "Fetched",
    "Fid",
    "Filed",
    "Floats",
    "HandsBack",
    "Identity",
    "ImpedanceOrder",
    "ImpedanceSpectrum",
    "Ints",
    "Limits",
    "LinkLost",
    "LinkRestored",
    "Listener",
    "Mode",
    "Network",
    "Potentiostat",
    "PotentiostatEvent",
    "Progress",
    "RawFile",
    "ReadBack",
    "Reading",
    "Reason",
    "Reflectometer",
    "Rows",
    "SafeState",
    "SampleBlock",
    "Sensor",
    "Settings",
    "Started",
    "StepEnded",
    "StepOrder",
    "StepStarted",
    "TuneResult",
    "Tuner",
    "TunesAside",
    "TunesInside",
    "VendorTimes",
    "WireRecorder",
    "waits_s",
]
