"""What people may want of a running run, from the control socket or with Ctrl-C; each answer says what the cell does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from typing import Any

from drivers.base import Reason
from orchestrator.control.messages import Answer, Command, complaint
from orchestrator.recorder.records import JournalError
from orchestrator.runner.charge import or_none
from orchestrator.runner.observed import Refused
from orchestrator.runner.owners import RESUMED_BY_PEOPLE, Owner
from orchestrator.runner.reactions import Reactions
from orchestrator.runner.states import RunState
from orchestrator.runner.station import ABORT, ENDED_EARLY, INTERRUPTED, LEAVE, STOP, Ending, Surroundings

CommandQueue = asyncio.Queue[tuple[Command, "asyncio.Future[Answer]"]]
Told = tuple[bool, str]


MOST_UNANSWERED = 64
MOST_GIVEN = 1000
"""So many commands are remembered, so that one that is given again is answered and not done again."""
REPEATABLE = frozenset({"status", "observed"})
"""Given again they do no harm (a finding is journaled once anyhow), and they come all night long."""
MOVES_THE_CELL = frozenset({"pause cell", "skip", "abort"})
SAFE_VERBS = frozenset({"pause cell", "stop", "abort", "status"})


class Commands:
    """Acts on commands one after the other, at once; answers each when its record is durable, so that no abort waits for a disk."""

    def __init__(self, surroundings: Surroundings, reactions: Reactions, queue: CommandQueue, interrupts: asyncio.Queue[str]) -> None:
        self._s = surroundings
        self._run = reactions
        self._queue = queue
        self._interrupts = interrupts
        self._pressed = 0
        self._given: dict[str, asyncio.Task[Answer]] = {}
        self._acted: dict[str, Told] = {}
        self._unanswered: set[str] = set()
        self._verbs: Mapping[str, Callable[[Command], Told]] = {
            "status": lambda _: (True, self._sentence()),
            "pause nmr": self._pause_nmr,
            "pause cell": self._pause_cell,
            "resume": self._resume,
            "skip": self._skip,
            "stop": self._stop,
            "abort": self._abort,
            "acquire": self._acquire,
            "acknowledge": self._acknowledge,
            "note": self._note,
        }

    # --------------------------------------------------------------------------------------------------------- commands

    async def obey(self) -> None:
        """Take commands until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                command, future = await self._queue.get()
                if command.id not in self._given:
                    if len(self._unanswered) >= MOST_UNANSWERED and command.verb not in SAFE_VERBS:
                        text = f"nothing was done: {len(self._unanswered)} commands wait for the disk"
                        _give(future, Answer(command.id, ok=False, text=text))
                        continue
                    self._unanswered.add(command.id)
                    self._given[command.id] = group.create_task(self._answer(command), name=f"command {command.id}")
                answer = self._given[command.id]
                answer.add_done_callback(partial(self._tell, future, command.id))
                answer.add_done_callback(partial(self._forget, command))

    def _tell(self, future: asyncio.Future[Answer], command_id: str, answer: asyncio.Task[Answer]) -> None:
        self._unanswered.discard(command_id)
        if not answer.cancelled() and answer.exception() is None:
            return _give(future, answer.result())
        ok, text = self._acted.get(command_id, (False, "nothing was done"))
        return _give(future, Answer(command_id, ok=ok, text=f"{text}; the run ended before the command was recorded"))

    def _forget(self, command: Command, _: asyncio.Task[Answer]) -> None:
        """What need not be remembered once it is answered: this one, or the oldest of too many."""
        oldest = list(islice(self._given, max(0, len(self._given) - MOST_GIVEN)))
        for known in [command.id] if command.verb in REPEATABLE else oldest:
            if known not in self._unanswered:
                self._given.pop(known, None)
                self._acted.pop(known, None)

    def close(self) -> None:
        """Answer what came too late."""
        while not self._queue.empty():
            command, future = self._queue.get_nowait()
            _give(future, Answer(command.id, ok=False, text="the run has ended"))

    async def _answer(self, command: Command) -> Answer:
        if command.verb == "status":
            return Answer(command.id, ok=True, text=self._sentence(), data=self.status())
        if command.verb == "observed":
            return await self._observed(command)
        ok, text = self._acted[command.id] = self._do(command)
        data = {"id": command.id, "verb": command.verb, "arguments": dict(command.arguments), "who": command.who}
        data |= {name: text for name, text in (("if_state", command.if_state), ("why", command.why)) if text}
        cause = self._s.journal.put("command.received", data)
        seq = self._s.put("command.answered", cause, id=command.id, ok=ok, text=text)
        try:
            await self._s.journal.durable(seq)
        except JournalError as error:
            text = f"{text}; not recorded yet: {error}"
        return Answer(command.id, ok=ok, text=text, data=self.status())

    async def _observed(self, command: Command) -> Answer:
        """Findings of whoever looks at the spectra: journaled as what they are, and not as a command."""
        if (wrong := complaint(command.verb, command.arguments)) is not None:
            return Answer(command.id, ok=False, text=wrong)
        try:
            new, last_seq = self._run.rings.inlet.take(command.arguments["observables"], command.who)
        except Refused as error:
            return Answer(command.id, ok=False, text=str(error))
        self._run.rings.on_observables(new)
        if (through := command.arguments.get("through")) is not None:
            self._run.rings.inlet.looked(through)
        try:
            await self._s.journal.durable(last_seq) if last_seq else None
        except JournalError as error:
            return Answer(command.id, ok=False, text=f"not recorded yet: {error}")
        return Answer(command.id, ok=True, text=f"{len(new)} new of {len(command.arguments['observables'])}")

    def _do(self, command: Command) -> Told:
        if (wrong := complaint(command.verb, command.arguments)) is not None:
            return False, wrong
        if command.if_state not in {"", self._run.state.value}:
            return False, f"the run is {self._run.state.value}, not {command.if_state}"
        if self._run.ending is not None and command.verb not in {"abort", "acknowledge", "note"}:
            return False, f"the run is ending: {self._run.ending.reason}"
        if self._s.follows and command.verb in MOVES_THE_CELL:
            return False, f"`{command.verb}` is not possible: this program {self._s.cannot}"
        return self._verbs[command.verb](command)

    def _pause_nmr(self, _: Command) -> Told:
        self._run.acquisitions.refuse(Owner.PERSON, "nmr paused")
        return True, "no new acquisition starts; the current goes on"

    def _pause_cell(self, command: Command) -> Told:
        if command.arguments.get("now") and self._run.met:
            self._run.steps.pause(Owner.PERSON, f"paused by {command.who}", at_once=True)
            return True, "the cell goes to open circuit now; resume goes on with what the step is owed"
        self._run.steps.pause(Owner.PERSON, f"paused by {command.who}")
        return True, "the running step goes on to its end; the next does not start"

    def _resume(self, _: Command) -> Told:
        acquisitions, steps = self._run.acquisitions, self._run.steps
        self._run.rings.acting.resumed()
        nmr, cell = acquisitions.accept(*RESUMED_BY_PEOPLE), steps.resume(*RESUMED_BY_PEOPLE)
        ended = [
            _resumed(nmr, "acquisitions start again", "no acquisition starts yet", acquisitions.refusals.text),
            _resumed(cell, "the cell goes on with what it is owed", "the cell does not go on yet", steps.paused),
        ]
        return bool(nmr or cell), " and ".join(text for text in ended if text) or "nothing was paused"

    def _skip(self, command: Command) -> Told:
        if self._run.programs.end_step(Reason.SKIP, f"skipped by {command.who}"):
            return True, "the running step ends now and the next one starts"
        return False, "no step runs that could be skipped"

    def _stop(self, command: Command) -> Told:
        after_step = bool(command.arguments.get("after_step"))
        self._run.stop(Ending(RunState.FINISHED, f"stopped by {command.who}", ENDED_EARLY, STOP), after_step=after_step)
        what = "when the running step has ended" if after_step else "when the running acquisition is over"
        if self._s.follows:
            return True, f"the following ends {what}; the cell goes on as it was"
        return True, f"open circuit {what}, then the run closes"

    def _abort(self, command: Command) -> Told:
        self._run.abort(Ending(RunState.ABORTED, f"aborted by {command.who}", ENDED_EARLY, ABORT))
        return True, "open circuit now; the console is halted"

    def _acquire(self, command: Command) -> Told:
        name = str(command.arguments["name"])
        if name not in self._s.plan.acquisitions:
            return False, f"no acquisition is called {name!r}; there are: {', '.join(self._s.plan.acquisitions)}"
        return True, self._run.acquire(name, f"asked for by {command.who}", command.arguments.get("every_s"))

    def _acknowledge(self, command: Command) -> Told:
        alarm, known = command.arguments["alarm"], self._run.alarms.known
        if alarm not in known:
            return False, f"no alarm {alarm!r} was raised; there are: {', '.join(known) or 'none'}"
        self._s.put("alarm.acknowledged", id=alarm, who=command.who)
        if self._run.prompts.answer(alarm, command.who):
            return True, f"done: {alarm}"
        return True, f"acknowledged: {alarm}"

    def _note(self, command: Command) -> Told:
        self._s.put("note", text=command.arguments["text"], who=command.who)
        return True, "noted"

    # ----------------------------------------------------------------------------------------------------------- status

    def status(self) -> dict[str, Any]:
        """What there is to know this moment, as plain data."""
        run, sampling = self._run, self._run.sampling
        newest, running = sampling.newest, run.acquisitions.running
        step = sampling.account.planned if sampling.account else run.steps.now
        return {
            "state": run.state.value,
            "cell": sampling.cell,
            "paused": run.steps.paused,
            "nmr": run.acquisitions.why_not() or "accepting",
            "step": None if step is None else {"index": step.index, "key": step.key, "text": step.text, "cycle": step.cycle},
            "steps": len(self._s.plan.steps),
            "voltage_V": None if newest is None else newest.voltage_V,
            "current_A": None if newest is None else newest.current_A,
            "x": or_none(sampling.charge.x),
            "charge_net_C": sampling.charge.net_C,
            "acquiring": None if running is None else running.key,
            "waiting": [record.key for record in run.acquisitions.records.pending],
            "alarms": list(run.alarms.active),
        }

    def _sentence(self) -> str:
        """What stands first is what a person asks first: step, cell; then the console, then why anything stands still, then alarms."""
        state = self.status()
        step = state["step"]
        where = f"step {step['index'] + 1} of {state['steps']}: {step['text']}" if step else "between steps"
        volts = "" if state["voltage_V"] is None else f", {state['voltage_V']:.3f} V"
        amps = "" if state["current_A"] is None else f", {state['current_A'] * 1e3:+.4f} mA"
        still = "" if state["state"] == "paused" else " (the running step goes on to its end)"
        paused = [f"paused: {state['paused']}{still}"] if state["paused"] else []
        return "\n".join(
            [f"{state['state']}, {where}{volts}{amps}, cell {state['cell']}", self._nmr(state), *paused, *self._run.alarms.lines]
        )

    @staticmethod
    def _nmr(state: Mapping[str, Any]) -> str:
        doing = f"{state['acquiring']} is being measured" if state["acquiring"] else "nothing is being measured"
        waits = f", {len(state['waiting'])} waiting" if state["waiting"] else ""
        return f"NMR: {doing}{waits}" + ("" if state["nmr"] == "accepting" else f"; no new acquisition: {state['nmr']}")

    # ------------------------------------------------------------------------------------------------------- interrupts

    async def heed(self) -> None:
        """Ctrl-C: once stop, twice abort, the third leaves the cell to the guard. A closed terminal ends nothing."""
        while True:
            self._interrupted(await self._interrupts.get())

    def _interrupted(self, word: str) -> None:
        if word == "SIGHUP":
            self._s.put("note", text="the terminal was closed; the run goes on", who="rig")
            return
        self._pressed += 1
        run, why = self._run, f"interrupted ({word})"
        if self._pressed >= 3:
            run.end(Ending(RunState.ABORTED, f"{why} three times: the cell is left to the guard", INTERRUPTED, LEAVE))
        elif self._pressed == 2:
            run.abort(Ending(RunState.ABORTED, f"{why} twice", INTERRUPTED, ABORT))
        elif word == "SIGTERM":
            run.end(Ending(RunState.FINISHED, why, INTERRUPTED, ABORT))
        else:
            run.stop(Ending(RunState.FINISHED, why, INTERRUPTED, STOP))
        self._s.put("note", text=f"{why}: {('stop', 'abort', 'left to the guard')[min(self._pressed, 3) - 1]}", who="rig")


def _resumed(ended: list[str], goes_on: str, waits: str, left: str | None) -> str:
    """What became of the pauses of one kind: those that ended, and those that only their owner ends."""
    over = f" (ended: {'; '.join(ended)})" if ended else ""
    if left is not None:
        return f"{waits}{over}: {left}"
    return f"{goes_on}{over}" if ended else ""


def _give(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.done():
        future.set_result(answer)
