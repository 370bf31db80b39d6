"""Rows from an instrument's memory: none twice, none left out, and marked where nobody listened."""

from __future__ import annotations

import numpy as np
import pytest

from drivers.base import SampleBlock
from orchestrator.model.events import DRAINED
from orchestrator.runner.draining import Drained

S = 10**9


def block(*at_s: float, status: tuple[int, ...] = (), aux: bool = False) -> SampleBlock:
    times = np.array([round(one * S) for one in at_s], np.int64)
    volts = np.arange(len(at_s), dtype=np.float64)
    own = np.array(status, np.uint16) if status else None
    return SampleBlock("s", times, volts, -volts, device_ns=times - S, status=own, aux={"charge_C": volts} if aux else {})


HEARD = Drained(heard_ns=10 * S, now_ns=14 * S, interval_s=1.0)


@pytest.mark.parametrize("apart_s", [-0.4, 0.0, 0.4])
def test_a_row_is_known_although_two_hosts_place_it_a_little_apart(apart_s: float) -> None:
    found = HEARD.fresh(block(*(n + apart_s for n in range(8, 16)), aux=True))
    assert found.voltage_V.tolist() == [3, 4, 5, 6, 7]
    assert found.current_A.tolist() == [-3, -4, -5, -6, -7]
    assert found.aux["charge_C"].tolist() == [3, 4, 5, 6, 7]
    assert found.device_ns is not None
    assert (found.device_ns + S).tolist() == found.mono_ns.tolist()


def test_what_nobody_heard_is_marked_beside_its_own_bits() -> None:
    found = HEARD.fresh(block(11, 12, 14, 15, status=(0, 3, 3, 0)))
    assert found.status is not None
    assert found.status.tolist() == [DRAINED, DRAINED | 3, 3, 0]


def test_a_block_of_this_host_stays_as_it_is() -> None:
    fresh = block(14.5, 15.5)
    assert HEARD.fresh(fresh) is fresh


def test_a_block_that_the_journal_has_is_empty() -> None:
    assert len(HEARD.fresh(block(7, 8, 9, 10))) == 0
