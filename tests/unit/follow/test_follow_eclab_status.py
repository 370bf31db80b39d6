"""Rung 1 by EC-Lab's COM status: what somebody else's EC-Lab does is seen, and nothing but questions is asked of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from biologic_bench import Scripted, step
from wire_taps import Silence

from drivers.base import Confirmation, Context, Mode, Settings, StepEnded, StepStarted
from drivers.biologic.eclab_door import CALLS
from drivers.biologic.remote import serve
from drivers.clock import Clock
from drivers.errors import NotSupported
from drivers.follow.driver import Follower
from drivers.registry import memory_network, virtual_run

QUESTIONS = {"GetDeviceSN", "MeasureStatus", "GetExperimentInfos"}


def status(state: float, voltage_V: float = 3.7, current_mA: float = 0.0) -> tuple[float, ...]:
    """EC-Lab's 32 numbers."""
    values = [0.0] * 32
    values[0], values[16], values[19] = state, voltage_V, current_mA
    return tuple(values)


def followed(play: Any, backend: Scripted) -> None:
    async def main(clock: Clock) -> None:
        network = memory_network()
        served = await serve(network, backend, CALLS)
        through = {"driver": "biologic", "door": "eclab", "device": "VSP-300", "decimal": ".", "folder": "D:/operando"}
        settings = Settings("cycler", "follow", served.address, "1", options={"through": through})
        follower = Follower(settings, Context(clock, network, Silence()))
        await follower.connect()
        try:
            await play(follower, clock)
        finally:
            await follower.release()
            await served.stop()

    virtual_run(main)


def eclab(**answers: Any) -> Scripted:
    idle = {"GetDeviceSN": lambda device: (365, (77439,), 1) if device == 0 else (0, (), 0), "GetExperimentInfos": ("", "", "", (), 0)}
    return Scripted(**{**idle, "MeasureStatus": status(0), **answers})


def test_edges_are_seen_in_ec_labs_status_and_nothing_is_told_to_it() -> None:
    backend = eclab()
    came: list[Any] = []

    async def play(follower: Follower, clock: Clock) -> None:
        events = follower.events()

        async def until(kind: type[Any]) -> Any:
            async for event in events:
                if isinstance(event, kind):
                    came.append(event)
                    return event
            return None

        await follower.load((step(Mode.REST),))
        await follower.start("step-1")
        await clock.sleep(5.0)
        assert follower.capabilities.rung == 1
        assert (await follower.read_state()).running is None
        backend.answers["MeasureStatus"] = status(1)
        await until(StepStarted)
        backend.answers["MeasureStatus"] = status(1, 3.8, 0.5)
        await until(StepEnded)
        await follower.load((replace(step(), key="step-2"),))
        await follower.start("step-2")
        began = await until(StepStarted)
        assert clock.mono_ns() - began.mono_ns <= 1_000_000_000
        backend.answers["MeasureStatus"] = status(0)
        await until(StepEnded)

    followed(play, backend)
    assert [type(event).__name__ for event in came] == ["StepStarted", "StepEnded", "StepStarted", "StepEnded"]
    assert [event.key for event in came] == ["step-1", "step-1", "step-2", "step-2"]
    assert {name for name, _ in backend.asked} <= QUESTIONS


def test_whoever_wants_it_stopped_is_told_that_it_cannot_be() -> None:
    backend = eclab(MeasureStatus=status(1, 3.8, 0.5))

    async def play(follower: Follower, clock: Clock) -> None:
        reached = await follower.make_safe()
        assert reached.confirmation is Confirmation.UNCONFIRMED
        assert "cannot stop this cell" in reached.detail
        with pytest.raises(NotSupported):
            await follower.end_step()

    followed(play, backend)
    assert {name for name, _ in backend.asked} <= QUESTIONS
