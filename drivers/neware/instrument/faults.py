"""What can go wrong with a Neware cycler and its software, by name; a fault stays until it is used up or cleared.

Each also takes ``after_s`` (so much later) and ``for_s`` (cleared so long after that).

``silent``           reads, says nothing (what runs goes on)
``slow``             each answer comes ``delay_s`` late
``split_messages``   each answer goes out in ``pieces``, cut at random bytes (from ``seed``), also inside its terminator
``half_answer``      half of ``times`` answers, without an end
``garbage``          noise instead of ``times`` answers, with the terminator
``bts_gone``         the BTS software ends: nobody can connect for ``seconds`` (None: for good); the cycler runs on
``connect_refused``  ``connect`` is answered by something else than ok (``times``): remote access is off (inferred)
``no_devices``       ``getdevinfo`` lists none: the cycler is not connected to its PC
``start_refused``    ``start`` is answered by false (``times``)
``start_ignored``    ``start`` is answered by ok and nothing runs (``times``)
``stop_refused``     ``stop`` is answered by false (``times``)
``stop_deaf``        ``stop`` is answered by ok and the step goes on (``times``)
``protected``        the channel trips now: open circuit, status protect
``paused``           somebody pauses the channel at the PC: open circuit, status pause (until somebody resumes it: cleared)
``foreign_run``      somebody else starts a rest of ``seconds`` with a ``barcode`` of theirs, as soon as the channel is free
``power_lost``       the cycler loses power: the test ends, status stop
``stale``            ``inquire`` and ``getchlstatus`` say what they said when it began
``rows_late``        ``download`` and ``inquiredf`` know nothing of the last ``seconds``
``voltage_jump``     the voltage reads ``offset_V`` off (a lost reference); protections act on what is read
``clock_off``        the PC's clock is ``seconds`` fast
``clock_skew``       the cycler's clock is ``ppm`` fast: its times, and the limits on them
``not_a_number``     voltage and current read ``nan`` in what is said; the cycler itself goes on to its limits
``wrong_channel``    answers name the first sub-device throughout (also where nothing is wrong, in ``getchlstatus``: the quirk)
"""

from __future__ import annotations

from typing import Any

DEFAULTS: dict[str, dict[str, Any]] = {
    "silent": {},
    "slow": {"delay_s": 2.0},
    "split_messages": {"pieces": 4, "seed": 0},
    "half_answer": {"times": 1},
    "garbage": {"times": 1},
    "bts_gone": {"seconds": 5.0},
    "connect_refused": {"times": 1},
    "no_devices": {},
    "start_refused": {"times": 1},
    "start_ignored": {"times": 1},
    "stop_refused": {"times": 1},
    "stop_deaf": {"times": 1},
    "protected": {},
    "paused": {},
    "foreign_run": {"seconds": 600.0, "barcode": "guest"},
    "power_lost": {},
    "stale": {},
    "rows_late": {"seconds": 30.0},
    "voltage_jump": {"offset_V": 5.0},
    "clock_off": {"seconds": 3600.0},
    "clock_skew": {"ppm": 200.0},
    "not_a_number": {},
    "wrong_channel": {},
}
NAMES = frozenset(DEFAULTS)
