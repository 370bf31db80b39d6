"""From an order to what ``Start`` will say: protocols and menus are asked for, and the console is asked what it makes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from drivers.base import ONE_PULSE, AcquisitionOrder, ReadBack
from drivers.errors import NotReachable, Rejected
from drivers.spinsolve import protocols, wire
from drivers.spinsolve.link import Link
from drivers.spinsolve.protocols import Setup


@dataclass(frozen=True, slots=True)
class Prepared:
    """An order, what it became, and how long the console thinks that it takes."""

    order: AcquisitionOrder
    setup: Setup
    expected_s: float
    read_back: ReadBack


class Preparation:
    """Asks; changes nothing on the console. ``named``: nucleus → protocol, as the rig file says."""

    def __init__(self, link: Link, named: Mapping[str, str]) -> None:
        self._link = link
        self._named = named
        self._menus: dict[str, tuple[wire.Option, ...]] = {}

    def forget(self) -> None:
        """The link is lost: another program may answer next."""
        self._menus = {}

    async def prepare(self, order: AcquisitionOrder) -> Prepared:
        """Raises BeyondProtocol, Rejected, NotReachable."""
        named = self._named.get(order.nucleus) if order.sequence == ONE_PULSE else None
        wanted = order.template.get("protocol") or named
        menus = await self._offer(order.nucleus, wanted)
        setup = protocols.fit(order, protocols.choose(order.nucleus, wanted, menus, order.sequence), menus)
        estimate = await self._link.ask(wire.estimate_duration(setup.protocol, setup.options), wire.Estimate)
        if estimate.error:
            raise Rejected(f"`{setup.protocol}`: {estimate.error}", did="nothing was started", advice="ask for values on its menus")
        differing = {**setup.deviations, **protocols.compare(setup, estimate.options)}
        known_s = estimate.duration_s or 0.0
        found: dict[str, Any] = {"protocol": setup.protocol, **setup.options, **estimate.options, "estimated_s": estimate.duration_s}
        return Prepared(order, setup, known_s if known_s > 0 else setup.expected_s, ReadBack(found, differing))

    async def _offer(self, nucleus: str, wanted: str | None) -> dict[str, tuple[wire.Option, ...]]:
        """All protocols with their menus, asked once a connection; where that is not answered, the few that may be meant."""
        if self._menus:
            return self._menus
        try:
            offer = await self._link.ask(wire.available_protocol_options(), wire.Offer)
        except NotReachable:
            if self._link.lost:
                raise
            return await self._offer_one_by_one(nucleus, wanted)
        self._menus = dict(offer.protocols)
        return self._menus

    async def _offer_one_by_one(self, nucleus: str, wanted: str | None) -> dict[str, tuple[wire.Option, ...]]:
        names = (await self._link.ask(wire.available_protocols(), wire.Protocols)).names
        pattern = protocols.NUCLEI.get(nucleus, r"(?!)") if wanted is None else re.escape(wanted)
        found: dict[str, tuple[wire.Option, ...]] = dict.fromkeys(names, ())
        for name in names:
            if re.search(f"{pattern}|^T[12]", name, re.IGNORECASE):  # those of 1H name no nucleus
                found |= (await self._link.ask(wire.available_options(name), wire.Offer)).protocols
        return found
