"""A contract that a broken driver passes is worth nothing: each fault here must fail the test that is there for it."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from broken_drivers import FAILURES, Around, broken, label
from potentiostat_stands import Stands

from drivers.base import (
    CellState,
    ChannelState,
    ClockSample,
    Confirmation,
    EndConditions,
    Identity,
    ImpedanceSpectrum,
    LinkRestored,
    Reason,
    SafeState,
    SampleBlock,
    StepEnded,
    StepOrder,
    StepStarted,
)
from drivers.errors import InstrumentError, Rejected
from drivers.testing.bench import Bench
from drivers.testing.potentiostat_contract import Befalling, PotentiostatContract


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


class TrustsTheInstrumentsClock(Potentiostat):
    """Each step's samples are dated by the instrument's own time from the first on."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._zero: dict[str, int] = {}

    def change(self, event: Any) -> list[Any]:
        if not isinstance(event, SampleBlock):
            return [event]
        zero_ns = self._zero.setdefault(event.step_key, int(event.mono_ns[0] - event.device_ns[0]))
        return [dataclasses.replace(event, mono_ns=event.device_ns + zero_ns)]


class SilentAboutTheReboot(Potentiostat):
    def change(self, event: Any) -> list[Any]:
        lost = isinstance(event, StepEnded) and event.reason in {Reason.LOST, Reason.DEVICE_ERROR}
        return [dataclasses.replace(event, reason=Reason.TIME)] if lost else [event]


class TakesTheFirstThatAnswers(Potentiostat):
    async def connect(self) -> Identity:
        try:
            return await self._inner.connect()
        except InstrumentError:
            return Identity("somebody", "else")


class Stepless(Potentiostat):
    @property
    def capabilities(self) -> Any:
        return dataclasses.replace(self._inner.capabilities, max_steps=0)


class LeaksInRest(Potentiostat):
    """A trickle flows at what it calls open circuit."""

    def change(self, event: Any) -> list[Any]:
        if isinstance(event, SampleBlock):
            return [dataclasses.replace(event, current_A=event.current_A + 1e-5)]
        return [event]


class AheadOfTime(Potentiostat):
    async def read_clock(self) -> Any:
        now_ns = self._inner.clock.mono_ns()
        return ClockSample(now_ns, now_ns + 5_000_000_000, 0)


class StaysSafe(Potentiostat):
    """Once made safe it takes no program."""

    _safe = False

    async def make_safe(self) -> SafeState:
        self._safe = True
        return await self._inner.make_safe()

    async def load(self, program: tuple[StepOrder, ...]) -> None:
        if self._safe:
            raise Rejected("made safe")
        await self._inner.load(program)


class StartsWithoutItsLine(Potentiostat):
    async def load(self, program: tuple[StepOrder, ...]) -> None:
        await self._inner.load(tuple(dataclasses.replace(order, ttl_in=False, ttl_out=False) for order in program))


class KeepsItsTrigger(Potentiostat):
    """What waits for its line cannot be ended."""

    async def end_step(self, key: str | None = None) -> None: ...

    async def make_safe(self) -> SafeState:
        return SafeState(Confirmation.CONFIRMED)


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
    (Stepless, "test_it_is_a_potentiostat"),
    (TakesTheFirstThatAnswers, "test_another_identity_is_refused"),
    (StaysSafe, "test_make_safe_when_idle"),
    (LeaksInRest, "test_a_rest_is_open_circuit"),
    (AheadOfTime, "test_the_clock_is_read_with_its_uncertainty"),
    (StartsWithoutItsLine, "test_lines_that_it_has_not_are_refused"),
]
ON_AN_INSTRUMENT = [
    ("arbin", TrustsTheInstrumentsClock, "test_a_clock_that_is_200_ppm_off_does_not_carry_the_samples_away"),
    ("keithley", LosesSamples, "test_a_buffer_that_wraps_loses_nothing_that_was_fetched_in_time"),
    ("arbin", SilentAboutTheReboot, "test_an_instrument_that_was_switched_off_and_on_is_no_step_any_more"),
    ("arbin", GoesOnPastItsLimit, "test_the_cell_stays_inside_its_limits_when_the_host_is_gone"),
    ("methodscript", StartsWithoutItsLine, "test_a_step_that_waits_for_the_line_begins_with_it"),
    ("methodscript", StartsWithoutItsLine, "test_a_step_raises_its_line_as_it_starts"),
    ("methodscript", KeepsItsTrigger, "test_a_line_that_was_raised_is_lowered_at_open_circuit"),
    ("methodscript", KeepsItsTrigger, "test_a_step_that_waits_can_be_made_safe"),
    ("methodscript", KeepsItsTrigger, "test_a_step_that_waits_can_be_skipped"),
]
"""What the simulated potentiostat has not got: a clock of its own, a plug, a life without its host, lines."""


@pytest.mark.parametrize("case", POTENTIOSTAT_FAULTS, ids=label)
def test_a_broken_potentiostat_fails(case: tuple[type, str], sim_potentiostat: Bench) -> None:
    fault, name = case
    with pytest.raises(FAILURES):
        getattr(PotentiostatContract, name)(PotentiostatContract(), broken(sim_potentiostat, "potentiostat", fault))


@pytest.mark.parametrize("case", ON_AN_INSTRUMENT, ids=lambda case: f"{case[0]}-{label(case[1:])}")
def test_a_broken_driver_of_an_instrument_fails(case: tuple[str, type, str], stand: Stands) -> None:
    driver, fault, name = case
    with pytest.raises(FAILURES):
        getattr(PotentiostatContract, name)(PotentiostatContract(), broken(stand(driver), "potentiostat", fault))


@pytest.mark.parametrize("fault", [LiesAboutSafety, NeverConfirms, NeverBack, RepeatsSamples], ids=lambda fault: fault.__name__)
def test_a_driver_that_hides_a_fault_is_found(fault: type, stand: Stands) -> None:
    on_bench = broken(stand("zahner"), "potentiostat", fault)
    with pytest.raises(FAILURES):
        Befalling.test_a_fault_in_a_step_harms_no_cell_and_hides_nothing(Befalling(), on_bench, fault="silent")


def test_every_test_of_the_contract_is_bitten() -> None:
    bitten = {name for _, name in POTENTIOSTAT_FAULTS} | {name for _, _, name in ON_AN_INSTRUMENT}
    assert {name for name in dir(PotentiostatContract) if name.startswith("test_")} == bitten
