"""The commands of VnmrJ that this console knows; everything else is a macro in the user's maclib, or an error.

``halt`` runs wexp, ``aa`` runs werr, ``halt2`` neither (OpenVnmrJ manual). ``write('net')`` connects in the foreground.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from drivers.errors import NotReachable
from drivers.openvnmrj.console.acquisition import ABORTED, DONE, STOPPED
from drivers.openvnmrj.magical import MagicalError, Value, formatted, number, shown
from drivers.openvnmrj.vnmrfiles import stamp

if TYPE_CHECKING:
    from drivers.openvnmrj.emulator import OpenVnmrJEmulator

LONGEST_SLEEP_s = 60.0
CONNECT_FAILED, BAD_ADDRESS = -4.0, -2.0
NOTHING = (
    "acqi", "aph", "banner", "beepoff", "beepon", "clear", "dc", "dg", "display", "ds", "dscale", "f", "fixpar", "flip", "ft", "full",
    "jexp", "lkof", "lock", "menu", "proc1d", "process", "protune", "sethw", "setgroup", "setlimit", "setprotect", "setref", "shim",
    "su", "unlock", "vsadj", "wft", "wtune",
)  # fmt: skip
"""Accepted, without effect here."""


class Commands:
    """Commands by name; each takes a list of values and returns one."""

    def __init__(self, console: OpenVnmrJEmulator) -> None:
        self.console = console
        self.table: dict[str, Callable[[list[Value]], Awaitable[list[Value]]]] = dict.fromkeys(NOTHING, self._nothing)
        names = (name for name in dir(self) if name.startswith("do_"))
        self.table |= {name.removeprefix("do_"): getattr(self, name) for name in names}
        self.table |= {"ga": self.do_go, "systemtime": self.do_unixtime, "rtp": self.do_rt, "delete": self.do_rm}

    def _here(self, name: Value) -> Path:
        return self.console.experiment.here(str(name))

    async def _nothing(self, arguments: list[Value]) -> list[Value]:  # noqa: ARG002
        return []

    # ------------------------------------------------------------------------------------------------------ acquisition

    async def do_go(self, arguments: list[Value]) -> list[Value]:
        """Submit; nothing runs at the end."""
        if "check" not in arguments:
            self.console.scanner.submit(processed=False)
        return []

    async def do_au(self, arguments: list[Value]) -> list[Value]:
        """Submit; wbs, wnt, wexp and werr run."""
        if "check" not in arguments:
            self.console.scanner.submit(processed=True)
        return []

    async def do_aa(self, arguments: list[Value]) -> list[Value]:  # noqa: ARG002
        """Abort, with werr."""
        self.console.scanner.end_now(ABORTED, "werr")
        return []

    async def do_halt(self, arguments: list[Value]) -> list[Value]:  # noqa: ARG002
        """Stop, with wexp."""
        self.console.scanner.end_now(DONE, "wexp")
        return []

    async def do_halt2(self, arguments: list[Value]) -> list[Value]:  # noqa: ARG002
        """Stop, with no processing."""
        self.console.scanner.end_now(DONE, "")
        return []

    async def do_sa(self, arguments: list[Value]) -> list[Value]:  # noqa: ARG002
        """Stop so that it could be resumed (``ra`` is not emulated)."""
        self.console.scanner.end_now(STOPPED, "")
        return []

    async def do_expactive(self, arguments: list[Value]) -> list[Value]:
        """0 idle, 1 active, 2 and more queued; 'current': number of the experiment and its user."""
        scanner = self.console.scanner
        if arguments[:1] == ["current"]:
            return [1.0, scanner.active.user] if scanner.active is not None else [0.0, "nobody"]
        if arguments[:1] == ["auto"]:
            return [0.0, ""]
        return [float(scanner.state_of())]

    # ------------------------------------------------------------------------------------------------------------ files

    async def do_svf(self, arguments: list[Value]) -> list[Value]:
        """Save the data of the experiment."""
        if not arguments:
            raise MagicalError("svf: file name expected")
        console = self.console
        options = {str(argument) for argument in arguments[1:]}
        await console.scanner.deliver()
        if console.faults.use("svf_fails"):
            raise MagicalError(f"svf: cannot make {arguments[0]}.fid: Permission denied")
        saved = stamp(console.local(console.clock.mono_ns()))
        stamps = None if console.served_recorded else {"time_saved": saved, "time_processed": str(console.parameters["time_processed"])}
        half = console.faults.use("disk_full") is not None
        await console.clock.in_thread(
            lambda: console.experiment.save(
                str(arguments[0]), stamps, force=bool(options & {"force", "replace"}), log="nolog" not in options, half=half
            )
        )
        console.parameters.put("time_saved", saved)
        console.scanner.stamps.mark("saved")
        await console.flush()
        return []

    async def do_rt(self, arguments: list[Value]) -> list[Value]:
        """Retrieve a data set."""
        found = await self.console.clock.in_thread(self.console.experiment.retrieve, str(arguments[0]) if arguments else "")
        self.console.parameters.tree |= found
        return []

    async def do_text(self, arguments: list[Value]) -> list[Value]:
        """Set the experiment's text; without an argument, return it."""
        if not arguments:
            return [await self.console.clock.in_thread(self.console.experiment.text)]
        await self.console.clock.in_thread(self.console.experiment.set_text, str(arguments[0]))
        return []

    async def do_mkdir(self, arguments: list[Value]) -> list[Value]:
        """Make folders."""
        for argument in arguments:
            try:
                await self.console.clock.in_thread(partial(self._here(argument).mkdir, parents=True, exist_ok=True))
            except OSError as error:
                raise MagicalError(f"mkdir: {error}") from None
        return []

    async def do_rm(self, arguments: list[Value]) -> list[Value]:
        """Remove files; folders only with '-r' first."""
        recursive = any(str(argument).startswith("-") and "r" in str(argument) for argument in arguments)
        for path in [self._here(argument) for argument in arguments if not str(argument).startswith("-")]:
            if path.is_dir() and recursive:
                await self.console.clock.in_thread(lambda path=path: shutil.rmtree(path))
            elif path.is_file():
                await self.console.clock.in_thread(path.unlink)
        return []

    async def do_exists(self, arguments: list[Value]) -> list[Value]:
        """Whether a parameter, file, directory, command or macro is there."""
        name, what = str(arguments[0]), str(arguments[1]) if len(arguments) > 1 else "parameter"
        if what == "parameter":
            return [float(name in self.console.parameters)]
        if what in {"command", "maclib"}:
            known = what == "command" and name in self.table
            return [float(known or await self.console.macro(name) is not None)]
        path = self._here(name)
        there, folder = await self.console.clock.in_thread(lambda: (path.exists(), path.is_dir()))
        return [float(folder if what == "directory" else there), 4.0 if folder else float(there)]

    async def do_flush(self, arguments: list[Value]) -> list[Value]:  # noqa: ARG002
        """Write curpar."""
        await self.console.flush()
        return []

    # ------------------------------------------------------------------------------------------------------- parameters

    async def do_setvalue(self, arguments: list[Value]) -> list[Value]:
        """Set a parameter without its macro: nothing follows from it."""
        name, value = str(arguments[0]), arguments[1]
        self.console.parameters.values(name)
        self.console.parameters.put(name, value)
        return []

    async def do_getvalue(self, arguments: list[Value]) -> list[Value]:
        """First value, or the one with the index given."""
        values = self.console.values(str(arguments[0]))
        place = int(number(arguments[1])) if len(arguments) > 1 and not isinstance(arguments[1], str) else 1
        if not 1 <= place <= len(values):
            raise MagicalError(f"index out of bounds for {arguments[0]}")
        return [values[place - 1]]

    async def do_create(self, arguments: list[Value]) -> list[Value]:
        """Create a parameter of a type (string or real)."""
        name, kind = str(arguments[0]), str(arguments[1]) if len(arguments) > 1 else "real"
        if name not in self.console.parameters:
            self.console.parameters.put(name, "" if kind in {"string", "flag"} else 0.0)
        return []

    # ----------------------------------------------------------------------------------------------------------- strings

    async def do_format(self, arguments: list[Value]) -> list[Value]:
        """A number as text: width, decimals."""
        value, width, decimals = arguments[0], int(number(arguments[1])), int(number(arguments[2]))
        return [f"{number(value):{width or ''}.{decimals}f}" if not isinstance(value, str) else value]

    async def do_length(self, arguments: list[Value]) -> list[Value]:
        """Length of a string."""
        return [float(len(str(arguments[0])))]

    async def do_substr(self, arguments: list[Value]) -> list[Value]:
        """A part of a string: start (from 1) and length."""
        start, count = int(number(arguments[1])), int(number(arguments[2]))
        return [str(arguments[0])[start - 1 : start - 1 + count]]

    async def do_strstr(self, arguments: list[Value]) -> list[Value]:
        """Where a string begins in another, from 1; 0 when it does not."""
        return [float(str(arguments[0]).find(str(arguments[1])) + 1)]

    # ------------------------------------------------------------------------------------------------------------- time

    async def do_unixtime(self, arguments: list[Value]) -> list[Value]:
        """Seconds since 1970 and microseconds by the console's clock, or a formatted local time."""
        seconds, micro = self.console.console_time()
        if arguments:
            return [time.strftime(str(arguments[0]), self.console.local(self.console.clock.mono_ns()).timetuple())]
        return [float(seconds), float(micro)]

    async def do_sleep(self, arguments: list[Value]) -> list[Value]:
        """Wait; at most 60 s."""
        await self.console.clock.sleep(min(LONGEST_SLEEP_s, number(arguments[0])))
        return []

    # ------------------------------------------------------------------------------------------------------------ socket

    async def do_listenon(self, arguments: list[Value]) -> list[Value]:  # noqa: ARG002
        """Write ``.talk``."""
        await self.console.clock.in_thread(self.console.write_talk)
        return []

    async def do_listenoff(self, arguments: list[Value]) -> list[Value]:  # noqa: ARG002
        """Remove ``.talk``."""
        await self.console.clock.in_thread(self.console.remove_talk)
        return []

    async def do_serverport(self, arguments: list[Value]) -> list[Value]:  # noqa: ARG002
        """The port commands come in at."""
        return [float(self.console.port)]

    async def do_exec(self, arguments: list[Value]) -> list[Value]:
        """Execute a text (after the present line)."""
        self.console.foreground.execute(str(arguments[0]), "exec")
        return []

    # ------------------------------------------------------------------------------------------------------------ write

    async def do_write(self, arguments: list[Value]) -> list[Value]:
        """To the network, a file, or the message line."""
        device, rest = (str(arguments[0]), arguments[1:]) if arguments else ("", [])
        if device == "net" and len(rest) >= 3:
            return await self._net(str(rest[0]), shown(rest[1]), formatted(str(rest[2]), rest[3:]))
        if device == "reset" and rest:
            await self.console.clock.in_thread(self._to_file, str(rest[0]), "", "w")
            return []
        if device in {"file", "fileline"} and len(rest) >= 2:
            text = formatted(str(rest[1]), rest[2:])
            text = text.replace("\\\\", "\n") + "\n" if device == "file" else text
            await self.console.clock.in_thread(self._to_file, str(rest[0]), text, "a")
            return []
        if device in {"line3", "error", "alpha"} and rest:
            message = formatted(str(rest[0]), rest[1:])
            self.console.foreground.messages.append(message if device == "line3" else f"{device}: {message}")
            return [message]
        raise MagicalError(f"write: wrong arguments for '{device}'")

    def _to_file(self, name: str, text: str, mode: str) -> None:
        try:
            with self._here(name).open(mode, encoding="latin-1", errors="replace") as file:
                file.write(text)
        except OSError as error:
            raise MagicalError(f"write: cannot open {name}: {error.strerror}") from None

    async def _net(self, host: str, port: str, text: str) -> list[Value]:
        """Connect, send, close, all in the foreground; 1, 0 or 0 and what failed."""
        if not port.isdigit():
            return [0.0, BAD_ADDRESS]
        try:
            async with asyncio.timeout(self.console.connect_timeout_s):
                if self.console.faults.use("dead_listener_freeze"):
                    await asyncio.Event().wait()
                stream = await self.console.network.connect(host, int(port))
        except (TimeoutError, NotReachable):
            return [0.0, CONNECT_FAILED]
        try:
            await stream.write(text.encode("latin-1", errors="replace"))
        except NotReachable:
            return [0.0, CONNECT_FAILED]
        finally:
            await stream.close()
        return [1.0, 0.0]
