"""One question, one answer, over a real socket: what a real one says, late, in pieces, garbled, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from drivers.errors import BadReply, NotReachable, Rejected
from drivers.neware import talk, wire
from drivers.neware.talk import Talk
from drivers.transport.real import RealNetwork

WELCOME = b'<bts version="1.0"><cmd>connect_resp</cmd><result>ok</result></bts>'
Answers = Callable[[bytes], list[bytes]]


@asynccontextmanager
async def served(answers: Answers) -> AsyncIterator[tuple[Talk, list[bytes]]]:
    """A port that answers each message with what ``answers`` gives for it, byte for byte."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                question = await reader.readuntil(wire.TERMINATOR)
            except (asyncio.IncompleteReadError, ConnectionError):
                return writer.close()
            heard.append(question)
            for piece in answers(question):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    conversation = Talk(RealNetwork(), "127.0.0.1", server.sockets[0].getsockname()[1], "cycler")
    try:
        yield conversation, heard
    finally:
        await conversation.close()
        server.close()


def but(answer: list[bytes]) -> Answers:
    """Welcome, and then this to everything."""
    return lambda question: [WELCOME, wire.TERMINATOR] if b"<cmd>connect<" in question else answer


async def test_a_real_answer_in_pieces(repository: Path) -> None:
    data = (repository / "tests/golden/neware/getdevinfo.reply").read_bytes()
    async with served(but([data[:100], data[100:-2], data[-2:]])) as (conversation, heard):
        found = await conversation.ask("getdevinfo", wire.devices())
        assert len(wire.addresses(found)) == 16
        await conversation.ask("getdevinfo", wire.devices())
    assert heard == [wire.connect(), wire.devices(), wire.devices()]


async def test_an_answer_to_something_else_is_passed_over(repository: Path) -> None:
    golden = repository / "tests/golden/neware"
    wrong, right = (golden / "inquiredf.reply").read_bytes(), (golden / "getdevinfo.reply").read_bytes()
    async with served(but([wrong, b"", right])) as (conversation, _):
        assert len(wire.addresses(await conversation.ask("getdevinfo", wire.devices()))) == 16


async def test_noise_costs_the_connection() -> None:
    async with served(but([b"\xff\x00<bts>" + wire.TERMINATOR])) as (conversation, heard):
        for _ in range(2):
            with pytest.raises(BadReply, match="no answer"):
                await conversation.ask("getdevinfo", wire.devices())
    assert heard == [wire.connect(), wire.devices()] * 2


async def test_silence_costs_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk, "REPLY_S", 0.05)
    async with served(but([b"<bts>"])) as (conversation, heard):
        for _ in range(2):
            with pytest.raises(NotReachable, match="does not answer"):
                await conversation.ask("getdevinfo", wire.devices())
    assert heard == [wire.connect(), wire.devices()] * 2


async def test_a_client_that_refuses_is_told_from_one_that_is_not_there() -> None:
    async with served(lambda _: [WELCOME.replace(b"ok", b"false"), wire.TERMINATOR]) as (conversation, _):
        with pytest.raises(Rejected, match="refuses"):
            await conversation.ask("getdevinfo", wire.devices())
    with pytest.raises(NotReachable):
        await conversation.ask("getdevinfo", wire.devices())
