"""Techniques as the firmware runs them: limits, steps, loops, triggers, impedance; rows and times as documented."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from biologic_client import E_ABOVE, E_BELOW, I_BELOW, RUN, STOP, CapacitorTwin, Host, calimit, cplimit, ocv


def test_rest(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(ocv(10.0))
        await host.until_stop()
        found = host.of(0)
        assert (found.id, len(found.rows[0])) == (100, 4)
        assert found.times_s(host.base_s) == pytest.approx(list(range(11)))
        assert found.column(2) == pytest.approx([3.0] * 11)
        assert not host.twin.output_on

    play(scene)


def test_words_of_the_reference(play: Callable[..., None]) -> None:
    """3.7 V = 0x406CCCCD, 0.5 mA = 0x3A03126F; [0, 50000, …] at 2e-5 is 1 s."""

    async def scene(host: Host) -> None:
        host.twin.REST_V = 3.65  # type: ignore[misc]
        host.start(cplimit(5e-4, 2.0))
        await host.until_stop(0.5)
        row = host.of(0).rows[1]
        assert row[:2] == [0, 50000]
        assert row[3:] == [0x3A03126F, 0]
        host.rows.clear()
        assert host.dll.BL_ConvertChannelNumericIntoSingle(0x406CCCCD, 1) == (0, pytest.approx(3.7))

    play(scene)


@pytest.mark.parametrize("time_base_us", [20.0, 50.0])
def test_times_count_from_the_technique_in_its_time_base(play: Callable[..., None], time_base_us: float) -> None:
    async def scene(host: Host) -> None:
        host.start(ocv(5.0), cplimit(1e-3, 3.0))
        await host.until_stop()
        assert host.base_s == pytest.approx(time_base_us * 1e-6)
        assert host.of(1).times_s(host.base_s) == pytest.approx([0, 1, 2, 3], abs=1e-4)
        assert host.of(1).start == pytest.approx(5.0)

    play(scene, time_base_us=time_base_us)


def test_a_voltage_limit_ends_the_technique_within_milliseconds(play: Callable[..., None]) -> None:
    """1 mA: 3.1 V at once, then 10 uV/s; 3.101 V after 100 s."""

    async def scene(host: Host) -> None:
        host.start(cplimit(1e-3, 1000.0, (E_ABOVE, 3.101)), ocv(5.0))
        await host.until_stop()
        assert host.of(0).times_s(host.base_s)[-1] == pytest.approx(100.0, abs=0.05)
        assert host.of(0).column(2)[-1] == pytest.approx(3.101, abs=1e-6)
        assert host.twin.charge == pytest.approx(0.1, rel=1e-3)
        assert host.of(1).id == 100

    play(scene)


def test_nobody_needs_to_look(play: Callable[..., None]) -> None:
    """The instrument ends its step by itself, at its time, and keeps the data."""

    async def scene(host: Host) -> None:
        host.start(cplimit(-2e-3, 1000.0, (E_BELOW, 2.79)))  # 2.8 V at once, then -20 uV/s: 500 s
        host.dll.BL_Disconnect(host.id)
        await host.clock.sleep(2000)
        assert [how for how, _, _ in host.twin.drives] == ["open", "open", "current", "open"]
        assert host.twin.drives[-1][1] - host.twin.drives[-2][1] == pytest.approx(500.0, abs=0.05)
        _, host.id, _ = host.dll.BL_Connect("USB0", 5)
        await host.until_stop()
        assert len(host.of(0).rows) == 501

    play(scene)


def test_a_limit_met_at_the_first_sample(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(cplimit(1e-3, 100.0, (E_ABOVE, 3.05)), ocv(1.0))
        await host.clock.sleep(0.5)
        host.fetch()
        assert len(host.of(0).rows) == 1
        assert abs(host.twin.charge) < 1e-6

    play(scene)


@pytest.mark.parametrize(("exit_cond", "techniques", "final_C"), [(0, {0, 1}, 0.011), (1, {0, 1}, 0.01), (2, {0}, 0.01)])
def test_exit_conditions(play: Callable[..., None], exit_cond: int, techniques: set[int], final_C: float) -> None:
    """Next step, next technique, stop: two steps of 1 mA, 3.1001 V is met after 10 s."""

    async def scene(host: Host) -> None:
        host.start(cplimit([1e-3, 1e-4], 10.0 if exit_cond == 0 else 100.0, (E_ABOVE, 3.1001), exit_cond=exit_cond), ocv(3.0))
        await host.until_stop()
        assert {one.technique for one in host.rows} == techniques
        assert host.twin.charge == pytest.approx(final_C, rel=0.01)

    play(scene)


def test_tests_are_or_and_and(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(cplimit(1e-3, 30.0, (E_ABOVE | 2, 3.1001), (I_BELOW, 1e-6)))  # never both
        await host.until_stop()
        assert host.of(0).times_s(host.base_s)[-1] == pytest.approx(30.0)
        host.rows.clear()
        host.start(cplimit(1e-3, 30.0, (I_BELOW, 1e-6), (E_ABOVE, 3.1005)))  # the second alone
        await host.until_stop()
        assert host.of(0).times_s(host.base_s)[-1] == pytest.approx(20.0, abs=0.05)

    play(scene)


def test_a_hold_with_a_taper(play: Callable[..., None]) -> None:
    """3.1 V: 1 mA falling with 10 000 s; 0.9 mA after 1054 s."""

    async def scene(host: Host) -> None:
        host.start(calimit(3.1, 20000.0, (I_BELOW, 9e-4)))
        await host.until_stop(10.0)
        found = host.of(0)
        assert found.id == 157
        assert found.column(3)[0] == pytest.approx(1e-3, rel=1e-5)
        assert found.times_s(host.base_s)[-1] == pytest.approx(10000 * np.log(1 / 0.9), abs=0.1)

    play(scene)


def test_values_may_count_from_what_is_there(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(calimit(0.05, 5.0, vs_initial=[True]))
        await host.until_stop()
        assert host.of(0).column(2) == pytest.approx([3.05] * 6)

    play(scene)


def test_steps_cycle(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(cplimit([1e-3, -1e-3], 5.0, N_Cycles=2))
        await host.until_stop()
        values = [value for how, _, value in host.twin.drives if how == "current"]
        assert values == pytest.approx([1e-3, -1e-3] * 3)
        assert {row[-1] for row in host.of(0).rows} == {0, 1, 2}

    play(scene)


def test_loop_goes_back_so_many_times(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(ocv(2.0), cplimit(1e-3, 2.0), ("loop", {"loop_N_times": 2, "protocol_number": 1}), ocv(2.0))
        await host.until_stop()
        assert [how for how, _, _ in host.twin.drives].count("current") == 3
        assert host.of(1).loop == 2
        assert host.of(3).id == 100

    play(scene)


def test_an_endless_loop_ends_by_stop(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(ocv(0.0), ("loop", {"loop_N_times": -1, "protocol_number": 0}))
        for _ in range(10):
            await host.clock.sleep(0.1)
            assert host.fetch() == RUN
        host.dll.BL_StopChannel(host.id, host.ch)
        await host.clock.sleep(0.01)
        assert host.fetch() == STOP

    play(scene)


def test_a_pulse_goes_out_as_the_next_technique_begins(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(ocv(3.0), ("to", {"Trigger_Logic": 1, "Trigger_Duration": 0.01}), cplimit(1e-3, 2.0))
        await host.until_stop()
        ((at_s, lasts_s),) = host.emulator.channel.pulses
        begin_s = next(t_s for how, t_s, _ in host.twin.drives if how == "current")
        assert (at_s, lasts_s) == (pytest.approx(begin_s), pytest.approx(0.01))

    play(scene)


def test_trigger_in_parks_the_channel_until_a_pulse_comes(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(ocv(1.0), ("ti", {"Trigger_Logic": 1, "Trigger_Duration": 0.0}), cplimit(1e-3, 2.0))
        await host.clock.sleep(5000)
        assert host.fetch() == RUN
        assert host.twin.drives[-1][0::2] == ("current", 0.0), "in the control mode of what comes next"
        assert {one.technique for one in host.rows} == {0}
        host.emulator.trigger()
        await host.until_stop()
        assert host.of(2).column(3) == pytest.approx([1e-3] * 3)

    play(scene)


def test_a_console_that_pulses(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(ocv(1.0), ("ti", {"Trigger_Logic": 1, "Trigger_Duration": 0.0}), ocv(1.0), ("ti", {"Trigger_Logic": 1}), ocv(1.0))
        await host.until_stop()
        assert host.now_s() == pytest.approx(1 + 7 + 1 + 7 + 1 + 0.2, abs=1.1)

    play(scene, trigger_after_s=7.0)


@pytest.mark.parametrize(("family", "columns"), [("VMP3", 15), ("VMP-300", 14)])
@pytest.mark.parametrize("name", ["peis", "geis"])
def test_impedance(play: Callable[..., None], name: str, family: str, columns: int) -> None:
    kind, amplitude = ("Voltage", 0.01) if name == "peis" else ("Current", 1e-4)

    async def scene(host: Host) -> None:
        values: dict[str, Any] = {
            f"Initial_{kind}_step": 0.0,
            f"Final_{kind}_step": 0.0,
            "vs_initial": True,
            "Duration_step": 2.0,
            "Initial_frequency": 1e4,
            "Final_frequency": 1.0,
            f"Amplitude_{kind}": amplitude,
            "Frequency_number": 9,
            "Average_N_times": 2,
            "I_Range": 8,
        }
        host.start((name, values), ocv(1.0))
        await host.until_stop()
        hold, sweep = host.of(0), host.of(0, 1)
        assert (len(hold.rows[0]), len(sweep.rows[0])) == (4, columns)
        f, voltage_V, current_A, phase = (np.array(sweep.column(n)) for n in range(4))
        assert f == pytest.approx(np.logspace(4, 0, 9), rel=1e-5)
        expected = CapacitorTwin.RESISTANCE_ohm + 1 / (2j * np.pi * f * 1e-3)
        assert voltage_V / current_A * np.exp(1j * phase) == pytest.approx(expected, rel=1e-4)
        assert (voltage_V if name == "peis" else current_A) == pytest.approx(amplitude, rel=1e-5)
        assert host.of(1).id == 100

    play(scene, family=family)


def test_a_galvanostat_gives_no_more_than_its_range(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(cplimit(5e-3, 3.0, I_Range=7))  # 1 mA
        await host.clock.sleep(1.5)
        _, values = host.dll.BL_GetCurrentValues(host.id, host.ch)
        assert (values.I, values.Ioverflow, values.IRange) == (pytest.approx(1e-3), 1, 7)

    play(scene)


def test_a_range_that_is_not_said(play: Callable[..., None]) -> None:
    """As public programs load it."""

    async def scene(host: Host) -> None:
        name, values = cplimit(5e-3, 3.0)
        host.start((name, {label: value for label, value in values.items() if label != "I_Range"}))
        await host.until_stop()
        assert host.of(0).column(3) == pytest.approx([5e-3] * 4)

    play(scene)


def test_parameters_can_be_changed_while_it_runs(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        more = host.params(Current_step=2e-3)
        assert host.dll.BL_UpdateParameters(host.id, host.ch, 0, more, "cplimit.ecc") == -6
        host.start(cplimit(1e-3, 20.0))
        await host.clock.sleep(10)
        assert host.dll.BL_UpdateParameters(host.id, host.ch, 0, more, "cplimit.ecc") == 0
        assert host.dll.BL_UpdateParameters(host.id, host.ch, 0, more * 11, "cplimit.ecc") == -405
        assert host.dll.BL_UpdateParameters(host.id, host.ch, 0, more, "ocv.ecc") == -405
        await host.until_stop()
        assert host.twin.charge == pytest.approx(0.03, rel=0.01)

    play(scene)


def test_records_by_voltage(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(cplimit(1e-2, 100.0, Record_every_dT=500.0, Record_every_dE=1e-3, I_Range=9))  # 100 uV/s
        await host.until_stop()
        assert np.diff(host.of(0).column(2)) == pytest.approx([1e-3] * 10, rel=0.02)

    play(scene)


def test_data_come_in_buffers_of_a_thousand_words(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(ocv(50.0, 0.1))
        await host.clock.sleep(60)
        host.fetch()
        assert [len(one.rows) for one in host.rows] == [250, 250, 1]

    play(scene)


def test_a_full_memory_loses_points_and_says_so(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(ocv(50.0, 0.1))
        await host.clock.sleep(60)
        host.fetch()
        assert len(host.of(0).rows) == 100
        assert host.skipped == 401

    play(scene, memory_bytes=1600)
