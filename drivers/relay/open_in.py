"""The OPEN In of a BioLogic as a hardware fence: a contact that holds it low makes the instrument open the circuit by itself.

Active low, TTL (at most 0.8 V is low, 3.5 to 5 V is high), on the auxiliary DB9 of the channel (consoles.md: from BioLogic's
documents). The contact is a relay's, worked as any other relay here; a line of a port works its coil. Built to the document, not
yet met an instrument. Inferred: that the input is the channel's own, that it is high when nothing is connected, and that the circuit
stays open when it is let go.
"""

from __future__ import annotations

from dataclasses import replace

from drivers.base import Confirmation, Context, FenceState, Identity, SafeState, Settings
from drivers.relay.driver import Relay

NOT_TRIED = "that the instrument obeys has not been tried on this rig (`tried: true` in the fence's options says that it was)"


class OpenIn:
    """Made by the entry point ``open_in``. Options: those of the relay that works the contact; ``tried``.

    ``trip_by: off`` (the default): the *normally closed* contact lies between OPEN In and ground: a relay without power has tripped.
    ``tried: true``: somebody has tripped it with a resistor in the cell's place and has seen the circuit open. Without that what is
    read is the contact alone, and open circuit is never confirmed.
    """

    def __init__(self, settings: Settings, context: Context) -> None:
        self._tried = settings.options.get("tried") is True
        own = {name: value for name, value in settings.options.items() if name != "tried"}
        self._relay = Relay(replace(settings, options=own), context)

    @classmethod
    def described(cls, settings: Settings) -> str:
        """What it is, and what can be known of it. Raises Rejected where nobody could work it."""
        own = {name: value for name, value in settings.options.items() if name != "tried"}
        contact = Relay.described(replace(settings, options=own))
        return f"OPEN In, held low by {contact}" + ("" if settings.options.get("tried") is True else f"; never confirmed: {NOT_TRIED}")

    async def connect(self) -> Identity:
        """That the relay answers where it can. Raises NotReachable."""
        found = await self._relay.connect()
        return replace(found, model=f"OPEN In by a {found.model}")

    async def read_state(self) -> FenceState:
        """Tripped where the contact is: the instrument would open the circuit again."""
        return await self._relay.read_state()

    async def trip(self) -> SafeState:
        """Hold OPEN In low, and read the contact."""
        contact = await self._relay.trip()
        if not contact.confirmed:
            return SafeState(Confirmation.UNCONFIRMED, f"OPEN In: {contact.detail}")
        if not self._tried:
            return SafeState(Confirmation.UNCONFIRMED, f"OPEN In: the relay says that its contact has moved; {NOT_TRIED}")
        return SafeState(Confirmation.CONFIRMED, "OPEN In: the relay says that it is held low, and the instrument then opens the circuit")

    async def release(self) -> None:
        """Nothing is held."""
