"""The table: on the terminal and as docs/validation.md. Nothing in it depends on when or where it was made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.validate.compare import CONSISTENCY, Line
from orchestrator.validate.rows import NO_FILE, ROWS, Row

HEAD = """\
<!-- Written by `operando validate`. Do not edit by hand. -->

# Validation: what the literature published, and what this program finds

Every row is an experiment on the simulated cell (`configs/experiments`, section `validate:`), run at `--speed max` through the whole
chain: twin, driver, run.h5, analysis. What stands under *found* was recovered from the FIDs and the electrochemistry in run.h5, with
one standard error; the state of the twin is never looked at. The twin was built from the same literature, so that a pass says that the
chain gives back what was put in, not that nature does. Where the number stands in the twin's own file (a shift, a table, a
relaxation time), the row says `consistency, not evidence`: it shows that the chain does not lose the number, and nothing more; the
others follow from the twin's equations, from counting or from the clock. Where a window or a bound was chosen after a run had been seen,
a note in the row says so. A row that cannot be run says `not yet` and why.

The rows: O operando, R the sodium study of Rees 2021, Q queued samples, P physics.
"""


def ordered(lines: Sequence[Line], rows: Sequence[Row] = ROWS) -> list[Line]:
    """Every row in the table's order; one without a line says why."""
    found: list[Line] = []
    for row in rows:
        own = [line for line in lines if line.row == row.id]
        found += own or [Line(row.id, row.what, published=row.published, why=row.reason or NO_FILE)]
    return found


def number(value: float, sigma: float) -> str:
    """Rounded to two digits of its standard error; without one, to four digits."""
    if sigma <= 0.0:
        return f"{value:.4g}"
    digits = 0
    while digits < 12 and round(sigma * 10**digits) < 10:
        digits += 1
    return f"{value:.{digits}f} ± {sigma:.{digits}f}"


def told(line: Line) -> str:
    """What was found, or nothing."""
    return "" if line.found is None or line.sigma is None else number(line.found, line.sigma)


def counted(lines: Sequence[Line]) -> str:
    """``70 comparisons: 60 pass (20 of them consistency, not evidence), 3 fail; 12 rows not yet.``"""
    passed, failed, later = (sum(line.result == result for line in lines) for result in ("pass", "fail", "not yet"))
    only = sum(line.result == "pass" and line.consistency for line in lines)
    kind = f" ({only} of them {CONSISTENCY})" if only else ""
    return f"{passed + failed} comparisons: {passed} pass{kind}, {failed} fail; {later} rows not yet."


def page(lines: Sequence[Line]) -> str:
    """docs/validation.md."""
    every = ordered(lines)
    return "\n".join([HEAD, counted(every), "", *_table(every), "", "## Where numbers and tolerances come from", "", *_sources(every), ""])


def _table(lines: Sequence[Line]) -> Iterator[str]:
    yield "| row | quantity | published | found | result |"
    yield "|---|---|---|---|---|"
    for line in lines:
        unit = f" {line.unit}" if line.unit and line.result != "not yet" else ""
        found = told(line)
        cells = (line.row, _cell(line.quantity), f"{_cell(line.published)}{unit}", f"{found}{unit if found else ''}", _cell(line.judged()))
        yield f"| {' | '.join(cells)} |"


def _sources(lines: Sequence[Line]) -> Iterator[str]:
    for line in lines:
        if line.source:
            yield f"- **{line.row}**, {line.quantity} (`{line.experiment}`): {line.source}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
