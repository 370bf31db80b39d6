"""What can go wrong with a Spinsolve, by name; a fault stays until it is used up or cleared.

Each also takes ``after_s`` (so much later) and ``for_s`` (cleared so long after that). Those marked (2.5b) are the list of the
references; "inferred" where the symptom is known and its form is not.

``swap_ready_completed``  (2.5b) Completed comes before ``State Ready``
``glue_messages``         (2.5b) what goes out within ``seconds`` goes out as one piece
``split_messages``        (2.5b) each message goes out in ``pieces``, cut at random bytes (from ``seed``)
``drop_progress``         (2.5b) no Progress
``empty_folder``          (2.5b) ``State Ready`` with an empty dataFolder (``times``)
``error_while_running``   (2.5b) an Error in the middle of the next run, which then completes as if nothing were (``times``)
``clock_off``             (2.5b) the PC's clock is ``seconds`` fast
``folder_late``           (2.5b) the data folder appears ``seconds`` after Completed
``connection_reset``      (2.5b) every connection ends, ``now`` or in the middle of the next ``run``; nothing listens for ``seconds``
``second_client``         (2.5b) what becomes of two clients (unknown; both are served unless): who comes second is ``refused``, or
                          ``takes over``; or somebody else is connected: ``sets`` UserData and sample, or ``starts`` a ``protocol``

``foreign_run``           somebody presses a button: a run of ``protocol`` for ``seconds`` (as soon as nothing else runs)
``start_ignored``         Start is answered by nothing (``times``)
``busy``                  Start is answered by an Error, although nothing runs (``times``)
``run_fails``             the next run ends in the middle: Error, Ready, Completed unsuccessful, no data (``times``)
``drop_ready``            no ``State Ready`` (``times``)
``drop_completed``        no Completed (``times``)
``silent``                connections stay, nothing passes
``port_closed``           nobody can connect, and who was connected is cut off
``program_gone``          the program ends, and its run with it; back after ``seconds`` (None: never) with nothing set
``hardware_off``          the magnet is not connected: HardwareResponse says so, Start is answered by an Error
``user_data_lost``        Set/UserData is taken and forgotten (``times``)
``disk_full``             half a ``data.1d`` (``times``)
``no_data``               ``acqu.par`` and no ``data.1d`` (``times``)
``slow``                  scans last ``factor`` times as long as asked
``shim_bad``              lines are ``line_width_Hz`` wide: shim responses are not ready
``lock_lost``             StableLock is false
``wrong_nucleus``         the run is of another ``nucleus`` than its protocol (``times``)
"""

from __future__ import annotations

from typing import Any

DEFAULTS: dict[str, dict[str, Any]] = {
    "swap_ready_completed": {},
    "glue_messages": {"seconds": 0.5},
    "split_messages": {"pieces": 4, "seed": 0},
    "drop_progress": {},
    "empty_folder": {"times": 1},
    "error_while_running": {"times": 1},
    "clock_off": {"seconds": 18.0},
    "folder_late": {"seconds": 5.0},
    "connection_reset": {"at": "run", "seconds": 0.0},
    "second_client": {"does": "refused", "protocol": "1D PROTON"},
    "foreign_run": {"protocol": "1D PROTON", "seconds": 60.0},
    "start_ignored": {"times": 1},
    "busy": {"times": 1},
    "run_fails": {"times": 1},
    "drop_ready": {"times": 1},
    "drop_completed": {"times": 1},
    "silent": {},
    "port_closed": {},
    "program_gone": {"seconds": None},
    "hardware_off": {},
    "user_data_lost": {"times": 1},
    "disk_full": {"times": 1},
    "no_data": {"times": 1},
    "slow": {"factor": 1.5},
    "shim_bad": {"line_width_Hz": 4.0},
    "lock_lost": {},
    "wrong_nucleus": {"nucleus": "1H", "times": 1},
}
NAMES = frozenset(DEFAULTS)
