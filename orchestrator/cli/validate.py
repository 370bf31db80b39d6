"""``operando validate``: run the literature on the twin and compare; writes docs/validation.md where all rows were asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli import exits

if TYPE_CHECKING:
    from orchestrator.validate.compare import Line
    from orchestrator.validate.perform import Performed

PAGE = Path("docs/validation.md")


def validate_command(rows: Sequence[str], page: Path | None, *, full: bool, as_json: bool) -> int:
    """Exit code 1 if a row fails."""
    from orchestrator.cli.paths import configs
    from orchestrator.validate.compare import exit_code
    from orchestrator.validate.page import ordered
    from orchestrator.validate.rows import ROWS
    from orchestrator.validate.run import asked_of, validate, validations, wanted_rows

    wanted = wanted_rows(rows)
    asked = asked_of(validations(configs() / "experiments", wanted), wanted, full=full)
    lines = ordered(validate(asked, _said), [row for row in ROWS if row.id in wanted])
    for line in lines:
        if as_json:
            print(json.dumps(line.as_json()))
    if not as_json:
        _table(lines)
    _write(lines, page or _own_page(configs().parent, every=not rows and not full))
    return exits.BUG if exit_code(lines) else exits.COMPLETE


def _own_page(root: Path, *, every: bool) -> Path | None:
    """docs/validation.md of a checkout, where every row was run as it stands there."""
    return root / PAGE if every and (root / PAGE).parent.is_dir() else None


def _write(lines: Sequence[Line], path: Path | None) -> None:
    from orchestrator.validate.page import page

    if path is not None:
        path.write_text(page(lines), encoding="utf-8", newline="\n")
        print(f"written: {path}", file=sys.stderr)


def _said(performed: Performed) -> None:
    failed = sum(line.result == "fail" for line in performed.lines)
    told = f"{len(performed.lines)} compared, {failed} fail" if failed else f"{len(performed.lines)} compared"
    print(f"{performed.file}: {told}, {performed.cpu_s:.1f} s of computing", file=sys.stderr)


def _table(lines: Sequence[Line]) -> None:
    from rich.console import Console
    from rich.table import Table

    from orchestrator.validate.page import counted, told

    table = Table("row", "quantity", "published", "found", "result")
    for line in lines:
        unit = f" {line.unit}" if line.unit else ""
        found = told(line)
        published = line.published + (unit if line.result != "not yet" else "")
        table.add_row(line.row, line.quantity, published, found + unit * bool(found), line.judged())
    console = Console()
    console.print(table)
    console.print(counted(lines))
