"""What stands beside the two instruments of a station: its tuner, its sensors, and the line on which one tells the other to begin."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from typing import Literal

from drivers import registry
from drivers.base import Context, Identity, Reading, Sensor, Settings, Tuner
from drivers.clock import Clock
from drivers.errors import InstrumentError
from orchestrator.doctor.finding import Finding, State, ok
from orchestrator.doctor.instruments import PATIENCE_s, settings_of
from orchestrator.guard.act import NoWire
from orchestrator.model.rig import Rig, StationSetup
from orchestrator.rig.planned import simulated_instrument

Role = Literal["tuner", "sensor"]
LINE = "trigger line"
TRY_IT = "try it on a dummy cell: an acquisition with `start: at trigger edge within 10 minutes` is missed where no edge comes"


async def beside_findings(rig: Rig) -> AsyncIterator[Finding]:
    """Tuners and sensors, each once, and the trigger line of every station. Nothing is tuned, set or raised."""
    for called, role in _called(rig).items():
        name, _, channel = called.partition(":")
        instrument = rig.instruments[name]
        if simulated_instrument(instrument):
            yield ok(name, role, f"{instrument.driver} at {instrument.address}: simulated by this program")
        else:
            yield await _asked(role, settings_of(name, instrument, channel))
    for name, station in rig.stations.items():
        yield trigger_line(rig, name, station)


def _called(rig: Rig) -> dict[str, Role]:
    """As stations call them, with a channel behind a colon → what they are."""
    found: dict[str, Role] = {}
    for station in rig.stations.values():
        found |= {station.tuner: "tuner"} if station.tuner is not None else {}
        found |= dict.fromkeys(station.sensors, "sensor")
    return found


async def _asked(role: Role, settings: Settings) -> Finding:
    advice = f"is it on, is {settings.address} its address, and does another program hold it? drivers/{settings.driver}/README.md"
    try:
        async with asyncio.timeout(PATIENCE_s):
            text = await (_tuner(settings) if role == "tuner" else _sensor(settings))
    except TimeoutError:
        return Finding(settings.instrument, role, State.FAIL, f"no answer within {PATIENCE_s:g} s", advice)
    except InstrumentError as error:
        return Finding(settings.instrument, role, State.FAIL, error.message, error.advice or advice)
    return ok(settings.instrument, role, text)


async def _tuner(settings: Settings) -> str:
    tuner: Tuner = registry.make_tuner(settings, _context())
    try:
        return f"{_who(await tuner.connect())}: {await tuner.read_state()}"
    finally:
        await tuner.release()


async def _sensor(settings: Settings) -> str:
    sensor: Sensor = registry.make_sensor(settings, _context())
    try:
        return f"{_who(await sensor.connect())}: reads {_shown(await sensor.read())}"
    finally:
        await sensor.release()


def _context() -> Context:
    return Context(Clock(), registry.real_network(), NoWire())


def _who(identity: Identity) -> str:
    return " ".join(part for part in (identity.vendor, identity.model, identity.serial) if part)


def _shown(reading: Reading) -> str:
    return f"{reading.value:.6g} {reading.unit}" if math.isfinite(reading.value) else "nothing that it could mean"


# ---------------------------------------------------------------------------------------------------------- trigger line


def trigger_line(rig: Rig, name: str, station: StationSetup) -> Finding:
    """Can the potentiostat raise a line, and the console wait for it? Whether a cable joins the two nobody sees from here."""
    if any(simulated_instrument(rig.instruments[called.partition(":")[0]]) for called in (station.potentiostat, station.console)):
        return ok(name, LINE, "simulated instruments: no cable to try")
    try:
        missing = list(_missing(rig, station))
    except InstrumentError as error:
        return Finding(name, LINE, State.UNKNOWN, error.message, error.advice)
    if missing:
        fix = "leave `start:` and `ttl:` out: acquisitions are then begun by message, and their latency is stored"
        return Finding(name, LINE, State.UNKNOWN, " and ".join(missing), fix)
    return Finding(name, LINE, State.UNKNOWN, "both ends can; whether a cable joins them is not seen from here", TRY_IT)


def _missing(rig: Rig, station: StationSetup) -> Iterator[str]:
    potentiostat, console = (
        settings_of(called.partition(":")[0], rig.instruments[called.partition(":")[0]], called.partition(":")[2])
        for called in (station.potentiostat, station.console)
    )
    if not registry.make_potentiostat(potentiostat, _context()).capabilities.ttl:
        yield f"{potentiostat.instrument} has no line to raise or to wait for"
    if not registry.make_console(console, _context()).capabilities.edge:
        yield f"{console.instrument} has no trigger input that its driver knows of"
