"""Who answers at the port: asked on connecting, and again once the port was opened anew."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from drivers.base import Capabilities, Identity
from drivers.errors import NotReachable, WrongInstrument
from drivers.methodscript import wire
from drivers.methodscript.models import MODELS, Model, capabilities_of
from drivers.methodscript.talk import Talk


class Meeting:
    """What is known of the instrument; ``model``: what is taken for it until it was asked. ``wanted``: its serial number, or nothing."""

    def __init__(self, talk: Talk, instrument: str, wanted: str, model: Model) -> None:
        self._talk, self._name, self._wanted = talk, instrument, wanted
        self.model = model
        self.identity: Identity | None = None
        self.capabilities: Capabilities = capabilities_of(model, None)
        self.perhaps_another = False

    async def ask(self, a_script_runs: Callable[[], bool]) -> bool:
        """False where a script runs: then nobody is asked. Raises WrongInstrument."""
        async with self._talk.open():
            firmware = await self._talk.firmware(a_script_runs)
            if firmware is None:
                return False
            if firmware.device not in MODELS:
                raise WrongInstrument(f"device code {firmware.device} is not one this driver knows", instrument=self._name)
            serial, version, bits = [await self._talk.query(command) for command in ("i", "v", "CM")]
        if self._wanted and self._wanted != serial:
            advice = "check the address, or the identity in the rig file"
            raise WrongInstrument(f"serial number {serial}, not {self._wanted}", instrument=self._name, advice=advice)
        self.model = MODELS[firmware.device]
        self.capabilities = capabilities_of(self.model, wire.parse_bits(bits) if bits else None)
        self.identity = Identity("PalmSens", self.model.name, serial, f"{firmware.version}, MethodSCRIPT {version}")
        return True

    async def still_ours(self) -> None:
        """After the port was opened anew: a name like ttyUSB0 may have gone to another instrument. Raises WrongInstrument.

        Inferred: a running script refuses the question; then what it streams says whose it is.
        """
        if not self.perhaps_another or self.identity is None:
            return
        with contextlib.suppress(NotReachable):
            serial = await self._talk.query("i")
            if serial and serial != self.identity.serial:
                raise WrongInstrument(
                    f"another instrument answers at this port since it came back: {serial}, not {self.identity.serial}",
                    instrument=self._name,
                    sent="i",
                    received=serial,
                    did="it was left alone",
                    advice="put the plugs back; name the port by its id (/dev/serial/by-id/…), which does not change hands",
                )
            self.perhaps_another = not serial
