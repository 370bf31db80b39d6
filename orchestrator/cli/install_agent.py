"""``operando install-agent``: our one file inside TopSpin, its settings, and what is to be typed next."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.cli import exits

SCRIPTS, AU_PROGRAMS = Path("exp/stan/nmr/py/user"), Path("exp/stan/nmr/au/src/user")
SCRIPT, SETTINGS, AU_PROGRAM, KEY = "operando_agent.py", "operando_agent.json", "operando_pull", "operando_agent.key"
PORT = 47011
PRIVATE = 0o600


class NotATopSpin(Exception):
    """The folder that was named is none of TopSpin's."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file to be written: ``kept`` where another one may stay (settings that somebody has filled in)."""

    path: Path
    content: bytes
    kept: bool = False
    private: bool = False


def install_command(
    topspin: Path, root: Path, host: str, port: int, templates: tuple[Path, ...], *, pull: bool, force: bool, as_json: bool
) -> int:
    """Write the agent, its settings and (on a network) a key; never over another file unless ``force``."""
    parts = list(_parts(_scripts(topspin), root, host, port, templates, pull=pull))
    differing = [part.path for part in parts if _differs(part) and not part.kept]
    if differing and not force:
        print(f"{differing[0]} is there already, and it is another file: nothing was written (--force overwrites it)", file=sys.stderr)
        return exits.CONFIGURATION
    written = [part.path for part in parts if _write(part, force=force)]
    if as_json:
        print(json.dumps({"written": [str(path) for path in written], "files": [str(part.path) for part in parts]}))
    else:
        print("\n".join([*(f"written: {path}" for path in written), *_next(parts, host, port, pull=pull)]))
    return exits.COMPLETE


def _scripts(topspin: Path) -> Path:
    """TopSpin's folder, or that of its user scripts. Raises NotATopSpin."""
    for folder in (topspin / SCRIPTS, topspin):
        if folder.is_dir() and folder.parts[-2:] == SCRIPTS.parts[-2:]:
            return folder
    raise NotATopSpin(f"{topspin} has no {SCRIPTS.as_posix()}: name the folder that TopSpin is installed in (/opt/topspin4.4.0)")


def _parts(scripts: Path, root: Path, host: str, port: int, templates: tuple[Path, ...], *, pull: bool) -> Iterator[Part]:
    shipped = _shipped()
    yield Part(scripts / SCRIPT, (shipped / SCRIPT).read_bytes())
    settings: dict[str, Any] = {"host": host, "port": port, "root": str(root), "mode": "pull" if pull else "listen"}
    if templates:
        settings["templates"] = [str(folder) for folder in templates]
    if host not in {"127.0.0.1", "localhost"} or pull:
        settings["key_file"] = str(scripts / KEY)
        yield Part(scripts / KEY, secrets.token_hex(32).encode() + b"\n", kept=True, private=True)
    yield Part(scripts / SETTINGS, (json.dumps(settings, indent=1) + "\n").encode(), kept=True)
    if pull:
        programs = scripts.parents[1] / "au" / "src" / "user"
        yield Part(programs / AU_PROGRAM, (shipped / AU_PROGRAM).read_bytes())


def _shipped() -> Path:
    from drivers import registry

    return registry.folder("consoles", "topspin") / "agent"


def _differs(part: Part) -> bool:
    return part.path.exists() and part.path.read_bytes() != part.content


def _write(part: Part, *, force: bool) -> bool:
    """True when something was written; settings and key of an earlier time stay, unless ``force``."""
    if part.path.exists() and (not _differs(part) or (part.kept and not force)):
        return False
    part.path.parent.mkdir(parents=True, exist_ok=True)
    if part.private:
        part.path.touch(mode=PRIVATE)
    part.path.write_bytes(part.content)
    return True


def _next(parts: list[Part], host: str, port: int, *, pull: bool) -> Iterator[str]:
    """What a person does now."""
    key = next((part.path for part in parts if part.private), None)
    yield "next:"
    if pull:
        yield "  in TopSpin, once:          edau operando_pull      (compile it)"
        yield "  in TopSpin, for each run:  xaupw operando_pull"
    else:
        yield "  in TopSpin, once after each start of TopSpin:  xpy operando_agent"
    if key is not None:
        yield f"  copy {key} to the computer of the run by a way that nobody else can read"
    yield "  in the rig file:"
    here = "THIS COMPUTER" if host == "0.0.0.0" else host  # noqa: S104 a word to the person, not a socket
    yield f'    console: {{driver: topspin, address: "{here}:{port}"' + (", options: {key_file: PATH OF THE COPY}}" if key else "}")
    yield "  and a template for each acquisition:  dataset: NAME/EXPNO  (a data set of yours below the root)"
