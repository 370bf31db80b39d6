"""YAML text as a tree that knows where every key, value and word stands. No meaning yet."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from orchestrator.config.diagnostics import Problems, suggestion
from orchestrator.model.values import Where

BOOLEANS = {"true": True, "false": False}
DEEPEST, MOST_NODES = 50, 100_000
TOO_DEEP, TOO_MANY = "nested too deeply", "anchors used over and over make this file too large"
MERGE_HINT = "write the keys out: what a step does must stand in the step"


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One file's name and text, and where its lines begin."""

    file: str
    text: str
    starts: tuple[int, ...]

    @classmethod
    def of(cls, file: str, text: str) -> Source:
        """Cut a text into lines."""
        return cls(file, text, tuple(accumulate((len(line) for line in text.splitlines(keepends=True)), initial=0)))

    def where(self, start: int, end: int) -> Where:
        """The place of characters ``start`` to ``end``, cut at the end of the first line."""
        line = bisect.bisect_right(self.starts, start) - 1
        line = min(line, max(len(self.starts) - 2, 0))
        end_of_line = len(self.text[self.starts[line] :].split("\n", 1)[0]) + self.starts[line]
        length = max(1, min(end, end_of_line) - start)
        return Where(file=self.file, line=line + 1, column=start - self.starts[line] + 1, length=length)


@dataclass(slots=True, eq=False)
class Node:
    """A value of the file. ``value``: scalar, list of nodes, or dict of key → node (``keys``: where each key stands).

    ``text``: a scalar as YAML reads it; ``is_block``: written after ``|`` or ``>``.
    """

    source: Source
    start: int
    end: int
    value: Any
    text: str = ""
    keys: dict[str, Node] = field(default_factory=dict)
    is_block: bool = False

    @property
    def is_table(self) -> bool:
        """Keys and values."""
        return isinstance(self.value, dict)

    @property
    def is_list(self) -> bool:
        """A list."""
        return isinstance(self.value, list)

    def where(self, start: int = 0, end: int | None = None) -> Where:
        """The place of this value, or of characters ``start`` to ``end`` of its text."""
        if self.is_table or self.is_list:
            return self.source.where(self.start, self.start + 1)
        if start == 0 and end is None:
            return self.source.where(self.start, self.end)
        last = len(self.text) if end is None else end
        first_index = self._index(start)
        return self.source.where(first_index, max(self._index(max(last - 1, start)) + 1, first_index + 1))

    def _index(self, offset: int) -> int:
        """Where character ``offset`` of the text stands in the file, counting what is not white space."""
        raw = self.source.text[self.start : self.end]
        begin = 1 if raw[:1] in {"'", '"'} else raw.find("\n") + 1 if self.is_block else 0
        if raw[begin : begin + len(self.text)] == self.text:
            return self.start + begin + offset
        solid = [index for index, character in enumerate(raw[begin:], self.start + begin) if not character.isspace()]
        before = sum(not character.isspace() for character in self.text[:offset])
        return solid[before] if before < len(solid) else self.end

    def get(self, key: str) -> Node | None:
        """The value of a key; None where there is no such key, or this is no table."""
        return self.value.get(key) if self.is_table else None

    def given(self, key: str) -> Node | None:
        """The value of a key; None also where nothing stands behind it."""
        child = self.get(key)
        return None if child is None or child.value is None else child

    def items(self) -> Iterator[tuple[str, Node]]:
        """Keys and values in file order; nothing where this is no table."""
        yield from self.value.items() if self.is_table else ()

    def rows(self) -> list[Node]:
        """The elements of a list; a single value counts as a list of one."""
        return self.value if isinstance(self.value, list) else [self]

    def plain(self) -> Any:
        """Ordinary Python data."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, list) else self.value


LARGEST_BYTES = 256_000
"""What people write by hand is a hundredth of this; what is larger is another file, and reading it as YAML takes minutes."""


def read_tree(path: Path, problems: Problems) -> Node | None:
    """The tree of a YAML file; None (and a problem) where there is none to speak of."""
    text = _text_of(path, problems)
    return None if text is None else parse_tree(str(path), text, problems)


def _text_of(path: Path, problems: Problems) -> str | None:
    where = Where(file=str(path))
    try:
        if path.stat().st_size > LARGEST_BYTES and path.is_file():
            problems.add(where, f"{path.stat().st_size / 1e6:.1f} MB is too large", f"such a file has at most {LARGEST_BYTES // 1000} kB")
            return None
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        problems.add(where, f"not UTF-8 text (byte {error.start})", "save it as UTF-8")
    except FileNotFoundError:
        beside = [other.name for other in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
        problems.add(where, "no such file", suggestion(path.name, beside))
    except OSError as error:
        problems.add(where, f"cannot be read: {error.strerror}")
    return None


def parse_tree(file: str, text: str, problems: Problems) -> Node | None:
    """The tree of a YAML text."""
    source = Source.of(file, text)
    problems.read(file, text.splitlines())
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except RecursionError:
        problems.add(Where(file=file), TOO_DEEP)
        return None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        index = min(mark.index, max(len(text) - 1, 0)) if mark else 0
        problems.add(source.where(index, index + 1), f"not YAML: {error.problem or error.context}", _yaml_hint(text, index))
        return None
    except YAMLError as error:
        problems.add(Where(file=file), f"not YAML: {error}")
        return None
    if root is None:
        problems.add(Where(file=file), "the file is empty")
        return None
    return _Composer(source, problems).node(root)


def _yaml_hint(text: str, index: int) -> str:
    return "YAML is indented with spaces, not tabs" if text[index : index + 1] == "\t" else ""


class _Composer:
    """Turns ruamel's nodes into ours; an anchor used twice gives the same node twice."""

    def __init__(self, source: Source, problems: Problems) -> None:
        self.source = source
        self.problems = problems
        self._open: set[int] = set()
        self._made = 0

    def node(self, yaml: Any) -> Node:
        """One value and everything in it."""
        node = Node(self.source, yaml.start_mark.index, yaml.end_mark.index, None)
        if id(yaml) in self._open:
            self.problems.add(node.where(), "this anchor contains itself")
            return node
        self._made += 1
        if len(self._open) >= DEEPEST or self._made > MOST_NODES:
            if self._made <= MOST_NODES + 1:
                self.problems.add(node.where(), TOO_DEEP if len(self._open) >= DEEPEST else TOO_MANY)
            return node
        self._open.add(id(yaml))
        self._fill(node, yaml)
        self._open.discard(id(yaml))
        return node

    def _fill(self, node: Node, yaml: Any) -> None:
        if isinstance(yaml, ScalarNode):
            node.text = yaml.value
            node.is_block = yaml.style in {"|", ">"}
            node.value = self._scalar(node, yaml)
        elif isinstance(yaml, SequenceNode):
            node.value = [self.node(child) for child in yaml.value]
        elif isinstance(yaml, MappingNode):
            node.value = {}
            for key, value in yaml.value:
                self._entry(node, self.node(key), self.node(value))

    def _entry(self, table: Node, key: Node, value: Node) -> None:
        if key.is_table or key.is_list:
            self.problems.add(key.where(), "a key must be a word", "a sentence with `{`, `[` or `: ` in it needs quotes")
        elif key.text == "<<":
            self.problems.add(key.where(), "merge keys are not part of this language", MERGE_HINT)
        elif key.text in table.keys:
            first = table.keys[key.text].where()
            self.problems.add(key.where(), f"`{key.text}` is given twice", f"the first stands in line {first.line}")
        else:
            table.keys[key.text] = key
            table.value[key.text] = value

    def _scalar(self, node: Node, yaml: Any) -> Any:
        kind = yaml.tag.rpartition(":")[2]
        text = yaml.value
        if kind == "null":
            return None
        if kind == "bool":
            return BOOLEANS.get(text.lower(), text)
        if kind in {"int", "float"}:
            return _number(kind, text)
        if kind not in {"str", "timestamp", "merge"}:
            self.problems.add(node.where(), f"the tag `{yaml.tag}` is not part of this language")
        return text


def _number(kind: str, text: str) -> float | int | str:
    digits = text.replace("_", "").lower()
    try:
        if kind == "float":
            return float(digits.replace(".inf", "inf").replace(".nan", "nan"))
        return int(digits, 0 if digits.lstrip("+-")[:2] in {"0x", "0o", "0b"} else 10)
    except ValueError:
        return text
