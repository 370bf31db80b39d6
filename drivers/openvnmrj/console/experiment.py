"""The experiment's folder on the console's disk: acquired data, text, parameters; svf and rt. Blocking file work."""

from __future__ import annotations

import shutil
from pathlib import Path

from drivers.openvnmrj.magical import MagicalError
from drivers.openvnmrj.vnmrfiles import Parameter, read_procpar, write_procpar

SAVED = ("fid", "text", "procpar", "log")


class Experiment:
    """``exp1`` in the user's folder: ``acqfil/{fid,procpar,log}``, ``text``, ``curpar``; ``shown_as``: the folder's name on the console."""

    def __init__(self, vnmruser: Path, shown_as: str = "") -> None:
        self.vnmruser = vnmruser
        self.shown_as = shown_as
        self.folder = vnmruser / "exp1"
        self.acqfil = self.folder / "acqfil"

    def make(self) -> None:
        """Make the folders of a new user."""
        for folder in (self.acqfil, self.vnmruser / "maclib", self.vnmruser / "data"):
            folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "text").exists():
            self.set_text("")

    def set_text(self, text: str) -> None:
        """``text('…')``."""
        _put(self.folder / "text", _bytes(text + "\n" if text else ""))

    def text(self) -> str:
        """What ``text`` shows."""
        return (self.folder / "text").read_text(encoding="latin-1")

    def write_curpar(self, parameters: str) -> None:
        """Flush the current parameters."""
        _put(self.folder / "curpar", _bytes(parameters))

    def write_data(self, fid: bytes, procpar: bytes, log: bytes) -> None:
        """An acquisition's data."""
        for name, data in (("fid", fid), ("procpar", procpar), ("log", log)):
            _put(self.acqfil / name, data)

    def write_log(self, log: str) -> None:
        """The log alone (an acquisition starts, or never began)."""
        _put(self.acqfil / "log", _bytes(log))

    def target(self, name: str) -> Path:
        """Where svf puts a name: ``.fid`` appended, relative names in the user's data folder (inferred)."""
        path = self.here(name if name.endswith(".fid") else name + ".fid")
        return path if path.is_absolute() else self.vnmruser / "data" / path

    def here(self, name: str) -> Path:
        """A path as the console names it, on this computer."""
        path = Path(name)
        if self.shown_as and path.is_relative_to(self.shown_as):
            return self.vnmruser / path.relative_to(self.shown_as)
        return path

    def save(self, name: str, stamps: dict[str, str] | None, *, force: bool, log: bool, half: bool) -> Path:
        """``svf``; ``stamps`` go into procpar (None: it is copied byte for byte); ``half``: the disk is full."""
        target = self.target(name)
        if not (self.acqfil / "fid").exists():
            raise MagicalError("svf: no data in the current experiment")
        self._make_room(target, force=force)
        fid = (self.acqfil / "fid").read_bytes()
        if half:
            (target / "fid").write_bytes(fid[: len(fid) // 2])
            raise MagicalError(f"svf: error writing {target}/fid: No space left on device")
        (target / "fid").write_bytes(fid)
        shutil.copyfile(self.folder / "text", target / "text")
        (target / "procpar").write_bytes(self._saved_procpar(stamps))
        if log:
            shutil.copyfile(self.acqfil / "log", target / "log")
        return target

    def _saved_procpar(self, stamps: dict[str, str] | None) -> bytes:
        data = (self.acqfil / "procpar").read_bytes()
        if stamps is None:
            return data
        parameters = read_procpar(data.decode("latin-1"))
        for key, value in stamps.items():
            parameters[key].values = [value]
        text = _bytes(write_procpar(parameters.values()))
        _put(self.acqfil / "procpar", text)
        return text

    def _make_room(self, target: Path, *, force: bool) -> None:
        try:
            if target.exists() and force:
                shutil.rmtree(target)
            target.mkdir()
        except FileExistsError:
            raise MagicalError(f"svf: file {target} already exists") from None
        except OSError as error:
            raise MagicalError(f"svf: cannot make {target}: {error.strerror}") from None

    def retrieve(self, name: str) -> dict[str, Parameter]:
        """``rt``: data, text and log of a saved data set back into the experiment; returns its parameters."""
        source = next((path for path in (self.here(name), self.target(name)) if (path / "procpar").exists()), None)
        if source is None:
            raise MagicalError(f"rt: cannot open {name}")
        for kept, target in (("fid", self.acqfil), ("procpar", self.acqfil), ("log", self.acqfil), ("text", self.folder)):
            if (source / kept).exists():
                shutil.copyfile(source / kept, target / kept)
        return read_procpar((source / "procpar").read_text(encoding="latin-1"))


def _bytes(text: str) -> bytes:
    return text.encode("latin-1", errors="replace")


def _put(path: Path, data: bytes) -> None:
    """A new file instead of the one there: where an old one is cut to nothing and written again, ext4 waits for the disk."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)
