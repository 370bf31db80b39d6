"""``operando init broker``: certificates, passwords and the access list of a broker, in one folder; again, to add users or hosts."""

from __future__ import annotations

import json
import re
import secrets
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from drivers.durable import OWNER_ONLY, write_durably
from orchestrator.cli import exits

if TYPE_CHECKING:
    from orchestrator.monitor.access import Role

ALWAYS: dict[str, Role] = {"operator": "operator", "viewer": "viewer", "telegraf": "collector", "health": "health"}
HOSTS = ("localhost", "127.0.0.1", "::1", "broker")
PASSWORD_BYTES = 18
SALT_BYTES = 12  # mosquitto 2.0 takes no other
SERVICES = ("influx.token", "influx.password", "grafana.password")
"""Secrets of the compose profile `grafana`."""


def init_command(
    folder: Path,
    rigs: tuple[str, ...],
    operators: tuple[str, ...],
    viewers: tuple[str, ...],
    hosts: tuple[str, ...],
    *,
    as_json: bool,
    silently: bool = False,
) -> int:
    """Write what is missing; passwords and the authority that are there stay."""
    from orchestrator.monitor.access import rig_user
    from orchestrator.monitor.certificates import NoCertificate

    users: dict[str, Role] = {**_known(folder / "users.json"), **ALWAYS, **dict.fromkeys(map(rig_user, rigs or ("sim",)), "rig")}
    users |= {**dict.fromkeys(operators, "operator"), **dict.fromkeys(viewers, "viewer")}
    if bad := [user for user in users if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", user)]:
        print(f"a user's name is of a-z, 0-9 and `-`, as it stands in topics; not: {', '.join(bad)}", file=sys.stderr)
        return exits.CONFIGURATION
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = _passwords(folder, users)
    try:
        _certificates(folder, hosts)
    except NoCertificate as error:
        print(error, file=sys.stderr)
        return exits.CONFIGURATION
    if as_json:
        print(json.dumps({"folder": str(folder), "users": users, "new": new}))
    elif not silently:
        _tell(folder, users, new)
    return exits.COMPLETE


def _known(path: Path) -> dict[str, Role]:
    try:
        known: dict[str, Role] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return known


def _passwords(folder: Path, users: dict[str, Role]) -> list[str]:
    """A password in a file each, their hashes for the broker, the access list; returns the users that are new."""
    from orchestrator.monitor.access import access_list, password_line

    hashed = dict(line.split(":", 1) for line in _lines(folder / "passwd"))
    new = [user for user in users if user not in hashed or not (folder / f"{user}.password").exists()]
    for user in new:
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        _write(folder / f"{user}.password", password + "\n")
        hashed[user] = password_line(user, password, secrets.token_bytes(SALT_BYTES)).split(":", 1)[1]
    for name in SERVICES:
        if not (folder / name).exists():
            _write(folder / name, secrets.token_urlsafe(PASSWORD_BYTES))
    _write(folder / "passwd", "".join(f"{user}:{hashed[user]}\n" for user in users))
    _write(folder / "acl", access_list(users))
    _write(folder / "users.json", json.dumps(users, indent=1) + "\n")
    return new


def _certificates(folder: Path, hosts: tuple[str, ...]) -> None:
    from orchestrator.monitor.certificates import make_certificates

    names, wanted = folder / "hosts.json", list(dict.fromkeys((*HOSTS, socket.gethostname(), *hosts)))
    known = json.loads(names.read_text("utf-8")) if names.exists() else []
    wanted = list(dict.fromkeys((*known, *wanted)))
    if wanted != known or not (folder / "server.crt").exists():
        make_certificates(folder, wanted)
        _write(names, json.dumps(wanted) + "\n")


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.exists() else []


def _write(path: Path, text: str) -> None:
    """Readable by its owner only from the first byte on; complete or as it was."""
    write_durably(path, text, mode=OWNER_ONLY)


def _tell(folder: Path, users: dict[str, Role], new: list[str]) -> None:
    rigs = [user for user, role in users.items() if role == "rig"]
    print(f"{folder}: certificate, passwords and access list of the broker")
    print(f"  new users: {', '.join(new) or 'none'}; the password of each is in {folder}/USER.password")
    print("  in the rig file:")
    print(f"    broker: {{url: mqtts://HOST, user: {rigs[0]}, password_file: {rigs[0]}.password, ca: ca.crt}}")
    print("  docker compose up -d broker")
