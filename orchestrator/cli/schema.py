"""``operando schema``: what an editor needs to help with a file."""

from __future__ import annotations

import sys

from orchestrator.cli import exits


def schema_command(what: str) -> int:
    """Print the JSON schema of an experiment, a rig or a cell file."""
    from orchestrator.cli.paths import configs

    path = configs() / "schema" / f"{what}.json"
    if not path.is_file():
        print(
            f"no schema for `{what}`; there are: {', '.join(sorted(found.stem for found in path.parent.glob('*.json')))}", file=sys.stderr
        )
        return exits.CONFIGURATION
    print(path.read_text("utf-8"), end="")
    return exits.COMPLETE
