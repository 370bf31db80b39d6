"""``operando verify``, ``recover``, ``pack`` and ``prune``: is what lies there what was measured, and may it take less room?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli import exits

if TYPE_CHECKING:
    from orchestrator.recorder.closeout import Finding


def verify_command(run: str, out: Path, *, digest: bool, as_json: bool) -> int:
    """Check every hash of a run, or print the digest of its ``run.h5``."""
    from orchestrator.rig.folders import find_run

    folder = find_run(run, out)
    if digest:
        from orchestrator.recorder.digest import digest as digest_of

        print(digest_of(folder / "run.h5"))
        return exits.COMPLETE
    from orchestrator.recorder.recover import verify

    return _tell(verify(folder), as_json=as_json)


def recover_command(run: str, out: Path, *, as_json: bool) -> int:
    """Rebuild ``run.h5`` from the journal."""
    from orchestrator.recorder.recover import recover
    from orchestrator.rig.folders import find_run

    return _tell(recover(find_run(run, out)), as_json=as_json)


def pack_command(run: str, out: Path, *, as_json: bool) -> int:
    """Compress ``run.h5``."""
    from orchestrator.recorder.pack import pack
    from orchestrator.rig.folders import find_run

    folder = find_run(run, out)
    try:
        return _tell(pack(folder), as_json=as_json, summed=False)
    except OSError as error:
        print(f"{folder / 'run.h5'} is as it was: {error}", file=sys.stderr)
        return exits.CONFIGURATION


def prune_command(run: str, out: Path, *, as_json: bool) -> int:
    """Drop the journal."""
    from orchestrator.recorder.prune import prune
    from orchestrator.rig.folders import find_run

    return _tell(prune(find_run(run, out)), as_json=as_json, summed=False)


def _tell(finding: Finding, *, as_json: bool, summed: bool = True) -> int:
    print(finding.as_json() if as_json else "\n".join(finding.lines))
    if summed and not as_json:
        print("all of it holds" if finding.ok else "something is wrong: see above", file=sys.stdout if finding.ok else sys.stderr)
    return exits.COMPLETE if finding.ok else exits.BUG
