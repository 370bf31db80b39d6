"""Arrays and images in VnmrJ's own words, and back out of what it files."""

from __future__ import annotations

import numpy as np
import pytest

from drivers.base import AcquisitionOrder, Axis
from drivers.errors import Rejected
from drivers.openvnmrj import files, sequences, wire
from drivers.openvnmrj.parameters import setup_of
from drivers.openvnmrj.vnmrfiles import write_fid

TEMPLATE = {"points": 128, "spectral_width_Hz": 50000.0, "pulse_us": 8}
VIEWS = Axis("pe", tuple(float(view) for view in range(64)))


def order(**more: object) -> AcquisitionOrder:
    return AcquisitionOrder("a00001-x", "x", "7Li", {**TEMPLATE, **more.pop("template", {})}, 8, 2, 0.5, **more)  # type: ignore[arg-type, dict-item]


def test_an_array_is_one_statement_and_dummies_come_before_each_row() -> None:
    asked = order(sequence="hahn_echo", rows=Axis("TE_ms", (1.0, 2.5, 5.0)))
    values = setup_of(asked, {}).values
    assert (values["seqfil"], values["te"], values["ss"]) == ("hahn", (0.001, 0.0025, 0.005), -2)
    assert "te=0.001,0.0025,0.005" in wire.set_parameters(values)


def test_a_site_says_its_own_sequence_and_delay() -> None:
    own = {"seqfil": "echo_lab3", "array_names": {"TE_ms": "tau2"}}
    values = sequences.values_of(order(sequence="hahn_echo", rows=Axis("TE_ms", (1.0, 2.0)), template=own))
    assert (values["seqfil"], values["tau2"]) == ("echo_lab3", (0.001, 0.002))


def test_an_image_is_phase_encodes_and_each_block_its_echo_time() -> None:
    template = {"views": 64, "field_of_view_mm": 9.6, "read_field_of_view_mm": 3}
    asked = order(sequence="image_se", rows=VIEWS, per_block=Axis("TE_ms", (3.0, 5.0)), blocks=2, template=template)
    values = setup_of(asked, {}).values
    assert (values["seqfil"], values["seqcon"], values["nv"], values["lpe"], values["lro"]) == ("sems", "ncsnn", 64, 0.96, 0.3)
    assert sequences.block_values(asked, 1, {}) == ["te=0.005"]
    assert sequences.expected_s(asked, 1, {"at": 0.00256, "d1": 0.5}) == pytest.approx(64 * 10 * (0.50256 + 0.005))


def test_a_block_of_its_own_carrier_is_an_offset() -> None:
    asked = order(sequence="hahn_echo", per_block=Axis("carrier_ppm", (0.0, 100.0)), blocks=2, template={"TE_ms": 0.1})
    assert sequences.block_values(asked, 1, {"sfrq": 116.651, "tof": 1000.0, "reffrq": 116.65}) == ["tof=11665"]


def test_pulses_are_the_sites_own_unless_the_rig_unlocks_them() -> None:
    asked = order(sequence="nutation", rows=Axis("pulse_us", (2.0, 40.0)))
    with pytest.raises(Rejected, match="the site's own"):
        setup_of(asked, {})
    with pytest.raises(Rejected, match="outside what the rig unlocks"):
        setup_of(asked, {"pulse_us": [1, 10]})
    assert setup_of(asked, {"pulse_us": [1, 40]}).values["pw"] == (2.0, 40.0)


def test_a_sequence_that_is_not_known_is_refused_with_its_reason() -> None:
    with pytest.raises(Rejected, match="cannot run volume_ge"):
        sequences.values_of(order(sequence="volume_ge"))


def test_after_an_array_the_experiment_is_an_ordinary_one_again_and_before_the_first_nothing_is_touched() -> None:
    assert sequences.plain((), "s2pul", None) == {}
    assert sequences.plain(("seqfil", "nv", "te"), "lab1p", 7.5) == {"seqfil": "lab1p", "pw": 7.5, "nv": 0, "te": 0}


def test_rows_come_back_in_order_with_the_times_that_their_delays_take() -> None:
    signal = np.arange(12).reshape(3, 4) * (1 + 1j)
    stored = files.parse_fid(write_fid(signal, 8, 8, 0))
    assert np.array_equal(stored.data, signal)
    assert stored.scans.tolist() == [8, 8, 0]
    filed = {"nt": 8, "ss": -2, "d1": 0.5, "at": 0.1, "array": "te", "te": [0.1, 0.4, 0.2], "seqfil": "hahn"}
    spans = sequences.row_s(filed, 3)
    assert spans is not None
    assert (spans[:, 1] - spans[:, 0]).tolist() == pytest.approx([7.0, 10.0, 8.0])
    assert spans[1:, 0].tolist() == pytest.approx(spans[:-1, 1].tolist())
    assert sequences.row_s(filed, 1) is None
