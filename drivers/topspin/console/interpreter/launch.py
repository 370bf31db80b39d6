"""Runs a script as TopSpin's ``xpy`` would, in an interpreter of its own: ``launch.py HOST PORT TOKEN SCRIPT``.

Stands alone, beside ``TopCmds.py``. Every command thread has its own connection to the emulator; the script's time is the
emulated console's (``time.time``, ``time.sleep``). The end of stdin is the end of the program.
"""

from __future__ import annotations

import json
import os
import runpy
import socket
import sys
import threading
import time
from typing import Any

import TopCmds  # type: ignore[import-not-found]

HOST, PORT, TOKEN, SCRIPT = sys.argv[1:5]
real_sleep = time.sleep


class Bridge:
    """Calls over a socket, one connection a thread."""

    def __init__(self) -> None:
        self.mine = threading.local()

    def on_command_thread(self) -> Any:
        """The script's own thread, or one that EXEC_PYSCRIPT made."""
        return getattr(self.mine, "command", False)

    def call(self, name: Any, *arguments: Any) -> Any:
        """Ask and wait for the answer, however long that takes."""
        wire = self._wire()
        wire.write((json.dumps([name, *arguments]) + "\n").encode())
        wire.flush()
        line = wire.readline()
        if not line:
            os._exit(1)
        answer = json.loads(line)
        if "error" in answer:
            raise TopCmds.JavaException(answer["error"])
        return answer["answer"]

    def _wire(self) -> Any:
        if not hasattr(self.mine, "wire"):
            link = socket.create_connection((HOST, int(PORT)))
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.mine.wire = link.makefile("rwb")
            self.mine.wire.write((TOKEN + "\n").encode())
        return self.mine.wire

    def spawn(self, code: Any) -> Any:
        """Run code in a new command thread."""

        def work() -> Any:
            self.mine.command = True
            exec(code, {"__name__": "__main__", **TopCmds.namespace()})  # noqa: S102

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread


def console_time() -> Any:
    """The console's clock."""
    return bridge.call("TIME") / 1e9


def console_sleep(seconds: Any) -> Any:
    """Waits by the console's clock."""
    real_sleep(max(0.0, seconds) / SPEED)


def die_with_the_emulator() -> Any:
    """Nobody holds the other end of stdin any more."""
    sys.stdin.buffer.read()
    os._exit(0)


bridge = TopCmds.bridge = Bridge()
bridge.mine.command = True
SPEED = bridge.call("SPEED")
time.time, time.sleep = console_time, console_sleep
threading.Thread(target=die_with_the_emulator, daemon=True).start()
sys.argv = [SCRIPT]
runpy.run_path(SCRIPT, init_globals=TopCmds.namespace(), run_name="__main__")
