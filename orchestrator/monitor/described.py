"""The contract of the broker, made from the models: JSON schemas, an AsyncAPI document, the page of the reference."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from orchestrator.monitor import tiles
from orchestrator.monitor.payloads import MODELS, Command, Message
from orchestrator.monitor.topics import COMMAND_LEVELS, ROOT, TREE, VERSION, Described

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BINARY = {name: f"application/vnd.operando.{name}" for name in ("row", "samples", "seen", "strip")}

Json = dict[str, Any]


def schema(model: type[BaseModel]) -> Json:
    """The JSON schema of one payload. What the program sends has every key or leaves it out; null is never sent."""
    made = _tidy(model.model_json_schema(mode="validation"))
    made["description"] = inspect.cleandoc(model.__doc__ or "")
    made["additionalProperties"] = model is not Command
    return {"$schema": DIALECT, "title": model.__name__, **made}


def schemas() -> dict[str, Json]:
    """Every schema by its file's name."""
    return {f"{model.__name__.lower()}.json": schema(model) for model in MODELS}


def _tidy(value: Any) -> Any:
    if isinstance(value, list):
        return [_tidy(part) for part in value if part != {"type": "null"}]
    if not isinstance(value, dict):
        return value
    kept = {name: _tidy(part) for name, part in value.items() if not (name == "title" and isinstance(part, str)) and not _null(name, part)}
    return {**kept.pop("anyOf")[0], **kept} if len(kept.get("anyOf", ())) == 1 else kept


def _null(name: str, part: Any) -> bool:
    return name == "default" and part is None


def asyncapi() -> Json:
    """The AsyncAPI 3.0 document; its messages refer to the schemas beside it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "operando-nmr over MQTT",
            "version": str(VERSION),
            "description": "What a rig tells over MQTT 3.1.1, and what it can be told. `send` is what the rig sends.",
        },
        "defaultContentType": "application/json",
        "channels": {_name(one): _channel(one) for one in TREE},
        "operations": {_name(one): _operation(one) for one in TREE},
        "components": {"messages": {_name(one): _message(one) for one in TREE}},
    }


def _name(one: Described) -> str:
    return "_".join(part for part in one.pattern.replace("/", " ").split() if not part.startswith("<") or part == "<NNN>").replace(
        "<NNN>", "tile"
    )


def _channel(one: Described) -> Json:
    levels = ["<rig>", *(part for part in one.pattern.split("/") if part.startswith("<"))]
    return {
        "address": f"{ROOT}/<rig>/{one.pattern}".replace("<", "{").replace(">", "}"),
        "description": one.meaning,
        "parameters": {part.strip("<>"): {"description": f"{part.strip('<>')}: a-z, 0-9 and -"} for part in levels},
        "messages": {_name(one): {"$ref": f"#/components/messages/{_name(one)}"}},
    }


def _operation(one: Described) -> Json:
    return {
        "action": "receive" if one.pattern.startswith("cmd/") else "send",
        "channel": {"$ref": f"#/channels/{_name(one)}"},
        "bindings": {"mqtt": {"qos": one.qos, "retain": one.retained, "bindingVersion": "0.2.0"}},
    }


def _message(one: Described) -> Json:
    if one.payload == "json":
        return {"contentType": "application/json", "payload": {"$ref": f"./{one.model.lower()}.json"}}
    if one.payload == "text":
        return {"contentType": "text/plain", "payload": {"type": "string", "enum": ["online", "offline"]}}
    return {"contentType": BINARY[one.payload], "payload": {"type": "string", "format": "binary"}}


# ------------------------------------------------------------------------------------------------------------ the page


HEAD = f"""\
Every topic is below `{ROOT}/<rig>/`, where `<rig>` is the rig's name in lower-case letters, digits and `-`. MQTT 3.1.1 is enough for
everything. [AsyncAPI](mqtt/asyncapi.json), and a JSON schema of each payload, stand in [`mqtt/`](mqtt/). The broker is a window,
never the record: the journal and `run.h5` hold everything, and a broker that is gone delays nothing.

A key whose value is not known is left out, and a reader takes keys that it does not know. `…_s` and `…_utc` of one name are the same
instant. What is retained is the whole picture: a reader who subscribes to `{ROOT}/<rig>/#` has the night at once, and drops what is of
another `run_id` than `state`.

**Stale.** `status` is `offline` while `state` is that of a run which has not ended: nobody knows what the rig does. The same holds when
`state` is older than three times its `heartbeat_s` by the reader's clock. When `state` comes but its `heard_s` stands still while
the run is live, it is the rig that says nothing. `rig_alive` false: its process is gone, and its guard has the cell.

**Events.** Each has the `seq` of the journal and `previous_seq`, the `seq` of the event sent before it. A reader who has not seen
that one has missed some; one that comes twice is dropped by its `seq`. Samples (`ec.block`, `aux.block`) and `clock.sample` are not
sent as events.

**Commands** go to `cmd/<user>/<verb>`, where the access list of the broker lets each user write below the own name only, so that
`who` in the journal is true. Nothing sets a current. A command is refused when it is retained, comes after `not_after_s`, or when
the run is not in `if_state`; the same `id` twice is answered twice and done once. The answer goes to `reply_to`. It is the
only proof: a broker says nothing when a user may not send.
"""


def page(generated: str) -> str:
    """``docs/reference/mqtt.md``."""
    lines = ["# MQTT", "", generated, "", HEAD, *_tree(), *_verbs(), *(line for model in MODELS for line in _model(model)), *_tiles()]
    return "\n".join(lines).rstrip() + "\n"


def _tree() -> Iterator[str]:
    yield from ("## Topics", "", "| topic | payload | QoS | retained | |", "|---|---|---|---|---|")
    for one in TREE:
        payload = f"[{one.model}](#{one.model.lower()})" if one.model else {"text": "text"}.get(one.payload, "[bytes](#bytes)")
        yield f"| `{one.pattern}` | {payload} | {one.qos} | {'yes' if one.retained else ''} | {one.meaning} |"


def _verbs() -> Iterator[str]:
    yield from ("", "## Verbs", "", "| topic | `operando …` |", "|---|---|")
    yield from (f"| `cmd/<user>/{name}` | `{verb}` |" for name, verb in COMMAND_LEVELS.items())


def _model(model: type[BaseModel]) -> Iterator[str]:
    yield from ("", f"## {model.__name__}", "", inspect.cleandoc(model.__doc__ or ""), "", "| key | type | |", "|---|---|---|")
    made = schema(model)
    for name, field in made["properties"].items():
        kind = field.get("type", "any")
        always = "" if name in made.get("required", ()) or issubclass(model, Message) else "*optional* "
        yield f"| `{name}` | {kind} | {always}{field.get('description', '')} |"


def _tiles() -> Iterator[str]:
    yield from ("", "## Bytes", "", *(tiles.__doc__ or "").splitlines())


def written() -> dict[str, str]:
    """Every generated JSON file by its name in ``docs/reference/mqtt``."""
    return {name: json.dumps(one, indent=2, ensure_ascii=False) + "\n" for name, one in {**schemas(), "asyncapi.json": asyncapi()}.items()}
