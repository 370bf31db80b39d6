"""``operando export --protocol`` and ``operando import --protocol``: protocols of others, by the library aurora-unicycler."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from orchestrator.cli import exits
from orchestrator.cli.paths import configs


def export_protocol_command(file: Path, name: str, to: Path | None, rig: Path | None, *, as_json: bool) -> int:
    """Write an experiment's protocol in another's form, and say what of it has no word there."""
    from orchestrator.export.protocol import FORMATS, NotWritten, left_out, written
    from orchestrator.model.problems import ProblemsError
    from orchestrator.rig.planned import planned

    if name not in FORMATS:
        return _refused(f"no protocol is called `{name}`; there is {', '.join(FORMATS)}")
    try:
        found = planned(file, rig, start_utc_ns=time.time_ns(), otherwise=configs() / "rigs" / "sim.yaml")
        content = written(found.plan, name)
    except (ProblemsError, NotWritten, ImportError, OSError) as error:
        return _refused(str(error))
    path = to or file.with_name(file.stem + FORMATS[name][0])
    missing = left_out(found.plan, name)
    if refusal := _put(path, content):
        return _refused(refusal)
    _tell(path, missing, as_json=as_json)
    return exits.COMPLETE


def import_protocol_command(file: Path, to: Path | None, *, as_json: bool) -> int:
    """Write an experiment that has a protocol's steps."""
    from orchestrator.imports.protocol import NotRead, read

    try:
        text = read(file.read_text(encoding="utf-8"))
    except (NotRead, ImportError, OSError, UnicodeDecodeError) as error:
        return _refused(str(error))
    path = to or file.with_suffix(".yaml")
    if refusal := _put(path, text.encode()):
        return _refused(refusal)
    _tell(path, (), as_json=as_json)
    return exits.COMPLETE


def _put(path: Path, content: bytes) -> str:
    """Never over something; "" or why not."""
    try:
        with path.open("xb") as out:
            out.write(content)
    except FileExistsError:
        return f"{path} is there already; name another with --to"
    except OSError as error:
        return f"{path} cannot be written: {error}"
    return ""


def _tell(path: Path, missing: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"file": str(path), "left_out": list(missing)}))
        return
    print(path)
    for text in missing:
        print(f"  not in it: {text}", file=sys.stderr)


def _refused(message: str) -> int:
    print(f"{message}; nothing was written", file=sys.stderr)
    return exits.CONFIGURATION
