"""Before the first step: find both instruments, see what they were doing; after the last: let go of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import asdict

from drivers.base import CellState, Console, ConsoleActivity, Potentiostat, Settings
from drivers.errors import InstrumentError
from orchestrator.runner.continuing import Reconciliation
from orchestrator.runner.reactions import Reactions
from orchestrator.runner.sampling import CellWord
from orchestrator.runner.sentences import told
from orchestrator.runner.states import RunState
from orchestrator.runner.station import BUG, INSTRUMENT, SAFETY, UNSAFE, Ending, RunFailed, Surroundings
from orchestrator.runner.steps import Begun
from orchestrator.runner.wire import within

CONNECT_WITHIN_S = 60.0
CALL_WITHIN_S = 30.0
NOTHING_TOUCHED = "nothing was started, the cell was not touched"


async def connected(surroundings: Surroundings, run: Reactions) -> bool:
    """Find both instruments as the rig says; nothing is reset, and what somebody else runs is left alone."""
    station = surroundings.station
    try:
        await _meet(surroundings, "potentiostat", station.potentiostat, station.potentiostat_settings)
        await _meet(surroundings, "console", station.console, station.console_settings)
        await run.acquisitions.tuning.meet()
        await _look_first(surroundings, run)
    except RunFailed as error:
        run.end(Ending(RunState.FAILED, str(error), error.exit_code, SAFETY))
    except Exception as error:  # noqa: BLE001 a driver's bug is told like everything else that keeps a run from beginning
        run.end(Ending(RunState.FAILED, f"nothing was started: {type(error).__name__}: {error}", BUG, SAFETY))
    else:
        return True
    assert run.ending is not None
    run.alarms.sound("connect", "alarm", "The run did not begin", run.ending.reason)
    return False


async def met(surroundings: Surroundings, run: Reactions, found: Reconciliation, goes_on: Callable[[Begun], None]) -> bool:
    """Find both instruments again and see what became of the run; False where it cannot be continued now."""
    station = surroundings.station
    try:
        await _meet(surroundings, "potentiostat", station.potentiostat, station.potentiostat_settings)
        await _meet(surroundings, "console", station.console, station.console_settings)
        await run.acquisitions.tuning.meet()
        goes_on(await found.begun())
    except RunFailed as error:
        run.end(Ending(RunState.FAILED, str(error), error.exit_code, SAFETY))
    except Exception as error:  # noqa: BLE001 a bug of ours is told like everything else that keeps a run from going on
        run.end(Ending(RunState.FAILED, f"not continued: {type(error).__name__}: {error}", BUG, SAFETY))
    else:
        return True
    return False


async def _meet(surroundings: Surroundings, role: str, instrument: Potentiostat | Console, settings: Settings) -> None:
    try:
        identity = await within(CONNECT_WITHIN_S, instrument.connect())
    except (InstrumentError, TimeoutError) as error:
        raise _failed(settings, error, f"the {role} cannot be reached", "a first question") from error
    capabilities = {
        name: sorted(value) if isinstance(value, frozenset) else value for name, value in asdict(instrument.capabilities).items()
    }
    about = {
        "id": settings.instrument,
        "driver": settings.driver,
        "address": settings.written or settings.address,
        "capabilities": capabilities,
    }
    truth = {"simulated": identity.simulated or settings.simulated}
    if role == "console":
        truth["fids_recorded"] = settings.recorded
    elif settings.recorded:
        truth["ec_recorded"] = True
    surroundings.journal.put("instrument", {"role": role, **about, **asdict(identity), **truth})


def _failed(settings: Settings, error: Exception, why: str, sent: str) -> RunFailed:
    return RunFailed(told(settings, error, why=why, sent=sent, did=NOTHING_TOUCHED), INSTRUMENT)


async def _look_first(surroundings: Surroundings, run: Reactions) -> None:
    """What the instruments were doing before we came."""
    station = surroundings.station
    try:
        state = await within(CALL_WITHIN_S, station.potentiostat.read_state())
    except (InstrumentError, TimeoutError) as error:
        raise _failed(station.potentiostat_settings, error, "it does not say what it does", "its state") from error
    if state.running:
        runs = state.step_key or "a program of somebody else"
        advice = "stop it on the instrument, or wait for its end"
        raise RunFailed(
            told(station.potentiostat_settings, f"it already runs {runs}", sent="its state", did=NOTHING_TOUCHED, advice=advice), INSTRUMENT
        )
    cell: CellWord = "off" if state.cell is CellState.OFF else "on" if state.cell is CellState.ON else "unknown"
    run.sampling.cell = cell
    surroundings.put("cell.state", cell=cell, confirmed=state.cell is not CellState.UNKNOWN, detail=f"as found: {state.detail or cell}")
    if cell == "on":
        await _make_safe_first(surroundings, run)
    try:
        console = await within(CALL_WITHIN_S, station.console.read_state())
    except (InstrumentError, TimeoutError) as error:
        raise _failed(station.console_settings, error, "it does not say what it does", "its state") from error
    if console.activity is ConsoleActivity.FOREIGN:
        text = f"the console runs an acquisition that is not ours: {console.detail}"
        run.alarms.sound(
            "console-foreign",
            "warn",
            "The console is busy",
            text,
            advice="what is asked for meanwhile is not measured; ours start when it is free",
        )


async def _make_safe_first(surroundings: Surroundings, run: Reactions) -> None:
    """A cell that is on although nothing runs is nobody's: open circuit, read back, before anything else."""
    why = "the cell was found on although nothing ran"
    reached = await run.make_safe(why)
    if not reached.confirmed:
        did = "open circuit was tried and could not be confirmed; nothing was started"
        text = told(
            surroundings.station.potentiostat_settings,
            why,
            sent="open circuit",
            did=did,
            received=reached.detail,
            advice="switch its output off",
        )
        raise RunFailed(text, UNSAFE)
    text = f"{why}; it was brought to open circuit"
    run.alarms.sound("found-on", "warn", "The cell was found on", text, advice="find out who left it so")


async def release(surroundings: Surroundings, within_s: float = CALL_WITHIN_S) -> None:
    """Let go of all instruments; the cell stays as it is."""
    station = surroundings.station
    further = [sensor for sensor, _ in station.sensors.values()] + ([station.tuner] if station.tuner is not None else [])
    for instrument in (station.potentiostat, station.console, *further):
        with contextlib.suppress(InstrumentError, TimeoutError):
            await within(within_s, instrument.release())
