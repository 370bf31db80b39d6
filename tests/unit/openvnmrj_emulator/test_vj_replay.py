"""Replay of recorded acquisitions: byte for byte, in time order, nucleus by nucleus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drivers.errors import NotReachable
from drivers.openvnmrj.console.standard import standard
from drivers.openvnmrj.replay import Exhausted, Recording
from drivers.openvnmrj.vnmrfiles import write_procpar
from drivers.transport.virtual import run_virtual


def record(folder: Path, name: str, **values: Any) -> None:
    """A made-up recording: a tiny fid with its procpar."""
    tree = standard()
    for key, value in values.items():
        tree[key].values = [value]
    target = folder / f"{name}.fid"
    target.mkdir(parents=True)
    (target / "procpar").write_text(write_procpar(tree.values()))
    (target / "fid").write_bytes(name.encode() * 10)
    (target / "log").write_text(f"recorded log of {name}\n")
    (target / "text").write_text("recorded text\n")


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    folder = tmp_path / "tape"
    times = [("b", "20231118T020000", "20231118T020040"), ("a", "20231118T010000", "20231118T010030"), ("c", "", "")]
    for name, run, complete in times:
        record(folder, name, tn="F19", nt=32.0, np=64.0, at=0.5, d1=1.5, gain=20.0, time_run=run, time_complete=complete)
    record(folder, "h", tn="H1", nt=16.0, time_run="20231118T013000", time_complete="20231118T013010")
    return folder


def test_order_and_durations(tape: Path) -> None:
    recording = Recording(tape)
    assert [one.folder.name for one in recording.of("F19")] == ["c.fid", "a.fid", "b.fid"]
    assert [one.duration_s for one in recording.of("F19")] == [64.0, 30.0, 40.0]
    assert recording.take("H1").folder.name == "h.fid"
    with pytest.raises(Exhausted, match="recording exhausted"):
        recording.take("H1")
    assert recording.peek("Li7") is None
    with pytest.raises(NotReachable, match="directories in"):
        Recording(tape / "a.fid")


def test_files_are_served_as_recorded_with_our_text(desk: Any, tape: Path) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, data=str(tape)) as d:
            await d.send("tn='F19' nt=999 gain=3 text('key 1')")
            assert await d.ask("%d %d %g %g", "nt", "np", "at", "gain") == "32 64 0.5 20"
            assert await d.acquire("one", "d1=9") == "DONE one"
            assert clock.mono_ns() == pytest.approx(64e9)
            served = d.vnmruser / "one.fid"
            for name in ("fid", "procpar", "log"):
                assert (served / name).read_bytes() == (tape / "c.fid" / name).read_bytes()
            assert (served / "text").read_text() == "key 1\n"
            assert await d.ask("%d %d", "ct", "acqstatus[1]") == "32 101"
            assert await d.acquire("two", "tn='H1'") == "DONE two"
            assert (d.vnmruser / "two.fid/fid").read_bytes() == (tape / "h.fid/fid").read_bytes()
            assert await d.acquire("none", "tn='H1'") == "FAIL none"
            assert await d.ask("%s", "comment") == "recording exhausted: 1 of 1 H1 served"
            assert "recording exhausted" in (d.vnmruser / "exp1/acqfil/log").read_text()
            assert not (d.vnmruser / "none.fid").exists()
            assert await d.acquire("three", "tn='F19'") == "DONE three"
            assert (d.vnmruser / "three.fid/fid").read_bytes() == (tape / "a.fid/fid").read_bytes()

    run_virtual(main)


def test_what_was_served_survives_a_snapshot(desk: Any, tape: Path) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, data=str(tape)) as d:
            await d.acquire("one", "tn='F19'")
            state = d.console.snapshot()
            fresh = type(d.console)(d.console.settings, d.context)
            fresh.restore(state)
            assert fresh.scanner.recording.peek("F19").folder.name == "a.fid"

    run_virtual(main)


@pytest.mark.real_data
def test_the_recorded_battery_run_replays(desk: Any, real_data: Path) -> None:
    folder = real_data / "vnmrj_battery_19F_1H"

    async def main(clock: Any) -> None:
        async with desk(clock, data=str(folder)) as d:
            for nucleus, scans in (("F19", "32"), ("H1", "16"), ("F19", "32")):
                await d.send(f"tn='{nucleus}' nt=5")
                assert await d.ask("%d", "nt") == scans
                began = clock.mono_ns()
                assert await d.acquire(f"n{began}") == f"DONE n{began}"
                assert 55 < (clock.mono_ns() - began) / 1e9 < 65
                recorded = (
                    folder / Path(d.console.scanner.recording.of(nucleus)[d.console.scanner.recording.served[nucleus] - 1].folder).name
                )
                for name in ("fid", "procpar", "log"):
                    assert (d.vnmruser / f"n{began}.fid" / name).read_bytes() == (recorded / name).read_bytes()
            assert d.console.scanner.recording.served == {"F19": 2, "H1": 1}

    run_virtual(main)
