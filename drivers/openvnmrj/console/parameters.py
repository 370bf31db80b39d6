"""The parameters of the current experiment, with the rules that tie them together. Pure.

np, sw and at as OpenVnmrJ's macros ``_np``, ``_sw`` and ``_at`` do it: a new np changes at; a new sw or at changes np, then
at. tn and tof change sfrq. Values are rounded to their step and kept inside their limits. sw is 10 MHz over a whole number
(inferred from recorded data sets of a Mercury).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from drivers.openvnmrj.console.standard import standard
from drivers.openvnmrj.magical import MagicalError
from drivers.openvnmrj.vnmrfiles import Parameter, read_procpar, write_procpar

NUCLEI = {
    "H1": ("1H", 100.0), "H2": ("2H", 15.350609), "Li6": ("6Li", 14.716086), "Li7": ("7Li", 38.863797), "C13": ("13C", 25.145020),
    "F19": ("19F", 94.094011), "Na23": ("23Na", 26.451900), "P31": ("31P", 40.480742),
}  # fmt: skip
"""VnmrJ's name → ours, and the frequency in per cent of 1H (IUPAC)."""
LOCK_NUCLEUS = "H2"
SW_BASE_Hz = 1e7
NEW_HEADER = {False: "1 1 1e+18 -1e+18 0 2 1 0 1 64", True: "2 2 256 0 0 2 1 0 1 64"}


class ParameterSet:
    """The current tree; ``larmor_MHz`` gives the frequency of 0 ppm of a nucleus by our name."""

    def __init__(self, larmor_MHz: Callable[[str], float]) -> None:
        self.larmor_MHz = larmor_MHz
        self.tree = standard()
        self.nucleus_switches = True
        """False: the nucleus switch fails, tn changes but the frequency stays."""
        self.set_nucleus("Li7")

    def __contains__(self, name: str) -> bool:
        return name in self.tree

    def __getitem__(self, name: str) -> Any:
        return self.tree[name].values[0]

    def values(self, name: str) -> list[float | str]:
        """All values of a parameter; raises MagicalError."""
        if name not in self.tree:
            raise MagicalError(f'"{name}" doesn\'t exist')
        return self.tree[name].values

    def number(self, name: str) -> float:
        """A numeric value."""
        return float(self.tree[name].values[0])

    # -------------------------------------------------------------------------------------------------------- setting

    def assign(self, name: str, values: list[float | str], place: int | None = None) -> None:
        """What ``name=…`` or ``name[place]=…`` does: checked, rounded, with all that follows from it."""
        parameter = self.tree.get(name)
        if parameter is None:
            raise MagicalError(f'"{name}" doesn\'t exist')
        checked = [self._checked(parameter, value) for value in values]
        if place is None:
            parameter.values = checked
        elif 1 <= place <= len(parameter.values) + 1:
            parameter.values[place - 1 : place] = checked
        else:
            raise MagicalError(f"index out of bounds for {name}")
        self._follow(name)

    def put(self, name: str, *values: float | str) -> None:
        """Set without any rule; creates what is not there."""
        if name not in self.tree:
            header = NEW_HEADER[isinstance(values[0], str)]
            self.tree[name] = Parameter(name, tuple(header.split()), [])
        self.tree[name].values = list(values)

    def _checked(self, parameter: Parameter, value: float | str) -> float | str:
        if isinstance(value, str) != parameter.is_text:
            if value in {"n", "N", "y", "Y"}:  # turns a number off and on
                return parameter.values[0]
            raise MagicalError(f"type mismatch: {parameter.name}")
        if isinstance(value, str):
            if parameter.name == "tn":
                return self._nucleus_name(value)
            if parameter.enumeration and value not in parameter.enumeration:
                raise MagicalError(f"{parameter.name}: '{value}' is not one of its values")
            return value
        return self._fitted(parameter, value)

    def _fitted(self, parameter: Parameter, value: float) -> float:
        if parameter.step > 0:
            value = round(value / parameter.step) * parameter.step
        if parameter.limits is not None:
            value = min(max(value, parameter.limits[0]), parameter.limits[1])
        return value

    def _follow(self, name: str) -> None:
        if name == "sw":
            self.put("sw", SW_BASE_Hz / max(1, round(SW_BASE_Hz / max(1.0, self.number("sw")))))
        if name in {"sw", "at"}:
            self.put("np", self._fitted(self.tree["np"], 2 * self.number("sw") * self.number("at")))
        if name in {"sw", "at", "np"}:
            self.put("at", self.number("np") / 2 / self.number("sw"))
        if name == "tn":
            self.set_nucleus(str(self["tn"]))
        if name in {"tof", "sw"}:
            self._set_frequency()
        if name == "sfrq":
            self._set_reference()
        self._set_array(name)

    def _set_array(self, name: str) -> None:
        """An arrayed parameter is named in ``array``; rows are its values, or the phase encodes of an image."""
        if len(self.tree[name].values) > 1 and name not in {"array", "acqstatus"}:
            self.put("array", name)
        elif self["array"] == name:
            self.put("array", "")
        arrayed = str(self["array"])
        views = int(self.number("nv")) if str(self["seqcon"])[2:3] == "s" else 0
        self.put("arraydim", float(len(self.tree[arrayed].values) if arrayed else max(1, views)))

    # -------------------------------------------------------------------------------------------------------- nucleus

    def _nucleus_name(self, name: str) -> str:
        if name == "lk":
            return LOCK_NUCLEUS
        match = next((known for known in NUCLEI if known.lower() == name.lower()), None)
        if match is None:
            raise MagicalError(f"nucleus '{name}' not in the nucleus table")
        return match

    def base_frequency(self, name: str) -> float:
        """Frequency of 0 ppm, in MHz, of a nucleus by VnmrJ's name; those the twin lacks follow from those it has."""
        ours, percent = NUCLEI[name]
        try:
            return self.larmor_MHz(ours)
        except (KeyError, ValueError):
            return self._beside(percent)

    def _beside(self, percent: float) -> float:
        """By the first nucleus that the twin has."""
        for known, its_percent in NUCLEI.values():
            with suppress(KeyError, ValueError):
                return self.larmor_MHz(known) * percent / its_percent
        raise ValueError("the twin has no nucleus that this console knows")

    def set_nucleus(self, name: str) -> None:
        """What follows from a new tn."""
        self.put("tn", name)
        if self.nucleus_switches:
            self._set_frequency()

    def _set_frequency(self) -> None:
        if self.nucleus_switches:
            reference_MHz = self.base_frequency(str(self["tn"]))
            self.put("reffrq", reference_MHz)
            self.put("sfrq", reference_MHz + self.number("tof") * 1e-6)
        self.put("H1reffrq", self.base_frequency("H1"))
        self._set_reference()

    def _set_reference(self) -> None:
        """``reffrq = sfrq - sw/2 + rfl - rfp``."""
        offset_Hz = (self.number("reffrq") - self.number("sfrq")) * 1e6
        self.put("rfl", offset_Hz + self.number("sw") / 2 + self.number("rfp"))

    # ---------------------------------------------------------------------------------------------------------- state

    def text(self) -> str:
        """As a procpar."""
        return write_procpar(self.tree.values())

    def load(self, text: str) -> None:
        """From a procpar."""
        self.tree = read_procpar(text)
