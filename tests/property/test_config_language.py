"""The language as a whole: normal form → sentence → normal form gives it back; no text does anything but parse or be explained."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestrator.config import ConfigError, parse_experiment
from orchestrator.config.diagnostics import Problems, SentenceError
from orchestrator.config.phrases import read
from orchestrator.config.sentences import FOLDED, PLAIN, STARTS
from orchestrator.config.tree import read_tree
from orchestrator.config.wording import repeat_until_sentence, step_sentence, trigger_sentence, wait_sentence
from orchestrator.model.acquisition import Condition, NmrTrigger, TriggerKind
from orchestrator.model.protocol import End, RepeatUntil, SampleRate, Step, Verb, WaitForNmr
from orchestrator.model.units import Quantity

relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
EXAMPLES = sorted((Path(__file__).parents[2] / "configs" / "experiments").glob("*.yaml"))

positive = st.floats(min_value=1e-9, max_value=1e9, allow_nan=False)
anything = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)
names = st.sampled_from(["working", "counter", "hard carbon", "upper Li", "NMC811", "Cu foil"])
voltage_names = st.sampled_from(["cell", "we", "ce"])


def quantities(unit: str, values: st.SearchStrategy[float] = positive) -> st.SearchStrategy[Quantity]:
    return st.builds(Quantity, values, st.just(unit))


times = quantities("s")
charges = st.one_of(
    quantities("mAh"),
    quantities("mAh/cm2"),
    st.builds(Quantity, positive, st.just("%"), st.sampled_from(["", "graphite", "the sodiation so far"])),
)
currents = st.one_of(quantities("A"), quantities("A/cm2"), quantities("C"))
voltages = quantities("V", anything)

time_ends = st.builds(End, kind=st.just("time"), quantity=times)
voltage_ends = st.builds(End, kind=st.just("voltage"), quantity=voltages, voltage_name=voltage_names)
absolute_ends = st.builds(End, kind=st.just("voltage"), quantity=quantities("V"), absolute=st.just(True), voltage_name=voltage_names)
charge_ends = st.builds(End, kind=st.just("charge"), quantity=charges)
current_ends = st.builds(End, kind=st.just("current"), quantity=currents)
samples = st.none() | st.builds(SampleRate, then_Hz=st.sampled_from([0.1, 0.5, 1.0, 2.0, 10.0]))


def steps_of(**fields: Any) -> st.SearchStrategy[Step]:
    return st.builds(Step, text=st.just(""), sample=samples, **fields)


def ends_of(*kinds: st.SearchStrategy[End]) -> st.SearchStrategy[tuple[End, ...]]:
    return st.lists(st.one_of(*kinds), max_size=4).map(tuple)


steps = st.one_of(
    steps_of(verb=st.just(Verb.REST), ends=ends_of(time_ends, voltage_ends)),
    steps_of(
        verb=st.sampled_from([verb for verb in Verb if verb not in {Verb.REST, Verb.POTENTIOSTATIC, Verb.GALVANOSTATIC}]),
        electrode=st.none() | names,
        current=currents,
        ends=ends_of(time_ends, voltage_ends, absolute_ends, charge_ends),
    ),
    steps_of(
        verb=st.just(Verb.GALVANOSTATIC),
        current=st.builds(Quantity, anything.filter(bool), st.sampled_from(["A", "A/cm2", "C"])),
        ends=ends_of(time_ends, voltage_ends, absolute_ends, charge_ends),
    ),
    steps_of(
        verb=st.just(Verb.POTENTIOSTATIC),
        voltage_V=anything,
        voltage_name=voltage_names,
        ends=ends_of(time_ends, charge_ends, current_ends),
    ),
)


def bare(value: Any) -> Any:
    """Plain data without places and texts."""
    if isinstance(value, dict):
        return {key: bare(one) for key, one in value.items() if key not in {"where", "set_where", "text"}}
    return [bare(one) for one in value] if isinstance(value, list | tuple) else value


@relaxed
@given(steps)
def test_steps_come_back(step: Step) -> None:
    again = read(step_sentence(step), "step")
    assert bare(again.model_dump()) == bare(step.model_dump())


kinds = st.one_of(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(
                [TriggerKind.AT_START, TriggerKind.AT_END, TriggerKind.CONTINUOUSLY, TriggerKind.KNEE, TriggerKind.ON_DEMAND]
            )
        }
    ),
    st.fixed_dictionaries({"kind": st.just(TriggerKind.EVERY_TIME), "every": times}),
    st.fixed_dictionaries({"kind": st.just(TriggerKind.EVERY_CHARGE), "every": st.one_of(quantities("mAh"), quantities("mAh/cm2"))}),
    st.fixed_dictionaries({"kind": st.just(TriggerKind.EVERY_X), "every": quantities("%")}),
    st.fixed_dictionaries(
        {"kind": st.just(TriggerKind.EVERY_VOLTAGE), "every": quantities("V")},
        optional={"hysteresis_V": positive},
    ),
    st.fixed_dictionaries({"kind": st.just(TriggerKind.TIMES), "count": st.integers(1, 10**6), "from_start": st.booleans()}),
    st.fixed_dictionaries(
        {
            "kind": st.just(TriggerKind.LOG_SPACED),
            "first_s": st.floats(1e-3, 10),
            "last_s": st.floats(11, 1e6),
            "count": st.integers(2, 99),
        }
    ),
    st.fixed_dictionaries({"kind": st.just(TriggerKind.AT_X), "x": st.lists(st.floats(-1, 2), min_size=1, max_size=5).map(tuple)}),
)
conditions = st.builds(Condition, of=st.sampled_from(["x", "voltage"]), side=st.sampled_from(["below", "above"]), value=anything)
extras = st.fixed_dictionaries(
    {},
    optional={"condition": conditions, "guard_s": positive, "only_in": st.sampled_from(["rest", "galvanostatic", "potentiostatic"])},
)


@relaxed
@given(kinds, extras)
def test_triggers_come_back(kind: dict[str, Any], extra: dict[str, Any]) -> None:
    trigger = NmrTrigger(acquisition="a", **kind, **extra)
    again = NmrTrigger(acquisition="a", **read(trigger_sentence(trigger), "trigger"))
    assert again == trigger


@relaxed
@given(
    st.builds(
        RepeatUntil,
        verb=st.sampled_from(list(Verb)).filter(lambda verb: verb not in {Verb.REST, Verb.POTENTIOSTATIC}),
        factor=st.integers(1, 300).map(lambda percent: percent / 100),
        of_cycle=st.integers(1, 99),
        side=st.sampled_from(["below", "above"]),
    )
)
def test_repeats_come_back(until: RepeatUntil) -> None:
    again = read(repeat_until_sentence(until), "repeat_until")
    assert bare(again.model_dump(exclude={"factor"})) == bare(until.model_dump(exclude={"factor"}))
    assert again.factor == pytest.approx(until.factor, rel=1e-12)


@relaxed
@given(st.builds(WaitForNmr, cell=st.sampled_from(["at open circuit", "at last voltage", "keep current"]), longest_s=positive))
def test_waits_come_back(wait: WaitForNmr) -> None:
    assert read(wait_sentence(wait), "wait_for_nmr") == wait


@relaxed
@given(steps, st.randoms(use_true_random=False))
def test_keywords_ignore_case_and_signs_may_be_typographic(step: Step, random: Any) -> None:
    sentence = step_sentence(step)
    words = [
        random.choice([word, word.upper(), word.capitalize()]) if word in {"until", "or", "for", "at", "of"} else word
        for word in sentence.split(" ")
    ]
    typed = "\u202f".join(words).replace("-", "−").replace("cm2", "cm²").replace("uA", "µA")
    assert bare(read(typed, "step").model_dump()) == bare(step.model_dump())


def test_folding_keeps_every_position() -> None:
    for table in (FOLDED, PLAIN):
        assert all(len(str(new) if isinstance(new, str) else chr(new)) == 1 for new in table.values())


WORDS = """rest charge Plate hold at for until or and of abs(E) E I 5 -0.4 C/10 0.1C mA mA/cm2 mAh V % s min every below above times x start
end slope area(metal) area(240..290 ppm) < > * + mean blank sd phase ( ) , .. 2-4 working hard carbon log-spaced to mark open circuit ocv"""
SENTENCES = st.lists(st.sampled_from(WORDS.split()), max_size=12).map(" ".join)
SCRAPS = st.sampled_from(["", " ", ":", "{", "]", "x", "5", ", ", "\n", "- ", '"', "mA", "null", "[]", "{}"])
STRANGERS = st.sampled_from([None, True, 5, -1.5, "words", "5 mA", [], {}, [1, 2], {"a": 1}, ["x"], [[]], {"step": 3}])


def mistake_in(text: str, start: str) -> SentenceError | None:
    try:
        read(text, start)
    except SentenceError as error:
        return error
    return None


def problems_of(text: str, path: Path) -> ConfigError | None:
    try:
        parse_experiment(text, file=str(path))
    except ConfigError as error:
        return error
    return None


@relaxed
@given(st.sampled_from(STARTS), SENTENCES | st.text(string.printable + "µ−Åİß\u2028", max_size=40))
@example("step", "")
@example("when", "slope > 0")
def test_any_text_is_read_or_explained(start: str, text: str) -> None:
    error = mistake_in(text, start)
    if error is not None:
        assert error.message
        assert 0 <= error.start < error.end <= len(text) + 1


@settings(relaxed, max_examples=60)
@given(st.sampled_from(EXAMPLES), st.data())
def test_a_damaged_file_is_explained_and_never_crashes(path: Path, data: st.DataObject) -> None:
    text = path.read_text(encoding="utf-8")
    for _ in range(data.draw(st.integers(1, 3))):
        at, length = data.draw(st.integers(0, len(text) - 1)), data.draw(st.integers(0, 12))
        text = text[:at] + data.draw(SCRAPS) + text[at + length :]
    error = problems_of(text, path)
    if error is not None:
        assert error.problems
        assert all(0 <= problem.where.line <= len(text.split("\n")) + 1 for problem in error.problems)
        assert str(error).endswith("nothing was started.")


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(leaf for key, one in inside for leaf in leaves(one, (*path, key)))]


@settings(relaxed, max_examples=60)
@given(st.sampled_from(EXAMPLES), st.data())
def test_a_value_of_another_kind_is_explained_and_never_crashes(path: Path, data: st.DataObject) -> None:
    root = read_tree(path, Problems())
    assert root is not None
    plain = root.plain()
    *way, last = data.draw(st.sampled_from([leaf for leaf in leaves(plain) if leaf]))
    table = plain
    for part in way:
        table = table[part]
    table[last] = data.draw(STRANGERS)
    error = problems_of(json.dumps(plain), path)
    assert error is None or error.problems
