"""The charge that the steps of a run have passed, as later steps and repeats ask for it."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.plan.orders import LeaveRepeat, PlannedStep
from orchestrator.runner.account import Account, Passed

OPPOSITE = {
    "charge": "discharge",
    "discharge": "charge",
    "lithiate": "delithiate",
    "delithiate": "lithiate",
    "sodiate": "desodiate",
    "desodiate": "sodiate",
    "plate": "strip",
    "strip": "plate",
}


class PassedCharge:
    """Steps that are over, in their order."""

    def __init__(self, passed: Iterable[Passed] = ()) -> None:
        self._steps = list(passed)

    def note(self, account: Account) -> None:
        """A step is over; one that never began has passed nothing."""
        if account.first_started_ns is not None:
            self._steps.append(Passed(account.planned.verb, account.planned.cycle, abs(account.charge_C)))

    @property
    def last_driven(self) -> str:
        """The verb of the last step that passed charge; empty where none did."""
        return next((passed.verb for passed in reversed(self._steps) if passed.verb in OPPOSITE and passed.charge_C), "")

    def earlier_C(self, verb: str) -> float:
        """Charge that steps of a verb have passed since the last opposite one."""
        total_C = 0.0
        for passed in reversed(self._steps):
            if passed.verb == OPPOSITE.get(verb):
                break
            total_C += passed.charge_C if passed.verb == verb else 0.0
        return total_C

    def leaves(self, leave: LeaveRepeat, step: PlannedStep) -> str:
        """Why the repeat that this step closes is left now; empty where it goes on."""
        now_C, of_C = self._in_cycle_C(leave.verb, step.cycle), leave.factor * self._in_cycle_C(leave.verb, leave.of_cycle)
        if not (now_C < of_C if leave.side == "below" else now_C > of_C):
            return ""
        return f"{leave.verb} {now_C / 3.6:.4g} mAh is {leave.side} {of_C / 3.6:.4g} mAh"

    def _in_cycle_C(self, verb: str, cycle: int) -> float:
        return sum(passed.charge_C for passed in self._steps if passed.verb == verb and passed.cycle == cycle)
