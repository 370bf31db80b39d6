"""Parameters as commands and scripts name them: ``D 1``, ``1 TD``, ``SW``, ``O1P``; what follows from what. Pure.

Arrays take a space before their number (without it too: ``D1`` and ``P1`` are what people type). Setting one of SW and SW_h,
of O1, O1P and SFO1 sets the others; AQ and DW are made from TD and SW_h, and set TD. Widths are 20 MHz over a whole number.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping

from drivers.topspin.console.jcamp import Scalar, Value, Word

DIGITIZER_Hz = 20e6
ENUMERATIONS: dict[str, tuple[str, ...]] = {
    "PARMODE": ("1D", "2D", "3D", "4D"),
    "AQ_mod": ("qf", "qsim", "qseq", "DQD"),
    "DIGMOD": ("analog", "digital", "homodecoupling-digital", "baseopt"),
    "BYTORDA": ("little", "big"),
    "DTYPA": ("int", "float", "double"),
    "FnMODE": ("undefined", "QF", "QSEQ", "TPPI", "States", "States-TPPI", "Echo-Antiecho"),
    "WDW": ("no", "EM", "GM", "SINE", "QSINE", "TRAP", "USER", "SINC", "QSINC", "TRAF", "TRAFS"),
}
MADE = frozenset({"AQ", "DW", "O1P", "SWH"})
_PLACED = re.compile(r"([A-Za-z_]+?)\s*(\d+)")
_AXIS = re.compile(r"([1-4]) (.+)")


class NoParameter(Exception):
    """TopSpin's own words for what it does not find or take."""


def split_axis(name: str, axis: int = 0) -> tuple[str, int]:
    """``1 TD`` → TD of F1."""
    found = _AXIS.fullmatch(name.strip())
    return (found.group(2), int(found.group(1))) if found else (name.strip(), axis)


def place_of(name: str, values: MutableMapping[str, Value]) -> tuple[str, int | None]:
    """The key in the file and the place in its array; raises NoParameter."""
    by_case = {key.upper(): key for key in values}
    if key := by_case.get(name.upper()):
        if isinstance(values[key], list):
            raise NoParameter(f"{name}: parameter is an array")
        return key, None
    if found := _PLACED.fullmatch(name):
        stem, number = by_case.get(found.group(1).upper()), int(found.group(2))
        if stem is not None and isinstance(array := values[stem], list) and number < len(array):
            return stem, number
    raise NoParameter(f"{name}: parameter not found in map")


def get(values: MutableMapping[str, Value], name: str, *, enum_names: bool) -> str:
    """A value as ``GETPAR`` gives it: always text."""
    made = _made(values, name.upper())
    if made is not None:
        return java(made)
    if name.upper().startswith("PLDB"):
        return java(_decibel(values, int(name[4:])))
    key, place = place_of(name, values)
    value = values[key]
    scalar = value[place] if isinstance(value, list) and place is not None else value
    assert not isinstance(scalar, list)
    if enum_names and key in ENUMERATIONS and isinstance(scalar, int):
        return ENUMERATIONS[key][scalar]
    real = key in REALS if place is None else key in REAL_ARRAYS
    return java(float(scalar) if real and isinstance(scalar, int) else scalar)


def java(value: Scalar) -> str:
    """Numbers as Java shows them: 16, 2.0, 1.0E-6."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(float(value))
    mantissa, _, exponent = f"{value:.15e}".partition("e")
    short = mantissa.rstrip("0")
    return f"{short + '0' if short.endswith('.') else short}E{int(exponent)}"


def put(values: MutableMapping[str, Value], name: str, text: str, *, enum_names: bool) -> None:
    """``PUTPAR``; raises NoParameter with TopSpin's words. A number that cannot be read is refused too (inferred)."""
    upper = name.upper()
    if upper in MADE:
        _put_made(values, upper, _float(name, text))
        return
    key, place = place_of(name, values)
    scalar = _converted(key, place, values[key], text, enum_names=enum_names)
    array = values[key]
    if isinstance(array, list):
        assert place is not None
        array[place] = scalar
    else:
        values[key] = scalar
    _follow(values, key)


def _converted(key: str, place: int | None, old: Value, text: str, *, enum_names: bool) -> Scalar:
    if key in ENUMERATIONS:
        return _enumerated(key, text, enum_names=enum_names)
    before = old[place] if isinstance(old, list) and place is not None else old
    if isinstance(before, Word):
        return Word(text)
    if isinstance(before, str):
        return text
    number = _float(key, text)
    if place is None and isinstance(before, int) and key not in REALS:
        return round(number)
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


REALS = frozenset({"RG", "DE", "TE", "MASR", "O1", "SFO1", "BF1", "SW", "SW_h", "SF", "OFFSET", "LB", "PHC0", "PHC1", "GRPDLY", "DECIM"})

REAL_ARRAYS = frozenset({"D", "P", "PL", "PLW", "CNST", "IN", "INP", "SPW", "GPX", "GPY", "GPZ"})


def _float(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise NoParameter(f"{name}: cannot read number '{text}'") from None


def _enumerated(key: str, text: str, *, enum_names: bool) -> int:
    known = ENUMERATIONS[key]
    if text in known:
        return known.index(text)
    if not enum_names and text.isdigit() and int(text) < len(known):
        return int(text)
    raise NoParameter(f"Could not convert '{text}' into enum: GetEnuOrd[{key}]: enumeration name {text} not found")


# --------------------------------------------------------------------------------------------------- what follows from what


def _number(values: MutableMapping[str, Value], name: str) -> float:
    value = values.get(name, 0.0)
    return float(value) if isinstance(value, int | float) else 0.0


def _made(values: MutableMapping[str, Value], name: str) -> float | None:
    width_Hz = _number(values, "SW_h")
    if name == "AQ":
        return _number(values, "TD") / (2 * width_Hz) if width_Hz else 0.0
    if name == "DW":
        return 1e6 / (2 * width_Hz) if width_Hz else 0.0
    if name == "SWH":
        return width_Hz
    if name == "O1P":
        base_MHz = _number(values, "BF1")
        return _number(values, "O1") / base_MHz if base_MHz else 0.0
    return None


def _put_made(values: MutableMapping[str, Value], name: str, number: float) -> None:
    if name == "O1P":
        values["O1"] = number * _number(values, "BF1")
        _follow(values, "O1")
    elif name == "SWH":
        values["SW_h"] = number
        _follow(values, "SW_h")
    elif name == "AQ":
        values["TD"] = 2 * round(number * _number(values, "SW_h"))
    else:
        values["SW_h"] = 1e6 / (2 * number)
        _follow(values, "SW_h")


def _decibel(values: MutableMapping[str, Value], place: int) -> float:
    from math import log10

    watts = values.get("PLW")
    if isinstance(watts, list) and place < len(watts):
        power = watts[place]
        assert isinstance(power, int | float)
        return round(-10.0 * log10(power), 5) if power > 0 else 1000.0
    raise NoParameter(f"PLdB {place}: parameter not found in map")


def _follow(values: MutableMapping[str, Value], key: str) -> None:
    if key == "SW":
        values["SW_h"] = _number(values, "SW") * _number(values, "SFO1")
    if key in {"SW", "SW_h", "O1", "BF1", "SFO1", "NUC1"}:
        if key == "SFO1":
            values["O1"] = round((_number(values, "SFO1") - _number(values, "BF1")) * 1e6, 4)
        else:
            values["SFO1"] = round(_number(values, "BF1") + _number(values, "O1") * 1e-6, 10)
        values["SW_h"] = digitized(_number(values, "SW_h"))
        if _number(values, "SFO1"):
            values["SW"] = _number(values, "SW_h") / _number(values, "SFO1")
    if key == "TD":
        values["TD"] = max(2, int(_number(values, "TD")) // 2 * 2)


def digitized(width_Hz: float) -> float:
    """The nearest width that the digitizer has: 20 MHz over a whole number."""
    if width_Hz <= 0:
        return width_Hz
    return DIGITIZER_Hz / max(1, round(DIGITIZER_Hz / width_Hz))
