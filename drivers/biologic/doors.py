"""Which door a rig means: EC-Lab, the DLL, or what stands in the DLL's place at a host and a port."""

from __future__ import annotations

from drivers.base import Context, Settings
from drivers.biologic.calls import Calls, RemoteCalls, is_remote
from drivers.biologic.dll_door import DllDoor
from drivers.biologic.door import Door
from drivers.biologic.models import Options


def make_door(options: Options, settings: Settings, context: Context, channel: int) -> Door:
    """The door, not yet opened."""
    name = settings.instrument
    if is_remote(settings.address):
        calls: Calls = RemoteCalls(context.network, settings.address, name)
    else:
        raise NotImplementedError
    return DllDoor(calls, context.clock, options, settings.address, channel, name, settings.identity)
