"""Bruker's parameter files (``acqu``, ``acqus``, ``proc``, ``procs``) as text. Pure.

One parameter a line, ``##$NAME= value``; strings in ``<>`` (they may run over lines), arrays as ``(0..63)`` and their values
on lines that break at column 72, numbers with up to 15 digits, yes and no bare. Keys stand in the order of their bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

WIDTH = 72
_ENTRY = re.compile(r"^##(\$?)([^=\n]*)=(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
_COUNTED = re.compile(r"\(0\.\.(\d+)\)\s*(.*)", re.DOTALL)
_REMARK = re.compile(r"^\$\$.*\n?", re.MULTILINE)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class Word(str):
    """A value that stands bare though it is no number: yes, no."""

    __slots__ = ()


Scalar = int | float | str
Value = Scalar | list[Scalar]


@dataclass(slots=True)
class ParameterFile:
    """Values by name; ``remarks``: the ``$$`` lines after the head (who, when, which file, which process)."""

    title: str
    owner: str
    values: dict[str, Value] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    changes: int = 1
    """The modification sequence number."""

    def text(self) -> str:
        """The file."""
        head = [
            f"##TITLE= {self.title}",
            "##JCAMPDX= 5.0",
            "##DATATYPE= Parameter Values",
            f"##NPOINTS= {self.changes}\t$$ modification sequence number",
            "##ORIGIN= Bruker BioSpin GmbH",
            f"##OWNER= {self.owner}",
            *(f"$$ {remark}" for remark in self.remarks),
        ]
        body = [f"##${name}= {shown(self.values[name])}" for name in sorted(self.values)]
        return "\n".join([*head, *body, "##END=", ""])


def shown(value: Value) -> str:
    """A value as it stands in a file."""
    if isinstance(value, list):
        return _array(tuple(_scalar(item) for item in value))
    return _scalar(value)


@lru_cache(maxsize=512)
def _array(words: tuple[str, ...]) -> str:
    return f"(0..{len(words) - 1})\n" + "\n".join(_wrapped(words))


def _scalar(value: Scalar) -> str:
    if isinstance(value, Word):
        return str(value)
    if isinstance(value, str):
        return f"<{value}>"
    return number(value)


def number(value: float) -> str:
    """A number with up to 15 digits, without a needless point."""
    return str(value) if isinstance(value, int) else f"{value:.15g}"


def _wrapped(words: tuple[str, ...]) -> list[str]:
    """Words in lines: a new one begins where the next word would begin in column ``WIDTH``."""
    lines: list[str] = []
    for word in words:
        if not lines or len(lines[-1]) + 1 >= WIDTH:
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return lines


def parse(text: str) -> ParameterFile:
    """A parameter file; raises ValueError when it is none."""
    found = _parsed(text)
    values = {name: list(value) if isinstance(value, list) else value for name, value in found.values.items()}
    return ParameterFile(found.title, found.owner, values, found.remarks, found.changes)


@lru_cache(maxsize=32)
def _parsed(text: str) -> ParameterFile:
    head: dict[str, str] = {}
    found: dict[str, Value] = {}
    for private, name, raw in _ENTRY.findall(text.replace("\r\n", "\n")):
        value = raw.strip("\n ")
        if private:
            found[name] = _read(value)
        else:
            head[name] = value
    if "TITLE" not in head or "END" not in head:
        raise ValueError("no parameter file: TITLE or END is missing")
    remarks = tuple(line[2:].strip() for line in re.findall(r"^\$\$.*$", text.partition("##$")[0], re.MULTILINE))
    owner = _REMARK.sub("", head.get("OWNER", "") + "\n").strip()
    return ParameterFile(head["TITLE"], owner, found, remarks, int(head.get("NPOINTS", "1").split("\t")[0].split()[0]))


def _read(text: str) -> Value:
    if counted := _COUNTED.fullmatch(text):
        words = re.findall(r"<[^>]*>|[^\s<>]+", counted.group(2))
        return [read_scalar(word) for word in words]
    return read_scalar(text)


@lru_cache(maxsize=4096)
def read_scalar(text: str) -> Scalar:
    """A string in ``<>``, a number, or a bare word."""
    if text.startswith("<") and text.endswith(">"):
        return text[1:-1]
    if not _NUMBER.fullmatch(text):
        return Word(text)
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)


def scalars(values: Mapping[str, Value]) -> dict[str, Scalar]:
    """Those that are no arrays."""
    return {name: value for name, value in values.items() if not isinstance(value, list)}
