"""Arrays: each row is a data set of its own, with times of its own in its audit trail (a pseudo-2D keeps none). Pure.

The agent numbers data sets of one key; rows of block 0 are numbers 1000, 1001, …, of block 1 2000, … (and a block without rows is its
own number). What is swept is a parameter of the site's pulse program, which the rig file and the agent's settings both unlock.
inferred: which one. D 7 is the recovery delay of Bruker's ``t1ir1d``; D 6 is half an echo time in ``hahnecho``. A template says
otherwise by ``array_names: {tau_ms: "D 20"}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from drivers.base import AcquisitionOrder, Fetched, VendorTimes
from drivers.errors import Rejected

ROWS_FROM = 1000
NAMES: Mapping[str, tuple[str, float]] = {"tau_ms": ("D 7", 1e-3), "TE_ms": ("D 6", 0.5e-3), "pulse_us": ("P 1", 1.0)}
"""What an order sweeps → TopSpin's parameter, and its unit in that of ours."""
NAME = re.compile(r"(D|P) ([1-9]|[1-5]\d|6[0-3])")


def numbers(order: AcquisitionOrder, block: int) -> tuple[int, ...]:
    """The agent's numbers of a block's data sets, in the order in which they are measured."""
    if order.rows is None:
        return (block,)
    return tuple((block + 1) * ROWS_FROM + row for row in range(len(order.rows)))


def block_of(number: int) -> int:
    """The order's block of an agent's number."""
    return number // ROWS_FROM - 1 if number >= ROWS_FROM else number


def swept(order: AcquisitionOrder, block: int, row: int, unlock: Mapping[str, Any]) -> dict[str, float]:
    """TopSpin's parameters of what a row is measured at, carriers apart. Raises Rejected for what no rig file has unlocked."""
    template = {**(order.template.get("parameters") or {}), **order.template}
    found = {}
    for ours, value in order.values(block, row).items():
        if ours not in NAMES:
            continue
        name, scale = NAMES[ours]
        name = str((template.get("array_names") or {}).get(ours, name))
        if not NAME.fullmatch(name) or name == "D 1":
            raise Rejected(f"{order.key}: {name!r} is no delay and no pulse that can be swept")
        if ours not in unlock:
            advice = f'unlock: {{{ours}: [least, most]}} in the rig file, and "unlock": {{"{name}": [least, most]}} in operando_agent.json'
            raise Rejected(f"{order.key}: {ours} belongs to the site's pulse program", advice=advice)
        low, high = unlock[ours]
        if not low <= value <= high:
            raise Rejected(f"{order.key}: {ours} = {value} is outside what the rig allows ({low} to {high})")
        found[name] = round(scale * value, 9)
    return found


def combined(rows: Sequence[Fetched], asked: int, *, key: str, block: int) -> Fetched:
    """The rows that were measured, from the first on, as one block: complex (rows, points); ``partial`` where more were asked."""
    import numpy as np

    first, last = rows[0], rows[-1]
    points = min(one.fid.data.shape[-1] for one in rows)
    data = np.stack([one.fid.data[:points] for one in rows])
    row_s, origin_ns = np.full((len(rows), 2), np.nan), first.times.start_utc_ns
    for n, one in enumerate(rows):
        edges_ns = (one.times.start_utc_ns, one.times.end_utc_ns)
        row_s[n] = [np.nan if edge is None or origin_ns is None else (edge - origin_ns) / 1e9 for edge in edges_ns]
    times = VendorTimes(
        {**first.times.stamps, "ended": last.times.stamps.get("ended", "")},
        first.times.zone,
        first.times.start_utc_ns,
        last.times.end_utc_ns,
        first.times.resolution_ns,
    )
    return Fetched(
        key,
        block,
        replace(first.fid, data=data, scans=min(one.fid.scans for one in rows)),
        times,
        first.parameters,
        tuple(file for one in rows for file in one.files),
        partial=len(rows) < asked or any(one.partial for one in rows),
        row_s=row_s,
    )
