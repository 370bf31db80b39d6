"""Nothing that Spinsolve sends or files hangs a reader or raises anything but its own error."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from drivers.errors import BadReply, Rejected
from drivers.spinsolve import files, wire
from drivers.spinsolve.folders import Folders
from drivers.spinsolve.machine import OVER, Phase, Sign
from drivers.spinsolve.scans import Scan

CAME = [
    text.encode() for text in json.loads((Path(__file__).parents[1] / "golden/spinsolve/wire.json").read_text("utf-8"))["came"].values()
]
NOISE = st.sampled_from(
    [b"</Message>", b"<Message>", b"<", b">", b'"', b"&", b"&a;", b"\0", b"\xff", b"<![CDATA[", b"<!--", b"nan", b"1e999"]
)
ACQU = (
    'b1Freq = 31.091\nbandwidth = 5\nlowestFrequency = -2400.5\nnrScans = 16\nrxChannel = "7Li"\nuserData = "opnmr_key=a;opnmr_block=0"\n'
)
DATA = b"SORPATAD1.1V" + struct.pack("<5I", 504, 2, 1, 1, 1) + struct.pack("<6f", 0, 1, 1, -2, 3, -4)

quick = settings(deadline=None, max_examples=60)


@st.composite
def spoilt(draw: st.DrawFn, whole: bytes) -> bytes:
    """Some bytes cut out, doubled or replaced."""
    for _ in range(draw(st.integers(1, 5))):
        at, length = draw(st.integers(0, len(whole))), draw(st.integers(0, 20))
        whole = whole[:at] + draw(NOISE | st.binary(max_size=6) | st.just(whole[at : at + length] * 2)) + whole[at + length :]
    return whole


@st.composite
def pieces(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    """The stream as it may arrive."""
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def understood(arriving: list[bytes]) -> list[wire.Message]:
    scanner, found = wire.Scanner(), []
    for piece in arriving:
        for document in scanner.feed(piece):
            try:
                found += wire.read(document)
            except BadReply:
                continue
    assert isinstance(scanner.alien, str)
    return found


@quick
@given(st.lists(st.sampled_from(CAME), min_size=1, max_size=6), st.data())
def test_pieces_change_nothing(documents: list[bytes], data: st.DataObject) -> None:
    stream = b"\r\n".join(documents)
    assert understood(data.draw(pieces(stream))) == understood([stream])
    assert len(understood([stream])) == len(documents)


@quick
@given(st.data())
def test_a_spoilt_stream_costs_only_what_is_spoilt(data: st.DataObject) -> None:
    bad = data.draw(st.sampled_from(CAME).flatmap(spoilt) | st.binary(max_size=300))
    after = understood(data.draw(pieces(bad + b"</Message>" + CAME[0])))
    assert after[-1:] == understood([CAME[0]])


@quick
@given(st.lists(st.sampled_from(CAME).flatmap(spoilt) | st.binary(max_size=60), max_size=6), st.data())
def test_no_stream_breaks_it(documents: list[bytes], data: st.DataObject) -> None:
    understood(data.draw(pieces(b"".join(documents))))


@quick
@given(st.binary(max_size=200).map(lambda body: b"<Message>" + body + b"</Message>") | st.sampled_from(CAME).flatmap(spoilt))
@example(b"<Message>" + b"<a>" * 20_000 + b"</a>" * 20_000 + b"</Message>")
@example(b'<Message><StatusNotification><Progress protocol="" percentage="' + b"9" * 5000 + b'"/></StatusNotification></Message>')
def test_a_document(document: bytes) -> None:
    try:
        wire.read(document)
    except BadReply:
        return


@quick
@given(st.text(max_size=220), st.text(max_size=20))
def test_what_is_sent_is_one_document_whatever_the_text(value: str, key: str) -> None:
    try:
        made = wire.set_user_data({key: value})
    except Rejected:
        return
    assert len(wire.Scanner().feed(made)) == 1
    assert made.count(b"<Data ") == 1


@quick
@given(st.binary(max_size=120) | spoilt(DATA))
@example(DATA)
@example(DATA[:16] + b"\xff\xff\xff\xff" + DATA[20:])
def test_a_data_file(data: bytes) -> None:
    try:
        found = files.parse_data(data)
    except ValueError:
        return
    assert 12 * found.size + 32 == len(data)


@quick
@given(st.text(max_size=200) | spoilt(ACQU.encode()).map(lambda data: data.decode("utf-8", "replace")))
def test_a_parameter_file(text: str) -> None:
    found = files.parse_parameters(text)
    assert all(isinstance(key, str) and value is not None for key, value in files.user_data(found).items())
    for name in ("b1Freq", "nrScans"):
        try:
            files.number(found, name)
        except ValueError:
            continue


@quick
@given(spoilt(ACQU.encode()), spoilt(DATA))
def test_a_folder(tmp_path_factory, acqu: bytes, data: bytes) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("run")
    (folder / "acqu.par").write_bytes(acqu)
    (folder / "data.1d").write_bytes(data)
    folders = Folders(str(folder.parent), {})
    folders.filed(folder, "a", 0)
    assert folders.incomplete(folder, "a", 0)
    try:
        folders.fetch(folder, "a", 0)
    except BadReply:
        return


WORDS = st.one_of(
    st.builds(
        wire.State, st.just("P"), st.sampled_from(["Ready", "Running", "Stopping", "Thinking"]), st.sampled_from(["", "D:\\x"]), st.just("")
    ),
    st.builds(wire.Progress, st.just("P"), st.floats(-1e3, 1e3), st.none(), st.just("")),
    st.builds(wire.Completed, st.just("P"), st.booleans(), st.booleans(), st.just("")),
    st.builds(wire.Error, st.just("P"), st.text(max_size=5), st.just("")),
)
INNER = st.sampled_from([Sign.TIMER, Sign.FILES, Sign.LINK_LOST, Sign.FOREIGN, Sign.FOREIGN_OVER])


@quick
@given(st.lists(WORDS | INNER, max_size=12))
def test_words_in_any_order_never_confuse_a_scan(heard: list[wire.Notification | Sign]) -> None:
    """It never goes back from its end; what is over has begun; times never run backwards; scans stay within what was asked."""
    scan = Scan("k", 0, "P", 16)
    scan.move(Sign.START, 0)
    for n, one in enumerate(heard, 1):
        before = scan.phase
        scan.move(one, n) if isinstance(one, Sign) else scan.take(one, n)
        assert before not in OVER or scan.phase in OVER
        assert scan.over_ns is None or scan.begun_ns is not None
        assert (scan.begun_ns or 0) <= (scan.over_ns or n) <= n
        assert 0 <= scan.scans_done <= 16
        assert scan.begun_within_ns >= 0
        assert scan.over_within_ns >= 0
    assert scan.phase is not Phase.IDLE
