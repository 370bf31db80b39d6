"""Nothing that a BioLogic, EC-Lab or a notebook says hangs a reader or raises anything but its own error; what we write is what we mean."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

from biologic_bench import LIMITS, step
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drivers.base import Mode
from drivers.biologic import eclib, mps, remote, wire
from drivers.biologic.mps import Site
from drivers.biologic.running import BioLogicStep
from drivers.biologic.techniques import Trigger, plan_of, single, techniques_of
from drivers.biologic.wire import Family
from drivers.errors import BadReply, Rejected
from drivers.stream import notebook
from drivers.stream.rows import Row
from drivers.stream.samples import Outbox

quick = settings(deadline=None, max_examples=80)
WORD = st.integers(0, 2**32 - 1)
TECHNIQUES = [0, 100, 104, 107, 150, 155, 157, 999]
ANY_INT = st.integers(-(2**31), 2**31 - 1)
PLAIN: Any = st.recursive(
    st.none() | st.booleans() | ANY_INT | st.floats() | st.text(max_size=8) | st.binary(max_size=8),
    lambda inside: st.lists(inside, max_size=4).map(tuple),
    max_leaves=12,
)


@quick
@given(
    st.lists(WORD, max_size=80), st.sampled_from([0, 100, 104, 107, 150, 155, 157, 999]), ANY_INT | st.integers(0, 20), st.integers(-2, 20)
)
@example([0] * 15, 107, 1, 15)
def test_rows_of_anything(words: list[int], technique: int, rows: int, columns: int) -> None:
    for family in Family:
        for process in (0, 1, -1):
            infos = eclib.DataInfos(NbRows=rows, NbCols=columns, TechniqueID=technique, ProcessIndex=process)
            try:
                singles = dict.fromkeys(wire.words_to_convert(tuple(words), infos, family), 1.0)
                found = wire.decode(tuple(words), infos, eclib.CurrentValues(), family, None if family is Family.VMP3 else singles)
            except BadReply:
                continue
            assert len(found) in {0, rows}


@quick
@given(st.binary(max_size=200))
def test_messages_of_anything(raw: bytes) -> None:
    text = wire.message(raw)
    assert "\n" not in text
    assert isinstance(wire.refuses(text), bool)


@quick
@given(st.binary(max_size=120) | st.text(max_size=60).map(str.encode))
@example(b'{"n":1,"answer":{"DataInfos":{"NbRows":"x"}}}')
@example(b'{"n":1,"answer":{"bytes":"zz"}}')
@example(b"[" * 100_000)
@example(b'{"n":1,"call":"BL_Connect","args":{"a":1}}')
def test_lines_of_anything(line: bytes) -> None:
    for parse in (remote.parse_call, remote.parse_answer):
        try:
            parse(line)
        except remote.Garbled:
            continue


@quick
@given(PLAIN)
def test_a_value_that_was_sent_is_the_value_that_comes(value: Any) -> None:
    number, answer, error = remote.parse_answer(remote.answer_line(3, value))
    assert (number, error) == (3, None)
    assert repr(answer) == repr(value)


@quick
@given(st.text(max_size=300) | st.binary(max_size=50).map(lambda raw: raw.decode("latin-1")))
def test_a_notebook_of_anything(text: str) -> None:
    assert notebook.from_text(text) is None


@quick
@given(st.integers(0, 2000), st.integers(0, 20), st.sampled_from(["", "null", "1e999", "[]", '"', "{}"]))
def test_a_spoilt_notebook_is_none_or_an_entry(at: int, length: int, put: str) -> None:
    text = notebook.to_text(notebook.Entry("4711:0", 1, step()))
    at %= len(text)
    found = notebook.from_text(text[:at] + put + text[at + length :])
    assert found is None or isinstance(found, notebook.Entry)


@quick
@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_single_is_the_nearest_or_refused(value: float) -> None:
    try:
        param = single("x", value)
    except Rejected:
        assert not math.isfinite(value) or abs(value) > 3.4e38
        return
    assert math.isclose(float(param.number()), value, rel_tol=1e-7, abs_tol=1e-44)


CURRENT = st.floats(1e-9, 1e-3) | st.floats(-1e-3, -1e-9)


@quick
@given(CURRENT, st.floats(2.5, 4.2), st.floats(1.0, 1e5), st.floats(1e-3, 19.0))
def test_a_step_keeps_every_limit_on_the_instrument(current_A: float, end_V: float, time_s: float, charge_C: float) -> None:
    side = {"voltage_upper_V": end_V} if current_A > 0 else {"voltage_lower_V": end_V}
    order = step(current_A=current_A, ends={**side, "charge_C": charge_C})
    plan = plan_of(replace(order, ends=replace(order.ends, time_s=time_s)))
    found = {param.label: param.number() for param in techniques_of(plan, Trigger())[-1].params}
    longest_s = min(time_s, LIMITS.time_s, charge_C / abs(current_A), LIMITS.charge_C / abs(current_A))
    assert math.isclose(found["Duration_step"], longest_s, rel_tol=1e-6)
    tests = {int(found[f"Test{number}_Config"]): float(found[f"Test{number}_Value"]) for number in (1, 2)}
    assert set(tests) == {5, 1}
    assert tests[5] <= LIMITS.voltage_upper_V + 6e-4
    assert tests[1] >= LIMITS.voltage_lower_V - 6e-4
    assert math.isclose(tests[5 if current_A > 0 else 1], end_V, rel_tol=1e-6)


@quick
@given(CURRENT, st.sampled_from([".", ","]))
def test_a_settings_file_says_the_same_number(current_A: float, sign: str) -> None:
    text = mps.settings_text(plan_of(step(current_A=current_A)), Site("SP-150", sign))
    found = {line[:20].rstrip(): line[20:].rstrip() for line in text.split(mps.LINE_END) if len(line) == 40}
    unit_A = {"A": 1.0, "mA": 1e-3, "uA": 1e-6, "nA": 1e-9}[found["ctrl1_val_unit"]]
    assert math.isclose(float(found["ctrl1_val"].replace(",", ".")) * unit_A, current_A, rel_tol=1e-9, abs_tol=0.6e-12)


@quick
@given(st.lists(st.tuples(st.floats(), st.floats(), st.floats()), max_size=30), st.sampled_from([Mode.GALVANOSTATIC, Mode.REST]))
def test_rows_of_any_numbers_keep_their_order(numbers: list[tuple[float, float, float]], mode: Mode) -> None:
    running = BioLogicStep("a", plan_of(step(mode)), Outbox(), 10**12)
    last_ns = running.last_mono_ns
    for number, row in enumerate(numbers):
        samples = running.samples
        running.take((Row(*row),), 10**12 + number)
        assert running.last_mono_ns > last_ns or running.samples in {samples, 1}
        last_ns = running.last_mono_ns
        running.to_be_ended(10**12 + number)
        running.why(10**12 + number)


def test_a_call_line_is_json() -> None:
    assert json.loads(remote.call_line(1, "BL_Disconnect", (7,))) == {"n": 1, "call": "BL_Disconnect", "args": [7]}
