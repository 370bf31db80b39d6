"""What a MethodSCRIPT instrument says, line by line: an answer, or the stream of a script; and what it is taken to be doing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from enum import Enum, auto

from drivers.base import Reason, StepOrder
from drivers.clock import Clock
from drivers.methodscript import wire
from drivers.methodscript.running import RunningScript, Said
from drivers.methodscript.silence import Silence
from drivers.methodscript.talk import Talk, of_script
from drivers.stream.samples import Outbox

LISTEN_FLOOR_S = 0.3
MOST_GARBAGE, SHOWN_CHARACTERS = 3, 80

_log = logging.getLogger(__name__)


class Phase(Enum):
    """What the driver takes the instrument to be doing."""

    LISTENING = auto()
    IDLE = auto()
    STARTING = auto()
    RUNNING = auto()


BUSY = (Phase.STARTING, Phase.RUNNING)


class Hearing:
    """``broke``: told why a script broke off, with the cell perhaps still on.

    ``phase``; ``running``: the script that runs, or ran; ``started``: keys of steps that were begun; ``idle``: set as a script is over;
    ``aborting``, ``skips_waiting``: why it will be; ``fresh``: the next line may be the end of one whose beginning nobody heard.
    """

    def __init__(self, name: str, clock: Clock, outbox: Outbox, talk: Talk, silence: Silence, broke: Callable[[str], None]) -> None:
        self._name, self._clock, self._outbox, self._talk, self._silence, self._broke = name, clock, outbox, talk, silence, broke
        self.phase, self.running = Phase.IDLE, RunningScript(outbox)
        self.started: set[str] = set()
        self.idle = asyncio.Event()
        self.aborting = self.skips_waiting = False
        self.fresh = True
        self._garbage = 0
        self._start_answer: asyncio.Future[wire.Line] | None = None

    @property
    def busy(self) -> bool:
        """A script runs, or is about to."""
        return self.phase in BUSY

    def begin(self, program: tuple[StepOrder, ...]) -> asyncio.Future[wire.Line]:
        """The script of a program is about to be run; what answers its ``r``."""
        self.running = RunningScript(self._outbox, program)
        self._start_answer = asyncio.get_running_loop().create_future()
        self.phase, self.aborting, self.skips_waiting = Phase.STARTING, False, False
        self.idle.clear()
        return self._start_answer

    def adopt(self) -> None:
        """A script runs that an earlier host has started."""
        if self.phase is not Phase.RUNNING:
            self.phase = Phase.RUNNING
            settled_ns = self._clock.mono_ns() + int(LISTEN_FLOOR_S * self._clock.speed * 1e9)
            self.running = RunningScript(self._outbox, settled_ns=settled_ns)
            self.idle.clear()

    def line(self, text: str) -> None:
        """A line from the wire: part of a script's stream, or an answer."""
        fresh, self.fresh = self.fresh, False
        for line in wire.parse_line(text):
            if fresh and isinstance(line, wire.Garbage | wire.Empty):
                continue  # the end of a line whose beginning nobody heard
            self._route(text, line)
        self._silence.arm()

    def _route(self, text: str, line: wire.Line) -> None:
        if isinstance(line, wire.Package):
            self._garbage = 0
        elif isinstance(line, wire.Garbage):
            self._on_garbage(text)
        if self.phase is Phase.LISTENING and of_script(line):
            self.adopt()
        if self.phase is Phase.STARTING:
            self._on_start_answer(line)
        if self.phase is Phase.RUNNING:
            self._on_script_line(line)
        self._talk.put(text, line)

    def _on_garbage(self, text: str) -> None:
        """One bad line is noise; several in a row are a line that nobody understands."""
        _log.warning("%s: not MethodSCRIPT: %r", self._name, text)
        self._garbage += 1
        if self._garbage == MOST_GARBAGE:
            self._silence.say_lost(f"what comes back is not MethodSCRIPT: {text[:SHOWN_CHARACTERS]!r}")

    def _on_start_answer(self, line: wire.Line) -> None:
        if isinstance(line, wire.Refused) and line.command == "r":
            self.phase = Phase.IDLE
        elif line == wire.Echo("r") or of_script(line):
            self.phase = Phase.RUNNING
        else:
            return
        if self._start_answer is not None and not self._start_answer.done():
            self._start_answer.set_result(line)

    def _on_script_line(self, line: wire.Line) -> None:
        back, sample = self._silence.lost and of_script(line) and self._garbage < MOST_GARBAGE, isinstance(line, wire.Package)
        if back and not sample:
            self._silence.say_restored("the script's lines come again")
        running = self.running
        said = running.hear(line, self._clock.mono_ns())
        if back and sample:  # it may have been held up on its way
            self._silence.say_restored("the script's lines come again", running.last_ns)
        if not sample and (now := running.waits or (running.step.key if running.step else "")):
            self.started.add(now)
        if said is Said.FINISHED:
            self.finished(*self._why_finished())
        elif said is Said.BROKE and isinstance(line, wire.RuntimeFault):
            self.phase = Phase.IDLE
            self._broke(f"{line.code:04X} {wire.meaning(line.code)}, {line.where}")

    def _why_finished(self) -> tuple[Reason, str]:
        """The script is over, and its last step has not said why it ended."""
        if self.aborting:
            return Reason.ABORT, "made safe"
        if self.skips_waiting:
            return Reason.SKIP, "ended before the console's line came"
        return Reason.DEVICE_ERROR, "the script ended without saying why"

    def finished(self, reason: Reason, detail: str) -> None:
        """The script is over, and nothing of it is heard any more."""
        self.phase = Phase.IDLE
        self.running.end(reason, detail, self._clock.mono_ns())
        self.idle.set()
