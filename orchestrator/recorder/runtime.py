"""The time axis of a run file: seconds of the monotonic clock since the start of the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.model.events import Event

ANOTHER_CLOCK_NS = 60_000_000_000


def iso_utc(utc_ns: int) -> str:
    """ISO 8601 with microseconds and Z."""
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=utc_ns // 1000)
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class RunTime:
    """Where second 0 lies on the monotonic clock, also after a computer's restart has begun a new one.

    An event that carries ``origin_mono_ns`` says so (``run.started``; ``run.state`` of a continued run). Without a word, a
    monotonic clock that falls back while UTC goes on is a new one, and UTC bridges the gap.
    """

    origin_mono_ns: int = 0
    start_utc_ns: int = 0
    described: dict[str, Any] = field(default_factory=dict)
    _newest_mono_ns: int | None = None
    _utc_less_mono_ns: int = 0

    def seconds(self, mono_ns: int) -> float:
        """Seconds of the run."""
        return self.run_ns(mono_ns) / 1e9

    def run_ns(self, mono_ns: int) -> int:
        """Nanoseconds of the run."""
        return mono_ns - self.origin_mono_ns

    def see(self, event: Event) -> bool:
        """Look at the next event; True when second 0 has moved with it."""
        before = self.origin_mono_ns
        utc_less_mono_ns = event.utc_ns - event.mono_ns
        told = event.data.get("origin_mono_ns") if event.kind in {"run.started", "run.state"} else None
        if self._newest_mono_ns is None:
            self.origin_mono_ns = event.mono_ns if told is None else told
            self.start_utc_ns = utc_less_mono_ns + self.origin_mono_ns
            self.described = {"start": iso_utc(self.start_utc_ns)}
        elif told is not None:
            self.origin_mono_ns = told
        elif self._is_another_clock(event.mono_ns, utc_less_mono_ns):
            self.origin_mono_ns = self.start_utc_ns - utc_less_mono_ns
        else:
            self._newest_mono_ns = max(self._newest_mono_ns, event.mono_ns)
            self._utc_less_mono_ns = utc_less_mono_ns
            return False
        self._newest_mono_ns, self._utc_less_mono_ns = event.mono_ns, utc_less_mono_ns
        return self.origin_mono_ns != before

    def _is_another_clock(self, mono_ns: int, utc_less_mono_ns: int) -> bool:
        assert self._newest_mono_ns is not None
        fell_back = mono_ns < self._newest_mono_ns - ANOTHER_CLOCK_NS
        return fell_back and abs(utc_less_mono_ns - self._utc_less_mono_ns) > ANOTHER_CLOCK_NS
