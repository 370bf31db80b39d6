"""What the vendor's own files say of FIDs, beside them: time stamps verbatim, where the files lie, hashes, every parameter."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.recorder.appends import Append, Make, Rows, column, text_parts
from orchestrator.recorder.datasets import text_size
from orchestrator.recorder.layout import FID, PARAMETERS

TOO_LONG = '{"...":"too long for this column; whole in events/data, at fid.block of this key and block"}'


class Vendor:
    """``folders``: where a block's files were put in the run folder, while its FIDs are not yet stored."""

    def __init__(self) -> None:
        self.folders: dict[tuple[str, int], str] = {}
        self._parameter_rows: dict[str, int] = {}

    def columns(self, data: Mapping[str, Any], rows: NDArray[Any]) -> dict[str, Any]:
        """Beside the rows of one ``fid.block``; its folder is forgotten then."""
        times = data.get("times") or {}
        values = {
            "vendor_times": _json_cell("vendor_times", times.get("stamps") or {}),
            "vendor_zone": str(times.get("zone") or ""),
            "raw_folder": self.folders.pop((data["key"], data["block"]), ""),
            "raw_sha256": _json_cell("raw_sha256", {file["name"]: file["sha256"] for file in data.get("files") or ()}),
        }
        sha256 = [hashlib.sha256(row.tobytes()).hexdigest() for row in rows]
        return {**{name: column(FID, name, [value] * len(rows)) for name, value in values.items()}, "sha256": column(FID, "sha256", sha256)}

    def parameters(self, data: Mapping[str, Any], fid_path: str) -> Iterator[Append]:
        """The vendor's parameters of one ``fid.block``, complete, beside the FIDs that they belong to."""
        if not data.get("parameters"):
            return
        path = f"{fid_path}/parameters"
        first = self._parameter_rows.get(path, 0)
        if not first:
            yield Make(path, PARAMETERS)
        parts = text_parts(_json(data["parameters"]), text_size(PARAMETERS.dataset("data").dtype) or 1)
        self._parameter_rows[path] = first + len(parts)
        values = {"key": data["key"], "block": data["block"]}
        columns = {name: column(PARAMETERS, name, [value] * len(parts)) for name, value in values.items()}
        numbers = np.arange(len(parts), dtype=np.int32)
        columns |= {"line": first + numbers, "part": numbers, "data": column(PARAMETERS, "data", parts)}
        yield Rows(path, PARAMETERS, first, columns)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _json_cell(name: str, value: Mapping[str, Any]) -> str:
    """JSON that fits its column; where it does not, an object that says where the whole of it is."""
    text = _json(value)
    return text if len(text.encode("utf-8", "replace")) <= (text_size(FID.dataset(name).dtype) or 0) else TOO_LONG
