"""Text and bytes that a person, a disk or a program hands us: YAML, journals, messages. Each is read, or refused as it should be."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from orchestrator.config import ConfigError, load_cell, load_rig, load_twin, parse_experiment
from orchestrator.control.heartbeat import Heartbeat, decode, encode, heartbeat_from
from orchestrator.control.messages import ARGUMENTS, Answer, Command, complaint
from orchestrator.control.server import ControlServer
from orchestrator.model.experiment import Experiment
from orchestrator.recorder.records import JournalError, Reader

CONFIGS = Path(__file__).parents[2] / "configs"
JOURNAL = Path(__file__).parents[1] / "golden" / "journals" / "v1.sqlite"

quick = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
few = settings(quick, max_examples=40)
SCRAPS = st.sampled_from(
    ["", ":", " ", "{", "}", "[", "]", "- ", "\n", "\t", "&a ", "*a", "!!python/x ", "|", ">", "%", "'", '"', "---\n", "\ufeff", "\x00"]
)
SCRAPS |= st.sampled_from(["1e999", ".nan", "0x10", "~", "2026-01-01", "<<: *a", "? a", "#", "\u2028", "\ud800"])


@st.composite
def spoilt(draw: st.DrawFn, folder: str) -> str:
    """A file of configs/ with a few scraps in it."""
    text = draw(st.sampled_from(sorted((CONFIGS / folder).glob("*.yaml")))).read_text("utf-8")
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 30))
        text = text[:at] + draw(SCRAPS | st.text(max_size=6)) + text[at + length :]
    return text


def read_or_explained(read: Callable[[], Any]) -> Any:
    """What was read; None where every mistake was named."""
    try:
        return read()
    except ConfigError as error:
        problems = error.problems
    assert problems
    return None


# -------------------------------------------------------------------------------------------------------------- YAML


@quick
@given(st.text(max_size=200) | st.lists(SCRAPS, max_size=30).map("".join))
@example("a: &a [*a]")
@example("experiment: &a {b: *a}")
@example("? {a: 1}\n: 2")
@example("{[1]: 2}")
@example("a: !!binary x")
@example("[" * 3000)
@example("[" * 60 + "]" * 60)
@example("a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(f"{n}: &{n} [{', '.join(['*' + m] * 9)}]\n" for m, n in pairwise("abcdefghij")))
@example("a: " + "{b: " * 300)
@example("version: 99999999999999999999999999999999")
@example("version: 0x" + "f" * 6000)
def test_any_text_is_an_experiment_or_explained(text: str) -> None:
    assert isinstance(read_or_explained(lambda: parse_experiment(text)), Experiment | None)


@few
@given(spoilt("experiments"))
def test_a_spoilt_experiment(text: str) -> None:
    read_or_explained(lambda: parse_experiment(text, file=str(CONFIGS / "experiments" / "spoilt.yaml")))


@few
@given(spoilt("rigs"), st.sampled_from([load_rig, load_cell, load_twin]))
def test_a_spoilt_rig_cell_or_twin(tmp_path: Path, text: str, load: Callable[[Path], Any]) -> None:
    path = tmp_path / "spoilt.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    read_or_explained(lambda: load(path))


@quick
@given(st.binary(max_size=120))
@example(b"\xff\xfe")
@example(b"experiment: \xe9")
def test_bytes_that_are_no_text(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bytes.yaml"
    path.write_bytes(data)
    for load in (load_rig, load_cell, load_twin):
        read_or_explained(lambda load=load: load(path))


# ------------------------------------------------------------------------------------------------------------ journals


@quick
@given(
    st.lists(st.tuples(st.integers(0, JOURNAL.stat().st_size - 1), st.binary(min_size=1, max_size=64)), min_size=1, max_size=6),
    st.none() | st.integers(0, JOURNAL.stat().st_size),
)
@example([(3907, b"\x80")], None)
def test_a_damaged_journal_is_read_as_far_as_it_is_whole(tmp_path: Path, wounds: list[tuple[int, bytes]], cut_at: int | None) -> None:
    content = bytearray(JOURNAL.read_bytes())
    for at, what in wounds:
        content[at : at + len(what)] = what
    path = tmp_path / "journal.sqlite"
    path.write_bytes(content[:cut_at])
    with Reader(JOURNAL) as whole:
        truth = {event.seq: (event.kind, event.mono_ns, event.data, event.blob) for event in whole.events()}
    with Reader(path) as reader:
        try:
            broken = reader.check_chain()
            good = reader.whole_until
            events = {event.seq: (event.kind, event.mono_ns, event.data, event.blob) for event in reader.events() if event.seq <= good}
        except (JournalError, sqlite3.DatabaseError):
            return
    assert broken is not None or good in (0, len(truth)) or list(events) == list(range(1, good + 1))
    assert all(event == truth[seq] for seq, event in events.items()), "a record that passes its CRC is the one that was written"


# ------------------------------------------------------------------------------------------------------------- control

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@quick
@given(
    st.sampled_from([*ARGUMENTS, "explode", ""]),
    st.dictionaries(st.sampled_from(["now", "name", "text", "every_s", "x"]), plain, max_size=3),
)
def test_a_command_is_right_or_said_to_be_wrong(verb: str, arguments: dict[str, Any]) -> None:
    wrong = complaint(verb, arguments)
    assert wrong is None or wrong
    if wrong is None:
        assert set(arguments) <= {argument.name for argument in ARGUMENTS[verb]}


@quick
@given(st.binary(max_size=100) | plain.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 100_000)
@example(b"9" * 5000)
def test_a_line_is_a_message_or_a_value_error(line: bytes) -> None:
    try:
        message = decode(line)
        heartbeat_from(message)
    except ValueError:
        return


@quick
@given(
    st.builds(
        Heartbeat,
        st.integers(),
        st.floats(allow_nan=False),
        st.just("on"),
        st.just("open circuit"),
        *[st.none() | st.floats(allow_nan=False)] * 2,
        lower_V=st.none() | st.floats(allow_nan=False),
        upper_V=st.none() | st.floats(allow_nan=False),
        most_A=st.none() | st.floats(allow_nan=False),
    )
)
def test_a_heartbeat_comes_back(heartbeat: Heartbeat) -> None:
    assert heartbeat_from(decode(encode({"beat": heartbeat._asdict()}))) == heartbeat


LINES = st.lists(
    st.binary(max_size=80).map(lambda line: line.replace(b"\n", b""))
    | plain.map(lambda value: json.dumps(value).encode())
    | st.fixed_dictionaries({"token": st.just("TOKEN")}, optional={"id": plain, "verb": plain, "arguments": plain, "who": plain}).map(
        lambda message: json.dumps(message).encode()
    ),
    min_size=1,
    max_size=8,
)


@settings(few, max_examples=25)
@given(LINES)
@example([b"[" * 60000])
@example([b'{"token": "TOKEN", "id": [], "verb": "status"}'])
@example([b'{"token": "TOKEN", "id": "1", "verb": [], "arguments": {}}'])
@example([b'{"token": "TOKEN", "id": "1", "verb": "status", "arguments": [1]}'])
@example([b'{"token": "\\u00e9"}'])
async def test_the_control_socket_answers_every_line(tmp_path: Path, lines: list[bytes]) -> None:
    """A stranger's lines are answered with no, and the next right command is still obeyed."""
    obeyed: list[str] = []

    async def answering(command: Command) -> Answer:
        obeyed.append(command.id)
        return Answer(command.id, ok=True, text="done")

    async with ControlServer(tmp_path, tmp_path, answering):
        known = json.loads((tmp_path / "control.json").read_text("utf-8"))
        right = json.dumps({"token": known["token"], "id": "right", "verb": "status"}).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", known["port"])
        writer.writelines(line.replace(b"TOKEN", known["token"].encode()) + b"\n" for line in [*lines, right])
        async with asyncio.timeout(10):
            answers = [json.loads(await reader.readline()) for _ in [*lines, right]]
        writer.close()
        await writer.wait_closed()
    assert answers[-1]["ok"]
    assert "right" in obeyed


@pytest.fixture(autouse=True)
def _nothing_left_in_the_loop(caplog: pytest.LogCaptureFixture) -> Any:
    yield
    assert not [record for record in caplog.records if record.name == "asyncio" and record.levelname == "ERROR"], caplog.text
