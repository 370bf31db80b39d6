"""Samples gathered into the journal's column blocks of at most one second, as ``model.columns`` packs them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from struct import Struct

from orchestrator.runner.station import Surroundings

LONGEST_NS = 1_000_000_000
CODES = {"mono_ns": "q", "device_ns": "q", "status": "H"}
DTYPES = {"q": "<i8", "d": "<f8", "H": "<u2"}
ALWAYS = ("mono_ns", "voltage_V", "current_A", "charge_step_C", "charge_net_C", "charge_throughput_C", "x", "status")
AUX = ("mono_ns", "value")
UNITS = frozenset({"V", "A", "C", "K", "degC", "ohm", "Hz", "s", "bar", "Pa", "W"})
Row = tuple[float, ...]


@lru_cache(maxsize=256)
def layout(names: tuple[str, ...], n: int) -> tuple[list[list[str]], Struct]:
    """Description of the columns of ``n`` rows, and what packs them; struct, since numpy takes 30 times as long for one row."""
    codes = [CODES.get(name, "d") for name in names]
    return [[name, DTYPES[code]] for name, code in zip(names, codes, strict=True)], Struct("<" + "".join(f"{n}{code}" for code in codes))


@lru_cache(maxsize=64)
def unit_of(name: str) -> str:
    """The unit that a channel's name ends in (``charge_C``); empty where it says none."""
    _, _, unit = name.rpartition("_")
    return unit if unit in UNITS else ""


class Blocks:
    """Collects rows of one step and journals them as ``ec.block``: at each edge, and before a second has passed."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._put = surroundings.journal.put
        self._at = surroundings.at
        self._rows: list[Row] = []
        self._names: tuple[str, ...] = ALWAYS
        self._aux: dict[str, tuple[list[int], list[float]]] = {}
        self._step: dict[str, object] = {"step_key": "", "cycle": 0, "index": -1}
        self.half_width_ns = 0
        """Of the samples gathered: the largest that their instrument says."""

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
        if self._full:
            # Not at once: where the step ends with this sample, the console is told to start first.
            asyncio.get_running_loop().call_later(0.0, self._flush_full)

    @property
    def _full(self) -> bool:
        return bool(self._rows) and self._rows[-1][0] - self._rows[0][0] >= LONGEST_NS

    def _flush_full(self) -> None:
        if self._full:
            self.flush()

    def add_aux(self, name: str, mono_ns: Sequence[int], values: Sequence[float]) -> None:
        """Samples of a further channel of the instrument."""
        times_ns, gathered = self._aux.setdefault(name, ([], []))
        times_ns += mono_ns
        gathered += values
        if times_ns and times_ns[-1] - times_ns[0] >= LONGEST_NS:
            self._flush_aux(name)

    def _flush_aux(self, name: str, older_than_ns: int | None = None) -> None:
        times_ns, values = self._aux[name]
        if not times_ns or (older_than_ns is not None and times_ns[0] > older_than_ns):
            return
        del self._aux[name]
        description, packer = layout(AUX, len(times_ns))
        data = {"sensor": name, "unit": unit_of(name), "n": len(times_ns), "columns": description}
        self._put("aux.block", data, blob=packer.pack(*times_ns, *values), at=self._at(times_ns[-1]))

    def flush(self, older_than_ns: int | None = None) -> None:
        """Journal what has been gathered (only if it has waited since before an instant)."""
        for name in list(self._aux):
            self._flush_aux(name, older_than_ns)
        rows = self._rows
        if not rows or (older_than_ns is not None and rows[0][0] > older_than_ns):
            return
        self._rows = []
        description, packer = layout(self._names, len(rows))
        blob = packer.pack(*chain.from_iterable(zip(*rows, strict=True)))
        known = {"half_width_ns": self.half_width_ns} if self.half_width_ns else {}
        self.half_width_ns = 0
        self._put("ec.block", {**self._step, "n": len(rows), "columns": description, **known}, blob=blob, at=self._at(int(rows[-1][0])))
