"""``operando drivers``: what is known, and how far each has come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrator.cli import exits


def drivers_command(*, as_json: bool) -> int:
    """List potentiostats, consoles and emulators, with the quality each driver claims for itself."""
    from drivers import registry

    for kind in ("potentiostats", "consoles", "emulators"):
        for name in registry.names(kind):
            quality = _quality(registry.folder(kind, name))
            if as_json:
                print(json.dumps(quality | {"kind": kind[:-1], "name": name}))
            else:
                print(f"{kind[:-1]:<13} {name:<14} {_in_words(kind, quality)}")
    return exits.COMPLETE


def _in_words(kind: str, quality: dict[str, Any]) -> str:
    """How far a driver is: has it met an instrument, and how many of its rules are shown by tests."""
    if kind == "emulators" or not quality:
        return "simulation"
    states = [rule["state"] for rule in quality.get("rules", ()) if rule["state"] != "does not apply"]
    return f"{quality['hardware']}; {states.count('done')} of {len(states)} rules done"


def _quality(folder: Path) -> dict[str, Any]:
    """``quality.yaml`` of a driver's folder: ``hardware`` and ``rules``; empty where there is none."""
    from ruamel.yaml import YAML

    path = folder / "quality.yaml"
    return dict(YAML(typ="safe", pure=True).load(path.read_text("utf-8"))) if path.is_file() else {}
