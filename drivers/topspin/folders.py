"""TopSpin's data folder as this computer sees it, local or on a share. Blocking: to be called beside the loop."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any

from drivers.base import Fetched, Fid, RawFile, VendorTimes
from drivers.errors import BadReply, Rejected
from drivers.topspin import arrays, files, wire
from drivers.topspin.audit import Audit, parse_audit, utc_ns

RAW_NAMES = ("fid", "ser")
KEPT_NAMES = (
    *RAW_NAMES,
    "acqu",
    "acqus",
    "acqu2",
    "acqu2s",
    "audita.txt",
    "pulseprogram",
    "pdata/1/title",
    "pdata/1/proc",
    "pdata/1/procs",
    "uxnmr.info",
    "uxnmr.par",
    "scon2",
    "shimvalues",
    "specpar",
    "format.temp",
    "vdlist",
    "fq1list",
)
JOURNAL, STATE = "operando_agent.jsonl", "operando_agent.state"


@dataclass(frozen=True, slots=True)
class Known:
    """What the agent's journal says of a key: where its data are, and how far they came."""

    target: str
    state: str
    text: str = ""
    scans: int | None = None


@dataclass(frozen=True, slots=True)
class Folders:
    """``root``: where the agent makes data sets, as TopSpin's computer names it; ``mapping``: its prefixes → ours (longest first)."""

    root: str
    mapping: Mapping[str, str]

    def local(self, remote: str) -> Path:
        """Where a path of TopSpin's computer lies for us."""
        path = PurePosixPath(remote.replace("\\", "/"))
        for prefix in sorted(self.mapping, key=len, reverse=True):
            theirs = PurePosixPath(prefix.replace("\\", "/"))
            if path.is_relative_to(theirs):
                return Path(self.mapping[prefix], *path.relative_to(theirs).parts).expanduser()
        return Path(remote)

    def is_visible(self) -> bool:
        """Is the data folder there for us?"""
        return self.local(self.root).is_dir()

    def beat(self) -> Mapping[str, Any]:
        """The agent's last sign of life; empty where there is none."""
        try:
            beat = json.loads((self.local(self.root) / STATE).read_bytes())
        except (OSError, ValueError):
            return {}
        return beat if isinstance(beat, dict) else {}

    def known(self, key: str, block: int) -> Known | None:
        """What the agent has written down about a key; None where that is nothing."""
        try:
            lines = (self.local(self.root) / JOURNAL).read_bytes().splitlines()
        except OSError:
            return None
        wanted, found = json.dumps(key).encode(), None
        for line in lines:
            if wanted in line and (event := _event(line)).get("key") == key and event.get("block", 0) == block:
                scans = (event.get("par") or {}).get("NS")
                target = str(event.get("target", found.target if found else ""))
                asked = int(scans) if scans is not None else found.scans if found else None
                found = Known(target, str(event.get("ev", "")), str(event.get("text", "")), asked)
        return found

    def wrong(self, target: str) -> str:
        """Empty once the raw data of a data set are there and both sums of its audit trail hold; else what is still missing."""
        return wrong_in(self.local(wire.safe_path(target)))

    def status(self, target: str) -> files.Parameters:
        """The status parameters of a data set; none where they cannot be read."""
        try:
            return _parameters(self._read(target, ("acqus",)), "acqus")
        except (OSError, ValueError):
            return {}

    def fetch(self, known: Known, key: str, block: int) -> Fetched:
        """FID, times, parameters and raw files of a data set.

        Raises Rejected (nothing there), BadReply (not what the format allows, or a sum that does not hold).
        """
        return read_folder(self.local(wire.safe_path(known.target)), key, block, known.scans)

    def fetch_rows(self, key: str, block: int) -> Fetched:
        """A block whose rows have a data set each, as far as they were measured. Raises as ``fetch``."""
        rows: list[Known] = []
        number = (block + 1) * arrays.ROWS_FROM
        while (known := self.known(key, number + len(rows))) is not None:
            rows.append(known)
        whole = list(takewhile(lambda one: one.state == "done", rows))
        if not whole:
            raise Rejected(f"no row of {key} block {block} was measured", advice=rows[0].text if rows else "")
        fetched = [self.fetch(one, key, number + n) for n, one in enumerate(whole)]
        return arrays.combined(fetched, len(rows), key=key, block=block)

    def _read(self, target: str, names: tuple[str, ...]) -> dict[str, bytes]:
        return _read(self.local(wire.safe_path(target)), names)


def read_folder(folder: Path, key: str, block: int, asked: int | None = None, *, ours: bool = True) -> Fetched:
    """A data set; ``asked``: scans that were ordered. Raises Rejected, BadReply as ``Folders.fetch``.

    Not ``ours``: somebody else's, which may have lost its audit trail; one that is there must hold.
    """
    try:
        contents = _read(folder, KEPT_NAMES)
    except OSError as fault:
        raise BadReply(f"{folder} cannot be read: {fault.strerror}", advice="is the share of TopSpin's data still there?") from fault
    raw = _raw(contents)
    if raw is None or "acqus" not in contents:
        raise Rejected(f"no data of {key} block {block}", advice=f"looked in {folder}")
    audit = parse_audit(contents.get("audita.txt", b""))
    try:
        acqus, procs = _parameters(contents, "acqus"), _parameters(contents, "pdata/1/procs", "pdata/1/proc")
        layout = files.layout_of(acqus)
        fid = _fid(files.parse_fid(contents[raw], layout), layout, acqus, procs)
    except (ValueError, KeyError, TypeError) as fault:
        raise BadReply(f"{folder} cannot be read: {fault}", advice="the raw files are as TopSpin left them") from fault
    if (ours or "audita.txt" in contents) and (wrong := audit.wrong(layout.hashed(contents[raw]))):
        raise BadReply(f"{folder}: {wrong}", advice="the raw files are as they were found; look at the data set in TopSpin")
    ordered = asked or int(_parameters(contents, "acqu").get("NS", fid.scans))
    return Fetched(key, block, fid, _times(audit, acqus), acqus, _raw_files(folder, contents), partial=fid.scans != ordered)


def wrong_in(folder: Path) -> str:
    """Empty once the raw data of a data set are there and both sums of its audit trail hold; else what is still missing."""
    try:
        contents = _read(folder, (*RAW_NAMES, "acqus", "audita.txt"))
        raw = _raw(contents)
        if raw is None:
            return "there is neither fid nor ser"
        if missing := {"acqus", "audita.txt"} - set(contents):
            return f"there is no {min(missing)}"
        layout = files.layout_of(files.parse_parameters(contents["acqus"].decode("latin-1")))
    except (OSError, ValueError) as fault:
        return str(fault)
    return parse_audit(contents["audita.txt"]).wrong(layout.hashed(contents[raw]))


def _read(folder: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    return {name: path.read_bytes() for name in names if (path := folder / name).is_file()}


def _raw_files(folder: Path, contents: Mapping[str, bytes]) -> tuple[RawFile, ...]:
    """Named as TopSpin browses them: name, number, file."""
    inside = f"{folder.parent.name}/{folder.name}"
    return tuple(
        RawFile(folder / name, f"{inside}/{name}", len(content), hashlib.sha256(content).hexdigest()) for name, content in contents.items()
    )


def _event(line: bytes) -> Mapping[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _raw(contents: Mapping[str, bytes]) -> str | None:
    return next((name for name in RAW_NAMES if name in contents), None)


def _parameters(contents: Mapping[str, bytes], *names: str) -> files.Parameters:
    """Of the first of these files that is there; none where none is."""
    found = next((contents[name] for name in names if name in contents), None)
    return {} if found is None else files.parse_parameters(found.decode("latin-1"))


def _fid(data: Any, layout: files.Layout, acqus: files.Parameters, procs: files.Parameters) -> Fid:
    gain = acqus.get("RG")
    return Fid(
        data=data,
        nucleus=str(acqus["NUC1"]),
        spectral_width_Hz=float(acqus["SW_h"]),
        carrier_MHz=float(acqus["SFO1"]),
        reference_MHz=files.zero_ppm_MHz(acqus, procs),
        scans=int(acqus["NS"]),
        raw_dtype=layout.dtype,
        group_delay_points=files.group_delay_points(acqus),
        gain=float(gain) if isinstance(gain, int | float) else None,
    )


def _times(audit: Audit, acqus: Mapping[str, Any]) -> VendorTimes:
    stamps = {"started at": audit.started, "ended": audit.ended, "DATE": str(acqus.get("DATE", ""))}
    zone = audit.ended.rpartition(" ")[2] or "UTC"
    said = {name: stamp for name, stamp in stamps.items() if stamp}
    return VendorTimes(said, zone, utc_ns(audit.started), utc_ns(audit.ended), resolution_ns=1_000_000)
