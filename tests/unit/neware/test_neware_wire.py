"""Messages as a real BTS sent them, and questions as a client of one asks them."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from drivers.neware import wire

CHANNEL = wire.Address("127.0.0.1", "27", "21", "1", "1")
OTHER = wire.Address("127.0.0.1", "27", "21", "1", "2")


@pytest.fixture
def golden(repository: Path) -> Path:
    return repository / "tests" / "golden" / "neware"


def reply(golden: Path, name: str) -> bytes:
    (message,) = wire.Splitter().feed((golden / f"{name}.reply").read_bytes())
    return message


def same(ours: bytes, theirs: str) -> bool:
    """Two messages with the same elements, attributes and texts; a stray quote behind the list is no part of it."""

    def plain(root: ET.Element) -> list[object]:
        return [(one.tag, sorted(one.attrib.items()), (one.text or "").strip()) for one in root.iter()]

    text = ours.decode().removesuffix(wire.TERMINATOR.decode())
    return plain(ET.fromstring(text.encode())) == plain(ET.fromstring(f'<bts version="1.0">{theirs}</bts>'))


QUESTIONS = {
    "connect": wire.connect(),
    "getdevinfo": wire.devices(),
    "inquire": wire.inquire(CHANNEL),
    "inquiredf": wire.inquire_data(CHANNEL),
    "start": wire.start(CHANNEL, "op.step-1", r"C:\steps\op.step-1.xml", r"C:\data"),
    "stop": wire.stop(CHANNEL),
    "download": wire.download(CHANNEL, 143, 219576),
}


@pytest.mark.parametrize("command", QUESTIONS)
def test_each_question_is_what_a_client_of_a_real_one_asks(golden: Path, command: str) -> None:
    asked = json.loads((golden / "questions.json").read_text("utf-8"))
    assert set(asked) == set(QUESTIONS)
    assert same(QUESTIONS[command], asked[command])
    assert QUESTIONS[command].startswith(b'<?xml version="1.0" encoding="UTF-8" ?><bts version="1.0"><cmd>' + command.encode())
    assert QUESTIONS[command].endswith(b"</bts>\n\n#\r\n")


def test_what_a_real_one_answers(golden: Path) -> None:
    assert wire.welcome(reply(golden, "connect"))
    assert wire.command_of(reply(golden, "connect")) == "connect"
    found = wire.addresses(reply(golden, "getdevinfo"))
    assert (len(found), found[0], str(found[-1])) == (16, CHANNEL, "21-2-8")
    assert wire.test_of(reply(golden, "inquiredf"), CHANNEL) == wire.Test(143, 219585)
    assert wire.verdict(reply(golden, "start_ok"), CHANNEL)
    assert not wire.verdict(reply(golden, "start_refused"), OTHER)
    assert wire.verdict(reply(golden, "stop_ok"), CHANNEL)


def test_what_a_channel_does(golden: Path) -> None:
    idle = wire.state(reply(golden, "inquire_finish"), CHANNEL)
    assert idle == wire.State("finish", "--", "cell_01", 0.0, 3.8834, 0.0, "0")
    runs = wire.state(reply(golden, "inquire_working"), OTHER)
    assert runs == wire.State("working", "dc", "cell_01", -0.0003, 4.6947, 12319.0, "102000")


def test_rows_have_full_resolution_and_a_misspelt_answer(golden: Path) -> None:
    data = reply(golden, "download")
    assert b"donwload_resp" in data
    assert wire.command_of(data) == "download"
    rows = wire.rows(data)
    assert [row.number for row in rows] == list(range(219576, 219586))
    last = rows[-1]
    assert (last.time_s, last.voltage_V, last.current_A) == (36136.4, 3.49995565414429, -0.000295051460852847)
    assert last.charge_C == pytest.approx(0.00296172639355063 * 3600)
    assert last.charge_C == pytest.approx(abs(last.current_A) * last.time_s, rel=2e-4)


def test_an_answer_that_names_the_wrong_subdevice_is_ours_all_the_same() -> None:
    mine = wire.Address("127.0.0.1", "27", "13", "5", "5")
    answer = b'<bts version="1.0"><cmd>stop_resp</cmd><list count="1"><stop devid="13" subdevid="1" chlid="5">ok</stop></list></bts>'
    assert wire.verdict(answer, mine)
    with pytest.raises(wire.Garbled, match="not 13-5-6"):
        wire.verdict(answer, wire.Address("127.0.0.1", "27", "13", "5", "6"))


def test_a_stream_is_cut_at_its_terminators_however_it_arrives(golden: Path) -> None:
    stream = b"".join((golden / f"{name}.reply").read_bytes() for name in ("connect", "download", "stop_ok"))
    splitter, found = wire.Splitter(), []
    for at in range(len(stream)):
        found += splitter.feed(stream[at : at + 1])
    assert [wire.command_of(one) for one in found] == ["connect", "download", "stop"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no XML"),
        (b"<bts>", "no XML"),
        (b"<html/>", "no message"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><bts/>', "declaration"),
        (b"<bts/>", "no <list>"),
        (b"<bts><list/></bts>", "empty list"),
        (b'<bts><list><inquire dev="27-21-1-1-0"/></list></bts>', "no workstatus"),
        (b'<bts><list><inquire dev="27-21-1-1-0" workstatus="finish" voltage="1_0"/></list></bts>', "voltage is"),
    ],
)
def test_nonsense_is_said_to_be_nonsense(data: bytes, why: str) -> None:
    with pytest.raises(wire.Garbled, match=why):
        wire.state(data, CHANNEL)


def test_what_never_ends_is_not_kept() -> None:
    with pytest.raises(wire.Garbled, match="without an end"):
        wire.Splitter().feed(b"x" * (wire.MOST_BYTES + 1))


def test_a_path_cannot_end_its_message() -> None:
    question = wire.start(CHANNEL, 'a"b', "C:\\R&D\\</start>", "D:\\")
    root = ET.fromstring(question.removesuffix(wire.TERMINATOR))
    start = root.find("list/start")
    assert start is not None
    assert (start.text, start.get("barcode")) == ("C:\\R&D\\</start>", 'a"b')
