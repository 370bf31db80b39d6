"""JSON schemas of what people write, for editors: experiment, rig and cell files. Made from ``config.written``.

Editors complete and check with them as one types; ``check`` remains the judge of every sentence.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from orchestrator.config import written, written_rules
from orchestrator.config.shapes import ACTION, TRIGGER, WHEN, one_or_more
from orchestrator.config.written_rig import WrittenRig
from orchestrator.model.interlocks import TABLE, Interlock, Number, said

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PREFIX = "Written"
ACQUISITIONS = (written.WrittenAcquisition, written.WrittenManual, written.WrittenInterleave)
ITEMS = (
    written.WrittenStep,
    written.WrittenQuantityStep,
    written.WrittenRepeat,
    written.WrittenAtOpenCircuit,
    written.WrittenSetPoint,
    written.WrittenPrompt,
    written.WrittenEis,
)
OTHERS = (written.WrittenCell, written_rules.WrittenRule, written_rules.WrittenWhen, written_rules.WrittenPredicate)

SHARED = {"Trigger": TRIGGER, "WhenSentence": WHEN, "Action": ACTION}

Schema = dict[str, Any]


def experiment_schema() -> Schema:
    """What may stand in ``configs/experiments/*.yaml``."""
    defs = _definitions(written.WrittenExperiment, *ACQUISITIONS, *ITEMS, *OTHERS)
    sentence = defs["Step"]["properties"]["step"]
    item = {"$ref": "#/$defs/ProtocolItem"}
    defs["ProtocolItem"] = {"anyOf": [sentence, *(_ref(model) for model in ITEMS)]}
    defs["Repeat"]["properties"]["steps"]["items"] = item
    rule = defs["Rule"]["properties"]
    rule["when"] = {"anyOf": [{"$ref": "#/$defs/WhenSentence"}, _ref(written_rules.WrittenWhen)]}
    for key in ("all", "any"):
        rule[key]["items"] = {"anyOf": [{"$ref": "#/$defs/WhenSentence"}, _ref(written_rules.WrittenPredicate)]}
    properties = defs["Experiment"]["properties"]
    properties["cell"] = {"anyOf": [{"type": "string"}, _ref(written.WrittenCell)]}
    properties["acquisitions"]["additionalProperties"] = {"anyOf": [_ref(model) for model in ACQUISITIONS]}
    properties["protocol"]["items"] = item
    properties["rules"]["items"] = _ref(written_rules.WrittenRule)
    properties["interlocks"] |= {"properties": {one.name: _interlock(one) for one in TABLE}, "additionalProperties": False}
    return _root("Experiment", defs)


def _interlock(interlock: Interlock) -> Schema:
    """One interlock by name: a switch, or a table of its numbers."""
    switch: Schema = {"enum": ["on", True] if interlock.fixed else ["on", "off", True, False]}
    keys: Schema = {name: _number(number) for name, number in interlock.numbers.items()}
    own: Schema = {} if interlock.fixed else {"do": one_or_more({"$ref": "#/$defs/Action"})}
    table = {"type": "object", "additionalProperties": False, "properties": {"on": switch, **keys, **own, "because": {"type": "string"}}}
    return {"description": interlock.title, "anyOf": [switch, table]}


def _number(number: Number) -> Schema:
    if not number.unit:
        return {"type": "integer" if number.whole else "number", "minimum": number.least}
    return {"type": "string", "examples": [said(number.unit, number.value or number.least or 1.0)]}


def rig_schema() -> Schema:
    """What may stand in ``configs/rigs/*.yaml``."""
    return _root("Rig", _definitions(WrittenRig))


def cell_schema() -> Schema:
    """What may stand in ``cells/*.yaml``."""
    return _root("Cell", _definitions(written.WrittenCell))


SCHEMAS: dict[str, Callable[[], Schema]] = {"experiment": experiment_schema, "rig": rig_schema, "cell": cell_schema}


def schema_text(name: str) -> str:
    """A schema as the committed file holds it."""
    return json.dumps(SCHEMAS[name](), indent=2, ensure_ascii=False) + "\n"


def _definitions(*models: type[BaseModel]) -> dict[str, Schema]:
    _, schema = models_json_schema([(model, "validation") for model in models])
    renamed = json.loads(json.dumps(schema["$defs"]).replace(f"#/$defs/{PREFIX}", "#/$defs/"))
    return {name.removeprefix(PREFIX): _tidy(definition) for name, definition in renamed.items()}


def _with_shared(defs: dict[str, Schema]) -> dict[str, Schema]:
    """The definitions, and the shared sentences that they refer to."""
    text = json.dumps(defs)
    return defs | {name: shape for name, shape in SHARED.items() if f'"#/$defs/{name}"' in text}


def _root(name: str, defs: dict[str, Schema]) -> Schema:
    defs = _with_shared(defs)
    root = defs.pop(name)
    return {"$schema": DIALECT, "title": name.lower(), **root, **({"$defs": dict(sorted(defs.items()))} if defs else {})}


def _ref(model: type[BaseModel]) -> Schema:
    return {"$ref": f"#/$defs/{model.__name__.removeprefix(PREFIX)}"}


def _tidy(value: Any) -> Any:
    """Without the titles, nulls and empty defaults that pydantic adds: editors would show them."""
    if isinstance(value, list):
        return [_tidy(part) for part in value if part != {"type": "null"}]
    if not isinstance(value, dict):
        return value
    kept = {key: _tidy(part) for key, part in value.items() if not _noise(key, part)}
    if len(kept.get("anyOf", ())) == 1:
        kept |= kept.pop("anyOf")[0]
    return next(({"$ref": f"#/$defs/{name}"} for name, shape in SHARED.items() if kept == shape), kept)


def _noise(key: str, part: Any) -> bool:
    return (key == "title" and isinstance(part, str)) or (key == "default" and part is None)


if __name__ == "__main__":
    import sys
    from pathlib import Path

    for written_name in SCHEMAS:
        Path(sys.argv[1], f"{written_name}.json").write_text(schema_text(written_name), encoding="utf-8", newline="\n")
