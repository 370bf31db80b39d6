"""The clock of a step."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drivers.methodscript.timing import LEAST_HALF_WIDTH_NS, WINDOW, StepTimer

S = 1_000_000_000


@given(st.lists(st.integers(0, 50_000_000), min_size=2, max_size=200))
def test_placed_times_grow_and_are_never_after_they_were_heard(delays_ns: list[int]) -> None:
    timer, last = StepTimer(), -1
    for n, delay_ns in enumerate(delays_ns, start=1):
        heard_ns = 7 * S + n * S + delay_ns
        mono_ns = timer.place(n * S, heard_ns)
        assert last < mono_ns <= heard_ns
        assert mono_ns - n * S - 7 * S >= min(delays_ns[max(0, n - WINDOW) : n])
        last = mono_ns
    assert timer.half_width_ns >= LEAST_HALF_WIDTH_NS


def test_resolution_of_a_late_stamp_is_part_of_the_uncertainty() -> None:
    timer = StepTimer()
    timer.place(36_000 * S, 36_001 * S, quantum_ns=10_000_000)
    assert timer.half_width_ns == 10_000_000
