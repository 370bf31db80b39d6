"""``python -m orchestrator.monitor.mail_child``: one message, read from stdin, by e-mail over the laboratory's own relay.

``smtp://RELAY[:PORT]/?to=ADDRESS[,ADDRESS]&from=ADDRESS``: no password, no encryption: a relay of the house. Its parent ends it in time.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:  # a quarter of a second, for whoever only reads a rig file
    from email.message import EmailMessage

SCHEME = "smtp://"
PORT = 25
WITHIN_S = 20.0


class BadMail(ValueError):
    """No address of a relay and of people."""


class Mail(NamedTuple):
    """Where it goes."""

    relay: str
    port: int
    to: tuple[str, ...]
    sender: str


def mail_of(url: str) -> Mail:
    """What a URL says. Raises BadMail."""
    parts = urlsplit(url)
    asked = parse_qs(parts.query)
    to = tuple(one.strip() for text in asked.get("to", []) for one in text.split(",") if one.strip())
    if not url.startswith(SCHEME) or not parts.hostname or not to or any("@" not in one for one in to):
        raise BadMail(f"write smtp://RELAY:25/?to=NAME@PLACE, not `{url}`")
    try:
        port = parts.port or PORT
    except ValueError as error:
        raise BadMail(f"`{url}`: {error}") from error
    sender = next(iter(asked.get("from", [])), f"operando@{socket.gethostname()}")
    return Mail(parts.hostname, port, to, sender)


def letter(mail: Mail, level: str, title: str, text: str) -> EmailMessage:
    """The message; line ends in a title would be headers of their own."""
    from email.message import EmailMessage

    made = EmailMessage()
    made["Subject"] = " ".join(f"[operando {level}] {title}".split())
    made["From"], made["To"] = mail.sender, ", ".join(mail.to)
    made.set_content(text or title)
    return made


def main() -> int:
    """0 when the relay has taken it."""
    import smtplib

    told = json.loads(sys.stdin.read())
    try:
        mail = mail_of(told["url"])
        with smtplib.SMTP(mail.relay, mail.port, timeout=WITHIN_S) as relay:
            relay.send_message(letter(mail, told["level"], told["title"], told["text"]))
    except (BadMail, OSError, smtplib.SMTPException) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
