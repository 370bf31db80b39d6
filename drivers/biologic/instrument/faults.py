"""What can go wrong with a BioLogic and its DLL, by name; a fault stays until it is used up or cleared.

Each also takes ``after_s`` (so much later) and ``for_s`` (cleared so long after that). "Stations" = seen at real ones (section 3.5 of the
references).

``communication_failed``  every call that needs the instrument answers -200; what runs goes on
``connect_failed``        ``BL_Connect`` answers ``code`` (-201; -207 = too many connections) (``times``)
``link_cut``              connections to this stand-in break once; what runs goes on
``load_lost``             (stations) the next load answers -200 and takes the firmware with it: then -308 until it is loaded (``times``)
``firmware_gone``         the channel has no firmware: -308
``eclab_firmware``        (stations) EC-Lab has put its own firmware on the channel: -9
``needs_power_cycle``     (users) after EC-Lab loads answer -401, whatever is done (until cleared)
``incompatible``          the kernel does not fit: -309
``load_refused``          (stations) a load answers 0, a message says why not, nothing is loaded (``times``)
``slow_make``             (stations) the instrument needs ``seconds`` for a load, in which it reads RUN
``stop_sample``           (stations) between two techniques one reading says STOP
``points_lost``           ``rows`` rows are gone, and IRQskipped says so (``times``)
``stop_deaf``             StopChannel answers 0 and does nothing (``times``)
``start_refused``         StartChannel answers ``code`` (``times``)
``start_ignored``         StartChannel answers 0 and nothing runs (``times``)
``busy``                  the next ``times`` calls to the channel answer -12
``channel_missing``       (users) the channel is not among those plugged
``emergency_open``        OPEN In is low for a moment: the channel stops, OptErr 2 (an emulated relay holds it: ``wired_to: open_in``)
``too_hot``               the channel stops, OptErr 101
``reboot``                power is lost for a moment: everything stops, no firmware
``not_a_number``          Ewe of ``times`` readings is no number (None: until cleared)
``voltage_jump``          Ewe reads ``offset_V`` off (a lost reference)
``start_time_ms``         (sources disagree) StartTime counts milliseconds
``clock_skew``            the instrument's clock is ``ppm`` fast
"""

from __future__ import annotations

from typing import Any

DEFAULTS: dict[str, dict[str, Any]] = {
    "communication_failed": {},
    "connect_failed": {"code": -201, "times": 1},
    "link_cut": {},
    "load_lost": {"times": 1},
    "firmware_gone": {},
    "eclab_firmware": {},
    "needs_power_cycle": {},
    "incompatible": {},
    "load_refused": {"times": 1},
    "slow_make": {"seconds": 3.0},
    "stop_sample": {},
    "points_lost": {"rows": 3, "times": 1},
    "stop_deaf": {"times": 1},
    "start_refused": {"code": -12, "times": 1},
    "start_ignored": {"times": 1},
    "busy": {"times": 3},
    "channel_missing": {},
    "emergency_open": {},
    "too_hot": {},
    "reboot": {},
    "not_a_number": {"times": 1},
    "voltage_jump": {"offset_V": 5.0},
    "start_time_ms": {},
    "clock_skew": {"ppm": 200.0},
}
NAMES = frozenset(DEFAULTS)
