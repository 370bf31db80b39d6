"""What can go wrong with an Arbin and its computer, by name; a fault stays until it is used up or cleared.

Each also takes ``after_s`` (so much later) and ``for_s`` (cleared so long after that). Those of every port (``silent``, ``slow``,
``split_messages``, ``half_answer``, ``garbage``, ``port_vanishes``: MITS Pro ends and the cycler runs on) stand in
``drivers/sim/served.py``.

``bad_checksum``      ``times`` answers have a wrong checksum
``login_refused``     ``times`` log-ins fail
``logged_in_already`` log-ins are answered by "already logged in"
``no_control``        the log-in says that this user may look only; assign, start, stop and set are answered by "in use" (inferred)
``monitor_in_use``    somebody has the monitor window open: ``times`` of assign, start, stop are answered by 17
``schedule_missing``  no schedule has the name that is asked for
``start_refused``     ``times`` starts are answered by ``code`` (38: the schedule's safety precheck failed)
``start_ignored``     ``times`` starts are answered by success, and nothing runs
``stop_refused``      ``times`` stops are answered by 17
``stop_deaf``         ``times`` stops are answered by success, and the test goes on
``unsafe``            a safety of the cycler trips now (overload, heat): open circuit, status Unsafe
``error``             the step breaks off with status Error and the cell stays driven, watched by nobody, until a stop
``paused``            somebody pauses the channel at the computer: open circuit, status Pause (until cleared)
``foreign_run``       somebody else starts a rest of ``seconds`` under a ``test`` name of theirs, as soon as the channel is free
``power_lost``        the cycler reboots: the test is gone, open circuit, status Idle
``stale``             channel infos say what they said when it began
``comm_failure``      the same, and the channel's own flag for it is set
``not_a_number``      voltage and current read NaN
``voltage_jump``      the voltage reads ``offset_V`` off (a lost reference); limits act on what is read
``clock_skew``        the cycler's clock is ``ppm`` fast: its times, and the limits on them
``wrong_channel``     answers name the next channel

There is no clock of day on this wire that could be off, and no buffer that could wrap: it tells the present only.
"""

from __future__ import annotations

from typing import Any

from drivers.sim.served import WIRE_FAULTS

DEFAULTS: dict[str, dict[str, Any]] = {
    **WIRE_FAULTS,
    "bad_checksum": {"times": 1},
    "login_refused": {"times": 1},
    "logged_in_already": {},
    "no_control": {},
    "monitor_in_use": {"times": 1},
    "schedule_missing": {},
    "start_refused": {"times": 1, "code": 38},
    "start_ignored": {"times": 1},
    "stop_refused": {"times": 1},
    "stop_deaf": {"times": 1},
    "unsafe": {},
    "error": {},
    "paused": {},
    "foreign_run": {"seconds": 600.0, "test": "guest"},
    "power_lost": {},
    "stale": {},
    "comm_failure": {},
    "not_a_number": {},
    "voltage_jump": {"offset_V": 5.0},
    "clock_skew": {"ppm": 200.0},
    "wrong_channel": {},
}
NAMES = frozenset(DEFAULTS)
