"""Before the first step: find both instruments, see what they were doing; after the last: let go of them."""

from __future__ import annotations

import contextlib
from dataclasses import asdict

from drivers.base import CellState, Console, ConsoleActivity, Potentiostat, Settings
from drivers.errors import InstrumentError
from orchestrator.runner.reactions import Reactions
from orchestrator.runner.sampling import CellWord
from orchestrator.runner.states import RunState
from orchestrator.runner.station import INSTRUMENT, SAFETY, Ending, RunFailed, Surroundings
from orchestrator.runner.wire import within

CONNECT_WITHIN_S = 60.0
CALL_WITHIN_S = 30.0


async def connected(surroundings: Surroundings, run: Reactions) -> bool:
    """Find both instruments as the rig says; nothing is reset, and what somebody else runs is left alone."""
    station = surroundings.station
    try:
        await _meet(surroundings, "potentiostat", station.potentiostat, station.potentiostat_settings)
        await _meet(surroundings, "console", station.console, station.console_settings)
        await _look_first(surroundings, run)
    except (InstrumentError, TimeoutError, RunFailed) as error:
        run.end(Ending(RunState.FAILED, f"nothing was started: {error}", INSTRUMENT, SAFETY))
        run.alarms.sound("connect", "alarm", "The run did not begin", str(error))
        await release(surroundings)
        return False
    return True


async def _meet(surroundings: Surroundings, role: str, instrument: Potentiostat | Console, settings: Settings) -> None:
    identity = await within(CONNECT_WITHIN_S, instrument.connect())
    capabilities = {
        name: sorted(value) if isinstance(value, frozenset) else value for name, value in asdict(instrument.capabilities).items()
    }
    about = {
        "id": settings.instrument,
        "driver": settings.driver,
        "address": settings.written or settings.address,
        "capabilities": capabilities,
    }
    surroundings.journal.put("instrument", {"role": role, **about, **asdict(identity)})


async def _look_first(surroundings: Surroundings, run: Reactions) -> None:
    """What the instruments were doing before we came."""
    state = await within(CONNECT_WITHIN_S, surroundings.station.potentiostat.read_state())
    if state.running:
        raise RunFailed(f"the potentiostat already runs {state.step_key or 'a program of somebody else'}; it was left alone", INSTRUMENT)
    cell: CellWord = "off" if state.cell is CellState.OFF else "on" if state.cell is CellState.ON else "unknown"
    run.sampling.cell = cell
    surroundings.put("cell.state", cell=cell, confirmed=state.cell is not CellState.UNKNOWN, detail=f"as found: {state.detail or cell}")
    console = await within(CONNECT_WITHIN_S, surroundings.station.console.read_state())
    if console.activity is ConsoleActivity.FOREIGN:
        text = f"the console runs an acquisition that is not ours: {console.detail}"
        run.alarms.sound("console-foreign", "warn", "The console is busy", text, advice="ours start when it is free")


async def release(surroundings: Surroundings, within_s: float = CALL_WITHIN_S) -> None:
    """Let go of both instruments; the cell stays as it is."""
    for instrument in (surroundings.station.potentiostat, surroundings.station.console):
        with contextlib.suppress(InstrumentError, TimeoutError):
            await within(within_s, instrument.release())
