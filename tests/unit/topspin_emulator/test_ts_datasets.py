"""Data sets of the emulated TopSpin as independent readers see them."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import nmrglue
import numpy as np
import pytest

from drivers.transport.virtual import run_virtual

RELEASES = ("2.1", "3.6.2", "4.4.0")
IN_BAND = 0.8


def md5(data: bytes) -> str:
    return hashlib.md5(data).digest().hex(" ").upper()


def acqus(path: Path, name: str) -> str:
    found = re.search(rf"^##\${name}= (.*)$", (path / "acqus").read_text("latin-1"), re.MULTILINE)
    assert found, name
    return found.group(1)


def in_band(spectrum: np.ndarray) -> np.ndarray:
    """Without the edges, where a digital filter rolls off."""
    edge = int(spectrum.size * (1 - IN_BAND) / 2)
    return spectrum[edge:-edge]


@pytest.mark.parametrize("release", RELEASES)
def test_the_fid_is_the_twins_behind_the_digital_filter(desk: Any, release: str) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, topspin=release) as here:
            path = await here.acquired(await here.caller(), NS="8")
            parameters, data = nmrglue.bruker.read(str(path))
            assert data.dtype == np.complex128
            twin = here.twin.acquire(here.twin.scans[0])
            assert here.twin.scans[0].scans == 8
            delay = {"2.1": 44.75}.get(release, parameters["acqus"]["GRPDLY"])
            whole = np.fft.fft(data * 2.0 ** parameters["acqus"]["NC"], 2 * data.size)
            found = np.fft.fftshift(whole * np.exp(2j * np.pi * np.fft.fftfreq(2 * data.size) * delay))
            expected = np.fft.fftshift(np.fft.fft(twin, 2 * data.size))
            scale = np.linalg.norm(in_band(expected))
            assert np.linalg.norm(in_band(found) - in_band(expected)) / scale < 0.01
            assert np.abs(data[: int(delay) - 4]).max() < 0.1 * np.abs(data).max()

    run_virtual(main)


@pytest.mark.parametrize("release", RELEASES)
def test_an_independent_reader_takes_the_filter_out(desk: Any, release: str) -> None:
    """Also of the release that says GRPDLY -1: nmrglue looks DECIM and DSPFVS up."""

    async def main(clock: Any) -> None:
        async with desk(clock, topspin=release) as here:
            path = await here.acquired(await here.caller())
            parameters, data = nmrglue.bruker.read(str(path))
            clean = nmrglue.bruker.remove_digital_filter(parameters, data, post_proc=False)
            magnitude = np.abs(clean[:200])
            assert np.argmax(magnitude) < 4
            assert magnitude[20] > 0.8 * magnitude[5]

    run_virtual(main)


def test_the_line_lies_where_sf_says(desk: Any) -> None:
    """Carrier from SFO1, 0 ppm from SF, which is not the console's own frequency."""

    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            path = await here.acquired(agent)
            await agent.call("XCMD", "efp")
            parameters, spectrum = nmrglue.bruker.read_pdata(str(path / "pdata" / "1"))
            procs = parameters["procs"]
            assert procs["SF"] != float(acqus(path, "BF1"))
            ppm = procs["OFFSET"] - np.arange(procs["SI"]) * procs["SW_p"] / procs["SF"] / procs["SI"]
            assert ppm[np.argmax(np.abs(spectrum))] == pytest.approx(100.0, abs=0.5)

    run_virtual(main)


@pytest.mark.parametrize("release", RELEASES)
def test_the_audit_trail_verifies(desk: Any, release: str) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, topspin=release) as here:
            path = await here.acquired(await here.caller(), TD="12290")
            audit = (path / "audita.txt").read_bytes()
            body, _, tail = audit.partition(b"##END=")
            assert tail == f"\n\n$$ hash MD5\n$$ {md5(body)}\n".encode()
            label, data_hash = re.findall(rb"data hash MD5: (\S+)\n       ([0-9A-F ]{47})>\)\n", body)[-1]
            word = 8 if release == "4.4.0" else 4
            raw = (path / "fid").read_bytes()
            stored = raw[: 12290 * word]
            if release == "2.1":  # big endian on the disk, little in the hash
                stored = np.frombuffer(stored, ">i4").astype("<i4").tobytes()
            assert (label, data_hash.decode()) == (b"12290", md5(stored))
            assert len(raw) % 1024 == 0
            assert not any(raw[12290 * word :])

    run_virtual(main)


def test_the_documented_size_of_a_fid(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            path = await here.acquired(await here.caller(), TD="19996")
            assert (path / "fid").stat().st_size == 80896

    run_virtual(main)


def test_the_audit_trail_of_3_6_2_to_the_letter(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, zone="Asia/Shanghai") as here:
            path = await here.acquired(await here.caller())
            lines = (path / "audita.txt").read_text().splitlines()
            assert lines[0] == "##TITLE= Audit trail, TopSpin 3.6.2"
            assert lines[4] == f"$$ {path}/audita.txt"
            assert lines[5] == "##AUDIT TRAIL=  $$ (NUMBER, WHEN, WHO, WHERE, PROCESS, VERSION, WHAT)"
            assert lines[6] == "(   1,<2023-11-15 06:13:24.262 +0800>,<nmr>,<av300>,<go4>,<TopSpin 3.6.2>,"
            assert lines[7:10] == [
                "      <created by zg",
                "\tstarted at 2023-11-15 06:13:20.000 +0800,",
                "\tPOWCHK enabled, PULCHK disabled,",
            ]
            assert lines[10] == "       configuration hash MD5:"
            assert lines[12] == "       data hash MD5: 12K"

    run_virtual(main)


def test_the_newest_release_stamps_with_a_t_and_keeps_the_entry_in_progress(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, topspin="4.4.0") as here:
            path = await here.acquired(await here.caller())
            audit = (path / "audita.txt").read_text()
            assert "(   1,<2023-11-14T22:13:20.000+0000>,<nmr>,<av300>,<go4>,<TopSpin 4.4.0>,\n      <acquisition in progress>)" in audit
            assert "(   2,<2023-11-14T22:13:24.262+0000>" in audit
            assert acqus(path, "DATE_START") == "1700000000"

    run_virtual(main)


def test_what_acqus_says_of_the_run(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            path = await here.acquired(await here.caller(), NS="16", DS="2")
            raw = np.frombuffer((path / "fid").read_bytes(), "<i4")
            assert (int(acqus(path, "YMAX_a")), int(acqus(path, "YMIN_a"))) == (raw.max(), raw.min())
            ended = re.search(r"\(   1,<([^>]*)>", (path / "audita.txt").read_text())
            assert ended
            assert int(acqus(path, "DATE")) == int(datetime.strptime(ended.group(1), "%Y-%m-%d %H:%M:%S.%f %z").timestamp())
            lasts_s = 2.0 + 18 * (0.5 + 6144 / (20e6 / 214) + 6.5e-6)
            assert int(acqus(path, "DATE")) == int(1_700_000_000 + lasts_s)
            assert (acqus(path, "NS"), acqus(path, "DTYPA"), acqus(path, "BYTORDA"), acqus(path, "AQ_mod")) == ("16", "0", "0", "3")
            stamp = re.search(
                r"^\$\$ (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \+0000)  nmr@av300$", (path / "acqus").read_text(), re.MULTILINE
            )
            assert stamp

    run_virtual(main)


def test_before_a_run_there_is_no_status(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            path = await here.clone(await here.caller())
            text = (path / "acqu").read_text()
            for line in ("##$DATE= 0", "##$DSPFVS= 0", "##$GRPDLY= -1", "##$INSTRUM= <>", "##$NUC1= <7Li>"):
                assert line in text.splitlines()
            keys = re.findall(r"^##\$(\w+)=", text, re.MULTILINE)
            assert keys == sorted(keys)
            assert sorted(entry.name for entry in path.iterdir()) == ["acqu", "pdata", "pulseprogram"]
            assert sorted(entry.name for entry in (path / "pdata" / "1").iterdir()) == ["proc", "title"]

    run_virtual(main)


def test_while_it_runs_there_are_zeros_and_an_unfinished_trail(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            path = await here.clone(agent, NS="64")
            await agent.call("XCMD", "zg", 0)
            await clock.sleep(10)
            assert not any((path / "fid").read_bytes())
            assert "<acquisition in progress>)" in (path / "audita.txt").read_text()
            assert not (path / "acqus").exists()

    run_virtual(main)


def test_the_processed_trail_ends_with_the_hash_of_the_spectrum(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            path = await here.acquired(agent)
            assert await agent.call("XCMD result", "efp") == 0
            audit = (path / "pdata/1/auditp.txt").read_bytes()
            hashes = re.findall(rb"data hash MD5: \S+\n       ([0-9A-F ]{47})>\)", audit)
            assert len(hashes) == 2
            assert hashes[-1].decode() == md5((path / "pdata/1/1r").read_bytes())
            body, _, tail = audit.partition(b"##END=")
            assert md5(body) in tail.decode()
            assert (path / "pdata/1/1r").stat().st_size == 4 * 8192

    run_virtual(main)


def test_a_pseudo_2d_has_its_rows_on_whole_blocks(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, faults=["template_2D"]) as here:
            path = await here.acquired(await here.caller(), TD="4000", NS="1")
            assert not (path / "fid").exists()
            raw = (path / "ser").read_bytes()
            assert len(raw) == 8 * 16384
            rows = np.frombuffer(raw, "<i4").reshape(8, 4096)
            assert not rows[:, 4000:].any()
            assert all(row.any() for row in rows)
            assert "data hash MD5: 4000 * 8" in (path / "audita.txt").read_text()
            assert (path / "acqu2s").exists()

    run_virtual(main)


def test_gain_and_power_of_the_template_count(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock) as here:
            agent = await here.caller()
            peaks = []
            for expno, gain in ((1, "101"), (2, "50.5")):
                path = await here.clone(agent, expno=expno, RG=gain)
                await agent.call("PUTPAR", "PLW 1", "12.5")
                await agent.call("XCMD", "zg")
                data = np.frombuffer((path / "fid").read_bytes(), "<i4")
                peaks.append(np.abs(data).max() * 2.0 ** int(acqus(path, "NC")))
            assert peaks[0] == pytest.approx(2 * peaks[1], rel=1e-3)
            assert here.twin.scans[0].tip_deg == pytest.approx(45.0)  # a quarter of the site's power
            assert here.twin.scans[0].pulse_s == pytest.approx(8e-6)

    run_virtual(main)
