"""Home Assistant's device discovery: one retained message makes the rig a device with its sensors there. Only where it is asked for.

inferred: the keys are those of Home Assistant's `mqtt` integration as its documentation names them; not yet met one that runs.
"""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

from orchestrator.monitor.picture import Out
from orchestrator.monitor.topics import Topics

PREFIX = "homeassistant"


class Shown(NamedTuple):
    """A key of ``state`` as an entity."""

    key: str
    name: str
    unit: str = ""
    device_class: str = ""
    template: str = ""


SENSORS = (
    Shown("state", "Run"),
    Shown("step_text", "Step"),
    Shown("cycle", "Cycle"),
    Shown("voltage_V", "Cell voltage", "V", "voltage"),
    Shown("current_A", "Cell current", "A", "current"),
    Shown("cell_state", "Cell"),
    Shown("progress", "Progress", "%", "", "{{ (value_json.progress * 100) | round(0) }}"),
    Shown("spectra_stored", "Spectra"),
    Shown("last_spectrum_utc", "Last spectrum", "", "timestamp"),
    Shown("ends_utc", "Expected end", "", "timestamp"),
)
PROBLEM = {
    "platform": "binary_sensor",
    "name": "Alarm",
    "device_class": "problem",
    "value_template": "{{ 'ON' if value_json.alarms > 0 else 'OFF' }}",
}


def discovery(topics: Topics, rig: str) -> Out:
    """The message."""
    components = {one.key.lower(): {**_sensor(one), **_common(topics, one.key)} for one in SENSORS}
    components["alarm"] = {**PROBLEM, **_common(topics, "alarm")}
    payload = {
        "device": {"identifiers": [_device(topics)], "name": rig, "manufacturer": "operando-nmr", "model": "operando NMR rig"},
        "origin": {"name": "operando-nmr", "sw_version": _version()},
        "components": components,
        "availability_topic": topics.status,
        "qos": 1,
    }
    return Out(f"{PREFIX}/device/{_device(topics)}/config", json.dumps(payload).encode())


def _device(topics: Topics) -> str:
    return f"operando-{topics.rig}"


def _common(topics: Topics, key: str) -> dict[str, Any]:
    return {"unique_id": f"{_device(topics)}-{key.lower()}", "state_topic": topics.state}


def _sensor(one: Shown) -> dict[str, Any]:
    template = one.template or f"{{{{ value_json.{one.key} | default(none) }}}}"
    found = {"platform": "sensor", "name": one.name, "value_template": template}
    return found | {name: value for name, value in (("unit_of_measurement", one.unit), ("device_class", one.device_class)) if value}


def _version() -> str:
    try:
        return version("operando-nmr")
    except PackageNotFoundError:
        return "unknown"
