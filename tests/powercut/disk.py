"""What a disk may hold after the power was cut: a simulator over the log that ``iolog.c`` has written.

Kept is what was synced. Every 4 KiB page that was written since may be old, newest, or any version between, and a file's
length likewise; the kernel writes back at random. Names (made, linked, renamed, removed) come in one order: the journal of
ext4 and XFS, which any sync commits (``ordered``), or only a sync of the folder itself (``strict``, as POSIX promises).
Honest syncs are assumed: no drive that lies, no page torn within, no bits that rot.
"""

from __future__ import annotations

import random
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

PAGE = 4096
WRITEBACK = 0.005
ACKNOWLEDGED = "ACKNOWLEDGED"


class Operation(NamedTuple):
    """``op``: Created, Truncated (to ``offset``), Written, Synced, Renamed, Linked (to ``data``), Unlinked."""

    op: str
    name: str
    offset: int
    data: bytes


def read_log(path: Path, folder: Path) -> list[Operation]:
    """Every operation under ``folder``, with names relative to it."""
    return list(_operations(path.read_bytes(), f"{folder}/"))


def _operations(raw: bytes, prefix: str) -> Iterator[Operation]:
    at = 0
    while at < len(raw):
        op, name_bytes, offset, data_bytes = struct.unpack_from("<cIQQ", raw, at)
        at += 21
        name = raw[at : at + name_bytes].decode()
        at += name_bytes
        data = raw[at : at + data_bytes] if op in b"WRL" else b""
        at += len(data)
        if op in b"RL":
            data = data.decode().removeprefix(prefix).encode()
        yield Operation(op.decode(), "" if f"{name}/" == prefix else name.removeprefix(prefix), offset, data)


@dataclass
class File:
    """One inode: what is on the disk for certain, and what is on its way."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Operation] = field(default_factory=list)

    def sync(self) -> None:
        for operation in self.pending:
            _apply(self.durable, operation)
        self.pending = []

    def after_cut(self, rng: random.Random) -> bytes:
        """One of the contents that the disk may have."""
        if not self.pending:
            return bytes(self.durable)
        versions, sizes = self._versions()
        style = rng.choice(("none", "mixed", "mixed", "mixed", "all"))
        found, needed = bytearray(self.durable), len(self.durable)
        for page, known in versions.items():
            chosen = _chosen(known, style, rng)
            if chosen is not None:
                found.extend(bytes(max(0, (page + 1) * PAGE - len(found))))
                found[page * PAGE : page * PAGE + len(chosen)] = chosen
                needed = max(needed, page * PAGE + len(chosen))
        size = needed if rng.random() < 0.75 else max(needed, rng.choice(sizes))
        del found[size:]
        found.extend(bytes(size - len(found)))
        return bytes(found)

    def _versions(self) -> tuple[dict[int, list[bytes]], list[int]]:
        """Each page's contents since the last sync, and each length."""
        image, sizes = bytearray(self.durable), [len(self.durable)]
        versions: dict[int, list[bytes]] = defaultdict(list)
        for operation in self.pending:
            _apply(image, operation)
            sizes.append(len(image))
            if operation.op == "W":
                for page in range(operation.offset // PAGE, (operation.offset + len(operation.data) - 1) // PAGE + 1):
                    versions[page].append(bytes(image[page * PAGE : (page + 1) * PAGE]))
        return versions, sizes


def _apply(image: bytearray, operation: Operation) -> None:
    if operation.op == "W":
        end = operation.offset + len(operation.data)
        image.extend(bytes(max(0, end - len(image))))
        image[operation.offset : end] = operation.data
    else:
        del image[operation.offset :]
        image.extend(bytes(operation.offset - len(image)))


def _chosen(known: Sequence[bytes], style: str, rng: random.Random) -> bytes | None:
    """None: the page is as it was at the last sync."""
    if style != "mixed":
        return known[-1] if style == "all" else None
    dice = rng.random()
    return None if dice < 1 / 3 else known[-1] if dice < 2 / 3 else rng.choice(known)


Names = dict[str, int]


class Change(NamedTuple):
    """A change of names: ``add``, ``remove``, or ``move`` of a name and all below it."""

    what: str
    name: str
    file: int = 0
    to: str = ""

    @property
    def folder(self) -> str:
        return (self.to or self.name).rpartition("/")[0]

    def apply(self, names: Names) -> None:
        if self.what == "add":
            names[self.name] = self.file
        elif self.what == "remove":
            names.pop(self.name, None)
        elif self.file:
            names.pop(self.name, None)
            names[self.to] = self.file
        else:
            for name in [name for name in names if name.startswith(f"{self.name}/")]:
                names[self.to + name.removeprefix(self.name)] = names.pop(name)


class Disk:
    """The state of a disk while operations come; ``after_cut`` says what may be left of it."""

    def __init__(self, rng: random.Random, *, strict: bool) -> None:
        self._rng = rng
        self._strict = strict
        self._files: dict[int, File] = {}
        self._names: Names = {}
        self._durable: Names = {}
        self._changes: list[Change] = []
        self.acknowledged = 0

    def take(self, operation: Operation) -> None:
        """One more operation has been done."""
        if operation.name == ACKNOWLEDGED:
            if operation.op == "W":
                self.acknowledged = struct.unpack("<q", operation.data)[0]
            return
        if self._rng.random() < WRITEBACK:
            self._write_back()
        name, names = operation.name, self._names
        if operation.op == "C" and name not in names:
            self._files[len(self._files) + 1] = File()
            self._change(Change("add", name, len(self._files)))
        elif operation.op in "WT" and name in names:
            self._files[names[name]].pending.append(operation)
        elif operation.op == "S":
            self._sync(name)
        elif operation.op == "R":
            self._change(Change("move", name, names.get(name, 0), operation.data.decode()))
        elif operation.op == "L":
            self._change(Change("add", operation.data.decode(), names[name]))
        elif operation.op == "U":
            self._change(Change("remove", name))

    def after_cut(self) -> dict[str, bytes]:
        """File name → content, as the next start may find them."""
        names = dict(self._durable)
        for change in self._changes[: self._rng.randint(0, len(self._changes))]:
            change.apply(names)
        return {name: self._files[file].after_cut(self._rng) for name, file in sorted(names.items())}

    def _change(self, change: Change) -> None:
        change.apply(self._names)
        self._changes.append(change)

    def _sync(self, name: str) -> None:
        if name in self._names:
            self._files[self._names[name]].sync()
        if not self._strict:
            self._commit(len(self._changes))
        elif name not in self._names:
            last = max((n for n, change in enumerate(self._changes) if change.folder == name), default=-1)
            self._commit(last + 1)

    def _commit(self, n: int) -> None:
        for change in self._changes[:n]:
            change.apply(self._durable)
        del self._changes[:n]

    def _write_back(self) -> None:
        for file in self._files.values():
            file.sync()
        self._commit(len(self._changes))


def cut_at(operations: Sequence[Operation], at: int, seed: int, *, strict: bool) -> tuple[dict[str, bytes], int]:
    """What may be on the disk when the power goes after ``at`` operations, and the last number that had been acknowledged."""
    disk = Disk(random.Random(f"{seed} {at}"), strict=strict)
    for operation in operations[:at]:
        disk.take(operation)
    return disk.after_cut(), disk.acknowledged


def lay_down(files: dict[str, bytes], folder: Path) -> None:
    """Write the files of a cut."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
