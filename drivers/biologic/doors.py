"""Which door a rig means: EC-Lab, the DLL, or what stands in the place of either at a host and a port."""

from __future__ import annotations

from typing import Any

from drivers.base import Context, Settings
from drivers.biologic.calls import Calls, RemoteCalls, ThreadCalls, is_remote
from drivers.biologic.dll_door import DllDoor
from drivers.biologic.eclab_door import EcLabDoor
from drivers.biologic.models import Options, channel_of
from drivers.biologic.sharing import OneConnection
from drivers.errors import Rejected
from drivers.stream.door import Door

NEEDED = {
    "eclab": {
        "decimal": "the sign between 4 and 2 in a settings file that this EC-Lab has saved",
        "folder": "where EC-Lab reads settings and writes data",
    },
    "dll": {
        "package": "where the EC-Lab Development Package is",
        "folder": "for the notebook, by which a running step is known again",
    },
}


def options_of(settings: Settings) -> Options:
    """What the rig says. An emulator stands in the DLL's place, and its channel belongs to nobody else. Raises Rejected."""
    given = dict(settings.options)
    emulated = is_remote(settings.address) or settings.address.startswith("emulator:")
    if emulated:
        given.setdefault("door", "dll")
        given.setdefault("ours", [channel_of(settings.channel, settings.instrument) + 1])
    options = Options.of(given, settings.instrument)
    if settings.address and not (emulated and options.door == "dll"):
        _complete(options, settings.instrument)
    return options


def _complete(options: Options, instrument: str) -> None:
    """What a rig must say of a real channel. Raises Rejected."""
    if missing := [name for name in NEEDED[options.door] if not getattr(options, name)]:
        advice = "; ".join(f"`{name}`: {NEEDED[options.door][name]}" for name in missing)
        raise Rejected(f"option {' and '.join(missing)} is missing", instrument=instrument, did="nothing was opened", advice=advice)


def make_door(options: Options, settings: Settings, context: Context, channel: int) -> Door:
    """The door, not yet opened. Raises Rejected for a rig that does not say enough."""
    name, calls = settings.instrument, _calls(options, settings, context)
    if options.door == "dll":
        return DllDoor(calls, context.clock, options, settings.address, channel, name, settings.identity)
    return EcLabDoor(calls, context.clock, options, settings.address, channel, name, settings.identity)


def _calls(options: Options, settings: Settings, context: Context) -> Calls:
    if is_remote(settings.address):
        return RemoteCalls(context.network, settings.address, settings.instrument)

    def dll() -> Any:
        from drivers.biologic.dll import Dll

        return OneConnection(Dll(options.package))

    def eclab() -> Any:
        from drivers.biologic.com import EcLab

        return EcLab()

    named = (f"EClib {options.package}", dll) if options.door == "dll" else ("EC-Lab", eclab)
    return ThreadCalls(*named, context.clock, context.wire, settings.instrument)
