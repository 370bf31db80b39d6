"""The golden dialogue on a real socket, in pieces of three sizes, at the computer's own speed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wire_taps import Silence

from drivers.base import AcquisitionOrder, Context, Filed, Progress, Settings
from drivers.clock import Clock
from drivers.spinsolve.driver import Spinsolve
from drivers.transport.real import RealNetwork

DIALOGUE = json.loads((Path(__file__).parents[2] / "golden" / "spinsolve" / "dialogue.json").read_text("utf-8"))["dialogue"]
SIZES = (1, 64, 5)


async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, folder: Path, said: list[str]) -> None:
    """The console's lines as they are written, the client's as they must come."""
    for turn, (who, text) in enumerate(DIALOGUE):
        if who == "<":
            heard = (await reader.readuntil(b"</Message>")).decode()
            said.append(heard)
            assert text in heard, f"turn {turn}: {heard}"
            continue
        body = text.replace("KEY", "step-12").replace("FOLDER", str(folder))
        data = f'<?xml version="1.0" encoding="utf-8"?><Message>{body}</Message>'.encode()
        size = SIZES[turn % len(SIZES)] if turn > 2 else len(data)
        for at in range(0, len(data), size):
            writer.write(data[at : at + size])
            await writer.drain()
    await reader.read()
    writer.close()


async def test_the_golden_dialogue(tmp_path: Path, make_data: Callable[..., bytes], make_parameters: Callable[..., str]) -> None:
    folder = tmp_path / "1"
    folder.mkdir()
    (folder / "data.1d").write_bytes(make_data([1 + 1j, 2j]))
    (folder / "acqu.par").write_text(make_parameters("opnmr_key=step-12;opnmr_block=0;opnmr_scans=16", 16, "1H"))
    said: list[str] = []
    played: list[asyncio.Task[None]] = []

    def arrive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        played.append(asyncio.create_task(play(reader, writer, folder, said)))

    server = await asyncio.start_server(arrive, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    settings = Settings("console", "spinsolve", f"127.0.0.1:{port}", options={"data_root": str(tmp_path)})
    driver = Spinsolve(settings, Context(Clock(), RealNetwork(), Silence()))
    try:
        await driver.connect()
        await driver.prepare(AcquisitionOrder("step-12", "p", "1H", {"acquisition_time_s": 0.4}, scans=16, recycle_s=0.6))
        await driver.start("step-12")
        events: list[Any] = []
        async for event in driver.events():
            events.append(event)
            if isinstance(event, Filed):
                break
        assert [type(event).__name__ for event in events if not isinstance(event, Progress)] == ["Started", "Acquired", "Filed"]
        assert [event.scans_done for event in events if isinstance(event, Progress)] == [8, 16]
        assert (await driver.fetch("step-12")).times.stamps["State Ready"] == "09:38:21"
    finally:
        await driver.release()
        await asyncio.gather(*played)
        server.close()
    assert len(said) == sum(who == "<" for who, _ in DIALOGUE)


async def test_nothing_listens() -> None:
    driver = Spinsolve(Settings("console", "spinsolve", "127.0.0.1:9"), Context(Clock(), RealNetwork(), Silence()))
    with pytest.raises(Exception, match=r"nothing listens at 127\.0\.0\.1:9"):
        await driver.connect()
