"""From an order to data sets: the site's template is cloned for each, set, and read back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from drivers.base import AcquisitionOrder, ReadBack
from drivers.topspin import arrays, wire
from drivers.topspin.bridge import LONG_REPLY_S, Bridge
from drivers.topspin.folders import Folders, Known
from drivers.topspin.parameters import (
    Setup,
    acquisition_time_s,
    check_complex,
    deviations,
    drifted,
    readable,
    setup_of,
    template_path,
    watched,
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What TopSpin read back, and how long one scan takes with it."""

    read_back: ReadBack
    scan_s: float


class Preparation:
    """Clones into fresh experiment numbers. ``options``: the rig file's; ``known``: where each data set is noted, by key and number."""

    def __init__(self, options: Mapping[str, Any], known: dict[tuple[str, int], Known]) -> None:
        self._unlock, self._limits = options.get("unlock") or {}, options.get("limits") or {}
        self._dataset = wire.safe_name(str(options.get("dataset", "operando")))
        self._known = known
        self._found_first: dict[str, dict[str, Any]] = {}

    def setups(self, order: AcquisitionOrder) -> dict[int, Setup]:
        """What is set in each data set, by the agent's number. Raises Rejected for what cannot be."""
        found = {
            number: setup_of(order, self._unlock, self._limits, block, row)
            for block in range(order.blocks)
            for row, number in enumerate(arrays.numbers(order, block))
        }
        if not found:
            setup_of(order, {}, {})  # no blocks or no rows: it says so
        wire.safe_name(order.key)
        return found

    async def prepare(self, order: AcquisitionOrder, setups: Mapping[int, Setup], line: Callable[[], Bridge], folders: Folders) -> Prepared:
        """Each data set in turn. Raises what the agent refuses, and Rejected for data that could not be complex."""
        found: dict[str, Any] = {}
        for number, setup in setups.items():
            answer = await self._clone(order, setup, number, line(), folders)
            found = readable(answer.get("readback") or {})
            self._known[order.key, number] = Known(wire.safe_path(str(answer.get("target", ""))), "prepared", scans=order.scans)
        check_complex(found)
        before = self._found_first.setdefault(setup.dataset, watched(found, setup.par))
        read_back = ReadBack(found, {**drifted(before, found), **deviations(setup, found)})
        return Prepared(read_back, order.recycle_s + acquisition_time_s(found))

    async def _clone(self, order: AcquisitionOrder, setup: Setup, number: int, bridge: Bridge, folders: Folders) -> Mapping[str, Any]:
        return await bridge.ask(
            "prepare",
            within_s=LONG_REPLY_S,
            template=template_path(setup.dataset, folders.root),
            folder=f"{folders.root}/{self._dataset}",
            key=order.key,
            block=number,
            nucleus=order.nucleus,
            par=dict(setup.par),
            title=f"{order.name} {order.key}" + (f" block {number}" if order.blocks > 1 or order.rows is not None else ""),
        )
