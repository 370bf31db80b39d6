"""Finds drivers, emulators and twins by name through entry points, so that third parties can add their own."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Coroutine
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from drivers.base import Console, Context, DataReader, Emulator, Fence, Network, Potentiostat, Sensor, Settings, Tuner, WireRecorder
from drivers.clock import Clock
from drivers.errors import NotRegistered

T = TypeVar("T")

GROUP = "operando_nmr."


@cache
def _registered(kind: str) -> dict[str, EntryPoint]:
    """By name; read once, since each look goes through the files of everything that is installed."""
    return {point.name: point for point in _installed().select(group=GROUP + kind)}


_installed = cache(entry_points)


def names(kind: str) -> tuple[str, ...]:
    """Registered names of a kind: ``potentiostats``, ``consoles``, ``fences``, ``emulators``, ``twins``."""
    return tuple(sorted(_registered(kind)))


def _find(kind: str, name: str) -> EntryPoint:
    found = _registered(kind)
    if name in found:
        return found[name]
    near = difflib.get_close_matches(name, found, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(sorted(found)) or 'none'}"
    raise NotRegistered(f"no {kind[:-1]} driver is called `{name}`; {hint}")


def factory(kind: str, name: str) -> Callable[..., Any]:
    """The registered factory itself; raises NotRegistered with a suggestion."""
    return cast("Callable[..., Any]", _find(kind, name).load())


def fault_names(kind: str, name: str) -> frozenset[str]:
    """The faults that a registered emulator or simulated instrument can be given; none where it has none."""
    return frozenset(getattr(factory(kind, name), "fault_names", ()))


def folder(kind: str, name: str) -> Path:
    """The folder that holds a registered driver: its README and ``quality.yaml`` stand there."""
    module = importlib.import_module(_find(kind, name).module)
    return Path(module.__file__ or "").parent


def make_potentiostat(settings: Settings, context: Context) -> Potentiostat:
    """A potentiostat channel, not yet connected."""
    return cast("Potentiostat", factory("potentiostats", settings.driver)(settings, context))


def make_console(settings: Settings, context: Context) -> Console:
    """A console, not yet connected."""
    return cast("Console", factory("consoles", settings.driver)(settings, context))


def make_readers() -> dict[str, DataReader]:
    """One reader of each vendor's data folders, by name, for data that somebody else acquires."""
    return {name: cast("DataReader", factory("readers", name)()) for name in names("readers")}


def describe_fence(settings: Settings) -> str:
    """What a hardware fence is, and what can be known of it. Raises Rejected where nobody could work it."""
    described = getattr(factory("fences", settings.driver), "described", None)
    return f"{settings.driver} at {settings.address}" if described is None else str(described(settings))


def make_fence(settings: Settings, context: Context) -> Fence:
    """A hardware fence, not yet connected."""
    return cast("Fence", factory("fences", settings.driver)(settings, context))


def make_tuner(settings: Settings, context: Context) -> Tuner:
    """A tuner, not yet connected."""
    return cast("Tuner", factory("tuners", settings.driver)(settings, context))


def make_sensor(settings: Settings, context: Context) -> Sensor:
    """A sensor, which may be an actuator as well, not yet connected."""
    return cast("Sensor", factory("sensors", settings.driver)(settings, context))


def make_emulator(settings: Settings, context: Context) -> Emulator:
    """An emulator, not yet started."""
    return cast("Emulator", factory("emulators", settings.driver)(settings, context))


# Media are loaded by name: whoever stands above the drivers imports this module only, and pays for pyserial when it is used.

_MEDIA = {
    "real": "drivers.transport.real:RealNetwork",
    "memory": "drivers.transport.memory:MemoryNetwork",
    "replay": "drivers.transport.replay:ReplayNetwork",
    "recorded": "drivers.transport.recording:RecordedNetwork",
    "wire_log": "drivers.transport.recording:WireLog",
    "virtual_run": "drivers.transport.virtual:run_virtual",
}


class MemoryMedia(Network, Protocol):
    """Media in memory, with what is in flight as plain data."""

    def snapshot(self, ports: Any = None) -> dict[str, Any]:
        """Bytes sent to instruments (all, or those at these TCP ports) and not yet read."""

    def restore(self, state: Any) -> None:
        """Hand them to whoever serves the same names and ports again."""


class WireWriter(WireRecorder, Protocol):
    """A recorder of bytes that writes a file."""

    @property
    def dropped(self) -> int:
        """Records that found no room or could not be written."""

    def close(self) -> None:
        """Write what is queued and close the file."""


def _medium(name: str) -> Any:
    found = _registered("transports")
    if name in found:
        return found[name].load()
    module, _, attribute = _MEDIA[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def real_network() -> Network:
    """Serial ports, TCP and VISA of this computer."""
    return cast("Network", _medium("real")())


def memory_network(chunking: tuple[int, ...] = ()) -> MemoryMedia:
    """Media inside one event loop; ``chunking``: a fault that cuts successive reads to these sizes in bytes."""
    return cast("MemoryMedia", _medium("memory")(chunking))


def replay_network(path: Path, clock: Clock) -> Network:
    """Plays the instrument's side of a recorded ``wire/<instrument>.jsonl``."""
    return cast("Network", _medium("replay")(path, clock))


def recorded_network(network: Network, wire: WireRecorder) -> Network:
    """The same media, every byte both ways shown to ``wire``."""
    return cast("Network", _medium("recorded")(network, wire))


def wire_log(path: Path, clock: Clock) -> WireWriter:
    """Writes ``wire/<instrument>.jsonl``; never blocks the caller."""
    return cast("WireWriter", _medium("wire_log")(path, clock))


def virtual_run(main: Callable[[Clock], Coroutine[Any, Any, T]], *, epoch_utc_ns: int | None = None, start_ns: int = 0) -> T:
    """Run ``main(clock)`` in virtual time; ``epoch_utc_ns``: UTC at ``start_ns`` (None = a fixed date in 2023)."""
    epoch = {} if epoch_utc_ns is None else {"epoch_utc_ns": epoch_utc_ns}
    return cast("T", _medium("virtual_run")(main, start_ns=start_ns, **epoch))
