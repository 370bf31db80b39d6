"""The least that drives a Keithley 2450 as a current source: shared by the drivers written for the peers.

It is what a careful author of a small driver writes: one socket, a time-out on every answer, the output-off state set to high
impedance before the first current, and ``off`` that only writes. Nothing here belongs to operando-nmr.
"""

import socket
import threading

TIMEOUT_s = 5.0
LIMIT_V = 1.0


class Smu:
    """One instrument, one socket."""

    def __init__(self, host: str, port: int) -> None:
        self._lock = threading.Lock()
        self._socket = socket.create_connection((host, port), TIMEOUT_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")
        self._say(":OUTP:CURR:SMOD HIMP", ":SOUR:FUNC CURR", ":SENS:FUNC 'VOLT'", f":SOUR:CURR:VLIM {LIMIT_V:g}")

    def _say(self, *lines: str) -> None:
        self._socket.sendall("".join(f"{line}\n" for line in lines).encode())

    def set_current(self, current_A: float) -> None:
        """From now on, this current; 0 A is open circuit."""
        if not current_A:
            self.off()
            return
        with self._lock:
            self._say(f":SOUR:CURR {current_A:g}", ":OUTP ON")

    def voltage_V(self) -> float:
        """One reading. Raises OSError (no answer) and ValueError (no number)."""
        with self._lock:
            self._say(":READ?")
            answer = self._answers.readline()
        if not answer:
            raise ConnectionError("the instrument closed the connection")
        return float(answer)

    def off(self) -> None:
        """Open circuit."""
        with self._lock:
            self._say(":OUTP OFF")
