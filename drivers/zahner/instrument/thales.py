"""Thales: the Term, which answers for itself, and the remote script, which takes Remote2 commands.

Recorded from a public client (thales_remote 1.2.8) and in its documentation: what is asked, the names, ``potential=``, ``current=``,
``impedance=``, the setup string, ``ERROR;100;1``. Inferred: ``OK`` for what was set; the first two fields of the Term's answers repeat
the question's; a carriage return behind Remote2 answers (that client strips one); digits; who else is there (``ALLNUM``, ``DEVINF``);
``ERROR;0;1`` for what is not known; several programs may register under one name, and all of them are obeyed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from drivers.sim.served import Answer
from drivers.sim.switches import Faults
from drivers.zahner.instrument.potentiostat import OutOfRange, Potentiostat
from drivers.zahner.instrument.telegrams import REMOTE2, TERM, Telegrams, telegram

SCRIPT = "ScriptRemote"
OLD = "5.8.0"
END = "\r"
REFUSED, UNKNOWN = "ERROR;100;1", "ERROR;0;1"
HEARTBEAT_ms = 20
SETUP = ("Pset", "Cset", "Frq", "Ampl"), ("Nw", "Pot", "Gal", "GAL")
"""Values of the setup string with their decimals, and whole ones."""


class Thales:
    """``devices``: 0 is the main potentiostat, the others are behind EPC; one of them is selected."""

    def __init__(self, devices: Mapping[int, Potentiostat], faults: Faults, options: Mapping[str, Any], now_s: Callable[[], float]) -> None:
        self.devices, self.faults, self._now_s = devices, faults, now_s
        self.version = str(options.get("version", "5.9.4"))
        self.serial, self.model = str(options.get("serial", "33021")), str(options.get("model", "Zennium"))
        self.off_on_hang_up = options.get("on_hang_up", "stays") == "off"
        self.in_script, self.selected = True, 0
        self.stale: tuple[float, float] | None = None

    @property
    def device(self) -> Potentiostat:
        """The one that is told."""
        return self.devices[self.selected]

    def all_off(self) -> None:
        """Open circuit everywhere."""
        for device in self.devices.values():
            device.off(self._now_s())

    # -------------------------------------------------------------------------------------------------------- the Term

    def ask_term(self, text: str) -> str | None:
        """The Term's own answer; None where it says nothing."""
        verb, *rest = text.split(",")
        name, what = [*rest, "", ""][:2]
        if verb == "1":
            return None if "workstation_gone" in self.faults else f"1,{name},{HEARTBEAT_ms}"
        if verb == "2":
            self.faults.clear("not_in_script")
            self.in_script = True
            return f"2,{name}"
        if verb != "3":
            return None
        version = OLD if "old_version" in self.faults else self.version
        return f"3,{name},{ {'6': self.serial, '7': version}.get(what, what) }"

    # --------------------------------------------------------------------------------------------------------- Remote2

    def command(self, text: str) -> tuple[float, str] | None:
        """Seconds and answer to ``1:…:``; None where nothing is said."""
        if "not_in_script" in self.faults or "workstation_gone" in self.faults or not self.in_script:
            return None
        head, *commands = text.split(":")
        if head != "1" or len(commands) < 2 or commands[-1]:
            return 0.0, UNKNOWN
        if "error" in self.faults:
            return 0.0, REFUSED
        try:
            if commands[:-1] == ["IMPEDANCE"]:
                return self._impedance()
            return 0.0, self._told(commands[:-1])
        except OutOfRange:
            return 0.0, REFUSED

    def _told(self, commands: list[str]) -> str:
        """One answer, however many are set at once: they all are, or none."""
        if len(commands) == 1 and "=" not in commands[0]:
            asked = getattr(self, f"_on_{commands[0].lower()}", None)
            return UNKNOWN if asked is None or not commands[0].isupper() else str(asked())
        try:
            pairs = [(name, float(value)) for name, value in (one.split("=") for one in commands)]
        except ValueError:
            return UNKNOWN
        for name, value in pairs:
            if name in {"DEV%", "DEVHOT%"}:
                if value not in self.devices:
                    raise OutOfRange(name)
            elif not self.device.knows(name):
                return UNKNOWN
            else:
                self.device.check(name, value)
        if self.faults.use("refused"):
            return REFUSED
        if not (self.faults.use("set_ignored") or (("Pot", 0.0) in pairs and self.faults.use("off_deaf"))):
            self._set(pairs)
        return "OK"

    def _set(self, pairs: list[tuple[str, float]]) -> None:
        for name, value in pairs:
            if name in {"DEV%", "DEVHOT%"}:
                if name == "DEV%":  # the client's other command is the one that leaves it as it is
                    self.device.off(self._now_s())
                self.selected = int(value)
            else:
                self.device.set(name, value, self._now_s())

    def read(self) -> tuple[float, float]:
        """Voltage and current as they are said to be."""
        if "stale" in self.faults and self.stale is not None:
            return self.stale
        voltage_V, current_A = self.device.read(self._now_s())
        if "overload" in self.faults:
            voltage_V = self.device.ranges["Pset"][1]
        if "not_a_number" in self.faults:
            return float("nan"), float("nan")
        return voltage_V, current_A

    def _on_potential(self) -> str:
        return f"potential= {self.read()[0]:.6e}V"

    def _on_current(self) -> str:
        return f"current= {self.read()[1]:.6e}A"

    def _on_sendsetup(self) -> str:
        values, ranges = self.device.values, self.device.ranges
        rows = [f"{name}={values[name]:.4e}" for name in SETUP[0]] + [f"{name}={values[name]:.0f}" for name in SETUP[1]]
        rows += [f"{name}{end}={bound:.4e}" for name in "CP" for end, bound in zip(("min", "max"), ranges[f"{name}set"], strict=True)]
        return ";".join(["OK", "SETUP", *rows, f"DEV={self.selected}", "EPC=0", f"MAXDEV={max(self.devices)}", "ENDSETUP"])

    def _on_allnum(self) -> str:
        return f"OK;{self.serial};{self.model}"

    def _on_devinf(self) -> str:
        return f"OK;DEVINF;{self.model};{self.serial}"

    def _impedance(self) -> tuple[float, str]:
        """At the frequency that is set, with the cell on (inferred: refused without)."""
        if not self.device.on:
            return 0.0, REFUSED
        wait_s, found = self.device.impedance(self._now_s())
        return wait_s, f"impedance= {found.real:.6e}, {found.imag:.6e}"


class Session:
    """One connection."""

    def __init__(self, thales: Thales) -> None:
        self._thales = thales
        self._telegrams = Telegrams()

    def hear(self, data: bytes) -> Sequence[Answer]:
        """The answers to what is complete by now."""
        found = [self._answer(kind, text) for kind, text in self._telegrams.feed(data)]
        return [one for one in found if one is not None]

    def over(self) -> None:
        """The client is gone; what that does to the cell is an option: the vendor only says that PP2x2 do not run without a computer."""
        if self._telegrams.name == SCRIPT and self._thales.off_on_hang_up:
            self._thales.all_off()

    def _answer(self, kind: int, text: str) -> Answer | None:
        if kind == TERM:
            said = self._thales.ask_term(text)
            return None if said is None else telegram(TERM, said)
        if kind != REMOTE2 or self._telegrams.name != SCRIPT:
            return None
        found = self._thales.command(text)
        return None if found is None else (found[0], telegram(REMOTE2, found[1] + END))
