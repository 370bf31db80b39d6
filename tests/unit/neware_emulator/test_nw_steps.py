"""Tests of the cycler: step files in the vendor's units, ends of steps, protections, cycles, rows. 1 mA: 3.1 V at once, then 10 uV/s."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from neware_client import Host, step_file

CC, DC, CV, REST, CYCLE, CCCV = 1, 2, 3, 4, 5, 7


def test_rest_charge_and_discharge(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        content = step_file((REST, {"Time": 10e3}), (CC, {"Curr": 1.0, "Time": 20e3}), (DC, {"Curr": 0.5, "Time": 20e3}))
        assert await host.start(content, barcode="cell-7") == "ok"
        assert await host.status() == "working"
        await host.until("finish")
        rows = await host.download()
        assert [row["steptype"] for row in rows] == ["rest"] * 11 + ["cc"] * 21 + ["dc"] * 21
        assert [int(row["seqid"]) for row in rows] == list(range(1, 54))
        assert [int(row["testtime"]) for row in rows[11:32]] == pytest.approx(list(range(0, 20001, 1000)), abs=1)
        assert {float(row["curr"]) for row in rows} == {0.0, 1e-3, -5e-4}
        assert float(rows[31]["cap"]) == pytest.approx(20e-3 / 3600)
        assert float(rows[-1]["cap"]) == pytest.approx(10e-3 / 3600), "the charge of a step is counted without sign"
        assert host.twin.charge == pytest.approx(10e-3)
        assert not host.twin.output_on
        assert (await host.counted())["count"] == "53"

    play(scene)


@pytest.mark.parametrize(("kind", "stop_V", "final"), [(CC, 3.101, 100.0), (DC, 2.899, 100.0)])
def test_a_cut_off_is_met_within_milliseconds(play: Callable[..., None], kind: int, stop_V: float, final: float) -> None:
    async def scene(host: Host) -> None:
        await host.start(step_file((kind, {"Curr": 1.0, "Time": 1e6, "Stop_Volt": stop_V * 1e4})))
        await host.until("finish")
        (layer,) = await host.layers()
        assert int(layer["steptime"]) == pytest.approx(final * 1e3, abs=20)
        assert float(layer["endvolt"]) == pytest.approx(stop_V, abs=1e-6)
        assert abs(host.twin.charge) == pytest.approx(0.1, rel=1e-3)

    play(scene)


def test_nobody_needs_to_look(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.start(step_file((CC, {"Curr": 1.0, "Time": 1e7, "Stop_Volt": 31010})))
        await host.stream.close()
        await host.clock.sleep(5000)
        assert host.twin.drives[-1][1] - host.twin.drives[-2][1] == pytest.approx(100.0, abs=0.02)
        await host.connect()
        assert await host.status() == "finish"

    play(scene)


def test_a_hold_until_its_current(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.start(step_file((CV, {"Volt": 31000, "Time": 2e7, "Stop_Curr": 0.9}), record_ms=60e3))
        await host.until("finish", 10)
        (layer,) = await host.layers()
        assert layer["steptype"] == "cv"
        assert int(layer["steptime"]) / 1e3 == pytest.approx(10000 * np.log(1 / 0.9), abs=0.1)

    play(scene)


def test_charge_and_hold_in_one_step(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.start(step_file((CCCV, {"Curr": 1.0, "Volt": 31010, "Stop_Curr": 0.9}), record_ms=60e3))
        await host.until("finish", 10)
        (layer,) = await host.layers()
        assert int(layer["steptime"]) / 1e3 == pytest.approx(100 + 10000 * np.log(1 / 0.9), abs=0.3)

    play(scene)


def test_a_charge_limit_is_in_milliampere_seconds(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.start(step_file((CC, {"Curr": 1.0, "Time": 1e6, "Cap": 42.0})))
        await host.until("finish")
        assert host.twin.charge == pytest.approx(0.042, rel=1e-3)

    play(scene)


def test_cycles(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        once = ((CC, {"Curr": 1.0, "Time": 5e3}), (DC, {"Curr": 1.0, "Time": 5e3}), (CYCLE, {"Start_Step": 1, "Cycle_Count": 3}))
        await host.start(step_file(*once, (REST, {"Time": 5e3})))
        await host.until("finish")
        layers = await host.layers()
        assert [(row["steptype"], row["cycleid"]) for row in layers] == [
            ("cc", "1"), ("dc", "1"), ("cc", "2"), ("dc", "2"), ("cc", "3"), ("dc", "3"), ("rest", "3"),
        ]  # fmt: skip
        assert [row["stepindex"] for row in layers] == [str(n) for n in range(1, 8)]
        assert [row["stepid"] for row in layers] == ["1", "2"] * 3 + ["4"]
        assert int(layers[-1]["endseqid"]) == int((await host.counted())["count"])

    play(scene)


@pytest.mark.parametrize(
    ("protect", "steps"),
    [
        ('<Volt><Upper Value="31005"/></Volt>', (CC, {"Curr": 1.0, "Time": 1e6})),
        ('<Volt><Lower Value="28995"/></Volt>', (DC, {"Curr": 1.0, "Time": 1e6})),
        ('<Curr><Upper Value="0.9"/></Curr>', (CC, {"Curr": 1.0, "Time": 1e6})),
        ('<Curr><Lower Value="-0.9"/></Curr>', (DC, {"Curr": 1.0, "Time": 1e6})),
        ('<Cap><Upper Value="20"/></Cap>', (CC, {"Curr": 1.0, "Time": 1e6})),
    ],
)
def test_protections_open_the_circuit(play: Callable[..., None], protect: str, steps: Any) -> None:
    async def scene(host: Host) -> None:
        await host.start(step_file(steps, protect=protect))
        await host.until("protect")
        assert not host.twin.output_on
        assert abs(host.twin.charge) < 0.0501
        assert await host.log() == [100000, 100213]
        assert await host.start(step_file((REST, {"Time": 1e3}))) == "ok"

    play(scene)


@pytest.mark.parametrize(("delay_ms", "ends"), [(5000.0, "protect"), (15000.0, "finish")])
def test_a_protection_has_its_delay(play: Callable[..., None], delay_ms: float, ends: str) -> None:
    async def scene(host: Host) -> None:
        protect = f'<Volt><Upper Value="30900"/></Volt><Delay_Time Value="{delay_ms:f}"/>'
        await host.start(step_file((CC, {"Curr": 1.0, "Time": 10e3}), protect=protect))
        await host.until(ends)
        assert host.twin.charge == pytest.approx(0.005 if ends == "protect" else 0.01, rel=0.01)

    play(scene)


def test_what_inquire_says_while_it_works(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.start(step_file((REST, {"Time": 10e3}), (DC, {"Curr": 0.26, "Time": 1e6})), barcode="cell-7")
        await host.clock.sleep(25.5)
        found = await host.inquire()
        assert (found["dev"], found["step_id"], found["step_type"], found["cycle_id"]) == ("27-21-1-1-0", "2", "dc", "1")
        assert (found["workstatus"], found["barcode"], found["log_code"]) == ("working", "cell-7", "102000")
        assert (found["current"], found["totaltime"], found["relativetime"]) == ("-0.0003", "25.5", "15.5"), "coarse, as captured"
        assert float(found["voltage"]) == pytest.approx(2.974, abs=1e-4)
        assert await host.stop() == "ok"
        found = await host.inquire()
        assert (found["workstatus"], found["step_type"], found["current"]) == ("stop", "--", "0")
        assert "step_id" not in found

    play(scene)


def test_stop(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        assert await host.stop() == "false"
        await host.start(step_file((CC, {"Curr": 1.0, "Time": 1e6})))
        await host.clock.sleep(10.4)
        assert await host.stop() == "ok"
        assert not host.twin.output_on
        assert await host.status() == "stop"
        rows = await host.download()
        assert int(rows[-1]["testtime"]) == pytest.approx(10400, abs=5)
        assert (await host.layers())[0]["steptime"] == rows[-1]["testtime"]

    play(scene)


def test_data_come_a_thousand_rows_at_a_time(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.start(step_file((REST, {"Time": 250e3}), record_ms=100))
        await host.until("finish", 10)
        assert (await host.counted())["count"] == "2501"
        found = [await host.download(start, 5000) for start in (1, 1001, 2001, 3001)]
        assert [len(rows) for rows in found] == [1000, 1000, 501, 0]
        assert found[1][0]["seqid"] == "1001"
        assert await host.download(0, 0) == []
        assert await host.download(1, 10, test=99) == []
        assert len(await host.download(1, 10, test=143)) == 10

    play(scene)


REFUSED = {
    "no such file": "",
    "no XML": "<root",
    "no step file": "<root><config type='Other'/></root>",
    "a step that is not emulated": step_file((99, {})),
    "a charge without a current": step_file((CC, {"Time": 1000})),
    "a cycle that goes forward": step_file((REST, {"Time": 1e3}), (CYCLE, {"Start_Step": 5, "Cycle_Count": 2})),
    "fewer steps than it says": step_file((REST, {"Time": 1e3})).replace('Num="2"', 'Num="3"'),
    "no end": step_file((REST, {"Time": 1e3})).replace('Step_Type="6"', 'Step_Type="4"'),
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_started(play: Callable[..., None], content: str) -> None:
    async def scene(host: Host) -> None:
        path = "" if content else "/nowhere/step.xml"
        assert await host.start(content, path=path) == "false"
        assert await host.status() == "finish"
        assert len(host.emulator.software.refusals) == 1

    play(scene)


def test_a_channel_that_works_takes_nothing_else(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        content = step_file((REST, {"Time": 1e6}))
        assert await host.start(content) == "ok"
        assert await host.start(content) == "false"
        assert await host.start(content, chl=2) == "false", "somebody else's"
        assert await host.start(content, chl=3) == "ok"
        assert await host.start(content, chl=77) == "false"

    play(scene, busy=["1-2"])


def test_paths_are_those_of_the_pc(play: Callable[..., None], tmp_path: Path) -> None:
    async def scene(host: Host) -> None:
        (tmp_path / "share").mkdir(exist_ok=True)
        (tmp_path / "share" / "a.xml").write_text(step_file((REST, {"Time": 1e3})))
        assert await host.start("", path=r"D:\steps\a.xml") == "ok"
        await host.until("finish")
        assert await host.start("", path=r"D:\elsewhere\a.xml") == "false"

    play(scene, shown_as=r"D:\steps", root=str(tmp_path / "share"))


def test_currents_in_other_scales(play: Callable[..., None]) -> None:
    async def scene(host: Host) -> None:
        await host.start(step_file((CC, {"Curr": 100.0, "Time": 5e3}), scale=100))
        await host.until("finish")
        assert host.twin.charge == pytest.approx(5e-3)

    play(scene)
