"""Nothing that VnmrJ sends or files hangs a reader or raises anything but ValueError (Rejected where it would become a command)."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drivers.errors import Rejected
from drivers.openvnmrj import files, vnmrfiles, wire

GOLDEN = Path(__file__).parents[1] / "golden" / "openvnmrj"
WIRE = json.loads((GOLDEN / "wire.json").read_text("utf-8"))
PROCPAR = (GOLDEN / "procpar.txt").read_text("utf-8")
SAID = [
    b"OPNMR 0123456789abcdef STATE 0 0 \n",
    b"OPNMR 0123456789abcdef BUSY 1 1 vnmr1\n",
    b"OPNMR 0123456789abcdef NUMBERS 12288 93458\n",
    b"OPNMR 0123456789abcdef DONE",
    b"OPNMR 0123456789abcdef ERR 15",
]

quick = settings(deadline=None)
WORDS = st.sampled_from(['"', "\\", " ", "\n", "-1", "-14", "0", "1", "99999999999999999999", "nan", "inf", "1e400", "np", '""', "\x00"])


@st.composite
def mangled(draw: st.DrawFn, *texts: str) -> str:
    """One of the texts with words cut out, doubled or replaced."""
    text = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(1, 5))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 20))
        text = text[:at] + draw(WORDS | st.text(max_size=5) | st.just(text[at : at + length] * 2)) + text[at + length :]
    return text


def short_procpar(text: str) -> str:
    """The first dozen parameters: as many kinds, and quicker to spoil."""
    return "".join(text.splitlines(keepends=True)[:36])


@quick
@given(st.sampled_from(SAID) | st.binary(max_size=1300))
def test_a_line_of_the_console(data: bytes) -> None:
    try:
        said = wire.parse_said(data)
    except ValueError:
        return
    assert len(said.nonce) == 16


@quick
@given(st.data())
def test_a_spoilt_line_of_the_console(data: st.DataObject) -> None:
    line = data.draw(st.sampled_from(SAID))
    at = data.draw(st.integers(0, len(line)))
    spoilt = line[:at] + data.draw(st.binary(max_size=8)) + line[at + data.draw(st.integers(0, 4)) :]
    try:
        said = wire.parse_said(spoilt)
    except ValueError:
        return
    for read in (lambda: wire.parse_state(said.payload), lambda: wire.parse_numbers(said.payload, ("np", "sw"))):
        try:
            read()
        except ValueError:
            continue


@quick
@given(mangled(WIRE["talk"]["text"]) | st.text(max_size=60))
def test_the_talk_file(text: str) -> None:
    for swapped in (True, False):
        try:
            found = wire.parse_talk(text, swapped=swapped)
        except ValueError:
            continue
        assert 0 <= found.port < 65536


@quick
@given(mangled(WIRE["wexp_as_stored"]) | st.text(max_size=100))
def test_what_is_armed(text: str) -> None:
    armed = wire.parse_wexp(text)
    assert armed is None or armed.block >= 0


@quick
@given(mangled(PROCPAR, short_procpar(PROCPAR)) | st.text(max_size=200))
@example("a 1 1 0 0 0 0 0 0 0 0\n-14 \n-14\n")
@example("a 1 1 0 0 0 0 0 0 0 0\n0 \n-13\n")
@example("a 1 1 0 0 0 0 0 0 0 0\n\n0 \n")
@example("a 7 1 0 0 0 0 0 0 0 0\n1 1e400 \n0\n")
@example("a 1 1 0 0 0 0 0 0 0 0\n1 5 \n99999999999999999999\n")
def test_a_procpar(text: str) -> None:
    for read in (files.parse_procpar, vnmrfiles.read_procpar):
        try:
            found = read(text)
        except ValueError:
            continue
        assert isinstance(found, dict)


@quick
@given(mangled(short_procpar(PROCPAR)))
def test_what_is_asked_of_a_procpar(text: str) -> None:
    try:
        found = files.parse_procpar(text)
    except ValueError:
        return
    files.time_stamps(found)
    try:
        files.zero_ppm_MHz(found)
    except (ValueError, KeyError, TypeError):
        return


@quick
@given(mangled("Sat Nov 18 02:30:54 2023: Experiment started\nSat Nov 18 02:31:54 2023: Acquisition complete\n") | st.text(max_size=200))
def test_a_log(text: str) -> None:
    assert all(isinstance(what, str) for _, what in files.parse_log(text))


counts = st.integers(-(1 << 31), (1 << 31) - 1) | st.integers(-1, 9)
headers = st.builds(struct.Struct(">6l2hl").pack, *[counts] * 6, *[st.integers(-(1 << 15), (1 << 15) - 1)] * 2, counts)
FID = (
    struct.pack(">6l2hl", 1, 1, 4, 4, 16, 44, 0, 0x5, 1)
    + struct.pack(">4hl4f", 0, 5, 0, 0, 8, 0, 0, 0, 0)
    + struct.pack(">4i", 1, -2, 3, -4)
)


@quick
@given(st.binary(max_size=100) | st.builds(lambda header, rest: header + rest, headers, st.binary(max_size=100)))
@example(FID)
def test_a_fid(data: bytes) -> None:
    try:
        found = files.parse_fid(data)
    except ValueError:
        return
    assert found.data.size * found.header.bytes_per_number <= len(data)


@quick
@given(st.integers(0, len(FID) - 1), st.binary(min_size=1, max_size=4))
def test_a_fid_with_a_few_bytes_spoilt(at: int, spoilt: bytes) -> None:
    test_a_fid.hypothesis.inner_test((FID[:at] + spoilt + FID[at + len(spoilt) :])[: len(FID)])  # type: ignore[attr-defined]


def test_the_fid_that_is_spoilt_is_one() -> None:
    assert files.parse_fid(FID).data.tolist() == [1 - 2j, 3 - 4j]


@quick
@given(st.text(max_size=100))
def test_what_gets_into_a_command_is_plain(text: str) -> None:
    for make in (wire.safe_name, wire.safe_path, wire.quote, wire.nucleus_name):
        try:
            made = make(text)
        except Rejected:
            continue
        assert "\0" not in made or make is wire.quote
    try:
        command = wire.compose(text)
    except Rejected:
        return
    assert command.count(b"\0") == 1
    with pytest.raises(Rejected):
        wire.compose(text * 1000 or "x" * 1000)
