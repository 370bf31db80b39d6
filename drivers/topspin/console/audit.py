"""The audit trails of a data set, ``audita.txt`` and ``auditp.txt``, with their hashes. Pure.

The data hash is over the stored points without the padding; the last line hashes every byte before ``##END=``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from drivers.topspin.console.releases import Release

END = b"##END="


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: when, which process, and what it says (lines as they stand, already indented)."""

    when: datetime
    process: str
    what: str


@dataclass(frozen=True, slots=True)
class Desk:
    """Who sits where, as the trail names them."""

    user: str
    host: str
    instrument: str
    release: Release


def trail(desk: Desk, path: str, entries: Sequence[Entry]) -> bytes:
    """The whole file."""
    lines = [
        f"##TITLE= Audit trail, {desk.release.title}",
        "##JCAMPDX= 5.01",
        "##ORIGIN= Bruker BioSpin GmbH",
        f"##OWNER= {desk.user}",
        f"$$ {path}",
        "##AUDIT TRAIL=  $$ (NUMBER, WHEN, WHO, WHERE, PROCESS, VERSION, WHAT)",
    ]
    for number, entry in enumerate(entries, 1):
        lines.append(
            f"({number:4d},<{stamp(entry.when, desk.release)}>,<{desk.user}>,<{desk.host}>,<{entry.process}>,<{desk.release.audit}>,"
        )
        lines.append(f"      <{entry.what}>)")
    return sealed(("\n".join(lines) + "\n").encode("latin-1", errors="replace"))


def sealed(body: bytes) -> bytes:
    """With its end and its own hash."""
    return body + END + f"\n\n$$ hash MD5\n$$ {spaced(body)}\n".encode()


def again(audit: bytes, desk: Desk, entry: Entry) -> bytes:
    """A trail with one more entry."""
    body = audit.partition(END)[0]
    number = body.count(b"\n(") + 1
    text = f"({number:4d},<{stamp(entry.when, desk.release)}>,<{desk.user}>,<{desk.host}>,<{entry.process}>,<{desk.release.audit}>,\n"
    return sealed(body + f"{text}      <{entry.what}>)\n".encode("latin-1", errors="replace"))


def stamp(when: datetime, release: Release) -> str:
    """Local time with milliseconds and zone; with a T and no blank in the newest."""
    text = when.isoformat(sep="T" if release.iso_stamps else " ", timespec="milliseconds")
    clock, zone = text[:23], when.strftime("%z")
    return clock + ("" if release.iso_stamps else " ") + zone


def acquired(desk: Desk, began: datetime, data: bytes, label: str, uuid: str, *, by: str = "zg") -> str:
    """What an acquisition says of itself; ``data`` without its padding, ``label`` its size."""
    configuration = f"{desk.instrument} {desk.host} {desk.release.name}".encode()
    what = f"created by {by}\n\tstarted at {stamp(began, desk.release)},\n\tPOWCHK enabled, PULCHK disabled,"
    if desk.release.iso_stamps:  # inferred: what stands behind "started at" in the newest
        what = (
            f"created by {by} on '{desk.instrument}' ({desk.host}) by user '{desk.user}'\n"
            f"       on data set with UUID '{uuid}'\n"
            f"       started at {stamp(began, desk.release)},\n"
            "       POWCHK enabled, PULCHK disabled,"
        )
    return f"{what}\n       configuration hash MD5:\n       {spaced(configuration)}\n       data hash MD5: {label}\n       {spaced(data)}"


def spaced(data: bytes) -> str:
    """MD5 in capitals, two digits a word."""
    return hashlib.md5(data, usedforsecurity=False).digest().hex(" ").upper()


def size(points: int, rows: int = 1) -> str:
    """``32K`` where it is a whole number of them; ``2K * 128`` for rows."""
    text = f"{points // 1024}K" if points % 1024 == 0 else str(points)
    return text if rows == 1 else f"{text} * {rows}"
