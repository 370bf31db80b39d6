"""What ``operando check`` and ``operando run`` both do with the two files: read, plan, refuse. Neither takes what the other refuses."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.config import ConfigError, check_drivers, load_experiment, load_rig, refuse_fence, rig_file
from orchestrator.model.available import rig_not_available
from orchestrator.model.rig import IN_MEMORY, Instrument
from orchestrator.plan import make_plan
from orchestrator.rig.cells import as_it_stands
from orchestrator.rig.emulators import PREFIX
from orchestrator.rig.folders import home

DRIVERS = ("potentiostats", "consoles", "tuners", "sensors", "fences", "emulators")

if TYPE_CHECKING:
    from drivers.base import Capabilities, ConsoleCapabilities
    from orchestrator.model.experiment import Experiment
    from orchestrator.model.rig import Rig
    from orchestrator.plan.orders import Plan


RECORDING = "recording:"
"""Before the path of a recorded run that a potentiostat plays back."""


class NoRig(Exception):
    """Neither the command nor the experiment names a rig."""


@dataclass(frozen=True, slots=True)
class Planned:
    """An experiment that can be run, and its plan. ``assumed_rig``: nobody named it."""

    experiment: Experiment
    rig: Rig
    rig_path: Path
    assumed_rig: bool
    plan: Plan
    alone: str = ""
    """What the potentiostat does by itself when this program dies, as far as its driver says it without the instrument."""
    fence: str = ""
    """The hardware fence as its driver describes it, and whether what it does can be read back; "" = the rig names none."""

    @property
    def rig_not_available(self) -> tuple[tuple[str, str], ...]:
        """Key of the rig file → what this version does about it, for those that it does not execute."""
        return rig_not_available(self.rig)

    @property
    def without_fence(self) -> tuple[str, ...]:
        """The instruments of the station whose current nobody could cut if they no longer listened."""
        if self.rig.fence is not None:
            return ()
        name = str(self.rig.stations[self.plan.station].potentiostat).partition(":")[0]
        return (f"{name} ({self.rig.instruments[name].driver})",)


def planned(
    file: Path,
    rig: Path | None,
    *,
    station: str | None = None,
    booking_end: str | None = None,
    start_utc_ns: int | None = None,
    free_bytes: int | None = None,
    otherwise: Path | None = None,
) -> Planned:
    """Read both files and plan. ``otherwise``: the rig where nobody names one. Raises ConfigError, PlanError, NoRig."""
    from drivers.registry import names

    experiment = _experiment(file, rig)
    named = rig or rig_file(experiment)
    path = named or otherwise
    if path is None:
        raise NoRig("no rig: name one with --rig RIG.yaml (configs/rigs/sim.yaml simulates), or with `rig:` in the experiment")
    read = load_rig(path)
    declared = capabilities(read)
    cell = as_it_stands(experiment.cell, home(), simulated=simulated_rig(read, station))
    experiment = experiment.model_copy(update={"cell": cell})
    plan = make_plan(
        experiment,
        read,
        station=station,
        capabilities=declared,
        start_utc_ns=start_utc_ns,
        booking_end=booking_end,
        free_bytes=free_bytes,
    )
    check_drivers(read, plan.station, {kind: names(kind) for kind in DRIVERS})
    return Planned(experiment, read, path, named is None, plan, _alone(read, plan.station, declared), _fence(read))


def _alone(rig: Rig, station: str, declared: Mapping[str, Capabilities | ConsoleCapabilities]) -> str:
    name = rig.stations[station].potentiostat.partition(":")[0]
    can: Any = declared.get(name)
    does = "says what it does by itself once it is connected (see docs/explanation/safety.md)" if can is None else None
    return f"{name} ({rig.instruments[name].driver}) {does or by_itself(can, rig.instruments[name].address)}"


def by_itself(can: Capabilities, address: str) -> str:
    """What an instrument does when its host dies, as its driver says: a sentence without its subject."""
    if address == IN_MEMORY:
        return "is simulated in the rig's own process, and ends with it"
    if not can.obeys:
        return "goes on as its own software says"
    if can.autonomous:
        kept = ", ".join(sorted(can.on_device_limits)) or "none"
        return f"goes on with its step to those of its ends and limits that it keeps itself ({kept})"
    if can.watchdog:
        return "opens the circuit by a watchdog of its own"
    return "ends nothing by itself: what flows goes on until the guard, or a fence, opens the circuit"


def _fence(rig: Rig) -> str:
    """The rig's fence in words. Raises ConfigError where nobody could work it."""
    from drivers.base import Settings
    from drivers.errors import Rejected
    from drivers.registry import describe_fence

    if rig.fence is None:
        return ""
    asked = Instrument.model_validate(rig.fence)
    options = {key: value for key, value in asked.options.items() if key != "emulator"}
    try:
        return describe_fence(Settings("fence", asked.driver, asked.address, options=options))
    except Rejected as rejected:
        refuse_fence(rig, str(rejected))
        raise


def simulated_instrument(instrument: Instrument) -> bool:
    """Emulated behind a wire, simulated inside the rig's process, or a recording that is played back: nothing real is behind it."""
    return instrument.address.startswith(PREFIX) or instrument.in_memory or recorded_instrument(instrument)


def recorded_instrument(instrument: Instrument) -> bool:
    """Does it play back what was recorded before?"""
    return instrument.address.startswith(RECORDING)


def simulated_rig(rig: Rig, station: str | None) -> bool:
    """Is nothing of a station real? Of a station that is not named, of any."""
    stations = [one for name, one in rig.stations.items() if name == station] or list(rig.stations.values())
    names = {name.partition(":")[0] for one in stations for name in (one.potentiostat, one.console)}
    return all(simulated_instrument(one) for name, one in rig.instruments.items() if name in names)


def _experiment(file: Path, rig: Path | None) -> Experiment:
    """Read it; where it is wrong, whatever is wrong with the rig is said with it. Raises ConfigError."""
    try:
        return load_experiment(file, home=home())
    except ConfigError as wrong:
        problems = list(wrong.problems)
    if rig is not None:
        try:
            load_rig(rig)
        except ConfigError as wrong:
            problems += wrong.problems
    raise ConfigError(problems)


def free_bytes_at(folder: Path) -> int:
    """What is free where ``folder`` is, or will be."""
    there = next((one for one in (folder.absolute(), *folder.absolute().parents) if one.is_dir()), Path.cwd())
    return shutil.disk_usage(there).free


def capabilities(rig: Rig) -> dict[str, Capabilities | ConsoleCapabilities]:
    """What the drivers of a rig say without their instruments, by instrument id.

    A driver that can tell from the rig file alone has a ``declared(settings)``; of the others the defaults are assumed.
    """
    from drivers.base import Settings
    from drivers.registry import factory, names

    used = {station.potentiostat.partition(":")[0]: "potentiostats" for station in rig.stations.values()}
    used |= {station.console: "consoles" for station in rig.stations.values()}
    found: dict[str, Capabilities | ConsoleCapabilities] = {}
    for name, kind in used.items():
        instrument = rig.instruments.get(name)
        if instrument is None or instrument.driver not in names(kind):
            continue
        with contextlib.suppress(ImportError):
            declared = getattr(factory(kind, instrument.driver), "declared", None)
            if declared is not None:
                options = {**instrument.options, "unlock": dict(instrument.unlock)}
                settings = Settings(name, instrument.driver, instrument.address, "", instrument.identity, options)
                found[name] = declared(settings)
    return found
