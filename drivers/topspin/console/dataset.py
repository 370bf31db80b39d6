"""Data sets as folders: where they lie, their parameter files, copies of them. Blocking file work; no clock."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from drivers.topspin.console.jcamp import ParameterFile, Value, parse

RAW = ("fid", "ser")


@dataclass(frozen=True, slots=True)
class Place:
    """What TopSpin calls a data set: name, expno, procno, folder; up to 3.1 the user too."""

    name: str
    expno: str
    procno: str
    folder: str
    user: str = ""

    @classmethod
    def of(cls, words: Sequence[str]) -> Place:
        """As scripts write it: ``[name, expno, procno, dir]``, a fifth word is the user. Raises ValueError."""
        if len(words) not in {4, 5}:
            raise ValueError(f"a data set is [name, expno, procno, dir(, user)], not {list(words)!r}")
        return cls(*(str(word) for word in words))

    @classmethod
    def at(cls, path: str) -> Place:
        """From ``<dir>/<name>/<expno>[/pdata/<procno>]``, or with ``/data/<user>/nmr/`` in it."""
        here, procno = Path(path), "1"
        if here.parent.name == "pdata":
            here, procno = here.parent.parent, here.name
        folder = here.parent.parent
        if folder.name == "nmr" and folder.parent.parent.name == "data":
            return cls(here.parent.name, here.name, procno, str(folder.parent.parent.parent), folder.parent.name)
        return cls(here.parent.name, here.name, procno, str(folder))

    @property
    def path(self) -> Path:
        """The folder of the expno."""
        top = Path(self.folder) / "data" / self.user / "nmr" if self.user else Path(self.folder)
        return top / self.name / self.expno

    @property
    def pdata(self) -> Path:
        """The folder of the procno."""
        return self.path / "pdata" / self.procno

    @property
    def words(self) -> list[str]:
        """As ``CURDATA`` gives it."""
        words = [self.name, self.expno, self.procno, self.folder]
        return [*words, self.user] if self.user else words

    def next(self) -> Place:
        """``iexpno``."""
        return replace(self, expno=str(int(self.expno) + 1))


def exists(place: Place) -> bool:
    """A data set is one when it has an ``acqu``."""
    return (place.path / "acqu").is_file()


def has_data(place: Place) -> bool:
    """Something was acquired here."""
    return any((place.path / name).is_file() for name in RAW)


def copy(source: Place, target: Place) -> None:
    """``wr`` and ``wrpa``: everything, the pulse program and the status files too; one procno."""
    target.path.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.path.iterdir()):
        if path.is_file():
            shutil.copyfile(path, target.path / path.name)
    target.pdata.mkdir(parents=True, exist_ok=True)
    if source.pdata.is_dir():
        for path in sorted(source.pdata.iterdir()):
            if path.is_file():
                shutil.copyfile(path, target.pdata / path.name)


def read(path: Path) -> ParameterFile | None:
    """A parameter file; None where there is none that can be read."""
    with suppress(OSError, ValueError):
        return parse(path.read_text(encoding="latin-1"))
    return None


def write(path: Path, file: ParameterFile) -> None:
    """Write a parameter file at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(file.text(), encoding="latin-1", errors="replace", newline="\n")


def create(place: Place, acqu: ParameterFile, proc: ParameterFile, *, title: str = "", pulse_program: str = "") -> None:
    """A new data set."""
    write(place.path / "acqu", acqu)
    write(place.pdata / "proc", proc)
    (place.pdata / "title").write_text(title, encoding="latin-1", errors="replace", newline="\n")
    if pulse_program:
        (place.path / "pulseprogram").write_text(pulse_program, encoding="latin-1", newline="\n")


def values(path: Path) -> dict[str, Value]:
    """Parameters in a file; none where it cannot be read."""
    found = read(path)
    return {} if found is None else found.values
