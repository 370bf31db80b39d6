"""The calls themselves: sequence, codes, loads, firmware, what stations saw, every fault switch, a restart from a snapshot."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from biologic_client import E_ABOVE, RUN, STOP, Host, calimit, cplimit, ocv

from drivers.biologic.eclib import CHANNELS, EclibBackend
from drivers.biologic.instrument.faults import NAMES
from drivers.clock import Clock
from drivers.transport.memory import MemoryNetwork
from drivers.transport.virtual import run_virtual


def test_it_has_every_call_of_the_protocol(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        backend: EclibBackend = host.dll
        assert [name for name in dir(EclibBackend) if name.startswith("BL_") and not callable(getattr(backend, name, None))] == []

    play(scene)


def test_the_sequence_of_the_guide(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        dll, ch = host.dll, host.ch
        assert dll.BL_GetChannelsPlugged(host.id) == (0, bytes([1] * 4 + [0] * 12))
        assert dll.BL_GetChannelBoardType(host.id, ch) == (0, 1)
        infos = dll.BL_GetChannelInfos(host.id, ch)[1]
        assert (infos.FirmwareCode, infos.State) == (0, STOP)
        assert dll.BL_StartChannel(host.id, ch) == -308
        assert host.load_firmware() == 0
        assert dll.BL_GetChannelInfos(host.id, ch)[1].FirmwareCode == 5
        assert dll.BL_StartChannel(host.id, ch) == -403
        host.start(ocv(1.0), cplimit(1e-3, 2.0))
        assert dll.BL_GetChannelInfos(host.id, ch)[1].NbOfTechniques == 2
        await host.until_stop(0.2)
        assert dll.BL_StopChannel(host.id, ch) == 0
        assert dll.BL_TestConnection(host.id) == 0
        assert dll.BL_Disconnect(host.id) == 0
        assert (dll.BL_TestConnection(host.id), dll.BL_TestConnection(99)) == (-7, -1)
        assert dll.BL_GetChannelInfos(host.id, ch)[0] == -7

    play(scene, firmware=False)


def test_stop_opens_the_circuit_and_lands_a_moment_later(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(cplimit(1e-3, 100.0))
        await host.clock.sleep(5)
        assert host.dll.BL_StopChannel(host.id, host.ch) == 0
        assert not host.twin.output_on
        assert host.dll.BL_GetCurrentValues(host.id, host.ch)[1].State == RUN
        await host.clock.sleep(0.002)
        assert host.fetch() == STOP
        assert len(host.of(0).rows) == 5, "what was recorded can still be had"

    play(scene)


REFUSED: dict[str, tuple[int, str, dict[str, Any]]] = {
    "not a technique file": (-400, "cplimit.txt", {}),
    "no such technique": (-400, "nothing.ecc", {}),
    "of other boards": (-401, "cplimit4.ecc", {}),
    "an unknown label": (-405, "ocv.ecc", {"Rest_time_T": 1.0, "rest_time_t": 1.0}),
    "a value of another type": (-405, "ocv.ecc", {"Rest_time_T": 1}),
    "a value is missing": (-405, "ocv.ecc", {"Record_every_dT": 1.0}),
    "no automatic range for currents": (-405, "cplimit.ecc", {**cplimit(1e-3, 1.0)[1], "I_Range": 12}),
    "21 steps": (-405, "cplimit.ecc", cplimit([1e-3] * 21, 1.0)[1]),
    "more values than steps": (-405, "cplimit.ecc", {**cplimit([1e-3] * 2, 1.0)[1], "Step_number": 0}),
}


@pytest.mark.parametrize(("code", "file", "values"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_loaded(play: Callable[..., None], code: int, file: str, values: dict[str, Any]) -> None:
    async def scene(host: Host) -> None:
        assert host.dll.BL_LoadTechnique(host.id, host.ch, file, host.params(**values), 1, 1, 0) == code
        assert host.dll.BL_GetMessage(host.id, host.ch)[1]
        assert host.dll.BL_GetMessage(host.id, host.ch) == (0, b"")
        assert host.dll.BL_StartChannel(host.id, host.ch) == -403

    play(scene)


def test_other_boards_take_other_files(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(ocv(1.0))
        await host.until_stop(0.5)
        assert len(host.of(0).rows[0]) == 3
        assert host.dll.BL_LoadTechnique(host.id, host.ch, "ocv.ecc", host.params(Rest_time_T=1.0), 1, 1, 0) == -401

    play(scene, family="VMP-300", channel=2)


def test_a_load_is_made_while_the_state_reads_run(play: Callable[..., None]) -> None:
    """Stations: about 170 ms; to load again in that time answers 0 with a message, then -403; the list is broken."""

    async def scene(host: Host) -> None:
        assert host.load(ocv(5.0), cplimit(1e-3, 5.0)) == [0, 0]
        assert host.dll.BL_GetChannelInfos(host.id, host.ch)[1].State == RUN
        assert host.load(ocv(5.0)) == [0]
        assert host.dll.BL_GetMessage(host.id, host.ch)[1].startswith(b"cannot load experiment after make")
        assert host.load(ocv(5.0)) == [-403]
        await host.clock.sleep(0.2)
        assert host.dll.BL_GetChannelInfos(host.id, host.ch)[1].State == STOP
        assert host.dll.BL_StartChannel(host.id, host.ch) == -403
        host.start(ocv(1.0))
        await host.until_stop()

    play(scene)


def test_a_start_right_after_the_load_waits_for_the_make(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        begin_s = host.now_s()
        host.start(cplimit(1e-3, 1.0))
        await host.until_stop()
        driven_s = next(t_s for how, t_s, _ in host.twin.drives if how == "current")
        assert driven_s - begin_s == pytest.approx(0.17)

    play(scene)


def test_the_first_technique_of_a_load_replaces_the_list(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.load(ocv(5.0), ocv(5.0))
        await host.clock.sleep(1)
        host.start(cplimit(1e-3, 2.0))
        await host.until_stop()
        assert {one.id for one in host.rows} == {155}
        assert host.dll.BL_LoadTechnique(host.id, host.ch, "ocv.ecc", host.params(Rest_time_T=1.0), 0, 1, 0) == -403

    play(scene)


def test_somebody_elses_channel_runs_on(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        infos = host.dll.BL_GetChannelInfos(host.id, 1)[1]
        assert (infos.State, infos.Channel) == (RUN, 1)
        both = bytes([1, 1] + [0] * (CHANNELS - 2))
        code, results = host.dll.BL_LoadFirmware(host.id, both, 0, 1, "kernel.bin", "")
        assert (code, results[:3]) == (-13, (0, -13, 0))
        host.start(cplimit(1e-3, 3.0))
        await host.until_stop()
        assert host.emulator.channels[1].running is not None
        assert host.dll.BL_GetChannelInfos(host.id, 9)[0] == -3

    play(scene, others_run=[1])


def test_a_channel_that_runs_takes_no_load_and_no_start(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(cplimit(1e-3, 30.0))
        await host.clock.sleep(1)
        assert host.load(ocv(1.0)) == [-13]
        assert host.dll.BL_StartChannel(host.id, host.ch) == -13
        assert host.load_firmware() == -13
        await host.until_stop()
        assert len(host.of(0).rows) == 31

    play(scene)


# ---------------------------------------------------------------------------------------------------------------- faults


def test_communication_fails_and_the_channel_goes_on(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(cplimit(1e-3, 30.0))
        host.emulator.inject("communication_failed", for_s=10.0)
        assert host.dll.BL_GetData(host.id, host.ch)[0] == -200
        assert host.dll.BL_StopChannel(host.id, host.ch) == -200
        assert host.dll.BL_Connect("USB0", 5)[0] == -201
        await host.clock.sleep(11)
        await host.until_stop()
        assert len(host.of(0).rows) == 31

    play(scene)


def test_connections(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("connect_failed")
        assert host.dll.BL_Connect("USB0", 5)[0] == -201
        assert [host.dll.BL_Connect("USB0", 5)[0] for _ in range(4)] == [0, 0, 0, -207]

    play(scene)


def test_a_load_that_takes_the_firmware_with_it(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("load_lost")
        assert host.load(ocv(1.0)) == [-200]
        assert host.dll.BL_GetChannelInfos(host.id, host.ch)[0] == -308
        assert host.load(ocv(1.0)) == [-308]
        assert host.load_firmware() == 0
        host.start(ocv(1.0))
        await host.until_stop()

    play(scene)


@pytest.mark.parametrize(("fault", "infos", "code"), [("firmware_gone", -308, -308), ("eclab_firmware", 0, -9)])
def test_firmware_that_is_gone_or_not_ours(play: Callable[..., None], fault: str, infos: int, code: int) -> None:
    async def scene(host: Host) -> None:
        host.start(cplimit(1e-3, 30.0))
        await host.clock.sleep(1)
        host.emulator.inject(fault)
        assert not host.twin.output_on
        assert host.dll.BL_GetChannelInfos(host.id, host.ch)[0] == infos
        assert host.load(ocv(1.0)) == [code]
        assert host.dll.BL_GetData(host.id, host.ch)[0] == code
        assert host.load_firmware() == 0
        host.start(ocv(1.0))
        await host.until_stop()

    play(scene)


@pytest.mark.parametrize(("found", "code"), [("none", 0), ("kernel", 5), ("eclab", 1), ("ecal", 10)])
def test_what_a_channel_may_be_found_with(found: str, code: int) -> None:
    async def main(clock: Clock) -> None:
        host = Host(clock, MemoryNetwork(), firmware=found)
        await host.begin(firmware=False)
        assert host.dll.BL_GetChannelInfos(host.id, host.ch)[1].FirmwareCode == code
        assert host.load_firmware() == 0
        assert host.dll.BL_GetChannelInfos(host.id, host.ch)[1].FirmwareCode == 5
        await host.emulator.stop()

    run_virtual(main)


def test_codes_of_loads_and_starts(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("incompatible")
        assert host.load_firmware() == -309
        host.emulator.clear("incompatible")
        host.emulator.inject("needs_power_cycle")
        assert host.load(ocv(1.0)) == [-401]
        host.emulator.clear("needs_power_cycle")
        host.emulator.inject("busy", times=2)
        assert [host.dll.BL_GetChannelInfos(host.id, host.ch)[0] for _ in range(3)] == [-12, -12, 0]
        host.emulator.inject("load_refused")
        assert host.load(ocv(1.0)) == [0]
        assert host.dll.BL_GetMessage(host.id, host.ch)[1]
        assert host.dll.BL_StartChannel(host.id, host.ch) == -403
        host.emulator.inject("start_refused")
        assert host.load(ocv(1.0)) == [0]
        assert host.dll.BL_StartChannel(host.id, host.ch) == -12
        host.emulator.inject("start_ignored")
        assert host.dll.BL_StartChannel(host.id, host.ch) == 0
        assert host.dll.BL_StartChannel(host.id, host.ch) == 0, "it did not run"
        assert host.dll.BL_StartChannel(host.id, host.ch) == -13, "now it does"
        await host.until_stop()

    play(scene)


def test_a_load_may_take_long(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("slow_make")
        host.start(ocv(1.0))
        await host.clock.sleep(2.9)
        assert host.fetch() == RUN
        assert host.rows == []
        await host.until_stop()
        assert len(host.of(0).rows) == 2

    play(scene)


def test_a_stop_between_two_techniques_is_not_the_end(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("stop_sample")
        host.start(ocv(2.0), ocv(2.0))
        states = []
        for _ in range(12):
            await host.clock.sleep(0.5)
            states.append(host.dll.BL_GetCurrentValues(host.id, host.ch)[1].State)
        assert states[:6] == [RUN, RUN, RUN, RUN, STOP, RUN]
        assert states[-1] == STOP

    play(scene)


def test_lost_points_are_counted(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(ocv(20.0))
        await host.clock.sleep(10)
        host.emulator.inject("points_lost")
        await host.until_stop()
        assert (host.skipped, len(host.of(0).rows)) == (3, 18)

    play(scene)


def test_a_stop_that_is_not_heard(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(cplimit(1e-3, 30.0))
        await host.clock.sleep(1)
        host.emulator.inject("stop_deaf")
        assert host.dll.BL_StopChannel(host.id, host.ch) == 0
        await host.clock.sleep(1)
        assert host.twin.output_on
        assert host.dll.BL_StopChannel(host.id, host.ch) == 0
        assert not host.twin.output_on

    play(scene)


def test_a_channel_that_is_missing(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("channel_missing")
        assert host.dll.BL_GetChannelsPlugged(host.id)[1][:4] == bytes([0, 1, 1, 1])
        assert host.dll.BL_GetChannelInfos(host.id, host.ch)[0] == -3

    play(scene)


@pytest.mark.parametrize(("fault", "error"), [("emergency_open", 2), ("too_hot", 101)])
def test_an_options_error_stops_the_channel(play: Callable[..., None], fault: str, error: int) -> None:
    async def scene(host: Host) -> None:
        host.start(cplimit(1e-3, 30.0))
        await host.clock.sleep(2)
        host.emulator.inject(fault)
        assert not host.twin.output_on
        assert host.dll.BL_GetCurrentValues(host.id, host.ch)[1].OptErr == error
        assert host.dll.BL_GetOptErr(host.id, host.ch) == (0, error, 0)
        assert host.dll.BL_GetOptErr(host.id, host.ch) == (0, 0, 0)

    play(scene)


def test_power_is_lost_for_a_moment(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(cplimit(1e-3, 30.0))
        await host.clock.sleep(2)
        host.emulator.inject("reboot")
        assert not host.twin.output_on
        assert host.dll.BL_TestConnection(host.id) == -7
        _, host.id, _ = host.dll.BL_Connect("USB0", 5)
        assert host.dll.BL_GetChannelInfos(host.id, host.ch)[1].FirmwareCode == 0

    play(scene)


def test_readings_that_are_wrong(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.start(cplimit(1e-3, 30.0, (E_ABOVE, 4.5)))
        await host.clock.sleep(2)
        host.emulator.inject("not_a_number")
        assert math.isnan(host.dll.BL_GetCurrentValues(host.id, host.ch)[1].Ewe)
        host.emulator.inject("voltage_jump", offset_V=20.0)
        assert host.dll.BL_GetCurrentValues(host.id, host.ch)[1].Eoverflow == 1
        await host.clock.sleep(1)
        assert not host.twin.output_on, "the limit is on what it reads"

    play(scene)


def test_the_unit_of_start_time_and_the_speed_of_its_clock(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        host.emulator.inject("start_time_ms")
        host.emulator.inject("clock_skew", ppm=10000.0)
        begun_ns = host.clock.mono_ns()
        host.start(ocv(10.0), ocv(10.0))
        await host.until_stop()
        assert host.of(1).start == pytest.approx(10000.0), "it thinks that it has kept to its time"
        assert host.of(1).times_s(host.base_s)[-1] == pytest.approx(10.0)
        assert (host.clock.mono_ns() - begun_ns) / 1e9 == pytest.approx(0.17 + 20.0 / 1.01, abs=0.1)

    play(scene)


def test_the_wire_of_the_stand_in_is_cut(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        served = host.emulator._served
        assert served is not None
        stream = await host.emulator._network.connect(served.host, served.port)
        await stream.write(b'{"n":1,"call":"BL_GetChannelsPlugged","args":[0]}\n')
        assert b'"n":1,"answer":[0,{"bytes":"01010101' in await stream.read()
        host.emulator.inject("link_cut")
        assert await stream.read() == b""

    play(scene)


@pytest.mark.parametrize("after_s", [0.05, 2.5, 6.0, 30.0])
def test_a_list_goes_on_from_a_snapshot(after_s: float) -> None:
    """Killed in the middle; the rest in another process, on a clock of its own."""
    plan = (ocv(2.0), cplimit(1e-3, 10.0), calimit(3.1, 10.0), ("loop", {"loop_N_times": 1, "protocol_number": 1}), ocv(2.0))

    def rows(host: Host) -> list[Any]:
        return [(one.technique, one.id, one.loop, row) for one in host.rows for row in one.rows]

    async def whole(clock: Clock) -> list[Any]:
        host = Host(clock, MemoryNetwork())
        await host.begin()
        host.start(*plan)
        await host.until_stop()
        await host.emulator.stop()
        return rows(host)

    async def before(clock: Clock) -> tuple[str, Any, float]:
        host = Host(clock, MemoryNetwork())
        await host.begin()
        host.start(*plan)
        await host.clock.sleep(after_s)
        state = json.dumps(host.emulator.snapshot(), allow_nan=False)
        await host.emulator.stop()
        return state, host.twin, host.now_s()

    expected = run_virtual(whole)
    state, twin, at_s = run_virtual(before)

    async def later(clock: Clock) -> list[Any]:
        host = Host(clock, MemoryNetwork())
        host.twin.__dict__ |= twin.__dict__
        host.twin.t0_mono_ns = clock.mono_ns() - round(at_s * 1e9)
        host.emulator.restore(json.loads(state))
        await host.begin(firmware=False)
        await host.until_stop()
        await host.emulator.stop()
        return rows(host)

    found = run_virtual(later, start_ns=10**15)
    assert [row[:3] for row in found] == [row[:3] for row in expected]
    assert [row[3][1] for row in found] == pytest.approx([row[3][1] for row in expected], abs=2)


def test_every_fault_is_tried() -> None:
    written = Path(__file__).read_text()
    assert [name for name in sorted(NAMES) if f'"{name}"' not in written] == []
