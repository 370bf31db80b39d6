# ruff: noqa: INP001  a script, in no package
"""Makes the folder that a console PC unzips and runs: embedded Python, every wheel, this program; no installer, no network, no rights.

    py packaging/windows/build.py --python python-3.11.9-embed-amd64.zip --out dist

Meant for Windows in CI; elsewhere pip fetches the Windows wheels by ``--platform``. ``--wheels``: a folder of wheels, and no index.
Nothing of it starts Python: what it makes has to be tried on Windows (the workflow does, on a machine without network for it).
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NAME = "operando-windows"
EXTRAS = ("dashboard", "eclab", "import", "report")
ON_WINDOWS = ("colorama", "comtypes", "tzdata")
"""What only Windows needs: pip, where it runs elsewhere, believes that nobody does."""
NO_WHEEL = ("galvani",)
"""Published as source only; pure Python, so that a wheel made anywhere is one for Windows too."""
SITE = "Lib\\site-packages"
LAUNCHER = "operando.bat"


def python_minor(embedded: zipfile.ZipFile) -> str:
    """``311`` of an embeddable Python. Raises SystemExit for a zip that is none."""
    found = [name for name in embedded.namelist() if name.startswith("python3") and name.endswith("._pth")]
    if len(found) != 1:
        raise SystemExit(f"{embedded.filename}: no embeddable Python (it has no python3XX._pth)")
    return found[0].removeprefix("python").removesuffix("._pth")


def unpack_python(archive: Path, folder: Path) -> str:
    """The interpreter, told where its libraries are: nothing of the computer's own Python is seen. Returns ``311``."""
    with zipfile.ZipFile(archive) as embedded:
        minor = python_minor(embedded)
        embedded.extractall(folder)
    (folder / f"python{minor}._pth").write_text(f"python{minor}.zip\n.\n{SITE}\nimport site\n", encoding="ascii")
    return minor


def pip_command(target: Path, minor: str, wheel: Path, wheels: Path | None) -> list[str]:
    """Every library as a Windows wheel of the versions that were tested; nothing is compiled, nothing of this computer's is taken."""
    source = ["--no-index", "--find-links", str(wheels)] if wheels else ["--find-links", str(wheel.parent)]
    versions = ["--python-version", f"{minor[0]}.{minor[1:]}", "--implementation", "cp", "--platform", "win_amd64"]
    return [
        sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target), "--only-binary=:all:", "--no-compile", *versions,
        "-c", str(ROOT / "constraints.txt"), *source, f"{wheel}[{','.join(EXTRAS)}]", *ON_WINDOWS,
    ]  # fmt: skip


def own_wheels(folder: Path, *, libraries: bool) -> Path:
    """This program as a wheel, and beside it the libraries that have none."""
    more = ["-c", str(ROOT / "constraints.txt"), *NO_WHEEL] if libraries else []
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), *more, str(ROOT)]
    subprocess.run(command, check=True)
    (made,) = folder.glob("operando_nmr-*.whl")
    return made


def lay_out(folder: Path, archive: Path, wheels: Path | None) -> None:
    """The whole folder."""
    if folder.exists():
        shutil.rmtree(folder)
    python = folder / "python"
    python.mkdir(parents=True)
    minor = unpack_python(archive, python)
    with tempfile.TemporaryDirectory() as made:
        wheel = own_wheels(Path(made), libraries=wheels is None)
        subprocess.run(pip_command(python / "Lib" / "site-packages", minor, wheel, wheels), check=True)
    for name in (LAUNCHER, "README.txt"):
        text = (HERE / name).read_text("utf-8")
        (folder / name).write_text(text, encoding="utf-8", newline="\r\n")
    shutil.copy(ROOT / "LICENSE", folder / "LICENSE.txt")
    shutil.copytree(ROOT / "configs", folder / "configs")


def zipped(folder: Path) -> Path:
    """The folder as one file, in the order of names, and its SHA-256 beside it."""
    archive = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            out.write(path, Path(folder.name) / path.relative_to(folder))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    archive.with_suffix(".zip.sha256").write_text(f"{digest}  {archive.name}\n", encoding="ascii")
    return archive


def main(words: Sequence[str]) -> int:
    """Build; 0 when there is a zip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, metavar="ZIP", help="the embeddable Python of python.org, 64 bit")
    parser.add_argument("--out", type=Path, default=Path("dist"), metavar="DIR")
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="take libraries from here, and ask no index")
    given = parser.parse_args(words)
    folder = given.out / NAME
    lay_out(folder, given.python, given.wheels)
    sys.stdout.write(f"{zipped(folder)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
