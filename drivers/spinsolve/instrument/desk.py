"""What stands on the program's desk: sample, solvent, folder and UserData of the next run, and the options last used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drivers.sim.switches import Faults
from drivers.spinsolve.instrument.messages import Element, Malformed, tag, text
from drivers.spinsolve.instrument.protocols import Protocol, settled

FOLDER_KINDS = ("TimeStamp", "TimeStampTree", "UserFolder")


class Desk:
    """``strict``: what cannot be set is malformed, else passed over."""

    def __init__(self, faults: Faults, home: str, *, strict: bool) -> None:
        self._faults, self._home, self._strict = faults, home, strict
        self.clear()

    def clear(self) -> None:
        """As the program is when it has just been opened."""
        self.solvent = self.sample = ""
        self.user_data: dict[str, str] = {}
        self.folder_kind, self.folder = "TimeStamp", self._home
        self.last_options: dict[str, dict[str, str]] = {}

    # ------------------------------------------------------------------------------------------------------------- set

    def set(self, found: Element) -> None:
        """One ``<Set>``. Raises Malformed."""
        if self._strict and len(found) != 1:
            raise Malformed("<Set> with exactly one child is expected")
        for child in found:
            self._set(child)

    def _set(self, child: Element) -> None:
        value = child.text or ""
        if child.tag == "Solvent":
            self.solvent = value
        elif child.tag == "Sample":
            self.sample = value
        elif child.tag == "DataFolder":
            self._set_folder(child)
        elif child.tag == "UserData":
            self._set_user_data(child)
        elif self._strict:
            raise Malformed(f"<{child.tag}> cannot be set")

    def _set_folder(self, child: Element) -> None:
        for kind in child:
            if kind.tag in FOLDER_KINDS and (kind.text or "").strip():
                self.folder_kind, self.folder = kind.tag, (kind.text or "").strip()
                return
        if self._strict:
            raise Malformed("<DataFolder> without a folder")

    def _set_user_data(self, child: Element) -> None:
        if self._faults.use("user_data_lost"):
            return
        for data in child:
            key, value = data.get("key"), data.get("value", "")
            if data.tag != "Data" or not key:
                if self._strict:
                    raise Malformed("<Data key value> is expected in <UserData>")
                continue
            self.user_data.pop(key, None)
            if value:
                self.user_data[key] = value

    # ------------------------------------------------------------------------------------------------------------ asked

    def said(self, what: str) -> str:
        """Inside of a ``GetResponse``. Raises Malformed."""
        if what == "Solvent":
            return text(what, self.solvent)
        if what == "Sample":
            return text(what, self.sample)
        if what == "UserData":
            return tag(what, None, "".join(tag("Data", {"key": key, "value": value}) for key, value in self.user_data.items()))
        raise Malformed(f"<{what}> cannot be asked for")

    def options(self, name: str) -> dict[str, str]:
        """Of a protocol, as they were last used. Raises Refused."""
        return settled(name, self.last_options.get(name, {}))[1]

    def shown(self, protocol: Protocol) -> dict[str, str]:
        """The same for the list of all."""
        now = self.last_options.get(protocol.name, {})
        return {one.name: now.get(one.name, one.value) for one in protocol.options}

    # ------------------------------------------------------------------------------------------------------------ state

    def snapshot(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "solvent": self.solvent,
            "sample": self.sample,
            "user_data": dict(self.user_data),
            "folder": [self.folder_kind, self.folder],
            "last_options": {name: dict(values) for name, values in self.last_options.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a snapshot."""
        self.solvent, self.sample = state["solvent"], state["sample"]
        self.user_data = dict(state["user_data"])
        self.folder_kind, self.folder = state["folder"]
        self.last_options = {name: dict(values) for name, values in state["last_options"].items()}
