"""What each request is answered by. Notifications are the program's (``program.py``)."""

from __future__ import annotations

from drivers.spinsolve.instrument import messages, protocols
from drivers.spinsolve.instrument.messages import Element, Malformed, tag, text
from drivers.spinsolve.instrument.program import Program
from drivers.spinsolve.instrument.protocols import LIST, PROTOCOLS, Refused


class Requests:
    """One message after the other, of whichever client."""

    def __init__(self, program: Program) -> None:
        self._program, self._desk = program, program.desk

    def hear(self, client: int, document: bytes) -> bytes | None:
        """One message from a client; the answer, if there is one at once."""
        try:
            found = messages.read(document)
            answer = getattr(self, f"_on_{found.tag}", self._unknown)(found, client)
        except Malformed as problem:
            if self._program.strict:
                self._program.complain("", str(problem))
            return None
        return None if answer is None else messages.document(answer)

    def _unknown(self, found: Element, _client: int) -> None:
        raise Malformed(f"<{found.tag}> is not a request")

    # ------------------------------------------------------------------------------------------------------ set and get

    def _on_Set(self, found: Element, _client: int) -> None:
        self._desk.set(found)

    def _on_GetRequest(self, found: Element, _client: int) -> str:
        return tag("GetResponse", None, self._desk.said(found[0].tag if len(found) else ""))

    # -------------------------------------------------------------------------------------------------------- protocols

    def _on_AvailableProtocolsRequest(self, _found: Element, _client: int) -> str:
        return tag("AvailableProtocolsResponse", None, "".join(text("Protocol", protocol.name) for protocol in LIST))

    def _on_AvailableOptionsRequest(self, found: Element, _client: int) -> str:
        name = found.get("protocol", "")
        protocol = PROTOCOLS.get(name)
        rows = [] if protocol is None else [tag("Option", {"name": one.name}, _values(one)) for one in protocol.options if one.values]
        return tag("AvailableOptionsResponse", {"protocol": name}, "".join(rows))

    def _on_AvailableProtocolOptionsRequest(self, _found: Element, _client: int) -> str:
        rows = [tag("Protocol", {"protocol": protocol.name}, self._listed(protocol)) for protocol in LIST]
        return tag("AvailableProtocolOptionsResponse", None, "".join(rows))

    def _listed(self, protocol: protocols.Protocol) -> str:
        now = self._desk.shown(protocol)
        return "".join(tag("Option", {"name": one.name, "value": now[one.name]}, _values(one)) for one in protocol.options)

    def _on_ProtocolOptionsRequest(self, found: Element, _client: int) -> str:
        name = found.get("protocol", "")
        try:
            values = self._desk.options(name)
        except Refused as refused:
            return tag("ProtocolOptionsResponse", {"protocol": name, "error": str(refused)}, "")
        return tag("ProtocolOptionsResponse", {"protocol": name}, messages.options(values))

    def _on_EstimateDurationRequest(self, found: Element, _client: int) -> str:
        name, given = found.get("protocol", ""), _given(found)
        try:
            lasts_s = self._program.lasts_s(name, given)
        except Refused as refused:
            shown: dict[str, object] = {"protocol": name, "durationInSeconds": 0.0, "error": str(refused)}
            return tag("EstimateDurationResponse", shown, messages.options(given))
        return tag("EstimateDurationResponse", {"protocol": name, "durationInSeconds": lasts_s}, messages.options(given))

    # ------------------------------------------------------------------------------------------------------- instrument

    def _on_HardwareRequest(self, _found: Element, _client: int) -> str:
        program, connected = self._program, "hardware_off" not in self._program.faults
        rows: dict[str, object] = {"SpinsolveSoftware": program.version, "RemoteControlVersion": "1.0", "ConnectedToHardware": connected}
        if connected:
            rows |= {"SpinsolveHardware": program.model, "SpinsolveType": "MultiX"}
        return tag("HardwareResponse", None, "".join(text(name, value) for name, value in rows.items()))

    def _shim(self, found: Element, client: int) -> str | None:
        return self._program.shim(found.tag, client)

    _on_CheckShimRequest = _on_QuickShimRequest = _on_PowerShimRequest = _shim

    def _on_Start(self, found: Element, _client: int) -> None:
        self._program.ask_to_start(found.get("protocol", ""), _given(found))

    def _on_Abort(self, _found: Element, _client: int) -> None:
        self._program.abort()

    # ----------------------------------------------------------------------------------------------------------- others

    def _on_SelectionSubscription(self, _found: Element, _client: int) -> None:
        """Nobody sits at the program: there is nothing to tell."""

    _on_Selection = _on_SelectionSubscription

    def _on_Execute(self, _found: Element, _client: int) -> None:
        raise Malformed("scripts are not emulated (what the program answers is not public)")


def _given(found: Element) -> dict[str, str]:
    return {one.get("name", ""): one.get("value", "") for one in found if one.tag == "Option"}


def _values(option: protocols.Option) -> str:
    return "".join(text("Value", value) for value in option.values)
