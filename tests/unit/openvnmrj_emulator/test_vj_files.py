"""Files byte for byte: .talk, log, procpar, fid; nmrglue and recorded data as judges."""

from __future__ import annotations

import struct
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import nmrglue
import numpy as np
import pytest

from drivers.base import Settings
from drivers.openvnmrj.console.parameters import ParameterSet
from drivers.openvnmrj.console.standard import standard
from drivers.openvnmrj.magical import MagicalError
from drivers.openvnmrj.vnmrfiles import (
    date,
    fid_size,
    log_line,
    read_procpar,
    stamp,
    submitted_local,
    swapped_port,
    talk,
    write_fid,
    write_procpar,
)
from drivers.transport.virtual import run_virtual

GOLDEN = "tests/golden/openvnmrj_emulator"


@pytest.mark.skipif(sys.byteorder != "little", reason="the golden values are of a little-endian console")
def test_the_port_in_talk_is_in_network_order(repository: Path) -> None:
    for line in (repository / GOLDEN / "talk.tsv").read_text().splitlines()[1:]:
        port, value = (int(word) for word in line.split("\t"))
        assert swapped_port(port) == value
    assert talk("host", 12774, 99) == "host 12774 99\n"


def test_log_and_stamps(repository: Path) -> None:
    golden = (repository / GOLDEN / "log.txt").read_text()
    first, second, third = datetime(2023, 11, 18, 2, 30, 54), datetime(2023, 11, 18, 2, 31, 4), datetime(2023, 11, 1, 9, 5)
    found = [log_line(first, "Experiment started"), log_line(second, "BS 1 completed"), log_line(third, "Acquisition complete")]
    assert "".join(found) == golden
    assert stamp(first) == "20231118T023054"
    assert submitted_local(first) == "20231118T023054X02AMSatNov"
    assert date(first) == "Nov 18 2023"


def test_procpar_grammar(repository: Path) -> None:
    golden = (repository / GOLDEN / "procpar.txt").read_text()
    found = read_procpar(golden)
    assert write_procpar(found.values()) == golden
    assert found["acqstatus"].values == [101, 62]
    assert found["dg2"].values == ['first "quoted"', "second: line"]
    assert found["cp"].enumeration == ["y", "n"]


@pytest.mark.real_data
def test_every_recorded_procpar_is_written_back_byte_for_byte(real_data: Path) -> None:
    paths = sorted(real_data.glob("**/procpar"))
    assert len(paths) >= 24
    for path in paths:
        text = path.read_text(encoding="latin-1")
        assert write_procpar(read_procpar(text).values()) == text, path


def test_fid_headers_and_sizes() -> None:
    signal = np.array([1.4 - 2.6j, 1e12 + 0j, -3 + 4j, 0])
    data = write_fid(signal, 32)
    assert len(data) == fid_size(8) == 32 + 28 + 32
    assert struct.unpack(">6l2hl", data[:32]) == (1, 1, 8, 4, 32, 60, 0, 0x45, 1)
    assert struct.unpack(">4hl2f", data[32:52]) == (0, 0x45, 1, 0, 32, 0.0, 0.0)
    assert struct.unpack(">8i", data[60:]) == (1, -3, 2**31 - 1, 0, -3, 4, 0, 0)
    assert fid_size(65536) == 262204


@pytest.mark.real_data
def test_the_headers_are_those_of_a_recorded_int32_fid(real_data: Path) -> None:
    recorded = next(iter(sorted(real_data.glob("vnmrj*/19F*.fid/fid")))).read_bytes()
    ours = write_fid(np.zeros(32768, dtype=complex), 32)
    assert len(ours) == len(recorded)
    assert ours[:52] == recorded[:52]


def test_nmrglue_reads_what_we_write(tmp_path: Path) -> None:
    parameters = ParameterSet(lambda name: {"7Li": 116.642}[name])
    parameters.assign("np", [64.0])
    signal = 1000 * np.exp(-np.arange(32) / 10 + 1j * np.arange(32))
    (tmp_path / "fid").write_bytes(write_fid(signal, 4))
    (tmp_path / "procpar").write_text(parameters.text())
    dictionary, data = nmrglue.varian.read(str(tmp_path))
    assert np.allclose(data, np.round(signal.real) + 1j * np.round(signal.imag))
    assert float(dictionary["procpar"]["sw"]["values"][0]) == 100000
    assert dictionary["procpar"]["tn"]["values"] == ["Li7"]


def parameters() -> ParameterSet:
    def larmor(name: str) -> float:
        return {"7Li": 116.642, "23Na": 79.39}[name]

    return ParameterSet(larmor)


def test_the_standard_set_is_read_by_nmrglue_as_it_was_written(tmp_path: Path) -> None:
    tree = standard()
    assert 60 < len(tree) < 130
    (tmp_path / "procpar").write_text(write_procpar(tree.values()))
    read = nmrglue.varian.read_procpar(str(tmp_path / "procpar"))
    assert list(read) == list(tree)
    for name, parameter in tree.items():
        values = read[name]["values"]
        assert values == parameter.values if parameter.is_text else [float(value) for value in values] == parameter.values
        assert read[name]["enumerable"] == str(len(parameter.enumeration))
        assert parameter.limits is not None


def test_every_new_set_is_its_own() -> None:
    standard()["tn"].values[0] = "F19"
    assert standard()["tn"].values == ["Li7"]


def test_np_sw_and_at_follow_the_macros() -> None:
    p = parameters()
    p.assign("sw", [50_000.0])
    assert (p["np"], p["at"]) == (8192, 0.08192)
    p.assign("np", [4095.0])
    assert (p["np"], p["at"]) == (4096, 0.04096)
    p.assign("at", [0.1])
    assert (p["np"], p["at"]) == (10_000, 0.1)
    p.assign("sw", [93_458.0])
    assert p["sw"] == pytest.approx(1e7 / 107)


def test_rounding_and_limits() -> None:
    p = parameters()
    p.assign("gain", [13.3])
    p.assign("nt", [0.0])
    assert (p["gain"], p["nt"]) == (13, 1)
    p.assign("gain", [200.0])
    assert p["gain"] == 60
    with pytest.raises(MagicalError):
        p.assign("nt", ["many"])
    with pytest.raises(MagicalError):
        p.assign("nosuch", [1.0])


def test_a_nucleus_brings_its_frequencies() -> None:
    p = parameters()
    for tn, base in (("Na23", 79.39), ("li7", 116.642), ("F19", 116.642 * 94.094011 / 38.863797)):
        p.assign("tn", [tn])
        p.assign("tof", [1500.0])
        assert p["sfrq"] == pytest.approx(base + 0.0015)
        assert p["reffrq"] == pytest.approx(p["sfrq"] - p["sw"] / 2e6 + p["rfl"] / 1e6 - p["rfp"] / 1e6)
    p.assign("tn", ["lk"])
    assert p["tn"] == "H2"
    with pytest.raises(MagicalError):
        p.assign("tn", ["Xx9"])


def test_a_failed_nucleus_switch_keeps_the_frequency() -> None:
    p = parameters()
    p.nucleus_switches = False
    p.assign("tn", ["Na23"])
    assert (p["tn"], p["sfrq"]) == ("Na23", 116.642)


def test_a_line_end_inside_a_string_stays_one_as_the_original_writes_it() -> None:
    p = parameters()
    p.assign("wexp", ["write('net','h','1','DONE\n')"])
    assert "'DONE\n')\"\n0 \n" in p.text()
    assert read_procpar(p.text())["wexp"].values == ["write('net','h','1','DONE\n')"]


def test_a_relative_folder_does_not_nest_data_in_itself(desk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def main(clock: Any) -> None:
        async with desk(clock) as d:
            settings = Settings("console", "openvnmrj", "", options={"folder": "emulated", "shown_as": "/home/vnmr1/vnmrsys"})
            other = type(d.console)(settings, d.context)
            target = other.experiment.target("/home/vnmr1/vnmrsys/data/a_b0")
            assert target == tmp_path / "emulated" / "vnmrsys" / "data" / "a_b0.fid"

    run_virtual(main)
