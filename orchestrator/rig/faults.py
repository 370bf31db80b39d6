"""``--fault``: which fault of which simulated instrument, with which parameters.

``[INSTRUMENT.]NAME[:parameter=value,…]``: ``silent``, ``methodscript.silent:after_s=20``, ``port_vanishes:power_lost=true``.
INSTRUMENT is the emulator's name, or ``potentiostat`` or ``console`` for the pair that is simulated in memory. Without it,
every instrument that knows the fault gets it.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

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


def inject_all(inject: Callable[..., None], faults: Mapping[str, Mapping[str, Any]]) -> None:
    """Give an instrument its share. Raises BadFault for a parameter that the fault does not have."""
    for name, parameters in faults.items():
        try:
            inject(name, **parameters)
        except ValueError as error:
            raise BadFault(str(error)) from None
