"""The rig's hardware fence, as far as it can be asked without tripping it: who answers, and whether it would let current through."""

from __future__ import annotations

import asyncio

from drivers import registry
from drivers.base import Context, Fence, FenceState, Settings
from drivers.clock import Clock
from drivers.errors import InstrumentError
from orchestrator.doctor.finding import Finding, State, ok
from orchestrator.doctor.instruments import PATIENCE_s
from orchestrator.guard.act import NoWire
from orchestrator.guard.watched import FENCE
from orchestrator.model.rig import Instrument, Rig
from orchestrator.rig.planned import simulated_instrument

NAME = "hardware fence"
TRIP_IT = "with a resistor in the cell's place run 1 mA and trip it by hand: the current must stop (docs/how-to/wiring-and-filters.md)"
CLOSE_IT = "look at the cell, then close it by hand: this program never does"


async def fence_finding(rig: Rig) -> Finding:
    """One line; nothing is tripped. That the circuit opens is seen by nobody who does not trip it."""
    if rig.fence is None:
        text = "the rig names none: if a potentiostat cannot be reached, nothing else opens its circuit"
        return Finding(FENCE, NAME, State.WARN, text, "a relay in the cell's lead, or a contact at OPEN In: docs/explanation/safety.md")
    instrument = Instrument.model_validate(rig.fence)
    if simulated_instrument(instrument):
        return ok(FENCE, NAME, f"{instrument.driver} at {instrument.address}: simulated by this program")
    settings = Settings(FENCE, instrument.driver, instrument.address, options=instrument.options, written=instrument.address)
    try:
        described = registry.describe_fence(settings)
        async with asyncio.timeout(PATIENCE_s):
            state = await _state(settings)
    except TimeoutError:
        return Finding(FENCE, NAME, State.FAIL, f"no answer within {PATIENCE_s:g} s", f"is {instrument.address} its address?")
    except InstrumentError as error:
        return Finding(FENCE, NAME, State.FAIL, error.message, error.advice or f"is {instrument.address} its address?")
    return _told(described, state)


async def _state(settings: Settings) -> FenceState:
    fence: Fence = registry.make_fence(settings, Context(Clock(), registry.real_network(), NoWire()))
    try:
        await fence.connect()
        return await fence.read_state()
    finally:
        await fence.release()


def _told(described: str, state: FenceState) -> Finding:
    if state is FenceState.TRIPPED:
        return Finding(FENCE, NAME, State.FAIL, f"{described}: tripped, so that no run would start", CLOSE_IT)
    if state is FenceState.UNKNOWN:
        text = f"{described}: its state cannot be read; whether it works is not testable without tripping it"
        return Finding(FENCE, NAME, State.UNKNOWN, text, TRIP_IT)
    return Finding(FENCE, NAME, State.OK, f"{described}: armed; that it opens the circuit is not testable without tripping it", TRIP_IT)
