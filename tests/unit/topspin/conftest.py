"""The shipped agent file in a process of its own, on a stand-in for TopCmds; and a client that speaks plain JSON lines."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

AGENT = Path(__file__).parents[3] / "drivers" / "topspin" / "agent" / "operando_agent.py"
STANDIN = Path(__file__).parent / "standin"
ACQU = """##TITLE= Parameter file, stand-in
##JCAMPDX= 5.0
##$AQ_mod= 3
##$BF1= 116.641914
##$BYTORDA= 0
##$D= (0..3) 0 0.5 0 0
##$CNST= (0..63) {cnst}
##$DECIM= 128
##$DSPFVS= 20
##$DTYPA= 0
##$GRPDLY= 67.98
##$NC= 0
##$NS= 4
##$DS= 0
##$NUC1= <7Li>
##$O1= 15979.9
##$P= (0..3) 8 8 16 0
##$PARMODE= {parmode}
##$PULPROG= <zg>
##$RG= 101
##$SFO1= 116.657894
##$SW_h= 93457.9439252336
##$TD= 1024
##END=
"""


def make_template(root: Path, name: str = "templates", parmode: str = "0") -> Path:
    """A site's own data set, with data of an old run in it."""
    template = root / name / "1"
    (template / "pdata" / "1").mkdir(parents=True)
    (template / "acqu").write_text(ACQU.format(cnst=" ".join(["1"] * 64), parmode=parmode))
    (template / "pulseprogram").write_text(";zg\n")
    (template / "pdata" / "1" / "title").write_text("the site's template")
    for left in ("fid", "acqus", "audita.txt", "pdata/1/1r"):
        (template / left).write_bytes(b"of an old run")
    return template


@dataclass
class Client:
    """One connection to the agent."""

    host: str
    port: int
    stream: Any = None
    greeting: dict[str, Any] = field(default_factory=dict)
    challenge: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    number: int = 0

    def open(self) -> Client:
        with socket.create_connection((self.host, self.port), 10.0) as connection:
            self.stream = connection.makefile("rwb")
        self.challenge = self.line()
        return self

    def hello(self, secret: bytes | None = None, **more: Any) -> dict[str, Any]:
        request = {"role": "control", "nonce": "00ff", "client": "tests", **more}
        if secret is not None:
            words = ["tsbridge/1", "client", request["role"], self.challenge["nonce"], request["nonce"]]
            request["mac"] = hmac.new(secret, "|".join(words).encode(), hashlib.sha256).hexdigest()
        return self.ask("hello", **request)

    def ask(self, op: str, **more: Any) -> dict[str, Any]:
        """The answer, or ``{"code", "text"}`` of the refusal; events that come between are kept."""
        self.number += 1
        self.write({"v": 1, "id": self.number, "op": op, **more})
        while "id" not in (line := self.line()):
            self.events.append(line)
        assert line["id"] == self.number
        return line["r"] if line["ok"] else line["e"]

    def write(self, message: Any) -> None:
        self.stream.write((json.dumps(message) + "\n").encode())
        self.stream.flush()

    def line(self) -> dict[str, Any]:
        text = self.stream.readline()
        if not text:
            raise EOFError
        return json.loads(text)

    def until(self, ev: str) -> dict[str, Any]:
        while True:
            for event in self.events:
                if event["ev"] == ev:
                    self.events.remove(event)
                    return event
            self.events.append(self.line())

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.stream.close()


class Console:
    """A folder, a stand-in for TopSpin, and the agent in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.interpreter = folder, shlex.split(os.environ.get("OPERANDO_AGENT_PYTHON", "")) or [sys.executable]
        self.root = folder / "data"
        self.root.mkdir()
        self.template = make_template(self.root)
        self.port_file = folder / "port.json"
        self.settings: dict[str, Any] = {"root": str(self.root), "port_file": str(self.port_file), "dialog_s": 50.0, "audit_s": 0.5}
        self.process: subprocess.Popen[str] | None = None
        self.clients: list[Client] = []

    def switch(self, **switches: Any) -> None:
        (self.folder / "standin.json").write_text(json.dumps(switches))

    def said(self) -> list[str]:
        """What TopSpin was told, in order."""
        path = self.folder / "standin.log"
        return path.read_text().splitlines() if path.exists() else []

    def spawn(self) -> subprocess.Popen[str]:
        config = self.folder / "operando_agent.json"
        config.write_text(json.dumps(self.settings))
        environment = {**os.environ, "OPERANDO_AGENT_CONFIG": str(config), "PYTHONPATH": str(STANDIN), "JYTHONPATH": str(STANDIN)}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        self.process = subprocess.Popen(
            [*self.interpreter, str(AGENT)], cwd=self.folder, env=environment, stderr=subprocess.PIPE, text=True
        )
        return self.process

    def start(self) -> Console:
        self.port_file.unlink(missing_ok=True)
        process = self.spawn()
        while not self.port_file.exists():
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            time.sleep(0.01)
        return self

    @property
    def where(self) -> dict[str, Any]:
        return json.loads(self.port_file.read_text())

    def client(self) -> Client:
        self.clients.append(Client(self.where["host"], self.where["port"]).open())
        return self.clients[-1]

    def controller(self, **more: Any) -> Client:
        """In control, as soon as the one before has left."""
        while True:
            client = self.client()
            client.greeting = client.hello(**more)
            if client.greeting.get("code") != "controlled":
                return client
            self.clients.pop().close()
            time.sleep(0.01)

    def kill(self) -> None:
        while self.clients:
            self.clients.pop().close()
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


@pytest.fixture
def consoles(tmp_path: Path) -> Iterator[Callable[..., Console]]:
    """Makes consoles; their agents end with the test."""
    with contextlib.ExitStack() as stack:

        def made(name: str = "console", **settings: Any) -> Console:
            folder = tmp_path / name
            folder.mkdir()
            console = Console(folder)
            console.settings.update(settings)
            stack.callback(console.kill)
            return console

        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """One that runs, for tests that leave it as it was."""
    console = Console(tmp_path_factory.mktemp("shared"))
    (console.root / "link").symlink_to("/tmp")
    try:
        yield console.start()
    finally:
        console.kill()


@pytest.fixture
def visitor(shared: Console) -> Iterator[Console]:
    """The shared one; whoever came with a test leaves with it."""
    yield shared
    while shared.clients:
        shared.clients.pop().close()


@pytest.fixture
def console(consoles: Callable[..., Console]) -> Console:
    """One that runs."""
    return consoles().start()
