"""A followed file of EC-Lab with Ewe and Ece: both come with each sample, and a step may have ended on either."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wire_taps import Silence

from drivers.base import CE, Context, ElectrodeBounds, EndConditions, Limits, Mode, Reason, SampleBlock, Settings, StepEnded, StepOrder
from drivers.clock import Clock
from drivers.follow.driver import Follower
from drivers.follow.matching import Matching, Row
from drivers.stream.samples import Outbox
from drivers.transport.virtual import run_virtual

LIMITS = Limits(4.4, 2.4, 0.01, 100.0, 7200.0)
CHARGE = StepOrder(
    "s1", Mode.GALVANOSTATIC, EndConditions(3600.0, electrodes=(ElectrodeBounds("ce", lower_V=0.1),)), LIMITS, current_A=1e-3
)
S = 10**9
HEAD = """EC-Lab ASCII FILE\r
Nb header lines : 6\r
\r
Modulo Bat\r
Acquisition started on : 11/22/2026 10:00:00.000\r
mode\tox/red\tNs changes\ttime/s\tEwe/V\tEce/V\tI/mA\t\r
"""


def row(t_s: int, ce_V: float, current_A: float = 1e-3, step: int = 1) -> Row:
    return Row(t_s * S, t_s * S, 3.8 - ce_V, current_A, ("a", step), 1 if current_A else 3, t_s * S, 0, 3.8, ce_V)


async def said_of(matching: Matching) -> list[Any]:
    matching.outbox.close()
    return [event async for event in matching.outbox.stream()]


def test_a_step_that_the_cycler_ended_on_one_electrode_is_told_so() -> None:
    matching = Matching(Outbox())
    matching.start((CHARGE,), 0)
    matching.feed([row(t_s, 0.2 - 0.01 * t_s) for t_s in range(1, 11)] + [row(11, 0.12, 0.0, 2)], 11 * S)
    said = asyncio.run(said_of(matching))
    assert [one.reason for one in said if isinstance(one, StepEnded)] == [Reason.V_LOWER]
    blocks = [one for one in said if isinstance(one, SampleBlock)]
    assert np.concatenate([one.voltage_ce_V for one in blocks])[:10] == pytest.approx([0.2 - 0.01 * t for t in range(1, 11)])


def test_a_growing_file_brings_both(tmp_path: Path) -> None:
    path = tmp_path / "cell.mpt"
    path.write_text(HEAD + "1\t1\t0\t0.0\t3.7\t0.2\t1.0\t\r\n", encoding="cp1252", newline="")
    said: list[Any] = []

    async def main(clock: Clock) -> None:
        settings = Settings("cycler", "follow", str(path), options={"electrodes": 3, "offset_s": 0.0, "look_s": 0.5})
        follower = Follower(settings, Context(clock, None, Silence(), None))  # type: ignore[arg-type]
        assert CE in follower.capabilities.electrodes
        await follower.connect()

        async def listen() -> None:
            async for event in follower.events():
                said.append(event)  # noqa: PERF401 - as they come

        listening = asyncio.create_task(listen())
        with path.open("a", encoding="cp1252", newline="") as file:
            file.write("1\t1\t0\t1.0\t3.75\t0.15\t1.0\t\r\n")
        await asyncio.sleep(5)
        await follower.release()
        listening.cancel()

    run_virtual(main)
    block = [one for one in said if isinstance(one, SampleBlock)][-1]
    assert (block.voltage_we_V[-1], block.voltage_ce_V[-1]) == (3.75, 0.15)
    assert block.voltage_V[-1] == pytest.approx(3.6)


def test_a_file_without_them_is_a_cell_of_two() -> None:
    matching = Matching(Outbox())
    matching.feed([row(1, 0.1)._replace(we_V=None, ce_V=None)], S)
    (block,) = (one for one in asyncio.run(said_of(matching)) if isinstance(one, SampleBlock))
    assert block.voltage_we_V is None is block.voltage_ce_V
