"""A plain client of an Arbin's console interface, written from the reference and from where the public client's fields lie."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

from biologic_client import CapacitorTwin, NoWire

from drivers.arbin.emulator import ArbinEmulator
from drivers.base import Context, Settings
from drivers.clock import Clock

HEADER = 0x11DDDDDDDDDDDDDD
LOGIN, INFO, ASSIGN, START, STOP, SET = 0xEEAB0001, 0xEEAB0003, 0xBB210001, 0xBB320004, 0xBB310001, 0xBB150001
ANSWERS = {LOGIN: 0xEEBA0001, INFO: 0xEEBA0003, ASSIGN: 0xBB120001, START: 0xBB230004, STOP: 0xBB130001, SET: 0xBB510001}
IDLE, CHARGE, DISCHARGE, REST, UNSAFE, ERROR, FINISHED, PAUSE = 0, 2, 3, 4, 8, 14, 15, 18


def framed(command: int, payload: bytes, *, behind: bool = True) -> bytes:
    """``behind``: the length counts all behind it, as in the public client's requests; else all from the header, without the checksum."""
    size = 20 + len(payload)
    message = struct.pack("<QIII", HEADER, size - 10 if behind else size, command, 0) + payload
    return message + struct.pack("<H", sum(message) & 0xFFFF)


def wide(text: str, size: int) -> bytes:
    return text.encode("utf-16-le").ljust(size, b"\0")


def login_request(user: str, password: str) -> bytes:
    return framed(LOGIN, user.encode().ljust(32, b"\0") + password.encode().ljust(32, b"\0"))


def info_request(channel: int) -> bytes:
    return framed(INFO, struct.pack("<hhI", channel, 1, 0) + bytes(32))


def assign_request(channel: int, schedule: str, mv: dict[int, float], barcode: str = "") -> bytes:
    values = [mv.get(n, 0.0) for n in range(1, 17)]
    return framed(
        ASSIGN,
        struct.pack("<iB", channel, 0)
        + wide(schedule, 400)
        + struct.pack("<f", 1.0)
        + wide(barcode, 144)
        + struct.pack("<16f", *values)
        + bytes(32),
    )


def start_request(channel: int, test: str) -> bytes:
    return framed(START, wide(test, 144) + struct.pack("<IH", 1, channel))


def stop_request(channel: int) -> bytes:
    return framed(STOP, struct.pack("<IB", channel, 0) + bytes(101))


def set_request(channel: int, code: int, value: float) -> bytes:
    return framed(SET, struct.pack("<Iii", channel, 1, code) + bytes(16) + struct.pack("<if", 1, value) + bytes(16))


class Host:
    """The emulator, and one client of its computer; ``ch`` counts from 0."""

    def __init__(self, clock: Clock, network: Any, **options: Any) -> None:
        self.clock, self.network = clock, network
        self.twin = CapacitorTwin(clock)
        settings = Settings("arbin", "arbin", "", options=options)
        self.emulator = ArbinEmulator(settings, Context(clock, network, NoWire(), self.twin))
        self.stream: Any = None
        self.reads: list[bytes] = []
        self.ch = int(options.get("channel", 1)) - 1
        self.tests = 0

    async def begin(self) -> None:
        self.port = (await self.emulator.start()).port
        assert await self.connect() == 1

    async def end(self) -> None:
        await self.stream.close()
        await self.emulator.stop()

    async def connect(self, password: str = "000000") -> int:
        self.stream = await self.network.connect("127.0.0.1", self.port)
        self.greeting = await self.ask(login_request("admin", password))
        return int(struct.unpack_from("<I", self.greeting, 20)[0])

    async def ask(self, request: bytes, within_s: float = 100.0) -> bytes:
        """One answer, its frame and checksum checked as the reference says."""
        await self.stream.write(request)
        async with asyncio.timeout(within_s):
            found = await self._exactly(12)
            header, length = struct.unpack("<QI", found)
            assert header == HEADER
            found += await self._exactly(length + 2 - 12)
        (command,) = struct.unpack_from("<I", request, 12)
        assert struct.unpack_from("<II", found, 12) == (ANSWERS[command], 0)
        assert struct.unpack_from("<H", found, length)[0] == sum(found[:length]) & 0xFFFF, "checksum"
        return found

    async def _exactly(self, size: int) -> bytes:
        while sum(map(len, self.reads)) < size:
            data = await self.stream.read(4096)
            if not data:
                raise EOFError
            self.reads.append(data)
        whole = b"".join(self.reads)
        self.reads = [whole[size:]] if whole[size:] else []
        return whole[:size]

    async def tell(self, request: bytes) -> int:
        """The result code."""
        found = await self.ask(request)
        assert struct.unpack_from("<I", found, 8)[0] == 128
        return found[24]

    async def assign(self, schedule: str, *, barcode: str = "", **mv: float) -> int:
        return await self.tell(assign_request(self.ch, schedule, {int(name[1:]): value for name, value in mv.items()}, barcode))

    async def start(self, test: str = "") -> int:
        self.tests += 1
        return await self.tell(start_request(self.ch, test or f"test {self.tests}"))

    async def stop(self) -> int:
        return await self.tell(stop_request(self.ch))

    async def run(self, schedule: str, **mv: float) -> None:
        assert await self.assign(schedule, **mv) == 0
        assert await self.start() == 0

    async def info(self, channel: int | None = None) -> dict[str, Any]:
        found = await self.ask(info_request(self.ch if channel is None else channel))
        names = ("voltage", "current", "power", "charge", "discharge", "charge_Wh", "discharge_Wh")
        text = {"schedule": (31, 400), "test": (431, 144), "barcode": (739, 144)}
        narrow = {"exit": (575, 100), "where": (675, 64)}
        return {
            "length": len(found),
            "channel": struct.unpack_from("<I", found, 24)[0],
            "status": struct.unpack_from("<h", found, 28)[0],
            "comm_failure": found[30],
            **{name: found[at : at + size].decode("utf-16-le").rstrip("\0") for name, (at, size) in text.items()},
            **{name: found[at : at + size].decode().rstrip("\0") for name, (at, size) in narrow.items()},
            "test_s": struct.unpack_from("<d", found, 1685)[0],
            "step_s": struct.unpack_from("<d", found, 1693)[0],
            **dict(zip(names, struct.unpack_from("<7f", found, 1701), strict=True)),
        }

    async def status(self) -> int:
        return int((await self.info())["status"])

    async def until(self, status: int, every_s: float = 1.0, most: int = 5000) -> dict[str, Any]:
        for _ in range(most):
            found = await self.info()
            if found["status"] == status:
                return found
            await self.clock.sleep(every_s)
        raise AssertionError(f"it never was {status}")
