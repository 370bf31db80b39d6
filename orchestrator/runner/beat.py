"""Each second: the heartbeat to the guard, samples that nobody has taken to the journal yet, and silence. Never waits."""

from __future__ import annotations

import os
from typing import Protocol

from drivers.base import Mode
from orchestrator.control.heartbeat import Heartbeat
from orchestrator.platform import process_start
from orchestrator.runner.account import Account
from orchestrator.runner.impedance import beyond_s
from orchestrator.runner.safety import silent_after_s
from orchestrator.runner.sampling import Sampling
from orchestrator.runner.station import Surroundings

BEAT_S = 1.0
FORGOTTEN_NS = 1_500_000_000
"""A sample that has waited so long for company goes to the journal alone."""

SPARSE_S = 2.0
"""Where samples are further apart than this, triggers of time are looked at in between."""


class Alarmed(Protocol):
    """Who acts on silence and on a full journal; no method waits."""

    def silent(self, age_s: float) -> None:
        """No sample for too long while a step runs."""

    def heard(self) -> None:
        """Samples come again."""

    def overflowing(self) -> None:
        """The journal is full."""

    @property
    def making_safe(self) -> bool:
        """True while the cell is being brought to open circuit."""


class Beat:
    """The part of the sampling task that goes on when no sample comes. Counts real seconds, as the guard does."""

    def __init__(self, surroundings: Surroundings, sampling: Sampling, alarmed: Alarmed) -> None:
        self._s = surroundings
        self._sampling = sampling
        self._alarmed = alarmed
        self._silence_of: float | None = None

    async def run(self) -> None:
        """Beat until cancelled."""
        pid = os.getpid()
        started = process_start(pid) or 0.0
        while True:
            self._tick(pid, started)
            await self._s.clock.sleep_real(BEAT_S)

    def _tick(self, pid: int, started: float) -> None:
        sampling, account, follows = self._sampling, self._sampling.account, self._s.follows
        age_s = None if account is None or follows else self._overdue_s(account)
        if age_s is not None:
            self._look_for_silence(age_s)
        if account is not None and (account.interval_s > SPARSE_S or follows):
            sampling.tick()
        self._s.guard.beat(self._heartbeat(pid, started, age_s))
        sampling.flush(self._s.clock.mono_ns() - FORGOTTEN_NS)
        if self._s.journal.full:
            self._alarmed.overflowing()

    def _heartbeat(self, pid: int, started: float, age_s: float | None) -> Heartbeat:
        sampling, clock = self._sampling, self._s.clock
        beat = Heartbeat(pid, started, sampling.cell, "open circuit", sampling.unseen_s(age_s), making_safe=self._alarmed.making_safe)
        account = sampling.account
        if self._s.plan.host_lost != "finish step on device" or sampling.finish_by_ns is None or account is None:
            return beat
        finish_s = max(0.0, (sampling.finish_by_ns - clock.mono_ns()) / 1e9 / clock.speed)
        declared = beat._replace(order="let the device finish", finish_within_s=finish_s, step=account.key)
        limits = account.planned.limits
        if limits.voltage_name != "cell":  # the guard sees the cell's voltage only
            return declared._replace(most_A=limits.current_A)
        lower_V = limits.voltage_lower_V if sampling.lower_armed else None
        return declared._replace(lower_V=lower_V, upper_V=limits.voltage_upper_V, most_A=limits.current_A)

    def _overdue_s(self, account: Account) -> float:
        """Real seconds by which the next sample is overdue."""
        age_s = max(0.0, self._sampling.voltage_age_s() - account.interval_s / self._s.clock.speed)
        if account.planned.mode is Mode.IMPEDANCE:
            return min(age_s, max(0.0, beyond_s(account, self._s.clock.mono_ns()) / self._s.clock.speed))
        return age_s

    def _look_for_silence(self, age_s: float) -> None:
        """Say once that samples have ceased, and once that they come again."""
        if age_s <= silent_after_s(self._s.plan.host_lost_within_s, self._s.station.potentiostat.capabilities.make_safe_s):
            if self._silence_of is not None:
                self._silence_of = None
                self._alarmed.heard()
        elif self._silence_of != self._sampling.heard_s:
            self._silence_of = self._sampling.heard_s
            self._alarmed.silent(age_s)
