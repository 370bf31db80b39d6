"""Bruker's own Python interface as another way to the same agent: a child process runs it beside TopSpin (``operando_agent_api.py``).

``route: python-api``; ``address`` is TopSpin's network interface (``localhost:3081``). The child speaks tsbridge/1 on loopback: from
there on all is as with the agent inside TopSpin. It lives on while a scan runs and this program does not: the next one finds it by its
port file. Built to the document, not yet met an instrument.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from drivers.base import ByteStream, Context
from drivers.errors import InstrumentError, NotReachable, NotSupported
from drivers.topspin.bridge import Bridge, Door, OnEvent, OnLink

AGENT = Path(__file__).parent / "agent" / "operando_agent_api.py"
SETTINGS, PORT_FILE, LOG = "operando_agent_api.json", "operando_agent_api.port", "operando_agent_api.log"
START_S, LOOK_EVERY_S, IDLE_S = 20.0, 0.05, 60.0
MISSING = 3
"""How the child ends where Bruker's packages are not there."""


class BesideBridge(Bridge):
    """The line to the child. Options: ``root`` (where data sets are made: the same path here and in TopSpin), ``python``, and more.

    ``python``: the interpreter that has Bruker's packages (default: this one). ``templates``, ``agent_limits``, ``agent_unlock``: as in
    ``operando_agent.json``.
    """

    reach_s = START_S + 5.0

    def __init__(self, name: str, door: Door, options: Mapping[str, Any], context: Context, on_event: OnEvent, on_link: OnLink) -> None:
        super().__init__(name, Door("127.0.0.1", 0, None), context, on_event, on_link)
        self._topspin, self._options = door, options
        self._root = Path(str(options.get("root", ""))).expanduser()

    async def _reach(self) -> ByteStream:
        """The child that an earlier process of ours has left, or a new one. Raises NotReachable, NotSupported."""
        if self._clock.virtual is not None:
            raise NotSupported("route python-api runs a program beside TopSpin, which knows no virtual time", instrument=self._name)
        if not self._options.get("root") or not await self._clock.in_thread(self._root.is_dir):
            text = f"route python-api: {self._options.get('root') or 'nothing'} is not the folder of TopSpin's data"
            raise NotReachable(text, instrument=self._name, advice="options: {root: FOLDER}, the same path here and in TopSpin")
        with suppress(InstrumentError):
            if (port := await self._clock.in_thread(self._port)) is not None:
                return await self._network.connect("127.0.0.1", port)
        return await self._network.connect("127.0.0.1", await self._start())

    def _port(self) -> int | None:
        """Of a child that says it listens."""
        try:
            return int(json.loads((self._root / PORT_FILE).read_text("utf-8"))["port"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    async def _start(self) -> int:
        child = await self._clock.in_thread(self._launch)
        with suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                while child.poll() is None:
                    if (port := await self._clock.in_thread(self._port)) is not None:
                        child.returncode = 0  # it lives on by itself: nobody waits for it any more
                        return port
                    await asyncio.sleep(LOOK_EVERY_S)
        child.kill()
        code = await self._clock.in_thread(child.wait)
        said = await self._clock.in_thread(self._last_words)
        if code == MISSING:
            advice = said.partition("\n")[2] or "install the packages that came with TopSpin"
            raise NotSupported(
                "route python-api needs Bruker's own packages, which are not installed", instrument=self._name, advice=advice
            )
        advice = "in TopSpin: gear wheel, Python 3+, Manage TopSpin Network Interface, Start"
        raise NotReachable(f"no agent beside TopSpin: {said or 'it said nothing'}", instrument=self._name, advice=advice)

    def _launch(self) -> subprocess.Popen[bytes]:
        (self._root / PORT_FILE).unlink(missing_ok=True)
        limits, unlock = self._options.get("agent_limits") or {}, self._options.get("agent_unlock") or {}
        settings = {
            "root": str(self._root),
            "templates": list(self._options.get("templates") or []),
            "port_file": str(self._root / PORT_FILE),
            "limits": dict(limits),
            "unlock": dict(unlock),
        }
        (self._root / SETTINGS).write_text(json.dumps(settings), encoding="utf-8")
        environment = {
            **os.environ,
            "OPERANDO_AGENT_CONFIG": str(self._root / SETTINGS),
            "OPERANDO_TOPSPIN_URL": f"{self._topspin.host}:{self._topspin.port}",
            "OPERANDO_AGENT_IDLE_S": str(IDLE_S),
        }
        with (self._root / LOG).open("wb") as log:
            return subprocess.Popen(
                [str(self._options.get("python") or sys.executable), str(AGENT)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def _last_words(self) -> str:
        try:
            return (self._root / LOG).read_text("utf-8", "replace").strip()[-800:]
        except OSError:
            return ""
