"""What an order for an acquisition may not say, whoever the console is."""

from __future__ import annotations

import math
from typing import Any

from drivers.base import AcquisitionOrder
from drivers.errors import Rejected


def check_counts(order: AcquisitionOrder, longest_recycle_s: float = math.inf) -> None:
    """Scans, dummies, blocks and recycle delay. Raises Rejected."""
    counts = order.scans >= 1 and order.dummies >= 0 and order.blocks >= 1
    if not 0 <= finite("recycle_s", order.recycle_s) <= longest_recycle_s or not counts:
        raise Rejected(f"{order.key}: {order.scans} scans, {order.dummies} dummies, {order.recycle_s} s, {order.blocks} blocks cannot be")


def finite(name: str, value: Any) -> float:
    """A number of a template. Raises Rejected."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise Rejected(f"{name} = {value!r} is no number")
    return number
