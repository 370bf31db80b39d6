"""NeXus, as three validators of others and our own check see it. Theirs exit with 0 whatever they find: the counts are read."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nexusformat
import numpy as np
import pytest
from artificial_night import Night
from lxml import etree
from reported import clean, run_folder
from silx.io.nxdata import get_default

from orchestrator.cli.app import run as operando
from orchestrator.export.nexus_check import problems
from orchestrator.export.nxdl import FILE, NAME, definition
from orchestrator.export.source import CannotExport
from orchestrator.export.write import export
from orchestrator.recorder.reader import open_run

DEFINITIONS = Path(nexusformat.__file__).parent / "definitions"
SCRIPT = """\
import sys
from importlib.metadata import entry_points
(script,) = entry_points(group="console_scripts", name=sys.argv[1])
sys.argv[:2] = [script.name]
script.load()()
"""
FAULTS: dict[str, Callable[[Any], None]] = {
    "is to be plotted and is not there": lambda entry: entry["electrochemistry"].attrs.__setitem__("signal", "nothing"),
    "`nothing` is to be plotted": lambda entry: entry["electrochemistry"].attrs.__setitem__("axes", ["nothing"]),
    "@default names": lambda entry: entry.attrs.__setitem__("default", "nowhere"),
    "values for": lambda entry: _shorten(entry["electrochemistry"], "time"),
    "start_time is no ISO": lambda entry: _put(entry, "start_time", "yesterday"),
    "units `V` are no NX_TIME": lambda entry: entry["electrochemistry/time"].attrs.__setitem__("units", "V"),
    "units `mV` are no NX_VOLTAGE": lambda entry: entry["electrochemistry/voltage"].attrs.__setitem__("units", "mV"),
    "an NXlog without `time`": lambda entry: entry["instrument/potentiostat/value_log"].__delitem__("time"),
    "@start is no ISO": lambda entry: entry["spectra/li/time"].attrs.__delitem__("start"),
}


def _put(entry: Any, name: str, text: str) -> None:
    del entry[name]
    entry[name] = text


def _shorten(group: Any, name: str) -> None:
    del group[name]
    group[name] = np.arange(3.0)


def script(name: str, *words: str) -> str:
    """What a tool of the environment prints, without colours."""
    told = subprocess.run([sys.executable, "-c", SCRIPT, name, *words], capture_output=True, text=True, check=True)
    return re.sub(r"\x1b\[[0-9;]*m", "", told.stdout + told.stderr)


def counts(told: str) -> tuple[int, int]:
    """Warnings and errors."""
    warnings, errors = (re.search(rf"Total number of {what}: (\d+)", told) for what in ("warnings", "errors"))
    assert warnings, told
    assert errors, told
    return int(warnings[1]), int(errors[1])


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``night.nxs`` and the definition."""
    folder = run_folder(tmp_path_factory.mktemp("runs") / "20260101T000000Z_night", clean(Night(samples=300, fids=3, points=256)))
    return export(folder, "nexus")[0]


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(exported / "night.nxs", tmp_path / "night.nxs"))


@pytest.fixture(scope="module")
def with_ours(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NeXus' definitions, and ours among them."""
    folder = tmp_path_factory.mktemp("definitions")
    for one in DEFINITIONS.iterdir():
        if one.name != "applications":
            shutil.copytree(one, folder / one.name) if one.is_dir() else shutil.copy(one, folder / one.name)
    (folder / "applications").mkdir()
    shutil.copy(exported / FILE, folder / "applications" / FILE)
    return folder


def test_the_definition_is_nxdl_and_the_one_in_the_documents(exported: Path, repository: Path) -> None:
    text = (exported / FILE).read_text("utf-8")
    assert text == definition() == (repository / "docs" / "reference" / FILE).read_text("utf-8")
    schema = etree.XMLSchema(etree.parse(str(DEFINITIONS / "nxdl.xsd")))
    schema.assertValid(etree.fromstring(text.encode()))


def test_nxvalidate_finds_the_file_to_follow_our_definition(exported: Path, with_ours: Path) -> None:
    told = script("nxvalidate", str(exported / "night.nxs"), "-d", str(with_ours))
    assert f"Application Definition: {NAME}" in told
    assert counts(told) == (0, 0), told


def test_the_definition_bites(copy: Path, with_ours: Path) -> None:
    with h5py.File(copy, "r+") as file:
        del file["entry/electrochemistry/current"]
    assert counts(script("nxvalidate", str(copy), "-d", str(with_ours)))[1] == 1


def test_nxcheck_has_no_error_and_warns_of_attributes_of_our_own_only(exported: Path) -> None:
    told = script("nxcheck", str(exported / "night.nxs"))
    warnings, errors = counts(told)
    assert errors == 0, told
    assert warnings == told.count("is not defined as an attribute in NX"), told


def test_punx_minds_only_that_our_definition_is_not_among_its_own(exported: Path) -> None:
    told = script("punx", "validate", str(exported / "night.nxs"))
    (total,) = re.findall(r"^ERROR +(\d+)", told, flags=re.MULTILINE)
    errors = [line for line in told.splitlines() if re.search(r" ERROR ", line) and line.startswith("/")]
    assert (int(total), len(errors)) == (1, 1), told
    assert f"{NAME}: unrecognized NXDL specification" in errors[0]


def test_silx_opens_it_as_a_plot(exported: Path) -> None:
    with h5py.File(exported / "night.nxs") as file:
        plot = get_default(file)
        assert plot is not None
        assert plot.is_valid
        assert plot.signal.name.startswith("/entry/")


def test_the_numbers_are_those_of_the_run_and_names_are_nexus_names(exported: Path) -> None:
    with open_run(exported.parent.parent) as run, h5py.File(exported / "night.nxs") as file:
        entry = file["entry"]
        np.testing.assert_array_equal(entry["fid/li/fid"][()], run.fid["li"]["fid"])
        np.testing.assert_array_equal(entry["electrochemistry/voltage"][()], run.electrochemistry["voltage"])
        assert entry["electrochemistry/voltage"] == entry["instrument/potentiostat/value_log/value"]
        assert entry["observables/area_metal"].attrs["name"] == "area(metal)"
        assert entry["observables/area_metal/value"].attrs["units"] == "1"
        assert entry["definition"][()].decode() == NAME


@pytest.mark.parametrize("said", FAULTS)
def test_our_own_check_bites(said: str, copy: Path) -> None:
    assert problems(copy) == []
    with h5py.File(copy, "r+") as file:
        FAULTS[said](file["entry"])
    assert any(said in one for one in problems(copy)), problems(copy)


def test_a_run_in_chapters_is_refused_with_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_folder(tmp_path / "run", clean(Night(samples=60, fids=1, points=64)))
    with h5py.File(folder / "run.h5", "r+") as file:
        file["entry"].attrs["chapters"] = np.array([], dtype="S1")
    with pytest.raises(CannotExport, match="when it has ended"):
        export(folder, "nexus")
    assert operando(["export", str(folder), "--format", "nexus", "--to", str(tmp_path / "x")]) == 2
    assert "when it has ended" in capsys.readouterr().err
