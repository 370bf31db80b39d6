"""What people write in a rig file, key by key."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from orchestrator.config.shapes import (
    Name,
    NotNegative,
)
from orchestrator.config.written import Written


class WrittenInstrument(Written):
    """One instrument: its driver, where it is, and who should answer."""

    driver: Name = Field(description="the name of a driver: `operando drivers` lists them")
    address: str = Field(description="pyserial URL, VISA resource, host:port or folder")
    identity: str = ""
    unlock: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)


class WrittenNucleus(Written):
    """What this station must do to measure a nucleus."""

    tuner_preset: str = Field("", description="of the tuner's presets; without it the one with the nucleus' name")
    manual: bool = Field(False, description="a person must tune the probe to it")
    retune_every: int | None = Field(None, ge=1, description="tune before every so many spectra; 1 = before each")
    retune_above_dB: float | None = Field(None, le=0, description="measure the reflection before each spectrum, and tune above this")


class WrittenLeads(Written):
    """What lies between the instrument and the cell, in series."""

    lead_ohm: NotNegative = Field(0.0, description="both leads together, from the instrument's clips to the cell")
    filter_ohm: NotNegative = Field(0.0, description="of a low-pass filter in the current's path, where it enters the magnet")


class WrittenStation(Written):
    """One channel, one console, tuner and sensors."""

    potentiostat: str
    console: str
    tuner: str | None = None
    sensors: list[str] = Field(default_factory=list)
    nuclei: dict[str, WrittenNucleus] = Field(default_factory=dict)
    leads: WrittenLeads | None = Field(None, description="counts instead of a cell record's `lead_ohm`")


class WrittenTemplate(Written):
    """The site's own acquisition template; pulse and power belong to it."""

    nucleus: Annotated[str, Field(pattern=r"^\d{1,3}[A-Z][a-z]?$")]
    dataset: str | None = None
    series: str | None = None
    phase_cycle: Annotated[int, Field(ge=1)] | None = Field(None, description="of the site's own pulse program, in place of its kind's")
    parameters: dict[str, Any] = Field(default_factory=dict)


class WrittenFence(Written):
    """What opens the cell's circuit past the potentiostat."""

    driver: Name = Field(description="the name of a fence's driver: `relay`, `open_in`")
    address: str = Field(description="pyserial URL")
    options: dict[str, Any] = Field(default_factory=dict)


class WrittenNotify(Written):
    """One way to tell a person: a program, the desktop, or an apprise URL."""

    level: Literal["info", "warn", "alarm", "critical"] = Field("alarm", description="the least level that is told so")
    run: list[str] = Field(default_factory=list, description="a program and its arguments; level, title and text follow")
    desktop: bool = False
    summary: str = Field("", description='an hour such as "07:00", by the rig\'s zone: what happened, or that all is fine')
    url: str = Field(
        "", description="as apprise writes it, such as `ntfy://TOPIC` (needs the extra [notify]); or `smtp://RELAY:25/?to=NAME@PLACE`"
    )


class WrittenBroker(Written):
    """Where a run is shown, and where commands come from. The password stands in a file of its own: a rig file goes into every run."""

    url: str = Field(description="mqtt://HOST or mqtts://HOST (with TLS), and :PORT where it is not 1883 or 8883")
    user: str = ""
    password_file: str = Field("", description="relative to this file")
    ca: str = Field("", description="certificate of the authority that signed the broker's, relative to this file; else the system's own")
    home_assistant: bool = Field(False, description="tell Home Assistant of this rig")


def _url_alone(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


class WrittenRig(Written):
    """The instruments of one rig and its stations."""

    version: Literal[1] = 1
    name: Name = Field(description="the rig's name")
    zone: str = "UTC"
    data_root: str | None = None
    mirror_to: str | None = None
    status_to: str | None = Field(None, description="a folder or share that gets status.html and a picture each minute")
    broker: Annotated[WrittenBroker | None, BeforeValidator(_url_alone, json_schema_input_type=str | WrittenBroker | None)] = None
    instruments: dict[Name, WrittenInstrument] = Field(min_length=1, description="the instruments by name")
    stations: dict[Name, WrittenStation] = Field(min_length=1, description="which channel and console belong together")
    templates: dict[Name, WrittenTemplate] = Field(default_factory=dict)
    references: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    by_hand: dict[str, Name] = Field(
        default_factory=dict, description="what a `manual:` acquisition says → the template by which this console makes it by itself"
    )
    fence: WrittenFence | None = None
    notify: list[WrittenNotify] = Field(default_factory=list, description="who is told of alarms")
    twin: str | None = Field(None, description="physics of the simulated cell, relative to this file")
