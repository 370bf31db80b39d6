"""The rings around the cell as a run has them: the interlocks, what is done when one fires, and the way back up for findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from drivers.base import GARBLED, Reason, Rows, SampleBlock
from orchestrator.runner.account import Account
from orchestrator.runner.interlocks.acting import Acting, Verbs
from orchestrator.runner.interlocks.cut_off import CutOff
from orchestrator.runner.interlocks.interlocks import REFLECTED, Interlocks
from orchestrator.runner.interlocks.readings import Finding
from orchestrator.runner.interlocks.resistance import Estimate
from orchestrator.runner.observed import Inlet, Observed
from orchestrator.runner.rules import Firing
from orchestrator.runner.safety import Violation, silent_after_s
from orchestrator.runner.spectral import Seen, SpectralRules
from orchestrator.runner.station import ABORT, Alarms, Ending, Surroundings

if TYPE_CHECKING:
    from orchestrator.runner.resumption import Resumption

QUIET_NS = 600_000_000_000
GARBLED_ALARM = "garbled"
NOT_KEPT_ALARM = "end-not-kept"
NOT_KEPT_ADVICE = "what this instrument is said to keep by itself it does not keep: leave no step to it alone"
GARBLED_ADVICE = "look at the cable and at what else shares its port; samples that were lost show as wider steps in time"


class Run(Verbs, Protocol):
    """What the rings ask of the run; no method waits."""

    @property
    def ending(self) -> Ending | None:
        """How the run ends, once that is known."""

    @property
    def heard_s(self) -> float:
        """When (real seconds of the loop) the newest sample came."""

    @property
    def step_key(self) -> str:
        """The running step, or none."""

    def silent(self, age_s: float) -> None:
        """Nobody sees the cell."""

    def reached(self, reason: Reason) -> None:
        """The running step has come to an end that the instrument has not made."""

    def acquisition_of(self, key: str) -> str:
        """The name of the acquisition with this key; the key itself where there is none."""

    def found(self, firing: Firing, seen: Seen) -> None:
        """A rule has seen in the spectra what it waits for."""


class Rings:
    """Fed by the sampling task with every block, by the others with events. Nothing here waits."""

    def __init__(self, surroundings: Surroundings, run: Run, alarms: Alarms) -> None:
        self._s = surroundings
        self._run = run
        self.acting = Acting(surroundings, run, alarms)
        self.interlocks = Interlocks(
            surroundings.plan,
            lambda: surroundings.station.potentiostat.capabilities,
            self._fired,
            self._learnt,
            reflected=self._reflected,
            speed=surroundings.clock.speed,
        )
        self.inlet = Inlet(surroundings)
        self._alarms = alarms
        self._garbled_ns = 0
        self._cut_off = CutOff()
        self.spectral = SpectralRules(surroundings.plan.rules)

    def restore(self, left: Resumption) -> None:
        """Go on with what a run that was broken off had seen."""
        self.acting.restore(left.alarms)
        self.spectral = left.spectral
        for data, seq in left.observables:
            self.inlet.known(data, seq)
        if GARBLED_ALARM in left.alarms:
            self._garbled_ns = max(1, left.heard_ns)

    def samples(self, block: SampleBlock, account: Account | None) -> None:
        """A block for the interlocks. Samples that are old when they come are as bad as none."""
        rows = block.rows
        self.interlocks.samples(block, account)
        if self._garbled_ns or GARBLED in rows.aux:
            self._wire(rows)
        if account is None or not rows.mono_ns:
            return
        reason = self._cut_off.passed(rows, account)
        if reason is not None and not self._s.follows:
            self._not_kept(account, reason)
        if not account.has_current:
            return
        clock, mono_ns = self._s.clock, rows.mono_ns[-1]
        age_s = ((clock.mono_ns() - mono_ns) / 1e9 - account.interval_s) / clock.speed
        if self.interlocks.old(self._run.heard_s, age_s, self._longest_s):
            self._run.silent(age_s)

    def _not_kept(self, account: Account, reason: Reason) -> None:
        """The instrument was to end this step and has not: the host does, and somebody is told."""
        self._run.reached(reason)
        cause = self.acting.record("step cut-off", {"charge_C": account.charge_C}, account.key, where=reason.value)
        text = f"{account.key} had come to its end ({reason.value}); the instrument let it pass, and the step was ended from here"
        self._alarms.sound(NOT_KEPT_ALARM, "warn", "The instrument let the end of a step pass", text, advice=NOT_KEPT_ADVICE, cause=cause)

    def _wire(self, rows: Rows) -> None:
        """Lines that were no samples are told, until none has come for a while; how many they are stands in the file."""
        if GARBLED in rows.aux:
            self._garbled_ns, n = rows.mono_ns[-1], int(rows.aux[GARBLED][-1])
            text = f"{n} lines since the instrument was connected were no samples: garbled, twice, or out of order"
            self._alarms.sound(GARBLED_ALARM, "warn", "The potentiostat's line is disturbed", text, advice=GARBLED_ADVICE)
        elif rows.mono_ns and rows.mono_ns[-1] - self._garbled_ns > QUIET_NS:
            self._garbled_ns = 0
            self._alarms.clear(GARBLED_ALARM)

    @property
    def _longest_s(self) -> float:
        """Real seconds for which a cell under current may go unseen."""
        return silent_after_s(self._s.plan.host_lost_within_s, self._s.station.potentiostat.capabilities.make_safe_s)

    def silent(self, age_s: float) -> None:
        """Nobody has seen a cell under current for so long."""
        values = {"age_s": age_s, "longest_s": self._longest_s}
        if self.interlocks.armed("stale samples") is not None:
            self._fired(Finding("stale samples", self._s.clock.mono_ns(), values, self._run.step_key))

    def violated(self, violation: Violation) -> int:
        """A limit of ring 2 was passed, or nobody can read the cell: the record of it."""
        if violation.blind:
            return self.acting.record("unreadable samples", {}, self._run.step_key)
        values = {"value": violation.value, "limit": violation.bound}
        return self.acting.record("safety limits", values, self._run.step_key, where=violation.what)

    def _fired(self, finding: Finding) -> None:
        """While the run ends it is only recorded: the cell is on its way to open circuit."""
        ending, step_key = self._run.ending, self._run.step_key
        if ending is not None and ending.urgency >= ABORT:
            self.acting.record(finding.name, finding.values, step_key, finding.mono_ns, finding.where)
        else:
            self.acting.fired(finding, step_key)

    def _learnt(self, estimate: Estimate) -> None:
        """R_cell as an observable, with where it comes from."""
        self._s.put(
            "observable",
            mono_ns=estimate.mono_ns,
            name="R_cell",
            value=estimate.R_cell_ohm,
            error=estimate.error_ohm,
            unit="ohm",
            key="",
            algorithm=estimate.algorithm,
            step_key=estimate.step_key,
            n=estimate.n,
            at=estimate.at,
            lead_ohm=self.interlocks.resistance.lead_ohm,
        )

    def _reflected(self, key: str, value: float, mono_ns: int, unit: str) -> None:
        """What the probe reflected beside a spectrum waits for what its analysis finds. The tuner's stands in the journal already."""
        if unit:
            told = {"name": REFLECTED, "value": value, "error": None, "unit": unit, "key": key, "algorithm": "meter"}
            self._s.journal.put("observable", told, at=self._s.at(mono_ns))
        self.spectral.feed([Observed(REFLECTED, value, None, unit, key, "")])

    def on_observables(self, found: Sequence[Observed]) -> None:
        """Findings that have just been journaled: for the interlocks one by one, for the rules spectrum by spectrum."""
        for one in found:
            acquisition = self._run.acquisition_of(one.key)
            self.interlocks.observed(acquisition, one.key, one.name, one.value, self._s.clock.mono_ns())
        for firing, seen in self.spectral.feed(found):
            self._run.found(firing, seen)
