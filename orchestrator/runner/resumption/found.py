"""What was found in spectra, and learnt of the cell, when a run was broken off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.model.events import Event
from orchestrator.plan.orders import Plan
from orchestrator.runner.interlocks.resistance import Estimate
from orchestrator.runner.observed import MOST_KNOWN, Observed
from orchestrator.runner.spectral import SpectralRules


class Found:
    """Fed with every ``observable`` event, in order. ``resistance``: of the cell, as the run learnt it last."""

    def __init__(self) -> None:
        self.resistance: Estimate | None = None
        self._spectral = SpectralRules(())
        self._known: dict[tuple[str, str, str], tuple[Mapping[str, Any], int]] = {}
        self._waiting: list[Observed] = []

    def begin(self, plan: Plan) -> None:
        """The rules over spectra stand in the plan."""
        self._spectral = SpectralRules(plan.rules)

    @property
    def observables(self) -> tuple[tuple[Mapping[str, Any], int], ...]:
        """Findings of others that are journaled, with their numbers."""
        return tuple(self._known.values())

    def take(self, event: Event) -> None:
        """R_cell as the run learnt it, and what was found in spectra.

        The latter is known by its number, so that nobody journals it twice, and goes a spectrum at a time to the rules that compare
        with earlier ones.
        """
        data = event.data
        if event.source != "rig":
            self._know(data, event.seq)
        if data.get("key") and data.get("value") is not None:
            if self._waiting and self._waiting[0].key != data["key"]:
                self.spectral()
            error = None if data.get("error") is None else float(data["error"])
            told = (str(data["name"]), float(data["value"]), error, str(data.get("unit") or ""), str(data["key"]))
            self._waiting.append(Observed(*told, str(data.get("algorithm") or ""), event.cause, data.get("context")))
        if data["name"] == "R_cell" and data.get("value") is not None:
            known = (float(data["value"]), data.get("error"), str(data.get("algorithm") or ""), str(data.get("step_key") or ""))
            self.resistance = Estimate(*known, event.mono_ns, int(data.get("n") or 0), float(data.get("at") or 0.0))

    def _know(self, data: Mapping[str, Any], seq: int) -> None:
        """The newest finding of each kind, the oldest forgotten first."""
        which = (str(data["name"]), str(data["key"]), str(data.get("algorithm") or ""))
        self._known.pop(which, None)
        self._known[which] = (data, seq)
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]

    def spectral(self) -> SpectralRules:
        """The rules over spectra as far as they have come; what they said then was done then."""
        findings, self._waiting = self._waiting, []
        self._spectral.feed(findings)
        return self._spectral
