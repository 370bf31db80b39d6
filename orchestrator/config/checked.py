"""A node against its written model, and a sentence against the grammar: mistakes become problems at their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from orchestrator.config.diagnostics import Problems, SentenceError, suggestion
from orchestrator.config.phrases import read
from orchestrator.config.tree import Node
from orchestrator.model.rule import Predicate

M = TypeVar("M", bound=BaseModel)

EXPECTED = {
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "finite_number": "expected a number that is finite",
    "string_type": "expected text",
    "bool_type": "expected true or false",
    "list_type": "expected a list: [a, b]",
    "dict_type": "expected a table: {key: value}",
    "model_type": "expected a table: {key: value}",
    "model_attributes_type": "expected a table: {key: value}",
    "string_pattern_mismatch": "expected a plain name: letters, digits, `_`, `-`, `.`",
}
NUMERIC = {"int_type", "int_from_float", "float_type", "finite_number"}


def checked(node: Node, model: type[M], problems: Problems) -> M | None:
    """The node as the written model, unknown keys left out; problems where it is wrong, None where nothing can be made of it."""
    try:
        return model.model_validate(node.plain())
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
        for mistake in mistakes:
            _add(node, model, mistake, problems)
        return _without_unknown_keys(node, model, mistakes)


def _without_unknown_keys(node: Node, model: type[M], mistakes: Sequence[Any]) -> M | None:
    """The model all the same if only unknown keys were wrong, so that the rest of the file can be judged."""
    if any(mistake["type"] != "extra_forbidden" for mistake in mistakes):
        return None
    plain = node.plain()
    for mistake in mistakes:
        *path, key = mistake["loc"]
        table = plain
        for part in path:
            table = table[part]
        del table[key]
    return model.model_validate(plain)


def sentence(node: Node, start: str, problems: Problems, previous: Predicate | None = None) -> Any:
    """The normal form of the sentence in a node; None and a problem where it is none."""
    if not isinstance(node.value, str):
        if not node.is_table and not node.is_list and node.value is not None:
            return _spoken(node, start, problems, previous)
        problems.add(node.where(), f"expected a sentence, not {_kind(node)}", _comma_hint(node))
        return None
    return _spoken(node, start, problems, previous)


def _spoken(node: Node, start: str, problems: Problems, previous: Predicate | None) -> Any:
    try:
        return read(node.text, start, node.where, previous)
    except SentenceError as error:
        problems.add(node.where(error.start, error.end), error.message, error.hint)
        return None


def _kind(node: Node) -> str:
    return "nothing" if node.value is None else "a table" if node.is_table else "a list"


def _comma_hint(node: Node) -> str:
    return "a sentence with a comma or `: ` in it needs quotes" if node.is_table else ""


def one_of(node: Node, keys: Sequence[str], what: str, problems: Problems, *, needed: bool = True) -> str | None:
    """The one key out of ``keys`` that is given; a problem where several are, or none though one is needed."""
    given = [key for key in node.keys if key in keys and node.value[key].value is not None]
    if len(given) > 1:
        problems.add(node.keys[given[1]].where(), f"`{given[0]}` and `{given[1]}` are both given", f"{what} is said once")
    elif not given and needed:
        problems.add(node.where(), f"{what} is missing", f"one of {', '.join(keys)}")
    return given[0] if len(given) == 1 else None


def _add(node: Node, model: type[BaseModel], mistake: Any, problems: Problems) -> None:
    loc = [part for part in mistake["loc"] if part != "[key]"]
    parent, at, level = _descend(node, model, loc)
    kind, last = mistake["type"], str(loc[-1]) if loc else ""
    if kind == "extra_forbidden":
        hint = suggestion(last, _keys(level)) if level else ""
        problems.add(parent.keys[last].where(), f"unknown key `{last}`", hint or _keys_hint(level))
    elif kind == "missing":
        problems.add(parent.where(), f"`{last}` is missing", _description(level, last))
    else:
        says, hint = _message(kind, mistake, at)
        why = _description(level, last) if kind == "literal_error" else ""
        problems.add(at.where(), says, "; ".join(part for part in (hint, why) if part))


def _description(level: type[BaseModel] | None, name: str) -> str:
    return (level.model_fields[name].description or "") if level and name in level.model_fields else ""


def _message(kind: str, mistake: Any, at: Node) -> tuple[str, str]:
    context = mistake.get("ctx", {})
    if kind == "literal_error":
        options = [option.strip("' ") for option in context["expected"].replace(" or ", ", ").split(", ")]
        return f"expected {' | '.join(options)}", suggestion(at.text, options)
    if kind in EXPECTED:
        hint = "the unit stands in the key: write the number alone" if kind in NUMERIC and isinstance(at.value, str) else ""
        if kind == "string_type":
            hint = "put it in quotes" if at.text else ""
        return EXPECTED[kind], hint
    return str(mistake["msg"]).replace("Input should be", "must be"), ""


def _descend(node: Node, model: type[BaseModel] | None, loc: Sequence[Any]) -> tuple[Node, Node, type[BaseModel] | None]:
    """Follow pydantic's path as far as it stands in the file: table, value, and the model of the table."""
    parent, at = node, node
    for depth, part in enumerate(loc, 1):
        child = at.get(part) if isinstance(part, str) else at.value[part] if at.is_list and part < len(at.value) else None
        if child is None:
            return at, at, model
        parent, at = at, child
        if depth < len(loc):
            model = _model_of(model, part)
    return parent, at, model


def _model_of(model: type[BaseModel] | None, part: Any) -> type[BaseModel] | None:
    """The model behind a field, or behind the entries of a list or table of models."""
    if model is None or not isinstance(part, str) or part not in model.model_fields:
        return model
    return _first_model(model.model_fields[part].annotation)


def _first_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := _first_model(argument))), None)


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _keys_hint(model: type[BaseModel] | None) -> str:
    return f"known here: {', '.join(_keys(model))}" if model else ""
