"""k-space in ISMRMRD, read back by the format's own library: exact, in place, and the same picture the same way round."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np
import pytest
from artificial_night import Night
from reported import clean, numbered, run_folder

from orchestrator.export.source import CannotExport
from orchestrator.export.write import export
from orchestrator.recorder.reader import open_run

ENCODES, POINTS = 16, 32
ECHOES_ms = (3.0, 8.0, 3.0)
SETTINGS = {"field_of_view_mm": 9.6, "read_field_of_view_mm": 3.0}


def kspace(number: int) -> Any:
    """complex64 (16, 32) of one bright pixel away from the middle of both axes: a flip shows."""
    picture = np.zeros((ENCODES, POINTS), complex)
    picture[11, 5 + number] = 4096 * 512
    return np.round(np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(picture)))).astype("<c8")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    events, number = [], 0
    for event in clean(Night(samples=300, fids=3, points=POINTS)):
        if event.kind == "fid.block":
            image = kspace(number)
            echo = {"name": "TE_ms", "value": ECHOES_ms[number]}
            more = {
                "shape": list(image.shape),
                "encodes": ENCODES,
                "settings": SETTINGS,
                "block_value": echo,
                "row_s": [[n, n + 1.0] for n in range(ENCODES)],
            }
            event = replace(event, data={**event.data, **more}, blob=image.tobytes())  # noqa: PLW2901
            number += 1
        events.append(event)
    return run_folder(tmp_path_factory.mktemp("runs") / "night", numbered(events))


def test_every_encode_is_exact_and_knows_its_place(run: Path) -> None:
    folder, _ = export(run, "ismrmrd")
    with open_run(run) as opened, ismrmrd.Dataset(str(folder / "li.h5"), mode="r") as dataset:
        group = opened.entry["kspace/li"]
        assert dataset.number_of_acquisitions() == 3 * ENCODES
        for number in range(3 * ENCODES):
            row = dataset.read_acquisition(number)
            image, encode = divmod(number, ENCODES)
            np.testing.assert_array_equal(row.data[0], group["data"][image, encode].conj())  # the night's console has a mirrored axis
            assert (row.idx.kspace_encode_step_1, row.idx.repetition, row.scan_counter) == (encode, image, number)
            assert row.idx.contrast == [3.0, 8.0].index(ECHOES_ms[image])
            assert row.center_sample == POINTS // 2
            assert row.sample_time_us == pytest.approx(10.0)
            begins_s = group["t_start"][image] + np.nan_to_num(group["row_start"][image, encode])
            assert row.acquisition_time_stamp == pytest.approx(begins_s * 1e3, abs=1)
            assert row.is_flag_set(ismrmrd.ACQ_FIRST_IN_SLICE) == (encode == 0)
            assert row.is_flag_set(ismrmrd.ACQ_LAST_IN_SLICE) == (encode == ENCODES - 1)


def test_the_header_is_understood_and_the_picture_is_ours(run: Path, tmp_path: Path) -> None:
    folder, _ = export(run, "ismrmrd", tmp_path / "k")
    with open_run(run) as opened, ismrmrd.Dataset(str(folder / "li.h5"), mode="r") as dataset:
        said = ismrmrd.xsd.CreateFromDocument(dataset.read_xml_header())
        rows = np.stack([dataset.read_acquisition(n).data[0] for n in range(ENCODES)])
        shown = opened.entry["images/li/magnitude"][0]
    space = said.encoding[0].encodedSpace
    assert (space.matrixSize.x, space.matrixSize.y, space.fieldOfView_mm.x, space.fieldOfView_mm.y) == (POINTS, ENCODES, 3.0, 9.6)
    assert said.encoding[0].encodingLimits.kspace_encoding_step_1.center == ENCODES // 2
    assert list(said.sequenceParameters.TE) == [3.0, 8.0]
    assert said.experimentalConditions.H1resonanceFrequency_Hz == pytest.approx(300.0e6, rel=2e-3)  # 7Li at 116.6 MHz
    picture = np.abs(np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(rows))))
    np.testing.assert_allclose(picture, shown, rtol=1e-4, atol=1e-3 * shown.max())
    assert np.unravel_index(picture.argmax(), picture.shape) == np.unravel_index(shown.argmax(), shown.shape)


def test_a_run_without_images_says_so(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", clean(Night(samples=60, fids=1, points=64)))
    with pytest.raises(CannotExport, match="no image"):
        export(folder, "ismrmrd")
