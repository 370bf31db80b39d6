"""Faults of an emulator by name: switched on now or later, counted down, cleared; plain data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any

from drivers.clock import Clock

TIMES = frozenset({"after_s", "for_s"})

Table = Mapping[str, Mapping[str, Any]]


class Faults:
    """The faults that are on, with their parameters.

    ``table``: every fault and the defaults of its parameters. Each also takes ``after_s`` (switched on so much later) and
    ``for_s`` (cleared so long after that). ``switched`` is told of each fault the moment it goes on, ``clear_it`` ends one
    whose time is over; before ``start`` nothing goes on, it is only noted.
    """

    def __init__(self, table: Table, clock: Clock, switched: Callable[[str], None], clear_it: Callable[[str], None] | None = None) -> None:
        self.table = table
        self.clock = clock
        self.switched = switched
        self.on: dict[str, dict[str, Any]] = {}
        self._clear_it = clear_it or self.clear
        self._pending: list[tuple[int, str, dict[str, Any]]] = []
        self._ends: list[tuple[int, str]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._alive = False

    def __contains__(self, name: str) -> bool:
        return name in self.on

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self.on[name]

    def inject(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Switch a fault on; unknown names and parameters are refused (ValueError)."""
        if name not in self.table:
            raise ValueError(f"no fault is called `{name}`; there are: {', '.join(sorted(self.table))}")
        if unknown := sorted(set(parameters) - set(self.table[name]) - TIMES):
            raise ValueError(f"fault `{name}` has no parameter `{unknown[0]}`; it has: {', '.join(self.table[name]) or 'none'}")
        found = {**self.table[name], **parameters}
        at_ns = self.clock.mono_ns() + round(float(found.pop("after_s", 0.0)) * 1e9)
        self._note(at_ns, name, found)

    def inject_all(self, faults: Mapping[str, Mapping[str, Any]] | Sequence[str]) -> None:
        """Faults as options name them: a list, or name → parameters."""
        for name in faults:
            self.inject(name, faults[name] if isinstance(faults, Mapping) else {})

    def start(self) -> None:
        """The emulator lives: what was noted goes on, now or at its time."""
        self._alive = True
        pending, self._pending = self._pending, []
        for entry in pending:
            self._note(*entry)
        for at_ns, name in self._ends:
            self._keep(self._until(at_ns, name))

    async def stop(self) -> None:
        """Forget what is still to come."""
        self._alive = False
        tasks = list(self._tasks)  # each takes itself out of the set when it is done
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _note(self, at_ns: int, name: str, parameters: dict[str, Any]) -> None:
        if self._alive and at_ns <= self.clock.mono_ns():
            self._switch_on(name, parameters)
            return
        self._pending.append((at_ns, name, parameters))
        if self._alive:
            self._keep(self._later(at_ns, name, parameters))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _later(self, at_ns: int, name: str, parameters: dict[str, Any]) -> None:
        await self.clock.sleep_until(at_ns)
        self._pending.remove((at_ns, name, parameters))
        self._switch_on(name, parameters)

    async def _until(self, at_ns: int, name: str) -> None:
        await self.clock.sleep_until(at_ns)
        self._ends.remove((at_ns, name))
        self._clear_it(name)

    def _switch_on(self, name: str, parameters: dict[str, Any]) -> None:
        lasts_s = parameters.pop("for_s", None)
        self.on[name] = parameters
        self.switched(name)
        if lasts_s is not None:
            end = (self.clock.mono_ns() + round(float(lasts_s) * 1e9), name)
            self._ends.append(end)
            self._keep(self._until(*end))

    def clear(self, name: str) -> None:
        """Switch a fault off."""
        self.on.pop(name, None)

    def use(self, name: str) -> dict[str, Any] | None:
        """The fault's parameters if it is on; counts ``times`` down and clears it at zero."""
        found = self.on.get(name)
        if found is not None and found.get("times") is not None:
            found["times"] -= 1
            if found["times"] <= 0:
                self.clear(name)
        return found

    def jumped(self, voltage_V: float) -> float:
        """A voltage as it is read: ``offset_V`` off while ``voltage_jump`` is on."""
        return voltage_V + (float(self.on["voltage_jump"]["offset_V"]) if "voltage_jump" in self.on else 0.0)

    def due(self, name: str) -> dict[str, Any] | None:
        """The fault's parameters once it has been asked ``after`` times; then it is cleared."""
        found = self.on.get(name)
        if found is None:
            return None
        found["after"] -= 1
        if found["after"] > 0:
            return None
        self.clear(name)
        return found

    def snapshot(self) -> dict[str, Any]:
        """Plain data; times to come relative to now."""
        now_ns = self.clock.mono_ns()
        return {
            "on": {name: dict(parameters) for name, parameters in self.on.items()},
            "pending": [[at_ns - now_ns, name, dict(parameters)] for at_ns, name, parameters in self._pending],
            "ends": [[at_ns - now_ns, name] for at_ns, name in self._ends],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot; call it before ``start``."""
        now_ns = self.clock.mono_ns()
        self.on = {name: dict(parameters) for name, parameters in state["on"].items()}
        self._pending = [(now_ns + wait_ns, name, dict(parameters)) for wait_ns, name, parameters in state["pending"]]
        self._ends = [(now_ns + wait_ns, name) for wait_ns, name in state.get("ends", [])]
