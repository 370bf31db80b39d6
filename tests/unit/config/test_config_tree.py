"""YAML with positions: what is refused, and where words stand in every style of string."""

from __future__ import annotations

import pytest

from orchestrator.config.diagnostics import Problems
from orchestrator.config.tree import Node, parse_tree


def tree(text: str) -> tuple[Node | None, list[str]]:
    problems = Problems()
    root = parse_tree("a.yaml", text, problems)
    return root, [f"{one.where.line}:{one.where.column} {one.message}" for one in problems.found]


def node(text: str, *path: str) -> Node:
    root, problems = tree(text)
    assert root is not None
    assert not problems
    for key in path:
        child = root.get(key)
        assert child is not None
        root = child
    return root


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("true", True),
        ("False", False),
        ("12", 12),
        ("-0.4", -0.4),
        ("1e-3", 0.001),
        ("1_000", 1000),
        ("0x1F", 31),
        ("010", 10),
        ("'5'", "5"),
        ("~", None),
        ("2026-03-01", "2026-03-01"),
        ("12:30", "12:30"),
    ],
)
def test_scalars_are_yaml_1_2(text: str, value: object) -> None:
    assert node(f"a: {text}", "a").value == value
    assert type(node(f"a: {text}", "a").value) is type(value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "3:1 `a` is given twice"),
        ("s: {x: 1, x: 2}", "1:11 `x` is given twice"),
        ("a: !python/object:os.system x", "1:4 the tag"),
        ("base: &b {x: 1}\nc: {<<: *b}", "2:5 merge keys"),
        ("a: [1, 2", "not YAML"),
        ("a: b: c", "not YAML"),
        ("a: &x [*x]", "1:4 this anchor contains itself"),
        ("{a: 1}: 2", "1:1 a key must be a word"),
        ("---\na: 1\n---\nb: 2", "not YAML"),
        ("'a", "not YAML"),
    ],
)
def test_refused(text: str, problem: str) -> None:
    _, problems = tree(text)
    assert len(problems) == 1
    assert problem in problems[0]


def test_an_anchor_may_be_used_twice() -> None:
    assert node("a: &x {b: 1}\nc: *x", "c", "b").value == 1


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: Rest for 5 minuts", (1, 15)),
        ('a: "Rest for 5 minuts"', (1, 16)),
        ("a: 'Rest for 5 minuts'", (1, 16)),
        ("a: {b: 1, step: Rest for 5 minuts}", (1, 28)),
        ("a: Rest for 5\n     minuts", (2, 6)),
        ("a: >\n  Rest for 5\n  minuts", (3, 3)),
        ("a: >-\n  Rest for 5 minuts", (2, 14)),
        ("a: |\n  Rest for 5 minuts", (2, 14)),
        ('a: "Rest\n\n  for 5 minuts"', (3, 9)),
        ("# µ · −\na: Rest for 5 minuts", (2, 15)),
    ],
)
def test_a_word_inside_a_sentence(text: str, place: tuple[int, int]) -> None:
    root, _ = tree(text)
    assert root is not None
    sentence = root.value["a"].get("step") or root.value["a"]
    start = sentence.text.index("minuts")
    where = sentence.where(start, start + 6)
    assert (where.line, where.column, where.length) == (*place, 6)


def test_places_of_tables_keys_and_long_values() -> None:
    root = node("a:\n  b: [1,\n      2]\n")
    assert (root.value["a"].where().line, root.value["a"].where().column) == (2, 3)
    assert root.value["a"].keys["b"].where().length == 1
    assert root.value["a"].value["b"].rows()[1].where().line == 3
