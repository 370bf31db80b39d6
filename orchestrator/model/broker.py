"""Where a rig publishes: ``broker:`` of the rig file. Pure; no secret stands in it, a password is in a file of its own."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from orchestrator.model.values import Frozen

PORTS = {"mqtt": 1883, "mqtts": 8883}
IN_A_FILE = "a rig file goes into every run, so no password may stand in it; write it into a file and name that as `password_file`"


class Broker(Frozen):
    """An MQTT broker. ``password_file`` and ``ca`` are relative to the rig file's folder, or absolute."""

    url: str
    user: str = ""
    password_file: str = ""
    ca: str = ""
    home_assistant: bool = False

    @property
    def host(self) -> str:
        """The computer's name."""
        return _split(self.url).hostname or ""

    @property
    def port(self) -> int:
        """1883, or 8883 with TLS, unless the URL says otherwise."""
        parts = _split(self.url)
        return parts.port or PORTS[parts.scheme]

    @property
    def tls(self) -> bool:
        """True for ``mqtts://``."""
        return _split(self.url).scheme == "mqtts"


def complaint(url: str) -> str | None:
    """What is wrong with a broker's URL, in a sentence; None when nothing is."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return str(error)
    if parts.password is not None or parts.username is not None:
        return IN_A_FILE
    if parts.scheme not in PORTS or not parts.hostname or parts.path not in {"", "/"} or parts.query or port == 0:
        return f"`{url}` is no broker: write mqtt://HOST, or mqtts://HOST with TLS, and :PORT where it is not 1883 or 8883"
    return None


def _split(url: str) -> SplitResult:
    if (wrong := complaint(url)) is not None:
        raise ValueError(wrong)
    return urlsplit(url)
