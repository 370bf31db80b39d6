"""A relay in the cell's lead: golden bytes, both kinds over a wire, and what it says when it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest

from drivers import registry
from drivers.base import Context, FenceState, Settings
from drivers.clock import Clock
from drivers.errors import NotReachable, Rejected
from drivers.relay.driver import Relay
from drivers.relay.emulator import RelayEmulator
from drivers.relay.wire import BadOptions, words
from orchestrator.guard.act import NoWire
from orchestrator.rig.emulators import make_twin

T = TypeVar("T")


@pytest.mark.parametrize(
    ("options", "trip", "query"),
    [
        ({"kind": "devantech"}, "6f", "5b"),  # Devantech's sheet of the USB-RLY02: 111 relay 1 off, 91 states
        ({"kind": "devantech", "relay": 2, "trip_by": "on"}, "66", "5b"),
        ({"kind": "lcus"}, "a00100a1", ""),  # the sellers' sheet of the LCUS-1: A0 01 00 A1 off, A0 01 01 A2 on
        ({"kind": "lcus", "trip_by": "on"}, "a00101a2", ""),
        ({"kind": "custom", "trip": "BB"}, "bb", ""),
    ],
)
def test_golden_bytes(options: Mapping[str, Any], trip: str, query: str) -> None:
    said = words(options)
    assert (said.trip.hex(), said.query.hex()) == (trip, query)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kind": "devantech", "relay": 9},
        {"kind": "devantech", "trip_by": "hope"},
        {"kind": "custom"},
        {"kind": "custom", "trip": "xx"},
        {"kind": "custom", "trip": "01", "query": "02"},
    ],
)
def test_a_relay_that_nobody_could_work_is_refused(options: Mapping[str, Any]) -> None:
    with pytest.raises(BadOptions):
        words(options)
    with pytest.raises(Rejected):
        Relay(Settings("fence", "relay", "nowhere", options=options), Context(Clock(), registry.memory_network(), NoWire()))


def test_an_answer_that_says_both_or_nothing_is_unknown() -> None:
    said = words({"kind": "custom", "trip": "01", "query": "02", "tripped": "00", "armed": "ff"})
    assert [said.state(answer) for answer in (b"\x00", b"\xff", b"\x00\xff", b"", b"\x07")] == [
        FenceState.TRIPPED,
        FenceState.ARMED,
        FenceState.UNKNOWN,
        FenceState.UNKNOWN,
        FenceState.UNKNOWN,
    ]


def in_the_lead(repository: Path, options: dict[str, Any], work: Callable[[Relay, RelayEmulator, Any], Awaitable[T]]) -> T:
    """``work`` with a driver, the emulated relay, and the twin under current behind it."""

    async def main(clock: Clock) -> T:
        network = registry.memory_network()
        twin = make_twin(str(repository / "configs" / "twins" / "C1.yaml"), seed=1, t0_mono_ns=clock.mono_ns())
        emulator = RelayEmulator(Settings("relay", "relay", "", options=options), Context(clock, network, NoWire(), twin))
        address = (await emulator.start()).address
        twin.drive_current(0.0, 4e-4)
        try:
            relay = Relay(Settings("fence", "relay", address, options=options), Context(clock, network, NoWire()))
            return await work(relay, emulator, twin)
        finally:
            await emulator.stop()

    return registry.virtual_run(main)


@pytest.mark.parametrize("trip_by", ["off", "on"])
def test_tripped_read_back_and_the_cell_is_open(repository: Path, trip_by: str) -> None:
    async def work(relay: Relay, emulator: RelayEmulator, twin: Any) -> None:
        await relay.connect()
        assert await relay.read_state() is FenceState.ARMED
        assert twin.measure(1.0).output_on
        reached = await relay.trip()
        assert reached.confirmed
        assert await relay.read_state() is FenceState.TRIPPED
        assert not twin.measure(2.0).output_on
        twin.drive_current(3.0, 4e-4)
        assert not twin.measure(4.0).output_on, "whatever the potentiostat does, the lead is open"

    in_the_lead(repository, {"kind": "devantech", "trip_by": trip_by}, work)


def test_a_relay_that_says_nothing_back_is_never_confirmed(repository: Path) -> None:
    async def work(relay: Relay, emulator: RelayEmulator, twin: Any) -> None:
        await relay.connect()
        assert await relay.read_state() is FenceState.UNKNOWN
        reached = await relay.trip()
        await asyncio.sleep(0.1)
        assert emulator.circuit_open
        assert not reached.confirmed
        assert "says nothing back" in reached.detail

    in_the_lead(repository, {"kind": "lcus"}, work)


@pytest.mark.parametrize("fault", ["silent", "stuck"])
def test_a_relay_that_fails_is_unconfirmed(repository: Path, fault: str) -> None:
    async def work(relay: Relay, emulator: RelayEmulator, twin: Any) -> None:
        emulator.inject(fault)
        reached = await relay.trip()
        assert not reached.confirmed
        assert not emulator.circuit_open
        if fault == "silent":
            with pytest.raises(NotReachable, match="does not answer"):
                await relay.connect()

    in_the_lead(repository, {"kind": "devantech"}, work)


def test_noise_before_a_frame_is_skipped_and_a_snapshot_goes_on(repository: Path) -> None:
    async def work(relay: Relay, emulator: RelayEmulator, twin: Any) -> None:
        emulator._waiting = bytes.fromhex("ff a0 01 00")
        other = RelayEmulator(emulator.settings, Context(emulator.clock, registry.memory_network(), NoWire(), twin))
        other.restore(emulator.snapshot())
        other._waiting += b"\xa1"
        other._lcus()
        assert other.circuit_open

    in_the_lead(repository, {"kind": "lcus"}, work)


async def test_a_port_that_is_not_there_is_unconfirmed_in_time() -> None:
    """Real media: whoever cannot be reached must not keep the guard for long."""
    context = Context(Clock(), registry.real_network(), NoWire())
    relay = Relay(Settings("fence", "relay", "/dev/nothing", options={"kind": "lcus"}), context)
    relay_trip = await relay.trip()
    assert not relay_trip.confirmed
    assert "could not be tripped" in relay_trip.detail
