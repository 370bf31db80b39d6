"""What can go wrong with a Zahner and its computer, by name; a fault stays until it is used up or cleared.

Each also takes ``after_s`` (so much later) and ``for_s`` (cleared so long after that). Those of every port (``silent``, ``slow``,
``split_messages``, ``half_answer``, ``garbage``, ``port_vanishes``: the Term ends and the cell stays as it is) stand in
``drivers/sim/served.py``.

``computer_gone``     the computer stops: nobody can connect for ``seconds``, and the potentiostat switches off (the vendor on PP2x2)
``old_version``       Thales says that it is version 5.8.0, too old to be told
``not_in_script``     somebody left the remote script: Remote2 commands are not answered until it is asked for again (``2,ScriptRemote``)
``workstation_gone``  the workstation is not there: the heartbeat is not answered, Remote2 neither (inferred)
``refused``           ``times`` commands that set something are answered by ``ERROR;100;1``
``set_ignored``       ``times`` commands that set something are answered by OK, and nothing changes
``off_deaf``          ``times`` times ``Pot=0`` is answered by OK, and the cell stays on
``error``             everything is answered by ``ERROR;100;1`` and the cell stays as it is
``trips``             the potentiostat switches itself off
``reboot``            the workstation starts anew: off, all settings as made, remote script not running (inferred)
``foreign_on``        somebody switches on ``current_A`` at the computer
``stale``             readings are those of when it began
``not_a_number``      readings are ``nan``
``overload``          the voltage reads the end of its range (inferred: that it says so nowhere else)
``voltage_jump``      the voltage reads ``offset_V`` off (a lost reference)

A Zahner told by Remote2 ends no step by itself, keeps no samples and says no time: there is no limit to meet on the instrument, no
buffer to wrap and no clock to be off.
"""

from __future__ import annotations

from typing import Any

from drivers.sim.served import WIRE_FAULTS

DEFAULTS: dict[str, dict[str, Any]] = {
    **WIRE_FAULTS,
    "computer_gone": {"seconds": 60.0},
    "old_version": {},
    "not_in_script": {},
    "workstation_gone": {},
    "refused": {"times": 1},
    "set_ignored": {"times": 1},
    "off_deaf": {"times": 1},
    "error": {},
    "trips": {},
    "reboot": {},
    "foreign_on": {"current_A": 1e-3},
    "stale": {},
    "not_a_number": {},
    "overload": {},
    "voltage_jump": {"offset_V": 5.0},
}
NAMES = frozenset(DEFAULTS)
