"""``operando init rig``: a rig by questions. Every answer is an option too, and what is an option is not asked."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli import exits
from orchestrator.cli.init_questions import ADDRESSES, OPTIONS

if TYPE_CHECKING:
    from orchestrator.config.newrig import NewInstrument, NewRig

NUCLEI = ("7Li", "6Li", "23Na", "1H", "19F", "31P", "11B", "27Al", "13C")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
RANGE = re.compile(r"\s*([-+]?[\d.]+)\s*\.\.\s*([-+]?[\d.]+)\s*V?\s*")
PLAIN = re.compile(r"[\[{'\"].*|[A-Za-z0-9/._-]+")


@dataclass(frozen=True, slots=True)
class Given:
    """What the options of the command say; None or empty: asked for."""

    name: str | None
    zone: str | None
    potentiostat: tuple[str | None, str | None, str | None, tuple[str, ...]]
    channel: str | None
    console: tuple[str | None, str | None, str | None, tuple[str, ...]]
    nuclei: tuple[str, ...]
    voltage: str | None
    current_mA: float | None
    broker: str | None


Ask = Callable[[str, str, str | None], str]
"""The option's name, the question, and the answer of who only presses Enter → the answer."""


def init_rig_command(given: Given, folder: Path, *, take_defaults: bool, as_json: bool) -> int:
    """Write ``rigs/NAME.yaml``, ``experiments/first-NAME.yaml`` and the schemas into the folder. Never overwrites."""
    from orchestrator.config.newrig import experiment_text, rig_text

    ask = _asker(take_defaults=take_defaults or not sys.stdin.isatty(), silently=as_json)
    name = _name(given.name or ask("NAME", "name of the rig", "my-lab"), folder)
    rig = _answers(given, name, ask)
    files = {folder / "rigs" / f"{name}.yaml": rig_text(rig), folder / "experiments" / f"first-{name}.yaml": experiment_text(rig)}
    _refuse_impossible(folder / "rigs" / f"{name}.yaml", rig_text(replace(rig, broker={})))
    secrets = _broker_files(rig, folder, as_json=as_json)
    _write(files, folder)
    if as_json:
        print(json.dumps({"rig": str(folder / "rigs" / f"{name}.yaml"), "files": [str(path) for path in files], "secrets": secrets}))
    else:
        _tell(*files, simulated=rig.potentiostat.simulated and rig.console.simulated)
    return exits.COMPLETE


def _answers(given: Given, name: str, ask: Ask) -> NewRig:
    from orchestrator.cli.paths import configs
    from orchestrator.config.newrig import NewRig

    potentiostat = _instrument("potentiostat", given.potentiostat, ask)
    many = potentiostat.driver in {"biologic", "neware"} and not potentiostat.simulated
    channel = given.channel if given.channel is not None else ask("--channel", "channel of it", None) if many else ""
    console = _instrument("console", given.console, ask)
    nuclei = given.nuclei or tuple(re.split(r"[,\s]+", ask("--nucleus", "nuclei", "7Li").strip()))
    twin = configs() / "twins" / "C1.yaml" if potentiostat.simulated or console.simulated else None
    return NewRig(
        name,
        _zone(given.zone or ask("--zone", "time zone", _zone_here())),
        potentiostat,
        channel,
        console,
        _nuclei(nuclei),
        _range(given.voltage or ask("--voltage", "a cell stays within, in V", "-0.5..4.5")),
        _positive(given.current_mA or ask("--current-mA", "at most, in mA", "1")),
        _broker(given.broker if given.broker is not None else ask("--broker", "MQTT broker (mqtts://HOST; - for none)", "-"), name),
        "" if twin is None else str(twin.resolve()),
    )


def _instrument(kind: str, given: tuple[str | None, str | None, str | None, tuple[str, ...]], ask: Ask) -> NewInstrument:
    from drivers import registry
    from orchestrator.config.newrig import NewInstrument

    driver, address, identity, pairs = given
    known = registry.names(f"{kind}s")
    driver = _one_of(driver or ask(f"--{kind}", f"{kind}: {', '.join(known)}", "sim"), known, f"--{kind}")
    what, default = ADDRESSES.get(driver, ("address", ""))
    found = list(_found(driver)) if address is None and sys.stdin.isatty() else []
    if found:
        print(*(f"  found: {one}" for one in found), sep="\n", file=sys.stderr)
    fallback = found[0] if found else default or None
    address = address or (default if driver == "sim" else ask(f"--{kind}-address", f"its address: {what}", fallback))
    options = dict(_pair(text) for text in pairs)
    bare = NewInstrument(driver, address)
    for option, question in () if bare.simulated else OPTIONS.get(driver, ()):
        if option not in options:
            options[option] = ask(f"--{kind}-option {option}=…", f"{option}: {question}", "-" if "- for" in question else None)
    if identity is None:
        identity = "" if bare.simulated else ask(f"--{kind}-identity", "its serial number, or what it calls itself (- for any)", "-")
    kept = {key: _plain(value) for key, value in options.items() if value not in {"-", ""}}
    return NewInstrument(driver, address, "" if identity == "-" else identity, kept)


def _found(driver: str) -> Iterator[str]:
    """Addresses on this computer at which such an instrument might be."""
    if driver == "methodscript":
        from orchestrator.doctor.computer import serial_ports

        yield from (name for name, _, _ in serial_ports())
    if driver == "keithley":
        import pyvisa

        try:
            yield from (name for name in pyvisa.ResourceManager("@py").list_resources() if not name.startswith("ASRL"))
        except (pyvisa.Error, OSError, ValueError):
            return


# ------------------------------------------------------------------------------------------------------------- questions


def _asker(*, take_defaults: bool, silently: bool) -> Ask:
    """Asks a person; without one takes the usual answer, and refuses where there is none."""
    from orchestrator.rig.gather import CannotRun

    def ask(option: str, question: str, default: str | None) -> str:
        if take_defaults:
            if default is None:
                raise CannotRun(f"nobody is here to be asked for the {question}: give {option}. Nothing was written")
            return default
        import typer

        return str(typer.prompt(question, default=default, err=silently))

    return ask


def _refuse(text: str) -> Exception:
    from orchestrator.rig.gather import CannotRun

    return CannotRun(f"{text}. Nothing was written")


def _name(name: str, folder: Path) -> str:
    if not NAME.fullmatch(name):
        raise _refuse(f"`{name}` is no name for a rig: letters, digits, dot, minus and underscore")
    for path in (folder / "rigs" / f"{name}.yaml", folder / "experiments" / f"first-{name}.yaml"):
        if path.exists():
            raise _refuse(f"{path} is there already: take another name, or edit it")
    return name


def _zone(name: str) -> str:
    import zoneinfo

    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise _refuse(f"`{name}` is no time zone; write Europe/Berlin") from None
    return name


def _zone_here() -> str:
    """This computer's zone by its name, where the system tells it."""
    place = Path("/etc/localtime").resolve()
    return "/".join(place.parts[place.parts.index("zoneinfo") + 1 :]) if "zoneinfo" in place.parts else "UTC"


def _one_of(name: str, known: Sequence[str], option: str) -> str:
    if name not in known:
        raise _refuse(f"{option} {name}: there is {', '.join(known)}")
    return name


def _nuclei(names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if not re.fullmatch(r"\d{1,3}[A-Z][a-z]?", name):
            raise _refuse(f"`{name}` is no nucleus; write {NUCLEI[0]} or {NUCLEI[2]}")
    return tuple(dict.fromkeys(names))


def _range(text: str) -> tuple[float, float]:
    match = RANGE.fullmatch(text)
    low, high = (float(match[1]), float(match[2])) if match else (0.0, 0.0)
    if low >= high:
        raise _refuse(f"--voltage {text}: write -0.5..4.5")
    return low, high


def _positive(value: float | str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if number <= 0:
        raise _refuse(f"--current-mA {value}: write a number above 0")
    return number


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise _refuse(f"`{text}`: an option is KEY=VALUE")
    return name, value


def _plain(value: str) -> str:
    """As it stands in the file: lists, mappings and plain words as they are, anything else in quotes."""
    return value if PLAIN.fullmatch(value) and value not in {".", ","} else json.dumps(value, ensure_ascii=False)


# --------------------------------------------------------------------------------------------------------------- broker


def _broker(url: str, name: str) -> dict[str, str]:
    from orchestrator.monitor.access import rig_user

    if url in {"-", ""}:
        return {}
    if not url.startswith(("mqtt://", "mqtts://")):
        raise _refuse(f"--broker {url}: write mqtts://HOST or mqtt://HOST")
    if url.startswith("mqtt://"):
        return {"url": url}
    user = rig_user(name)
    return {"url": url, "user": user, "password_file": f"../secrets/{user}.password", "ca": "../secrets/ca.crt"}


def _broker_files(rig: NewRig, folder: Path, *, as_json: bool) -> str:
    """Password, certificate and access list for this rig, beside those that are there; where they are."""
    from orchestrator.cli.init import init_command
    from orchestrator.model.broker import Broker

    if "user" not in rig.broker:
        return ""
    host = Broker(url=rig.broker["url"]).host
    code = init_command(folder / "secrets", (rig.name,), (), (), (host,), as_json=False, silently=as_json)
    return str(folder / "secrets") if code == exits.COMPLETE else ""


def _refuse_impossible(rig: Path, text: str) -> None:
    """Before anything is written: is it what the program itself would take, and the drivers?"""
    from drivers.errors import InstrumentError
    from orchestrator.config import parse_rig
    from orchestrator.rig.planned import capabilities

    try:
        capabilities(parse_rig(text, file=str(rig)))
    except InstrumentError as error:
        raise _refuse(f"{error.instrument}: {error.message}. {error.advice}") from error


def _write(files: Mapping[Path, str], folder: Path) -> None:
    from orchestrator.cli.paths import configs

    schema = folder / "schema"
    schema.mkdir(parents=True, exist_ok=True)
    for source in sorted((configs() / "schema").glob("*.json")):
        if not (schema / source.name).exists():
            (schema / source.name).write_text(source.read_text("utf-8"), "utf-8")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)


def _tell(rig: Path, experiment: Path, *, simulated: bool) -> None:
    from orchestrator.cli.paths import typed

    operando = typed("operando")
    print(f"{rig} and {experiment} are written. Look through both: pulse and power are your site's own.")
    if not simulated:
        print(f"  {operando} doctor --rig {rig}        does each instrument answer, and is it the one meant?")
    print(f"  {operando} check {experiment}        the whole plan; touches no instrument")
    print(f"  {operando} run {experiment}          a rest with one spectrum; with a resistor in place of the cell")
