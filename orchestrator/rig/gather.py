"""From files to a plan and the settings of its instruments; nothing is opened here."""

from __future__ import annotations

import functools
import hashlib
import platform as python_platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from typing import Any

from drivers import registry
from drivers.base import FULL_CONTROL, Capabilities, Settings
from drivers.clock import Clock
from orchestrator.model.available import REFUSED
from orchestrator.model.experiment import Experiment
from orchestrator.model.rig import IN_MEMORY, Instrument, Rig
from orchestrator.plan.orders import Plan
from orchestrator.rig.cells import verbatim
from orchestrator.rig.emulators import PREFIX, known_faults
from orchestrator.rig.faults import HOST, TWIN, share_out
from orchestrator.rig.folders import home
from orchestrator.rig.host import HOST_FAULTS
from orchestrator.rig.planned import (
    RECORDING,
    NoRig,
    Planned,
    capabilities,
    free_bytes_at,
    planned,
    recorded_instrument,
    simulated_instrument,
)
from orchestrator.rig.request import RunRequest, VIRTUAL_EPOCH_UTC_ns

LIBRARIES = ("operando-nmr", "numpy", "scipy", "h5py", "pydantic", "pyserial", "nmrglue", "ruamel.yaml", "lark")


class CannotRun(Exception):
    """The experiment is understood, but this rig or this version cannot run it; nothing was started."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything known before the first instrument is touched."""

    request: RunRequest
    experiment: Experiment
    rig: Rig
    rig_path: Path
    plan: Plan
    ignored: tuple[str, ...] = ()
    """What the rig file asks for and nobody does, a sentence each."""

    @property
    def simulated(self) -> bool:
        """True when any instrument of the station is emulated or simulated."""
        return any(simulated_instrument(self.instrument(role)) for role in ("potentiostat", "console"))

    @property
    def emulated(self) -> bool:
        """True when any of the two lives on a twin's physics."""
        two = [self.instrument(role) for role in ("potentiostat", "console")]
        return any(simulated_instrument(one) and not recorded_instrument(one) for one in two)

    @property
    def all_simulated(self) -> bool:
        """True when no instrument of the station is real."""
        return all(simulated_instrument(self.instrument(role)) for role in ("potentiostat", "console"))

    @property
    def twin_path(self) -> Path | None:
        """The physics file that was asked for, else the one that the rig names, relative to it."""
        if self.request.twin is not None:
            return self.request.twin.resolve()
        return (self.rig_path.parent / self.rig.twin).resolve() if self.rig.twin else None

    @property
    def mirror_to(self) -> Path | None:
        """The folder that the rig wants a copy in, relative to its file."""
        return (self.rig_path.parent / Path(self.rig.mirror_to).expanduser()) if self.rig.mirror_to else None

    @property
    def status_to(self) -> Path | None:
        """The folder that the rig wants ``status.html`` in, relative to its file."""
        return (self.rig_path.parent / Path(self.rig.status_to).expanduser()) if self.rig.status_to else None

    @property
    def hands_folder(self) -> Path:
        """What watched folders are relative to: the rig's data, else the experiment's own folder."""
        if self.rig.data_root is not None:
            return self.rig_path.parent / Path(self.rig.data_root).expanduser()
        return Path(self.experiment.file).resolve().parent

    def instrument(self, role: str) -> Instrument:
        """The station's potentiostat or console in the rig file."""
        return self.rig.instruments[self.instrument_id(role)]

    def instrument_id(self, role: str) -> str:
        """The instrument's name in the rig file."""
        return str(getattr(self.rig.stations[self.plan.station], role)).partition(":")[0]

    def further(self) -> list[tuple[str, str]]:
        """Tuner and sensors of the station: role, and name in the rig file (with a channel behind a colon)."""
        setup = self.rig.stations[self.plan.station]
        return [*([("tuner", setup.tuner)] if setup.tuner is not None else []), *(("sensor", name) for name in setup.sensors)]

    def settings_of(self, called: str, addresses: Mapping[str, str]) -> Settings:
        """What the driver of a tuner or a sensor is made from."""
        name, _, channel = called.partition(":")
        instrument = self.rig.instruments[name]
        address = addresses.get(instrument.address.removeprefix(PREFIX), instrument.address)
        options = {key: value for key, value in instrument.options.items() if key != "emulator"}
        simulated = simulated_instrument(instrument)
        return Settings(name, instrument.driver, address, channel, instrument.identity, options, instrument.address, simulated=simulated)

    def settings(self, role: str, addresses: Mapping[str, str]) -> Settings:
        """What its driver is made from; ``addresses``: emulator name → where it really is."""
        instrument, name = self.instrument(role), self.instrument_id(role)
        channel = str(getattr(self.rig.stations[self.plan.station], role)).partition(":")[2]
        address = addresses.get(instrument.address.removeprefix(PREFIX), instrument.address)
        if recorded_instrument(instrument):
            address = str(self.recording(instrument))
        options = {key: value for key, value in instrument.options.items() if key != "emulator"}
        if instrument.address == IN_MEMORY and (faults := self.fault_shares().get(role)):
            options["faults"] = faults
        options["unlock"] = dict(instrument.unlock)
        return Settings(
            name,
            instrument.driver,
            address,
            channel,
            instrument.identity,
            options,
            instrument.address,
            simulated=simulated_instrument(instrument),
            recorded=self.recorded(role),
        )

    def recorded(self, role: str) -> bool:
        """Does this instrument of the station play back what was recorded before?"""
        instrument, data = self.instrument(role), self.request.data
        return recorded_instrument(instrument) or (role == "console" and data is not None and instrument.address.startswith(PREFIX))

    def recording(self, instrument: Instrument) -> Path:
        """Where its recording lies: relative to ``--data`` where that names a folder, else to the rig file."""
        beside = self.request.data if self.request.data is not None else self.rig_path.parent
        return (beside / Path(instrument.address.removeprefix(RECORDING)).expanduser()).resolve()

    @property
    def fence(self) -> Instrument | None:
        """The hardware fence in the rig file."""
        return None if self.rig.fence is None else Instrument.model_validate(self.rig.fence)

    @property
    def _emulated(self) -> list[tuple[str, Instrument]]:
        """What this program emulates: role and instrument."""
        found = [(role, self.instrument(role)) for role in ("potentiostat", "console")]
        found += [(role, self.rig.instruments[name.partition(":")[0]]) for role, name in self.further()]
        found += [("fence", self.fence)] if self.fence is not None else []
        return [(role, instrument) for role, instrument in found if instrument.address.startswith(PREFIX)]

    def fault_shares(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Emulator (or role, for the pair in memory) → the faults asked for. Raises BadFault."""
        known: dict[str, frozenset[str]] = {}
        for _, instrument in self._emulated:
            known |= known_faults([instrument.address.removeprefix(PREFIX)])
        for role in ("potentiostat", "console"):
            instrument = self.instrument(role)
            if instrument.address == IN_MEMORY:
                known[role] = registry.fault_names(f"{role}s", instrument.driver)
        if self.simulated:
            known[TWIN] = registry.fault_names("twins", "twin")
        if self.request.virtual:
            known[HOST] = HOST_FAULTS
        return share_out(self.request.faults, known)

    def emulator_options(self) -> dict[str, dict[str, Any]]:
        """Emulator name → its options from the rig file, and the folder to replay from ``--data``."""
        options: dict[str, dict[str, Any]] = {}
        for role, instrument in self._emulated:
            own = {key: value for key, value in instrument.options.get("emulator", {}).items() if key != "data"}
            if role == "console" and self.request.data is not None:
                own["data"] = str(self.request.data.resolve())
            options[instrument.address.removeprefix(PREFIX)] = own
        return options


def gather(request: RunRequest) -> Gathered:
    """Read experiment and rig, make the plan. Raises ConfigError, PlanError, CannotRun."""
    found = _planned(request)
    lacking = [f"not available yet: {name}" for name in found.plan.not_available]
    lacking += [f"not available yet: {name} ({meaning})" for name, meaning in found.rig_not_available if name in REFUSED]
    if lacking:
        raise CannotRun("\n".join(lacking))
    ignored = tuple(f"{name} is ignored: {meaning}" for name, meaning in found.rig_not_available)
    gathered = Gathered(request, found.experiment, found.rig, found.rig_path.resolve(), found.plan, ignored)
    _refuse_impossible(gathered)
    return gathered


def _planned(request: RunRequest) -> Planned:
    """The plan as ``check`` makes it, for a start now (in virtual time: at its epoch)."""
    epoch_ns = request.epoch_utc_ns or (VIRTUAL_EPOCH_UTC_ns if request.virtual else None)
    make = functools.partial(
        planned,
        request.experiment,
        request.rig,
        station=request.station,
        booking_end=request.booking_end,
        start_utc_ns=epoch_ns or Clock().utc_ns(),
    )
    free_bytes = free_bytes_at(request.out)
    try:
        found = make(free_bytes=None if request.virtual else free_bytes)
        # In virtual time one seed gives one file: how full the disk is may refuse a run, but not stand in its plan.
        return make(free_bytes=free_bytes) if found.plan.size_bytes > free_bytes else found
    except NoRig as error:
        raise CannotRun(str(error)) from None


def _refuse_impossible(gathered: Gathered) -> None:
    gathered.fault_shares()
    if gathered.emulated and gathered.twin_path is None:
        raise CannotRun(f"rig `{gathered.rig.name}` has simulated instruments but names no `twin:` file")
    _refuse_missing_data(gathered)
    if gathered.request.twin is not None and not (gathered.simulated and gathered.request.twin.is_file()):
        raise CannotRun(f"--twin {gathered.request.twin}: there is no such file, or nothing of rig `{gathered.rig.name}` is simulated")
    real = [role for role in ("potentiostat", "console") if not simulated_instrument(gathered.instrument(role))]
    real += [role for role, name in gathered.further() if not simulated_instrument(gathered.rig.instruments[name.partition(":")[0]])]
    if gathered.request.speed != 1.0 and real:
        raise CannotRun(f"--speed is for simulated rigs; the {' and the '.join(real)} of rig `{gathered.rig.name}` is real")


def _refuse_missing_data(gathered: Gathered) -> None:
    """``--data`` is for an emulated console, or for a potentiostat that plays a recording; ``data: required`` in the rig is for a console.

    Only the emulator, and the process that reads the recording, open the folder.
    """
    console, data = gathered.instrument("console"), gathered.request.data
    required = console.options.get("emulator", {}).get("data") == "required"
    if data is None and required:
        raise CannotRun(f"rig `{gathered.rig.name}` plays a recording back: name its folder with --data FOLDER")
    if data is not None and not console.address.startswith(PREFIX) and not gathered.recorded("potentiostat"):
        raise CannotRun(f"--data is for an emulated console; that of rig `{gathered.rig.name}` is at {console.address}")
    if data is not None and not data.is_dir():
        raise CannotRun(f"--data {data}: there is no such folder")


def _anywhere(value: Any) -> Any:
    """The same plain data with every ``where`` naming its file only: no folder of this computer goes into a run."""
    if isinstance(value, list):
        return [_anywhere(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: PurePath(one).name if name == "file" and isinstance(one, str) else _anywhere(one) for name, one in value.items()}


def run_started(gathered: Gathered, clock: Clock, run_id: str) -> dict[str, Any]:
    """Event 1: everything that is needed to understand the run without this computer."""
    request = gathered.request
    twin = gathered.twin_path
    texts = {"experiment": gathered.experiment.source, "rig": gathered.rig.source, "twin": twin.read_text("utf-8") if twin else ""}
    stamp = clock.stamp()
    return {
        "name": gathered.experiment.name,
        "run_id": run_id,
        **texts,
        "cell": _anywhere(gathered.experiment.cell.model_dump(mode="json")),
        "plan": _anywhere(gathered.plan.model_dump(mode="json")),
        "digests": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()},
        "versions": {name: _version(name) for name in LIBRARIES},
        "platform": {"python": sys.version.split()[0], "system": python_platform.system(), "machine": python_platform.machine()},
        "seed": request.seed,
        "epoch_utc_ns": stamp.utc_ns,
        "speed": request.speed if request.speed is not None else 0.0,
        "zone": gathered.rig.zone,
        "rig_name": gathered.rig.name,
        "revision": revision(),
        "booking_end": request.booking_end or "",
        "faults": list(request.faults),
        "data": request.data.resolve().name if request.data is not None else "",
        "simulated": gathered.simulated,
        "fids_recorded": gathered.recorded("console"),
        **({"ec_recorded": True} if gathered.recorded("potentiostat") else {}),
        "origin_mono_ns": stamp.mono_ns,
        "station": gathered.plan.station,
        **rung_of(gathered),
        **verbatim(gathered.experiment.cell, home(), simulated=gathered.all_simulated),
    }


def rung_of(gathered: Gathered) -> dict[str, Any]:
    """What the station keeps this program from doing; nothing where it has full control."""
    name = str(gathered.rig.stations[gathered.plan.station].potentiostat).partition(":")[0]
    known = capabilities(gathered.rig).get(name)
    return {"rung": known.rung, "cannot": known.cannot} if isinstance(known, Capabilities) and known.rung < FULL_CONTROL else {}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def program() -> str:
    """Version and revision of this program, as one text that differs where the program does."""
    return f"{_version(LIBRARIES[0])} {revision()}".strip()


@functools.cache
def revision() -> str:
    """The git revision of the checkout that this program runs from, ``+`` behind it where files differ; "" where there is none."""
    top = Path(__file__).resolve().parents[2]
    if not (top / ".git").exists():
        return ""
    try:
        head, changed = (_git(top, *words) for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no")))
    except (OSError, subprocess.SubprocessError):
        return ""
    return head + ("+" if changed else "")


def _git(top: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(top), *words], capture_output=True, text=True, check=True, timeout=10).stdout.strip()
