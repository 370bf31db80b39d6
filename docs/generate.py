"""Writes the generated pages of docs/reference: python docs/generate.py.

run-h5.md and NXoperando_nmr.nxdl.xml from the layout table, commands.md from the commands, interlocks.md from the table of
interlocks, mqtt.md and mqtt/ from the models of what is sent.
"""  # noqa: INP001

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from orchestrator.cli.app import app
from orchestrator.export import nxdl
from orchestrator.model.interlocks import TABLE, Interlock, said
from orchestrator.monitor import described
from orchestrator.recorder import layout
from orchestrator.recorder.datasets import Dataset, Group, numpy_dtype, text_size

REFERENCE = Path(__file__).parent / "reference"
GENERATED = "<!-- Written by `python docs/generate.py`. Do not edit by hand. -->"

EXIT_CODES = """\
| code | meaning |
|---|---|
| 0 | complete, as planned. A step ended by its `stop_when` or by a rule's `end step` is as planned |
| 1 | a fault of this program; for `verify`: something does not hold |
| 2 | configuration: a file is wrong, a name is not known, no run is going on |
| 3 | an instrument |
| 4 | safety: a limit, or the state of the cell is not known |
| 5 | ended early: by a person, a booking or a rule's `stop` |
| 130 | interrupted with Ctrl-C |
"""


# ------------------------------------------------------------------------------------------------------------- run.h5


def run_h5() -> str:
    """The reference of the file."""
    return "\n".join([*_head_of_file(), *(line for group in layout.GROUPS for line in _group(group))]).rstrip() + "\n"


def _head_of_file() -> Iterator[str]:
    yield from (
        "# run.h5",
        "",
        GENERATED,
        "",
        f"Format `{layout.FORMAT}`, version {layout.FORMAT_VERSION}. Every HDF5 library since 1.10 reads it; no compression filter until",
        "`operando pack` (gzip, shuffle).",
        "",
        "The file follows NeXus: `NXroot`, `NXentry`, `NXdata` with `@signal` and `@axes`. The axes are HDF5 dimension scales as well.",
        "`*` in a path stands for the name of a sensor, acquisition, observable or instrument. `n` is the number of rows; the first axis",
        "of a dataset grows. A dataset marked *optional* is made when its first value is known. A dataset marked *derived* is left out of",
        "the digest: floating-point transforms may differ in the last bit between processors.",
        "",
        "Attributes of the file:",
        "",
        "| where | attribute | value |",
        "|---|---|---|",
    )
    yield from (f"| `/` | `{name}` | {value} |" for name, value in layout.ROOT_ATTRIBUTES.items())
    yield from (f"| `/entry` | `{name}` | {value} |" for name, value in layout.ENTRY_ATTRIBUTES.items())
    yield "| `/entry` | `published_utc` | when this file was published |"
    yield "| `/entry` | `journal_seq` | up to which record of the journal it reaches |"
    yield "| `/entry` | `chapters` | only while a long run goes on: the files beside it that hold its older rows, oldest first |"
    yield "| `/entry` | `packed` | only after `operando pack`: by which filter |"
    yield ""
    yield "While a long run goes on, the datasets that grow are virtual: they show the rows of all chapters and, last, those of"
    yield "`/tail`, the open chapter within this very file. `/late` holds rows of closed chapters that changed since. Neither is"
    yield "there when the run has ended."
    yield ""
    yield f"Left out of the digest: {', '.join(f'`@{name}`' for name in sorted(layout.VOLATILE))}, {_code(sorted(layout.VOLATILE_PATHS))}."


def _group(group: Group) -> Iterator[str]:
    yield from ("", f"## /entry/{group.path}", "", f"`{group.NX_class}`{_plotted(group)}")
    yield from (f"  \n`@{name}`: {value}" for name, value in group.attributes.items())
    if group.datasets:
        yield from ("", "| dataset | type | shape | unit | meaning |", "|---|---|---|---|---|")
        yield from map(_dataset, group.datasets)


def _plotted(group: Group) -> str:
    return f", plots `{group.signal}` against {_code(group.axes)}" if group.signal else ""


def _dataset(dataset: Dataset) -> str:
    if dataset.link:
        return f"| `{dataset.name}` | {_dtype(dataset.dtype)} | as linked | | the same dataset as `/entry/{dataset.link}` |"
    meaning = [_said(dataset.long_name), *dataset.attributes.values()] if "legend" in dataset.attributes else [_said(dataset.long_name)]
    marks = [mark for mark, on in (("optional", dataset.optional), ("derived", dataset.derived)) if on]
    text = "; ".join(part for part in (*meaning, *(f"*{mark}*" for mark in marks)) if part)
    unit = dataset.attributes.get("units", dataset.units)
    return f"| `{dataset.name}` | {_dtype(dataset.dtype)} | ({', '.join(_sizes(dataset))}) | {_said(unit)} | {text} |"


def _sizes(dataset: Dataset) -> Iterator[str]:
    return ("n" if name == "time" else name for name in dataset.dims)


def _dtype(dtype: str) -> str:
    size = text_size(dtype)
    return f"text, {size} bytes" if size else "as stored" if dtype == "*" else str(numpy_dtype(dtype).name)


def _said(text: str) -> str:
    return "as given" if text == "*" else text


def _code(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


# ----------------------------------------------------------------------------------------------------------- commands


def commands() -> str:
    """The reference of the commands."""
    group: Any = typer.main.get_command(app)
    shown = list(_shown(group))
    head = ["# Commands", "", GENERATED, "", "`operando COMMAND --help` says the same.", "", "Exit codes:", "", EXIT_CODES]
    return "\n".join([*head, *(line for name, command in shown for line in _command(name, command))]).rstrip() + "\n"


def _shown(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command that is not hidden, those of a group under its name."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _shown(command, f"{before}{name} ")
        elif not command.hidden:
            yield before + name, command


def _command(name: str, command: Any) -> Iterator[str]:
    parameters = [one for one in command.params if not getattr(one, "hidden", False) and one.name != "help"]
    arguments = [_metavar(one) for one in parameters if one.param_type_name == "argument"]
    yield from ("", f"## operando {name}", "", "```", " ".join(["operando", name, *arguments, *_options(parameters)]), "```", "")
    yield str(command.help).strip()
    if parameters:
        yield from ("", "| | default | |", "|---|---|---|")
        yield from map(_parameter, parameters)


def _options(parameters: list[Any]) -> list[str]:
    return ["[OPTIONS]"] if any(one.param_type_name == "option" for one in parameters) else []


def _metavar(parameter: Any) -> str:
    shown = str(parameter.metavar or parameter.name.upper())
    return shown if parameter.required else f"[{shown}]"


def _parameter(parameter: Any) -> str:
    is_option = parameter.param_type_name == "option"
    value = "" if not is_option or parameter.is_flag else f" {parameter.metavar or _kind(parameter.default)}"
    name = f"{parameter.opts[-1]}{value}" if is_option else _metavar(parameter).strip("[]")
    default = "" if parameter.default is None or parameter.default is False or parameter.required else f"`{parameter.default}`"
    return f"| `{name.replace('|', chr(92) + '|')}` | {default} | {parameter.help or ''} |"


def _kind(default: object) -> str:
    return "NUMBER" if isinstance(default, int | float) else "TEXT"


# --------------------------------------------------------------------------------------------------------- interlocks


RINGS = ("beside the rings", "ring 1: the step's own ends", "ring 2: what no step may pass", "ring 3: the hardware fence")


def interlocks() -> str:
    """The reference of the interlocks."""
    return "\n".join([*_head_of_interlocks(), *(line for one in TABLE for line in _interlock(one))]).rstrip() + "\n"


def _head_of_interlocks() -> Iterator[str]:
    yield from ("# Interlocks", "", GENERATED, "")
    yield from ("Three rings stand around a cell: the step's own ends (1), the limits that no step may pass (2), the hardware fence (3).",)
    yield from ("What stands beside them looks at the console, the clocks and the disk, and never touches a cell by itself.", "")
    yield "`operando check` says which are armed for an experiment and why the others are not; an experiment changes them under"
    yield from ("[`interlocks:`](experiment-file.md#interlocks).", "")
    yield from ("A number that is *inferred* stands in no source: it was chosen here, and no cell has tried it yet.", "")
    yield "R_cell is the resistance of the last impedance spectrum (its real part at its lowest frequency), or of the first minute of"
    yield "current (the mean of |E - E_rest| / |I|), less `lead_ohm`. It is recorded as the observable `R_cell`, with where it comes from."


def _interlock(one: Interlock) -> Iterator[str]:
    words = {name: f"`{name}`" for name in one.numbers}
    yield from ("", f"## {one.name}", "", f"{one.title}: {one.rule.format(**words)}.", "")
    done = [*one.do, *([one.also] if one.also else []), *([one.level] if one.ring != 1 else [])]
    facts = {
        "where": RINGS[one.ring],
        "needs": ", ".join(one.needs),
        "then": ", ".join(done),
        "you can": one.advice,
        "never off": one.fixed,
        "source": one.source,
    }
    yield from ("| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in facts.items() if text))
    for name, number in one.numbers.items():
        value = "must be given" if number.value is None else said(number.unit, number.value)
        yield f"| `{name}` | {value}{', inferred' if number.inferred else ''} |"


def pages() -> dict[Path, str]:
    """Every generated page by its path."""
    made = {"run-h5.md": run_h5(), "commands.md": commands(), "interlocks.md": interlocks(), "mqtt.md": described.page(GENERATED)}
    made[nxdl.FILE] = nxdl.definition()
    made |= {f"mqtt/{name}": text for name, text in described.written().items()}
    return {REFERENCE / name: text for name, text in made.items()}


if __name__ == "__main__":
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
