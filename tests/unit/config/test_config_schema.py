"""The committed JSON schemas are those that the code makes, and every file of ours passes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.config.diagnostics import Problems
from orchestrator.config.schema import SCHEMAS, schema_text
from orchestrator.config.tree import read_tree

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
}
KNOWN = {
    "$ref", "$schema", "$defs", "title", "description", "examples", "default", "type", "properties", "additionalProperties", "required",
    "items", "anyOf", "enum", "const", "pattern", "minimum", "maximum", "exclusiveMinimum", "minItems", "maxItems", "minProperties",
    "maxLength", "patternProperties", "propertyNames",
}  # fmt: skip


def mistakes(value: Any, schema: dict[str, Any], root: dict[str, Any], path: str = "$") -> Iterator[str]:
    """What JSON Schema would say, for the keywords that our schemas use."""
    assert schema.keys() <= KNOWN, schema.keys() - KNOWN
    if "$ref" in schema:
        yield from mistakes(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, path)
    if "anyOf" in schema:
        tried = [list(mistakes(value, one, root, path)) for one in schema["anyOf"]]
        if all(tried):
            yield f"{path}: fits none of {len(tried)}: {min(tried, key=len)}"
    yield from _own(value, schema, path)
    if isinstance(value, dict):
        yield from _members(value, schema, root, path)
    if isinstance(value, list) and "items" in schema:
        for index, one in enumerate(value):
            yield from mistakes(one, schema["items"], root, f"{path}[{index}]")


def _own(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    wanted = schema.get("type")
    if wanted and (not isinstance(value, TYPES[wanted]) or (isinstance(value, bool) and wanted != "boolean")):
        yield f"{path}: {value!r} is no {wanted}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if "const" in schema and value != schema["const"]:
        yield f"{path}: {value!r} is not {schema['const']}"
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{path}: {value!r} does not match {schema['pattern']}"
    if isinstance(value, int | float):
        if value < schema.get("minimum", value) or value > schema.get("maximum", value):
            yield f"{path}: {value} is out of range"
        if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
            yield f"{path}: {value} is too small"
    if isinstance(value, list) and not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{path}: {len(value)} items"


def _members(value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], path: str) -> Iterator[str]:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    yield from (f"{path}: {key} is missing" for key in schema.get("required", ()) if key not in value)
    if len(value) < schema.get("minProperties", 0):
        yield f"{path}: too few keys"
    for key, one in value.items():
        yield from mistakes(key, schema.get("propertyNames", {}), root, f"{path} key")
        if key in properties:
            yield from mistakes(one, properties[key], root, f"{path}.{key}")
        elif patterns := [one for pattern, one in schema.get("patternProperties", {}).items() if re.search(pattern, key)]:
            yield from mistakes(value[key], patterns[0], root, f"{path}.{key}")
        elif others is False or "patternProperties" in schema:
            yield f"{path}: unknown {key}"
        elif isinstance(others, dict):
            yield from mistakes(one, others, root, f"{path}.{key}")


def plain(path: Path) -> Any:
    root = read_tree(path, Problems())
    assert root is not None
    return root.plain()


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_committed_schema_is_the_one_the_code_makes(repository: Path, name: str) -> None:
    committed = (repository / "configs" / "schema" / f"{name}.json").read_text(encoding="utf-8")
    assert committed == schema_text(name), f"run: python -m orchestrator.config.schema configs/schema  ({name})"


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_reference_in_a_schema_leads_somewhere(name: str) -> None:
    schema = SCHEMAS[name]()
    named = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema)))
    assert named == set(schema.get("$defs", {}))


def test_every_experiment_and_rig_of_ours_passes(repository: Path) -> None:
    checked = 0
    for folder, name in (("experiments", "experiment"), ("rigs", "rig")):
        schema = SCHEMAS[name]()
        for path in sorted((repository / "configs" / folder).glob("*.yaml")):
            assert list(mistakes(plain(path), schema, schema)) == [], path.name
            checked += 1
    assert checked >= 9


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("scans: 64", "scans: 0"),
        ("scans: 64", "scnas: 64"),
        ("type: symmetric", "type: symetric"),
        ("step: Rest for 30 minutes", "step: Reste for 30 minutes"),
        ("quant: at start}}\n  - repeat", "quant: at the start}}\n  - repeat"),
        ("repeat: 12", "repeat: many"),
        ("for: 3 samples", "for: 3"),
        ("abs_I_mA: 0.5, ", "abs_I_mA: 0.5 mA, "),
        ("cell: open circuit, nmr", "cell: hold, nmr"),
    ],
)
def test_an_editor_sees_a_mistake(repository: Path, tmp_path: Path, old: str, new: str) -> None:
    text = (repository / "configs" / "experiments" / "li_li_plate_strip.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "a.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    schema = SCHEMAS["experiment"]()
    assert list(mistakes(plain(path), schema, schema))


def test_examples_in_the_schema_are_sentences_of_the_language() -> None:
    from orchestrator.config.phrases import read

    defs = SCHEMAS["experiment"]()["$defs"]
    places = [("trigger", defs["Trigger"]), ("action", defs["Action"]), ("when", defs["WhenSentence"])]
    places += [("step", defs["Step"]["properties"]["step"]), ("wait_for_nmr", defs["Step"]["properties"]["wait_for_nmr"])]
    places += [("host_lost", defs["Limits"]["properties"]["host_lost"]), ("electrode", defs["Cell"]["properties"]["negative"])]
    for start, place in places:
        assert place["examples"]
        for example in place["examples"]:
            assert read(example, start)
            assert re.search(place["pattern"], example)
