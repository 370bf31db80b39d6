"""Live analysis beside a run: reads what the journal has, sends what the spectra say to the rig, and delays nothing.

In real and scaled time it is a thread of the observer's process with a reader of its own; findings go to the rig by the
control socket's ``observed`` inlet, which journals them. It may lag, and says so. At ``--speed max`` it is ``Inline``: the same
analysis in the run's own process, its result arriving ``LATENCY_s`` after the FID was stored, so that one seed gives one file.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.control.client import NoRunHere, send
from orchestrator.control.messages import Answer, Command
from orchestrator.model.events import Event
from orchestrator.recorder.records import JournalError, Reader

if TYPE_CHECKING:
    from drivers.clock import Clock
    from orchestrator.analysis.findings import Finding
    from orchestrator.analysis.live import LiveAnalysis

LATENCY_s = 2.0
"""Declared for ``--speed max``: from *stored* to the observables' arrival."""
POLL_s = 0.5
BATCH = 500
BEHIND = 20
"""So many spectra may wait before it says that it lags."""
SEND_WITHIN_s = 10.0
RETRY_s = 1.0
WHO = "analysis"

Commands = asyncio.Queue[tuple[Command, "asyncio.Future[Answer]"]]
Rows = list[dict[str, Any]]
Send = Callable[[Rows, int], bool]
"""Findings, and the event up to which all stored spectra have been told of."""


def announce(commands: Commands) -> None:
    """Tell the run that somebody looks at its spectra, before the first of them: its end waits for what is said of the last."""
    looks = Command(f"{WHO}-0", "observed", {"observables": [], "through": 0}, WHO)
    commands.put_nowait((looks, asyncio.get_running_loop().create_future()))


def told(findings: Iterable[Finding]) -> Rows:
    """Findings as the inlet takes them."""
    return [finding.row() for finding in findings]


class Following:
    """One run's journal, followed for the analysis alone. ``step`` looks once; call it from one thread.

    ``send``: True when the rig has taken the findings; it hears of a spectrum without any, too. ``say``: told when it begins to lag,
    has caught up, or failed.
    """

    def __init__(self, journal: Path, send: Send, say: Callable[[str], None]) -> None:
        from orchestrator.analysis.live import LiveAnalysis

        self._reader = Reader(journal)
        self._send = send
        self._say = say
        self._analysis = LiveAnalysis()
        self._seq = 0
        self._untold: dict[str, Rows] = {}
        self._stored = 0
        self._through = 0
        self._lagging = False
        self._errors: set[str] = set()
        self.ended = False

    def step(self) -> bool:
        """Read on, analyse, send; True where there may be more at once."""
        try:
            batch = self._reader.since(self._seq, BATCH)
        except JournalError:
            return False
        for event in batch:
            self._seq = event.seq
            self._take(event)
        more = len(batch) == BATCH
        self._mark_lag(sum(event.kind == "acquisition.stored" for event in batch))
        if not more:
            self._deliver()
        return more

    def close(self) -> None:
        """Let go of the journal."""
        self._reader.close()

    def _take(self, event: Event) -> None:
        if event.kind in {"run.ended", "run.state"}:
            self.ended = event.kind == "run.ended"  # a watched run may go on behind its end
        if event.kind == "observable":
            self._untold.pop(str(event.data["key"]), None)  # told before this process came
            return
        if event.kind == "acquisition.stored":
            self._stored = event.seq
        if found := analysed(self._analysis, event, self._report):
            self._untold[found[0].key] = told(found)

    def _report(self, text: str) -> None:
        if text not in self._errors:
            self._errors.add(text)
            self._say(text)

    def _deliver(self) -> None:
        for key in list(self._untold):
            if not self._send(self._untold[key], self._through):
                return
            del self._untold[key]
        if self._through < self._stored and self._send([], self._stored):
            self._through = self._stored

    def _mark_lag(self, stored: int) -> None:
        waiting = stored + len(self._untold)
        if waiting > BEHIND and not self._lagging:
            self._lagging = True
            self._say(f"live analysis lags: {waiting} spectra wait; acquisitions go on")
        elif self._lagging and waiting <= 1:
            self._lagging = False
            self._say("live analysis has caught up")


def analysed(analysis: LiveAnalysis, event: Event, report: Callable[[str], None]) -> list[Finding]:
    """What one event says; a spectrum that the analysis fails on is reported, and the next one is looked at."""
    try:
        return analysis.feed(event)
    except (ValueError, ArithmeticError, LookupError, TypeError) as error:
        report(f"live analysis failed on {event.data.get('key', event.kind)}: {type(error).__name__}: {error}")
        return []


class AnalysisThread:
    """``Following`` in a thread of the observer's process. ``control``: the folder with the rig's ``control.json``."""

    def __init__(self, folder: Path, control: Path, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._control = control
        self._say = say
        self._stopped = threading.Event()
        self._quiet_until_s = 0.0
        self._thread = threading.Thread(target=self._run, name="analysis", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self, within_s: float) -> None:
        """End it, and wait no longer than that."""
        self._stopped.set()
        self._thread.join(within_s)

    def _run(self) -> None:
        following = Following(self._folder / "journal.sqlite", self._sent, self._say)
        try:
            while not self._stopped.is_set():
                more = following.step()
                if following.ended and not more:
                    break
                if not more:
                    self._stopped.wait(POLL_s)
        finally:
            following.close()

    def _sent(self, rows: Rows, through: int) -> bool:
        """Send one spectrum's findings; a rig that does not answer is left alone for a while."""
        if time.monotonic() < self._quiet_until_s or self._stopped.is_set():
            return False
        try:
            answer = send(self._control, "observed", {"observables": rows, "through": through}, who=WHO, within_s=SEND_WITHIN_s)
        except NoRunHere:
            self._quiet_until_s = time.monotonic() + RETRY_s
            return False
        if not answer.ok:
            where = rows[0]["key"] if rows else f"spectra up to event {through}"
            self._say(f"the rig does not take what the analysis found in {where}: {answer.text}")
        return True


class Inline:
    """The analysis at ``--speed max``. ``heard`` is told of each event of its ``kinds`` as it is journaled; ``run`` is a task of the run.

    ``say``: told once of each way in which it failed, after the event that it failed on has been journaled.
    """

    def __init__(
        self,
        clock: Clock,
        commands: Commands,
        say: Callable[[str], object],
        latency_s: float = LATENCY_s,
    ) -> None:
        from orchestrator.analysis.live import HEARD, LiveAnalysis

        self.kinds = HEARD
        self._clock = clock
        self._commands = commands
        self._latency_s = latency_s
        self._analysis = LiveAnalysis()
        self._due: asyncio.Queue[tuple[int, Rows, int]] = asyncio.Queue()
        self._sent = 0
        self._say = say
        self._errors: set[str] = set()

    def before(self, events: Iterable[Event]) -> None:
        """What a run that is continued had before; spectra that nobody has told of are told now."""
        untold: dict[str, Rows] = {}
        for event in events:
            if event.kind == "observable":
                untold.pop(str(event.data["key"]), None)
            elif found := analysed(self._analysis, event, self._report):
                untold[found[0].key] = told(found)
        for rows in untold.values():
            self._due.put_nowait((self._clock.mono_ns(), rows, 0))

    def heard(self, event: Event) -> None:
        """One event, just journaled."""
        found = analysed(self._analysis, event, self._report)
        if event.kind == "acquisition.stored":
            self._due.put_nowait((self._clock.mono_ns() + round(self._latency_s * 1e9), told(found), event.seq))

    def _report(self, text: str) -> None:
        if text not in self._errors:
            self._errors.add(text)
            asyncio.get_running_loop().call_soon(self._say, text)

    async def run(self) -> None:
        """Deliver each finding at its time, until cancelled."""
        while True:
            due_ns, rows, through = await self._due.get()
            await self._clock.sleep(max(0.0, (due_ns - self._clock.mono_ns()) / 1e9))
            self._sent += 1
            arguments = {"observables": rows, "through": through}
            answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            await self._commands.put((Command(f"analysis-{self._sent}", "observed", arguments, WHO), answer))
            await answer
