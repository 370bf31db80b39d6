"""``python -m drivers.follow.ec_child FILE``: one binary file of a cycler, read by a library in a process of its own.

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

from drivers.follow.columns import GALVANOSTATIC, POTENTIOSTATIC, REST, UNKNOWN_MODE

MODULE, DATA_MODULE = b"MODULE", b"MODULEVMP data"
OUR_MODES = {"rest": REST, "galvanostatic": GALVANOSTATIC, "potentiostatic": POTENTIOSTATIC}
NO_LENGTH = b"\xff\xff\xff\xff"
HEADS = (100, 405, 406, 1007)
"""Bytes of a data module before its rows, by version; which one it is, the library finds."""


def ec_lab(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """An ``.mpr``: its columns, and where its rows lie, so that further ones can be read without the library.

    One that is still being written is cut to its whole rows first: the library reads finished files only.
    """
    content = path.read_bytes()
    try:
        file = _read(content)
    except Exception:  # noqa: BLE001  whatever it stumbles over in a half-written file
        file = _read(_whole_rows(content))
    data = file.data
    meta: dict[str, Any] = {"library": f"galvani {version('galvani')}", "start": _text(getattr(file, "timestamp", None))}
    rows = data.tobytes()
    at = content.find(rows) if rows else -1
    if at > 0:
        module, count_at = _data_module(content)
        meta["layout"] = {"dtype": data.dtype.descr, "rows_at": at, "count_at": count_at, "module_at": module}
    return {name: np.ascontiguousarray(data[name]) for name in data.dtype.names or ()}, meta


def _read(content: bytes) -> Any:
    from galvani import BioLogic

    return BioLogic.MPRfile(io.BytesIO(content))


def _data_module(content: bytes) -> tuple[int, int]:
    """Where the data module begins, and where its count of rows stands: behind a head of one of two lengths."""
    module = content.rindex(DATA_MODULE)
    return module, module + (65 if content[module + 41 : module + 45] == NO_LENGTH else 57)


def _whole_rows(content: bytes) -> bytes:
    """The same file as if it had been finished after its last whole row: nothing behind the rows, and counts that fit.

    Raises ValueError where it has none yet.
    """
    module, count_at = _data_module(content)
    behind = content.find(MODULE, count_at)
    end = len(content) if behind < 0 else behind
    for head in HEADS:
        try:
            itemsize = _read(_finished(content, module, count_at, head, 0)).data.dtype.itemsize
            rows = min(struct.unpack_from("<I", content, count_at)[0], (end - count_at - head) // itemsize)
            made = _finished(content, module, count_at, head + rows * itemsize, rows)
            if rows and len(_read(made).data) == rows:
                return made
        except Exception:  # noqa: BLE001, S112  not this version's head
            continue
    raise ValueError("it has no whole row yet")


def _finished(content: bytes, module: int, count_at: int, length: int, rows: int) -> bytes:
    """Cut behind so many bytes of the data module, with counts that say so."""
    made = bytearray(content[: count_at + length])
    if len(made) < count_at + length:
        raise ValueError("its data module is not whole yet")
    struct.pack_into("<I", made, module + (45 if count_at - module == 65 else 41), length)
    struct.pack_into("<I", made, count_at, rows)
    return bytes(made)


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


def ours(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A ``run.h5`` of this program: what was sampled in its steps, and what each of them was by its plan."""
    import h5py

    with h5py.File(path, "r") as file:
        entry = file["entry"]
        samples = {name: entry[f"electrochemistry/{name}"][()] for name in ("time", "voltage", "current", "step", "cycle")}
        plan = json.loads(entry["control/plan"].asstr()[()] or "{}") if "control/plan" in entry else {}
    modes = {int(step["index"]): OUR_MODES.get(str(step.get("mode")), UNKNOWN_MODE) for step in plan.get("steps") or ()}
    number, cycle = samples["step"], samples["cycle"]
    changes = np.concatenate([[0], np.cumsum((np.diff(number) != 0) | (np.diff(cycle) != 0))]) if number.size else number
    columns = {"time_s": samples["time"], "voltage_V": samples["voltage"], "current_A": samples["current"], "step": changes, "cycle": cycle}
    columns["mode"] = np.array([modes.get(int(one), UNKNOWN_MODE) for one in number], np.int32)
    return {name: column[number >= 0] for name, column in columns.items()}, {"library": f"h5py {version('h5py')}"}


READERS = {".mpr": ec_lab, ".nda": neware, ".ndax": neware, ".h5": ours}


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
