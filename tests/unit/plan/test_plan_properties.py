"""What holds for every plan: charge adds up, the worst is never better than expected, programs leave no step out."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.config import load_rig
from orchestrator.model.acquisition import Acquisition, NmrTrigger, TriggerKind
from orchestrator.model.cell import Cell
from orchestrator.model.experiment import Experiment, SafetyLimits
from orchestrator.model.protocol import AtOpenCircuit, End, ProtocolItem, Repeat, Step, Verb, items
from orchestrator.model.units import Quantity
from orchestrator.plan import make_plan, programs
from orchestrator.plan.orders import Plan

RIG = load_rig(Path(__file__).with_name("rig.yaml"))
CAPACITY_mAh = 2.0
TRIGGERS = (
    NmrTrigger(acquisition="fast", kind=TriggerKind.AT_START),
    NmrTrigger(acquisition="fast", kind=TriggerKind.EVERY_X, every=Quantity(1, "%")),
    NmrTrigger(acquisition="fast", kind=TriggerKind.EVERY_TIME, every=Quantity(300, "s")),
    NmrTrigger(acquisition="fast", kind=TriggerKind.CONTINUOUSLY),
)

nmr = st.lists(st.sampled_from(TRIGGERS), max_size=2).map(tuple)
times = st.floats(60, 40 * 3600).map(lambda s: End(kind="time", quantity=Quantity(s, "s")))
charges = st.floats(0.01, 2.9).map(lambda mAh: End(kind="charge", quantity=Quantity(mAh, "mAh")))
voltages = st.just(End(kind="voltage", quantity=Quantity(3.0, "V")))
rests = st.builds(lambda end, nmr: Step(text="rest", verb=Verb.REST, ends=(end,), nmr=nmr), times, nmr)
currents = st.builds(
    lambda verb, rate, ends, nmr, then: Step(
        text=verb.value, verb=verb, current=Quantity(rate, "C"), ends=tuple(ends), nmr=nmr, then=TRIGGERS[:1] if then else ()
    ),
    st.sampled_from((Verb.CHARGE, Verb.DISCHARGE)),
    st.floats(0.02, 2),
    st.lists(st.one_of(times, charges, voltages), min_size=1, max_size=3),
    nmr,
    st.booleans(),
)
held = st.builds(lambda end: Step(text="hold", verb=Verb.POTENTIOSTATIC, voltage_V=3.0, ends=(end,)), times)
lists = st.just(AtOpenCircuit(name="look", acquisitions=("fast", "fast")))
single: st.SearchStrategy[ProtocolItem] = st.one_of(rests, currents, held, lists)
blocks: st.SearchStrategy[ProtocolItem] = st.recursive(
    single,
    lambda inner: st.builds(
        lambda n, steps: Repeat(times=n, steps=tuple(steps)), st.integers(1, 4), st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)
protocols = st.lists(blocks, min_size=1, max_size=5).map(tuple)


def planned(protocol: tuple[ProtocolItem, ...]) -> Plan:
    experiment = Experiment(
        name="any",
        cell=Cell(id="c", type="full", working="positive", capacity_mAh=CAPACITY_mAh),
        limits=SafetyLimits(
            voltage_lower_V=2.0, voltage_upper_V=4.5, current_A=0.01, charge_per_step=Quantity(3, "mAh"), host_lost="open circuit"
        ),
        acquisitions={"fast": Acquisition(name="fast", template="7Li_metal", scans=8, dummies=2)},
        protocol=protocol,
    )
    return make_plan(experiment, RIG)


def unrolled(protocol: tuple[ProtocolItem, ...]) -> int:
    return sum(item.times * unrolled(item.steps) if isinstance(item, Repeat) else 1 for item in protocol)


@settings(max_examples=60, deadline=None)
@given(protocols)
def test_every_plan(protocol: tuple[ProtocolItem, ...]) -> None:
    plan = planned(protocol)
    steps_are_numbered_and_complete(plan, unrolled(protocol))
    charge_adds_up(plan)
    worst_is_never_better_than_expected(plan)
    programs_cover_all_steps_in_order(plan)
    cycles_begin_at_one_and_never_jump(plan)


def steps_are_numbered_and_complete(plan: Plan, n: int) -> None:
    assert len(plan.steps) == n
    assert [step.index for step in plan.steps] == list(range(n))
    assert len({step.key for step in plan.steps}) == n


def charge_adds_up(plan: Plan) -> None:
    """Throughput is the sum of the steps; each step's is its current times its time, never more than ring 2."""
    assert plan.expected_charge_C == pytest.approx(math.fsum(step.expected_charge_C for step in plan.steps))
    then_s = plan.acquisitions["fast"].duration_s
    for step in plan.steps:
        assert 0 <= step.expected_charge_C <= step.worst_charge_C <= step.limits.charge_C * (1 + 1e-9)
        if step.current_A:
            seconds = step.expected_s - len(step.then) * then_s
            assert step.expected_charge_C == pytest.approx(abs(step.current_A) * seconds, abs=1e-9)
            assert (step.current_A > 0) == (step.verb == "charge")


def worst_is_never_better_than_expected(plan: Plan) -> None:
    assert plan.worst_s >= plan.expected_s * (1 - 1e-12)
    for step in plan.steps:
        assert step.worst_s >= step.expected_s * (1 - 1e-12)
        assert step.limits.time_s > step.ends.time_s


def programs_cover_all_steps_in_order(plan: Plan) -> None:
    runs = programs(plan)
    assert [index for run in runs for index in run] == list(range(len(plan.steps)))
    for run in runs:
        assert not any(plan.steps[index].decides for index in run[:-1])
        assert len(run) == 1 or all(plan.steps[index].action == "electrochemical" for index in run)


def cycles_begin_at_one_and_never_jump(plan: Plan) -> None:
    cycles = [0, *(step.cycle for step in plan.steps)]
    assert all(later - earlier in {0, 1} for earlier, later in pairwise(cycles))
    first = next((step for step in plan.steps if step.current_A), None)
    assert first is None or first.cycle == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(currents, min_size=2, max_size=6))
def test_a_step_to_a_voltage_never_passes_more_than_the_cell_holds(steps: list[Step]) -> None:
    to_voltage = tuple(step.model_copy(update={"ends": (*(e for e in step.ends if e.kind == "time"), voltage_end())}) for step in steps)
    balance = 0.0
    for step in planned(to_voltage).steps:
        balance += step.expected_charge_C * (1 if step.current_A and step.current_A > 0 else -1)
        assert abs(balance) <= CAPACITY_mAh * 3.6 * (1 + 1e-9)


def voltage_end() -> End:
    return End(kind="voltage", quantity=Quantity(3.0, "V"))


@settings(max_examples=30, deadline=None)
@given(protocols)
def test_every_item_of_the_protocol_has_its_steps(protocol: tuple[ProtocolItem, ...]) -> None:
    paths = {step.path for step in planned(protocol).steps}
    assert len(paths) == sum(not isinstance(item, Repeat) for item in items(protocol))
