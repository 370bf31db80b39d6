"""Every key of the five real files against the value it becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config import load_experiment
from orchestrator.config.diagnostics import Problems
from orchestrator.config.tree import Node, read_tree
from orchestrator.model.acquisition import MissedPolicy
from orchestrator.model.cell import Electrode
from orchestrator.model.experiment import Experiment
from orchestrator.model.protocol import AtOpenCircuit, Repeat, SampleRate, Step, items
from orchestrator.model.rule import Rule
from orchestrator.model.units import Quantity

Getter = Callable[[Experiment], Any]

BUDGET, GRAPHITE, CARBON = "anode_free_budget", "graphite_overcharge_stop_at_plating", "hard_carbon_dual_offset"
LITHIUM, SODIUM = "li_li_plate_strip", "na_beta_alumina_short_and_image"


def steps(experiment: Experiment) -> list[Step]:
    return [item for item in items(experiment.protocol) if isinstance(item, Step)]


def rule(experiment: Experiment, name: str) -> Rule:
    return next(rule for rule in experiment.rules if rule.name == name)


def first(experiment: Experiment) -> AtOpenCircuit:
    item = experiment.protocol[0]
    assert isinstance(item, AtOpenCircuit)
    return item


def repeat(experiment: Experiment) -> Repeat:
    return next(item for item in experiment.protocol if isinstance(item, Repeat))


KEYS: list[tuple[str, str, Getter, Any]] = [
    (LITHIUM, "version", lambda e: e.version, 1),
    (LITHIUM, "experiment", lambda e: e.name, LITHIUM),
    (LITHIUM, "cell", lambda e: e.cell.where.line, 3),
    (LITHIUM, "id", lambda e: e.cell.id, "LiLi-041"),
    (LITHIUM, "type", lambda e: e.cell.type, "symmetric"),
    (LITHIUM, "working", lambda e: e.cell.working, "upper Li"),
    (LITHIUM, "counter", lambda e: e.cell.counter, "lower Li"),
    (LITHIUM, "area_cm2", lambda e: e.cell.area_cm2, 0.785),
    (LITHIUM, "electrode_normal_to_B0_deg", lambda e: e.cell.electrode_normal_to_B0_deg, 0.0),
    (LITHIUM, "lead_ohm", lambda e: e.cell.lead_ohm, 12.0),
    (LITHIUM, "limits", lambda e: e.limits.where.line, 5),
    (LITHIUM, "abs_E_V", lambda e: (e.limits.voltage_lower_V, e.limits.voltage_upper_V, e.limits.voltage_name), (-0.5, 0.5, "cell")),
    (LITHIUM, "abs_I_mA", lambda e: e.limits.current_A, 0.5e-3),
    (LITHIUM, "charge_per_step_mAh", lambda e: e.limits.charge_per_step, Quantity(0.85, "mAh")),
    (LITHIUM, "host_lost", lambda e: (e.limits.host_lost, e.limits.host_lost_within_s), ("open circuit", 60.0)),
    (LITHIUM, "prepare", lambda e: [one.verb for one in e.prepare], ["ocv", "tune", "gain", "reference", "eis", "acquire"]),
    (LITHIUM, "acquisitions", lambda e: list(e.acquisitions), ["fast", "quant"]),
    (LITHIUM, "fast", lambda e: e.acquisitions["fast"].where.line, 8),
    (LITHIUM, "quant", lambda e: e.acquisitions["quant"].template, "7Li_wide"),
    (LITHIUM, "template", lambda e: e.acquisitions["fast"].template, "7Li_metal"),
    (LITHIUM, "recycle_s", lambda e: e.acquisitions["fast"].recycle_s, 0.75),
    (LITHIUM, "scans", lambda e: e.acquisitions["fast"].scans, 64),
    (LITHIUM, "dummies", lambda e: e.acquisitions["quant"].dummies, 2),
    (LITHIUM, "protocol", lambda e: len(e.protocol), 2),
    (LITHIUM, "step", lambda e: (steps(e)[0].text, steps(e)[0].where.line, steps(e)[0].where.column), ("Rest for 30 minutes", 11, 12)),
    (LITHIUM, "nmr", lambda e: [(one.acquisition, one.kind) for one in steps(e)[0].nmr], [("quant", "at start")]),
    (LITHIUM, "repeat", lambda e: repeat(e).times, 12),
    (LITHIUM, "steps", lambda e: [step.verb.value for step in steps(e)], ["rest", "plate", "rest", "strip", "rest"]),
    (LITHIUM, "eis", lambda e: [step.eis for step in steps(e)], [None, None, "at end", None, "at end"]),
    (LITHIUM, "rules", lambda e: [one.name for one in e.rules], ["soft short", "hard short"]),
    (LITHIUM, "name", lambda e: rule(e, "soft short").where.line, 19),
    (LITHIUM, "when", lambda e: rule(e, "hard short").all_of[0].observable, "short_ratio"),
    (LITHIUM, "confidence", lambda e: rule(e, "soft short").confidence_SE, 2.0),
    (LITHIUM, "times", lambda e: rule(e, "soft short").times, 2),
    (LITHIUM, "for", lambda e: (rule(e, "hard short").for_count, rule(e, "hard short").for_unit), (3, "samples")),
    (LITHIUM, "not_after_edge_s", lambda e: rule(e, "hard short").not_after_edge_s, 5.0),
    (LITHIUM, "do", lambda e: [one.verb for one in rule(e, "hard short").do], ["open circuit", "acquire"]),
    (LITHIUM, "missed_acquisition", lambda e: e.missed, MissedPolicy(do="continue")),
    (LITHIUM, "when_booking_ends", lambda e: e.when_booking_ends and e.when_booking_ends.cell, "finish half-cycle then open circuit"),
    (LITHIUM, "at_end", lambda e: (e.at_end.cell, e.at_end.nmr), ("open circuit", ("quant", "reference 7Li_LiCl_aq"))),
    (BUDGET, "positive", lambda e: e.cell.positive, Electrode(name="LFP")),
    (BUDGET, "negative", lambda e: e.cell.negative, Electrode(name="Cu foil")),
    (BUDGET, "capacity_mAh", lambda e: e.cell.capacity_mAh, 2.4),
    (BUDGET, "E_V", lambda e: (e.limits.voltage_lower_V, e.limits.voltage_upper_V), (2.3, 3.9)),
    (BUDGET, "lower_E_armed_once_above_V", lambda e: e.limits.lower_armed_above_V, 2.6),
    (BUDGET, "subtract", lambda e: e.acquisitions["fast"].subtract, "blank"),
    (BUDGET, "until", lambda e: repeat(e).until and repeat(e).until.text, "discharge < 50 % of cycle 2"),
    (BUDGET, "budget", lambda e: e.budget and e.budget["cycles"], (2, 4)),
    (BUDGET, "metal_ppm", lambda e: e.budget and e.budget["metal_ppm"], (235.0, 290.0)),
    (BUDGET, "mol_per_area_from", lambda e: e.budget and e.budget["mol_per_area_from"], "stripping in cycles 2-4"),
    (BUDGET, "dead", lambda e: e.budget and e.budget["dead"], "end of discharge"),
    (BUDGET, "sei", lambda e: e.budget and e.budget["sei"], "charge - discharge - dead"),
    (GRAPHITE, "C_rate_of", lambda e: e.cell.C_rate_of, "negative"),
    (GRAPHITE, "history", lambda e: e.cell.history, "bench/GrLFP-07_formation.mpr"),
    (GRAPHITE, "x_now", lambda e: (e.cell.x_now, e.cell.x_now_is), (0.06, "Li in graphite")),
    (GRAPHITE, "watch", lambda e: e.acquisitions["watch"].missed, MissedPolicy(do="wait at open circuit", after=2)),
    (GRAPHITE, "burst", lambda e: e.acquisitions["burst"].recycle_s, 0.2),
    (GRAPHITE, "stop_when", lambda e: steps(e)[1].stop_when, "plating"),
    (GRAPHITE, "then", lambda e: [(one.acquisition, one.kind) for one in steps(e)[3].then], [("quant", "at end")]),
    (GRAPHITE, "and", lambda e: [one.test for one in rule(e, "plating").all_of], ["above", "slope above"]),
    (GRAPHITE, "label", lambda e: e.at_end.label, "for ex situ MAS"),
    (CARBON, "x_is", lambda e: (e.cell.x_is, e.cell.x_now), ("Na in hard carbon", 0.0)),
    (CARBON, "ionic", lambda e: e.acquisitions["ionic"].scans, 256),
    (CARBON, "metal", lambda e: e.acquisitions["metal"].dummies, 50),
    (CARBON, "pair", lambda e: e.acquisitions["pair"].template, None),
    (CARBON, "of", lambda e: dict(e.acquisitions["pair"].members), {"ionic": 1, "metal": 1}),
    (CARBON, "retune_between", lambda e: e.acquisitions["pair"].retune_between, False),
    (CARBON, "retune", lambda e: e.acquisitions["pair"].retune_every, 10),
    (CARBON, "enabled", lambda e: rule(e, "hard short").enabled, False),
    (CARBON, "because", lambda e: rule(e, "hard short").because, "the cell is held at 5 mV on purpose"),
    (CARBON, "track", lambda e: rule(e, "quasi-metal").extra["track"]["window_ppm"], (40.0, 1100.0)),
    (CARBON, "after", lambda e: rule(e, "quasi-metal").extra["after"], "subtract blank"),
    (CARBON, "record", lambda e: rule(e, "quasi-metal").extra["record"], ["shift", "width", "area"]),
    (CARBON, "acquisition", lambda e: rule(e, "empty window is not a fault").acquisition, "metal"),
    (
        CARBON,
        "amplifier_check",
        lambda e: rule(e, "empty window is not a fault").extra["amplifier_check"],
        "noise level and reflected power only",
    ),
    (SODIUM, "electrolyte", lambda e: e.cell.electrolyte, "Na-beta''-alumina"),
    (SODIUM, "stack_pressure_MPa", lambda e: e.cell.stack_pressure_MPa, 1.0),
    (SODIUM, "fixed_in_probe", lambda e: e.cell.fixed_in_probe, True),
    (SODIUM, "environments", lambda e: e.cell.environments, ("metal", "electrolyte")),
    (SODIUM, "charge_per_step_mAh_cm2", lambda e: e.limits.charge_per_step, Quantity(9.6, "mAh/cm2")),
    (SODIUM, "mrs", lambda e: e.acquisitions["mrs"].scans, 4096),
    (SODIUM, "ge", lambda e: e.acquisitions["ge"].minutes, 138.0),
    (SODIUM, "t2_map", lambda e: e.acquisitions["t2_map"].where.line, 10),
    (SODIUM, "manual", lambda e: e.acquisitions["ge"].manual, "ParaVision GE"),
    (SODIUM, "watch_folder", lambda e: e.acquisitions["ge"].watch_folder, "pv/NaBA-05"),
    (SODIUM, "minutes", lambda e: e.acquisitions["t2_map"].minutes, 828.0),
    (SODIUM, "TE_ms", lambda e: dict(e.acquisitions["t2_map"].arrays), {"TE_ms": (3.0, 5.0, 8.0, 13.0, 20.0)}),
    (SODIUM, "repeat_first", lambda e: e.acquisitions["t2_map"].repeat_first, True),
    (SODIUM, "at", lambda e: (first(e).name, first(e).acquisitions), ("pristine", ("mrs", "ge", "t2_map", "mrs"))),
    (SODIUM, "sample_Hz", lambda e: steps(e)[1].sample, SampleRate(first_s=600.0, first_Hz=20.0, then_Hz=1.0)),
    (SODIUM, "first 10 minutes", lambda e: steps(e)[1].sample and steps(e)[1].sample.first_Hz, 20.0),
    (SODIUM, "if_no_short", lambda e: e.protocol[-1].if_no_short, "ask a person"),  # type: ignore[union-attr]
    (SODIUM, "armed_after", lambda e: (rule(e, "short").armed_on_new_sign, rule(e, "short").armed_after_s), (True, 5.0)),
    (SODIUM, "after_short", lambda e: e.after_short, {"current": "never again in this run", "cell": "do not move"}),
    (SODIUM, "current", lambda e: e.after_short and e.after_short["current"], "never again in this run"),
    (SODIUM, "attach", lambda e: e.at_end.attach, ("XCT", "SEM", "EDX")),
]


@pytest.fixture(scope="module")
def experiments(request: pytest.FixtureRequest) -> dict[str, Experiment]:
    folder = Path(__file__).parents[3] / "configs" / "experiments"
    return {name: load_experiment(folder / f"{name}.yaml") for name in (BUDGET, GRAPHITE, CARBON, LITHIUM, SODIUM)}


@pytest.mark.parametrize(("file", "key", "getter", "expected"), KEYS, ids=[f"{key}-{file}" for file, key, _, _ in KEYS])
def test_key(experiments: dict[str, Experiment], file: str, key: str, getter: Getter, expected: Any) -> None:
    assert getter(experiments[file]) == expected


def keys_of(node: Node) -> Iterator[str]:
    yield from node.keys
    for child in node.value.values() if node.is_table else node.rows() if node.is_list else ():
        yield from keys_of(child)


def test_the_table_holds_every_key_of_the_five_files(repository: Path) -> None:
    met: set[str] = set()
    for name in (BUDGET, GRAPHITE, CARBON, LITHIUM, SODIUM):
        root = read_tree(repository / "configs" / "experiments" / f"{name}.yaml", Problems())
        assert root is not None
        written = {key: child for key, child in root.value.items() if key != "validate"}  # what is compared is no part of the plan
        met |= set(written) | {key for child in written.values() for key in keys_of(child)}
    assert len(met) > 80
    assert met == {key for _, key, _, _ in KEYS}


def test_the_source_is_kept_verbatim(experiments: dict[str, Experiment], repository: Path) -> None:
    for name, experiment in experiments.items():
        path = repository / "configs" / "experiments" / f"{name}.yaml"
        assert experiment.source == path.read_text(encoding="utf-8")
        assert Path(experiment.file) == path
        assert experiment.places["protocol"].line > 1


def test_our_own_two_files_load_and_need_nothing_that_is_missing(repository: Path) -> None:
    from orchestrator.model.available import not_available

    for name in ("demo", "dual-7Li-23Na"):
        experiment = load_experiment(repository / "configs" / "experiments" / f"{name}.yaml")
        assert not_available(experiment) == ()
        triggered = [step for step in steps(experiment) if step.nmr]
        assert triggered == steps(experiment)
