"""What a guard does when its disk, or the driver, fails it: it makes the cell safe all the same."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers import registry
from drivers.base import Context, Settings
from drivers.clock import Clock
from orchestrator.control.heartbeat import Heartbeat, SocketGuardLink, decode, encode
from orchestrator.guard import act
from orchestrator.guard.act import GuardLog, NoWire, make_safe, pause_s
from orchestrator.guard.process import Guard, Watched
from orchestrator.guard.watch import Due
from orchestrator.rig.emulators import EmulateRequest, make_emulators, make_twin

posix_only = pytest.mark.skipif(os.name == "nt", reason="posix_only: no FIFOs on Windows")
DEAD = Heartbeat(pid=2**22 + 1, started=1.0, cell="on", order="open circuit", last_sample_age_s=0.0)


@asynccontextmanager
async def emulated(repository: Path, folder: Path) -> AsyncIterator[str]:
    """The address of an emulated potentiostat on real wires."""
    clock = Clock()
    path = str(repository / "configs" / "twins" / "C1.yaml")
    request = EmulateRequest(("methodscript",), path, folder=str(folder))
    emulator = make_emulators(request, clock, registry.real_network(), make_twin(path, seed=1, t0_mono_ns=clock.mono_ns()))["methodscript"]
    try:
        yield (await emulator.start()).address
    finally:
        await emulator.stop()


async def acted(repository: Path, folder: Path) -> int:
    """The exit code of a guard whose rig has gone."""
    async with emulated(repository, folder / "emulated") as address, asyncio.timeout(30.0):
        guard = Guard(Watched(str(folder), "t", 2.0, "methodscript", address))
        guard.watch.beat(DEAD, 0.0)
        try:
            return await guard._act(Due("no heartbeat", 0.0))
        finally:
            guard.log.close(0.2)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "guard.jsonl").read_text("utf-8").splitlines()]


async def test_without_a_wire_log_it_acts_and_says_so(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "wire").write_text("a file where the folder should be")
    assert await acted(repository, tmp_path) == 0
    kinds = [line["kind"] for line in lines(tmp_path)]
    assert kinds == ["guard.acting", "guard.fenced", "guard.note", "guard.safe", "guard.acted"]


@posix_only
@pytest.mark.parametrize("name", ["guard.jsonl", "wire/potentiostat.guard.jsonl"])
async def test_a_disk_that_hangs_does_not_keep_it(repository: Path, tmp_path: Path, name: str) -> None:
    """A FIFO that nobody reads: whoever opens it waits for ever."""
    (tmp_path / "wire").mkdir()
    os.mkfifo(tmp_path / name)
    assert await acted(repository, tmp_path) == 0


async def failing(tmp_path: Path, error: Callable[[], Exception], monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    def broken(*_: object) -> None:
        raise error()

    monkeypatch.setattr(registry, "make_potentiostat", broken)
    monkeypatch.setattr(act, "pause_s", lambda failed: 0.0 if failed < 2 else 2.0 * act.GIVES_UP_s)
    log = GuardLog(tmp_path)
    context = Context(Clock(), registry.real_network(), NoWire())
    assert not await make_safe(Settings("potentiostat", "any", "any"), context, log)
    assert log.close()
    return lines(tmp_path)


def test_an_hour_of_tries_is_once_a_second_then_each_half_minute() -> None:
    pauses_s = [pause_s(failed) for failed in range(1, 400)]
    assert pauses_s[:60] == [1.0] * 60
    assert pauses_s == sorted(pauses_s)
    assert set(pauses_s[66:]) == {30.0}


@posix_only
async def test_a_person_is_told_at_once_of_an_instrument_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not when an hour of tries is over; and told again when it comes to an end."""
    monkeypatch.setattr(act, "pause_s", lambda failed: 0.01)
    told = tmp_path / "told"
    program = [
        sys.executable,
        "-c",
        f"import os; open({str(told)!r}, 'a').write(os.environ['OPERANDO_LEVEL'] + os.environ['OPERANDO_TITLE'])",
    ]
    guard = Guard(Watched(str(tmp_path), "t", 2.0, "methodscript", str(tmp_path / "gone"), notify=({"run": program},)))
    guard.watch.beat(DEAD, 0.0)
    acting = asyncio.create_task(guard._act(Due("no heartbeat", 0.0)))
    async with asyncio.timeout(30.0):
        while not told.exists() or "UNKNOWN" not in told.read_text("utf-8"):
            await asyncio.sleep(0.02)
    assert not acting.done()
    assert told.read_text("utf-8").startswith("critical")
    acting.cancel()
    await asyncio.wait({acting})
    await guard._close()


@pytest.mark.parametrize("error", [lambda: KeyError("status"), AssertionError, lambda: RuntimeError("a driver's bug")])
async def test_a_drivers_bug_does_not_end_the_attempts(
    tmp_path: Path, error: Callable[[], Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = await failing(tmp_path, error, monkeypatch)
    assert [line["attempt"] for line in said] == [1, 2]
    assert all(type(error()).__name__ in line["error"] for line in said)


async def test_the_whole_guard_stands_down_and_its_log_is_on_the_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    guard = Guard(Watched(str(tmp_path), "t", 60.0, "methodscript", "nowhere"))
    running = asyncio.create_task(guard.run())
    async with asyncio.timeout(10.0):
        while not (said := capsys.readouterr().out):
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection("127.0.0.1", json.loads(said)["port"])
        writer.write(encode({"token": "t"}))
        assert decode(await reader.readline())["watching"]
        await SocketGuardLink(reader, writer, 1).stand_down()
        assert await running == 0
    assert [line["kind"] for line in lines(tmp_path)] == ["guard.started", "guard.stood_down"]


@pytest.mark.parametrize("under_way", [False, True])
async def test_a_line_that_closes_before_the_first_heartbeat(repository: Path, tmp_path: Path, under_way: bool) -> None:
    """A first guard touches nothing; one that took another's place knows that current may flow."""
    async with emulated(repository, tmp_path / "emulated") as address, asyncio.timeout(30.0):
        guard = Guard(Watched(str(tmp_path), "t", 2.0, "methodscript", address, under_way=under_way))
        assert await guard._act(Due("the line to the rig closed", 0.0)) == 0
        guard.log.close()
    assert lines(tmp_path)[-1]["kind"] == ("guard.acted" if under_way else "guard.stood_down")


@posix_only
async def test_a_stream_that_breaks_does_not_undo_a_safe_state_that_was_read_back(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was said of the step is for whoever continues; the cell is safe without it."""

    async def broken(_self: object) -> AsyncIterator[object]:
        raise RuntimeError("a driver's bug")
        yield

    monkeypatch.setattr(registry.factory("potentiostats", "methodscript"), "events", broken)
    assert await acted(repository, tmp_path) == 0
    assert [line["kind"] for line in lines(tmp_path) if line["kind"] in {"guard.safe", "guard.failed"}] == ["guard.safe"]
