"""T1 and T2: arrays of spectra, one for each delay, in one file of their own kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from spinsolve_client import Client, Desk, parameters

T1 = {"Number": "2", "AcquisitionTime": "0.4", "RepetitionTime": "4", "MaximumInversionTime": "2000", "NumberOfSteps": "5"}
T2 = {"Number": "4", "AcquisitionTime": "0.4", "RepetitionTime": "1", "EchoTime": "1000", "MaximumEchoTime": "200", "NumberOfSteps": "5"}


def data_2d(path: Path) -> np.ndarray:
    raw = path.read_bytes()
    assert raw[:12] == b"SORPATAD1.1V"
    kind, points, rows, *_ = np.frombuffer(raw[12:32], "<u4")
    assert kind == 501
    assert len(raw) == 32 + 8 * points * rows
    return np.frombuffer(raw[32:], "<c8").reshape(rows, points)


def with_protons(desk: Desk) -> None:
    """The one line is of 1H."""
    desk.twin.larmor_MHz = lambda nucleus: 60.0


def test_t1_is_an_array_of_inversion_recoveries(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        with_protons(desk)
        folder = Path(await client.run("T1", **T1))
        rows = data_2d(folder / "data.2d")
        assert rows.shape == (5, parameters(folder)["nrPnts"])
        assert not (folder / "data.1d").exists()
        assert parameters(folder)["nrScans"] == 10
        assert [scan.sequence for scan in desk.twin.scans] == ["inversion_recovery"] * 5
        delays_s = [scan.delay_s for scan in desk.twin.scans]
        assert (delays_s[0], delays_s[-1]) == pytest.approx((0.01, 2.0))
        assert np.diff(np.log(delays_s)) == pytest.approx([np.log(200) / 4] * 4)
        assert np.diff([scan.t_start_s for scan in desk.twin.scans]) == pytest.approx([8.0] * 4)
        one = desk.twin.scans[2]
        assert one.recycle_s + one.delay_s + one.points / one.spectral_width_Hz == pytest.approx(4.0)

    play(scene)


@pytest.mark.parametrize(("protocol", "number"), [("T2", "4"), ("T2+", "1")])
def test_t2_is_an_array_of_trains(play: Callable[..., None], protocol: str, number: str) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        with_protons(desk)
        folder = Path(await client.run(protocol, **{**T2, "Number": number}))
        assert data_2d(folder / "data.2d").shape[0] == 5
        assert [scan.sequence for scan in desk.twin.scans] == ["cpmg"] * 5
        assert [scan.echoes for scan in desk.twin.scans] == [round(scan.echo_s / 1e-3) for scan in desk.twin.scans]
        assert desk.twin.scans[-1].echo_s == pytest.approx(0.2)

    play(scene)


def test_an_array_that_is_aborted_keeps_what_it_has(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        with_protons(desk)
        await client.start("T1", **T1)
        await desk.clock.sleep(1.0 + 17.0)
        await client.send("<Abort/>")
        await client.notified("Completed")
        folder = Path(str((await client.notified("State", status="Ready")).get("dataFolder")))
        sizes = np.abs(data_2d(folder / "data.2d")).max(axis=1)
        assert (sizes > 0).tolist() == [True, True, True, False, False]
        assert [scan.scans for scan in desk.twin.scans] == [2, 2, 1]

    play(scene)


def test_a_nucleus_that_is_not_there_is_noise_in_every_row(play: Callable[..., None]) -> None:
    async def scene(desk: Desk, client: Client) -> None:
        rows = data_2d(Path(await client.run("T2", **T2)) / "data.2d")
        assert desk.twin.scans == []
        assert np.std(rows.real, axis=1) == pytest.approx([80.0 * 2] * 5, rel=0.1)
        assert not np.array_equal(rows[0], rows[1])

    play(scene)


def test_how_long_an_array_takes_is_said_before(play: Callable[..., None]) -> None:
    async def scene(_desk: Desk, client: Client) -> None:
        options = "".join(f'<Option name="{name}" value="{value}"/>' for name, value in T1.items())
        found = await client.ask(f'<EstimateDurationRequest protocol="T1">{options}</EstimateDurationRequest>', "EstimateDurationResponse")
        assert float(found.get("durationInSeconds", "0")) == pytest.approx(2.0 + 10 * 4.0)

    play(scene)
