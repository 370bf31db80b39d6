"""Samples gathered into the journal's column blocks of at most one second."""

from __future__ import annotations

from orchestrator.model.columns import pack_rows
from orchestrator.runner.station import Surroundings

LONGEST_NS = 1_000_000_000
DTYPES = {"mono_ns": "<i8", "device_ns": "<i8", "status": "<u2"}
ALWAYS = ("mono_ns", "voltage_V", "current_A", "charge_step_C", "charge_net_C", "charge_throughput_C", "x", "status")
Row = tuple[float, ...]


class Blocks:
    """Collects rows of one step and journals them as ``ec.block``: at each edge, and before a second has passed."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._put = surroundings.journal.put
        self._at = surroundings.at
        self._rows: list[Row] = []
        self._names: tuple[str, ...] = ALWAYS
        self._step: dict[str, object] = {"step_key": "", "cycle": 0, "index": -1}
        self.put_rows = 0

    def begin(self, step_key: str, cycle: int, index: int) -> None:
        """What follows belongs to this step."""
        self.flush()
        self._step = {"step_key": step_key, "cycle": cycle, "index": index}

    def add(self, names: tuple[str, ...], row: Row) -> None:
        """One sample; ``row[0]`` is its mono_ns, ``names`` its columns."""
        if names != self._names or (self._rows and row[0] - self._rows[0][0] > LONGEST_NS):
            self.flush()
            self._names = names
        self._rows.append(row)
        if row[0] - self._rows[0][0] >= LONGEST_NS:
            self.flush()

    def flush(self, older_than_ns: int | None = None) -> None:
        """Journal what has been gathered (only if it has waited since before an instant)."""
        rows = self._rows
        if not rows or (older_than_ns is not None and rows[0][0] > older_than_ns):
            return
        self._rows = []
        description = [[name, DTYPES.get(name, "<f8")] for name in self._names]
        blob = pack_rows(description, rows)
        self.put_rows += len(rows)
        self._put("ec.block", {**self._step, "n": len(rows), "columns": description}, blob=blob, at=self._at(int(rows[-1][0])))
