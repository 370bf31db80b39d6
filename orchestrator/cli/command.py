"""Send one command to a running rig and print its answer."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.cli import exits


def command(verb: str, arguments: Mapping[str, Any], rig: str | None, *, as_json: bool) -> int:
    """The body of `status`, `pause`, `resume`, `skip`, `stop`, `abort`, `acquire`, `acknowledge` and `note`."""
    from orchestrator.control.client import send

    answer = send(_folder(rig), verb, arguments, who=getpass.getuser())
    if as_json:
        print(json.dumps({"id": answer.id, "ok": answer.ok, "text": answer.text, **answer.data}))
    else:
        print(answer.text, file=sys.stdout if answer.ok else sys.stderr)
    return exits.COMPLETE if answer.ok else exits.CONFIGURATION


def _folder(rig: str | None) -> Path:
    """The state folder of the named rig, or of the only one that runs. Raises NoRunHere."""
    from orchestrator.control.client import NoRunHere
    from orchestrator.rig.folders import answering, safe_file_name, state_folder

    running = [folder for folder in answering() if rig is None or folder.name == safe_file_name(rig)]
    if len(running) == 1:
        return running[0]
    if rig is not None:
        return state_folder(rig)
    names = ", ".join(folder.name for folder in running)
    raise NoRunHere(f"several rigs run ({names}); name one with --rig" if running else "no run is going on here")
