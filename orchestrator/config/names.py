"""Names against names: every acquisition, rule and step that a file mentions is one it defines, and every rule does something."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from orchestrator.config.diagnostics import Problems, suggestion
from orchestrator.config.experiment import Draft, steps, triggers
from orchestrator.config.rules import rule_names
from orchestrator.config.sentences import first_words
from orchestrator.model.observables import OBSERVABLES, base_name
from orchestrator.model.protocol import AtOpenCircuit, Step, items
from orchestrator.model.rule import Action, Predicate, Rule
from orchestrator.model.values import Where

BLANK_HINT = "add `blank` to prepare: it is taken before the first current"


def acquisitions_known(draft: Draft, problems: Problems) -> None:
    """Every acquisition that is named is defined."""
    for name, where, words in _named_acquisitions(draft):
        if name not in draft.acquisitions:
            hint = suggestion(name, [*draft.acquisitions, *words]) or f"known: {', '.join(draft.acquisitions) or 'none'}"
            problems.add(problems.word(where, name), f"no acquisition is named `{name}`", hint)


def _named_acquisitions(draft: Draft) -> Iterator[tuple[str, Where, Iterable[str]]]:
    """Name, place, and other words that could have been meant there."""
    for trigger in triggers(draft):
        yield trigger.acquisition, trigger.where, ()
    for item in items(draft.protocol):
        if isinstance(item, AtOpenCircuit):
            yield from ((name, item.where, ()) for name in item.acquisitions)
    for start, found in (("prepare", draft.prepare), ("action", list(actions_done(draft)))):
        yield from ((str(one.arguments["acquisition"]), one.where, first_words(start)) for one in found if "acquisition" in one.arguments)
    for acquisition in filter(None, draft.acquisitions.values()):
        yield from ((name, acquisition.where, ()) for name in acquisition.members)
    for rule in draft.rules:
        named = [rule.acquisition or "", *([rule.extra["track"]["acquisition"]] if rule.extra.get("track") else [])]
        yield from ((name, rule.where, ()) for name in named if name)
    yield from _named_at_end(draft)


def _named_at_end(draft: Draft) -> Iterator[tuple[str, Where, Iterable[str]]]:
    node = draft.node.given("at_end")
    rows = node.given("nmr") if node else None
    for row in rows.rows() if rows else ():
        if row.text in draft.at_end.nmr and not row.text.lower().startswith("reference "):
            yield row.text, row.where(), first_words("at_end_nmr")


def actions(draft: Draft) -> Iterator[Action]:
    """Every action of ``prepare`` and ``do``."""
    yield from draft.prepare
    yield from actions_done(draft)


def actions_done(draft: Draft) -> Iterator[Action]:
    """Every action of ``do``, of rules and interlocks."""
    for rule in draft.rules:
        yield from rule.do
    for setting in draft.interlocks:
        yield from setting.do or ()


def members_plain(draft: Draft, problems: Problems) -> None:
    """An interleave takes turns between measurements, not between interleaves, nor with a person."""
    for acquisition in draft.acquisitions.values():
        for name in acquisition.members if acquisition else ():
            member = draft.acquisitions.get(name)
            if acquisition and member and (member.members or member.manual):
                what = "an interleave itself" if member.members else "measured by a person"
                problems.add(problems.word(acquisition.where, name), f"`{name}` is {what}", "interleave measurements that have a template")


def names_known(draft: Draft, problems: Problems) -> None:
    """Rules that steps stop for, and steps that rules skip to."""
    rules = rule_names(draft.node.given("rules"))
    named = {item.name for item in items(draft.protocol) if isinstance(item, Step | AtOpenCircuit) and item.name}
    for step in steps(draft):
        if step.stop_when is not None and step.stop_when not in rules:
            hint = suggestion(step.stop_when, rules) or "stop_when names a rule of this file"
            problems.add(problems.word(step.where, step.stop_when), f"no rule is named `{step.stop_when}`", hint)
    for action in actions(draft):
        if action.verb == "skip to step" and action.arguments["step"] not in named:
            name = str(action.arguments["step"])
            problems.add(
                problems.word(action.where, name), f"no step is named `{name}`", suggestion(name, named) or "give the step a `name:`"
            )


def rules_do_something(draft: Draft, problems: Problems) -> None:
    """Each rule once, with something to look for and something to do."""
    seen: dict[str, Where] = {}
    for rule in draft.rules:
        if rule.name in seen:
            problems.add(rule.where, f"a rule `{rule.name}` stands in line {seen[rule.name].line} already")
        seen.setdefault(rule.name, rule.where)
        looks = bool(rule.all_of or rule.any_of)
        if rule.enabled and not looks and not rule.extra:
            problems.add(rule.where, f"rule `{rule.name}` looks at nothing", "add `when: abs(E) > 0.4 V`, or `enabled: false`")
        if rule.enabled and looks and not rule.do:
            problems.add(rule.where, f"rule `{rule.name}` does nothing", "add `do: [warn]`")
        _counted(rule, problems)


def _counted(rule: Rule, problems: Problems) -> None:
    """Voltage and current come in samples; what lines do comes in spectra."""
    sources = {OBSERVABLES[base_name(one.observable)].source for one in (*rule.all_of, *rule.any_of)}
    if rule.for_unit == "spectra" and sources == {"electrochemistry"}:
        where = problems.word(rule.where, "spectr")
        problems.add(where, f"rule `{rule.name}` looks at E and I: they come in samples", f"write for: {rule.for_count} samples")
    for one in (*rule.all_of, *rule.any_of):
        _comparable(rule, one, sources, problems)


def _comparable(rule: Rule, one: Predicate, sources: Collection[str], problems: Problems) -> None:
    """Samples are compared with values, and with the start of their step; beside spectra with values alone."""
    of_samples, of = OBSERVABLES[base_name(one.observable)].source == "electrochemistry", (one.reference or {}).get("of")
    if not of_samples and one.test.startswith("slope") and base_name(one.observable) != "area":
        hint = "the slope of an area is dA/dQ; compare others with a value or a reference"
        problems.add(one.where, f"rule `{rule.name}`: {one.observable} has no slope", hint)
    elif of_samples and of not in {None, "step_start"}:
        hint = "compare with a value, or with `E at start`"
        problems.add(one.where, f"rule `{rule.name}`: {one.observable} has no {str(of).replace('_', ' ')}", hint)
    elif of_samples and "spectra" in sources and (of or one.test.startswith("slope")):
        problems.add(
            one.where, f"rule `{rule.name}` looks at spectra: {one.observable} beside them is compared with a value", "make two rules"
        )
    elif of == "step_start" and not of_samples:
        problems.add(one.where, f"rule `{rule.name}`: {one.observable} is not known at a step's start", "compare with the blank")


def blanks_taken(draft: Draft, problems: Problems) -> None:
    """What is compared with a blank, or has one subtracted, needs a blank."""
    if any(action.verb == "blank" for action in draft.prepare):
        return
    for acquisition in draft.acquisitions.values():
        if acquisition and acquisition.subtract:
            problems.add(acquisition.where, f"`{acquisition.name}` subtracts a blank, but none is taken", BLANK_HINT)
    for rule in draft.rules:
        wanted = any(predicate.reference and predicate.reference.get("of") == "blank" for predicate in (*rule.all_of, *rule.any_of))
        if wanted or rule.extra.get("after") == "subtract blank":
            problems.add(rule.where, f"rule `{rule.name}` needs a blank, but none is taken", BLANK_HINT)
