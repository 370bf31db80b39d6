"""RO-Crate: ``ro-crate-metadata.json`` in the run's own folder, which makes it a crate: every file with size and SHA-256."""

from __future__ import annotations

import hashlib
import json
import mimetypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.export.source import write_text
from orchestrator.recorder.reader import Run

METADATA = "ro-crate-metadata.json"
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
SPECIFICATION = "https://w3id.org/ro/crate/1.1"
PROGRAM = "#operando-nmr"
TYPES = {".h5": "application/x-hdf5", ".sqlite": "application/vnd.sqlite3", ".jsonl": "application/jsonl", ".yaml": "application/yaml"}
BLOCK = 1 << 20


def write_crate(run: Run, folder: Path) -> list[Path]:
    """Write the metadata into the run's folder (``folder``); hidden files and SQLite's own are left out."""
    path = folder / METADATA
    write_text(path, json.dumps({"@context": CONTEXT, "@graph": list(_graph(run, folder))}, indent=1) + "\n")
    return [path]


def _graph(run: Run, folder: Path) -> Iterator[dict[str, Any]]:
    files = [_file(path, folder) for path in _files(folder)]
    yield {
        "@id": METADATA,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": SPECIFICATION},
    }
    attributes = run.attributes
    how = f"{attributes.get('state', 'not over')}, {attributes.get('outcome', '')}: {attributes.get('reason', '')}".rstrip(":, ")
    yield {
        "@id": "./",
        "@type": "Dataset",
        "name": _text(run, "title"),
        "identifier": _text(run, "entry_identifier"),
        "description": f"A battery cell watched by NMR while it was cycled; {'simulated; ' if attributes.get('simulated') else ''}{how}.",
        "datePublished": _text(run, "end_time") or _text(run, "start_time"),
        "temporalCoverage": f"{_text(run, 'start_time')}/{_text(run, 'end_time') or '..'}",
        "hasPart": [{"@id": file["@id"]} for file in files],
        "mainEntity": {"@id": "run.h5"},
    }
    versions = json.loads(run.text("versions"))
    yield {"@id": PROGRAM, "@type": "SoftwareApplication", "name": "operando-nmr", "version": versions.get("operando-nmr", "")}
    yield {
        "@id": "#measured",
        "@type": "CreateAction",
        "name": "the run",
        "instrument": {"@id": PROGRAM},
        "startTime": _text(run, "start_time"),
        "result": {"@id": "run.h5"},
    }
    yield from files


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts) or inside.name.endswith(("-wal", "-shm"))
        if path.is_file() and not hidden and inside.name != METADATA:
            yield path


def _file(path: Path, folder: Path) -> dict[str, Any]:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            total.update(block)
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    told = {"@id": path.relative_to(folder).as_posix(), "@type": "File", "name": path.name, "encodingFormat": kind}
    return told | {"contentSize": str(path.stat().st_size), "sha256": total.hexdigest()}


def _text(run: Run, name: str) -> str:
    if name not in run.entry:
        return ""
    raw = run.entry[name][()]
    return raw.decode() if isinstance(raw, bytes) else str(raw)
