"""A real mosquitto for tests: started, killed, stopped and started again on the same port, with the configuration of the test."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from orchestrator.model.broker import Broker

PATIENCE_S = 10.0


def program() -> str | None:
    """Where mosquitto is; Debian puts it where users do not look."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


DURABLE = ("allow_anonymous true", "persistence true", "autosave_on_changes true", "autosave_interval 1", "max_queued_messages 100000")
"""What outlives a SIGKILL; ``persistence_location`` is the test's own."""


class Mosquitto:
    """One broker; ``lines`` are the whole configuration but for the listener, which stands first unless they have one."""

    def __init__(
        self, folder: Path, lines: Iterable[str] = ("allow_anonymous true",), port: int | None = None, address: str = "127.0.0.1"
    ) -> None:
        self.port, self.address = port or free_port(), address
        self._config = folder / f"mosquitto-{self.port}.conf"
        lines = list(lines)
        listener = [] if any(line.startswith("listener") for line in lines) else [f"listener {self.port} {address}"]
        self._config.write_text("\n".join([*listener, *(line.replace("PORT", str(self.port)) for line in lines)]) + "\n", "utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://{self.address}:{self.port}"

    @property
    def broker(self) -> Broker:
        return Broker(url=self.url)

    def start(self) -> Mosquitto:
        found = program()
        assert found is not None
        self._process = subprocess.Popen([found, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                socket.create_connection((self.address, self.port), timeout=1.0).close()
            except OSError:
                assert self._process.poll() is None, "mosquitto does not like its configuration"
                time.sleep(0.01)
            else:
                return self
        raise TimeoutError("mosquitto did not come up")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def hang(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
