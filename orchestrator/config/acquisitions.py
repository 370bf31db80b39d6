"""``acquisitions`` and every ``nmr:`` block: YAML → Acquisition, NmrTrigger, MissedPolicy."""

from __future__ import annotations

import re
from typing import Any

from orchestrator.config.checked import checked, sentence
from orchestrator.config.diagnostics import Problems
from orchestrator.config.shapes import AT_EDGE, UNTIL_KNOWN
from orchestrator.config.tree import Node
from orchestrator.config.written import WrittenAcquisition, WrittenInterleave, WrittenManual
from orchestrator.model.acquisition import Acquisition, MissedPolicy, NmrTrigger
from orchestrator.model.kinds import AXES

ACQUISITION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
ARRAYS = tuple(AXES)
TAKEN = frozenset(
    [
        "blank",
        "noise",
        "tune",
        "gain",
        "pulse",
        "reference",
        "ocv",
        "polarity",
        "eis",
        "record",
        "mark",
        "tag",
        "flag",
        "info",
        "warn",
        "alarm",
        "critical",
        "acquire",
        "retune",
        "change",
        "pause",
        "end",
        "skip",
        "open",
        "hold",
        "stop",
        "abort",
    ]
)
UNTIL_HINT = "write: until: area of moss is known to 2 %, at most 1024 scans or 0.2 % of capacity (in quotes inside braces)"
EDGE_HINT = "write: start: at trigger edge within 2 hours"
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
NAME_HINT = "a letter, then letters, digits, `_` or `-`: it names data sets and files"
COMMA_HINT = "commas separate in YAML: put the sentence in quotes, or write it on a line of its own"


def acquisitions_of(node: Node, problems: Problems) -> dict[str, Acquisition | None]:
    """Every acquisition by name; None where one is wrong, so that its name is known all the same."""
    if not node.is_table:
        problems.add(node.where(), "expected a table: {name: {template: …}}")
    return {name: _named(name, node.keys[name], child, problems) for name, child in node.items()}


def _named(name: str, key: Node, node: Node, problems: Problems) -> Acquisition | None:
    if not ACQUISITION_NAME.fullmatch(name):
        problems.add(key.where(), f"`{name}` cannot name an acquisition", NAME_HINT)
    elif name.lower() in TAKEN:
        problems.add(key.where(), f"`{name}` is a word of the language", "choose another name for this acquisition")
    fields = _fields(node, problems)
    return None if fields is None else Acquisition(name=name, where=key.where(), **fields)


def _fields(node: Node, problems: Problems) -> dict[str, Any] | None:
    if node.given("manual"):
        manual = checked(node, WrittenManual, problems)
        return _with_arrays(manual.model_dump(exclude_none=True)) if manual else None
    if node.given("of"):
        return _interleave(node, problems)
    written = checked(node, WrittenAcquisition, problems)
    if written is None:
        return None
    fields = written.model_dump(exclude_none=True)
    if "until" in fields:
        fields["until"] = _until(fields["until"], node.value["until"], problems)
    if "start" in fields:
        fields["edge_within_s"] = _edge_within_s(fields.pop("start"), node.value["start"], problems)
    places = {name: node.value[name].where() for name in ("scans", "until") if node.given(name)}
    return _with_arrays(fields) | {"places": places}


def _edge_within_s(given: str, node: Node, problems: Problems) -> float:
    found = re.match(AT_EDGE, given)
    if found is None:
        problems.add(node.where(), f"`{given}` does not say when it begins", EDGE_HINT)
        return 0.0
    return float(found["time"]) * SECONDS[found["unit"][0]]


def _until(given: str | dict[str, Any], node: Node, problems: Problems) -> dict[str, Any] | None:
    """``area of moss is known to 2 %, at most 1024 scans or 0.2 % of capacity``, or the same as a table."""
    if not isinstance(given, str):
        if not given["observable"].startswith("area("):
            problems.add(node.where(), f"`{given['observable']}` is no area", "averaging goes on until an area is known: area(moss)")
        return given
    found = re.match(UNTIL_KNOWN, given)
    if found is None:
        problems.add(node.where(), f"`{given}` does not say when enough is known", UNTIL_HINT)
        return None
    said = found.groupdict()
    charge = {} if said["charge"] is None else {"charge_percent": float(said["charge"])}
    return {"observable": f"area({said['line']})", "error_percent": float(said["error"]), "scans_max": int(said["scans"]), **charge}


def _with_arrays(fields: dict[str, Any]) -> dict[str, Any]:
    arrays = {name: tuple(fields.pop(name)) for name in ARRAYS if name in fields}
    return fields | {"arrays": arrays}


def _interleave(node: Node, problems: Problems) -> dict[str, Any] | None:
    written = checked(node, WrittenInterleave, problems)
    members = _members(node.value["of"], problems)
    every = sentence(node.value["retune"], "retune", problems) if node.given("retune") else None
    if written is None or members is None:
        return None
    return {"members": members, "retune_between": written.retune_between, "retune_every": every}


def _members(node: Node, problems: Problems) -> dict[str, int] | None:
    """``[a, b]`` or ``{a: 3, b: 1}``; a name written twice weighs twice."""
    if node.is_table:
        members = {name: child.value for name, child in node.items()}
        wrong = next((child for child in node.value.values() if type(child.value) is not int or child.value < 1), None)
    else:
        names = [child.text for child in node.rows()]
        members = {name: names.count(name) for name in names}
        wrong = next((child for child in node.rows() if not isinstance(child.value, str)), None)
    if wrong is not None:
        problems.add(wrong.where(), "expected a whole number as weight" if node.is_table else "expected the name of an acquisition")
        return None
    if len(members) < 2:
        problems.add(node.where(), "an interleave needs at least two acquisitions", "write of: [a, b] or of: {a: 3, b: 1}")
        return None
    return members


def triggers_of(node: Node | None, problems: Problems) -> tuple[NmrTrigger, ...]:
    """``{quant: at start, watch: [every 2 %, at end]}``."""
    if node is None or node.value is None:
        return ()
    if not node.is_table:
        problems.add(node.where(), "expected which acquisition and when", f"write {{{node.text or 'NAME'}: at start}}")
        return ()
    found = (_trigger(name, row, problems) for name, child in node.items() for row in _sentences(node, name, child, problems))
    return tuple(trigger for trigger in found if trigger is not None)


def _sentences(table: Node, name: str, child: Node, problems: Problems) -> list[Node]:
    """The sentences of one acquisition; a sentence that YAML cut at its commas is one problem, not several."""
    if child.value is None:
        problems.add(table.keys[name].where(), f"`{name}`: when?", COMMA_HINT)
        return []
    return child.rows()


def _trigger(name: str, node: Node, problems: Problems) -> NmrTrigger | None:
    fields = sentence(node, "trigger", problems)
    return None if fields is None else NmrTrigger(acquisition=name, text=node.text, where=node.where(), **fields)


def missed_of(node: Node, problems: Problems) -> tuple[MissedPolicy | None, dict[str, MissedPolicy]]:
    """What happens when acquisitions are missed: for all, or by acquisition."""
    if not node.is_table:
        return sentence(node, "missed", problems), {}
    policies = {name: sentence(child, "missed", problems) for name, child in node.items()}
    return None, {name: policy for name, policy in policies.items() if policy is not None}
