"""What a step waits for before the next starts: NMR, a list at open circuit, a person, a set-point; and what the cell does meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from drivers.base import CELL, WE, EndConditions, Mode, Reason
from orchestrator.model.acquisition import TriggerKind
from orchestrator.plan.on_device import VOLTAGES
from orchestrator.plan.orders import PlannedStep
from orchestrator.runner.account import Account, rest_like
from orchestrator.runner.acquisitions import Acquisitions
from orchestrator.runner.asked import Asked
from orchestrator.runner.between import PAUSE_LONGEST_S, Between
from orchestrator.runner.hands import Hands
from orchestrator.runner.owners import Owner
from orchestrator.runner.records import Record, members
from orchestrator.runner.sampling import Sampling
from orchestrator.runner.states import AcquisitionState
from orchestrator.runner.station import Surroundings
from orchestrator.runner.triggers import Fire

LIST_FACTOR = 1.5
LIST_MARGIN_S = 30.0
TUNING_S = 120.0
"""So long, at most, a list waits for the tuner before each of its acquisitions."""

S = AcquisitionState


class Waiting:
    """``taken_up``: key of the step whose list may have been begun before the run was continued."""

    def __init__(
        self, surroundings: Surroundings, sampling: Sampling, acquisitions: Acquisitions, hands: Hands, between: Between, asked: Asked
    ) -> None:
        self._s = surroundings
        self._sampling = sampling
        self._acquisitions = acquisitions
        self._hands = hands
        self._between = between
        self._asked = asked
        self.taken_up: str | None = None

    async def after(self, account: Account | None) -> None:
        """What the step asks for when it is over, before the next one starts."""
        if account is None or self._asked.go_to is not None:
            return
        step = account.planned
        if step.wait_for_nmr is not None and not self._scanned():
            waiting = self._waiting_account(account, step.wait_for_nmr.cell, step.wait_for_nmr.longest_s)
            await self._between.wait(waiting, self._acquisitions.records.until(self._scanned))
        if step.then:
            await self.acquire(step, step.then, None)

    async def by_hand(self, step: PlannedStep, suffix: str = "") -> None:
        """At open circuit until a person has answered, or a set-point has settled; where that takes too long, until somebody resumes."""
        account = rest_like(Account.of(step), suffix, step.text, step.longest_s or PAUSE_LONGEST_S)
        work = self._hands.work(step)
        await self._between.wait(account, work.run(), "done")
        if not work.done and account.ended is Reason.TIME:
            self._hands.late(work)
            self._asked.pause(Owner.HANDS, work.late)

    def _scanned(self) -> bool:
        """True when every acquisition that was asked for has had its last scan."""
        return all(record.scanned for record in self._acquisitions.records.all)

    def _waiting_account(self, account: Account, cell: str, longest_s: float) -> Account:
        """The cell while NMR is waited for: at open circuit, at its last voltage, or with the same current as before."""
        newest, step = self._sampling.newest, account.planned
        limits = replace(step.limits, time_s=longest_s * 1.02 + 60.0)
        suffix = self._between.suffix()
        if self._asked.no_more_current:
            cell = "at open circuit"
        if cell == "keep current" and account.has_current:
            kept = step.model_copy(update={"limits": limits, "text": f"{step.text} (kept until NMR is done)"})
            return Account.of(kept, suffix=suffix, ends=replace(step.ends, time_s=longest_s, charge_C=None, current_below_A=None))
        if cell == "at last voltage" and newest is not None:
            holds = self._s.station.potentiostat.capabilities.holds
            held_V, name = (newest.voltage_V, CELL) if CELL in holds else (newest.we_V, WE)
            text = f"at the last {VOLTAGES[name]}, {held_V:.4f} V, until NMR is done"
            held = {"mode": Mode.POTENTIOSTATIC, "voltage_V": held_V, "voltage_name": name, "current_A": None}
            update = {**held, "limits": limits, "text": text}
            return Account.of(step.model_copy(update=update), suffix=suffix, ends=EndConditions(time_s=longest_s))
        return rest_like(account, suffix, "at open circuit until NMR is done", longest_s)

    async def acquire(self, step: PlannedStep, names: Sequence[str], longest_s: float | None) -> None:
        """Acquisitions at open circuit, one after the other, until all are stored or 1.5 times their time has passed."""
        planned_s = sum(self._s.plan.acquisitions[name].duration_s for name in names)
        longest_s = max(longest_s or 0.0, LIST_FACTOR * planned_s + LIST_MARGIN_S)
        longest_s += TUNING_S * len(names) if self._s.plan.tuning else 0.0
        own, taken_up = step.action == "acquisitions", self._taken_up_by(step)
        text = step.text if own else f"at open circuit: {', '.join(names)}"
        account = rest_like(Account.of(step), "" if own and not taken_up else self._between.suffix(), text, longest_s)
        records = self._request(names, account.key, self._acquisitions.records.of_list(taken_up))
        await self._between.wait(account, self._acquisitions.records.until(lambda: all(_stored(record) for record in records)))
        for record in records:
            if record in self._acquisitions.records.pending and record.state is S.REQUESTED:
                self._acquisitions.records.end(record, S.MISSED, "deadline: the list at open circuit took too long")

    def _taken_up_by(self, step: PlannedStep) -> str:
        """The step's key, once, where its list may have been begun before the run was continued; else none."""
        taken_up, self.taken_up = self.taken_up, None
        return step.key if taken_up == step.key else ""

    def _request(self, names: Sequence[str], step_key: str, done: Sequence[Record] = ()) -> list[Record]:
        """One record (or round) for each name of a list, whatever else waits; those ``done`` before are not asked for again."""
        now_ns, left = self._s.clock.mono_ns(), list(done)
        records = []
        for name in names:
            before = [record for record in left if record.asked_as == name][: len(members(name, self._s.plan.acquisitions))]
            left = [record for record in left if record not in before]
            fire = Fire(name, "list", now_ns, TriggerKind.AT_START)
            records += before or self._acquisitions.request([fire], step_key, listed=True)
        return records


def _stored(record: Record) -> bool:
    return record.state is S.STORED or record.over
