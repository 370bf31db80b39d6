"""From the plain mapping of a ``configs/twins/*.yaml`` to dataclasses; unknown keys and wrong kinds are refused, all at once."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class DescriptionError(ValueError):
    """A twin's description is wrong; the message names every key at fault."""


def read(path: Path) -> dict[str, Any]:
    """The mapping in a YAML 1.2 file."""
    from ruamel.yaml import YAML

    loaded = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    if not isinstance(loaded, dict):
        raise DescriptionError(f"{path.name}: a mapping is expected at the top")
    return loaded


def build(kind: type[T], mapping: Mapping[str, Any]) -> T:
    """A dataclass from a mapping; keys left out keep their defaults. Raises DescriptionError."""
    faults: list[str] = []
    made = _value(kind, mapping, "", faults)
    if faults:
        raise DescriptionError("twin description: " + "; ".join(faults))
    return typing.cast("T", made)


def _value(kind: Any, value: Any, where: str, faults: list[str]) -> Any:
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, value, where, faults)
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _value(typing.get_args(kind)[0], value, where, faults)
    if origin is tuple:
        return tuple(_value(typing.get_args(kind)[0], item, f"{where}[{n}]", faults) for n, item in enumerate(_list(value, where, faults)))
    if origin is not None and issubclass(origin, Mapping):
        item_kind = typing.get_args(kind)[1]
        return {name: _value(item_kind, item, f"{where}.{name}", faults) for name, item in _mapping(value, where, faults).items()}
    return _plain(kind, value, where, faults)


def _plain(kind: type, value: Any, where: str, faults: list[str]) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        faults.append(f"`{where}` must be {kind.__name__}, not {value!r}")
    return value


def _list(value: Any, where: str, faults: list[str]) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    faults.append(f"`{where}` must be a list, not {value!r}")
    return []


def _mapping(value: Any, where: str, faults: list[str]) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    faults.append(f"`{where or 'the description'}` must be a mapping, not {value!r}")
    return {}


def _dataclass(kind: Any, value: Any, where: str, faults: list[str]) -> Any:
    hints = typing.get_type_hints(kind)
    known = {field.name for field in dataclasses.fields(kind)}
    given: dict[str, Any] = {}
    for name, item in _mapping(value, where, faults).items():
        path = f"{where}.{name}" if where else str(name)
        if name in known:
            given[name] = _value(hints[name], item, path, faults)
        else:
            near = difflib.get_close_matches(str(name), known, n=1)
            faults.append(f"unknown key `{path}`" + (f" (did you mean `{near[0]}`?)" if near else ""))
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        faults.append(f"`{where or 'the description'}`: {error}")
        return None
