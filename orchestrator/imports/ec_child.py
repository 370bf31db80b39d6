"""``python -m orchestrator.imports.ec_child FILE``: one binary file of a cycler, read by a library in a process of its own.

What a library makes of a half-written file (an exception, endless memory, a crash) ends here, and a licence that binds a whole
process binds this one only. Answers on stdout: an ``.npz`` of columns, with ``meta`` as JSON.
"""

from __future__ import annotations

import io
import json
import struct
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

COUNT_AFTER_MODULE = (57, 61)
"""From the word MODULE to the number of rows, in older and newer files (found by looking for that number)."""


def ec_lab(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """An ``.mpr``: its columns, and where its rows lie, so that further ones can be read without the library."""
    from galvani import BioLogic

    content = path.read_bytes()
    file = BioLogic.MPRfile(io.BytesIO(content))
    data = file.data
    meta: dict[str, Any] = {"library": f"galvani {version('galvani')}", "start": _text(getattr(file, "timestamp", None))}
    rows = data.tobytes()
    at = content.find(rows) if rows else -1
    if at > 0:
        module = content.rfind(b"MODULE", 0, at)
        count = next((module + n for n in COUNT_AFTER_MODULE if struct.unpack_from("<I", content, module + n)[0] == len(data)), -1)
        meta["layout"] = {"dtype": data.dtype.descr, "rows_at": at, "count_at": count, "module_at": module}
    return {name: np.ascontiguousarray(data[name]) for name in data.dtype.names or ()}, meta


def _text(start: Any) -> str:
    return "" if start is None else start.isoformat()


def neware(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """An ``.nda`` or ``.ndax``."""
    import fastnda

    table = fastnda.read(str(path))
    columns = {
        name: np.array([str(one) for one in table[name]]) if name == "step_type" else table[name].to_numpy() for name in table.columns
    }
    first = float(columns["unix_time_s"][0]) if len(table) else None
    return columns, {"library": f"fastnda {version('fastnda')}", "start_unix_s": first}


READERS = {".mpr": ec_lab, ".nda": neware, ".ndax": neware}


def main(path: Path) -> int:
    """Read one file; 0, or 1 with the reason on stderr."""
    try:
        columns, meta = READERS[path.suffix.lower()](path)
    except Exception as error:  # noqa: BLE001  whatever the library raises on this file is the answer
        sys.stderr.write(f"{type(error).__name__}: {error}")
        return 1
    answer = io.BytesIO()
    np.savez(
        answer, **{f"c{n}": column for n, column in enumerate(columns.values())}, meta=np.array(json.dumps(meta | {"names": [*columns]}))
    )
    sys.stdout.buffer.write(answer.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
