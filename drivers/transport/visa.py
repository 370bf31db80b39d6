"""VISA resources by pyvisa (pure-Python backend), each on one thread of its own; lines end with LF both ways.

Sockets and serial ports are read in short slices, so that a write need not wait for a read. Everything else (USB, GPIB, VXI-11) is a
message at a time: read only what was asked for, or the instrument reports an error. Built to the document, not yet met an instrument.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pyvisa
from pyvisa.constants import StatusCode
from pyvisa.errors import VisaIOError

from drivers.base import ByteStream
from drivers.errors import NotReachable
from drivers.transport.inbox import Inbox

OPEN_TIMEOUT_S = 5.0
MESSAGE_TIMEOUT_S = 10.0
SLICE_S = 0.05
_FAILURES = (VisaIOError, OSError, ValueError, AttributeError, pyvisa.errors.InvalidSession)


class VisaStream:
    """An open VISA resource."""

    def __init__(self, resource: Any, worker: ThreadPoolExecutor, address: str) -> None:
        self._resource = resource
        self._worker = worker
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox()
        self._closed = False

    async def read(self, limit: int = 65536) -> bytes:
        """The next line or message, at most ``limit`` bytes of it; ``b""`` when the instrument is gone. Loses nothing when cancelled."""
        while not len(self._inbox) and not self._inbox.ended:
            await self._loop.run_in_executor(self._worker, self._receive)
        return await self._inbox.read(limit)

    async def write(self, data: bytes) -> None:
        """Write all bytes (the LF is the caller's); raises NotReachable."""
        if self._closed:
            raise NotReachable(f"{self._address} is closed", sent=data)
        try:
            await self._loop.run_in_executor(self._worker, self._resource.write_raw, data)
        except _FAILURES as error:
            raise NotReachable(f"{self._address} did not take the bytes ({error})", sent=data, advice="check cable and power") from error

    async def close(self) -> None:
        """Let go of the resource."""
        if self._closed:
            return
        self._closed = True
        await self._loop.run_in_executor(self._worker, self._finish)
        self._worker.shutdown(wait=False)
        self._inbox.end()

    def _receive(self) -> None:
        try:
            self._tell(self._inbox.feed, self._resource.read_raw())
        except VisaIOError as error:
            if error.error_code != StatusCode.error_timeout or _has_ended(self._resource):
                self._tell(self._inbox.end)
        except _FAILURES:
            self._tell(self._inbox.end)

    def _tell(self, callback: Callable[..., object], *args: Any) -> None:
        with suppress(RuntimeError):  # the loop has closed: nobody is left to tell
            self._loop.call_soon_threadsafe(callback, *args)

    def _finish(self) -> None:
        with suppress(*_FAILURES):
            self._resource.close()


async def open_visa(address: str, *, backend: str = "@py") -> ByteStream:
    """Open a resource (``TCPIP::HOST::5025::SOCKET``, ``GPIB0::18::INSTR``, …); raises NotReachable. ``backend``: as pyvisa names it."""
    worker = ThreadPoolExecutor(1, thread_name_prefix=address)
    try:
        resource = await asyncio.get_running_loop().run_in_executor(worker, _open, address, backend)
    except BaseException as error:
        worker.shutdown(wait=False)
        if isinstance(error, Exception) and not isinstance(error, asyncio.CancelledError):
            advice = "check the resource name, cable, power and that no other program holds it"
            raise NotReachable(f"{address} cannot be opened ({error})", advice=advice) from error
        raise
    return VisaStream(resource, worker, address)


@functools.cache
def _resources(backend: str) -> pyvisa.ResourceManager:
    return pyvisa.ResourceManager(backend)


def _open(address: str, backend: str) -> Any:
    resource: Any = _resources(backend).open_resource(address, open_timeout=int(OPEN_TIMEOUT_S * 1000))
    try:
        in_slices = address.upper().endswith("::SOCKET") or address.upper().startswith("ASRL")
        resource.timeout = (SLICE_S if in_slices else MESSAGE_TIMEOUT_S) * 1000
        resource.read_termination = "\n"
        _require_peer(resource)
    except BaseException:
        resource.close()
        raise
    return resource


def _socket(resource: Any) -> socket.socket | None:
    """The socket under a resource of the pure-Python backend."""
    session = getattr(resource.visalib, "sessions", {}).get(resource.session)
    interface = getattr(session, "interface", None)
    return interface if isinstance(interface, socket.socket) else None


def _require_peer(resource: Any) -> None:
    """The pure-Python backend takes a refused connection for an open one."""
    below = _socket(resource)
    if below is not None:
        below.getpeername()


def _has_ended(resource: Any) -> bool:
    """The pure-Python backend takes the end of a stream for silence."""
    below = _socket(resource)
    if below is None:
        return False
    below.setblocking(False)
    try:
        return below.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        below.setblocking(True)
