"""``operando follow``: watch a cycler's files and a console's folders while somebody else drives both."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli import exits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.imports.watching import Followed, Request
    from orchestrator.model.rule import Rule


def follow_command(
    ec: Path,
    nmr: Path,
    offset_s: float | None,
    half_width_s: float,
    zone: str | None,
    date_order: str,
    name: str,
    rig: str,
    rules: Path | None,
    notify: Path | None,
    status: Path | None,
    mirror: Path | None,
    into: Path | None,
    out: Path,
    *,
    as_json: bool,
) -> int:
    """Watch until Ctrl-C, then say what there is."""
    from drivers.follow.clocks import BadZone
    from orchestrator.cli.import_ import told_zone
    from orchestrator.imports.watching import Request, first_lines, follow

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    text, wanted = _rules(rules)
    display = "none" if as_json else "screen" if sys.stdout.isatty() else "lines"
    request = Request(
        ec, nmr, offset_s, half_width_s, told_zone(zone, say), date_order, out, into, name, rig,
        wanted, text, _notify(notify), status, mirror, display, say,
    )  # fmt: skip
    try:
        if display == "screen":
            say("\n".join(first_lines(request)))
        followed = follow(request)
    except BadZone as error:
        print(f"{error}; nothing was started", file=sys.stderr)
        return exits.CONFIGURATION
    _tell(request, followed, as_json=as_json)
    return exits.COMPLETE


def _rules(file: Path | None) -> tuple[str, tuple[Rule, ...]]:
    """The text of a file with rules, and what it means."""
    if file is None:
        return "", ()
    from orchestrator.config import load_rules

    return file.read_text("utf-8"), load_rules(file, "")


def _notify(file: Path | None) -> tuple[Mapping[str, Any], ...]:
    """The ``notify:`` of a rig file, or of a file with nothing else."""
    if file is None:
        return ()
    from ruamel.yaml import YAML

    read = YAML(typ="safe", pure=True).load(file.read_text("utf-8"))
    return tuple(read.get("notify") or ()) if isinstance(read, dict) else ()


def _tell(request: Request, followed: Followed, *, as_json: bool) -> None:
    from orchestrator.cli.paths import typed

    if as_json:
        offset = None if followed.offset is None else dict(followed.offset._asdict())
        print(json.dumps({"folder": str(followed.folder), "file": str(followed.folder / "run.h5"), **followed.ended, "offset": offset}))
        return
    operando = typed("operando")
    print(f"\n{followed.ended.get('reason', 'it did not begin')}")
    print(f"  {followed.folder / 'run.h5'}")
    print(f"  {operando} follow {request.ec} {request.nmr} --into {followed.folder}    goes on with it")
    print(f"  {operando} verify {followed.folder}    checks every hash")
