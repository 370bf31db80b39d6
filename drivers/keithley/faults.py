"""What can go wrong with a source-measure unit, by name; a fault stays until it is used up or cleared.

Each also takes ``after_s``: so much later.

``silent``             reads, says nothing (what runs goes on)
``hung_socket``        a connection that ends is not noticed: nobody else is heard until somebody connects to the 5030 port
``reboot``             at once: output off, NORM, two wires, buffers and blocks gone, ESR 128; connections end
``port_vanishes``      at once: connections end and nothing listens for ``seconds`` (None: for good); what runs goes on
``wrong_instrument``   ``*IDN?`` names a ``model`` of somebody else
``wrong_language``     ``*LANG?`` says TSP, and SCPI queries are answered by nothing
``garbage``            noise instead of ``times`` answers
``half_line``          half of ``times`` answers, without an end
``slow``               each answer comes ``delay_s`` late
``stays_on``           ``OUTP OFF`` and the model's OFF block do nothing
``keeps_normal``       the output-off state cannot be changed
``refused``            ``times`` setting commands end in error ``code``
``overflow``           ``times`` readings are 9.91E37 (None: until cleared)
``voltage_jump``       the voltage reads ``offset_V`` off
``no_contact``         the contact check says 0
``model_fails``        ``INIT`` is taken and the trigger model does not run (``times``)
``clock_off``          the instrument's clock is ``seconds`` ahead
``clock_skew``         the instrument's clock is ``ppm`` fast: its stamps, and the delays and timers of its trigger model
"""

from __future__ import annotations

from typing import Any

DEFAULTS: dict[str, dict[str, Any]] = {
    "silent": {},
    "hung_socket": {},
    "reboot": {},
    "port_vanishes": {"seconds": 5.0},
    "wrong_instrument": {"model": "2400"},
    "wrong_language": {},
    "garbage": {"times": 1},
    "half_line": {"times": 1},
    "slow": {"delay_s": 2.0},
    "stays_on": {},
    "keeps_normal": {},
    "refused": {"times": 1, "code": -221},
    "overflow": {"times": 1},
    "voltage_jump": {"offset_V": 5.0},
    "no_contact": {},
    "model_fails": {"times": 1},
    "clock_off": {"seconds": 3600.0},
    "clock_skew": {"ppm": 200.0},
}
NAMES = frozenset(DEFAULTS)
NOISE = bytes((0xFF, 0x00, 0x7E, 0x50, 0x3B, 0x80))
