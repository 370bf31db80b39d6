"""Ring 1 on the host, where the instrument keeps the ends of a step as well: an end that it lets pass. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.base import CE, CELL, WE, EndConditions, Reason, Rows
from orchestrator.runner.account import Account

LATE_NS = 5_000_000_000
"""So long all samples lie past an end before the host ends the step: by then its own word would have come. Inferred."""
SLACK_S, SLACK, SLACK_V = 30.0, 0.01, 2e-3
"""So far an end must be passed: two clocks, integrals and voltmeters differ. Half of what ring 2 allows in time; inferred."""


@dataclass(slots=True)
class CutOff:
    """Fed with each block of a step, of which the newest sample counts. ``since_ns``: since when the same end is passed."""

    key: str = ""
    reason: Reason | None = None
    since_ns: int = 0

    def passed(self, rows: Rows, account: Account) -> Reason | None:
        """The end that this step should have had; None as long as there is none, or somebody has asked for one."""
        if account.asked is not None or account.cut or not rows.mono_ns:
            return None
        mono_ns, reason = rows.mono_ns[-1], _past(rows, account)
        if reason is None or (reason, account.key) != (self.reason, self.key):
            self.key, self.reason, self.since_ns = account.key, reason, mono_ns
            return None
        return reason if mono_ns - self.since_ns >= LATE_NS else None


def _past(rows: Rows, account: Account) -> Reason | None:
    """The first end that the newest sample lies past."""
    ends, elapsed_s = account.ends, account.elapsed_s(rows.mono_ns[-1])
    if not account.adopted and elapsed_s > ends.time_s * (1.0 + SLACK) + SLACK_S:
        return Reason.TIME  # when an adopted one began is not known so well; the second ring has its time
    if ends.charge_C is not None and abs(account.charge_C) > ends.charge_C * (1.0 + SLACK) + account.uncertainty_C:
        return Reason.CHARGE
    if ends.current_below_A is not None and elapsed_s > 0.0 and abs(rows.current_A[-1]) < ends.current_below_A * (1.0 - SLACK):
        return Reason.CURRENT
    if ends.voltage_upper_V is None and ends.voltage_lower_V is None and not ends.electrodes:
        return None
    return _past_voltage(ends, rows)


def _past_voltage(ends: EndConditions, rows: Rows) -> Reason | None:
    """NaN, where nobody read it, has passed nothing."""
    columns = {CELL: rows.voltage_V, WE: rows.voltage_we_V, CE: rows.voltage_ce_V}
    for bounds in (ends.bounds(CELL), *ends.electrodes):
        column = columns[bounds.electrode]
        if column is None:
            continue
        if bounds.upper_V is not None and column[-1] > bounds.upper_V + SLACK_V:
            return Reason.V_UPPER
        if bounds.lower_V is not None and column[-1] < bounds.lower_V - SLACK_V:
            return Reason.V_LOWER
    return None
