"""A whole experiment file: YAML → Experiment. Every section is read whatever became of the others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from orchestrator.config.acquisitions import acquisitions_of, missed_of, triggers_of
from orchestrator.config.cell import cell_of, limits_of
from orchestrator.config.checked import checked, sentence
from orchestrator.config.diagnostics import Problems, suggestion
from orchestrator.config.interlocks import interlocks_of
from orchestrator.config.protocol import items_of
from orchestrator.config.rules import actions_of, at_end_of, rules_of
from orchestrator.config.tree import Node
from orchestrator.config.written import WrittenExperiment
from orchestrator.model.acquisition import Acquisition, MissedPolicy, NmrTrigger
from orchestrator.model.cell import Cell
from orchestrator.model.experiment import AtEnd, BookingEnd, Experiment, Record, SafetyLimits
from orchestrator.model.protocol import ProtocolItem, Step, items
from orchestrator.model.rule import Action, InterlockSetting, Rule
from orchestrator.model.validation import Validation

BOOKING = re.compile(r"(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?)\s*(?P<zone>Z|UTC|[+-]\d\d:?\d\d|[A-Za-z]+/[A-Za-z_/+-]+)")
BOOKING_HINT = "write 2026-03-01 08:00 Europe/London, or 2026-03-01T08:00Z"


@dataclass
class Draft:
    """An experiment while it is read: what is wrong is missing.

    ``cell_sound``: no key of the cell record is wrong. ``acquisitions``: None = named, but wrong.
    """

    node: Node
    cell: Cell | None = None
    cell_sound: bool = False
    limits: SafetyLimits | None = None
    prepare: tuple[Action, ...] = ()
    acquisitions: dict[str, Acquisition | None] = field(default_factory=dict)
    protocol: tuple[ProtocolItem, ...] = ()
    nmr: tuple[NmrTrigger, ...] = ()
    rules: tuple[Rule, ...] = ()
    interlocks: tuple[InterlockSetting, ...] = ()
    at_end: AtEnd = AtEnd()  # noqa: RUF009  (frozen)
    missed: MissedPolicy = MissedPolicy()  # noqa: RUF009
    missed_by_name: Mapping[str, MissedPolicy] = field(default_factory=dict)


def steps(draft: Draft) -> Iterator[Step]:
    """Every step once."""
    yield from (item for item in items(draft.protocol) if isinstance(item, Step))


def triggers(draft: Draft) -> Iterator[NmrTrigger]:
    """Every trigger once."""
    yield from draft.nmr
    for step in steps(draft):
        yield from (*step.nmr, *step.then)


def draft_of(root: Node, problems: Problems, cell_folders: Sequence[Path]) -> Draft:
    """Read every section that is there."""
    draft = Draft(root)
    if node := root.get("cell"):
        before = len(problems)
        draft.cell = cell_of(node, problems, cell_folders)
        draft.cell_sound = len(problems) == before
    if (node := root.given("limits")) and node.is_table:
        draft.limits = limits_of(node, problems)
    draft.prepare = actions_of(root.given("prepare"), "prepare", problems)
    if node := root.given("acquisitions"):
        draft.acquisitions = acquisitions_of(node, problems)
    if (node := root.given("protocol")) and node.is_list:
        draft.protocol = items_of(node.rows(), problems)
    draft.nmr = triggers_of(root.given("nmr"), problems)
    draft.rules = rules_of(root.given("rules"), problems)
    draft.interlocks = interlocks_of(root.given("interlocks"), problems)
    draft.at_end = at_end_of(root.given("at_end"), problems)
    _missed(draft, problems)
    return draft


def _missed(draft: Draft, problems: Problems) -> None:
    node = draft.node.given("missed_acquisition")
    if node is None:
        return
    everywhere, draft.missed_by_name = missed_of(node, problems)
    draft.missed = everywhere or draft.missed
    for name in draft.missed_by_name:
        if name not in draft.acquisitions:
            problems.add(node.keys[name].where(), f"no acquisition is named `{name}`", suggestion(name, draft.acquisitions))


def head_of(root: Node, problems: Problems) -> dict[str, Any]:
    """The keys of the file as a whole, and what needs no other section: name, rig, windows, record, busy, booking, budget."""
    written = checked(root, WrittenExperiment, problems)
    if written is None:
        return {}
    fields = written.model_dump(include={"version", "rig", "busy", "cut_offs", "booking_ends", "when_run_dies"}) | {
        "name": written.experiment
    }
    if written.windows and (node := root.given("windows")):
        fields["windows"] = {name: tuple(edges) for name, edges in written.windows.items()}
        for name, (low_ppm, high_ppm) in written.windows.items():
            if not low_ppm < high_ppm:
                problems.add(
                    node.value[name].where(), f"window `{name}` does not begin below its end", f"write [{high_ppm:g}, {low_ppm:g}]"
                )
    if written.record:
        fields["record"] = Record(**written.record.model_dump())
    if written.when_booking_ends:
        fields["when_booking_ends"] = BookingEnd(**written.when_booking_ends.model_dump())
    if node := root.given("booking_ends"):
        check_booking(node, problems)
    if written.after_short:
        fields["after_short"] = written.after_short.model_dump(exclude_none=True)
    if written.validation:
        fields["validation"] = Validation.model_validate(written.validation.model_dump())
    if written.budget and (node := root.given("budget")):
        cycles = sentence(node.value["mol_per_area_from"], "cycles", problems)
        fields["budget"] = written.budget.model_dump() | {"metal_ppm": tuple(written.budget.metal_ppm), "cycles": cycles}
    return fields


def check_booking(node: Node, problems: Problems) -> None:
    """A time with its zone."""
    if not _is_instant(node.text.strip()):
        problems.add(node.where(), "expected a time with its zone", BOOKING_HINT)


def _is_instant(text: str) -> bool:
    match = BOOKING.fullmatch(text)
    if match is None:
        return False
    try:
        datetime.fromisoformat(match["time"])
        if "/" in match["zone"] and available_timezones():
            ZoneInfo(match["zone"])
    except (ValueError, KeyError):
        return False
    return True


def experiment_of(draft: Draft, head: Mapping[str, Any]) -> Experiment:
    """The experiment, once nothing is wrong."""
    source = draft.node.source
    assert draft.cell is not None
    assert draft.limits is not None
    return Experiment(
        cell=draft.cell,
        limits=draft.limits,
        prepare=draft.prepare,
        acquisitions={name: _with_policy(draft, acquisition) for name, acquisition in draft.acquisitions.items() if acquisition},
        protocol=draft.protocol,
        nmr=draft.nmr,
        rules=draft.rules,
        interlocks=draft.interlocks,
        at_end=draft.at_end,
        missed=draft.missed,
        source=source.text,
        file=source.file,
        places={key: node.where() for key, node in draft.node.keys.items()},
        **head,
    )


def _with_policy(draft: Draft, acquisition: Acquisition) -> Acquisition:
    policy = draft.missed_by_name.get(acquisition.name)
    return acquisition.model_copy(update={"missed": policy}) if policy else acquisition
