"""A TopSpin data set's files: ``acqus`` and its kin, ``fid``/``ser``. Pure: bytes and text in, values out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Parameters = dict[str, Any]

ROW_ALIGNMENT = 1024
EXACT_IN_FLOAT32 = 1 << 24
SIMULTANEOUS, DIGITAL = 1, 3
"""``AQ_mod`` with complex points: qsim and DQD."""

_ARRAY = re.compile(r"\(0\.\.\d+\)\s*(.*)", re.DOTALL)
_ELEMENT = re.compile(r"<[^>]*>|\S+")


def parse_parameters(text: str) -> Parameters:
    """``##$NAME= value`` → a number, a text (without its brackets) or a list of them. Raises ValueError where there is none."""
    found: Parameters = {}
    for record in f"\n{text}".split("\n##$")[1:]:
        name, equals, value = record.split("\n##")[0].split("\n$$")[0].partition("=")
        array = _ARRAY.match(value.strip())
        if equals:
            found[name.strip()] = [_value(one) for one in _ELEMENT.findall(array[1])] if array else _value(value.strip())
    if not found:
        raise ValueError("a parameter file without parameters")
    return found


def _value(text: str) -> float | int | str:
    if text.startswith("<") and text.endswith(">"):
        return text[1:-1]
    if text in {"yes", "no"}:
        return text == "yes"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@dataclass(frozen=True, slots=True)
class Layout:
    """How raw data lie in their file: ``numbers`` per row (real and imaginary counted), as ``dtype``, × 2^``exponent``."""

    numbers: int
    dtype: str
    exponent: int

    @property
    def row_bytes(self) -> int:
        """Of one row, without padding."""
        return self.numbers * int(self.dtype[-1])

    @property
    def stride(self) -> int:
        """From row to row: rows begin at multiples of 1024 bytes."""
        return -(-self.row_bytes // ROW_ALIGNMENT) * ROW_ALIGNMENT

    def rows(self, size: int) -> int:
        """How many rows a file of this size holds; a single one need not be padded (inferred)."""
        return 1 if size < self.stride else size // self.stride

    def hashed(self, content: bytes) -> bytes:
        """What ``data hash MD5`` is made of: the numbers of all rows without their padding, little-endian however they are stored."""
        import numpy as np

        count = self.rows(len(content))
        stored = b"".join(content[row * self.stride : row * self.stride + self.row_bytes] for row in range(count))
        whole = stored[: len(stored) // int(self.dtype[-1]) * int(self.dtype[-1])]
        return np.frombuffer(whole, self.dtype).astype("<" + self.dtype[1:]).tobytes()


def layout_of(acqus: Mapping[str, Any]) -> Layout:
    """From the status parameters. Raises ValueError for what cannot be read as complex points."""
    try:
        numbers, order, kind = int(acqus["TD"]), int(acqus["BYTORDA"]), int(acqus["DTYPA"])
        mode, exponent = int(acqus["AQ_mod"]), int(acqus.get("NC", 0))
    except (KeyError, TypeError, ValueError) as fault:
        raise ValueError(f"acqus says nothing usable about {fault}") from fault
    if mode not in {SIMULTANEOUS, DIGITAL}:
        raise ValueError(f"AQ_mod {mode}: the data are not complex points")
    if kind not in {0, 2} or order not in {0, 1} or numbers < 2 or numbers % 2:
        raise ValueError(f"DTYPA {kind}, BYTORDA {order}, TD {numbers} cannot be read")
    return Layout(numbers, ("<" if order == 0 else ">") + ("i4" if kind == 0 else "f8"), exponent)


def parse_fid(content: bytes, layout: Layout) -> NDArray[np.complexfloating[Any, Any]]:
    """Complex (points,) or (rows, points): re + 1j·im as stored, times 2^NC (which is exact). Raises ValueError.

    ``NC`` differs from spectrum to spectrum of one series: without it their areas could not be compared.
    """
    import numpy as np

    rows = layout.rows(len(content))
    if len(content) < (rows - 1) * layout.stride + layout.row_bytes:
        raise ValueError(f"{len(content)} bytes, and {layout.row_bytes} were acquired")
    stored = np.stack([np.frombuffer(content, layout.dtype, layout.numbers, row * layout.stride) for row in range(rows)])
    exact = stored.dtype.kind == "i" and max(int(stored.max()), -int(stored.min())) < EXACT_IN_FLOAT32
    result = np.empty((rows, layout.numbers // 2), np.complex64 if exact else np.complex128)
    result.real, result.imag = stored[:, 0::2], stored[:, 1::2]
    result *= 2.0**layout.exponent
    return result[0] if rows == 1 else result


def group_delay_points(acqus: Mapping[str, Any]) -> float:
    """Of the digital filter, in complex points: ``GRPDLY``, or where that is not said (TopSpin 2) the table by DSPFVS and DECIM."""
    said = float(acqus.get("GRPDLY", 0.0))
    if said > 0:
        return said
    from nmrglue.fileio.bruker import bruker_dsp_table

    return float(bruker_dsp_table.get(int(acqus.get("DSPFVS", 0)), {}).get(int(acqus.get("DECIM", 0)), 0.0))


def zero_ppm_MHz(acqus: Mapping[str, Any], procs: Mapping[str, Any]) -> float:
    """Frequency of 0 ppm: ``SF`` where processing (or the site's referencing) set one for this nucleus, else ``BF1``."""
    basic, referenced = float(acqus["BF1"]), procs.get("SF", 0.0)
    usable = isinstance(referenced, int | float) and abs(referenced / basic - 1) < 1e-3
    return float(referenced) if usable else basic
