"""Bytes of MaRCoS against goldens put together by hand, and words of its sequencer against the public description."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from drivers.errors import BadReply, Rejected
from drivers.marcos import wire
from drivers.marcos.wire import Replies, Step


@pytest.fixture
def golden(repository: Path) -> dict[str, bytes]:
    lines = (repository / "tests" / "golden" / "marcos" / "messages.hex").read_text().splitlines()
    return {line.split()[0]: bytes.fromhex(line.split()[1]) for line in lines if not line.startswith("#")}


def test_every_request_is_the_golden_one(golden: dict[str, bytes]) -> None:
    said = {
        "who_request": (2, {"are_you_real": 0}),
        "registers_request": (4, {"regstatus": 0}),
        "run_request": (6, {"run_seq": struct.pack("<I", 0x01000000)}),
        "direct_request": (12, {"direct": wire.direct(wire.Buffer.TX0_I, 0)}),
        "halt_request": (14, {"halt_and_reset": 0}),
    }
    for name, (index, data) in said.items():
        assert wire.request(index, data) == golden[name], name


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_replies_come_whole_however_they_were_cut(golden: dict[str, bytes], size: int) -> None:
    names = [name for name in golden if name.endswith("_reply")]
    stream, replies = b"".join(golden[name] for name in names), Replies()
    found = [reply for at in range(0, len(stream), size) for reply in replies.feed(stream[at : at + size])]
    assert [reply.raw for reply in found] == [golden[name] for name in names]
    assert [reply.index for reply in found] == [3, 5, 7, 9, 11]
    who, registers, run, nothing, version = found
    assert (who.data, who.version) == ({"are_you_real": "hardware"}, (1, 0, 2))
    assert wire.state_of(registers.data["regstatus"]) == wire.HALT_STATE
    assert wire.samples(run.data["run_seq"]) == ([1, -1, -(1 << 31)], [2, 0, (1 << 31) - 1])
    assert nothing.warnings == ("no RX data received",)
    assert version.version == (3, 0, 0)
    assert "significantly different" in version.errors[0]
    with pytest.raises(BadReply):
        wire.samples(nothing.data["run_seq"])


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\xc1",
        bytes.fromhex("ddffffffff"),  # an array of four thousand million
        bytes.fromhex("9600000000 00 00".replace(" ", "")),
        bytes.fromhex("96cc800300808080"),  # a version that is a map
        b"\x81\x90\x00",
    ],
)
def test_what_is_no_reply_is_said_at_once(garbage: bytes) -> None:
    with pytest.raises(BadReply):
        Replies().feed(garbage)


def test_words_of_the_sequencer() -> None:
    """17 buffers to zero, last one first; two values that appear together; waits of n - 3; the end."""
    code = struct.unpack("<25I", wire.words([Step(10, ((5, 0x7FFF), (6, -1))), Step(14, ((15, 0),))], 16_777_250))
    assert list(code[:17]) == [(0x80 | buffer) << 24 for buffer in reversed(range(17))]
    assert code[17] == 0x02000005  # 8 ticks until the first of two instructions
    assert code[18:20] == (0x85017FFF, 0x8600FFFF)  # the first is held for one tick
    assert code[20:22] == (0x02000000, 0x8F000000)
    assert code[22:] == (0x02FFFFFF, 0x0200000E, 0x01000000)  # 2^24 + 2, then 17
    assert 14 + (0xFFFFFF + 3) + 17 + 1 == 16_777_250 + 0


def test_steps_that_lie_too_close_are_refused() -> None:
    with pytest.raises(Rejected, match="too little"):
        wire.words([Step(10, ((5, 1),)), Step(11, ((6, 1), (7, 1)))], 100)
    with pytest.raises(Rejected, match="hours"):
        wire.words([], 1 << 60)


def test_versions_and_registers_that_are_none() -> None:
    with pytest.raises(ValueError, match="no version"):
        wire.request(0, {}, (1, 0, 256))
    for registers in (None, [], ["x"], 7):
        with pytest.raises(BadReply):
            wire.state_of(registers)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "msgpack", None)
    with pytest.raises(Exception, match="msgpack") as refusal:
        wire.request(0, {})
    assert "operando-nmr[marcos]" in str(refusal.value)
