"""What can go wrong with an OpenVnmrJ console, by name; a fault stays until it is used up or cleared.

Each also takes ``after_s`` (so much later) and ``for_s`` (cleared so long after that).

``talk_missing``           ``.talk`` is not there
``stale_pid``              ``.talk`` names a process that is dead
``swapped_byte_order``     ``.talk`` shows the port unswapped
``refused_port``           ``.talk`` names a port where nobody listens
``cut_at_1024``            always so: a longer command is cut at 1024 bytes and executed in pieces (named for the list only)
``foreground_busy``        the foreground does something else for ``seconds``; lines queue
``wexp_stale``             somebody else's ``au`` of ``scans`` fires whatever stands in wexp when it ends
``acquisition_error``      the next acquisition stops after ``scans`` with ``code`` (13 soft, 15 hard) and runs werr
``tuner_hang``             the pulse program waits for its tuner on a TTL line for ``stall_s`` (null: for ever) before the
                           first scan of the next acquisitions (``times``); only ``halt`` or ``aa`` ends a wait for ever
``background_processing``  wexp runs in a background Vnmrbg while the foreground is elsewhere
``curpar_stale``           ``curpar`` is never written again
``gain_rounding``          gain goes in steps of ``step_dB``
``clock_off``              the console's clock is ``seconds`` fast (2 h 54 min)
``dead_listener_freeze``   ``write('net')`` hangs until its time-out and reaches nobody (``times``)
``silent``                 VnmrJ reads nothing and does nothing more (a modal dialog); acquisitions run on
``wrong_nucleus``          the nucleus switch fails: tn changes, the frequency stays
``svf_fails``              svf is refused (``times``)
``disk_full``              svf writes half a fid, then fails (``times``)
"""

from __future__ import annotations

from typing import Any

DEFAULTS: dict[str, dict[str, Any]] = {
    "talk_missing": {},
    "stale_pid": {},
    "swapped_byte_order": {},
    "refused_port": {},
    "cut_at_1024": {},
    "foreground_busy": {"seconds": 60.0},
    "wexp_stale": {"scans": 4},
    "acquisition_error": {"times": 1, "scans": 1, "code": 15},
    "tuner_hang": {"times": 1, "stall_s": None},
    "background_processing": {},
    "curpar_stale": {},
    "gain_rounding": {"step_dB": 2.0},
    "clock_off": {"seconds": 10440.0},
    "dead_listener_freeze": {"times": 1},
    "silent": {},
    "wrong_nucleus": {},
    "svf_fails": {"times": 1},
    "disk_full": {"times": 1},
}
NAMES = frozenset(DEFAULTS)
DEAD_PID = 4194303
