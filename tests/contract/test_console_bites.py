"""The same for consoles: each fault here must fail the test of their contract that is there for it."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any

import pytest
from broken_drivers import FAILURES, Around, broken, label

from drivers.base import (
    Acquired,
    AcquisitionOrder,
    Confirmation,
    Fetched,
    Filed,
    Identity,
    ReadBack,
    SafeState,
)
from drivers.errors import InstrumentError, Rejected
from drivers.testing.bench import Bench
from drivers.testing.console_contract import ConsoleContract


class Console(Around):
    """All methods by name: a runtime protocol looks for them."""

    @property
    def capabilities(self) -> Any:
        return self._inner.capabilities

    async def connect(self) -> Identity:
        return await self._inner.connect()

    async def prepare(self, order: AcquisitionOrder) -> ReadBack:
        return await self._inner.prepare(order)

    async def start(self, key: str, block: int = 0) -> None:
        await self._inner.start(key, block)

    async def events(self) -> AsyncIterator[Any]:
        async for event in self._inner.events():
            for changed in self.change(event):
                yield changed

    def change(self, event: Any) -> list[Any]:
        return [event]

    async def fetch(self, key: str, block: int = 0) -> Fetched:
        return self.change_fetched(await self._inner.fetch(key, block))

    def change_fetched(self, fetched: Fetched) -> Fetched:
        return fetched


def changed(**fields: Callable[[Fetched], Any]) -> type[Console]:
    """A console that fetches something slightly wrong."""

    class Wrong(Console):
        def change_fetched(self, fetched: Fetched) -> Fetched:
            fid_fields = {field.name for field in dataclasses.fields(fetched.fid)}
            in_fid = {name: made(fetched) for name, made in fields.items() if name in fid_fields}
            direct: Mapping[str, Any] = {name: made(fetched) for name, made in fields.items() if name not in fid_fields}
            return dataclasses.replace(fetched, fid=dataclasses.replace(fetched.fid, **in_fid), **direct)

    Wrong.__name__ = f"Wrong {' '.join(fields)}"
    return Wrong


class StartsAnyKey(Console):
    async def start(self, key: str) -> None:
        with suppress(InstrumentError):
            await self._inner.start(key)


class StartsOnPrepare(Console):
    async def prepare(self, order: AcquisitionOrder) -> ReadBack:
        back = await self._inner.prepare(order)
        await self._inner.start(order.key)
        return back


class ReadsNothingBack(Console):
    async def prepare(self, order: AcquisitionOrder) -> ReadBack:
        await self._inner.prepare(order)
        return ReadBack({})


class TakesAnyNucleus(Console):
    async def prepare(self, order: AcquisitionOrder) -> ReadBack:
        try:
            return await self._inner.prepare(order)
        except Rejected:
            return ReadBack({"nucleus": order.nucleus})


class StartsTwice(Console):
    async def start(self, key: str, block: int = 0) -> None:
        self._inner._memory.started.discard((key, block))
        with suppress(Rejected):
            await self._inner.start(key, block)


class FilesFirst(Console):
    def change(self, event: Any) -> list[Any]:
        return [Filed(event.key, event.block, event.mono_ns), event] if isinstance(event, Acquired) else [event]


class NoAcquired(Console):
    def change(self, event: Any) -> list[Any]:
        return [] if isinstance(event, Acquired) else [event]


class DeafToHalt(Console):
    async def halt(self, key: str) -> None: ...


class KeepsOnAbort(Console):
    async def abort(self, key: str) -> None:
        await self._inner.halt(key)


class NeverSafe(Console):
    async def make_safe(self) -> SafeState:
        return SafeState(Confirmation.CONFIRMED)


class FirstBlockOnly(Console):
    async def fetch(self, key: str, block: int = 0) -> Fetched:
        return dataclasses.replace(await self._inner.fetch(key, 0), block=block)


class InventsData(Console):
    async def fetch(self, key: str, block: int = 0) -> Fetched:
        known = next(iter(self._inner._memory.records))
        return await self._inner.fetch(*known)


WHOLE = "test_started_acquired_filed_fetched"
CONSOLE_FAULTS = [
    (StartsOnPrepare, "test_prepare_reads_back_and_does_not_start"),
    (ReadsNothingBack, "test_prepare_reads_back_and_does_not_start"),
    (TakesAnyNucleus, "test_an_unknown_nucleus_is_refused"),
    (StartsAnyKey, "test_a_key_that_was_not_prepared_does_not_start"),
    (StartsTwice, "test_the_same_key_twice_is_once"),
    (FilesFirst, WHOLE),
    (NoAcquired, WHOLE),
    (changed(data=lambda fetched: fetched.fid.data[:-1]), WHOLE),
    (changed(data=lambda fetched: fetched.fid.data.real), WHOLE),
    (changed(data=lambda fetched: 0 * fetched.fid.data), WHOLE),
    (changed(scans=lambda fetched: fetched.fid.scans - 1), WHOLE),
    (changed(spectral_width_Hz=lambda fetched: 2 * fetched.fid.spectral_width_Hz), WHOLE),
    (changed(partial=lambda fetched: True), WHOLE),
    (changed(files=lambda fetched: tuple(dataclasses.replace(file, sha256="0" * 64) for file in fetched.files)), WHOLE),
    (changed(files=lambda fetched: tuple(dataclasses.replace(file, size=file.size + 1) for file in fetched.files)), WHOLE),
    (changed(files=lambda fetched: tuple(dataclasses.replace(file, name="../" + file.name) for file in fetched.files)), WHOLE),
    (changed(files=lambda fetched: ()), WHOLE),
    (changed(key=lambda fetched: "another"), WHOLE),
    (changed(carrier_MHz=lambda fetched: 100.0, reference_MHz=lambda fetched: 100.0), "test_two_nuclei_in_turn"),
    (changed(nucleus=lambda fetched: "7Li"), "test_two_nuclei_in_turn"),
    (FirstBlockOnly, "test_blocks_are_fetched_one_by_one"),
    (InventsData, "test_a_fetch_can_be_repeated"),
    (DeafToHalt, "test_halt_keeps_what_was_scanned"),
    (changed(partial=lambda fetched: False), "test_halt_keeps_what_was_scanned"),
    (KeepsOnAbort, "test_abort_discards"),
    (NeverSafe, "test_make_safe_ends_the_scan"),
]


@pytest.mark.parametrize("case", CONSOLE_FAULTS, ids=label)
def test_a_broken_console_fails(case: tuple[type, str], sim_console: Bench) -> None:
    fault, name = case
    with pytest.raises(FAILURES):
        getattr(ConsoleContract, name)(ConsoleContract(), broken(sim_console, "console", fault))
