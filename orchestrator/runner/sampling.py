"""The sampling task: the one reader of the potentiostat's stream. On every sample: charge, limits, triggers, rules.

It awaits the stream and nothing else (behind an edge it lets others go first): neither disk nor network, analysis nor console.
Whatever must be done elsewhere because of what it sees is handed to a ``Listener``, whose methods never wait.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import compress, product, repeat
from typing import Any, Literal

from drivers.base import (
    ImpedanceSpectrum,
    LinkLost,
    LinkRestored,
    Mode,
    PotentiostatEvent,
    Reason,
    Rows,
    SampleBlock,
    StepEnded,
    StepStarted,
)
from orchestrator.model.columns import pack
from orchestrator.runner.account import Account
from orchestrator.runner.adopted import Adopted
from orchestrator.runner.blocks import ALWAYS, Blocks
from orchestrator.runner.charge import Charge, or_none
from orchestrator.runner.gaps import counted_by
from orchestrator.runner.instead import Instead
from orchestrator.runner.listener import Listener, Watching
from orchestrator.runner.resumption import Resumption
from orchestrator.runner.rules import RuleEngine
from orchestrator.runner.safety import Watch
from orchestrator.runner.station import Surroundings
from orchestrator.runner.triggers import Fire, Sample, TriggerEngine

RECENT = 20_000
"""So many instants and voltages are kept for the checks before the first current."""

BROKEN = frozenset({Reason.DEVICE_ERROR, Reason.LOST, Reason.SAFETY, Reason.ABORT})
"""A step that ends so by itself is not over."""

FURTHER = ("device_ns", "voltage_we_V", "voltage_ce_V")
"""Columns that not every instrument has."""
NAMES = {there: ALWAYS + tuple(compress(FURTHER, there)) for there in product((False, True), repeat=len(FURTHER))}
"""Of all columns, by which of the further ones there are."""

UNREAD = repeat((math.nan, math.nan))
"""Of a cell of two electrodes."""

CellWord = Literal["on", "off", "unknown"]


class Sampling:
    """Everything that is known of the cell this moment, and the task that keeps it so."""

    def __init__(self, surroundings: Surroundings, listener: Listener, rules: RuleEngine, watching: Watching | None = None) -> None:
        plan = surroundings.plan
        self._s = surroundings
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._rules = rules
        self._watching = watching
        self._blocks = Blocks(surroundings)
        self._watch = Watch(plan.limits)
        self._capacity_C = plan.capacity_C
        self._expected: dict[str, Account] = {}
        self._standing: list[tuple[TriggerEngine, int]] = []
        self._stored: tuple[int, float] = (0, math.inf)
        self._ended_ns: int | None = None
        self._violated = False
        self._names: tuple[str, ...] = ALWAYS
        self.charge = Charge(plan.x_now, plan.x_per_C)
        self.adopted = Adopted(surroundings, self._blocks, self.charge)
        self.heard_s = -math.inf
        self._forgiven = False
        self.account: Account | None = None
        self.newest: Sample | None = None
        self.recent: deque[tuple[int, float]] = deque(maxlen=RECENT)
        self.cell: CellWord = "unknown"
        self.samples = 0
        self.seen_after_s: list[float] = []
        """Of a cycler that is followed: how late each step was seen to begin."""
        self.finish_by_ns: int | None = None

    # ------------------------------------------------------------------------------------------------ what others ask

    def expect(self, accounts: list[Account]) -> None:
        """These steps are about to start, in this order."""
        self._expected = {account.key: account for account in accounts}

    def unseen_s(self, age_s: float | None) -> float | None:
        """Real seconds for which current may have flowed unseen: in a step that drives it, or after a rest that should be over."""
        account, clock = self.account, self._s.clock
        if account is None or age_s is None:
            return None
        if self._s.plan.host_lost == "finish step on device" and self.finish_by_ns is not None:
            over_s = (clock.mono_ns() - self.finish_by_ns) / 1e9 / clock.speed
            return min(age_s, over_s) if over_s > 0.0 else None
        if account.has_current:
            return None if self.cell == "off" else age_s
        over_s = (account.elapsed_s(clock.mono_ns()) - account.ends.time_s) / clock.speed
        follows = any(other.has_current and other.ended is None for other in self._expected.values())
        return min(age_s, over_s) if follows and over_s > 0.0 else None

    def prepared(self) -> None:
        """The checks before the first current are done: nobody asks for past voltages any more."""
        self.recent = deque(maxlen=0)

    def stand(self, engine: TriggerEngine) -> None:
        """Triggers of the whole run, whatever step it is in."""
        self._standing.append((engine, self._s.clock.mono_ns()))

    @property
    def lower_armed(self) -> bool:
        """True when the lower voltage limit counts already."""
        return self._watch.lower_armed

    def voltage_age_s(self) -> float:
        """Real seconds (of the loop) since the last sample; infinite before the first."""
        return self._loop.time() - self.heard_s

    def released(self, acquisition: str, instead: Instead, *, ok: bool) -> list[Fire]:
        """The console has finished one of these: what follows back to back."""
        now_ns = self._s.clock.mono_ns()
        account = self.account
        if account is None:
            return []
        engine = account.engine
        return engine.released(instead.asked_for(acquisition, engine.names), now_ns, account.elapsed_s(now_ns), ok=ok)

    # ------------------------------------------------------------------------------------------------- a continued run

    def restore(self, left: Resumption) -> None:
        """Go on with what a run had seen that was broken off."""
        self._rules, self._watch, self.newest = left.rules, left.watch, left.newest
        self.recent.extend(left.recent)
        self._standing = list(left.standing)
        self.adopted.came_ns = self._s.clock.mono_ns()

    def take_up(self, account: Account, since_ns: int, last_A: float | None) -> None:
        """This step ran when the rig died: it is the running one, heard up to an instant. ``last_A``: of its own last sample."""
        self.account = account
        self.adopted.take_up(account, since_ns)
        self._blocks.begin(account.key, account.planned.cycle, account.planned.index)
        self._watch.begin(account.planned.limits)
        slowest_s = self._s.station.potentiostat.capabilities.min_sample_interval_s
        self.charge.take_up(since_ns, last_A, max(account.interval_s, slowest_s))
        self.heard_s = self._loop.time()
        self.cell = "on" if account.has_current else "off"

    def end_unseen(self, ended: StepEnded) -> None:
        """The step that was taken up is over, or its part is, although nobody heard it end."""
        self._take_end(ended, unseen=True)

    # --------------------------------------------------------------------------------------------------------- the task

    async def read(self) -> None:
        """Take events until the stream ends, which it does only when something is wrong, or on release."""
        async for event in self._s.station.potentiostat.events():
            if isinstance(event, StepEnded) and self._order_ahead(event):
                await asyncio.sleep(0)  # the step's samples are judged: the console is told to start, then its end is written down
            self.take(event)
            if isinstance(event, StepEnded):
                await asyncio.sleep(0)  # the console is told to start before the next step is written down
        raise ConnectionError("the potentiostat's stream has ended")

    def tick(self) -> None:
        """Time goes on for the triggers also where samples are sparse."""
        account, newest, now_ns = self.account, self.newest, self._s.clock.mono_ns()
        if account is None or newest is None or account.started_ns is None or newest.mono_ns < account.started_ns:
            return
        if fires := account.engine.feed(Sample(now_ns, account.elapsed_s(now_ns), *newest[2:])):
            self._listener.fired(fires, account.key, None)

    # ---------------------------------------------------------------------------------------------------------- events

    def take(self, event: PotentiostatEvent) -> None:
        """One event of the stream."""
        if isinstance(event, SampleBlock):
            self._take_samples(event)
        elif isinstance(event, StepStarted):
            self._take_start(event)
        elif isinstance(event, StepEnded):
            self._take_end(event)
        elif isinstance(event, ImpedanceSpectrum):
            self._take_impedance(event)
        else:
            self._take_link(event)

    def _take_samples(self, block: SampleBlock) -> None:
        account, adopted = self.account, None
        if account is not None and account.adopted:
            adopted, block = account, self.adopted.fresh(block)
            if not len(block):
                return
        self.heard_s, self._forgiven = self._loop.time(), False
        columns, blocks = block.rows, self._blocks
        self._names, extra = _further_columns(columns)
        for name, values in columns.aux.items():
            blocks.add_aux(name, columns.mono_ns, values)
        counted = iter(() if adopted is None else counted_by(block))
        further = zip(*extra, strict=True)
        rows = zip(columns.mono_ns, columns.voltage_V, columns.current_A, _electrodes(columns), further, strict=False)
        for mono_ns, voltage_V, current_A, electrodes_V, others in rows:
            if adopted is not None:
                last_A = None if self.newest is None else self.newest.current_A
                self.adopted.bridge(adopted, mono_ns, current_A, next(counted), last_A)
            blocks.half_width_ns = max(blocks.half_width_ns, block.half_width_ns)
            self._take_sample(mono_ns, voltage_V, current_A, electrodes_V, others)
        if self._watching is not None:
            self._watching.samples(block, account)

    def _take_sample(
        self, mono_ns: int, voltage_V: float, current_A: float, electrodes_V: tuple[float, float], further: Sequence[float]
    ) -> None:
        """``further``: its status, and what not every instrument measures."""
        self.samples += 1
        account, charge = self.account, self.charge
        elapsed_s = charge_C = 0.0
        if account is not None:
            account.charge_C += charge.pass_to(mono_ns, current_A)
            elapsed_s, charge_C = account.elapsed_s(mono_ns), account.charge_C
        violation = self._watch.check(voltage_V, current_A, charge_C, elapsed_s, *electrodes_V)
        if violation is not None and not self._violated:
            self._violated = True
            self._listener.violated(violation)
        fraction = abs(charge_C) / self._capacity_C if self._capacity_C else None
        self.recent.append((mono_ns, voltage_V))
        sample = self.newest = Sample(mono_ns, elapsed_s, charge_C, voltage_V, current_A, charge.x, fraction, *electrodes_V)
        if account is None or self._keeps(account, sample):
            self._blocks.add(self._names, (mono_ns, voltage_V, current_A, charge_C, charge.net_C, charge.throughput_C, charge.x, *further))
        if account is not None:
            self._decide(account, sample)
        for engine, since_ns in self._standing:
            if fires := engine.feed(sample._replace(elapsed_s=(mono_ns - since_ns) / 1e9)):
                self._listener.fired(fires, "" if account is None else account.key, None)

    def _decide(self, account: Account, sample: Sample) -> None:
        if fires := account.engine.feed(sample):
            self._listener.fired(fires, account.key, None)
        for firing in self._rules.feed(sample):
            self._listener.ruled(firing, sample, account.key)
        if account.missing and account.asked is None and not account.cut:
            reason = account.reached(sample.voltage_V, sample.current_A, sample.elapsed_s, sample.we_V, sample.ce_V)
            if reason is not None:
                self._listener.reached(reason)

    def _keeps(self, account: Account, sample: Sample) -> bool:
        """Is this sample stored? All are, but where the step asks for fewer after its first minutes."""
        rate = account.planned.sample
        if not rate.first_Hz or sample.elapsed_s <= rate.first_s:
            return True
        stored_ns, stored_V = self._stored
        moved = account.planned.sample_voltage_V is not None and abs(sample.voltage_V - stored_V) >= account.planned.sample_voltage_V
        if not moved and sample.mono_ns - stored_ns < 0.999e9 / rate.then_Hz:
            return False
        self._stored = (sample.mono_ns, sample.voltage_V)
        return True

    # ----------------------------------------------------------------------------------------------------------- edges

    def _take_start(self, event: StepStarted) -> None:
        account = self._expected.get(event.key)
        if account is not None and account is self.account and account.adopted:
            self._listener.edge(event)  # it has told us once more what we know
            return
        if account is None or account.started_ns is not None:
            self._s.put("note", mono_ns=event.mono_ns, text=f"the potentiostat started {event.key!r}, which nobody ordered", who="rig")
            return
        planned = account.planned
        self._blocks.begin(event.key, planned.cycle, planned.index)
        self.account = account
        trigger = "hardware" if account.waits_for_line else "software"
        account.started_ns = event.mono_ns
        first = account.first_started_ns is None
        account.first_started_ns = account.first_started_ns or event.mono_ns
        slowest_s = self._s.station.potentiostat.capabilities.min_sample_interval_s
        self.charge.begin(event.mono_ns, max(account.interval_s, slowest_s))
        self.heard_s = self._loop.time()
        self._watch.begin(planned.limits)
        self.cell = "off" if planned.mode is Mode.REST else "on"
        self._rules.begin(planned, first=first)
        cause = self._s.put(
            "step.started",
            mono_ns=event.mono_ns,
            key=event.key,
            index=planned.index,
            cycle=planned.cycle,
            text=planned.text,
            mode=planned.mode.value,
            verb=planned.verb,
            name=planned.name,
            part=account.part,
            current_A=planned.current_A,
            voltage_V=planned.voltage_V,
            device_ns=event.device_ns,
            gap_s=None if self._ended_ns is None else (event.mono_ns - self._ended_ns) / 1e9,
            ends=asdict(account.ends),
            follows=self._follows(account),
            trigger=trigger,
            latency_s=None if account.start_asked_ns is None else (event.mono_ns - account.start_asked_ns) / 1e9,
            **self._also(account, event),
        )
        self._listener.edge(event)
        if first and (fires := account.engine.start(event.mono_ns)):
            self._listener.fired(fires, event.key, cause)

    def _also(self, account: Account, event: StepStarted) -> dict[str, Any]:
        """What only some steps are: found running by a continued run, or begun by a cycler that is followed."""
        also: dict[str, Any] = {"adopted": True} if account.adopted else {}
        if self._s.follows:
            self.seen_after_s.append(max(0.0, (self._s.clock.mono_ns() - event.mono_ns) / 1e9))
            also["seen_after_s"] = self.seen_after_s[-1]
        return also

    def _order_ahead(self, event: StepEnded) -> bool:
        """May the console start what this end asks for, before anything of it is written down? Not behind a limit that was passed."""
        account = self.account
        if account is None or account.key != event.key or self._violated or not _whole(account, event):
            return False
        fires = account.engine.end(event.mono_ns)
        return bool(fires) and self._listener.ahead(fires)

    def _take_end(self, event: StepEnded, *, unseen: bool = False) -> None:
        account = self.account
        if account is None or account.key != event.key:
            self._listener.edge(event)
            return
        account.charge_C += self.charge.end(event.mono_ns, lost=event.reason is Reason.LOST)
        self._blocks.flush()
        by_host = account.asked is not None and (event.reason is Reason.SKIP or account.over)
        reason = account.asked if by_host and account.asked is not None else event.reason
        detail = "; ".join(text for text in (account.asked_why if by_host else "", event.detail) if text)
        whole = _whole(account, event)
        cause = self._s.put(
            "step.ended",
            mono_ns=event.mono_ns,
            key=event.key,
            reason=reason.value,
            detail=detail,
            duration_s=account.elapsed_s(event.mono_ns),
            charge_C=account.charge_C,
            charge_complete=self.charge.complete and not unseen,
            last_of_program=event.last_of_program,
            device_ns=event.device_ns,
            over=whole,
            charge_net_C=self.charge.net_C,
            charge_throughput_C=self.charge.throughput_C,
            x=or_none(self.charge.x),
            charge_uncertainty_C=account.uncertainty_C,
        )
        self._ended_ns = event.mono_ns
        if event.last_of_program:
            self.cell = "off"
        if whole:
            account.ended = reason
        if whole and (fires := account.engine.end(event.mono_ns)):
            self._listener.fired(fires, event.key, cause)
        self._close(account, event.mono_ns)
        self._listener.edge(event)

    def _follows(self, account: Account) -> int:
        """So many steps follow in the program."""
        return len(self._expected) - 1 - list(self._expected).index(account.key)

    def _close(self, account: Account, mono_ns: int) -> None:
        """No step runs on this account now."""
        account.active_s = account.elapsed_s(mono_ns)
        account.started_ns = None
        if account.cut:
            account.next_part()
        self.account = None
        self._blocks.begin("", account.planned.cycle, account.planned.index)

    def write_off(self, why: str) -> None:
        """The running step is over although the instrument did not say so."""
        account = self.account
        if account is None:
            return
        now_ns = self._s.clock.mono_ns()
        self._take_end(StepEnded(account.key, now_ns, Reason.LOST, detail=why))

    def flush(self, older_than_ns: int | None = None) -> None:
        """Journal the samples that wait (only if they have waited since before an instant)."""
        self._blocks.flush(older_than_ns)

    def _take_impedance(self, event: ImpedanceSpectrum) -> None:
        description, blob = pack({"frequency_Hz": event.frequency_Hz.astype("<f8"), "z": event.impedance_ohm.astype("<c16")})
        data = {"step_key": event.step_key, "n": len(event.frequency_Hz), "columns": description}
        self._s.journal.put("eis", data, blob=blob, at=self._s.at(event.mono_ns))
        self._rules.measured_impedance(event)

    def _forgive(self) -> None:
        """A link that came back gets time for its first sample; one that comes and goes without a sample gets it once."""
        if not self._forgiven:
            self._forgiven = True
            self.heard_s = self._loop.time()

    def _take_link(self, event: LinkLost | LinkRestored) -> None:
        instrument = self._s.station.potentiostat_settings.instrument
        if isinstance(event, LinkLost):
            self.cell = "unknown" if self.cell == "on" else self.cell
            self._s.put("link.lost", mono_ns=event.mono_ns, instrument=instrument, why=event.why)
        else:
            self._forgive()
            self._s.put("link.restored", mono_ns=event.mono_ns, instrument=instrument, detail=event.detail)
        self._listener.edge(event)


def _whole(account: Account, event: StepEnded) -> bool:
    """Is the step over, and not only a part of it?"""
    return account.over or (not account.cut and event.reason not in BROKEN)


def _electrodes(columns: Rows) -> Iterable[tuple[float, float]]:
    """E_we and E_ce of each row, NaN where not measured; without an end where neither is."""
    we_V, ce_V = columns.voltage_we_V, columns.voltage_ce_V
    if we_V is None is ce_V:
        return UNREAD
    unread = repeat(math.nan)
    return zip(we_V or unread, ce_V or unread, strict=False)


def _further_columns(columns: Rows) -> tuple[tuple[str, ...], list[Sequence[float]]]:
    """Names of all columns of a block, and the values of those behind voltage and current."""
    _, _, _, status, device_ns, we_V, ce_V, _ = columns
    further: list[Sequence[float]] = [status, *(values for values in (device_ns, we_V, ce_V) if values is not None)]
    return NAMES[device_ns is not None, we_V is not None, ce_V is not None], further
