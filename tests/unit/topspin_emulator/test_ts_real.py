"""The emulated files beside recorded ones of real spectrometers, key by key and line by line."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import nmrglue
import numpy as np
import pytest

from drivers.topspin.console.jcamp import Word, parse
from drivers.transport.virtual import run_virtual

pytestmark = pytest.mark.real_data
REAL_7Li = "bruker_operando_7Li/1"
REAL_3_0 = "mas_7Li_paramagnetic_hahnecho_matpass/71"
KEY = re.compile(r"^##\$?([^=]+)=", re.MULTILINE)


def text(path: Path) -> str:
    return path.read_text("latin-1").replace("\r\n", "\n")


def kinds(path: Path) -> dict[str, str]:
    """What each value is: a text, a word, a number, an array of so many."""
    found = parse(text(path)).values
    return {
        name: f"{len(value)} of them"
        if isinstance(value, list)
        else "word"
        if isinstance(value, Word)
        else "text"
        if isinstance(value, str)
        else "number"
        for name, value in found.items()
    }


def form(line: str) -> str:
    """A line without what differs from run to run: digits, hashes, names, folders."""
    line = re.sub(r"^\$\$ /.*/", "$$ FOLDER/", line)
    line = re.sub(r"<(jr\w+|nmr|spectro\w+|av300|host)>", "<WHO>", line)
    line = re.sub(r"\b[0-9A-F]{2}( [0-9A-F]{2}){15}\b", "HASH", line)
    line = re.sub(r"\d+", "N", line)
    line = re.sub(r"^(##OWNER=) .*", r"\1 WHO", line)
    line = re.sub(r"  \w+@\w+$", "  WHO", line)
    line = line.replace("disabled, PULCHK", "? PULCHK").replace("enabled, PULCHK", "? PULCHK")
    return re.sub(r"(\$\$ process) \S+", r"\1 WHICH", line)


@pytest.fixture
def ours(desk: Any) -> Path:
    """A data set of the emulated 2.1, with the recorded one's points, processed."""
    found: list[Path] = []

    async def main(clock: Any) -> None:
        async with desk(clock, topspin="2.1", zone="Europe/London") as here:
            agent = await here.caller()
            found.append(await here.acquired(agent, TD="12288", NS="16"))
            await agent.call("XCMD", "efp")

    run_virtual(main)
    return found[0]


def test_acqus_has_the_same_keys_in_the_same_order_and_of_the_same_kind(ours: Path, real_data: Path) -> None:
    recorded = real_data / REAL_7Li / "acqus"
    assert KEY.findall(text(ours / "acqus")) == KEY.findall(text(recorded))
    assert kinds(ours / "acqus") == kinds(recorded)


def test_the_head_of_acqus_has_the_same_form(ours: Path, real_data: Path) -> None:
    heads = [[form(line) for line in text(path).split("##$")[0].splitlines()] for path in (ours / "acqus", real_data / REAL_7Li / "acqus")]
    assert heads[0] == heads[1]


def test_what_the_console_adds_has_the_recorded_values(ours: Path, real_data: Path) -> None:
    """What tells a reader how to read: these must be the console's own."""
    one, other = (parse(text(path / "acqus")).values for path in (ours, real_data / REAL_7Li))
    names = ("AQ_mod", "BYTORDA", "DECIM", "DSPFVS", "DTYPA", "GRPDLY", "NC", "PARMODE", "TD", "SW_h", "DIGMOD", "NUC1")
    assert {name: one[name] for name in names} == {name: other[name] for name in names}


def test_the_audit_trail_has_the_same_lines(ours: Path, real_data: Path) -> None:
    lines = [[form(line) for line in text(path / "audita.txt").split("\n")] for path in (ours, real_data / REAL_7Li)]
    assert lines[0] == lines[1]


def test_one_rule_verifies_ours_and_the_recorded_trails(ours: Path, real_data: Path) -> None:
    """The data hash is over little-endian numbers without the padding, also of a big-endian fid; the last line over what is before END."""
    recorded = [real_data / name for name in ("bruker_operando_7Li/1", "bruker_operando_7Li/3", REAL_3_0)]
    for path in (ours, *recorded):
        values = parse(text(path / "acqus")).values
        numbers = np.frombuffer((path / "fid").read_bytes(), ">i4" if values["BYTORDA"] else "<i4")[: int(str(values["TD"]))]
        body, _, tail = (path / "audita.txt").read_bytes().partition(b"##END=")
        assert hashlib.md5(numbers.astype("<i4").tobytes()).digest().hex(" ").upper() in body.decode("latin-1")
        assert hashlib.md5(body).digest().hex(" ").upper() in tail.decode("latin-1")


def test_procs_has_the_same_keys_of_the_same_kind(ours: Path, real_data: Path) -> None:
    recorded = real_data / REAL_7Li / "pdata/1/procs"
    assert KEY.findall(text(ours / "pdata/1/procs")) == KEY.findall(text(recorded))
    assert kinds(ours / "pdata/1/procs") == kinds(recorded)


def test_the_fid_has_the_same_size_and_the_same_ramp(ours: Path, real_data: Path) -> None:
    recorded = real_data / REAL_7Li / "fid"
    assert (ours / "fid").stat().st_size == recorded.stat().st_size
    rises = []
    for path in (ours / "fid", recorded):
        numbers = np.frombuffer(path.read_bytes(), ">i4").astype(float)
        magnitude = np.abs(numbers[::2] + 1j * numbers[1::2])
        rises.append(int(np.argmax(magnitude > 0.3 * magnitude.max())))
        assert magnitude[:10].max() < 0.001 * magnitude.max()
    assert abs(rises[0] - rises[1]) <= 2


def test_an_independent_reader_sees_the_same_thing(ours: Path, real_data: Path) -> None:
    read = [nmrglue.bruker.read(str(path), read_pulseprogram=False) for path in (ours, real_data / REAL_7Li)]
    assert read[0][1].shape == read[1][1].shape == (6144,)
    assert read[0][1].dtype == read[1][1].dtype
    assert read[0][0]["FILE_SIZE"] == read[1][0]["FILE_SIZE"]
    guessed = [nmrglue.bruker.guess_udic(parameters, data) for parameters, data in read]
    assert guessed[0][0]["sw"] == pytest.approx(guessed[1][0]["sw"])
    assert guessed[0][0]["complex"] == guessed[1][0]["complex"]


def test_acqu_of_the_newer_release_has_the_recorded_keys(desk: Any, real_data: Path) -> None:
    found: list[Path] = []

    async def main(clock: Any) -> None:
        async with desk(clock, topspin="3.6.2") as here:
            found.append(await here.acquired(await here.caller()))

    run_virtual(main)
    for name in ("acqu", "acqus"):
        assert KEY.findall(text(found[0] / name)) == KEY.findall(text(real_data / REAL_3_0 / name))
        assert kinds(found[0] / name) == kinds(real_data / REAL_3_0 / name)


@pytest.mark.parametrize("name", ["bruker_operando_7Li/1/acqus", "bruker_operando_7Li/1/pdata/1/procs", f"{REAL_3_0}/acqu"])
def test_recorded_files_survive_reading_and_writing(real_data: Path, name: str) -> None:
    """Every value and every line but those in which arrays are broken."""
    recorded = text(real_data / name)
    assert parse(recorded).text().split() == recorded.split()
