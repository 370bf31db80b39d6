"""What can go wrong with a MaRCoS console, by name; a fault stays until it is used up or cleared.

Each also takes ``after_s`` (so much later) and ``for_s`` (cleared so long after that). Those of every port (``silent``, ``slow``,
``split_messages``, ``half_answer``, ``garbage``, ``port_vanishes``: the server ends) stand in ``drivers/sim/served.py``.

``busy``              somebody else is connected: the server takes one client after the other, and does not hear this one
``hangs_up``          the connection ends instead of ``times`` answers
``version_mismatch``  the server is of ``version``; a client of another major number gets an error in every answer, and is served
``error_reply``       ``times`` programs are not run: -1 and the error ``text`` (inferred: -1)
``underrun``          the memory of the sequencer runs dry in the middle of ``times`` programs: what was received until then, and an error
``rx_full``           the receiver's queue of ``times`` programs is full: a quarter of the samples is lost, with an error
``rx_nearly_full``    the same nearly, ``times``: a warning
``no_data``           ``times`` programs receive nothing: 0, and a warning
``short_data``        the last ``samples`` of ``times`` programs are missing, and nobody says so
``not_idle``          the sequencer was not idle when ``times`` programs began: a warning
``left_halted``       somebody left the sequencer halted: ``regstatus`` says state 8 until ``halt_and_reset``
``reboot``            the Red Pitaya starts anew: nobody can connect for ``seconds``, what runs is lost, all outputs are zero
``stuck``             the sequencer does not come to its end: no answer any more, to anybody, until this is cleared
``no_rf``             the amplifier is off: programs run, and no pulse reaches the probe
``clock_skew``        the console's oscillator is ``ppm`` fast: frequencies, rates, times

The server has no emergency stop that stops anything, no state that could be asked while a program runs, and no clock of day.
"""

from __future__ import annotations

from typing import Any

from drivers.sim.served import WIRE_FAULTS

DEFAULTS: dict[str, dict[str, Any]] = {
    **WIRE_FAULTS,
    "busy": {},
    "hangs_up": {"times": 1},
    "version_mismatch": {"version": "2.0.0"},
    "error_reply": {"times": 1, "text": "memory could not be written"},
    "underrun": {"times": 1},
    "rx_full": {"times": 1},
    "rx_nearly_full": {"times": 1},
    "no_data": {"times": 1},
    "short_data": {"times": 1, "samples": 1},
    "not_idle": {"times": 1},
    "left_halted": {},
    "reboot": {"seconds": 30.0},
    "stuck": {},
    "no_rf": {},
    "clock_skew": {"ppm": 20.0},
}
NAMES = frozenset(DEFAULTS)
