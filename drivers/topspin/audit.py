"""``audita.txt``: start and end of an acquisition with their zone, and the two MD5 sums that prove it whole. Pure.

Grammar and both sums were found in real files of TopSpin 2.1 and 3.6.2: the last line is the MD5 of every byte before ``##END=``;
``data hash MD5`` is that of the raw numbers without their padding, in little-endian order (a big-endian ``fid`` is turned first).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

END = b"##END="
_PAIRS = r"((?:[0-9A-Fa-f]{2}\s+){15}[0-9A-Fa-f]{2})"
_OWN = re.compile(r"\$\$ hash MD5\s*\$\$\s*" + _PAIRS)
_DATA = re.compile(r"data hash MD5:[^\n]*\n\s*" + _PAIRS)
_ENTRY = re.compile(r"\(\s*\d+,<([^>]*)>,<([^>]*)>,<([^>]*)>,<([^>]*)>,<([^>]*)>,")
_STAMP = r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? [+-]\d{4})"
_STARTED = re.compile(r"started at\s+" + _STAMP)


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit trail says. Stamps verbatim (``2023-08-11 12:32:23.303 +0100``); hashes as 32 capital hex digits."""

    started: str
    ended: str
    who: str
    where: str
    process: str
    version: str
    data_hash: str
    own_hash: str
    true_own_hash: str

    def wrong(self, data: bytes) -> str:
        """Empty when both sums hold for these raw numbers (``Layout.hashed``); else what is wrong."""
        if not self.own_hash or not self.data_hash:
            return "audita.txt is not finished"
        if self.own_hash != self.true_own_hash:
            return "audita.txt was changed: its own sum does not hold"
        return "" if md5(data) == self.data_hash else "the data are not those that audita.txt speaks of: its sum does not hold"


def md5(data: bytes) -> str:
    """The format's own sum; it proves wholeness, not authorship."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest().upper()


def parse_audit(content: bytes) -> Audit:
    """The first entry (the acquisition) and the sums; what is not there is empty."""
    head, _, tail = content.partition(END)
    text = head.decode("latin-1")
    entry, started = _ENTRY.search(text), _STARTED.search(text)
    ended, who, where, process, version = entry.groups() if entry else ("", "", "", "", "")
    return Audit(
        started=started.group(1) if started else "",
        ended=ended,
        who=who,
        where=where,
        process=process,
        version=" ".join(version.split()),
        data_hash=_last(_DATA, text),
        own_hash=_last(_OWN, tail.decode("latin-1")),
        true_own_hash=md5(head),
    )


def _last(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.findall(text)
    return "".join(found[-1].split()).upper() if found else ""


def utc_ns(stamp: str) -> int | None:
    """A stamp with its zone, as UTC nanoseconds; None where it is none."""
    for form in ("%Y-%m-%d %H:%M:%S.%f %z", "%Y-%m-%d %H:%M:%S %z"):
        try:
            moment = datetime.strptime(stamp, form)  # noqa: DTZ007  both forms have a zone
        except ValueError:
            continue
        return int(moment.replace(microsecond=0).timestamp()) * 1_000_000_000 + moment.microsecond * 1000
    return None
