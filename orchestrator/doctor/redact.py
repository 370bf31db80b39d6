"""What may be shown to strangers: names of people, computers and instruments taken out of a text. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
MAC = re.compile(r"\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}\b")
MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
LOOPBACK = "127.0.0.1"
SHORTEST = 3


def redacted(text: str, names: Mapping[str, str]) -> str:
    """``names``: what to hide → what to write instead; the longest first, whatever its case. Addresses and mail go anyway."""
    for name in sorted((each for each in names if len(each) >= SHORTEST), key=len, reverse=True):
        text = re.sub(re.escape(name), names[name], text, flags=re.IGNORECASE)
    text = MAIL.sub("<mail>", MAC.sub("<mac>", text))
    return ADDRESS.sub(lambda found: found[0] if found[0] == LOOPBACK else "<address>", text)
