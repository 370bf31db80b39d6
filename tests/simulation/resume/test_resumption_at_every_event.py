"""A whole night's journal, cut after every so many events: what is left agrees with what the run itself had there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from orchestrator.model.columns import unpack
from orchestrator.model.events import Event
from orchestrator.runner.resumption import Story

Survive = Callable[..., Any]


def told_of(event: Event) -> dict[str, float]:
    """The run's own counters as a block tells them."""
    columns = unpack(event.data["columns"], event.blob or b"", event.data["n"])
    return {name: float(columns[f"charge_{name}_C"][-1]) for name in ("step", "net", "throughput")} | {"x": float(columns["x"][-1])}


def same(a: float, b: float) -> bool:
    return a == pytest.approx(b, abs=1e-12) or (np.isnan(a) and np.isnan(b))


def test_every_cut_of_a_night_leaves_a_plan_that_agrees_with_it(survive: Survive) -> None:
    night = survive()
    story, begun, over, asked, ended, numbers = Story(), None, False, {}, set(), 0
    for cut, event in enumerate(night.events):
        story.feed(event)
        key = str(event.data.get("key", ""))
        if event.kind == "step.started" and "." not in key:
            begun, over = event, False
        if event.kind == "step.ended" and begun is not None and key == begun.data["key"]:
            over = event.data["over"]
        if event.kind == "acquisition.requested":
            asked[key], numbers = event, max(numbers, int(key[1:6]))
        if event.kind in {"acquisition.verified", "acquisition.missed", "acquisition.lost"}:
            ended.add(key)
        left = story.resumption()
        assert left.seq == cut + 1
        if event.kind == "ec.block":
            told = told_of(event)
            assert same(left.net_C, told["net"])
            assert same(left.throughput_C, told["throughput"])
            assert same(left.x, told["x"])
            if left.account is not None and event.data["step_key"] == left.account.key:
                assert same(left.account.charge_C, told["step"])
        if event.kind == "step.ended":
            assert left.net_C == event.data["charge_net_C"]
            assert left.running is None
        if begun is not None:
            assert left.account is not None
            assert (left.account.planned.key, left.position, left.phase) == (begun.data["key"], begun.data["index"], "steps")
            assert left.account.over == over
            assert left.account.started_ns == (None if over else begun.mono_ns)
            owed = left.account.owed()
            assert over or owed is None or 0.0 < owed.time_s <= left.account.ends.time_s
        assert {record.key for record in left.records} == set(asked)
        assert {record.key for record in left.records if record.over} == ended
        assert left.numbers == numbers
        assert [one.verb for one in left.passed] == [step.verb for step in left.plan.steps[: left.position]]
    assert story.resumption().ended is not None


def test_its_triggers_ask_for_what_the_run_asked_for(survive: Survive) -> None:
    """Cut in the middle of a step: the lines of the grid that have fired do not fire again, the next one does."""
    night = survive()
    plate = next(event for event in night.events if event.kind == "step.started" and event.data["index"] == 1)
    for after_s in (61.5, 119.0, 300.5):
        story = Story()
        for event in night.events:
            if event.mono_ns > plate.mono_ns + after_s * 1e9:
                break
            story.feed(event)
        left = story.resumption()
        assert left.account is not None
        assert left.newest is not None
        next_s = 60.0 * (after_s // 60.0 + 1)
        again = left.newest._replace(elapsed_s=next_s - 2.0)
        assert not left.account.engine.feed(again)
        assert [fire.acquisition for fire in left.account.engine.feed(again._replace(elapsed_s=next_s))] == ["fast"]
