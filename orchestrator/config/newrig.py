"""A rig file and a first experiment from a few answers, as text with comments: what ``operando init`` writes. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

EMULATED = "emulator:"
SIMULATED = "sim"
SERIES = {"7Li": "series_1p_7Li_wide", "23Na": "series_1p_23Na_ionic"}
"""What the simulated consoles have."""
PLAIN = re.compile(r"[A-Za-z/.][\w./+-]*")
WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", ".nan", ".inf", ".", ".."})


@dataclass(frozen=True, slots=True)
class NewInstrument:
    """One instrument of a rig that is yet to be written; ``options`` as they stand in the file."""

    driver: str
    address: str
    identity: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def simulated(self) -> bool:
        """Is it emulated, or the driver pair without wires?"""
        return self.driver == SIMULATED or self.address.startswith(EMULATED)


@dataclass(frozen=True, slots=True)
class NewRig:
    """The answers. ``broker``: URL, user, and its files relative to the rig file; ``twin``: physics file of emulated instruments."""

    name: str
    zone: str
    potentiostat: NewInstrument
    channel: str
    console: NewInstrument
    nuclei: tuple[str, ...]
    voltage_V: tuple[float, float]
    current_mA: float
    broker: Mapping[str, str] = field(default_factory=dict)
    twin: str = ""


def rig_text(rig: NewRig) -> str:
    """The rig file."""
    return "\n".join(_rig(rig)) + "\n"


def _rig(rig: NewRig) -> Iterator[str]:
    yield "# yaml-language-server: $schema=../schema/rig.json"
    yield f"# Written by `operando init`. `operando doctor --rig {rig.name}.yaml` asks each instrument who it is."
    yield "version: 1"
    yield f"name: {_scalar(rig.name)}"
    yield f"zone: {_scalar(rig.zone)}"
    if rig.broker:
        yield f"broker: {_flow(rig.broker)}"
    yield "instruments:"
    yield from _instrument("potentiostat", rig.potentiostat)
    yield from _instrument("console", rig.console)
    yield "stations:"
    yield "  magnet:"
    yield f"    potentiostat: {_scalar(f'potentiostat:{rig.channel}' if rig.channel else 'potentiostat')}"
    yield "    console: console"
    yield "    nuclei:                            # manual: true = somebody must tune by hand"
    yield from (f"      {nucleus}: {{manual: false}}" for nucleus in rig.nuclei)
    if rig.twin:
        yield f"twin: {_scalar(rig.twin)}"
    yield ""
    yield "# The site's own templates: pulse and power belong there, and to nobody else. Correct these before the first pulse."
    yield "templates:"
    for nucleus in rig.nuclei:
        yield f"  {nucleus}_first: {_template(rig.console, nucleus)}"


def _instrument(name: str, one: NewInstrument) -> Iterator[str]:
    yield f"  {name}:"
    yield f"    driver: {one.driver}"
    yield f"    address: {_scalar(one.address)}"
    if one.identity:
        yield f"    identity: {_scalar(one.identity)}    # another instrument is refused"
    if one.options:
        yield "    options:"
        yield from (f"      {key}: {value}" for key, value in one.options.items())


def _template(console: NewInstrument, nucleus: str) -> str:
    """What is measured first, on a reference or a dummy."""
    if console.driver == "spinsolve":
        return f"{{nucleus: {nucleus}, parameters: {{acquisition_time_s: 0.4}}}}"
    numbers = "points: 4096, spectral_width_Hz: 100000, carrier_ppm: 0"
    if console.simulated:
        return f"{{nucleus: {nucleus}, series: {SERIES.get(nucleus, nucleus)}, parameters: {{{numbers}, pulse_us: 8}}}}"
    dataset = f"templates/{nucleus}/1" if console.driver == "topspin" else f"s2pul_{nucleus}"
    return f"{{nucleus: {nucleus}, dataset: {dataset}, parameters: {{{numbers}}}}}"


def experiment_text(rig: NewRig) -> str:
    """A rest of five minutes with one spectrum, on a dummy cell: nothing in it starts a current."""
    (low, high), most = rig.voltage_V, f"{rig.current_mA:g}"
    scans = "" if rig.console.driver == "spinsolve" else ", dummies: 4"
    return f"""\
# yaml-language-server: $schema=../schema/experiment.json
# Written by `operando init`: the first thing to run on a new rig, with a resistor in place of the cell. It starts no current.
version: 1
experiment: first-{rig.name}
rig: ../rigs/{rig.name}.yaml
cell: {{id: dummy, type: symmetric, working: one end, counter: the other, lead_ohm: 2}}
limits: {{E_V: [{low:g}, {high:g}], abs_I_mA: {most}, charge_per_step_mAh: {most}, host_lost: open circuit within 60 s}}
acquisitions:
  first: {{template: {rig.nuclei[0]}_first, recycle_s: 1, scans: 8{scans}}}
protocol:
  - {{step: Rest for 5 minutes, nmr: {{first: at start}}}}
at_end: {{cell: open circuit}}
"""


def _flow(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {_scalar(value)}" for key, value in values.items()) + "}"


def _scalar(text: str) -> str:
    """A YAML string; in quotes where it could be taken for something else, and JSON's quotes are YAML's."""
    return text if PLAIN.fullmatch(text) and text.lower() not in WORDS else json.dumps(text, ensure_ascii=False)
