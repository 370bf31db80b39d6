"""``operando drivers``: what is known, and how far each has come."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from orchestrator.cli import exits

ABILITIES = {
    "CC": "constant current",
    "CV": "constant voltage",
    "EIS": "impedance",
    "max_steps": "steps in one program:",
    "on_device_limits": "limits on the instrument:",
    "autonomous": "goes on without the host",
    "watchdog": "watchdog on the instrument",
    "ttl": "trigger line",
    "max_current_A": "at most A:",
    "progress": "tells scans as they come",
    "look": "shows a scan in progress",
    "nuclei": "nuclei:",
    "least_repetition_s": "repetition at least s:",
}


def drivers_command(*, as_json: bool) -> int:
    """List potentiostats, consoles, tuners, sensors, fences and emulators: how far each has come, and what it can."""
    from drivers import registry

    for kind in ("potentiostats", "consoles", "tuners", "sensors", "fences", "emulators"):
        for name in registry.names(kind):
            quality = _quality(registry.folder(kind, name)) if kind != "emulators" else {}
            can = _can(kind, name)
            if as_json:
                print(json.dumps(quality | {"kind": kind[:-1], "name": name, "level": level(quality), "can": can}))
            else:
                told = f"; {', '.join(can)}" if can else "" if quality == {} else "; what it can it tells when it is connected"
                print(f"{kind[:-1]:<13} {name:<14} {_in_words(quality)}{told}")
    return exits.COMPLETE


def level(quality: dict[str, Any]) -> str:
    """*simulation*; *bronze*: the contract of all drivers of its kind is passed; *below bronze*; or what ``quality.yaml`` says.

    More than bronze takes an instrument: silver a recorded dialogue with a real one, gold a night in a named laboratory.
    """
    if not quality:
        return "simulation"
    if "level" in quality:
        return str(quality["level"])
    passed = any(str(rule["rule"]).startswith("the contract") and rule["state"] == "done" for rule in quality.get("rules", ()))
    return "bronze" if passed else "below bronze"


def _can(kind: str, name: str) -> list[str]:
    """What a driver says of itself without an instrument; of an emulator, its faults. Empty where it does not say."""
    from drivers import registry
    from drivers.base import Settings
    from drivers.errors import InstrumentError

    if kind == "emulators":
        return [f"{len(registry.fault_names(kind, name))} faults"]
    factory = registry.factory(kind, name)
    declared = getattr(factory, "declared", None)
    try:
        said = declared(Settings(name, name, "")) if declared else getattr(factory, "capabilities", None)
    except (InstrumentError, LookupError, TypeError, ValueError):  # it cannot say without the rig file's options
        return []
    if not is_dataclass(said):
        return []
    return [_ability(key.name, value) for key in fields(said) if (value := getattr(said, key.name)) and key.name in ABILITIES]


def _ability(name: str, value: Any) -> str:
    if isinstance(value, frozenset):
        return f"{ABILITIES[name]} {' '.join(sorted(map(str, value)))}"
    return ABILITIES[name] if value is True else f"{ABILITIES[name]} {value:g}"


def _in_words(quality: dict[str, Any]) -> str:
    """How far a driver is: its level, has it met an instrument, and how many of its rules are shown by tests."""
    if not quality:
        return "simulation"
    states = [rule["state"] for rule in quality.get("rules", ()) if rule["state"] != "does not apply"]
    return f"{level(quality)}; {quality['hardware']}; {states.count('done')} of {len(states)} rules done"


def _quality(folder: Path) -> dict[str, Any]:
    """``quality.yaml`` of a driver's folder: ``hardware`` and ``rules``; empty where there is none."""
    from ruamel.yaml import YAML

    path = folder / "quality.yaml"
    return dict(YAML(typ="safe", pure=True).load(path.read_text("utf-8"))) if path.is_file() else {}
