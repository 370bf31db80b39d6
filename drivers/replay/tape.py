"""Where a recording stands: wound forward to what a plan asks for, played, stopped. Pure: seconds in, rows out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drivers.base import Reason
from drivers.errors import Rejected
from drivers.replay.stretches import Ending, Stretch, ending
from drivers.stream.bounds import StepPlan
from drivers.stream.rows import Row

MOST_NAMED = 6


def row_of(stretch: Stretch, at: int) -> Row:
    """One of its rows."""
    return Row(float(stretch.time_s[at]), float(stretch.voltage_V[at]), float(stretch.current_A[at]))


@dataclass(slots=True)
class Playing:
    """A stretch that plays. ``given``: rows so far. ``end_s``: its end, or where it was stopped."""

    stretch: Stretch
    ending: Ending
    end_s: float
    given: int = 0

    def upto(self, elapsed_s: float) -> tuple[Row, ...]:
        """Rows that are due now and were not given before."""
        due = int(np.searchsorted(self.stretch.time_s, min(elapsed_s, self.end_s), side="right"))
        first, self.given = self.given, max(self.given, due)
        return tuple(row_of(self.stretch, at) for at in range(first, due))


class Tape:
    """The steps of a recording. ``playing`` is kept after its end, until something else plays."""

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        self._left = list(stretches)
        self._wound: tuple[int, Ending] | None = None
        self._runs = False
        self.playing: Playing | None = None

    def wind(self, plan: StepPlan) -> int:
        """Forward to the next step that is what the plan asks for; how many were passed over. Raises Rejected where none is left."""
        self._wound = None
        for at, stretch in enumerate(self._left):
            if stretch.is_what(plan.order):
                self._wound = at, ending(stretch, plan)
                return at
        raise Rejected(
            f"recording exhausted: nothing is left in it like step {plan.order.key}",
            received=self.ahead,
            advice="the protocol must ask for what was recorded: the same kinds of step, currents within 5 %, voltages within 10 mV",
        )

    @property
    def ahead(self) -> str:
        """What is still to come, for people."""
        named = ", ".join(f"{one.held} for {one.duration_s:.6g} s" for one in self._left[:MOST_NAMED])
        more = len(self._left) - MOST_NAMED
        return (named + (f", and {more} more" if more > 0 else "")) or "nothing"

    def play(self) -> None:
        """From where it was wound to. Raises Rejected where it was not."""
        if self._wound is None:
            raise Rejected("nothing was loaded")
        (at, end), self._wound = self._wound, None
        self.playing, self._left, self._runs = Playing(self._left[at], end, end.time_s), self._left[at + 1 :], True

    def runs(self, elapsed_s: float) -> bool:
        """Does it play, so long after it began to? Where its end has come, what is left of the stretch comes next."""
        if self._runs and self.playing is not None and elapsed_s >= self.playing.end_s:
            self._runs = False
            rest = self.playing.stretch.after(self.playing.end_s)
            self._left[:0] = [] if rest is None else [rest]
        return self._runs

    def stop(self, elapsed_s: float) -> None:
        """Now; it stands where it was stopped."""
        self._wound = None
        if self.playing is not None and self.runs(elapsed_s):
            self.playing.end_s = elapsed_s
            self.playing.ending = Ending(elapsed_s, Reason.ABORT, "stopped")
            self.runs(elapsed_s)

    @property
    def shown(self) -> Row | None:
        """The last row that was played, else the first that will be."""
        one = self.playing
        if one is not None and one.given:
            stretch, at = one.stretch, one.given - 1
        elif self._left:
            stretch, at = self._left[0], 0
        else:
            return None
        return row_of(stretch, at)
