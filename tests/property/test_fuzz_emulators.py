"""Emulated instruments answer nonsense as instruments do: by an error or by nothing, never by falling over."""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path
from typing import Any

import msgpack
import pytest
from arbin_client import ANSWERS, framed, info_request, login_request
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marcos_client import OneLine as MagnetTwin
from neware_client import CapacitorTwin, step_file

from drivers.arbin.emulator import ArbinEmulator
from drivers.arbin.instrument.messages import SIZES
from drivers.base import Context, Settings
from drivers.biologic.eclib import EccParam
from drivers.biologic.instrument.parameters import LABELS, LoadRefused, settled, technique_of
from drivers.clock import Clock
from drivers.marcos.emulator import MarcosEmulator
from drivers.neware.emulator import NewareEmulator
from drivers.neware.instrument.stepfile import BadStepFile, read
from drivers.spinsolve.emulator import SpinsolveEmulator
from drivers.transport.memory import MemoryNetwork
from drivers.transport.virtual import run_virtual
from drivers.zahner.emulator import ZahnerEmulator

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WORDS = st.one_of(st.text(max_size=8), st.sampled_from(["0", "-1", "1e999", "nan", "7", "1D LITHIUM+", "1D PROTON", "SHIM", "true"]))
TAGS = [
    "Set",
    "GetRequest",
    "Start",
    "Abort",
    "EstimateDurationRequest",
    "ProtocolOptionsRequest",
    "Option",
    "UserData",
    "Data",
    "DataFolder",
]
TAGS += ["UserFolder", "Sample", "CheckShimRequest", "AvailableOptionsRequest", "Execute"]

REMOTE2 = [
    "1:Pot=-1:",
    "1:Cset=1e999:",
    "1:Pset=nan:",
    "1:Gal=-1:GAL=1:",
    "1:::",
    "1:=:",
    "1:IMPEDANCE:",
    "3,,7",
    "1:__INIT__=0:",
    "1:Pot==0:",
]


class NoWire:
    def sent(self, data: bytes) -> None: ...

    def received(self, data: bytes) -> None: ...


def quoted(text: str) -> str:
    return re.sub(r"[^ -~]|[<>&\"']", "_", text)


@st.composite
def elements(draw: Any, depth: int = 3) -> str:
    tag, names = draw(st.sampled_from(TAGS)), draw(st.lists(st.sampled_from(["protocol", "name", "value", "key"]), unique=True))
    attributes = "".join(f' {name}="{quoted(draw(WORDS))}"' for name in names)
    inside = "".join(draw(st.lists(elements(depth - 1), max_size=2))) if depth else quoted(draw(WORDS))
    return f"<{tag}{attributes}>{inside}</{tag}>"


@FEW
@given(st.lists(st.one_of(elements(), st.text(max_size=20)), min_size=1, max_size=6))
def test_spinsolve(tmp_path: Path, asked: list[str]) -> None:
    async def main(clock: Clock) -> None:
        given = {"folder": str(tmp_path), "strict": True}
        emulator = SpinsolveEmulator(
            Settings("s", "spinsolve", "", options=given), Context(clock, MemoryNetwork(), NoWire(), CapacitorTwin(clock))
        )
        emulator.twin.larmor_MHz = lambda nucleus: 116.0
        for inside in asked:
            answer = emulator.requests.hear(1, f"<Message>{inside}</Message>".encode())
            assert answer is None or answer.endswith(b"</Message>")

    run_virtual(main)


COMMANDS = [
    "connect",
    "getdevinfo",
    "getchlstatus",
    "inquire",
    "inquiredf",
    "start",
    "stop",
    "download",
    "downloadlog",
    "downloadStepLayer",
    "light",
]


@FEW
@given(st.sampled_from([*COMMANDS, "clearflag", "goto", "__init__", ""]), st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=3))
def test_neware(tmp_path: Path, command: str, rows: list[tuple[str, str, str]]) -> None:
    async def main(clock: Clock) -> None:
        context = Context(clock, MemoryNetwork(), NoWire(), CapacitorTwin(clock))
        emulator = NewareEmulator(Settings("n", "neware", "", options={"folder": str(tmp_path)}), context)
        for name in ("status", "inquire", "chl", "start", "stop", "download", "downloadStepLayer", "light", "clearflag"):
            inside = "".join(
                f'<{name} devid="21" subdevid="{quoted(sub)}" chlid="{quoted(chl)}" startpos="{quoted(text)}" '
                f'count="{quoted(sub)}">{quoted(text)}</{name}>'
                for sub, chl, text in [*rows, ("1", "1", "x")]
            )
            found = emulator.software.hear(f"<bts><cmd>{command}</cmd><list>{inside}</list></bts>".encode())
            assert found is None or found[1].endswith(b"</bts>\n\n#\r\n")

    run_virtual(main)


@FEW
@given(st.sampled_from(sorted(SIZES)), st.lists(st.binary(max_size=120), min_size=1, max_size=4))
def test_arbin(command: int, payloads: list[bytes]) -> None:
    async def main(clock: Clock) -> None:
        emulator = ArbinEmulator(Settings("a", "arbin", ""), Context(clock, MemoryNetwork(), NoWire(), CapacitorTwin(clock)))
        emulator._advance(0.0)
        session = emulator._conversation()
        session.hear(login_request("admin", "000000"))
        for payload in payloads:
            assert {int.from_bytes(one[12:16], "little") for one in session.hear(framed(command, payload))} <= {ANSWERS[command]}
            session.hear(payload)
            emulator.snapshot()
        assert len(session.hear(info_request(0))) == 1, "and it still understands"

    run_virtual(main)


@FEW
@given(st.lists(st.tuples(st.integers(0, 255), st.one_of(WORDS, st.sampled_from(REMOTE2))), min_size=1, max_size=6))
def test_zahner(said: list[tuple[int, str]]) -> None:
    async def main(clock: Clock) -> None:
        emulator = ZahnerEmulator(Settings("z", "zahner", ""), Context(clock, MemoryNetwork(), NoWire(), CapacitorTwin(clock)))
        session = emulator._conversation()
        session.hear(b"\0\x0c\x12\xd0\xff\xff\xff\xffScriptRemote")
        for kind, text in said:
            data = text.encode("utf-8", "replace")
            for answer in session.hear(struct.pack("<HB", len(data), kind) + data):
                found = answer if isinstance(answer, bytes) else answer[1]
                assert struct.unpack_from("<HB", found) == (len(found) - 3, kind)
            assert all(map(math.isfinite, emulator.device.values.values()))

    run_virtual(main)


PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-5, 2**33), st.binary(max_size=24), WORDS, st.lists(st.integers(0, 9), max_size=4))
ASKED = ["run_seq", "direct", "mar_mem", "acq_rlim", "fpga_clk", "regstatus", "test_net", "test_bus", "halt_and_reset", "read_rx", "what"]


@FEW
@given(st.lists(st.tuples(st.integers(-1, 130), st.dictionaries(st.sampled_from(ASKED), PLAIN, max_size=3)), min_size=1, max_size=4))
def test_marcos(asked: list[tuple[int, dict[str, Any]]]) -> None:
    """Each request is answered by a packet, or ends the connection."""

    async def main(clock: Clock) -> None:
        context = Context(clock, MemoryNetwork(), NoWire(), MagnetTwin(clock))
        emulator = MarcosEmulator(Settings("m", "marcos", ""), context)
        for index, (kind, commands) in enumerate(asked):
            try:
                ((_, made),) = emulator._conversation().hear(msgpack.packb([kind, index, 0, 1 << 16, commands]))
            except ConnectionResetError:
                continue
            found = msgpack.unpackb(made())
            assert found[:2] == [129 if kind == 1 else 128, index + 1]
            assert len(found[4]) == (len(commands) if kind == 0 else 0)

    run_virtual(main)


@FEW
@given(
    st.lists(
        st.tuples(st.integers(0, 25), st.dictionaries(st.sampled_from(["Curr", "Volt", "Time", "Start_Step"]), st.floats(-1e6, 1e6))),
        max_size=4,
    )
)
def test_step_files(steps: list[tuple[int, dict[str, float]]]) -> None:
    try:
        program = read(step_file(*steps).encode())
    except BadStepFile:
        return
    assert program["steps"][-1]["type"] == 6


@FEW
@given(st.binary(max_size=60))
def test_what_is_no_step_file(content: bytes) -> None:
    with pytest.raises(BadStepFile):
        read(content)


@FEW
@given(
    st.sampled_from([*LABELS, "nothing", ""]),
    st.lists(
        st.tuples(
            st.sampled_from([label for labels in LABELS.values() for label in labels]),
            st.integers(0, 2),
            st.integers(0, 2**32 - 1),
            st.integers(-2, 25),
        )
    ),
)
def test_loads(name: str, params: list[tuple[str, int, int, int]]) -> None:
    try:
        technique = settled(technique_of(f"{name}.ecc", 1), [EccParam(*param) for param in params])
    except LoadRefused as refused:
        found = refused.code, bool(refused.message)
    else:
        found = 0, set(technique["values"]) == set(LABELS[name])
    assert found in {(0, True), (-400, True), (-401, True), (-405, True)}
