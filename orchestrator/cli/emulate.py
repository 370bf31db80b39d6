"""``operando emulate``: instruments without instruments."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from orchestrator.cli import exits


def emulate_command(
    names: tuple[str, ...],
    twin: Path | None,
    speed: float,
    seed: int,
    faults: tuple[str, ...],
    data: Path | None,
    truth: Path | None,
    request: str | None,
) -> int:
    """Run until SIGTERM or Ctrl-C."""
    from drivers import registry
    from orchestrator.rig.emulators import EmulateRequest, emulate, known_faults
    from orchestrator.rig.faults import share_out
    from orchestrator.rig.gather import CannotRun
    from orchestrator.rig.request import FASTEST

    if request is not None:
        wanted = EmulateRequest(**json.loads(request))
    else:
        if not 0.0 < speed <= FASTEST:
            raise CannotRun(f"--speed {speed:g}: write a number above 0 (60 = sixty times as fast)")
        shares = share_out(faults, known_faults(names))
        wanted = EmulateRequest(names, str(twin or _default_twin()), speed, seed, shares, _options(names, data), truth=str(truth or ""))
    if not wanted.names:
        print(f"name at least one emulator: {', '.join(registry.names('emulators'))}")
        return exits.CONFIGURATION
    return asyncio.run(_until_told(emulate(wanted)))


def _default_twin() -> Path:
    from orchestrator.cli.paths import configs

    return configs() / "twins" / "C1.yaml"


def _options(names: tuple[str, ...], data: Path | None) -> dict[str, dict[str, str]]:
    return {name: {"data": str(data.resolve())} for name in names} if data else {}


async def _until_told(work: Coroutine[Any, Any, int]) -> int:
    """Run ``work``; SIGTERM and Ctrl-C end it cleanly."""
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, task.cancel)
        except NotImplementedError:  # Windows: Ctrl-C raises KeyboardInterrupt, SIGTERM ends the process
            break
    try:
        return await task
    except asyncio.CancelledError:
        return exits.COMPLETE
