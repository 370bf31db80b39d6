"""Everything public of a ``wire.py``, found by itself, with strategies for whatever it takes: for hypothesis, and for atheris in soak.

A new driver's ``wire.py`` is fuzzed by being there. What it needs is a folder ``tests/golden/<vendor>`` (or a line in ``SAMPLES``) with
what the instrument really says (text, JSON, or ``.hex``: lines of a name and bytes): noise alone seldom gets beyond a parser's first look.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from hypothesis import strategies as st

from drivers.errors import InstrumentError

REPOSITORY = Path(__file__).parents[2]
GOLDEN = REPOSITORY / "tests" / "golden"
OWN = (ValueError, InstrumentError)
"""What a ``wire.py`` may raise: a driver makes a refusal of either, and of nothing else."""
LONGEST_SAMPLE = 4000

SAMPLES: Mapping[str, tuple[str, ...]] = {
    "topspin": (
        '{"ev": "challenge", "agent": "tsbridge/1", "nonce": "00ff", "auth": "hmac-sha256"}',
        '{"id": 3, "ok": true, "r": {"state": "running", "key": "a00001-fast", "block": 0}}',
        '{"id": 4, "ok": false, "e": {"code": "busy", "text": "zg runs"}}',
        '{"ev": "started", "seq": 7, "key": "a00001-fast", "block": 0, "t_unix": 1700000000.5}',
        "C:/Bruker/TopSpin4.1/data/nmr/operando/12/pdata/1",
        "/opt/topspin/data/operando",
        "Nullübertragung",
    ),
    "atm": ("f100000000f120000000f50000", "f116640000r512p30", "v2.5t1.25", "p100m20", "r", "c", "iready", "eno answer"),
    "scpi": ("*IDN?", "+2.98150E+02", "298.15,K", "T=298.15 K", "OVER", "-999", "1e999"),
    "relay": ("A0 01 00 A1", "5b", "devantech", "lcus", "custom", "off", "on"),
}
"""Where no golden folder says it."""


@dataclass(frozen=True)
class Target:
    """Something public that takes what came in, or makes what goes out."""

    name: str
    call: Callable[..., Any]
    arguments: st.SearchStrategy[dict[str, Any]]

    def check(self, given: dict[str, Any]) -> None:
        """Raises whatever it may not raise."""
        try:
            found = self.call(**given)
            if inspect.isgenerator(found):
                list(found)
        except OWN:
            return


def wires() -> list[str]:
    """Vendors that have a ``wire.py``."""
    return sorted(path.parent.name for path in (REPOSITORY / "drivers").glob("*/wire.py"))


def samples(vendor: str) -> list[str]:
    """What it really says, and what is said to it: every text of its golden folder."""
    found = list(SAMPLES.get(vendor, ()))
    for path in sorted((GOLDEN / vendor).rglob("*")) if (GOLDEN / vendor).is_dir() else ():
        text = path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""
        if path.suffix == ".hex":
            found += [bytes.fromhex(line.partition(" ")[2]).decode("latin-1") for line in text.splitlines() if line[:1] not in {"", "#"}]
            continue
        found += list(_texts(json.loads(text))) if path.suffix == ".json" else text.splitlines()
    return sorted({text for text in found if text and len(text) <= LONGEST_SAMPLE})


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        yield from value.splitlines()
    elif isinstance(value, dict):
        yield from (text for each in value.values() for text in _texts(each))
    elif isinstance(value, list):
        yield from (text for each in value for text in _texts(each))


def names(vendor: str) -> list[str]:
    """Of all of a vendor, without a strategy for any: these are looked for by every worker of a suite."""
    module = _wire(vendor)
    of_classes = [f"{name}.{method}" for name, kind in _classes(module) for method, _ in _methods(kind)]
    return [name for name, _ in _functions(module)] + of_classes


@cache
def targets(vendor: str) -> dict[str, Target]:
    """All of a vendor, by name."""
    module, known = _wire(vendor), samples(vendor)
    found = [Target(name, call, _arguments(call, known)) for name, call in _functions(module)]
    for name, kind in _classes(module):
        for method, call in _methods(kind):
            made = st.tuples(_instance(kind, known), _arguments(call, known, skip=1))
            found.append(Target(f"{name}.{method}", _bound(method), made.map(lambda pair: {"this": pair[0], **pair[1]})))
    return {target.name: target for target in found}


def _wire(vendor: str) -> ModuleType:
    return importlib.import_module(f"drivers.{vendor}.wire")


def _bound(method: str) -> Callable[..., Any]:
    def call(this: Any, **given: Any) -> Any:
        found = getattr(this, method)
        return found(**given) if callable(found) else found

    return call


def _functions(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, call in vars(module).items():
        if inspect.isfunction(inspect.unwrap(call)) and call.__module__ == module.__name__ and not name.startswith("_"):
            yield name, call


def _classes(module: ModuleType) -> Iterator[tuple[str, type]]:
    for name, kind in vars(module).items():
        if inspect.isclass(kind) and kind.__module__ == module.__name__ and not name.startswith("_") and not issubclass(kind, Exception):
            yield name, kind


def _methods(kind: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Public methods and properties of its own."""
    for name, member in vars(kind).items():
        call = member.fget if isinstance(member, property) else member
        if not name.startswith("_") and inspect.isfunction(call):
            yield name, call


def _instance(kind: type, known: list[str]) -> st.SearchStrategy[Any]:
    return _arguments(kind, known).map(lambda given: _made(kind, given)).filter(lambda made: made is not None)


def _made(kind: type, given: dict[str, Any]) -> Any:
    try:
        return kind(**given)
    except OWN:
        return None


def _arguments(call: Any, known: list[str], skip: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    plain = inspect.isclass(call) and not dataclasses.is_dataclass(call) and not issubclass(call, tuple)
    hints = typing.get_type_hints(call.__init__ if plain else call)
    named = [one for one in list(inspect.signature(call).parameters.values())[skip:] if one.kind is not one.VAR_KEYWORD]
    wanted = {one.name: strategy(hints.get(one.name, Any), known) for one in named if one.kind is not one.VAR_POSITIONAL}
    return st.fixed_dictionaries(wanted)


def strategy(hint: Any, known: list[str]) -> st.SearchStrategy[Any]:
    """Values of a type; texts and bytes are mostly what is really said, spoilt."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if hint is str:
        return texts(known)
    if hint is bytes:
        spoilt = texts(known)
        plain = spoilt.map(lambda text: text.encode("latin-1", "replace"))
        return spoilt.map(lambda text: text.encode("utf-8", "surrogatepass")) | plain | st.binary(max_size=300)
    if hint is Any:
        return st.none() | st.booleans() | st.integers() | st.floats() | texts(known) | st.lists(st.integers(), max_size=3)
    if hint is int:
        return st.integers(-(1 << 70), 1 << 70) | st.integers(-2, 300)
    if origin in {set, frozenset}:
        return st.frozensets(st.integers(-2, 300) if inside == (int,) else strategy(inside[0], known), max_size=8)
    if origin is tuple and len(inside) == 2 and inside[1] is Ellipsis:
        return st.lists(strategy(inside[0], known), max_size=6).map(tuple)
    if origin is not None and issubclass(origin if isinstance(origin, type) else object, Mapping):
        keys = st.sampled_from(_WORDS) | strategy(inside[0], known)
        return st.dictionaries(keys, strategy(inside[1], known), max_size=5)
    return st.from_type(hint)


_WORDS = ("kind", "relay", "trip_by", "trip", "query", "tripped", "armed", "answer_bytes", "key", "block", "seq", "nonce", "auth")
SCRAPS = st.sampled_from(
    [
        "",
        ",",
        ";",
        ":",
        "=",
        '"',
        "'",
        "\\",
        "\n",
        "\r",
        "\0",
        " ",
        "-",
        "+",
        "{",
        "}",
        "[",
        "]",
        "<",
        ">",
        "&a;",
        "]]>",
        "\ud800",
        "\u0661",
    ]
)
NUMBERS = st.sampled_from(["-1", "0", "1e999", "1e308", "-1e308", "nan", "inf", "9" * 40, "9" * 5000, "0x10", "1_0", "9.91E37", "null"])


@st.composite
def texts(draw: st.DrawFn, known: list[str]) -> str:
    """What is really said with scraps in it; or noise; or very much of the same, which a careless pattern takes for ever to refuse."""
    which = draw(st.integers(0, 9))
    if which == 0 or not known:
        return draw(st.text(max_size=80))
    if which == 1:
        return draw(st.sampled_from(known))
    if which <= 4:
        head = draw(st.sampled_from(known))[: draw(st.integers(0, 12))]
        same = draw(st.sampled_from(["a", " ", "1", "a/", "["]) | st.sampled_from(head or "a"))
        return head + same * draw(st.sampled_from([40, 3000])) + draw(st.sampled_from(["!", "\0", ""]))
    text = draw(st.sampled_from(known))
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 12))
        text = text[:at] + draw(SCRAPS | NUMBERS | st.text(max_size=4) | st.just(text[at : at + length] * 2)) + text[at + length :]
    return text
