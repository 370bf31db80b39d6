"""The folder for a Windows PC, as far as it can be tried elsewhere: its layout, its launcher's words, what the workflow asks of it."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
import typer
from ruamel.yaml import YAML

from orchestrator.cli.app import app

REPOSITORY = Path(__file__).parents[3]
FOLDER = REPOSITORY / "packaging" / "windows"


@pytest.fixture
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_windows_folder", FOLDER / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def embedded(tmp_path: Path) -> Path:
    """What matters of python.org's embeddable zip."""
    path = tmp_path / "python-3.11.9-embed-amd64.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("python.exe", b"MZ")
        made.writestr("python311.zip", b"")
        made.writestr("python311._pth", "python311.zip\n.\n\n# Uncomment to run site.main() automatically\n#import site\n")
    return path


def test_the_interpreter_sees_the_folders_libraries_and_no_others(build: ModuleType, embedded: Path, tmp_path: Path) -> None:
    assert build.unpack_python(embedded, tmp_path / "python") == "311"
    lines = (tmp_path / "python" / "python311._pth").read_text("ascii").split("\n")
    assert lines == ["python311.zip", ".", "Lib\\site-packages", "import site", ""]
    assert (tmp_path / "python" / "python.exe").is_file()


def test_a_zip_that_is_no_embeddable_python_is_refused(build: ModuleType, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as made:
        made.writestr("readme", "")
    with pytest.raises(SystemExit, match="no embeddable Python"):
        build.unpack_python(tmp_path / "other.zip", tmp_path / "python")


def test_only_wheels_for_windows_of_the_tested_versions_are_taken(build: ModuleType, tmp_path: Path) -> None:
    words = build.pip_command(tmp_path / "site-packages", "311", tmp_path / "operando_nmr-0.1.0-py3-none-any.whl", None)
    asked = " ".join(words)
    assert "--only-binary=:all:" in words
    assert "--platform win_amd64" in asked
    assert "--python-version 3.11" in asked
    assert f"-c {REPOSITORY / 'constraints.txt'}" in asked
    assert {"tzdata", "comtypes"} <= set(words)
    assert "--no-index" not in words
    assert "--no-index" in build.pip_command(tmp_path, "311", tmp_path / "a.whl", tmp_path)


def test_the_zip_is_the_folder_and_its_hash_stands_beside_it(build: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "operando-windows"
    (folder / "python").mkdir(parents=True)
    (folder / "python" / "python.exe").write_bytes(b"MZ")
    (folder / "operando.bat").write_text("@echo off\r\n")
    archive = build.zipped(folder)
    with zipfile.ZipFile(archive) as made:
        assert made.namelist() == ["operando-windows/operando.bat", "operando-windows/python/python.exe"]
    digest, name = archive.with_suffix(".zip.sha256").read_text("ascii").split()
    assert (len(digest), name) == (64, archive.name)


def test_the_launcher_runs_the_folders_own_python_wherever_it_lies(build: ModuleType) -> None:
    """``%~dp0`` in quotes (a folder with blanks), all words on, the exit code back; nothing of the computer's own Python."""
    lines = (FOLDER / build.LAUNCHER).read_text("ascii").splitlines()
    assert '"%~dp0python\\python.exe" -m orchestrator %*' in lines
    assert lines[-1] == "exit /b %ERRORLEVEL%"
    assert {'set "PYTHONHOME="', 'set "PYTHONPATH="', 'set "PYTHONNOUSERSITE=1"'} <= set(lines)
    assert not [line for line in lines if ":\\" in line]


def test_the_workflow_asks_only_for_what_there_is() -> None:
    workflow = YAML(typ="safe").load((REPOSITORY / ".github" / "workflows" / "windows-folder.yml").read_text("utf-8"))
    steps = workflow["jobs"]["folder"]["steps"]
    words = [line.split() for step in steps for line in step.get("run", "").splitlines() if "operando.bat" in line]
    commands = set(getattr(typer.main.get_command(app), "commands", {}))
    asked = {word[2] for word in words if not word[2].startswith("-")}
    assert asked == {"drivers", "check", "run", "verify"}
    assert asked <= commands
    for word in words:
        for path in (one for one in word if one.startswith("configs\\")):
            assert (REPOSITORY / path.replace("\\", "/")).is_file()
