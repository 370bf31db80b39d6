"""Calls over a wire and on a thread: real sockets, real threads."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from biologic_bench import IDLE, KERNEL, Scripted
from wire_taps import Silence

from drivers.biologic import remote
from drivers.biologic.calls import RemoteCalls, ThreadCalls, is_remote
from drivers.biologic.eclib import DeviceInfos, EccParam
from drivers.biologic.remote import CALLS, serve
from drivers.biologic.sharing import OneConnection
from drivers.clock import Clock
from drivers.errors import BadReply, DeviceFault, NotReachable
from drivers.transport.real import RealNetwork


class Kept(Silence):
    """What went over the wire."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def sent(self, data: bytes) -> None:
        self.lines.append(data)

    def received(self, data: bytes) -> None:
        self.lines.append(data)


async def test_a_call_over_a_socket_is_the_call() -> None:
    backend, network = Scripted(BL_LoadTechnique=0), RealNetwork()
    served = await serve(network, backend)
    calls = RemoteCalls(network, served.address, "cycler")
    params = (EccParam("Current_step", 2, 0x3A03126F, 0), EccParam("vs_initial", 1, 0, 0))
    assert await calls.call("BL_LoadTechnique", 7, 0, "cplimit.ecc", params, 1, 1, 0) == 0
    assert backend.asked == [("BL_LoadTechnique", (7, 0, "cplimit.ecc", params, 1, 1, 0))]
    assert await calls.call("BL_GetChannelInfos", 7, 0) == (0, KERNEL)
    assert await calls.call("BL_GetChannelsPlugged", 7) == IDLE["BL_GetChannelsPlugged"]
    await calls.close()
    await served.stop()


async def test_what_is_not_a_call_of_the_dll_is_not_made() -> None:
    backend, network = Scripted(), RealNetwork()
    served = await serve(network, backend)
    calls = RemoteCalls(network, served.address, "cycler")
    for name in ("__init__", "system", "BL_FormatDisk"):
        with pytest.raises(DeviceFault, match="no call is named"):
            await calls.call(name)
    assert backend.asked == []
    assert "BL_GetData" in CALLS
    await calls.close()
    await served.stop()


async def test_a_broken_connection_is_made_anew() -> None:
    network = RealNetwork()
    served = await serve(network, Scripted())
    calls = RemoteCalls(network, served.address, "cycler")
    assert await calls.call("BL_StopChannel", 7, 0) == 0
    await served.cut()
    with pytest.raises(NotReachable):
        await calls.call("BL_StopChannel", 7, 0)
    assert await calls.call("BL_StopChannel", 7, 0) == 0
    await served.stop()
    with pytest.raises(NotReachable):
        await calls.call("BL_StopChannel", 7, 0)
    await calls.close()


async def test_silence_and_rubbish_are_told_apart() -> None:
    network = RealNetwork()
    listener = await network.listen()
    answers = iter([b"", b"not json\n", b'{"n":99,"answer":5}\n{"n":3,"answer":0}\n'])

    async def other_side() -> None:
        for answer in answers:
            stream = await listener.accept()
            await stream.read()
            if answer:
                await stream.write(answer)
            await stream.read()
            await stream.close()

    task = asyncio.create_task(other_side())
    calls = RemoteCalls(network, f"{listener.host}:{listener.port}", "cycler")
    with pytest.raises(NotReachable):
        await calls.call("BL_StopChannel", 7, 0, within_s=0.05)
    with pytest.raises(BadReply):
        await calls.call("BL_StopChannel", 7, 0)
    assert await calls.call("BL_StopChannel", 7, 0) == 0  # the answer with another number is not the one waited for
    await calls.close()
    await asyncio.wait_for(task, 5)
    await listener.close()


async def test_a_backend_of_this_computer_lives_on_one_thread() -> None:
    seen: set[str] = set()

    class Backend:
        def __init__(self) -> None:
            seen.add(threading.current_thread().name)

        def BL_StopChannel(self, ID: int, channel: int) -> int:
            seen.add(threading.current_thread().name)
            return 0

        def BL_StartChannel(self, ID: int, channel: int) -> int:
            raise OSError("access violation")

    wire = Kept()
    calls = ThreadCalls("one", Backend, Clock(), wire, "cycler")
    assert [await calls.call("BL_StopChannel", 7, 0) for _ in range(3)] == [0, 0, 0]
    with pytest.raises(DeviceFault, match="access violation"):
        await calls.call("BL_StartChannel", 7, 0)
    await calls.close()
    assert len(seen) == 1
    assert seen != {threading.current_thread().name}
    assert wire.lines[0] == remote.call_line(1, "BL_StopChannel", (7, 0))
    assert wire.lines[1] == remote.answer_line(1, 0)
    assert wire.lines[-1].startswith(b'{"n":4,"error":')


async def test_a_call_that_hangs_is_given_up_and_blocks_nobody_who_can_wait() -> None:
    let_go = threading.Event()

    class Backend:
        def BL_TestConnection(self, ID: int) -> int:
            let_go.wait(10)
            return 0

    calls = ThreadCalls("hangs", Backend, Clock(), Silence(), "cycler")
    for _ in range(2):
        with pytest.raises(NotReachable, match="did not return"):
            await calls.call("BL_TestConnection", 7, within_s=0.05)
    let_go.set()
    assert await calls.call("BL_TestConnection", 7) == 0
    await calls.close()


async def test_a_dll_that_cannot_be_loaded_says_so_each_time() -> None:
    def none() -> Any:
        raise NotReachable("no package there")

    calls = ThreadCalls("none", none, Clock(), Silence(), "cycler")
    for _ in range(2):
        with pytest.raises(NotReachable, match="no package there"):
            await calls.call("BL_TestConnection", 7)
    await calls.close()


@pytest.mark.parametrize(("address", "is_one"), [("127.0.0.1:50000", True), ("tcp://h:1", True), ("USB0", False), ("SN 365", False)])
def test_what_stands_in_for_an_instrument_has_a_port(address: str, is_one: bool) -> None:
    assert is_remote(address) is is_one


def test_plain_addresses_of_instruments_are_no_ports() -> None:
    assert not is_remote("192.109.209.226")


async def test_channels_of_one_instrument_share_the_thread_and_the_connection() -> None:
    seen: list[str] = []
    inside = Scripted(BL_TestConnection=[0, -200, 0])

    def opened() -> OneConnection:
        seen.append(threading.current_thread().name)
        return OneConnection(inside)

    first, second = (ThreadCalls("shared", opened, Clock(), Silence(), f"cycler-{number}") for number in (1, 2))
    for calls in (first, second):
        assert (await calls.call("BL_Connect", "USB0", 5))[:2] == (0, 7)
    assert inside.names("BL_Connect") == ["BL_Connect"]
    assert await first.call("BL_Disconnect", 7) == 0
    assert inside.names("BL_Disconnect") == []
    assert await second.call("BL_Disconnect", 7) == 0
    assert inside.names("BL_Disconnect") == ["BL_Disconnect"]
    await first.close()
    assert await second.call("BL_GetChannelBoardType", 7, 0) == IDLE["BL_GetChannelBoardType"]
    await second.close()
    assert len(seen) == 1


def test_a_connection_that_died_is_given_to_nobody_else() -> None:
    inside = Scripted(BL_Connect=[(0, 7, DeviceInfos()), (0, 8, DeviceInfos())], BL_TestConnection=[0, -200])
    backend = OneConnection(inside)
    assert [backend.BL_Connect("USB0", 5)[1] for _ in range(2)] == [7, 7]
    assert [backend.BL_TestConnection(7) for _ in range(2)] == [0, -200]
    backend.BL_Disconnect(7)
    assert backend.BL_Connect("USB0", 5)[1] == 8
    backend.BL_Disconnect(7)
    assert backend.BL_Connect("USB0", 5)[1] == 8
    assert backend.BL_Disconnect(99) == 0
    failing = OneConnection(Scripted(BL_Connect=[(-201, 0, DeviceInfos()), (0, 9, DeviceInfos())]))
    assert [failing.BL_Connect("USB0", 5)[:2] for _ in range(2)] == [(-201, 0), (0, 9)]
