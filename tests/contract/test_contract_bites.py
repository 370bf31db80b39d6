"""A contract that a broken driver passes is worth nothing: each fault here must fail the test that is there for it."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
import pytest

from drivers.base import (
    Acquired,
    AcquisitionOrder,
    CellState,
    ChannelState,
    Confirmation,
    EndConditions,
    Fetched,
    Filed,
    Identity,
    ImpedanceSpectrum,
    LinkRestored,
    ReadBack,
    Reason,
    SafeState,
    SampleBlock,
    StepEnded,
    StepOrder,
    StepStarted,
)
from drivers.clock import Clock
from drivers.errors import InstrumentError, Rejected
from drivers.testing.bench import Bench
from drivers.testing.console_contract import ConsoleContract
from drivers.testing.plugin import virtual
from drivers.testing.potentiostat_contract import PotentiostatContract


class Around:
    """A driver around a driver; each subclass breaks one thing."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Potentiostat(Around):
    """All methods by name: a runtime protocol looks for them."""

    @property
    def capabilities(self) -> Any:
        return self._inner.capabilities

    async def connect(self) -> Identity:
        return await self._inner.connect()

    async def read_state(self) -> ChannelState:
        return await self._inner.read_state()

    async def load(self, program: tuple[StepOrder, ...]) -> None:
        await self._inner.load(program)

    async def start(self, key: str) -> None:
        await self._inner.start(key)

    async def events(self) -> AsyncIterator[Any]:
        async for event in self._inner.events():
            for changed in self.change(event):
                yield changed

    def change(self, event: Any) -> list[Any]:
        return [event]

    async def end_step(self, key: str | None = None) -> None:
        await self._inner.end_step(key)

    async def make_safe(self) -> SafeState:
        return await self._inner.make_safe()

    async def release(self) -> None:
        await self._inner.release()

    async def read_clock(self) -> Any:
        return await self._inner.read_clock()


class StartsOnLoad(Potentiostat):
    async def load(self, program: tuple[StepOrder, ...]) -> None:
        await self._inner.load(program)
        await self._inner.start(program[0].key)


class TakesEverything(Potentiostat):
    async def load(self, program: tuple[StepOrder, ...]) -> None:
        with suppress(Rejected):
            await self._inner.load(program)


class StartsAnyKey(Potentiostat):
    async def start(self, key: str) -> None:
        with suppress(InstrumentError):
            await self._inner.start(key)


class StartsAgain(Potentiostat):
    def change(self, event: Any) -> list[Any]:
        return [event, event] if isinstance(event, StepStarted) else [event]


class LiesAboutSafety(Potentiostat):
    async def make_safe(self) -> SafeState:
        return SafeState(Confirmation.CONFIRMED)


class NeverConfirms(Potentiostat):
    async def make_safe(self) -> SafeState:
        await self._inner.make_safe()
        return SafeState(Confirmation.UNCONFIRMED)


class OpensOnRelease(Potentiostat):
    async def release(self) -> None:
        await self._inner.make_safe()


class DrivesOnConnect(Potentiostat):
    async def connect(self) -> Identity:
        self._inner.twin.drive_current((self._inner.clock.mono_ns() - self._inner.twin.t0_mono_ns) / 1e9, 1e-6)
        return await self._inner.connect()


class Nameless(Potentiostat):
    async def connect(self) -> Identity:
        return dataclasses.replace(await self._inner.connect(), model="")


class ReversedSign(Potentiostat):
    def change(self, event: Any) -> list[Any]:
        return [dataclasses.replace(event, current_A=-event.current_A)] if isinstance(event, SampleBlock) else [event]


class DoubledCurrent(Potentiostat):
    def change(self, event: Any) -> list[Any]:
        return [dataclasses.replace(event, current_A=2 * event.current_A)] if isinstance(event, SampleBlock) else [event]


class AlwaysOff(Potentiostat):
    async def read_state(self) -> ChannelState:
        return ChannelState(CellState.OFF, running=False)


class AlwaysOn(Potentiostat):
    async def read_state(self) -> ChannelState:
        return ChannelState(CellState.ON, running=True)


class ForgetsOnLook(Potentiostat):
    async def read_state(self) -> ChannelState:
        await self._inner.make_safe()
        return await self._inner.read_state()


class GoesOnPastItsLimit(Potentiostat):
    async def load(self, program: tuple[StepOrder, ...]) -> None:
        unlimited = [dataclasses.replace(order, ends=EndConditions(order.ends.time_s)) for order in program]
        await self._inner.load(tuple(unlimited))


class AlwaysLast(Potentiostat):
    def change(self, event: Any) -> list[Any]:
        return [dataclasses.replace(event, last_of_program=True)] if isinstance(event, StepEnded) else [event]


class NoReason(Potentiostat):
    def change(self, event: Any) -> list[Any]:
        return [dataclasses.replace(event, reason=Reason.DEVICE_ERROR)] if isinstance(event, StepEnded) else [event]


class LateEnd(Potentiostat):
    def change(self, event: Any) -> list[Any]:
        return [dataclasses.replace(event, mono_ns=event.mono_ns + 2_500_000_000)] if isinstance(event, StepEnded) else [event]


class RepeatsSamples(Potentiostat):
    def change(self, event: Any) -> list[Any]:
        return [event, event] if isinstance(event, SampleBlock) else [event]


class LosesSamples(Potentiostat):
    def change(self, event: Any) -> list[Any]:
        lost = isinstance(event, SampleBlock) and int(event.mono_ns[0] // 1_000_000_000) % 3 == 0
        return [] if lost else [event]


class Float32(Potentiostat):
    def change(self, event: Any) -> list[Any]:
        if not isinstance(event, SampleBlock):
            return [event]
        return [dataclasses.replace(event, voltage_V=event.voltage_V.astype(np.float32))]


class Deaf(Potentiostat):
    async def end_step(self, key: str | None = None) -> None: ...


class IgnoresKey(Potentiostat):
    async def end_step(self, key: str | None = None) -> None:
        await self._inner.end_step()


class NeverBack(Potentiostat):
    def change(self, event: Any) -> list[Any]:
        return [] if isinstance(event, LinkRestored) else [event]


class AbortsOnEndStep(Potentiostat):
    async def end_step(self, key: str | None = None) -> None:
        await self._inner.make_safe()


class NoSpectrum(Potentiostat):
    def change(self, event: Any) -> list[Any]:
        return [] if isinstance(event, ImpedanceSpectrum) else [event]


class FollowsOn(Potentiostat):
    """Samples after the end."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._last: SampleBlock | None = None

    def change(self, event: Any) -> list[Any]:
        if isinstance(event, SampleBlock):
            self._last = event
        return [event, self._last] if isinstance(event, StepEnded) else [event]


POTENTIOSTAT_FAULTS = [
    (DrivesOnConnect, "test_connect_says_who_and_changes_nothing"),
    (Nameless, "test_connect_says_who_and_changes_nothing"),
    (OpensOnRelease, "test_a_second_connection_finds_the_step_running"),
    (AlwaysOff, "test_a_second_connection_finds_the_step_running"),
    (TakesEverything, "test_a_rejected_program_moves_nothing"),
    (StartsOnLoad, "test_loading_does_not_start"),
    (StartsAnyKey, "test_a_key_that_was_not_loaded_does_not_start"),
    (StartsAgain, "test_the_same_key_twice_is_once"),
    (RepeatsSamples, "test_one_ordered_stream"),
    (LosesSamples, "test_one_ordered_stream"),
    (Float32, "test_one_ordered_stream"),
    (FollowsOn, "test_one_ordered_stream"),
    (AlwaysLast, "test_a_program_runs_in_order"),
    (FollowsOn, "test_programs_follow_each_other"),
    (LateEnd, "test_a_step_ends_on_time"),
    (NoReason, "test_a_step_ends_at_its_upper_voltage"),
    (LateEnd, "test_a_step_ends_at_its_lower_voltage"),
    (NoReason, "test_a_step_ends_at_its_charge"),
    (ForgetsOnLook, "test_what_was_loaded_starts_although_the_state_was_read_between"),
    (GoesOnPastItsLimit, "test_a_limit_that_is_met_already_ends_the_step_at_once"),
    (NoReason, "test_a_hold_ends_at_its_current"),
    (Deaf, "test_end_step_goes_on_with_the_program"),
    (AbortsOnEndStep, "test_end_step_goes_on_with_the_program"),
    (Deaf, "test_end_step_ends_a_single_step"),
    (IgnoresKey, "test_end_step_ends_the_step_it_names_and_no_other"),
    (NeverBack, "test_a_link_that_is_back_says_so_though_nobody_asks"),
    (LiesAboutSafety, "test_make_safe_while_the_link_is_away"),
    (LiesAboutSafety, "test_make_safe_in_a_step"),
    (NeverConfirms, "test_make_safe_in_a_step"),
    (AlwaysOn, "test_make_safe_in_a_step"),
    (NeverConfirms, "test_make_safe_when_idle"),
    (LiesAboutSafety, "test_a_loaded_program_does_not_survive_make_safe"),
    (AlwaysOff, "test_read_state_tells_the_truth"),
    (AlwaysOn, "test_read_state_tells_the_truth"),
    (ReversedSign, "test_positive_current_is_oxidation_at_working"),
    (DoubledCurrent, "test_the_samples_add_up_to_the_charge"),
    (NoSpectrum, "test_impedance_is_one_spectrum"),
]


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


FAILURES = (AssertionError, InstrumentError, pytest.fail.Exception)


def label(case: tuple[type, str]) -> str:
    return f"{case[0].__name__}-{case[1]}"


def broken(good: Bench, name: str, fault: type) -> Bench:
    """The same bench with a broken driver on it."""

    @asynccontextmanager
    async def opened(clock: Clock) -> AsyncIterator[Any]:
        async with good.opened(clock) as bench:
            another = bench.another
            yield dataclasses.replace(bench, another=lambda **said: fault(another(**said)), **{name: fault(getattr(bench, name))})

    return Bench(opened, virtual)


@pytest.mark.parametrize("case", POTENTIOSTAT_FAULTS, ids=label)
def test_a_broken_potentiostat_fails(case: tuple[type, str], sim_potentiostat: Bench) -> None:
    fault, name = case
    with pytest.raises(FAILURES):
        getattr(PotentiostatContract, name)(PotentiostatContract(), broken(sim_potentiostat, "potentiostat", fault))


@pytest.mark.parametrize("case", CONSOLE_FAULTS, ids=label)
def test_a_broken_console_fails(case: tuple[type, str], sim_console: Bench) -> None:
    fault, name = case
    with pytest.raises(FAILURES):
        getattr(ConsoleContract, name)(ConsoleContract(), broken(sim_console, "console", fault))
