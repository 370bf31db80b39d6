"""What systemd is told (``sd_notify``): one datagram a word, to the socket that ``NOTIFY_SOCKET`` names. Nothing elsewhere."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class Systemd:
    """The service manager that started this process, if one did. No method waits or raises."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_s(environment)
        self._said: set[str] = set()

    @property
    def listening(self) -> bool:
        """True where somebody wants to be told."""
        return bool(self._address) and hasattr(socket, "AF_UNIX")

    def ready(self, status: str = "") -> None:
        """The service has begun; said once. ``status``: a line for ``systemctl status``."""
        self._once("READY=1", f"STATUS={status}" if status else "")

    def alive(self) -> None:
        """The service does what it is for: to be said at least twice in ``watchdog_s``."""
        if self.watchdog_s is not None:
            self._say("WATCHDOG=1")

    def status(self, text: str) -> None:
        """A line for ``systemctl status``."""
        self._say("STATUS=" + " ".join(text.split()))

    def stopping(self, within_s: float = 0.0) -> None:
        """The service is coming to its end; for so long it need not say that it is alive. Said once."""
        patience = [f"WATCHDOG_USEC={int(within_s * 1e6)}"] if within_s and self.watchdog_s is not None else []
        self._once("STOPPING=1", *patience)

    def _once(self, word: str, *more: str) -> None:
        if word not in self._said:
            self._said.add(word)
            self._say("\n".join([word, *(one for one in more if one)]))

    def _say(self, text: str) -> None:
        if not self.listening:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.setblocking(False)
            line.sendto(text.encode(), address)


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """How often systemd wants to hear of this process; None where it does not, or means another one."""
    text, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not text.isdigit() or int(text) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(text) / 1e6
