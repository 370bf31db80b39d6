"""Our key in the console's user data: everything that is run while it stands there carries it, so it stands there for ours alone."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from drivers.errors import InstrumentError
from drivers.spinsolve import folders, wire
from drivers.spinsolve.link import Link
from drivers.spinsolve.preparing import Prepared

OURS = (folders.KEY, folders.BLOCK, folders.SCANS, folders.PROTOCOL, folders.ROWS)
NOTHING = dict.fromkeys(OURS, "")


class Stamp:
    """``put``: it stands there, or may; taking it away is owed."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.put = False

    async def held(self) -> Mapping[str, str]:
        """What the console holds. Raises NotReachable."""
        return (await self._link.ask(wire.get_user_data(), wire.Held)).user_data or {}

    async def set(self, prepared: Prepared, block: int) -> dict[str, str] | None:
        """Put it there and read it back. None: it stands; otherwise what the console holds instead, and ours is taken away again."""
        order = prepared.order
        rows = str(prepared.setup.rows or "")
        stamps = dict(zip(OURS, (order.key, str(block), str(order.scans), prepared.setup.protocol, rows), strict=True))
        self.put = True
        await self._link.send(wire.set_user_data(stamps))
        held = await self.held()
        if all(held.get(name, "") == value for name, value in stamps.items()):
            return None
        await self.wipe()
        return dict(held)

    async def wipe(self) -> None:
        """Take it away; owed while nobody answers."""
        with contextlib.suppress(InstrumentError):
            await self._link.send(wire.set_user_data(NOTHING))
            self.put = False

    async def wipe_and_look(self) -> dict[str, str]:
        """Take it away and read back what is left of it. Raises NotReachable."""
        await self._link.send(wire.set_user_data(NOTHING))
        left = {name: value for name, value in (await self.held()).items() if name in OURS and value}
        self.put = bool(left)
        return left
