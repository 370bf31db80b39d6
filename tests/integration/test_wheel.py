"""Source archive and wheel as a user gets them: installed into a fresh environment, they run the demo from an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(240)
REPOSITORY = Path(__file__).parents[2]
BIN = "Scripts" if sys.platform == "win32" else "bin"


def clean_environment() -> dict[str, str]:
    """Nothing that would let the checkout be found."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "OPERANDO", "COV"))}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder)], cwd=REPOSITORY, check=True)
    (found,) = folder.glob("*.tar.gz")
    return found


@pytest.fixture(scope="module")
def wheel(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made from the source archive, not from the checkout."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    with tarfile.open(archive) as packed:
        packed.extractall(source, filter="data")
    (top,) = source.iterdir()
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=top, check=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment: the wheel, and the libraries of this one beside it by their paths alone (no editable install is followed)."""
    home = tmp_path_factory.mktemp("fresh") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    python = home / BIN / "python"
    install = ["--python", str(python), "install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", *install, str(wheel)], check=True, env=clean_environment())
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.run([python, "-I", "-c", asked], check=True, capture_output=True, text=True).stdout.strip()
    libraries = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (Path(packages) / "libraries.pth").write_text("\n".join(libraries), "utf-8")
    return home / BIN


def test_the_archives_hold_what_they_must_and_nothing_of_this_computer(archive: Path, wheel: Path) -> None:
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {"README.md", "LICENSE", "CITATION.cff", "CHANGELOG.md", "configs/experiments/demo.yaml", "Makefile"} <= names
    with zipfile.ZipFile(wheel) as packed_wheel:
        names = set(packed_wheel.namelist())
    assert {
        "orchestrator/configs/experiments/demo.yaml",
        "orchestrator/config/grammar.lark",
        "orchestrator/report/page.css",
        "orchestrator/report/redraw.py",
        "drivers/methodscript/quality.yaml",
    } <= names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "nights")) or "__pycache__" in name]


def test_the_demo_runs_in_a_fresh_environment_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    operando = [installed / "operando"]
    found = subprocess.run(
        [installed / "python", "-c", "import orchestrator, drivers; print(orchestrator.__file__, drivers.__file__)"],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=clean_environment(),
    ).stdout
    assert found.count(str(installed.parent)) == 2
    done = subprocess.run(
        [*operando, "demo", "--speed", "max", "--json"], capture_output=True, text=True, cwd=tmp_path, env=clean_environment(), check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert told["complete"] is True
    assert (tmp_path / "runs").is_dir()
    listed = subprocess.run(
        [*operando, "drivers", "--json"], capture_output=True, text=True, cwd=tmp_path, env=clean_environment(), check=True
    )
    rows = [json.loads(line) for line in listed.stdout.splitlines()]
    assert ("potentiostat", "methodscript", "bronze") in {(row["kind"], row["name"], row["level"]) for row in rows}


def test_the_citation_names_this_version(archive: Path) -> None:
    from ruamel.yaml import YAML

    cited = YAML(typ="safe").load((REPOSITORY / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert archive.name.startswith(f"operando_nmr-{cited['version']}"), "of the last tag, or the one that is being made"
