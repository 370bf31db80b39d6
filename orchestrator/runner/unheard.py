"""Steps of which nobody heard the end: when they ended at the latest, what they passed, and that it is written down as that."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from drivers.base import EndConditions, Reason, StepEnded, StepStarted
from orchestrator.runner.account import Account
from orchestrator.runner.gaps import BY_INSTRUMENT, COUNTED, Gap, estimated
from orchestrator.runner.reactions import Reactions
from orchestrator.runner.resumption import Open, Resumption, named
from orchestrator.runner.station import Surroundings
from orchestrator.runner.triggers import TriggerEngine

AT_OPEN_CIRCUIT = 0.01
"""Of the current that was asked for: with less, the guard's last sample lies behind the end, and its count is whole."""
OWN_ENDS = frozenset(reason.value for reason in (Reason.TIME, Reason.V_UPPER, Reason.V_LOWER, Reason.CHARGE, Reason.CURRENT))


@dataclass(frozen=True, slots=True)
class Unheard:
    """``left``: what the journal says of the run whose rig died."""

    surroundings: Surroundings
    run: Reactions
    left: Resumption

    def begin(self, account: Account, at_ns: int) -> None:
        """A step that followed on the instrument has begun there."""
        self.run.sampling.expect([account])
        if account.started_ns is None:
            account.adopted = True
            self.run.sampling.take(StepStarted(account.key, at_ns))

    def gone_ns(self) -> int:
        """Up to when an instrument without its rig may have driven the cell: until its guard opened the circuit, or until now."""
        guard = self.left.guard
        safe = guard is not None and guard.confirmed and guard.mono_ns >= self.left.heard_ns
        return guard.mono_ns if guard is not None and safe else self.surroundings.clock.mono_ns()

    def own_end(self, account: Account, since_ns: int) -> tuple[Reason, int]:
        """By when the step ends by itself at the latest, and by which of its limits; its voltages may end it earlier."""
        started_ns = since_ns if account.started_ns is None else account.started_ns
        by_time_ns = started_ns + int((account.ends.time_s - account.active_s) * 1e9)
        current_A, charge_C = account.planned.current_A, account.ends.charge_C
        if not current_A or charge_C is None:
            return Reason.TIME, by_time_ns
        by_charge_ns = since_ns + math.ceil(max(0.0, charge_C - abs(account.charge_C)) / abs(current_A) * 1e9)
        return (Reason.CHARGE, by_charge_ns) if by_charge_ns < by_time_ns else (Reason.TIME, by_time_ns)

    def of_wait(self, running: Open) -> Account:
        """An account for a wait of our own, which stands in no plan."""
        plan = self.left.plan
        known = {step.key: step for step in (*plan.prepare, *plan.steps)}
        step = known.get(named(running.key).planned) or (plan.steps or plan.prepare)[0]
        planned = step.model_copy(update={"key": running.key, "mode": running.mode, "current_A": running.current_A, "triggers": ()})
        account = Account(planned, EndConditions(time_s=step.limits.time_s), TriggerEngine(()))
        account.started_ns = account.first_started_ns = running.started_ns
        account.charge_C = running.charge_C
        return account

    def gap(self, account: Account, since_ns: int, until_ns: int) -> Gap:
        """What passed meanwhile: as the guard heard the instrument count it, else the set current times the gap."""
        guard = self.left.guard
        gap = estimated(account, since_ns, until_ns, self.last_A(account))
        heard = None if guard is None else guard.heard
        if heard is None or heard.get("step_key") != account.key or heard.get(COUNTED) is None:
            return gap
        # The guard broke in between two samples: half an interval more, give or take as much.
        half_C = (
            0.0
            if self._whole(account, heard)
            else 0.5 * account.interval_s * float(account.planned.current_A or heard.get("current_A") or 0.0)
        )
        charge_C = account.earlier_C + float(heard[COUNTED]) + half_C - account.charge_C
        return replace(gap, charge_C=charge_C, uncertainty_C=abs(half_C), how=BY_INSTRUMENT)

    def _whole(self, account: Account, heard: Mapping[str, Any]) -> bool:
        """Was the count that the guard heard taken behind the end of the step?"""
        asked_A, last_A = account.planned.current_A, heard.get("current_A")
        return "ended" in heard or bool(asked_A and last_A is not None and abs(last_A) <= AT_OPEN_CIRCUIT * abs(asked_A))

    def ended_by(self, account: Account) -> Mapping[str, Any] | None:
        """What the guard heard of the step's own end; None where it heard none."""
        heard = None if self.left.guard is None else self.left.guard.heard
        ours = heard is not None and heard.get("step_key") == account.key and heard.get("ended") in OWN_ENDS
        return heard if ours else None

    def last_A(self, account: Account) -> float | None:
        """Current of the last sample of this very step; None where there was none."""
        running = self.left.running
        return running.last_A if running is not None and running.key == account.key else None

    def heard_by_guard_ns(self, account: Account, otherwise_ns: int) -> int:
        """When the guard broke the step off, by the last sample that it heard."""
        heard = None if self.left.guard is None else self.left.guard.heard
        if heard is None or heard.get("step_key") != account.key:
            return otherwise_ns
        return int(heard["mono_ns"]) + (0 if self._whole(account, heard) else int(0.5e9 * account.interval_s))

    def write_off(self, account: Account, since_ns: int, until_ns: int, *, over: bool, reason: Reason, detail: str) -> None:
        """What nobody heard the end of."""
        sampling = self.run.sampling
        sampling.take_up(account, since_ns, self.last_A(account))
        sampling.adopted.unheard(account, self.gap(account, since_ns, max(since_ns, until_ns)))
        account.over, account.cut = over, not over
        sampling.end_unseen(StepEnded(account.key, max(since_ns, until_ns), reason, detail))
