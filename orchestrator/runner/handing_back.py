"""The console is left as it was found: at the end of a run, and when its booking ends."""

from __future__ import annotations

from drivers.base import HandsBack
from drivers.errors import InstrumentError
from orchestrator.runner.sentences import first_line
from orchestrator.runner.station import Alarms, Surroundings
from orchestrator.runner.wire import within

HAND_BACK_WITHIN_S = 60.0


async def hand_back(surroundings: Surroundings, alarms: Alarms) -> None:
    """Put back what the console lets us, and say what it does not. Never raises InstrumentError."""
    console = surroundings.station.console
    if not isinstance(console, HandsBack):
        return
    try:
        left = await within(HAND_BACK_WITHIN_S, console.hand_back())
    except (InstrumentError, TimeoutError) as error:
        text = f"it could not be handed back: {first_line(str(error)) or 'no answer'}"
        alarms.sound("hand-back", "warn", "The console is not as it was found", text, advice="look at its screen before you measure")
        return
    text = "; ".join(left)
    surroundings.put("note", text=f"the console is handed back{f', but: {text}' if left else ' as it was found'}", who="rig")
