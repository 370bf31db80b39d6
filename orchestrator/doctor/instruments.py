"""One instrument by hand: who answers, in what state, its clock, and safe. Nothing here can start current or a pulse."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from drivers import registry
from drivers.base import Console, Context, Potentiostat, Settings
from drivers.clock import Clock
from drivers.errors import InstrumentError
from orchestrator.doctor.finding import Finding, State, ok
from orchestrator.guard.act import NoWire
from orchestrator.model.rig import Instrument, Rig
from orchestrator.rig.planned import simulated_instrument

Kind = Literal["potentiostat", "console"]
Verb = Literal["identify", "state", "clock", "safe"]
VERBS: tuple[Verb, ...] = ("identify", "state", "clock", "safe")
PATIENCE_s = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What an instrument said. ``confirmed``: of *safe*, whether it was read back."""

    verb: Verb
    told: Mapping[str, Any] = field(default_factory=dict)
    confirmed: bool = True


@contextlib.asynccontextmanager
async def in_hand(kind: Kind, settings: Settings) -> AsyncIterator[tuple[Potentiostat | Console, Mapping[str, Any]]]:
    """The instrument, connected, and its identity; released at the end, the cell as it was. Raises InstrumentError."""
    context = Context(Clock(), registry.real_network(), NoWire())
    make = registry.make_potentiostat if kind == "potentiostat" else registry.make_console
    driver = make(settings, context)
    try:
        async with asyncio.timeout(PATIENCE_s):
            identity = await driver.connect()
        yield driver, asdict(identity)
    except TimeoutError:
        raise InstrumentError(
            f"no answer within {PATIENCE_s:g} s", instrument=settings.instrument, advice="is it on, and is the address right?"
        ) from None
    finally:
        await driver.release()


async def ask(kind: Kind, settings: Settings, verbs: tuple[Verb, ...]) -> AsyncIterator[Answer]:
    """Ask an instrument these things in order."""
    async with in_hand(kind, settings) as (driver, identity):
        for verb in verbs:
            yield await _one(driver, verb, identity)


async def _one(driver: Potentiostat | Console, verb: Verb, identity: Mapping[str, Any]) -> Answer:
    if verb == "identify":
        return Answer(verb, identity)
    if verb == "safe":
        safe = await driver.make_safe()
        return Answer(verb, {"safe": safe.confirmation.value, "detail": safe.detail}, safe.confirmed)
    if verb == "state":
        return Answer(verb, asdict(await driver.read_state()))
    sample = await driver.read_clock()
    if sample is None:
        return Answer(verb, {"clock": "it has none"})
    return Answer(verb, {"offset_s": (sample.device_ns - sample.mono_ns) / 1e9, "half_width_s": sample.half_width_ns / 1e9})


# ---------------------------------------------------------------------------------------------------------- of a rig file


def kinds(rig: Rig) -> dict[str, tuple[Kind, str]]:
    """Instruments of the rig's stations: name → kind and channel."""
    found: dict[str, tuple[Kind, str]] = {}
    both: tuple[Kind, ...] = ("potentiostat", "console")
    for station in rig.stations.values():
        for kind in both:
            name, _, channel = str(getattr(station, kind)).partition(":")
            found.setdefault(name, (kind, channel))
    return found


def settings_of(name: str, instrument: Instrument, channel: str) -> Settings:
    """What the driver of a rig file's instrument is made from."""
    options = {key: value for key, value in instrument.options.items() if key != "emulator"}
    return Settings(name, instrument.driver, instrument.address, channel, instrument.identity, options | {"unlock": {}}, instrument.address)


async def instrument_findings(rig: Rig) -> AsyncIterator[Finding]:
    """Every instrument of the rig: does it answer, is it the one meant, does its clock agree."""
    for name, (kind, channel) in kinds(rig).items():
        instrument = rig.instruments[name]
        if simulated_instrument(instrument):
            yield ok(name, kind, f"{instrument.driver} at {instrument.address}: simulated by this program")
            continue
        async for found in _findings(kind, settings_of(name, instrument, channel)):
            yield found


async def _findings(kind: Kind, settings: Settings) -> AsyncIterator[Finding]:
    try:
        async for answer in ask(kind, settings, ("identify", "state", "clock")):
            yield _finding(settings.instrument, answer)
    except InstrumentError as error:
        advice = error.advice or f"`operando {kind} {settings.address} --driver {settings.driver}` asks it by hand"
        yield Finding(settings.instrument, kind, State.FAIL, error.message, advice)


def _finding(name: str, answer: Answer) -> Finding:
    told = ", ".join(f"{key} {value}" for key, value in answer.told.items() if value not in {None, ""})
    if answer.verb == "identify" and not answer.told.get("firmware"):
        return Finding(name, "identify", State.OK, f"{told} (firmware not told)")
    return ok(name, answer.verb, told)
