"""A host of a Neware cycler, written from the public description and captured answers; step files as the vendor's client writes them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from biologic_client import CapacitorTwin, NoWire

from drivers.base import Context, Settings
from drivers.clock import Clock
from drivers.neware.emulator import NewareEmulator

HEAD = '<?xml version="1.0" encoding="UTF-8" ?><bts version="1.0">'
END = "</bts>"
TERMINATOR = "\n\n#\r\n"


def step(number: int, kind: int, **limits: float) -> str:
    other = {name: value for name, value in limits.items() if name in {"Start_Step", "Cycle_Count"}}
    main = "".join(f'<{name} Value="{value:f}"/>' for name, value in limits.items() if name not in other)
    tail = "".join(f'<{name} Value="{int(value)}"/>' for name, value in other.items())
    return f'<Step{number} Step_ID="{number}" Step_Type="{kind}"><Limit><Main>{main}</Main><Other>{tail}</Other></Limit></Step{number}>'


def step_file(*steps: tuple[int, dict[str, float]], protect: str = "", record_ms: float = 1000, scale: float = 1) -> str:
    """``steps``: type and limits in the vendor's own units; the end is added."""
    rows = [step(n + 1, kind, **limits) for n, (kind, limits) in enumerate(steps)]
    rows.append(f'<Step{len(rows) + 1} Step_ID="{len(rows) + 1}" Step_Type="6"/>')
    return (
        '<?xml version="1.0" ?><root><config type="Step File" version="17" client_version="BTS Client 8.0.0.478(2024.06.24)(R3)">'
        f'<Head_Info><Operate Value="66"/><Scale Value="{scale:g}"/><Start_Step Value="1" Hide_Ctrl_Step="0"/>'
        '<RateType Value="103"/></Head_Info>'
        f"<Whole_Prt><Protect><Main>{protect}</Main></Protect><Record><Main>"
        f'<Time Value="{record_ms:f}"/></Main></Record></Whole_Prt>'
        f'<Step_Info Num="{len(rows)}">{"".join(rows)}</Step_Info><SMBUS><SMBUS_Info Num="0" AdjacentInterval="0"/></SMBUS></config></root>'
    )


class Host:
    """The emulator, and one client of its software."""

    def __init__(self, clock: Clock, network: Any, folder: Path, **options: Any) -> None:
        self.clock, self.network = clock, network
        self.twin = CapacitorTwin(clock)
        settings = Settings("neware", "neware", "", options={"folder": str(folder), **options})
        self.emulator = NewareEmulator(settings, Context(clock, network, NoWire(), self.twin))
        self.stream: Any = None
        self.reads: list[bytes] = []
        self.text = b""
        self.sub, self.chl = (int(part) for part in str(options.get("channel", "1-1")).split("-"))

    async def begin(self) -> None:
        self.port = (await self.emulator.start()).port
        await self.connect()

    async def connect(self, password: str = "neware") -> str:
        self.stream = await self.network.connect("127.0.0.1", self.port)
        found = await self.ask(f"<cmd>connect</cmd><username>admin</username><password>{password}</password><type>bfgs</type>")
        return str(found.findtext("result"))

    async def end(self) -> None:
        await self.stream.close()
        await self.emulator.stop()

    async def raw(self, message: str, within_s: float = 100.0) -> bytes:
        await self.stream.write((message + TERMINATOR).encode())
        found = b""
        async with asyncio.timeout(within_s):
            while not found.endswith(TERMINATOR.encode()):
                data = await self.stream.read(2048)
                if not data:
                    raise EOFError
                self.reads.append(data)
                found += data
        self.text = found.removesuffix(TERMINATOR.encode())
        return self.text

    async def ask(self, inside: str, within_s: float = 100.0) -> ET.Element:
        return ET.fromstring(await self.raw(HEAD + inside + END, within_s))

    def where(self, *, ip: bool = True, chl: int | None = None) -> str:
        head = 'ip="127.0.0.1" ' if ip else ""
        return f'{head}devtype="27" devid="21" subdevid="{self.sub}" chlid="{chl or self.chl}"'

    async def start(self, content: str, *, path: str = "", barcode: str = "cell", chl: int | None = None) -> str:
        if not path:
            path = str(self.emulator.software.disk.root / "step.xml")
            Path(path).write_text(content, encoding="utf-8")
        backup = '<backup backupdir="C:\\Neware data\\" remotedir="" filenametype="0" />'
        one = f'<start {self.where(chl=chl)} barcode="{barcode}">{path}</start>'
        found = await self.ask(f'<cmd>start</cmd><list count = "1">{one}{backup}</list>"')
        return str(found.findtext("list/start"))

    async def stop(self) -> str:
        found = await self.ask(f'<cmd>stop</cmd><list count = "1"><stop {self.where()}>true</stop></list>')
        return str(found.findtext("list/stop"))

    async def status(self) -> str:
        found = await self.ask(f'<cmd>getchlstatus</cmd><list count = "1"><status {self.where()}>true</status></list>')
        return str(found.findtext("list/status"))

    async def inquire(self) -> dict[str, str]:
        one = f'<inquire {self.where()} aux="0" barcode="1">true</inquire>'
        found = (await self.ask(f'<cmd>inquire</cmd><list count = "1">{one}</list>')).find("list/inquire")
        assert found is not None
        return dict(found.attrib)

    async def counted(self) -> dict[str, str]:
        one = f'<chl {self.where(ip=False)} testid="0" />'
        found = (await self.ask(f'<cmd>inquiredf</cmd><list count = "1">{one}</list>')).find("list/chl")
        assert found is not None
        return {**found.attrib, "text": str(found.text)}

    async def download(self, start: int = 1, count: int = 1000, test: int = 0) -> list[dict[str, str]]:
        one = f'<download {self.where(ip=False)} auxid="0" testid="{test}" startpos="{start}" count="{count}"/>'
        return [dict(row.attrib) for row in (await self.ask(f"<cmd>download</cmd>{one}")).findall("list/data")]

    async def layers(self) -> list[dict[str, str]]:
        one = f"<downloadStepLayer {self.where(ip=False)} />"
        return [dict(row.attrib) for row in (await self.ask(f"<cmd>downloadStepLayer</cmd>{one}")).findall("list/data")]

    async def log(self) -> list[int]:
        one = f'<download {self.where(ip=False)} testid="0"/>'
        return [int(row.attrib["log_code"]) for row in (await self.ask(f"<cmd>downloadlog</cmd>{one}")).findall("list/data")]

    async def until(self, status: str, every_s: float = 1.0, most: int = 50000) -> None:
        for _ in range(most):
            if await self.status() == status:
                return
            await self.clock.sleep(every_s)
        raise AssertionError(f"it never was {status}")
