"""A rig file: YAML → Rig."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import time
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from orchestrator.config.checked import checked
from orchestrator.config.diagnostics import Problems, suggestion
from orchestrator.config.tree import Node, parse_tree
from orchestrator.config.written_rig import WrittenRig
from orchestrator.model.broker import complaint
from orchestrator.model.rig import Rig

EMULATOR = "emulator:"
"""An address that starts so names an emulator to be started."""


def rig_of(root: Node, problems: Problems) -> Rig | None:
    """The rig; None and problems where it is wrong."""
    written = checked(root, WrittenRig, problems)
    if written is None:
        return None
    _check_stations(root, problems)
    _check_templates(root, problems)
    _check_by_hand(root, problems)
    _check_notify(root, problems)
    _check_broker(root.given("broker"), problems)
    _check_zone(root.given("zone"), problems)
    check_file(root.given("twin"), "twin", problems)
    return Rig.model_validate(written.model_dump() | {"source": root.source.text, "file": root.source.file})


def _check_stations(root: Node, problems: Problems) -> None:
    instruments = root.value["instruments"].keys
    for station in root.value["stations"].value.values():
        named = [station.given(role) for role in ("potentiostat", "console", "tuner")]
        named += station.value["sensors"].rows() if station.given("sensors") else []
        for node in named:
            name = node.text.partition(":")[0] if node and node.value is not None else ""
            if node and name and name not in instruments:
                problems.add(node.where(), f"no instrument is named `{name}`", suggestion(name, instruments))


def _check_templates(root: Node, problems: Problems) -> None:
    templates = root.given("templates")
    for name, template in templates.items() if templates else ():
        if not (template.given("dataset") or template.given("series") or _of_a_protocol(template)):
            hint = "dataset: PATH clones a data set of the console; series: NAME says which kind of acquisition it is; both may stand"
            problems.add(template.where(), f"template `{name}` needs a dataset or a series", hint)


def _check_by_hand(root: Node, problems: Problems) -> None:
    by_hand, templates = root.given("by_hand"), root.given("templates")
    known = dict(templates.items()) if templates else {}
    for _, template in by_hand.items() if by_hand else ():
        if template.text not in known:
            problems.add(template.where(), f"no template is named `{template.text}`", suggestion(template.text, known))


def _of_a_protocol(template: Node) -> bool:
    """A console with protocols of its own needs no data set: it is told which one, or how long to listen."""
    parameters = template.given("parameters")
    return parameters is not None and parameters.is_table and bool({"protocol", "acquisition_time_s"} & set(parameters.keys))


def _check_notify(root: Node, problems: Problems) -> None:
    notify = root.given("notify")
    for way in notify.rows() if notify else []:
        if sum(bool(way.given(name)) for name in ("run", "desktop", "url")) != 1:
            problems.add(way.where(), "say how to tell: one of run, desktop and url", "run: [PROGRAM, ARGUMENT]")
        if (summary := way.given("summary")) is not None and not _is_hour(summary.text):
            problems.add(summary.where(), f"`{summary.text}` is not a time of day", 'summary: "07:00"')


def _is_hour(text: str) -> bool:
    try:
        time.fromisoformat(text)
    except ValueError:
        return False
    return True


def _check_broker(node: Node | None, problems: Problems) -> None:
    if node is None or node.value is None:
        return
    url = node.given("url") if node.is_table else node
    if url is not None and (wrong := complaint(url.text)) is not None:
        problems.add(url.where(), "this broker cannot be", wrong)
    for name in ("password_file", "ca") if node.is_table else ():
        check_file(node.given(name), name, problems)


def _check_zone(node: Node | None, problems: Problems) -> None:
    if node is None or node.text == "UTC" or not (zones := available_timezones()):
        return
    try:
        ZoneInfo(node.text)
    except (ValueError, KeyError, OSError):
        problems.add(node.where(), f"`{node.text}` is not a time zone", suggestion(node.text, zones) or "write Europe/London")


def check_drivers(rig: Rig, station: str, known: Mapping[str, Collection[str]]) -> None:
    """What a station's instruments need must be installed. Raises ConfigError.

    ``known``: ``potentiostats``, ``consoles``, ``tuners``, ``sensors``, ``fences`` and ``emulators`` → the names that are registered.
    """
    problems = Problems()
    root = parse_tree(rig.file, rig.source, problems)
    assert root is not None
    setup = rig.stations[station]
    named = [("potentiostat", setup.potentiostat), ("console", setup.console), *(("sensor", sensor) for sensor in setup.sensors)]
    named += [("tuner", setup.tuner)] if setup.tuner is not None else []
    for role, called in named:
        _check_driver(role, root.value["instruments"].value[called.partition(":")[0]], known, problems)
    if rig.fence is not None:
        _check_driver("fence", root.value["fence"], known, problems)
    problems.raise_if_any()


def _check_driver(role: str, instrument: Node, known: Mapping[str, Collection[str]], problems: Problems) -> None:
    driver, address = instrument.value["driver"], instrument.value["address"]
    if driver.text not in known[f"{role}s"]:
        problems.add(driver.where(), f"no {role} driver is called `{driver.text}`", _one_of(driver.text, known[f"{role}s"]))
    emulator = address.text.removeprefix(EMULATOR)
    if emulator != address.text and emulator not in known["emulators"]:
        problems.add(address.where(), f"no emulator is called `{emulator}`", _one_of(emulator, known["emulators"]))


def refuse_fence(rig: Rig, why: str) -> None:
    """The rig's fence is one that nobody could work. Raises ConfigError."""
    problems = Problems()
    root = parse_tree(rig.file, rig.source, problems)
    assert root is not None
    problems.add(root.value["fence"].where(), why, "look at its options: docs/explanation/safety.md")
    problems.raise_if_any()


def _one_of(name: str, known: Collection[str]) -> str:
    return suggestion(name, known) or f"there are: {', '.join(known)}"


def check_file(node: Node | None, what: str, problems: Problems) -> None:
    """A file named relative to the file it is named in must exist."""
    if node is None or node.value is None:
        return
    path = Path(node.source.file).parent / node.text
    if not path.is_file():
        own = Path(node.source.file).name
        beside = [other.name for other in path.parent.glob("*.yaml") if other.name != own] if path.parent.is_dir() else []
        problems.add(node.where(), f"no such {what} file", suggestion(path.name, beside) or f"looked for {path.as_posix()}")
