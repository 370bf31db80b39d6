"""Which door a rig means: EC-Lab, the DLL, or what stands in the place of either at a host and a port."""

from __future__ import annotations

from typing import Any

from drivers.base import Context, Settings
from drivers.biologic.calls import Calls, RemoteCalls, ThreadCalls, is_remote
from drivers.biologic.dll_door import DllDoor
from drivers.biologic.door import Door
from drivers.biologic.eclab_door import EcLabDoor
from drivers.biologic.models import Options, channel_of


def options_of(settings: Settings) -> Options:
    """What the rig says. An emulator stands in the DLL's place, and its channel belongs to nobody else. Raises Rejected."""
    given = dict(settings.options)
    if is_remote(settings.address) or settings.address.startswith("emulator:"):
        given.setdefault("door", "dll")
        given.setdefault("ours", [channel_of(settings.channel, settings.instrument) + 1])
    return Options.of(given, settings.instrument)


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

        return Dll(options.package)

    def eclab() -> Any:
        from drivers.biologic.com import EcLab

        return EcLab()

    return ThreadCalls(dll if options.door == "dll" else eclab, context.clock, context.wire, settings.instrument)
