"""Every byte both ways in the file, and the same exchange played back from it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.base import ByteStream, Network
from drivers.clock import Clock
from drivers.errors import Diverged, Exhausted, InstrumentError, NotReachable
from drivers.registry import recorded_network, replay_network, wire_log
from drivers.transport import recording
from drivers.transport.memory import MemoryNetwork
from drivers.transport.recording import WireLog
from drivers.transport.virtual import run_virtual

S = 1_000_000_000


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# ------------------------------------------------------------------------------------------------------------- the file


def test_virtual_lines_are_written_with_their_instants(tmp_path: Path) -> None:
    async def main(clock: Clock) -> None:
        log = WireLog(tmp_path / "wire" / "a.jsonl", clock)
        log.sent(b"t\n")
        await clock.sleep(0.25)
        log.received(b"\x00\xff")
        log.close()

    run_virtual(main, epoch_utc_ns=7)
    assert lines(tmp_path / "wire" / "a.jsonl") == [
        {"mono_ns": 0, "utc_ns": 7, "dir": "tx", "text": "t\n"},
        {"mono_ns": S // 4, "utc_ns": S // 4 + 7, "dir": "rx", "hex": "00ff"},
    ]


def test_virtual_lines_do_not_wait_for_the_end(tmp_path: Path) -> None:
    async def main(clock: Clock) -> None:
        log = WireLog(tmp_path / "a.jsonl", clock)
        for _ in range(recording.VIRTUAL_BATCH):
            log.sent(b"t\n")
        assert len(lines(tmp_path / "a.jsonl")) == recording.VIRTUAL_BATCH
        log.close()

    run_virtual(main)


def test_every_byte_can_be_read_back(tmp_path: Path) -> None:
    log = wire_log(tmp_path / "a.jsonl", Clock())
    pieces = [bytes([n]) for n in range(256)] + [bytes(range(256)), b"", b"Pda7F85F3Fu;ba 48D503Dp\r\n\t"]
    for piece in pieces:
        log.received(piece)
    log.close()
    back = [line["text"].encode() if "text" in line else bytes.fromhex(line["hex"]) for line in lines(tmp_path / "a.jsonl")]
    assert back == pieces


def test_what_finds_no_room_is_counted_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "QUEUED_BYTES", 1000)
    log = WireLog(tmp_path / "a.jsonl", Clock())
    stuck, may_go = threading.Event(), threading.Event()
    write = log._write

    def slow_disk(text: list[str], missing: int) -> None:
        stuck.set()
        assert may_go.wait(5)
        write(text, missing)

    monkeypatch.setattr(log, "_write", slow_disk)
    log.sent(b"first")
    assert stuck.wait(5)
    for _ in range(50):
        log.sent(b"x" * 100)
    may_go.set()
    log.close()
    written = lines(tmp_path / "a.jsonl")
    assert written[-1]["dropped"] == log.dropped == 50 - (len(written) - 2)
    assert 0 < log.dropped < 50


def test_a_full_disk_never_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = WireLog(tmp_path / "a.jsonl", Clock())

    class FullDisk:
        full = True

        def __init__(self, file: Any) -> None:
            self.file = file

        def write(self, text: str) -> None:
            if self.full:
                raise OSError(28, "no space left on device")
            self.file.write(text)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    disk = FullDisk(log._file)
    monkeypatch.setattr(log, "_file", disk)
    for _ in range(10):
        log.sent(b"x")
    while log.dropped < 10:
        threading.Event().wait(0.001)
    disk.full = False
    log.sent(b"room again")
    log.close()
    written = lines(tmp_path / "a.jsonl")
    assert [line.get("text") for line in written] == ["room again", None]
    assert written[1]["dropped"] == 10
    assert log.dropped == 10


def test_links_are_told_apart(tmp_path: Path) -> None:
    async def main(clock: Clock) -> None:
        log = wire_log(tmp_path / "a.jsonl", clock)
        memory = MemoryNetwork()
        network = recorded_network(memory, log)
        console = await memory.listen()
        back = await network.listen()
        command = await network.connect("127.0.0.1", console.port)
        await command.write(b"au\0")
        server = await console.accept()
        answering = await memory.connect("127.0.0.1", back.port)
        answer = await back.accept()
        await answering.write(b"DONE\n")
        await answering.close()
        assert await answer.read() == b"DONE\n"
        assert await answer.read() == b""
        await server.close()
        log.close()

    run_virtual(main)
    assert [(line["link"], line["dir"], line.get("text", line.get("hex"))) for line in lines(tmp_path / "a.jsonl")] == [
        (0, "tx", ""),
        (0, "tx", "617500"),
        (1, "rx", ""),
        (1, "rx", "DONE\n"),
        (1, "rx", ""),
    ]


# ---------------------------------------------------------------------------------------------------------- the replay


async def _identify_and_stream(clock: Clock, network: Network, address: str) -> list[tuple[int, bytes]]:
    """A driver in small: ask, read the answer, start, read a stream."""
    stream = await network.serial(address)
    log = []
    for question, answers in ((b"t\n", 1), (b"r\n", 4)):
        await stream.write(question)
        log += [(clock.mono_ns(), await stream.read()) for _ in range(answers)]
    await stream.close()
    return log


async def _instrument(clock: Clock, device: ByteStream) -> None:
    assert await device.read() == b"t\n"
    await device.write(b"tes4_hr1500\n")
    assert await device.read() == b"r\n"
    for n in range(4):
        await clock.sleep(1)
        await device.write(b"P%d\n" % n)


def _record(path: Path) -> list[tuple[int, bytes]]:
    async def main(clock: Clock) -> list[tuple[int, bytes]]:
        memory = MemoryNetwork()
        device, address = await memory.serve_serial("potentiostat")
        log = wire_log(path, clock)
        instrument = asyncio.ensure_future(_instrument(clock, device))
        seen = await _identify_and_stream(clock, recorded_network(memory, log), address)
        await instrument
        log.close()
        return seen

    return run_virtual(main)


def _replay(path: Path, driver: Callable[[Clock, Network], Any]) -> Any:
    async def main(clock: Clock) -> Any:
        return await driver(clock, replay_network(path, clock))

    return run_virtual(main)


def test_a_recording_plays_back_the_same_bytes_at_the_same_instants(tmp_path: Path) -> None:
    recorded = _record(tmp_path / "a.jsonl")
    assert [data for _, data in recorded] == [b"tes4_hr1500\n", b"P0\n", b"P1\n", b"P2\n", b"P3\n"]
    assert _replay(tmp_path / "a.jsonl", lambda clock, network: _identify_and_stream(clock, network, "anything")) == recorded


def test_writes_may_be_cut_differently(tmp_path: Path) -> None:
    _record(tmp_path / "a.jsonl")

    async def driver(clock: Clock, network: Network) -> bytes:
        stream = await network.serial("x")
        await stream.write(b"t")
        await stream.write(b"\n")
        assert await stream.read(3) == b"tes"
        assert await stream.read() == b"4_hr1500\n"
        await stream.write(b"r\n")
        return await stream.read()

    assert _replay(tmp_path / "a.jsonl", driver) == b"P0\n"


def test_other_bytes_than_recorded_are_an_error_that_shows_both(tmp_path: Path) -> None:
    _record(tmp_path / "a.jsonl")

    async def driver(clock: Clock, network: Network) -> None:
        stream = await network.serial("x")
        await stream.write(b"t\n")
        await stream.write(b"e\n")

    with pytest.raises(Diverged, match="line 4 of the recording") as caught:
        _replay(tmp_path / "a.jsonl", driver)
    assert caught.value.sent == b"e\n"
    assert caught.value.received == b"r\n"


def test_an_answer_waits_for_its_question(tmp_path: Path) -> None:
    _record(tmp_path / "a.jsonl")

    async def driver(clock: Clock, network: Network) -> None:
        stream = await network.serial("x")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(100):
                await stream.read()
        await stream.write(b"t\n")
        assert await stream.read() == b"tes4_hr1500\n"

    _replay(tmp_path / "a.jsonl", driver)


def test_the_end_of_the_recording_is_said(tmp_path: Path) -> None:
    _record(tmp_path / "a.jsonl")

    async def driver(clock: Clock, network: Network) -> None:
        await _identify_and_stream(clock, network, "x")

    async def reads_on(clock: Clock, network: Network) -> None:
        stream = await network.serial("x")
        await stream.write(b"t\nr\n")
        while True:
            await stream.read()

    async def writes_on(clock: Clock, network: Network) -> None:
        await (await network.serial("x")).write(b"t\nr\nZ\n")

    async def opens_more(clock: Clock, network: Network) -> None:
        await network.serial("x")
        await network.connect("127.0.0.1", 1)

    _replay(tmp_path / "a.jsonl", driver)
    for beyond in (reads_on, writes_on, opens_more):
        with pytest.raises(Exhausted):
            _replay(tmp_path / "a.jsonl", beyond)


def test_closing_ends_a_replayed_read(tmp_path: Path) -> None:
    _record(tmp_path / "a.jsonl")

    async def driver(clock: Clock, network: Network) -> bytes:
        stream = await network.serial("x")
        reading = asyncio.ensure_future(stream.read())
        await clock.sleep(1)
        await stream.close()
        return await reading

    assert _replay(tmp_path / "a.jsonl", driver) == b""


async def _command_and_back_channel(clock: Clock, network: Network, port: int) -> list[tuple[int, bytes]]:
    """A console in small: each command is a connection of its own, each answer comes to our listener."""
    listener = await network.listen("127.0.0.1", 47010)
    seen: list[tuple[int, bytes]] = []

    async def answers() -> None:
        while len(seen) < 4:
            stream = await listener.accept()
            while data := await stream.read():
                seen.append((clock.mono_ns(), data))
            seen.append((clock.mono_ns(), b""))

    async with asyncio.TaskGroup() as group:
        group.create_task(answers())
        for n in range(2):
            command = await network.connect("127.0.0.1", port)
            await command.write(b"au %d\0" % n)
            await command.close()
            await clock.sleep(10)
    return seen


def test_back_channels_are_played_in_their_turn(tmp_path: Path) -> None:
    path = tmp_path / "console.jsonl"

    async def record(clock: Clock) -> list[tuple[int, bytes]]:
        memory = MemoryNetwork()
        console = await memory.listen()
        log = wire_log(path, clock)

        async def serve() -> None:
            for _ in range(2):
                command = await (await console.accept()).read()
                await clock.sleep(3)
                back = await memory.connect("127.0.0.1", 47010)
                await back.write(b"DONE " + command)
                await back.close()

        async with asyncio.TaskGroup() as group:
            group.create_task(serve())
            seen = await _command_and_back_channel(clock, recorded_network(memory, log), console.port)
        log.close()
        return seen

    recorded = run_virtual(record)
    assert [data for _, data in recorded] == [b"DONE au 0\0", b"", b"DONE au 1\0", b""]
    assert _replay(path, lambda clock, network: _command_and_back_channel(clock, network, 1)) == recorded


def test_a_recording_with_gaps_or_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gap.jsonl").write_text('{"mono_ns": 1, "utc_ns": 1, "dropped": 3}\n')
    (tmp_path / "empty.jsonl").write_text("")
    for name, words in (("gap.jsonl", "line 1: 3 pieces were not recorded"), ("empty.jsonl", "holds no bytes")):
        with pytest.raises(Exhausted, match=words):
            replay_network(tmp_path / name, Clock())


def test_a_line_cut_off_by_a_kill_is_ignored(tmp_path: Path) -> None:
    _record(tmp_path / "a.jsonl")
    text = (tmp_path / "a.jsonl").read_text()
    (tmp_path / "a.jsonl").write_text(text[:-10])

    async def driver(clock: Clock, network: Network) -> list[bytes]:
        stream = await network.serial("x")
        await stream.write(b"t\nr\n")
        return [await stream.read() for _ in range(4)]

    assert _replay(tmp_path / "a.jsonl", driver) == [b"tes4_hr1500\n", b"P0\n", b"P1\n", b"P2\n"]


def test_lines_without_links_are_one_stream(tmp_path: Path) -> None:
    entries = [{"mono_ns": 5, "utc_ns": 5, "dir": "tx", "text": "i\n"}, {"mono_ns": 9, "utc_ns": 9, "dir": "rx", "hex": "6900"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))

    async def driver(clock: Clock, network: Network) -> tuple[bytes, int]:
        stream = await network.serial("x")
        await stream.write(b"i\n")
        return await stream.read(), clock.mono_ns()

    assert _replay(tmp_path / "a.jsonl", driver) == (b"i\0", 4)


def test_a_recording_serves_no_emulator(tmp_path: Path) -> None:
    _record(tmp_path / "a.jsonl")

    async def driver(clock: Clock, network: Network) -> None:
        await network.serve_serial("potentiostat")

    with pytest.raises(InstrumentError, match="cannot be served"):
        _replay(tmp_path / "a.jsonl", driver)


def test_a_listener_without_recorded_connections_waits_until_closed(tmp_path: Path) -> None:
    _record(tmp_path / "a.jsonl")

    async def driver(clock: Clock, network: Network) -> None:
        listener = await network.listen()
        accepting = asyncio.ensure_future(listener.accept())
        await clock.sleep(1000)
        assert not accepting.done()
        await listener.close()
        with pytest.raises(NotReachable, match="no longer listens"):
            await accepting

    _replay(tmp_path / "a.jsonl", driver)
