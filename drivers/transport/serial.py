"""Serial ports by pyserial: the event loop reads where it can watch the port, a thread where not; another opens, writes and closes."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import serial
from serial.tools import list_ports

from drivers.base import ByteStream
from drivers.errors import NotReachable
from drivers.transport import tcp
from drivers.transport.inbox import Inbox

READ_POLL_S = 0.2
WRITE_TIMEOUT_S = 5.0
INBOX_BYTES = 1 << 20
PIECE_BYTES = 65536
WRITES_WAITING = 256
_SOCKET = "socket://"
_PORT_ERRORS = (OSError, TypeError, ValueError)  # pyserial stumbles over its own None when a port closes or vanishes under it


class _Watching:
    """Reads when the event loop says that there is something: no thread stands between a byte and who waits for it."""

    def __init__(self, port: serial.Serial, inbox: Inbox) -> None:
        self._inbox = inbox
        self._loop = asyncio.get_running_loop()
        self._paused = False
        assert port.fd is not None
        self._fd: int = port.fd
        self._loop.add_reader(self._fd, self._readable)

    @classmethod
    def can(cls, port: serial.Serial) -> bool:
        """A descriptor that this loop can watch (not on Windows, not for URLs)."""
        return os.name == "posix" and isinstance(getattr(port, "fd", None), int)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:  # ready, and nothing there: the port has vanished
            self.stop()
            self._inbox.end()
            return
        self._inbox.feed(data)
        if len(self._inbox) >= INBOX_BYTES:
            self._paused = True
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        """There is room again."""
        if self._paused:
            self._paused = False
            self._loop.add_reader(self._fd, self._readable)

    def stop(self) -> None:
        """Read no more."""
        self._paused = False
        self._loop.remove_reader(self._fd)

    def join(self) -> None:
        """Nothing to wait for."""


class _Threaded:
    """Reads in a thread of its own."""

    def __init__(self, port: serial.Serial, inbox: Inbox, name: str) -> None:
        self._port, self._inbox = port, inbox
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._room = threading.Event()
        self._room.set()
        self._thread = threading.Thread(target=self._reads, name=f"read {name}", daemon=True)
        self._thread.start()

    def _reads(self) -> None:
        """One byte as soon as there is one, and all that came with it."""
        with suppress(*_PORT_ERRORS):
            while not self._stopped:
                self._room.wait()
                data = self._port.read(1)
                if data:
                    self._tell(self._arrived, data + self._port.read(self._port.in_waiting))
        self._tell(self._inbox.end)

    def _arrived(self, data: bytes) -> None:
        self._inbox.feed(data)
        if len(self._inbox) >= INBOX_BYTES and not self._stopped:
            self._room.clear()

    def _tell(self, callback: Callable[..., object], *args: Any) -> None:
        with suppress(RuntimeError):  # the loop has closed: nobody is left to tell
            self._loop.call_soon_threadsafe(callback, *args)

    def resume(self) -> None:
        """There is room again."""
        self._room.set()

    def stop(self) -> None:
        """Read no more."""
        self._stopped = True
        self._room.set()

    def join(self) -> None:
        """Wait for the thread."""
        self._thread.join()


class SerialStream:
    """An open serial port; when it vanishes (unplugged) the stream ends."""

    def __init__(self, port: serial.Serial, worker: ThreadPoolExecutor, address: str) -> None:
        self._port = port
        self._worker = worker
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox()
        self._waiting = 0
        self._closed = False
        self._reader = _Watching(port, self._inbox) if _Watching.can(port) else _Threaded(port, self._inbox, address)

    async def read(self, limit: int = 65536) -> bytes:
        """Whatever has arrived, at least one byte; ``b""`` when the port has vanished or is closed."""
        data = await self._inbox.read(limit)
        if len(self._inbox) < INBOX_BYTES and not self._closed:
            self._reader.resume()
        return data

    async def write(self, data: bytes) -> None:
        """Write all bytes; raises NotReachable when the port has vanished or takes nothing for 5 s."""
        if self._closed or self._inbox.ended:
            raise self._not_written(data, "it is gone")
        if self._waiting >= WRITES_WAITING:
            raise self._not_written(data, f"{WRITES_WAITING} writes wait already")
        self._waiting += 1
        try:
            await self._loop.run_in_executor(self._worker, self._port.write, data)
        except _PORT_ERRORS as error:
            raise self._not_written(data, str(error)) from error
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Close the port; a write that hangs is broken off."""
        if self._closed:
            return
        self._closed = True
        self._reader.stop()
        for call in ("cancel_read", "cancel_write"):
            with suppress(AttributeError, *_PORT_ERRORS):
                getattr(self._port, call)()
        await self._loop.run_in_executor(self._worker, self._finish)
        self._worker.shutdown(wait=False)
        self._inbox.end()

    def _finish(self) -> None:
        self._reader.join()
        with suppress(*_PORT_ERRORS):
            self._port.close()

    def _not_written(self, data: bytes, why: str) -> NotReachable:
        return NotReachable(f"serial port {self._address} did not take the bytes ({why})", sent=data, advice="check plug and flow control")


async def open_serial(
    address: str, *, baud: int = 230400, exclusive: bool = True, dtr: bool | None = None, rts: bool | None = None, **options: Any
) -> ByteStream:
    """Open a device path or pyserial URL; raises NotReachable with what to try.

    ``dtr``, ``rts``: levels to set at opening (None = as the system does). ``options``: as pyserial names them (``xonxoff``,
    ``rtscts``, …). ``socket://`` is plain TCP and needs no thread.
    """
    if address.startswith(_SOCKET):
        return await _open_socket(address)
    worker = ThreadPoolExecutor(1, thread_name_prefix=f"port {address}")
    lines = {name: level for name, level in (("dtr", dtr), ("rts", rts)) if level is not None}
    try:
        port = await asyncio.get_running_loop().run_in_executor(worker, _open, address, baud, exclusive, lines, options)
    except BaseException as error:
        worker.shutdown(wait=False)
        if isinstance(error, _PORT_ERRORS):
            raise _not_opened(address, error) from error
        raise
    return SerialStream(port, worker, address)


async def _open_socket(address: str) -> ByteStream:
    host, _, port = address.removeprefix(_SOCKET).partition("/")[0].partition("?")[0].rpartition(":")
    if not host or not port.isdigit():
        raise NotReachable(f"{address} is not an address", advice="write socket://HOST:PORT")
    return await tcp.connect(host.strip("[]"), int(port))


def _open(address: str, baud: int, exclusive: bool, lines: dict[str, bool], options: dict[str, Any]) -> serial.Serial:  # noqa: FBT001
    common = {"baudrate": baud, "timeout": READ_POLL_S, "write_timeout": WRITE_TIMEOUT_S, "exclusive": exclusive or None}
    port: serial.Serial = serial.serial_for_url(address, do_not_open=True, **{**common, **options})
    for name, level in lines.items():
        setattr(port, name, level)
    port.open()
    return port


def _not_opened(address: str, error: Exception) -> NotReachable:
    number, text = getattr(error, "errno", None), str(error)
    if number in {errno.EBUSY, errno.EAGAIN} or "exclusively lock" in text or "Access is denied" in text:
        return NotReachable(f"serial port {address} is in use", advice="close the other program that has it open")
    if number in {errno.ENOENT, errno.ENODEV, errno.ENXIO} or "FileNotFoundError" in text:
        found = ", ".join(sorted(port.device for port in list_ports.comports())) or "none"
        return NotReachable(f"there is no serial port {address}", advice=f"plug the instrument in; ports here: {found}")
    if number in {errno.EACCES, errno.EPERM}:
        return NotReachable(
            f"serial port {address} may not be opened by this user", advice="join its group (often dialout) and log in again"
        )
    return NotReachable(f"serial port {address} cannot be opened ({text})", advice="check the address and its options")
