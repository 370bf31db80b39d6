"""A tiny cell, and a host that calls the DLL's stand-in as the package's guide says: written from the reference alone."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from drivers.base import Context, Settings
from drivers.biologic.eclib import EccParam
from drivers.biologic.emulator import BiologicEmulator
from drivers.clock import Clock
from drivers.sim.physics import Measured

STOP, RUN = 0, 1
E_BELOW, E_ABOVE, I_BELOW, I_ABOVE = 1, 5, 97, 101  # Test_Config of one active test


class CapacitorTwin:
    """E = 3.0 V + 100 ohm · I + Q / 100 F; no noise."""

    REST_V, RESISTANCE_ohm, CAPACITY_F = 3.0, 100.0, 100.0

    def __init__(self, clock: Clock) -> None:
        self.t0_mono_ns = clock.mono_ns()
        self.charge = self.t_s = self.current_A = 0.0
        self.voltage_V: float | None = None
        self.output_on = False
        self.told: list[str] = []
        self.listeners: list[Any] = []
        self.drives: list[tuple[str, float, float]] = []

    def _advance(self, t_s: float) -> None:
        assert t_s >= self.t_s - 1e-9, f"time goes backwards: {t_s} after {self.t_s}"
        if self.voltage_V is not None:
            fade = np.exp(-(t_s - self.t_s) / (self.RESISTANCE_ohm * self.CAPACITY_F))
            begin_A = (self.voltage_V - self.REST_V - self.charge / self.CAPACITY_F) / self.RESISTANCE_ohm
            self.charge += begin_A * self.RESISTANCE_ohm * self.CAPACITY_F * (1 - fade)
            self.current_A = begin_A * fade
        else:
            self.charge += self.current_A * (t_s - self.t_s)
        self.t_s = t_s

    def open_circuit(self, t_s: float) -> None:
        self._drive("open", t_s, 0.0, None, on=False)

    def drive_current(self, t_s: float, current_A: float) -> None:
        self._drive("current", t_s, current_A, None, on=True)

    def drive_voltage(self, t_s: float, voltage_V: float) -> None:
        self._drive("voltage", t_s, 0.0, voltage_V, on=True)

    def _drive(self, how: str, t_s: float, current_A: float, voltage_V: float | None, *, on: bool) -> None:
        self._advance(t_s)
        self.current_A, self.voltage_V, self.output_on = current_A, voltage_V, on
        self._advance(t_s)
        self.drives.append((how, t_s, voltage_V if voltage_V is not None else current_A))

    def measure(self, t_s: float) -> Measured:
        self._advance(t_s)
        voltage_V = self.REST_V + self.RESISTANCE_ohm * self.current_A + self.charge / self.CAPACITY_F
        return Measured(t_s, float(voltage_V), float(self.current_A), self.output_on)

    def impedance(self, t_s: float, frequency_Hz: np.ndarray) -> np.ndarray:
        return np.asarray(self.RESISTANCE_ohm + 1 / (2j * np.pi * frequency_Hz * 1e-3), dtype=np.complex128)

    def tell(self, t_s: float, what: str, **data: Any) -> None:
        self.told.append(str(data.get("fault", what)))


class NoWire:
    def sent(self, data: bytes) -> None: ...

    def received(self, data: bytes) -> None: ...


@dataclass
class Rows:
    """Decoded rows of one answer."""

    technique: int
    id: int
    process: int
    loop: int
    start: float
    rows: list[list[int]]

    def times_s(self, base_s: float) -> list[float]:
        return [((row[0] << 32) + row[1]) * base_s for row in self.rows]

    def column(self, n: int) -> list[float]:
        return [struct.unpack("<f", struct.pack("<I", row[n]))[0] for row in self.rows]


class Host:
    """The emulator and one host that calls it."""

    def __init__(self, clock: Clock, network: Any, **options: Any) -> None:
        self.clock = clock
        self.twin = CapacitorTwin(clock)
        settings = Settings("biologic", "biologic", "", options=options)
        self.emulator = BiologicEmulator(settings, Context(clock, network, NoWire(), self.twin))
        self.dll = self.emulator.eclib
        self.ch, self.id, self.base_s = int(options.get("channel", 0)), -1, 0.0
        self.suffix = {"VMP3": "", "VMP-300": "4", "premium": "5"}[options.get("family", "VMP3")]
        self.rows: list[Rows] = []
        self.skipped = 0

    async def begin(self, *, firmware: bool = True) -> None:
        await self.emulator.start()
        code, self.id, _ = self.dll.BL_Connect("USB0", 5)
        assert code == 0
        if firmware:
            assert self.load_firmware() == 0

    def load_firmware(self) -> int:
        wanted = bytes(int(n == self.ch) for n in range(16))
        code, results = self.dll.BL_LoadFirmware(self.id, wanted, 0, 1, f"kernel{self.suffix}.bin", "")
        assert code == results[self.ch]
        return code

    def params(self, **values: Any) -> tuple[EccParam, ...]:
        """Lists are one value a step; bool, int and float become what the DLL calls so."""
        found = []
        for label, given in values.items():
            for index, value in enumerate(given if isinstance(given, list) else [given]):
                make = {bool: self.dll.BL_DefineBoolParameter, int: self.dll.BL_DefineIntParameter, float: self.dll.BL_DefineSglParameter}
                code, param = make[type(value)](label, value, index)
                assert code == 0
                found.append(param)
        return tuple(found)

    def load(self, *techniques: tuple[str, dict[str, Any]]) -> list[int]:
        codes = []
        for n, (name, values) in enumerate(techniques):
            file = rf"C:\EC-Lab\{name.upper()}{self.suffix}.ECC"
            last = n == len(techniques) - 1
            codes.append(self.dll.BL_LoadTechnique(self.id, self.ch, file, self.params(**values), int(n == 0), int(last), 0))
        return codes

    def start(self, *techniques: tuple[str, dict[str, Any]]) -> None:
        assert self.load(*techniques) == [0] * len(techniques)
        assert self.dll.BL_StartChannel(self.id, self.ch) == 0

    def fetch(self) -> int:
        """All that is there; the state."""
        while True:
            code, words, infos, values = self.dll.BL_GetData(self.id, self.ch)
            assert code == 0
            assert len(words) == infos.NbRows * infos.NbCols <= 1000
            self.base_s, self.skipped = values.TimeBase, self.skipped + infos.IRQskipped
            if not words:
                return values.State
            rows = [list(words[n : n + infos.NbCols]) for n in range(0, len(words), infos.NbCols)]
            self.rows.append(Rows(infos.TechniqueIndex, infos.TechniqueID, infos.ProcessIndex, infos.loop, infos.StartTime, rows))

    async def until_stop(self, every_s: float = 1.0, most: int = 100_000) -> None:
        for _ in range(most):
            await self.clock.sleep(every_s)
            if self.fetch() == STOP and not self.rows_waiting():
                return
        raise AssertionError("it never stopped")

    def rows_waiting(self) -> int:
        return self.dll.BL_GetChannelInfos(self.id, self.ch)[1].MemFilled

    def of(self, technique: int, process: int = 0) -> Rows:
        """All rows of one technique, together."""
        found = [one for one in self.rows if (one.technique, one.process) == (technique, process)]
        assert found, f"no rows of technique {technique}; there are: {[(one.technique, one.process) for one in self.rows]}"
        return Rows(technique, found[0].id, process, found[-1].loop, found[0].start, [row for one in found for row in one.rows])

    def now_s(self) -> float:
        return (self.clock.mono_ns() - self.twin.t0_mono_ns) / 1e9


def ocv(time_s: float, dT_s: float = 1.0) -> tuple[str, dict[str, Any]]:
    return "ocv", {"Rest_time_T": time_s, "Record_every_dE": 0.0, "Record_every_dT": dT_s}


def cplimit(current_A: float | list[float], time_s: float, *tests: tuple[int, float], exit_cond: int = 1, **more: Any) -> Any:
    currents = current_A if isinstance(current_A, list) else [current_A]
    n = len(currents)
    values: dict[str, Any] = {
        "Current_step": currents,
        "vs_initial": [False] * n,
        "Duration_step": [time_s] * n,
        "Step_number": n - 1,
        "Record_every_dT": 1.0,
        "Record_every_dE": 0.0,
        "N_Cycles": 0,
        "I_Range": 8,
    }
    for k, (config, value) in enumerate(tests):
        values[f"Test{k + 1}_Config"], values[f"Test{k + 1}_Value"] = [config] * n, [float(value)] * n
    return "cplimit", {**values, "Exit_Cond": [exit_cond] * n, **more}


def calimit(voltage_V: float, time_s: float, *tests: tuple[int, float], exit_cond: int = 1, **more: Any) -> Any:
    _, values = cplimit(voltage_V, time_s, *tests, exit_cond=exit_cond)
    del values["Current_step"], values["Record_every_dE"]
    return "calimit", {**values, "Voltage_step": [voltage_V], "Record_every_dI": 0.0, **more}
