"""No line of a MethodSCRIPT instrument hangs its parser or raises anything but ValueError, however the wire has mangled it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.base import EndConditions, Limits, Mode, SampleBlock, StepOrder
from drivers.methodscript import wire
from drivers.methodscript.running import RunningScript
from drivers.stream.samples import Outbox

GOLDEN = Path(__file__).parents[1] / "golden" / "methodscript"
LINES = [entry["line"] for entry in json.loads((GOLDEN / "lines.json").read_text("utf-8"))["lines"]]
PACKAGES = [entry["line"] for entry in json.loads((GOLDEN / "packages.json").read_text("utf-8"))["packages"]]
NUMBERS = [field for _, field in json.loads((GOLDEN / "numbers.json").read_text("utf-8"))["numbers"]] + ["     nan"]
STEP = ["TSTEP_BEGIN 0 1 G 1000 a", "M0007", *PACKAGES, "TSTEP_END 0 1", "*"]
LIMITS = Limits(voltage_upper_V=1.0, voltage_lower_V=-1.0, current_A=1e-3, charge_C=1.0, time_s=60.0)
ORDER = StepOrder("a", Mode.GALVANOSTATIC, EndConditions(time_s=10.0), LIMITS, current_A=1e-4, sample_interval_s=1.0)

quick = settings(deadline=None)
latin = st.text(st.characters(max_codepoint=255, exclude_characters="\n"), max_size=60)
wild_numbers = st.builds(
    lambda digits, prefix: digits + prefix, st.from_regex(r"[0-9A-F]{7}", fullmatch=True), st.sampled_from("afpnum kMGTPEi")
)
wild_metas = st.lists(st.builds(lambda kind, digits: kind + digits, st.sampled_from("1234x"), st.text("0123456789ABCDEFg", max_size=9)))
wild_variables = st.builds(
    lambda kind, number, metas: ",".join([kind + number, *metas]),
    st.sampled_from(["eb", "ab", "da", "ba", "db", "ja", "dc", "cc", "cd", "zz"]),
    wild_numbers | st.sampled_from(NUMBERS),
    wild_metas,
)
wild_packages = st.lists(wild_variables, min_size=1, max_size=6).map(lambda variables: "P" + ";".join(variables))


@st.composite
def mangled(draw: st.DrawFn) -> str:
    """A golden line with a few pieces cut out, doubled or replaced."""
    text = draw(st.sampled_from(LINES + PACKAGES + STEP))
    for _ in range(draw(st.integers(0, 3))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 6))
        text = text[:at] + draw(latin | st.just(text[at : at + length] * 2)) + text[at + length :]
    return text


lines = mangled() | wild_packages | latin


@quick
@given(lines)
def test_any_line_is_something(text: str) -> None:
    found = wire.parse_line(text)
    assert found
    assert all(isinstance(line, wire.Line) for line in found)


@quick
@given(lines | wild_numbers | st.text(max_size=30))
def test_readers_of_one_thing_refuse_with_value_error(text: str) -> None:
    for read in (wire.decode_value, wire.parse_variable, wire.parse_package, wire.parse_firmware, wire.parse_bits):
        try:
            read(text)
        except ValueError:
            continue


@quick
@given(st.lists(st.binary(max_size=200), max_size=20))
def test_bytes_in_any_pieces_give_the_same_lines(pieces: list[bytes]) -> None:
    splitter, whole = wire.LineSplitter(), wire.LineSplitter()
    found = [line for piece in pieces for line in splitter.feed(piece)]
    assert found == whole.feed(b"".join(pieces))
    assert splitter.rest == whole.rest


@quick
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_written_is_read_back(value: float) -> None:
    try:
        field = wire.encode_value(value)
    except ValueError:
        assert abs(value) > 1e18
        return
    assert wire.decode_value(field) == value or abs(wire.decode_value(field) - value) <= wire.resolution_of(field) * (0.5 + 1e-6)


@quick
@given(st.lists(lines | st.sampled_from(STEP), max_size=40))
def test_a_running_script_makes_events_of_whatever_it_hears(texts: list[str]) -> None:
    """Up to the blocks that the runner is handed: arrays of their dtypes, in order, finite where they must be."""
    outbox = Outbox()
    running = RunningScript(outbox, (ORDER,))
    for number, text in enumerate(["TSTEP_BEGIN 0 1 G 1000 a", *texts]):
        for line in wire.parse_line(text):
            running.hear(line, number * 1_000_000_000)
    stamps: list[int] = []
    while outbox._waiting:
        event: Any = outbox._take()
        if isinstance(event, SampleBlock):
            stamps += event.mono_ns.tolist()
            assert event.status is not None
            assert event.status.dtype == np.uint16
    assert stamps == sorted(stamps)
    assert math.isfinite(sum(stamps))
