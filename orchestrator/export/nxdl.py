"""The draft NeXus definition ``NXoperando_nmr``, written from the very table by which ``run.h5`` is laid out. Pure text.

NeXus has no definition for NMR, electrochemistry or batteries (of 283, January 2026); this is a proposal, not a part of NeXus.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from orchestrator.recorder.datasets import Dataset, Group
from orchestrator.recorder.layout import GROUPS

NAME = "NXoperando_nmr"
VERSION = "0.1"
FILE = f"{NAME}.nxdl.xml"
CATEGORIES = {
    "s": "NX_TIME",
    "ms": "NX_TIME",
    "us": "NX_TIME",
    "ns": "NX_TIME",
    "nanoseconds since 1970-01-01 00:00:00": "NX_TIME",
    "V": "NX_VOLTAGE",
    "A": "NX_CURRENT",
    "mA h": "NX_CHARGE",
    "Hz": "NX_FREQUENCY",
    "mm": "NX_LENGTH",
    "ohm": "NX_ANY",
    "ppm": "NX_DIMENSIONLESS",
    "1": "NX_DIMENSIONLESS",
    "percent": "NX_DIMENSIONLESS",
    "counts": "NX_UNITLESS",
    "a.u.": "NX_UNITLESS",
}
"""The NeXus category of each unit that the layout has; NeXus has none for a resistance."""
OF_THE_NAME = {"*": "NX_ANY", "": ""}
MUST = frozenset({"electrochemistry", "fid", "spectra", "acquisitions", "observables", "events", "clock", "control", "instrument"})
HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<!-- A draft, not a part of NeXus. Written from the layout of run.h5 by `python docs/generate.py`. -->
<definition xmlns="http://definition.nexusformat.org/nxdl/3.1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:schemaLocation="http://definition.nexusformat.org/nxdl/3.1 ../nxdl.xsd"
  name="NXoperando_nmr" extends="NXobject" type="group" category="application">
  <doc>
    One run of an electrochemical cell in an NMR magnet: potentiostat and console on one axis of time.
    Times are seconds of a monotonic clock since @start (UTC); columns that end in _utc are nanoseconds since 1970.
    Positive current is oxidation at the electrode that control/cell calls working.
    FIDs are stored as the console gave them; spectra are derived from them, for display.
    A group without a name here stands once for each acquisition, observable, sensor or instrument, under its own name.
  </doc>
"""


def definition() -> str:
    """The NXDL file."""
    lines = [f'  <group type="NXentry">{_doc("One run.")}', *_entry(), *_children("", "    "), "  </group>", "</definition>"]
    return HEAD + "\n".join(lines) + "\n"


def _entry() -> Iterator[str]:
    yield '    <attribute name="default" optional="true"/>'
    yield f'    <field name="definition"><enumeration><item value="{NAME}"/></enumeration></field>'
    yield f'    <field name="title">{_doc("Name of the experiment.")}</field>'
    yield f'    <field name="start_time" type="NX_DATE_TIME">{_doc("When the axis of time begins, UTC.")}</field>'
    yield f'    <field name="end_time" type="NX_DATE_TIME" minOccurs="0">{_doc("When the run ended; not there while it goes on.")}</field>'
    yield f'    <field name="entry_identifier" minOccurs="0">{_doc("Identity of the run.")}</field>'


def _children(path: str, indent: str) -> Iterator[str]:
    """The groups directly below a group of the table, those that have a name before those of any name."""
    depth = len(path.split("/")) if path else 0
    below = [group for group in GROUPS if group.path.split("/")[:-1] == (path.split("/") if path else [])]
    for group in sorted(below, key=lambda one: (one.path.endswith("*"), one.path)):
        yield from _group(group, group.path.split("/")[depth], indent)


def _group(group: Group, name: str, indent: str) -> Iterator[str]:
    named = "" if name == "*" else f" name={quoteattr(name)}"
    optional = "" if group.path in MUST else ' minOccurs="0"'
    yield f"{indent}<group{named} type={quoteattr(group.NX_class)}{optional}>{_doc(group.attributes.get('title', ''))}"
    if group.signal:
        yield f'{indent}  <attribute name="signal"><enumeration><item value={quoteattr(group.signal)}/></enumeration></attribute>'
        yield f'{indent}  <attribute name="axes"/>'
    for dataset in group.datasets:
        yield from _field(_meant(dataset), indent + "  ")
    yield from _children(group.path, indent + "  ")
    yield f"{indent}</group>"


def _meant(dataset: Dataset) -> Dataset:
    """What a link points to, under the link's own name."""
    if not dataset.link:
        return dataset
    path, _, column = dataset.link.rpartition("/")
    (group,) = [one for one in GROUPS if one.path == path]
    found = group.dataset(column)
    return Dataset(dataset.name, found.dtype, found.units, found.long_name, found.dims, found.optional, attributes=found.attributes)


def _field(dataset: Dataset, indent: str) -> Iterator[str]:
    units = category(dataset)
    said = f' units="{units}"' if units else ""
    optional = ' minOccurs="0"' if dataset.optional else ""
    kind = _kind(dataset.dtype)
    doc = _doc("" if dataset.long_name == "*" else dataset.long_name)
    rank = f'<dimensions rank="{len(dataset.dims)}"/>'
    yield f'{indent}<field name={quoteattr(dataset.name)} type="{kind}"{said}{optional}>{doc}{rank}</field>'


def category(dataset: Dataset) -> str:
    """The NeXus category of its units; empty where it has none."""
    units = dataset.units or dataset.attributes.get("units", "")
    return OF_THE_NAME[units] if units in OF_THE_NAME else CATEGORIES[units]


def _kind(dtype: str) -> str:
    if dtype.startswith("text:"):
        return "NX_CHAR"
    return {"f": "NX_FLOAT", "i": "NX_INT", "u": "NX_UINT", "c": "NX_COMPLEX", "*": "NX_NUMBER"}[dtype[0]]


def _doc(text: str) -> str:
    return f"<doc>{escape(text)}</doc>" if text else ""


def groups_with_units() -> Sequence[tuple[Group, dict[str, str]]]:
    """Every group of the table with the category of each of its datasets that has units."""
    return [(group, {one.name: found for one in map(_meant, group.datasets) if (found := category(one))}) for group in GROUPS]
