"""One cell in one magnet: the physics behind every emulator (``drivers.sim.physics.Physics``).

Everything is a function of the seed, the description and what drove the cell when; asking costs nothing and changes
nothing. Instants may also lie a little in the past (a sample read late, a scan that began minutes ago): the last
``kept_h`` hours can be asked again, and a drive given for an earlier instant rewrites what followed it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.sim import noise
from drivers.sim.cell import Cell
from drivers.sim.cell_parameters import CellParameters
from drivers.sim.description import DescriptionError, build
from drivers.sim.environments import names_of, pair_amounts, pair_populations_mol
from drivers.sim.faults import NAMES, Fault, Faults
from drivers.sim.history import History
from drivers.sim.image import ImageParameters, Pictures
from drivers.sim.nuclei import ENVIRONMENTS, Amount, Nuclei, amounts
from drivers.sim.pair import Pair
from drivers.sim.pair_parameters import PairParameters
from drivers.sim.physics import Measured, Scan
from drivers.sim.places import body_of
from drivers.sim.sample import SampleParameters
from drivers.sim.spectrometer import Spectrometer, SpectrometerParameters

SNAPSHOT_VERSION = 1
LEADS_PURPOSE, SPIKE_PURPOSE, REFERENCE_PURPOSE = 0x4C454144, 0x53504B45, 0x52454645
SPIKE_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Electronics:
    """What the potentiostat's leads add: noise, and spikes of 0.05-0.7 V shorter than 2 s (domain.md 5.1)."""

    voltage_noise_V: float = 50e-6
    current_noise_A: float = 2e-8
    spikes_per_h: float = 0.0
    spike_lowest_V: float = 0.05
    spike_highest_V: float = 0.7
    spike_longest_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Magnet:
    """The field. ``stray_T_per_m``: how much it rises along z, all the time (STRAFI, O21)."""

    field_T: float = 7.05
    stray_T_per_m: float = 0.0


@dataclass(frozen=True, slots=True)
class Grid:
    """How the cell is stepped, and how far back it can be asked."""

    step_s: float = 10.0
    kept_h: float = 6.0


@dataclass(frozen=True, slots=True)
class Description:
    """The content of ``configs/twins/*.yaml``. ``pair``: a cell of any two electrodes, in place of C1's ``cell``; ``sample``: no cell."""

    version: int = 1
    name: str = "C1"
    cell: CellParameters = field(default_factory=CellParameters)
    pair: PairParameters | None = None
    sample: SampleParameters | None = None
    electronics: Electronics = field(default_factory=Electronics)
    magnet: Magnet = field(default_factory=Magnet)
    nuclei: Nuclei = field(default_factory=Nuclei)
    spectrometer: SpectrometerParameters = field(default_factory=SpectrometerParameters)
    image: ImageParameters = field(default_factory=ImageParameters)
    faults: tuple[Fault, ...] = ()
    grid: Grid = field(default_factory=Grid)

    def __post_init__(self) -> None:
        if self.version != 1:
            raise ValueError(f"version {self.version} of the twin's description is not known (1 is)")
        if self.pair is not None and self.sample is not None:
            raise ValueError("a twin is a `pair` or a `sample`, not both")

    @property
    def between(self) -> PairParameters | None:
        """What the potentiostat's leads hold, where that is not C1."""
        return self.pair if self.sample is None else self.sample.beside_foils()

    @property
    def spinning_Hz(self) -> float:
        """Of the rotor; 0: nothing turns."""
        turning = self.sample or self.pair
        return 0.0 if turning is None else 1e3 * turning.spinning_kHz


def _check_lines(description: Description) -> None:
    pair, spins = description.between, description.spinning_Hz > 0.0
    known = ENVIRONMENTS if pair is None else names_of(pair)
    for nucleus, parameters in description.nuclei.nucleus.items():
        if unknown := sorted(set(parameters.lines) - set(known)):
            raise DescriptionError(f"twin description: unknown line `{unknown[0]}` of {nucleus}; there are: {', '.join(known)}")
        for name, line in parameters.lines.items():
            if (line.anisotropy_ppm and not spins) or (line.Cq_kHz and spins):
                why = "`anisotropy_ppm` needs a spinning sample" if not spins else "`Cq_kHz` is of static powders alone"
                raise DescriptionError(f"twin description: line `{name}` of {nucleus}: {why}")


class Twin:
    """The digital twin; ``description`` is the content of a ``configs/twins/*.yaml`` ({} = the defaults of C1).

    Raises DescriptionError for unknown keys. ``t0_mono_ns``: the clock's ``mono_ns`` at twin time zero.
    """

    fault_names = NAMES

    def __init__(self, description: Mapping[str, Any], *, seed: int, t0_mono_ns: int = 0) -> None:
        self.description = build(Description, description)
        _check_lines(self.description)
        self.seed = seed
        self.t0_mono_ns = t0_mono_ns
        self.faults = Faults(list(self.description.faults))
        pair = self.description.between
        self.cell: Cell | Pair = Cell(self.description.cell, self.faults) if pair is None else Pair(pair, self.faults)
        self._history: History[Any] = History(self.cell, self.description.grid.step_s, self.description.grid.kept_h * 3600.0)
        self._spectrometer = Spectrometer(
            self.description.spectrometer,
            self.description.nuclei,
            self._amounts,
            stray_T_per_m=self.description.magnet.stray_T_per_m,
            spinning_Hz=self.description.spinning_Hz,
            temperature_K=self.cell.parameters.temperature_K,
            field_T=self.description.magnet.field_T,
            faults=self.faults,
            seed=seed,
            pictures=Pictures(self.description.image, body_of(self.cell.parameters, self.description.image.host_mm), seed),
        )
        self.instruments: dict[str, Any] = {}
        """Memory of the simulated pair, by instrument; not part of a snapshot."""
        self.listeners: list[Callable[[float, str, Mapping[str, Any]], None]] = []
        """Told ``(t_s, what, data)`` of every ``drive`` (``drive`` off, current or voltage; ``value``) and of every ``fault``."""
        self._latest_s = 0.0

    # ------------------------------------------------------------------------------------------------- electrochemistry

    def open_circuit(self, t_s: float) -> None:
        """Disconnect the cell from ``t_s`` on."""
        self._drive(t_s, "off", 0.0)

    def drive_current(self, t_s: float, current_A: float) -> None:
        """Constant current from ``t_s`` on."""
        self._drive(t_s, "current", current_A)

    def drive_voltage(self, t_s: float, voltage_V: float, of: str = "cell") -> None:
        """Constant voltage from ``t_s`` on: of the cell, or of the working electrode (``we``) against the reference."""
        if of != "cell" and not self.has_reference:
            raise ValueError(f"cannot hold E_{of}: this cell has no reference electrode")
        self._drive(t_s, "voltage" if of == "cell" else "voltage_we", voltage_V)

    @property
    def has_reference(self) -> bool:
        """Has the cell a third electrode?"""
        return isinstance(self.cell, Pair) and self.cell.parameters.reference is not None

    def _drive(self, t_s: float, drive: str, value: float) -> None:
        if not (math.isfinite(t_s) and math.isfinite(value)):
            raise ValueError(f"cannot drive {value} at {t_s} s")
        self._history.drive(t_s, drive, value)
        self._latest_s = max(self._latest_s, t_s)
        self.tell(t_s, "drive", drive=drive, value=value)

    def tell(self, t_s: float, what: str, **data: Any) -> None:
        """Say what happened to whoever listens; changes nothing."""
        for listener in self.listeners:
            listener(t_s, what, data)

    def measure(self, t_s: float, *, reference: bool = False) -> Measured:
        """Read the leads at ``t_s``, noise included; ``reference``: with a lead on the reference electrode."""
        self._latest_s = max(self._latest_s, t_s)
        state = self._history.at(t_s)
        leads = self.cell.leads(state, t_s)
        electronics, instant = self.description.electronics, round(t_s * 1e9)
        voltage_noise, current_noise = noise.normal_pair(self.seed, instant, LEADS_PURPOSE)
        sense = -1.0 if self.faults.listed and self.faults.any("sense_swapped", t_s) else 1.0
        noise_V = voltage_noise * electronics.voltage_noise_V * self.cell.noise_factor(state)
        voltage_V = sense * leads.voltage_V + noise_V + self._spike_V(t_s)
        current_A = 0.0 if state.drive == "off" else leads.current_A + current_noise * electronics.current_noise_A
        if reference:
            assert isinstance(self.cell, Pair), "this cell has no reference electrode"
            we_V = self._against_reference_V(self.cell.working_V(state, t_s, leads), t_s)
            ce_V = we_V - voltage_V
            return Measured(t_s, we_V - ce_V, current_A, state.drive != "off", we_V, ce_V)
        return Measured(t_s, voltage_V, current_A, output_on=state.drive != "off")

    def _against_reference_V(self, true_V: float, t_s: float) -> float:
        """As it is read: noise, and what has become of the reference."""
        electronics = self.description.electronics
        read_V = true_V + noise.normal_pair(self.seed, round(t_s * 1e9), REFERENCE_PURPOSE)[0] * electronics.voltage_noise_V
        if not self.faults.listed:
            return read_V
        if any(self.faults.active("reference_open", t_s)):
            return self.cell.parameters.compliance_V
        return read_V - sum(fault.size * (t_s - fault.start_s) / 3600.0 for fault in self.faults.active("reference_drift", t_s))

    def _spike_V(self, t_s: float) -> float:
        spike_V = sum(fault.size for fault in self.faults.active("voltage_spike", t_s)) if self.faults.listed else 0.0
        if self.description.electronics.spikes_per_h > 0.0:
            here = int(t_s // SPIKE_EVERY_S)
            spike_V += self._drawn_spike_V(here - 1, t_s) + self._drawn_spike_V(here, t_s)
        return spike_V

    def _drawn_spike_V(self, slot: int, t_s: float) -> float:
        """The spike that the seed puts into a minute, if it is there at ``t_s``."""
        e = self.description.electronics
        if noise.uniform(self.seed, 4 * slot, SPIKE_PURPOSE) >= e.spikes_per_h * SPIKE_EVERY_S / 3600.0:
            return 0.0
        begin, length, size = (noise.uniform(self.seed, 4 * slot + n, SPIKE_PURPOSE) for n in (1, 2, 3))
        if not 0.0 <= t_s - (slot + begin) * SPIKE_EVERY_S < length * e.spike_longest_s:
            return 0.0
        spike_V = e.spike_lowest_V * (e.spike_highest_V / e.spike_lowest_V) ** abs(2.0 * size - 1.0)
        return math.copysign(spike_V, size - 0.5)

    def impedance(self, t_s: float, frequency_Hz: NDArray[np.float64]) -> NDArray[np.complex128]:
        """complex128 (f,): leads and R_ohm, an arc near 50 Hz, a slow one below 1 mHz, a short beside them; no noise."""
        p, state = self.cell.parameters, self._history.at(t_s)
        self._latest_s = max(self._latest_s, t_s)
        slope_ohm, chord_ohm = self.cell.resistances_ohm(state, t_s)
        omega = 2j * np.pi * np.asarray(frequency_Hz, dtype=np.float64)
        arc = chord_ohm / (1.0 + (omega * p.fast_arc_s) ** p.fast_arc_exponent)
        slow = (slope_ohm - chord_ohm) / (1.0 + omega * p.slow_arc_s)
        cell = p.R_ohm + arc + slow
        return np.asarray(p.lead_ohm + cell / (1.0 + cell * self.cell.short_S(state, t_s)), dtype=np.complex128)

    def charge_C(self) -> float:
        """Net charge passed until the latest instant anybody asked about, oxidation at working positive."""
        return float(self._history.at(self._latest_s).charge_C)

    # -------------------------------------------------------------------------------------------------------- the truth

    def state(self, t_s: float) -> Any:
        """The cell itself at ``t_s`` (``State`` of C1, ``PairState``): the truth that tests compare with."""
        return self._history.at(t_s)

    def populations_mol(self, t_s: float) -> dict[str, float]:
        """Moles of lithium or sodium in every environment; their sum never changes."""
        state = self._history.at(t_s)
        return pair_populations_mol(self.cell, state) if isinstance(self.cell, Pair) else self.cell.populations_mol(state)

    def amounts(self, t_s: float, nucleus: str) -> list[Amount]:
        """What a coil could see of a nucleus at ``t_s``: umol of every line, with its shift."""
        return self._amounts(self._history.at(t_s), nucleus, self.larmor_MHz(nucleus))

    def _amounts(self, state: Any, nucleus: str, larmor_MHz: float) -> list[Amount]:
        nuclei = self._turned(state.t_s) if self.faults.listed else self.description.nuclei
        if isinstance(self.cell, Pair):
            return pair_amounts(self.cell, state, nuclei, nucleus, larmor_MHz)
        return amounts(state, self.description.cell, nuclei, nucleus, larmor_MHz)

    def _turned(self, t_s: float) -> Nuclei:
        """As the cell lies in the field at ``t_s``: as somebody turned it last."""
        nuclei = self.description.nuclei
        turns = list(self.faults.active("turned", t_s))
        if not turns:
            return nuclei
        normal_deg = max(turns, key=lambda one: one.start_s).size
        return replace(nuclei, geometry=replace(nuclei.geometry, electrode_normal_to_B0_deg=normal_deg))

    def inject(self, fault: Fault) -> None:
        """One more fault; what was computed after its start is forgotten."""
        self.faults.add(fault)
        self._history.forget_after(fault.start_s)
        self.tell(fault.start_s, "fault", instrument="twin", fault=fault.name, end_s=fault.end_s, value=fault.value)

    def befall(self, name: str, *, after_s: float = 0.0, for_s: float | None = None, value: float | None = None) -> None:
        """A fault by name, ``after_s`` from the latest instant anybody asked about; ValueError for one that is not known."""
        start_s = self._latest_s + after_s
        self.inject(Fault(name, start_s, None if for_s is None else start_s + for_s, value))

    # ----------------------------------------------------------------------------------------------------------- nuclei

    def larmor_MHz(self, nucleus: str) -> float:
        """Frequency of 0 ppm of a nucleus; ValueError for one the twin does not have."""
        return self._spectrometer.larmor_MHz(nucleus)

    def acquire(self, scan: Scan) -> NDArray[np.complex128]:
        """complex128 (points,): the summed FID in ADC counts, not rounded; ask when the scan is over (or stopped)."""
        self._latest_s = max(self._latest_s, scan.t_end_s)
        return self._spectrometer.acquire(scan, self._history.at)

    # --------------------------------------------------------------------------------------------------------- snapshot

    def snapshot(self) -> dict[str, Any]:
        """JSON data from which ``restore`` (same description and seed) goes on exactly."""
        return {
            "version": SNAPSHOT_VERSION,
            "seed": self.seed,
            "t0_mono_ns": self.t0_mono_ns,
            "latest_s": self._latest_s,
            "knots": self._history.plain(),
            "saturation": self._spectrometer.snapshot(),
            "faults": self.faults.plain(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot; ValueError when it is of another seed or version."""
        if state["version"] != SNAPSHOT_VERSION or state["seed"] != self.seed:
            raise ValueError(f"the snapshot is of version {state['version']}, seed {state['seed']}; this twin has seed {self.seed}")
        self.t0_mono_ns = state["t0_mono_ns"]
        self._latest_s = state["latest_s"]
        self.faults.listed[:] = [Fault(**fault) for fault in state["faults"]]
        self._history.restore(state["knots"])
        self._spectrometer.restore(state["saturation"])
