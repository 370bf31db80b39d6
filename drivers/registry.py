"""Finds drivers, emulators and twins by name through entry points, so that third parties can add their own."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from drivers.base import Console, Context, Emulator, Potentiostat, Settings
from drivers.errors import InstrumentError

GROUP = "operando_nmr."


def names(kind: str) -> tuple[str, ...]:
    """Registered names of a kind: ``potentiostats``, ``consoles``, ``emulators``, ``twins``."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP + kind)}))


def _find(kind: str, name: str) -> EntryPoint:
    found = {point.name: point for point in entry_points(group=GROUP + kind)}
    if name in found:
        return found[name]
    near = difflib.get_close_matches(name, found, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(sorted(found)) or 'none'}"
    raise InstrumentError(f"no {kind[:-1]} driver is called `{name}`", advice=hint)


def factory(kind: str, name: str) -> Callable[..., Any]:
    """The registered factory itself; raises InstrumentError with a suggestion."""
    return cast("Callable[..., Any]", _find(kind, name).load())


def make_potentiostat(settings: Settings, context: Context) -> Potentiostat:
    """A potentiostat channel, not yet connected."""
    return cast("Potentiostat", factory("potentiostats", settings.driver)(settings, context))


def make_console(settings: Settings, context: Context) -> Console:
    """A console, not yet connected."""
    return cast("Console", factory("consoles", settings.driver)(settings, context))


def make_emulator(settings: Settings, context: Context) -> Emulator:
    """An emulator, not yet started."""
    return cast("Emulator", factory("emulators", settings.driver)(settings, context))
