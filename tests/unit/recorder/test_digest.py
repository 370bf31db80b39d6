"""The digest of a file: of its content, however HDF5 keeps a text, and of every kind of attribute."""

from __future__ import annotations

import hashlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from orchestrator.recorder.digest import digest


def filled(path: Path, text: object) -> Path:
    """A small file with an attribute of each kind."""
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/b")
        group.attrs["text"] = text
        group.attrs["number"] = 2.5
        group.attrs["numbers"] = np.array([1, 2], dtype="<i4")
        group.attrs["names"] = ["time", "µA"]
        group.attrs["yes"] = True
        group.attrs["published_utc"] = path.name
        group.create_dataset("values", data=np.arange(3, dtype="<f8"))
        group.create_dataset("none", shape=(0, 4), dtype="<f4")
        group.create_dataset("told", data=np.bytes_("µ".encode()))
        file["entry/a"] = group["values"]
        group.create_dataset("shown", data=[1.0]).attrs["derived"] = True
    return path


TEXTS = ["µV", np.bytes_("µV".encode()), np.array("µV".encode(), dtype="S3"), np.array("µV", dtype=h5py.string_dtype())]


@pytest.mark.parametrize("text", TEXTS, ids=["text", "bytes", "fixed", "variable"])
def test_it_does_not_depend_on_how_a_text_is_kept(text: object, tmp_path: Path) -> None:
    values = np.arange(3, dtype="<f8").tobytes()
    lines = [
        b"/\n/entry\n/entry/a\n<f8 (3,)\n" + values,
        b"/entry/b\n@names time|\xc2\xb5A\n@number <f8 () 0000000000000440\n@numbers <i4 (2,) 0100000002000000\n",
        b"@text \xc2\xb5V\n@yes |b1 () 01\n/entry/b/none\n<f4 (0, 4)\n",
        b"/entry/b/shown\n@derived |b1 () 01\n/entry/b/told\n|S2 ()\n\xc2\xb5/entry/b/values\n<f8 (3,)\n" + values,
    ]
    assert digest(filled(tmp_path / "run.h5", text)) == hashlib.sha256(b"".join(lines)).hexdigest()


def test_ascii_of_variable_length_is_read_too(tmp_path: Path) -> None:
    ascii_text = np.array(b"V", dtype=h5py.string_dtype("ascii"))
    assert digest(filled(tmp_path / "a.h5", ascii_text)) == digest(filled(tmp_path / "b.h5", "V"))
