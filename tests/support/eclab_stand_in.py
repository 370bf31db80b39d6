"""EC-Lab in front of the emulated BioLogic: its OLE-COM calls, and settings files read as public ones are written.

No instrument's side of its own: what runs, tests, ends and sweeps is ``drivers.biologic.instrument``; here stand the words of a settings
file and the places of the status line. Only what a file of one sequence or one sweep says is understood; all else is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from drivers.biologic.eclib import OCV, TYPE_INT, TYPE_SINGLE, EccParam
from drivers.biologic.instrument.data import bits, single
from drivers.biologic.instrument.parameters import RANGES_A, settled

UNITS = {"A": 1.0, "mA": 1e-3, "uA": 1e-6, "µA": 1e-6, "nA": 1e-9, "V": 1.0, "mV": 1e-3, "s": 1.0}
HERTZ = {"MHz": 1e6, "kHz": 1e3, "Hz": 1.0, "mHz": 1e-3, "µHz": 1e-6}
RANGES = ("100 pA", "1 nA", "10 nA", "100 nA", "1 µA", "10 µA", "100 µA", "1 mA", "10 mA", "100 mA", "1 A")
ABOVE, BELOW, AND, STOP, AUTO = 1 | 4, 1, 2, 2, 11
OF_CURRENT = 3 << 5
FULL_V = 10.0
SERIAL, CHANNEL_SERIAL = 365, 77439


class EcLab:
    """``emulator``: the instrument; its channel 1 is the only one. Answers are those of ``drivers.biologic.com``."""

    def __init__(self, emulator: Any) -> None:
        self.emulator = emulator
        self.head: dict[str, float] = {}
        self.rows: list[tuple[float, ...]] = []
        self.spectrum: list[tuple[float, ...]] = []
        self.file, self.safety = "", 0.0

    @property
    def channel(self) -> Any:
        self.emulator._advance()
        self._drain()
        return self.emulator.channel

    def _drain(self) -> None:
        """What the channel has kept goes into EC-Lab's file."""
        channel = self.emulator.channel
        while (block := channel.memory.take(1000)) is not None:
            for row in block["rows"]:
                if block["process"] == 1:
                    f_Hz, volts, amps, phase = (single(word) for word in row[:4])
                    z = volts / amps
                    self.spectrum.append((single(row[13]), f_Hz, z * math.cos(phase), -z * math.sin(phase), 1.0))
                    continue
                t_s = ((row[0] << 32) + row[1]) * channel.time_base_s
                current_A = 0.0 if block["id"] == OCV else single(row[3])
                self.rows.append((t_s, single(row[2]), current_A, 1.0))
                if channel.running is None:
                    self._ended_at(single(row[2]), current_A)

    def _ended_at(self, voltage_V: float, current_A: float) -> None:
        low, high = self.head.get("Ewe min", -math.inf), self.head.get("Ewe max", math.inf)
        beyond = not low < voltage_V < high or abs(current_A) >= self.head.get("|I|", math.inf)
        self.safety = float(beyond)

    # ----------------------------------------------------------------------------------------------------------- calls

    def EnableMessagesWindows(self, enable: int) -> int:
        return 1

    def GetDeviceSN(self, device: int) -> tuple[int, tuple[int, ...], int]:
        return (SERIAL, (CHANNEL_SERIAL,), 1) if device == 0 else (0, (), 0)

    def SelectChannel(self, device: int, channel: int) -> int:
        return int((device, channel) == (0, 0))

    def LoadSettings(self, device: int, channel: int, path: str) -> int:
        if self.channel.running is not None:
            return 0
        head, technique, rows = _parts(Path(path).read_bytes().decode("cp1252"))
        self.head = head
        made = _SWEEPS[technique](rows) if technique in _SWEEPS else _sequence(rows, head, self.channel.read()[0])
        name, params = made
        self.channel.load(settled(name, [*params, *_ranges(name, rows)]), first=True, last=True)
        return 1

    def RunChannel(self, device: int, channel: int, path: str) -> int:
        if not self.channel.complete:
            return 0
        self.rows, self.spectrum, self.safety, self.file = [], [], 0.0, f"{path.removesuffix('.mpr')}_C01.mpr"
        self.channel.start()
        self.emulator._changed.set()
        return 1

    def StopChannel(self, device: int, channel: int) -> int:
        self.channel.stop()
        self.emulator._changed.set()
        return 1

    def MeasureStatus(self, device: int, channel: int) -> tuple[float, ...]:
        found = self.channel
        voltage_V, current_A = found.read()
        values = [0.0] * 32
        values[0], values[15], values[16], values[19], values[30] = (
            float(found.state()),
            found.elapsed_s,
            voltage_V,
            current_A * 1e3,
            self.safety,
        )
        return tuple(values)

    def GetExperimentInfos(self, device: int, channel: int) -> tuple[str, str, str, tuple[str, ...], int]:
        file = Path(self.file)
        return ("2026-01-01", "", str(file.parent), (file.name,), 1) if self.file else ("", "", "", (), 0)

    def GetDataFileName(self, device: int, channel: int, technique: int) -> str:
        return self.file

    def MeasureNumberOfPoints(self, path: str) -> int:
        self._drain()
        return len(self.rows) + len(self.spectrum) if path == self.file else 0

    def MeasureDcValue(self, path: str, index: int) -> tuple[float, ...]:
        return self.rows[index] if path == self.file and 0 <= index < len(self.rows) else (0.0,) * 4

    def MeasureEisValue(self, path: str, index: int) -> tuple[float, ...]:
        self._drain()
        return self.spectrum[index] if path == self.file and index < len(self.spectrum) else (0.0,) * 5


# ------------------------------------------------------------------------------------------------------- a settings file


def _parts(text: str) -> tuple[dict[str, float], str, dict[str, str]]:
    """Safety limits in SI units, the technique's name, and its rows."""
    lines = text.split("\r\n")
    assert lines[0] == "EC-LAB SETTING FILE"
    at = lines.index("Technique : 1")
    head: dict[str, float] = {}
    for line in lines[:at]:
        name, _, value = line.strip().partition(" = ")
        if line.startswith("\t") and value:
            number, unit = value.split()
            head[name] = float(number) * ({"mA.h": 3.6} | UNITS)[unit]
    return head, lines[at + 1], {line[:20].strip(): line[20:40].strip() for line in lines[at + 2 :] if line.strip()}


def _value(rows: Mapping[str, str], name: str, unit: str) -> float:
    return float(rows[name]) * UNITS[rows[unit]]


def _single(label: str, value: float) -> EccParam:
    return EccParam(label, TYPE_SINGLE, bits(value), 0)


def _whole(label: str, value: int) -> EccParam:
    return EccParam(label, TYPE_INT, value, 0)


def _ranges(name: str, rows: Mapping[str, str]) -> list[EccParam]:
    e_range = [2.5, 5.0, 10.0].index(float(rows["E range max (V)"]))
    found = [_whole("E_Range", e_range)]
    if name != "ocv":
        code = AUTO if rows["I Range"] == "Auto" else RANGES.index(rows["I Range"])
        assert code == AUTO or RANGES_A[code] > 0
        found += [_whole("I_Range", code), _whole("Bandwidth", int(rows["Bandwidth"]))]
    return found


def _sequence(rows: Mapping[str, str], head: Mapping[str, float], now_V: float) -> tuple[str, list[EccParam]]:
    """Modulo Bat, one sequence; the safety limits of the head where none is nearer."""
    limits: dict[tuple[str, str], float] = {}
    for n in range(1, int(rows["lim_nb"]) + 1):
        limits[rows[f"lim{n}_type"], rows[f"lim{n}_comp"]] = _value(rows, f"lim{n}_value", f"lim{n}_value_unit")
    duration_s, dt_s = limits["Time", ">"], _value(rows, "rec1_value", "rec1_value_unit")
    if rows["ctrl_type"] == "Rest":
        return "ocv", [_single("Rest_time_T", duration_s), _single("Record_every_dT", dt_s), _single("Record_every_dE", FULL_V)]
    common = [_single("Record_every_dT", dt_s), _whole("Exit_Cond", STOP), _whole("Step_number", 0), _whole("N_Cycles", 0)]
    value = _value(rows, "ctrl1_val", "ctrl1_val_unit")
    if rows["ctrl_type"] == "CC":
        duration_s = min(duration_s, head["|Q-Qo|"] / abs(value))
        upper_V, lower_V = limits.get(("Ewe", ">"), head["Ewe max"]), limits.get(("Ewe", "<"), head.get("Ewe min", -FULL_V))
        tests = [(ABOVE, upper_V), (BELOW, lower_V)]
        made = [_single("Current_step", value), _single("Record_every_dE", FULL_V)]
        return "cplimit", [*made, _single("Duration_step", duration_s), *common, *_tests(tests)]
    assert rows["ctrl_type"] == "CV"
    above = (ABOVE | OF_CURRENT, head["|I|"]) if value >= now_V else (BELOW | OF_CURRENT, -head["|I|"])
    taper_A = limits.get(("|I|", "<"))
    tests = [above] if taper_A is None else [(BELOW | AND | OF_CURRENT, taper_A), (ABOVE | OF_CURRENT, -taper_A), above]
    made = [_single("Voltage_step", value), _single("Record_every_dI", FULL_V)]
    return "calimit", [*made, _single("Duration_step", duration_s), *common, *_tests(tests)]


def _tests(tests: list[tuple[int, float]]) -> list[EccParam]:
    padded = [*tests, *[(0, 0.0)] * (3 - len(tests))]
    return [
        param
        for n, (config, value) in enumerate(padded, 1)
        for param in (_whole(f"Test{n}_Config", config), _single(f"Test{n}_Value", value))
    ]


def _frequencies(rows: Mapping[str, str]) -> list[EccParam]:
    first_Hz, last_Hz = (float(rows[name]) * HERTZ[rows[f"unit {name}"]] for name in ("fi", "ff"))
    number = int(rows["Nd"])
    points = number if rows["Points"] == "from fi to ff" else round(number * math.log10(first_Hz / last_Hz)) + 1
    assert rows["spacing"] == "Logarithmic"
    ends = [_single("Initial_frequency", first_Hz), _single("Final_frequency", last_Hz), _whole("Frequency_number", points)]
    return [*ends, _whole("Average_N_times", int(rows["Na"])), _single("Wait_for_steady", float(rows["pw"]))]


def _galvano(rows: Mapping[str, str]) -> tuple[str, list[EccParam]]:
    assert rows["Ia/Va"] == "Ia"
    bias = [_single(f"{which}_Current_step", _value(rows, "Is", "unit Is")) for which in ("Initial", "Final")]
    return "geis", [*bias, _single("Amplitude_Current", _value(rows, "Ia", "unit  Ia")), *_frequencies(rows)]


def _potentio(rows: Mapping[str, str]) -> tuple[str, list[EccParam]]:
    from_rest = [EccParam(label, 1, int(rows["vs."] == "Eoc"), 0) for label in ("vs_initial", "vs_final")]
    bias = [_single(f"{which}_Voltage_step", float(rows["E (V)"])) for which in ("Initial", "Final")]
    return "peis", [*bias, *from_rest, _single("Amplitude_Voltage", float(rows["Va (mV)"]) * 1e-3), *_frequencies(rows)]


_SWEEPS: Mapping[str, Callable[[Mapping[str, str]], tuple[str, list[EccParam]]]] = {
    "Galvano Electrochemical Impedance Spectroscopy": _galvano,
    "Potentio Electrochemical Impedance Spectroscopy": _potentio,
}
