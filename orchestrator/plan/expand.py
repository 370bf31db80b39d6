"""From a protocol to a flat list of planned steps: repeats unrolled, cycles counted, keys given, decisions marked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest

from orchestrator.model.experiment import Experiment
from orchestrator.model.problems import Problem
from orchestrator.model.protocol import AtOpenCircuit, Eis, Prompt, ProtocolItem, Repeat, RepeatUntil, SetPoint, Step, Verb
from orchestrator.model.rule import Action
from orchestrator.model.values import Where
from orchestrator.plan import impedance, steps, waits
from orchestrator.plan.orders import LeaveRepeat, Plan, PlannedAcquisition, PlannedStep
from orchestrator.plan.resolve import Unresolved
from orchestrator.plan.surroundings import Surroundings, slug

Single = Step | AtOpenCircuit | SetPoint | Prompt | Eis


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One item of the protocol, as often as it comes; ``leave``: what is asked after it, and of which repeat.

    ``path``, ``turns``: as in ``PlannedStep``.
    """

    item: Single
    path: tuple[int, ...]
    turns: tuple[int, ...] = ()
    leave: tuple[RepeatUntil, int] | None = None


@dataclass(frozen=True, slots=True)
class RepeatEnd:
    """Here a repeat is left."""

    number: int


@dataclass(frozen=True, slots=True)
class Expanded:
    """The flat list, where each of its steps was written, and what is wrong."""

    steps: tuple[PlannedStep, ...]
    holds: Mapping[str, PlannedStep]
    wheres: tuple[Where, ...]
    problems: tuple[Problem, ...]


def unroll(
    protocol: tuple[ProtocolItem, ...], numbers: Iterator[int], path: tuple[int, ...] = (), turns: tuple[int, ...] = ()
) -> Iterator[Occurrence | RepeatEnd]:
    """Every item in the order in which it comes."""
    for k, item in enumerate(protocol):
        if isinstance(item, Repeat):
            yield from _turns(item, numbers, (*path, k), turns)
        else:
            yield Occurrence(item, (*path, k), turns)


def _turns(repeat: Repeat, numbers: Iterator[int], path: tuple[int, ...], turns: tuple[int, ...]) -> Iterator[Occurrence | RepeatEnd]:
    """All turns of one repeat; its question comes after the last item of each turn but the last."""
    number = next(numbers)
    for turn in range(1, repeat.times + 1):
        inside = list(unroll(repeat.steps, numbers, path, (*turns, turn)))
        if repeat.until is not None and turn < repeat.times:
            inside = _asking(inside, repeat.until, number)
        yield from inside
    yield RepeatEnd(number)


def _asking(inside: list[Occurrence | RepeatEnd], until: RepeatUntil, number: int) -> list[Occurrence | RepeatEnd]:
    """One turn, with the question after its last item."""
    last = max((k for k, one in enumerate(inside) if isinstance(one, Occurrence)), default=-1)
    return [replace(one, leave=(until, number)) if k == last and isinstance(one, Occurrence) else one for k, one in enumerate(inside)]


def expand(experiment: Experiment, acquisitions: Mapping[str, PlannedAcquisition], lead_ohm: float = 0.0) -> Expanded:
    """The flat list of planned steps of an experiment; problems instead of those that cannot be planned."""
    around = Surroundings.of(experiment, acquisitions, lead_ohm)
    built: list[PlannedStep] = []
    wheres: list[Where] = []
    problems: dict[tuple[Where, str], Problem] = {}
    leaves: dict[int, list[int]] = {}
    for one in unroll(experiment.protocol, iter(range(10**6))):
        if isinstance(one, RepeatEnd):
            _set_targets(built, leaves.pop(one.number, []))
            continue
        try:
            new = [step.model_copy(update={"path": one.path, "turns": one.turns}) for step in _plan(one.item, around)]
        except Unresolved as error:
            problems.setdefault((one.item.where, error.message), Problem(one.item.where, error.message, error.hint))
            continue
        built += new
        wheres += [one.item.where] * len(new)
        if one.leave is not None and around.ledger.cycle > one.leave[0].of_cycle:
            built[-1] = built[-1].model_copy(update={"leave_repeat": _leave(one.leave[0])})
            leaves.setdefault(one.leave[1], []).append(len(built) - 1)
    holds = {action.text: step for action in _holds(experiment) if (step := _held(action, around, problems)) is not None}
    return Expanded(_numbered(built), holds, tuple(wheres), tuple(problems.values()))


def _holds(experiment: Experiment) -> Iterator[Action]:
    """Every ``do: hold at …``, of rules and interlocks."""
    done = [rule.do for rule in experiment.rules if rule.enabled] + [setting.do or () for setting in experiment.interlocks]
    return (action for actions in done for action in actions if action.verb == "hold")


def _held(action: Action, around: Surroundings, problems: dict[tuple[Where, str], Problem]) -> PlannedStep | None:
    """The step that such an action makes, planned like a written one behind all others."""
    given = {name: action.arguments[name] for name in ("voltage_V", "voltage_name", "ends")}
    try:
        (step,) = steps.planned(Step(verb=Verb.POTENTIOSTATIC, text=action.text, where=action.where, **given), around)
    except Unresolved as error:
        problems.setdefault((action.where, error.message), Problem(action.where, error.message, error.hint))
        return None
    return step.model_copy(update={"triggers": (), "verb": "hold"})


def _plan(item: Single, around: Surroundings) -> Iterator[PlannedStep]:
    if isinstance(item, Step):
        yield from steps.planned(item, around)
    elif isinstance(item, AtOpenCircuit):
        yield waits.open_circuit(item, around)
    elif isinstance(item, SetPoint):
        yield waits.set_point(item, around)
    elif isinstance(item, Prompt):
        yield waits.prompt(item, around)
    else:
        yield impedance.impedance_step(around, impedance.impedance_order(item.settings), "EIS", around.ledger.cycle)


def _leave(until: RepeatUntil) -> LeaveRepeat:
    return LeaveRepeat(verb=until.verb.value, factor=until.factor, of_cycle=until.of_cycle, side=until.side, to_index=-1)


def _set_targets(built: list[PlannedStep], asking: list[int]) -> None:
    """A repeat that is left goes on with the step after it."""
    for k in asking:
        leave = built[k].leave_repeat
        assert leave is not None
        built[k] = built[k].model_copy(update={"leave_repeat": leave.model_copy(update={"to_index": len(built)})})


def _numbered(built: list[PlannedStep]) -> tuple[PlannedStep, ...]:
    """Indices, keys, and where the host has to decide something."""
    return tuple(
        step.model_copy(update={"index": k, "key": key(k, step), "decides": decides(step, following)})
        for k, (step, following) in enumerate(zip_longest(built, built[1:]))
    )


def key(index: int, step: PlannedStep) -> str:
    """``s0007-c02-plate``: index in the plan, cycle, verb (the name, where a list of acquisitions has one)."""
    word = step.name if step.action == "acquisitions" and step.name else step.verb
    return f"s{index:04d}-c{step.cycle:02d}-{slug(word)}"


def decides(step: PlannedStep, following: PlannedStep | None) -> bool:
    """True when the host must decide something between this step and the next."""
    asks_itself = bool(
        step.then or step.wait_for_nmr or step.stop_when or step.leave_repeat or step.acquisitions or step.action != "electrochemical"
    )
    asks_next = following is not None and bool(
        following.action != "electrochemical" or following.charge_of_earlier or "if_no_short" in following.settings
    )
    return asks_itself or asks_next


def programs(plan: Plan, max_steps: int | None = None) -> tuple[tuple[int, ...], ...]:
    """Indices of the steps, in the longest runs between two decisions (at most ``max_steps`` each)."""
    runs: list[list[int]] = [[]]
    for step in plan.steps:
        runs[-1].append(step.index)
        if step.decides or (max_steps is not None and len(runs[-1]) >= max_steps):
            runs.append([])
    return tuple(tuple(run) for run in runs if run)
