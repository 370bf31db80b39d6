"""Virtual time: a night in seconds, exact, in the same order every time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from drivers.clock import Clock
from drivers.transport.virtual import EPOCH_UTC_NS, Deadlock, VirtualLoop, run_virtual

S = 1_000_000_000


def test_a_night_of_samples_needs_little_cpu_and_is_exact() -> None:
    async def night(clock: Clock) -> int:
        for second in range(1, 12 * 3600 + 1):
            await clock.sleep(1.0)
            assert clock.mono_ns() == second * S
        return clock.mono_ns()

    before = time.process_time()
    assert run_virtual(night) == 12 * 3600 * S
    assert time.process_time() - before < 30


@pytest.mark.parametrize("start_s", [0, 1_000_000, 100_000_000])
def test_sleep_until_wakes_at_exactly_that_nanosecond(start_s: int) -> None:
    async def main(clock: Clock) -> None:
        start = clock.mono_ns()
        assert start == start_s * S
        for n in range(1, 2001):
            await clock.sleep_until(start + n * S // 10)
            assert clock.mono_ns() == start + n * S // 10
        for odd in (1, 7, 333_333_333, 1_000_000_001):
            goal = clock.mono_ns() + odd
            await clock.sleep_until(goal)
            assert clock.mono_ns() == goal

    run_virtual(main, start_ns=start_s * S)


def test_timeout_is_virtual_and_exact() -> None:
    async def main(clock: Clock) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await asyncio.Event().wait()
        assert clock.mono_ns() == 3600 * S
        async with asyncio.timeout(10):
            await clock.sleep(9.999_999_999)
        assert clock.mono_ns() == 3610 * S - 1

    run_virtual(main)


def test_utc_counts_from_the_epoch() -> None:
    async def main(clock: Clock) -> tuple[int, int]:
        await clock.sleep(90)
        stamp = clock.stamp()
        return stamp.mono_ns, stamp.utc_ns

    assert run_virtual(main) == (90 * S, EPOCH_UTC_NS + 90 * S)
    assert run_virtual(main, epoch_utc_ns=5, start_ns=7 * S) == (97 * S, 5 + 90 * S)


def test_equal_instants_fire_in_the_order_they_were_made() -> None:
    async def main(clock: Clock) -> list[int]:
        order: list[int] = []
        loop = asyncio.get_running_loop()
        for n in range(50):
            loop.call_at(5.0, order.append, n) if n % 2 else loop.call_later(5.0, order.append, n)
        await clock.sleep(5)
        return order

    assert run_virtual(main) == list(range(50))


def test_a_clocks_sleep_wakes_in_its_turn_among_timers_and_asyncios_own_sleeps() -> None:
    async def main(clock: Clock) -> list[str]:
        order: list[str] = []
        loop = asyncio.get_running_loop()

        async def slept(name: str, sleep: Callable[[float], Awaitable[None]]) -> None:
            await sleep(5.0)
            order.append(name)

        tasks = [asyncio.create_task(slept("clock", clock.sleep)), asyncio.create_task(slept("asyncio", asyncio.sleep))]
        await asyncio.sleep(0)
        loop.call_at(5.0, order.append, "timer")
        tasks += [asyncio.create_task(slept("clock again", clock.sleep_real))]
        await asyncio.gather(*tasks)
        return order

    assert run_virtual(main) == ["timer", "clock", "asyncio", "clock again"]  # a timer calls, a sleep wakes a task for the next round


def test_a_cancelled_sleep_does_not_attract_the_clock() -> None:
    async def main(clock: Clock) -> int:
        sleeping = asyncio.create_task(clock.sleep(3600.0))
        await clock.sleep(1.0)
        sleeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sleeping
        await clock.sleep(9000.0)
        return clock.mono_ns()

    seen: list[int] = []
    jumped = VirtualLoop._go_on

    def watched(self: VirtualLoop, *, alone: bool) -> None:
        jumped(self, alone=alone)
        seen.append(self.now_ns() // S)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(VirtualLoop, "_go_on", watched)
        assert run_virtual(main) == 9001 * S
    assert 3600 not in seen


def test_a_cancelled_timer_does_not_attract_the_clock() -> None:
    async def main(clock: Clock) -> int:
        asyncio.get_running_loop().call_later(1, print).cancel()
        await clock.sleep(2)
        return clock.mono_ns()

    assert run_virtual(main) == 2 * S


def test_cancelled_timers_do_not_pile_up() -> None:
    async def main(clock: Clock) -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        for n in range(2000):
            loop.call_later(1e6 + n, print).cancel()
            await clock.sleep(0.001)
        return len(loop._timers)

    assert run_virtual(main) < 300


def test_a_timer_that_is_cancelled_after_it_fired_leaves_the_others_alone() -> None:
    async def main(clock: Clock) -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        fired = loop.call_later(1.0, int)
        await clock.sleep(2.0)
        fired.cancel()
        fired.cancel()
        return loop.cancelled_timers

    assert run_virtual(main) == 0


@pytest.mark.parametrize("start_s", [0, 1_000_000])
def test_a_callback_comes_at_exactly_that_nanosecond_and_at_once_when_it_is_past(start_s: int) -> None:
    async def main(clock: Clock) -> list[int]:
        came: list[int] = []
        start_ns = clock.mono_ns()
        for at_ns in (start_ns + 1_000_000_001, start_ns + 7, start_ns - 5):
            clock.call_at(at_ns, lambda: came.append(clock.mono_ns() - start_s * S))
        await clock.sleep(2.0)
        return came

    assert run_virtual(main, start_ns=start_s * S) == [0, 7, 1_000_000_001]


def _trace() -> list[tuple[int, str]]:
    trace: list[tuple[int, str]] = []

    async def main(clock: Clock) -> None:
        async def work(period: float) -> None:
            try:
                while True:
                    await clock.sleep(period)
                    task = asyncio.current_task()
                    assert task is not None
                    trace.append((clock.mono_ns(), task.get_name()))
            finally:
                task = asyncio.current_task()
                assert task is not None
                trace.append((clock.mono_ns(), f"{task.get_name()} cancelled"))

        async def fail() -> None:
            await clock.sleep(30.0)
            raise RuntimeError("end of trace")

        try:
            async with asyncio.TaskGroup() as group:
                for n in range(40):
                    group.create_task(work(0.5 + n % 4 * 0.25))
                group.create_task(fail())
        except* RuntimeError:
            pass
        asyncio.create_task(work(1.0), name="left over")  # noqa: RUF006
        await clock.sleep(2.0)

    run_virtual(main)
    return trace


def test_two_runs_interleave_alike() -> None:
    first = _trace()
    padding = [object() for _ in range(1001)]  # other addresses in memory
    assert _trace() == first
    assert len(padding) == 1001
    assert len(first) > 1000


def test_siblings_are_cancelled_in_the_order_they_were_made() -> None:
    cancelled = [name for _, name in _trace() if name.endswith("cancelled")]
    assert cancelled == [f"task-{n} cancelled" for n in range(2, 42)] + ["left over cancelled"]


def test_tasks_are_named_by_their_number_in_each_run() -> None:
    async def main(clock: Clock) -> list[str]:
        task, named = asyncio.create_task(clock.sleep(1)), asyncio.create_task(clock.sleep(1), name="sampling")
        task.set_name(None)
        await asyncio.gather(task, named)
        return [task.get_name(), named.get_name()]

    assert run_virtual(main) == run_virtual(main) == ["task-2", "sampling"]


def test_a_hold_stops_time_until_a_thread_lets_go() -> None:
    async def main(clock: Clock) -> list[tuple[str, int]]:
        seen: list[tuple[str, int]] = []
        loop = asyncio.get_running_loop()
        committed = asyncio.Event()
        thread = threading.Timer(0.05, loop.call_soon_threadsafe, [committed.set])

        async def sampling() -> None:
            await clock.sleep(1)
            seen.append(("sample", clock.mono_ns()))

        async with asyncio.TaskGroup() as group:
            group.create_task(sampling())
            thread.start()
            with clock.hold():
                await committed.wait()
                seen.append(("durable", clock.mono_ns()))
        thread.join()
        return seen

    assert run_virtual(main) == [("durable", 0), ("sample", S)]


def test_a_gate_stops_time_until_it_opens() -> None:
    async def main(clock: Clock) -> None:
        emptied = threading.Event()
        looks: list[int] = []

        def half_full() -> bool:
            looks.append(clock.mono_ns())
            return emptied.is_set()

        clock.add_gate(half_full)
        thread = threading.Timer(0.02, emptied.set)
        thread.start()
        await clock.sleep(1)
        assert clock.mono_ns() == S
        assert emptied.is_set()
        assert set(looks) == {0}
        thread.join()

    run_virtual(main)


def test_a_thread_of_asyncio_holds_time() -> None:
    async def main(clock: Clock) -> int:
        async with asyncio.timeout(1):
            await asyncio.to_thread(time.sleep, 0.02)
        return clock.mono_ns()

    assert run_virtual(main) == 0


def test_deadlock_names_who_waits() -> None:
    async def main(clock: Clock) -> None:
        async def waits_for_nothing() -> None:
            await asyncio.Event().wait()

        await clock.sleep(12.5)
        await asyncio.create_task(waits_for_nothing(), name="orphan")

    with pytest.raises(Deadlock, match=r"stands still at 12\.5") as caught:
        run_virtual(main)
    assert "orphan: test_deadlock_names_who_waits.<locals>.main.<locals>.waits_for_nothing line" in str(caught.value)


def test_what_is_left_is_cancelled() -> None:
    ended: list[str] = []

    async def main(clock: Clock) -> None:
        async def forever() -> None:
            try:
                await clock.sleep(1e9)
            finally:
                await clock.sleep(1)
                ended.append("cleaned up")

        asyncio.create_task(forever())  # noqa: RUF006
        await clock.sleep(0)

    run_virtual(main)
    assert ended == ["cleaned up"]


def test_real_sockets_work_on_the_virtual_loop() -> None:
    async def main(clock: Clock) -> bytes:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"t\n")
        answer = await reader.read()
        writer.close()
        server.close()
        return answer

    assert run_virtual(main) == b"t\n"


def test_the_loop_closes_its_descriptors() -> None:
    loop = VirtualLoop()
    loop.close()
    assert loop.is_closed()
