"""What can go wrong with TopSpin, by name; a fault stays until it is used up or cleared.

Each also takes ``after_s`` (so much later) and ``for_s`` (cleared so long after that). The number in brackets is the row of
table 1.4 of the references; "inferred" where the symptom is known and its form is not.

``user_moves``         (1) somebody clicks another data set; ``at``: ``now``, or right before the next ``zg``
``overwrite_prompt``   (2) the target of the next ``zg`` holds a ``fid``: ZGSAFETY asks and the call does not return for ``seconds``
                       (None: until somebody clicks); then ``answer`` (cancel or ok)
``enum_names``         (3) PARMODE and the like take names only, as 4.4 (always so there)
``no_acqu2``           (4, 5) the next data set that is made current is 2D and has no ``acqu2``: F1 parameters are not found
``putpar_lost``        (5) PUTPAR to the data set that is current next is lost without a word
``compile_error``      (6) the next ``zg`` (``times``) cannot interpret its pulse program: dialogs, no data, no error
``lock_off``           (7) the lock is off: topshim refuses (always so unless the option ``lock`` says otherwise)
``no_atm``             (8) atma and pulsecal pop their own error boxes, which block
``rows_lost``          (9) of a pseudo-2D only the first row is written, the rest is zeros in a ``ser`` of full size
``queue_desync``       (10) after a command that nobody waits for, the next ``times`` answers are those of the call before (inferred)
``lock_refuses``       (10) ``lock`` returns -1 the next ``times``
``dialog``             (11) a modal dialog: nothing returns for ``seconds`` (None: until somebody clicks)
``template_2D``        (12) the site's templates are 2D: every clone is
``slow``               (13) scans last ``factor`` times as long as the parameters say

``foreign_acquisition``  somebody else's acquisition of ``seconds`` runs: ``zg`` is refused (text inferred)
``automation``           IconNMR runs: its own data set becomes current every ``every_s`` and ``zg`` is refused (inferred)
``locked_by_user``       the session is locked by ``user``: commands do nothing and say so (text inferred)
``topspin_gone``         the program crashes: script and port are gone, the acquisition goes on; back after ``seconds`` (None: never)
``agent_gone``           somebody ended the script; started again after ``seconds`` (None: never)
``port_closed``          nobody can connect, and who was connected is cut off (a firewall)
``silent``               connections stay, nothing passes
``acquisition_error``    the next acquisition ends after ``scans`` without its data (``times``)
``trigger_missed``       the pulse program waits for a TTL that never comes: only ``halt`` or ``stop`` ends it (``times``)
``halt_deaf``            ``halt`` does nothing (``times``)
``files_late``           files show up ``seconds`` after ``zg`` has returned
``audit_missing``        no ``audita.txt`` (``times``)
``audit_broken``         ``audita.txt`` whose hashes are not those of the data (``times``)
``disk_full``            half a ``fid``, and no audit trail (``times``)
``wrong_nucleus``        the nucleus switch fails: the frequency of the acquisition is ``off_MHz`` away (``times``)
``parameters_drift``     ``name`` of the site's templates is changed to ``value`` by somebody
``clock_off``            the console's clock is ``seconds`` fast
``zone_moves``           the console's zone shows ``hours`` more (summer time)
"""

from __future__ import annotations

from typing import Any

DEFAULTS: dict[str, dict[str, Any]] = {
    "user_moves": {"at": "now", "times": 1},
    "overwrite_prompt": {"seconds": None, "answer": "cancel", "times": 1},
    "enum_names": {},
    "no_acqu2": {"times": 1},
    "putpar_lost": {"times": 1},
    "compile_error": {"times": 1},
    "lock_off": {},
    "no_atm": {},
    "rows_lost": {"times": 1},
    "queue_desync": {"times": 1},
    "lock_refuses": {"times": 4},
    "dialog": {"seconds": None},
    "template_2D": {},
    "slow": {"factor": 1.5},
    "foreign_acquisition": {"seconds": 600.0, "user": "guest"},
    "automation": {"every_s": 60.0},
    "locked_by_user": {"user": "guest"},
    "topspin_gone": {"seconds": None},
    "agent_gone": {"seconds": None},
    "port_closed": {},
    "silent": {},
    "acquisition_error": {"times": 1, "scans": 1},
    "trigger_missed": {"times": 1},
    "halt_deaf": {"times": 1},
    "files_late": {"seconds": 5.0},
    "audit_missing": {"times": 1},
    "audit_broken": {"times": 1},
    "disk_full": {"times": 1},
    "wrong_nucleus": {"off_MHz": -20.0, "times": 1},
    "parameters_drift": {"name": "RG", "value": "203"},
    "clock_off": {"seconds": 10440.0},
    "zone_moves": {"hours": 1.0},
}
NAMES = frozenset(DEFAULTS)
