"""Samples in column blocks: what is packed here is what ``model.columns`` reads."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import numpy as np
import pytest

from drivers.clock import Stamp
from orchestrator.model.columns import pack, unpack
from orchestrator.runner.blocks import ALWAYS, Blocks, layout


class Journal:
    """The two things that ``Blocks`` needs of a run: where to put, and what time it is."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[str, Any], bytes, Stamp]] = []
        self.journal = self

    def at(self, mono_ns: int) -> Stamp:
        return Stamp(mono_ns, mono_ns)

    def put(self, kind: str, data: dict[str, Any], *, blob: bytes, at: Stamp) -> int:
        assert kind == "ec.block"
        self.seen.append((data, blob, at))
        return len(self.seen)


def row(t_s: float, *further: float) -> tuple[float, ...]:
    return (round(t_s * 1e9), 0.1 * t_s, -1e-3, 0.0, 0.0, 0.0, 0.5, 3, *further)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_the_bytes_are_those_of_model_columns(n: int) -> None:
    names = (*ALWAYS, "device_ns", "voltage_we_V")
    rows = [row(k + 0.123456789, 10**18 + k, math.nan) for k in range(n)]
    columns = {name: np.array(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
    columns["status"] = columns["status"].astype("<u2")
    columns["mono_ns"] = columns["mono_ns"].astype("<i8")
    description, blob = pack(columns)
    ours, packer = layout(names, n)
    assert ours == description
    assert packer.pack(*[value for values in zip(*rows, strict=True) for value in values]) == blob


async def test_a_block_holds_a_second_and_ends_at_an_edge() -> None:
    journal = Journal()
    blocks = Blocks(journal)  # type: ignore[arg-type]
    blocks.begin("s1", 1, 0)
    for k in range(25):
        blocks.add(ALWAYS, row(0.1 * k))
    blocks.begin("s2", 1, 1)
    assert [(data["step_key"], data["n"]) for data, _, _ in journal.seen] == [("s1", 11), ("s1", 11), ("s1", 3)]
    mono_ns = np.concatenate([unpack(data["columns"], blob, data["n"])["mono_ns"] for data, blob, _ in journal.seen])
    assert (np.diff(mono_ns) == 10**8).all()
    assert [at.mono_ns for _, _, at in journal.seen] == [10**9, 2_100_000_000, 2_400_000_000]


async def test_a_full_second_is_journaled_after_what_else_its_last_sample_does() -> None:
    journal = Journal()
    blocks = Blocks(journal)  # type: ignore[arg-type]
    console = asyncio.Event()

    async def start() -> list[Any]:
        await console.wait()
        return list(journal.seen)

    started = asyncio.create_task(start())
    await asyncio.sleep(0)
    for k in range(11):
        blocks.add(ALWAYS, row(0.1 * k))
    console.set()
    assert await started == []
    await asyncio.sleep(0.01)
    assert [data["n"] for data, _, _ in journal.seen] == [11]


def test_slow_samples_come_alone_and_none_is_forgotten() -> None:
    journal = Journal()
    blocks = Blocks(journal)  # type: ignore[arg-type]
    blocks.add(ALWAYS, row(0))
    blocks.flush(-1)
    assert not journal.seen
    blocks.add(ALWAYS, row(60))
    blocks.flush(61 * 10**9)
    assert [data["n"] for data, _, _ in journal.seen] == [1, 1]
    blocks.flush()
    assert len(journal.seen) == 2


def test_columns_that_come_later_make_a_new_block() -> None:
    journal = Journal()
    blocks = Blocks(journal)  # type: ignore[arg-type]
    blocks.add(ALWAYS, row(0))
    blocks.add((*ALWAYS, "device_ns"), row(0.1, 5))
    blocks.flush()
    assert [len(data["columns"]) for data, _, _ in journal.seen] == [8, 9]


class AnyJournal(Journal):
    """Takes further channels too."""

    def put(self, kind: str, data: dict[str, Any], *, blob: bytes, at: Stamp) -> int:
        self.seen.append(({"kind": kind, **data}, blob, at))
        return len(self.seen)


def test_further_channels_become_events_of_their_own() -> None:
    journal = AnyJournal()
    blocks = Blocks(journal)  # type: ignore[arg-type]
    for k in range(4):
        blocks.add_aux("charge_C", [k * 500_000_000], [float(k)])
    blocks.add_aux("pressure", [0], [1.5])
    blocks.flush()
    found = [(data, unpack(data["columns"], blob, data["n"])) for data, blob, _ in journal.seen]
    assert [(data["kind"], data["sensor"], data["unit"], columns["value"].tolist()) for data, columns in found] == [
        ("aux.block", "charge_C", "C", [0.0, 1.0, 2.0]),
        ("aux.block", "charge_C", "C", [3.0]),
        ("aux.block", "pressure", "", [1.5]),
    ]
    assert found[0][1]["mono_ns"].tolist() == [0, 500_000_000, 1_000_000_000]


def test_the_largest_half_width_stands_with_its_block() -> None:
    journal = Journal()
    blocks = Blocks(journal)  # type: ignore[arg-type]
    for half_width_ns in (0, 70, 20):
        blocks.half_width_ns = max(blocks.half_width_ns, half_width_ns)
        blocks.add(ALWAYS, row(0.1))
    blocks.flush()
    blocks.add(ALWAYS, row(0.2))
    blocks.flush()
    assert [data.get("half_width_ns") for data, _, _ in journal.seen] == [70, None]
