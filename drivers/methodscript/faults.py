"""What can go wrong with a MethodSCRIPT instrument, by name; a fault stays until it is used up or cleared.

Each also takes ``after_s`` (so much later) and ``for_s`` (cleared so long after that).

``silent``                 reads nothing, says nothing (the script goes on)
``garbage_line``           noise instead of ``times`` data packages
``duplicate_package``      ``times`` data packages are sent twice
``packages_overtake``      ``times`` data packages leave after the one that follows them
``half_line_then_stall``   half a package, then nothing for ``stall_s`` (None: until cleared)
``echo_but_no_start``      ``r`` and ``e`` are echoed, nothing runs (``times``)
``error_mid_step_cell_on`` after ``after`` samples a runtime error ``code``; the cell stays on
``overload``               status bit 2 on ``times`` readings (None: until cleared)
``reading_nan``            ``times`` readings of potential (``what`` E, I or EI) are nan
``voltage_jump``           the potential reads ``offset_V`` off: the reference is lost
``limit_at_first_sample``  the first reading of each measurement loop shows ``voltage_V``
``port_vanishes``          at once: unplugged for ``seconds`` (None: for good); ``power_lost``: the script dies, the cell opens
``reboot_mid_step``        at once: script, variables and settings are gone, the cell opens
``clock_skew``             the instrument's timer runs ``ppm`` fast
``load_error``             ``times`` loads are refused with ``code`` at ``line``, ``column``
``wrong_instrument``       ``t`` shows device code ``code``
``chunked``                output leaves in pieces of ``sizes`` bytes
``stray_xon``              an XON (0x11) before each reply
"""

from __future__ import annotations

import math
from typing import Any

from drivers.methodscript.interpreter.front_end import OVERLOAD
from drivers.sim.switches import Faults

DEFAULTS: dict[str, dict[str, Any]] = {
    "silent": {},
    "garbage_line": {"times": 1},
    "duplicate_package": {"times": 1},
    "packages_overtake": {"times": 1},
    "half_line_then_stall": {"stall_s": None},
    "echo_but_no_start": {"times": 1},
    "error_mid_step_cell_on": {"after": 1, "code": 0x0001},
    "overload": {"times": None},
    "reading_nan": {"times": 1, "what": "E"},
    "voltage_jump": {"offset_V": 5.0},
    "limit_at_first_sample": {"voltage_V": 5.9},
    "port_vanishes": {"seconds": 5.0, "power_lost": False},
    "reboot_mid_step": {},
    "clock_skew": {"ppm": 200.0},
    "load_error": {"times": 1, "code": 0x4001, "line": 1, "column": 1},
    "wrong_instrument": {"code": "espico"},
    "chunked": {"sizes": [1, 3, 7, 2, 11]},
    "stray_xon": {},
}
NAMES = frozenset(DEFAULTS)


def disturb(faults: Faults, potential_V: float, current_A: float, *, first: bool) -> tuple[float, float, int]:
    """A reading as the faults let it through: E, I, status bits; ``first``: of its measurement loop."""
    status = 0
    if "voltage_jump" in faults:
        potential_V += float(faults["voltage_jump"]["offset_V"])
    if first and "limit_at_first_sample" in faults:
        potential_V = float(faults["limit_at_first_sample"]["voltage_V"])
    if faults.use("overload"):
        status = OVERLOAD
    if found := faults.use("reading_nan"):
        potential_V = math.nan if "E" in found["what"] else potential_V
        current_A = math.nan if "I" in found["what"] else current_A
    return potential_V, current_A, status
