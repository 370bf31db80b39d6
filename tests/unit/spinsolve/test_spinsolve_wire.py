"""Spinsolve's documents, byte by byte against those of the reference, and cut out of a stream in every way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drivers.errors import BadReply, Rejected
from drivers.spinsolve import wire

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "spinsolve" / "wire.json").read_text("utf-8"))
SENT, CAME = GOLDEN["sent"], GOLDEN["came"]


def read(name: str) -> wire.Message:
    (document,) = wire.Scanner().feed(CAME[name].encode())
    (message,) = wire.read(document)
    return message


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("hardware", wire.hardware_request()),
        ("get_user_data", wire.get_user_data()),
        ("set_user_data", wire.set_user_data({"opnmr_key": "step-12"})),
        ("remove_user_data", wire.set_user_data({"opnmr_key": ""})),
        ("data_folder", wire.set_data_folder(r"D:\opnmr\cellA")),
        ("protocol_options", wire.available_protocol_options()),
        ("protocols", wire.available_protocols()),
        ("options", wire.available_options("1D EXTENDED+")),
        ("estimate", wire.estimate_duration("1D EXTENDED+", {"Number": "16", "AcquisitionTime": "0.4"})),
        (
            "start",
            wire.start("1D EXTENDED+", {"Number": "16", "AcquisitionTime": "0.4", "RepetitionTime": "1", "PulseAngle": "90"}),
        ),
        ("abort", wire.abort()),
    ],
)
def test_what_is_sent(name: str, made: bytes) -> None:
    assert made == SENT[name].encode()


def test_every_golden_document_is_covered() -> None:
    assert len(SENT) == 11


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("running", wire.State("SHIM", "Running", "", "09:37:49")),
        ("progress_xsd", wire.Progress("1D EXTENDED+", 50.0, None, "09:38:20")),
        ("progress_real", wire.Progress("1D EXTENDED+", 100.0, 0.0, "09:38:20")),
        ("ready", wire.State("1D EXTENDED+", "Ready", r"D:\opnmr\cellA\093821", "09:38:21")),
        ("completed", wire.Completed("1D EXTENDED+", completed=True, successful=True, timestamp="09:38:22")),
        ("error", wire.Error("1D EXTENDED+", "Device is busy", "09:38:22")),
        ("hardware", wire.Hardware("1.18.1.3062", "1.7", connected=True, hardware="SPA1234", type="Spinsolve 80 Multi-X")),
        ("user_data", wire.Held({"opnmr_key": "step-12", "operator": "Anna"})),
        ("sample", wire.Held(sample="cell A")),
        ("protocols", wire.Protocols(("1D EXTENDED+", "SHIM"))),
        ("options", wire.Offer({"1D EXTENDED+": (wire.Option("PulseAngle", "", ("30", "90")),)})),
        (
            "protocol_options",
            wire.Offer(
                {"1D EXTENDED+": (wire.Option("PulseAngle", "90", ("30", "90")),), "SHIM 1H SAMPLE": (wire.Option("SampleReference"),)}
            ),
        ),
        ("estimate", wire.Estimate("1D EXTENDED+", 16.5, {"Number": "16"}, "")),
        ("estimate_error", wire.Estimate("1D LITHIUM", 0.0, {}, "Unknown protocol")),
        ("shim", wire.Other("CheckShimResponse", {"error": ""})),
    ],
)
def test_what_comes(name: str, meant: wire.Message) -> None:
    assert read(name) == meant


@pytest.mark.parametrize("size", [1, 2, 7, 100, 100_000])
def test_any_pieces_and_anything_between(size: int) -> None:
    stream = "\ufeff\r\n".join(CAME.values()).encode()
    scanner, found = wire.Scanner(), []
    for at in range(0, len(stream), size):
        found += scanner.feed(stream[at : at + size])
    assert [wire.read(document) for document in found] == [(read(name),) for name in CAME]
    assert scanner.dropped == 0


def test_a_document_that_breaks_off_costs_itself_only() -> None:
    scanner = wire.Scanner()
    documents = scanner.feed(b'<Message><StatusNotification timest<?xml version="1.0"?>' + CAME["ready"].encode())
    assert len(documents) == 1
    assert isinstance(wire.read(documents[0])[0], wire.State)
    assert scanner.dropped > 0


def test_an_end_tag_with_blanks_and_one_that_only_looks_like_it() -> None:
    assert wire.Scanner().feed(b"<Message><Abort/></Message \n >")
    assert wire.Scanner().feed(b"<Message><Abort/></Messages><Message><Abort/></Message>") == [b"<Message><Abort/></Message>"]


def test_a_stream_without_end_is_dropped() -> None:
    scanner = wire.Scanner()
    for _ in range(5):
        assert scanner.feed(b"<Message>" + b"x" * (1 << 20)) == []
    assert scanner.dropped > wire.MOST_BYTES
    assert scanner.feed(CAME["ready"].encode())


def test_several_notifications_in_one_document_are_all_heard() -> None:
    two = b'<State protocol="P" status="Ready"/><Progress protocol="P" percentage="1"/>'
    document = b"<Message><StatusNotification>" + two + b"</StatusNotification></Message>"
    assert [type(one) for one in wire.read(document)] == [wire.State, wire.Progress]


@pytest.mark.parametrize(
    "document",
    [
        b"<Message></Message>",
        b"<Message><A/><B/></Message>",
        b"<Message><A></Message>",
        b"<Massage><A/></Massage>",
        b"<Message>&bomb;</Message>",
        b"<Message><StatusNotification/></Message>",
        b'<Message><StatusNotification><State protocol="P"/></StatusNotification></Message>',
        b'<Message><StatusNotification><Progress protocol="P" percentage="nan"/></StatusNotification></Message>',
        b'<Message><StatusNotification><Completed completed="maybe" successful="1"/></StatusNotification></Message>',
        b"<Message>\xff</Message>",
    ],
)
def test_what_is_none_is_refused(document: bytes) -> None:
    with pytest.raises(BadReply):
        wire.read(document)


def test_a_document_type_never_gets_to_the_parser() -> None:
    bomb = b'<!DOCTYPE Message [<!ENTITY a "aaaa">]><Message><Other name="&a;"/></Message>'
    (document,) = wire.Scanner().feed(bomb)
    with pytest.raises(BadReply, match="entity"):
        wire.read(document)


@pytest.mark.parametrize("text", ["a;b", "a=b", 'a"b', "a\nb", "", "x" * 201, "a\x00b"])
def test_what_cannot_be_sent(text: str) -> None:
    with pytest.raises(Rejected):
        wire.set_user_data({"opnmr_key": text} if text else {"": "x"})


def test_markup_in_a_text_stays_text() -> None:
    (message,) = wire.read(wire.Scanner().feed(wire.set_data_folder("D:\\a<b>&c"))[0])
    assert isinstance(message, wire.Other)
    assert b"&lt;b&gt;&amp;c" in wire.set_data_folder("D:\\a<b>&c")


@pytest.mark.parametrize(("data", "alien"), [(b"SSH-2.0-OpenSSH", True), (b"\xef\xbb\xbf <Mess", False), (b"", False)])
def test_another_program(data: bytes, *, alien: bool) -> None:
    scanner = wire.Scanner()
    scanner.feed(data)
    assert bool(scanner.alien) is alien
