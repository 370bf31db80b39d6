"""Commands that come over MQTT, and readings of a Keithley: each is understood or refused, and none gets further than it may."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drivers.keithley import wire
from drivers.topspin import wire as topspin
from orchestrator.control.messages import complaint
from orchestrator.monitor.judge import judge
from orchestrator.monitor.payloads import LONGEST_AHEAD_s
from orchestrator.monitor.topics import COMMAND_LEVELS, Topics

TOPICS = Topics("magnet-2")
NOW_s = 1.7e9
quick = settings(deadline=None)
plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.lists(st.integers(), max_size=2)
NAMES = ("id", "not_after_s", "reply_to", "if_state", "reason", "who", "name", "every_s", "now", "after_step", "alarm", "text")
right = st.fixed_dictionaries(
    {"id": st.just("01HF9Q2TJ3C5J8V2M5W6X7Y8Z9"), "not_after_s": st.floats(NOW_s - 10.0, NOW_s + 100.0)},
    optional=dict.fromkeys(NAMES[2:], plain),
)
payloads = (
    st.binary(max_size=200)
    | plain.map(lambda value: json.dumps(value).encode())
    | (right | st.dictionaries(st.sampled_from(NAMES), plain)).map(lambda table: json.dumps(table).encode())
)
topics = st.sampled_from([f"operando/v1/magnet-2/cmd/eve/{level}" for level in (*COMMAND_LEVELS, "explode", "")]) | st.text(max_size=40)


@quick
@given(topics, payloads, st.booleans())
@example("operando/v1/magnet-2/cmd/eve/abort", b"[" * 16000, False)
@example("operando/v1/magnet-2/cmd/eve/abort", b'{"id": "a", "not_after_s": NaN}', False)
@example("operando/v1/magnet-2/cmd/eve/note", b'{"id": "abcdefgh", "not_after_s": 1.7e9, "text": "\\ud800"}', False)
def test_a_message_is_a_command_in_its_time_or_refused(topic: str, payload: bytes, retained: bool) -> None:
    judged = judge(TOPICS, topic, payload, retained=retained, now_s=NOW_s)
    if judged is None or judged.refused is not None:
        return
    sent: dict[str, Any] = json.loads(payload)
    assert not retained
    assert 0.0 <= sent["not_after_s"] - NOW_s <= LONGEST_AHEAD_s
    assert judged.verb in COMMAND_LEVELS.values()
    assert judged.who == "eve" or judged.who.startswith("eve (")
    complaint(judged.verb, judged.arguments)
    json.dumps([judged.arguments, judged.reason]).encode()


fields = st.sampled_from(["1", "-2.5E-04", "9.91E37", "0", "1e308", "-1e308", "nan", "", "x", "1700000000", "0.5"])


@quick
@given(st.lists(fields, min_size=6, max_size=6) | st.lists(fields, min_size=12, max_size=12))
@example(["1", "2", "3", "4", "5", "1e308"])
@example(["1", "2", "3", "4", "1e308", "0"])
def test_readings_have_times_that_fit_or_are_refused(row: list[str]) -> None:
    try:
        rows = wire.parse_rows(",".join(row), len(row) // 6)
    except ValueError:
        return
    for one in rows:
        assert 0 <= one.device_ns < 1 << 63
        assert all(math.isfinite(value) or math.isnan(value) for value in (one.read, one.source))


@pytest.mark.timeout(30)
@pytest.mark.parametrize("end", ["!", "/", "\u00fc", "\n"])
def test_a_long_path_is_refused_at_once(end: str) -> None:
    """The agent names the folder: a pattern that tries every division of a name would hold up the whole rig."""
    with pytest.raises(topspin.Rejected):
        topspin.safe_path("/opt/topspin/" + "a" * 200 + end)


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"ev": "started", "seq": 1, "block": null}', b'{"ev": "x", "seq": 1, "block": "b"}'])
def test_a_line_of_the_agent_that_is_none_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"nests|number belongs"):
        topspin.parse(line)
