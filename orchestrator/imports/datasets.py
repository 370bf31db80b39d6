"""A console's data folders as they appear on a share: which are there, which are complete, which are new. Blocking; only reads.

A folder is taken when nothing in it has changed for ``SETTLE_s`` **and** its vendor's rules say that it is complete. What was
taken is not looked into again, so that a look costs the same after a week.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from drivers import registry
from drivers.base import DataReader, Fetched
from drivers.errors import InstrumentError

SETTLE_s = 1.5
DEEPEST = 5
TRIES = 3
LIST_YOUNG_s, LIST_ANYWAY_s = 3.0, 60.0
"""A folder's own time is coarse on some shares, and wrong on few: it is listed again so long after it was new, and so often anyway."""
MOST = 16
"""FIDs are held in memory until they are told."""
UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
LONGEST_KEY = 56

Signature = tuple[tuple[str, int, int], ...]


class Seen(NamedTuple):
    """Two looks, by the clock of ``Datasets``: at ``before_s`` the files were not yet as they are, at ``at_s`` they were."""

    before_s: float
    at_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """One data set that nobody writes any more. ``key``: what it is called in the run. ``fetched`` None: it cannot be read, ``why``."""

    folder: Path
    key: str
    vendor: str
    program: str
    fetched: Fetched | None
    why: str
    seen: Seen
    appeared: Seen
    reader: DataReader

    @property
    def saved_stamps(self) -> tuple[str, ...]:
        """Names of the stamps of saving."""
        return self.reader.saved_stamps

    @property
    def stamped(self) -> Seen:
        """Between which looks the moment of the stamp lies: when the folder appeared, or when it changed last."""
        return self.appeared if self.reader.stamped_first else self.seen

    @property
    def name(self) -> str:
        """Of the acquisition that it is one of: nucleus and pulse program, since nobody has given it another."""
        nucleus = self.fetched.fid.nucleus if self.fetched is not None else ""
        return safe("_".join(part for part in (nucleus, self.program) if part)) or "acquisition"


@dataclass(slots=True)
class Growing:
    """A folder that is not taken yet. ``judged``: as it was when the vendor's rules were last asked; ``lacking``: what they said."""

    reader: DataReader
    seen: Seen
    appeared: Seen
    signature: Signature = ()
    judged: Signature = ()
    lacking: str = ""
    failed: int = 0


@dataclass(slots=True)
class Listing:
    """What one folder held that is still to be looked at. ``settled``: listed again after its time had stood still."""

    changed_ns: int
    listed_s: float
    inside: dict[str, None]
    reader: DataReader | None
    settled: bool


class Datasets:
    """``look`` again and again, from one thread at a time. ``taken``: keys that stand in the run already.

    ``settle_s`` 0: what is there is finished, and what is not complete is found too, as what it is.
    """

    def __init__(self, root: Path, now_s: Callable[[], float], taken: Iterable[str] = (), *, settle_s: float = SETTLE_s) -> None:
        self.root = root
        self.growing: dict[Path, Growing] = {}
        self._readers = registry.make_readers()
        self._now_s = now_s
        self._taken = dict.fromkeys(taken)
        self._settle_s = settle_s
        self._looked_s = float("-inf")
        self._done: dict[Path, dict[str, None]] = {}
        self._listings: dict[Path, Listing] = {}

    def look(self, most: int = MOST) -> list[Found]:
        """What has become complete since the last look, so many at most, in the order of names. Raises OSError where the share is gone."""
        now_s = self._now_s()
        found: list[Found] = []
        there: dict[Path, Growing] = {}
        for folder, reader in self._candidates(self.root, 0, now_s):
            if len(found) >= most:
                self.growing |= there
                return found
            if (key := key_of(folder, self.root)) in self._taken:
                self._finished(folder)
                continue
            growing = self.growing.get(folder) or Growing(reader, seen := Seen(self._looked_s, now_s), seen)
            if growing.reader is not reader:  # only now the vendor shows
                growing.reader, growing.judged = reader, ()
            if (one := self.judge(folder, key, growing, now_s)) is None:
                there[folder] = growing
            else:
                found.append(one)
                self._finished(folder)
                self._taken[key] = None
        self.growing, self._looked_s = there, now_s
        return found

    def again(self, found: Found) -> None:
        """It could not be used after all: look at it anew."""
        self._taken.pop(found.key, None)
        self._done.get(found.folder.parent, {}).pop(found.folder.name, None)
        self._listings.pop(found.folder.parent, None)

    def _candidates(self, folder: Path, depth: int, now_s: float) -> Iterator[tuple[Path, DataReader]]:
        """Folders that are, or become, a data set; those that are done with are not opened."""
        listing = self._listed(folder, now_s)
        if listing.reader is not None:
            yield folder, listing.reader
        elif depth < DEEPEST:
            for name in list(listing.inside):
                yield from self._inside(folder / name, depth + 1, now_s)

    def _inside(self, folder: Path, depth: int, now_s: float) -> Iterator[tuple[Path, DataReader]]:
        """As ``_candidates``, of a folder that may go while we look."""
        try:
            yield from self._candidates(folder, depth, now_s)
        except FileNotFoundError:
            self._listings.pop(folder, None)

    def _listed(self, folder: Path, now_s: float) -> Listing:
        """What is in a folder that is still to be looked at; read anew when the folder has changed, and now and then anyway."""
        changed_ns = folder.stat().st_mtime_ns
        known = self._listings.get(folder)
        if (
            known is not None
            and known.changed_ns == changed_ns
            and now_s - known.listed_s < (LIST_ANYWAY_s if known.settled else LIST_YOUNG_s)
        ):
            return known
        done = self._done.get(folder, {})
        files, inside = set(), []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name in done or entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    inside.append(entry.name)
                else:
                    files.add(entry.name)
        same = known is not None and known.changed_ns == changed_ns
        listing = Listing(changed_ns, now_s, dict.fromkeys(sorted(inside)), self.reader_for(files), settled=same)
        self._listings[folder] = listing
        return listing

    def _finished(self, folder: Path) -> None:
        """It is not opened again."""
        self._done.setdefault(folder.parent, {})[folder.name] = None
        self._listings.pop(folder, None)
        if (above := self._listings.get(folder.parent)) is not None:
            above.inside.pop(folder.name, None)

    def reader_for(self, names: set[str]) -> DataReader | None:
        """Whose data set holds files of these names: by the file that only one vendor writes, else by any that a data set begins with."""
        exact = next((reader for reader in self._readers.values() if reader.parameter_file in names), None)
        return exact or next((reader for reader in self._readers.values() if names.intersection(reader.opens)), None)

    def judge(self, folder: Path, key: str, growing: Growing, now_s: float) -> Found | None:
        """The data set, once it is still and complete (or known not to become so)."""
        signature = _signature(folder)
        if signature != growing.signature:
            growing.signature, growing.seen = signature, Seen(growing.seen.before_s if not growing.signature else self._looked_s, now_s)
        if now_s - growing.seen.at_s < self._settle_s or signature == growing.judged:
            return None
        growing.lacking = growing.reader.lacking(folder)
        if growing.lacking:
            growing.judged = signature
            return None if self._settle_s else self._found(folder, key, growing, None, f"not complete: {growing.lacking}")
        return self._read(folder, key, growing)

    def _read(self, folder: Path, key: str, growing: Growing) -> Found | None:
        """A complete folder that cannot be read is tried again, and then told as what it is."""
        try:
            fetched = growing.reader.read(folder, key)
        except InstrumentError as error:
            growing.failed += 1
            return None if self._settle_s and growing.failed < TRIES else self._found(folder, key, growing, None, str(error))
        if _signature(folder) != growing.signature:
            return None
        return self._found(folder, key, growing, fetched, "")

    @staticmethod
    def _found(folder: Path, key: str, growing: Growing, fetched: Fetched | None, why: str) -> Found:
        reader = growing.reader
        program = "" if fetched is None else reader.program(fetched)
        return Found(folder, key, reader.vendor, program, fetched, why, growing.seen, growing.appeared, reader)


def open_folder(folder: Path, root: Path) -> Found:
    """One data set that is finished, complete or not."""
    one = Datasets(root, lambda: 0.0, settle_s=0.0)
    reader = one.reader_for({path.name for path in folder.iterdir() if path.is_file()})
    growing = Growing(reader, never := Seen(float("-inf"), 0.0), never) if reader is not None else None
    found = None if growing is None else one.judge(folder, key_of(folder, root), growing, 0.0)
    if found is None:
        raise FileNotFoundError(f"{folder} is no data set any more")
    return found


def key_of(folder: Path, root: Path) -> str:
    """A data set's own name below the share, fit for a key. An experiment number alone gets the name of its series before it."""
    parts = folder.relative_to(root).parts or (root.name,)
    if parts[0].isdigit():
        parts = (root.name, *parts)
    text = safe("-".join((*parts[:-1], parts[-1].removesuffix(".fid"))))
    if len(text) <= LONGEST_KEY:
        return text
    return f"{text[: LONGEST_KEY - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def safe(text: str) -> str:
    """Letters, digits, minus and underscore."""
    return UNSAFE.sub("_", text).strip("_")


def _signature(folder: Path) -> Signature:
    """Name, size and time of every file, at any depth: the same twice means that nobody writes any more."""
    found = []
    for path, _, names in os.walk(folder):
        for name in names:
            file = Path(path, name)
            try:
                status = file.stat()
            except FileNotFoundError:
                continue
            found.append((str(file.relative_to(folder)), status.st_size, status.st_mtime_ns))
    return tuple(sorted(found))
