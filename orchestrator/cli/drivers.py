"""``operando drivers``: what is known, and how far each has come."""

from __future__ import annotations

import json
from pathlib import Path

from orchestrator.cli import exits


def drivers_command(*, as_json: bool) -> int:
    """List potentiostats, consoles and emulators, with the quality each driver claims for itself."""
    from drivers import registry

    for kind in ("potentiostats", "consoles", "emulators"):
        for name in registry.names(kind):
            quality = _quality(registry.folder(kind, name))
            if as_json:
                print(json.dumps({"kind": kind[:-1], "name": name, **quality}))
            else:
                print(f"{kind[:-1]:<13} {name:<14} {quality.get('level', 'simulation'):<11} {quality.get('says', '')}")
    return exits.COMPLETE


def _quality(folder: Path) -> dict[str, str]:
    """``quality.yaml`` of a driver's folder: ``level`` and ``says``; empty where there is none."""
    from ruamel.yaml import YAML

    path = folder / "quality.yaml"
    return dict(YAML(typ="safe").load(path.read_text("utf-8"))) if path.is_file() else {}
