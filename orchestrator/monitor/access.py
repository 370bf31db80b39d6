"""Who may do what on the broker: mosquitto's access list and password file. Pure text; ``operando init`` writes the files.

A rig writes below its own name and nowhere else. A person sends commands below the own name, so that ``who`` in the journal is true;
a viewer sends none. The broker tells nobody that it refuses: who sends a command must wait for the answer.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from typing import Literal, get_args

from orchestrator.monitor.discovery import PREFIX
from orchestrator.monitor.topics import ROOT, level

Role = Literal["rig", "operator", "viewer", "collector", "health"]
ROLES: tuple[Role, ...] = get_args(Role)
COLLECTED = ("status", "state", "ec", "sensor/+", "spectrum/+", "observable/+", "alarm/+")
ITERATIONS = 20_000
HEALTH_TOPIC = "$SYS/broker/version"


def access_list(users: Mapping[str, Role]) -> str:
    """Mosquitto's ``acl_file``: what is not named is not allowed."""
    head = "# Written by `operando init`: change the users there. What is not named here is not allowed."
    return "\n".join([head, *(line for user, role in users.items() for line in _of(user, role))]) + "\n"


def _of(user: str, role: Role) -> Iterator[str]:
    yield from ("", f"# {role}", f"user {user}")
    match role:
        case "rig":
            yield f"topic readwrite {ROOT}/{rig_of(user)}/#"
            yield f"topic write {PREFIX}/device/operando-{rig_of(user)}/#"
        case "operator":
            yield f"topic read {ROOT}/#"
            yield f"topic write {ROOT}/+/cmd/{user}/+"
        case "viewer":
            yield f"topic deny {ROOT}/+/cmd/#"
            yield f"topic deny {ROOT}/+/reply/#"
            yield f"topic read {ROOT}/#"
        case "collector":
            yield from (f"topic read {ROOT}/+/{topic}" for topic in COLLECTED)
        case "health":
            yield f"topic read {HEALTH_TOPIC}"


def rig_user(rig: str) -> str:
    """The broker's user for a rig: its level in topics."""
    return f"rig-{level(rig)}"


def rig_of(user: str) -> str:
    """The level of the rig that a user is."""
    return user.removeprefix("rig-")


def password_line(user: str, password: str, salt: bytes) -> str:
    """One line of mosquitto's ``password_file``: PBKDF2 with SHA-512, its format 7."""
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS, 64)
    return f"{user}:$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
