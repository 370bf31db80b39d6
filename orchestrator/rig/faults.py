"""``--fault``: which fault of which simulated instrument, with which parameters.

``[INSTRUMENT.]NAME[:parameter=value,…]``: ``silent``, ``methodscript.silent:after_s=20``, ``port_vanishes:power_lost=true``.
INSTRUMENT is the emulator's name, or ``potentiostat`` or ``console`` for the pair that is simulated in memory; ``twin`` for the
cell and its magnet; ``host`` for this computer. Without it, every instrument that knows the fault gets it. Every fault of an
emulator, the twin or the host takes ``after_s`` (seconds of the experiment since the emulators started), ``under_current_s``
(since current first flowed in the cell) and ``for_s`` (it is over so much later).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

UNDER_CURRENT = "under_current_s"
TWIN, HOST = "twin", "host"
"""Besides the instruments: the cell and its magnet, and the computer that this program runs on (``--speed max`` only)."""

Shares = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Instrument → fault → its parameters."""


class BadFault(Exception):
    """A fault that nobody here knows, or that is written wrongly; nothing was started."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault as somebody asked for it; ``instrument`` "" = whoever knows it."""

    name: str
    instrument: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


def parse(text: str) -> Fault:
    """The fault that a ``--fault`` asks for. Raises BadFault."""
    named, _, given = text.partition(":")
    instrument, _, name = named.rpartition(".")
    parameters: dict[str, Any] = {}
    for pair in filter(None, given.split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise BadFault(f"--fault {text}: write `parameter=value`, not `{pair}`")
        parameters[key.strip()] = _value(value.strip())
    return Fault(name, instrument, parameters)


def _value(text: str) -> Any:
    """A number (also 0x0001), true, false, null, or text."""
    try:
        return int(text, 0)
    except ValueError:
        pass
    try:
        return json.loads(text)
    except ValueError:
        return text


def share_out(texts: Iterable[str], known: Mapping[str, Iterable[str]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Instrument → fault → parameters. ``known``: instrument → the names of its faults. Raises BadFault."""
    shares: dict[str, dict[str, dict[str, Any]]] = {instrument: {} for instrument in known}
    for text in texts:
        fault = parse(text)
        takers = [instrument for instrument, names in known.items() if fault.instrument in {"", instrument} and fault.name in names]
        if not takers:
            raise BadFault(_nobody(fault, known))
        for instrument in takers:
            shares[instrument][fault.name] = dict(fault.parameters)
    return shares


def _nobody(fault: Fault, known: Mapping[str, Iterable[str]]) -> str:
    if fault.instrument and fault.instrument not in known:
        return f"no simulated instrument here is called `{fault.instrument}`; there are: {', '.join(known) or 'none'}"
    names = sorted({name for instrument, found in known.items() for name in found if fault.instrument in {"", instrument}})
    near = difflib.get_close_matches(fault.name, names, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(names) or 'none'}"
    return f"no simulated instrument here knows the fault `{fault.name}`; {hint}"


def inject_all(inject: Callable[..., None], faults: Mapping[str, Mapping[str, Any]], twin: Any) -> None:
    """Give an instrument its share, now or when current flows. Raises BadFault for a parameter that the fault does not have."""
    for name, parameters in faults.items():
        given = dict(parameters)
        wait_s = given.pop(UNDER_CURRENT, None)
        if wait_s is not None:
            twin.listeners.append(_UnderCurrent(inject, name, {**given, "after_s": wait_s}))
            continue
        try:
            inject(name, **given)
        except (TypeError, ValueError) as error:
            raise BadFault(str(error) if f"`{name}`" in str(error) else f"fault `{name}`: {error}") from None


class _UnderCurrent:
    """Listens to a twin and switches one fault on when the cell is first driven by a current that is not zero."""

    def __init__(self, inject: Callable[..., None], name: str, parameters: Mapping[str, Any]) -> None:
        self._switch_on: Callable[[], None] | None = lambda: inject(name, **parameters)

    def __call__(self, _t_s: float, what: str, data: Mapping[str, Any]) -> None:
        """The twin was told something."""
        if self._switch_on is not None and what == "drive" and data["drive"] != "off" and data["value"]:
            switch_on, self._switch_on = self._switch_on, None
            switch_on()
