"""Files of cyclers that grow: each look brings the rows that are new. Blocking; nothing is written.

Text (``.mpt``, BDF) is read on from where the last whole line ended. Of ``.mpr`` the library tells once where the rows lie, and
further ones are read from there. Neware's files are read whole each time, at most a twentieth of the time.
"""

from __future__ import annotations

import io
import json
import re
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from drivers.follow.clocks import EPOCH, dated
from drivers.follow.columns import NONE, Rows, from_bdf, from_ec_lab, from_neware, whole

READ_WITHIN_s = 300.0
SHARE_OF_TIME = 20.0
MOST_BYTES = 8 << 20
"""Of a text so much is taken at one look."""
MOST_ROWS = 200_000
HEAD_BYTES = 1 << 16


class Unreadable(Exception):
    """Nothing can be read now; perhaps later. Says why."""


@dataclass(frozen=True, slots=True)
class Start:
    """When a file's time 0 was, by its own words: in UTC, or local readings by order of day and month. Empty: it does not say."""

    utc_ns: int | None = None
    local: Mapping[str, datetime] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """What one look brought: ``first`` is the number of its first row in the file."""

    rows: Rows
    first: int


class Tail:
    """One file. ``taken``: rows that were given out. ``trouble``: why nothing could be read, last time. ``library``: who reads it."""

    kind = ""

    def __init__(self, path: Path, taken: int = 0) -> None:
        self.path = path
        self.taken = 0
        self.start = Start()
        self.trouble = ""
        self.library = "operando-nmr"
        self._skip = taken
        self._seen: tuple[int, int] = (0, 0)
        self._last_s = -np.inf

    def look(self) -> Taken | None:
        """New rows since the last look; None: none. Raises OSError where the file cannot be reached."""
        found = self.path.stat()
        seen = (found.st_size, found.st_mtime_ns)
        if seen == self._seen:
            return None
        try:
            rows, more = self._read(found.st_size)
            self.trouble = ""
        except Unreadable as why:
            self.trouble = str(why)
            return None
        if not more:
            self._seen = seen
        return self._given(rows) if len(rows) else None

    def _given(self, rows: Rows) -> Taken | None:
        """Count them; those that an earlier process has taken are not given out again."""
        first = self.taken
        self.taken += len(rows)
        self._last_s = rows.time_s[-1]
        skipped = max(0, min(len(rows), self._skip - first))
        return Taken(rows.part(skipped), first + skipped) if skipped < len(rows) else None

    def _read(self, size: int) -> tuple[Rows, bool]:
        """Rows behind ``taken``, and whether there is more to be had at once. Raises Unreadable, OSError."""
        raise NotImplementedError


# ------------------------------------------------------------------------------------------------------------------ text


class TextTail(Tail):
    """Lines of numbers behind a head."""

    def __init__(self, path: Path, taken: int = 0) -> None:
        super().__init__(path, taken)
        self._at = 0
        self._head = b""
        self._names: list[str] = []
        self._steps = 0

    def _read(self, size: int) -> tuple[Rows, bool]:
        with self.path.open("rb") as file:
            head = file.read(max(len(self._head), 64))
            if size < self._at or not head.startswith(self._head[: len(head)]):
                self._again()
            if not self._names and not self._begin(file):
                return NONE, False
            file.seek(self._at)
            content = file.read(MOST_BYTES)
        lines, newline, _ = content.rpartition(b"\n")
        self._at += len(lines) + len(newline)
        return self._rows(lines.decode("latin-1")), self._at < size and len(content) == MOST_BYTES

    def _again(self) -> None:
        """It was written anew (an export that replaces the former): its rows that were taken are passed over."""
        self._skip, self.taken, self._at, self._head, self._names, self._steps = max(self._skip, self.taken), 0, 0, b"", [], 0
        self._last_s = -np.inf

    def _begin(self, file: Any) -> bool:
        """Read the head, once it is whole; then ``_names``, ``_at`` and ``start`` are known."""
        raise NotImplementedError

    def _columns(self, table: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def _split(self, line: str) -> list[str]:
        raise NotImplementedError

    def _rows(self, text: str) -> Rows:
        width = len(self._names)
        fields = [parts for line in text.splitlines() if len(parts := self._split(line)) >= width]
        if not fields:
            return NONE
        columns = zip(*(parts[:width] for parts in fields), strict=True)
        table = {name: np.array([_number(one) for one in column]) for name, column in zip(self._names, columns, strict=True)}
        try:
            made = self._columns(table)
        except ValueError as wrong:
            raise Unreadable(f"{self.path.name}: {wrong}") from wrong
        rows = Rows.of(made)
        if not np.isfinite(rows.time_s).all():
            raise Unreadable(f"{self.path.name}: its times are no numbers (exported as dates?); export them in seconds since the start")
        return rows


def _number(text: str) -> float:
    """NaN for what is none; a decimal comma is one."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return float("nan")


class MptTail(TextTail):
    """EC-Lab's text export, which may go on while it measures."""

    kind = "EC-Lab .mpt"

    def _begin(self, file: Any) -> bool:
        file.seek(0)
        text = file.read(HEAD_BYTES)
        lines = text.split(b"\n")
        if len(lines) < 3:
            return False
        if not lines[0].startswith((b"EC-Lab ASCII FILE", b"BT-Lab ASCII FILE")):
            raise Unreadable(f"{self.path.name} does not begin as EC-Lab's text files do")
        count = int(b"0" + b"".join(lines[1].partition(b":")[2].split()))
        if count < 3 or len(lines) <= count:
            return False
        self._head = b"\n".join(lines[:count]) + b"\n"
        self._at = len(self._head)
        self._names = [name.strip() for name in lines[count - 1].decode("latin-1").rstrip("\r\n").split("\t") if name.strip()]
        stamp = next((line for line in lines[:count] if line.startswith(b"Acquisition started on")), b"").decode("latin-1")
        self.start = Start(local=dated(stamp), text=stamp.partition(":")[2].strip())
        return True

    def _split(self, line: str) -> list[str]:
        return line.rstrip("\r").split("\t")

    def _columns(self, table: dict[str, Any]) -> dict[str, Any]:
        made = from_ec_lab(table)
        if "step" in made and "Ns" not in table:
            made["step"] = made["step"] + self._steps
            self._steps = int(made["step"][-1])
        return made


class BdfTail(TextTail):
    """The Battery Data Format as CSV."""

    kind = "BDF"

    def _begin(self, file: Any) -> bool:
        file.seek(0)
        line, newline, rest = file.read(HEAD_BYTES).partition(b"\n")
        second, whole_line, _ = rest.partition(b"\n")
        if not newline or not whole_line:
            return False
        self._head, self._at = line + newline, len(line) + 1
        self._names = [name.strip().strip('"') for name in line.decode("utf-8-sig", "replace").rstrip("\r").split(",")]
        first = dict(zip(self._names, self._split(second.decode("latin-1")), strict=False))
        if "Unix Time / s" in first:
            zero_s = _number(first["Unix Time / s"]) - _number(first.get("Test Time / s", "0"))
            self.start = Start(utc_ns=round(zero_s * 1e6) * 1000, text=first["Unix Time / s"])
        return True

    def _split(self, line: str) -> list[str]:
        return [part.strip().strip('"') for part in line.rstrip("\r").split(",")]

    def _columns(self, table: dict[str, Any]) -> dict[str, Any]:
        return from_bdf(table)


# ---------------------------------------------------------------------------------------------------------------- binary


def read_by_library(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """All columns and what else the library knows, read in a process of its own. Raises Unreadable."""
    command = [sys.executable, "-m", "drivers.follow.ec_child", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=READ_WITHIN_s, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise Unreadable(f"{path.name}: its reader was stopped after {READ_WITHIN_s:.0f} s") from None
    if done.returncode:
        raise Unreadable(f"{path.name}: {done.stderr.decode(errors='replace')[-300:] or f'its reader ended with {done.returncode}'}")
    with np.load(io.BytesIO(done.stdout)) as answer:
        meta = json.loads(str(answer["meta"]))
        return {name: answer[f"c{n}"] for n, name in enumerate(meta["names"])}, meta


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the rows of an ``.mpr`` lie, and what stood before them."""

    dtype: np.dtype[Any]
    rows_at: int
    count_at: int
    module_at: int
    head: bytes

    def same(self, head: bytes) -> bool:
        """Is it still the same file? Only its counts may have changed."""
        ours, theirs = self._fixed(self.head), self._fixed(head)
        return len(head) == self.rows_at and ours == theirs

    def _fixed(self, head: bytes) -> bytes:
        return head[: self.module_at] + head[self.count_at + 4 :]


class MprTail(Tail):
    """EC-Lab's own file. Inferred: while it grows its count of rows is written after them."""

    kind = "EC-Lab .mpr"

    def __init__(self, path: Path, taken: int = 0) -> None:
        super().__init__(path, taken)
        self._layout: Layout | None = None
        self._steps = 0
        self._pace = Pace()

    def _read(self, size: int) -> tuple[Rows, bool]:
        with self.path.open("rb") as file:
            layout = self._layout
            if layout is None or not layout.same(file.read(layout.rows_at)):
                return self._whole(), False
            file.seek(layout.count_at)
            count = min(struct.unpack("<I", file.read(4))[0], (size - layout.rows_at) // layout.dtype.itemsize)
            n = min(count - self.taken, MOST_ROWS)
            file.seek(layout.rows_at + self.taken * layout.dtype.itemsize)
            content = file.read(max(0, n) * layout.dtype.itemsize)
        data = np.frombuffer(content, layout.dtype, len(content) // layout.dtype.itemsize)
        rows = self._rows({name: data[name] for name in layout.dtype.names or ()})
        sound = whole(rows, float(self._last_s))
        return sound, count - self.taken > n and len(sound) == len(rows)

    def _whole(self) -> Rows:
        columns, meta = self._pace.read(self.path)
        self.library = meta["library"]
        start = meta.get("start", "")
        self.start = Start(local=dated(start.replace("T", " ")), text=start) if start else started_by_log(self.path)
        self._layout = self._found(meta.get("layout"))
        n = next((len(column) for column in columns.values()), 0)
        if n < self.taken:
            raise Unreadable(f"{self.path.name} has {n} rows, and {self.taken} were read before")
        return self._rows({name: column[self.taken :] for name, column in columns.items()})

    def _found(self, layout: Mapping[str, Any] | None) -> Layout | None:
        if layout is None or layout["count_at"] < 0:
            return None
        dtype = np.dtype([(str(name), str(kind)) for name, kind in layout["dtype"]])
        with self.path.open("rb") as file:
            return Layout(dtype, layout["rows_at"], layout["count_at"], layout["module_at"], file.read(layout["rows_at"]))

    def _rows(self, columns: dict[str, Any]) -> Rows:
        if not columns or not len(next(iter(columns.values()))):
            return NONE
        try:
            made = from_ec_lab(columns)
        except ValueError as wrong:
            raise Unreadable(f"{self.path.name}: {wrong}") from wrong
        if "step" in made and "Ns" not in columns:
            made["step"] = made["step"] + self._steps
            self._steps = int(made["step"][-1])
        return Rows.of(made)


def started_by_log(path: Path) -> Start:
    """When a file began that does not say so itself yet: by the log (``.mpl``) beside it that names it. Raises OSError."""
    for log in sorted(path.parent.glob("*.mpl")):
        text = log.read_text("latin-1", "replace")
        stamp = next((line for line in text.splitlines() if line.startswith("Acquisition started on")), "")
        if re.search(rf"^\s*File : {re.escape(path.name)}\s*$", text, re.MULTILINE) and stamp:
            return Start(local=dated(stamp), text=stamp.partition(":")[2].strip())
    return Start()


class Pace:
    """Whole files are read again only so often that reading takes a small share of the time, however long they become."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._not_before_s = -np.inf

    def read(self, path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        """As ``read_by_library``; Unreadable too while it is too early."""
        began_s = self._monotonic()
        if began_s < self._not_before_s:
            raise Unreadable(f"{path.name} is read again in {self._not_before_s - began_s:.0f} s")
        try:
            return read_by_library(path)
        finally:
            ended_s = self._monotonic()
            self._not_before_s = ended_s + SHARE_OF_TIME * (ended_s - began_s)


class NewareTail(Tail):
    """Neware's own file, read whole."""

    kind = "Neware"

    def __init__(self, path: Path, taken: int = 0) -> None:
        super().__init__(path, taken)
        self._pace = Pace()

    def _read(self, _: int) -> tuple[Rows, bool]:
        columns, meta = self._pace.read(self.path)
        self.library = meta["library"]
        if meta.get("start_unix_s") is not None:
            # inferred: what the library calls Unix time counts the local clock's hours; in real files it equals the local start in words.
            local = (EPOCH + timedelta(seconds=meta["start_unix_s"])).replace(tzinfo=None)
            self.start = Start(local={"mdy": local, "dmy": local}, text=local.isoformat())
        rows = Rows.of(from_neware(columns))
        if len(rows) < self.taken:
            raise Unreadable(f"{self.path.name} has {len(rows)} rows, and {self.taken} were read before")
        return rows.part(self.taken), False


TAILS: Mapping[str, Callable[[Path, int], Tail]] = {
    ".mpt": MptTail,
    ".mpr": MprTail,
    ".nda": NewareTail,
    ".ndax": NewareTail,
    ".csv": BdfTail,
}


def ec_files(path: Path) -> list[Path]:
    """The files of a cycler at a path: itself, or those of a folder, by name. Raises OSError.

    Of an ``.mpr`` and an ``.mpt`` of one name the ``.mpr`` is read: the other is its export.
    """
    if path.is_file():
        return [path]
    found = sorted(one for one in path.iterdir() if one.suffix.lower() in TAILS and one.is_file() and not one.name.startswith("."))
    binary = {one.stem for one in found if one.suffix.lower() == ".mpr"}
    return [one for one in found if one.suffix.lower() != ".mpt" or one.stem not in binary]


def open_tail(path: Path, taken: int = 0) -> Tail:
    """The tail of a file by its ending. Raises Unreadable."""
    make = TAILS.get(path.suffix.lower())
    if make is None:
        raise Unreadable(f"{path.name}: no file of a cycler that can be read; these can: {', '.join(TAILS)}")
    return make(path, taken)
