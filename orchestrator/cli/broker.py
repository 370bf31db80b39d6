"""``operando broker``: a small MQTT broker on this computer, for a rig without one; and starting it beside a demo or the queue."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from orchestrator.cli import exits

PORT = 1883
UP_WITHIN_s = 15.0
IDLE_s = 600.0


def broker_command(port: int | None, home: Path | None, idle_s: float | None, *, as_json: bool) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    from orchestrator.monitor.embedded import EXTRA, installed, running
    from orchestrator.rig.folders import home as usual

    if not installed():
        print(f"the broker is in the extra {EXTRA}: pip install 'operando-nmr{EXTRA}'; or use mosquitto", file=sys.stderr)
        return exits.CONFIGURATION
    home = home or usual()
    if (url := running(home)) is not None:
        print(f"a broker runs here already: {url}", file=sys.stderr)
        return exits.CONFIGURATION
    with asyncio.Runner() as runner:
        try:
            runner.run(_serve(port, home, idle_s, as_json=as_json))
        except OSError as error:
            print(error, file=sys.stderr)
            return exits.CONFIGURATION
    return exits.COMPLETE


async def _serve(port: int | None, home: Path, idle_s: float | None, *, as_json: bool) -> None:
    from orchestrator.monitor.embedded import announce, serve, withdraw

    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for name in ("SIGTERM", "SIGINT"):
        signal.signal(getattr(signal, name), lambda *_: loop.call_soon_threadsafe(stopped.set))
    said: list[str] = []

    def announced(url: str) -> None:
        said.append(url)
        announce(home, url)
        words = f"listening on {url}, for this computer only; Ctrl-C ends it"
        print(json.dumps({"url": url}) if as_json else words, flush=True)

    try:
        try:
            await serve(PORT if port is None else port, stopped, announced, idle_s)
        except OSError:
            if port is not None or said:
                raise
            await serve(0, stopped, announced, idle_s)  # somebody has the usual port
    finally:
        for url in said:
            withdraw(home, url)


def start_beside(place: Path | None = None, idle_s: float = IDLE_s) -> str | None:
    """Start a broker that outlives this program and ends when nobody has used it for so long, where one can be; where it then listens.

    None: one is named or runs already, or the extra is not there. ``place``: the ``OPERANDO_HOME`` of the demo where None.
    """
    import os

    from orchestrator.monitor.embedded import installed, running
    from orchestrator.rig.folders import home
    from orchestrator.rig.publishing import VARIABLE, places

    if os.environ.get(VARIABLE) or not installed() or any(running(one) for one in places()):
        return None
    place = place or home(simulated=True)
    command = (sys.executable, "-m", "orchestrator", "broker", "--idle", str(idle_s), "--home", str(place))
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    until = time.monotonic() + UP_WITHIN_s
    while time.monotonic() < until and process.poll() is None and running(place) is None:
        time.sleep(0.05)
    process.returncode = 0 if process.returncode is None else process.returncode  # it is nobody's child any more
    return running(place)
