"""Commands, lines and ``.talk`` against the document, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import Rejected
from drivers.openvnmrj import wire

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[2] / "golden" / "openvnmrj" / "wire.json").read_text())
BACK = wire.BackAddress(**GOLDEN["back"])
NONCE: str = GOLDEN["nonce"]


def test_talk_holds_the_port_in_network_order() -> None:
    case = GOLDEN["talk"]
    assert wire.parse_talk(case["text"]) == wire.Talk(case["host"], case["port"], case["pid"])
    assert wire.parse_talk(case["text"], swapped=False).port == 12774
    assert wire.swap_port(58929) == 12774


@given(st.integers(0, 65535))
def test_swapping_twice_is_nothing(port: int) -> None:
    assert wire.swap_port(wire.swap_port(port)) == port


@pytest.mark.parametrize("text", ["", "host", "host 0 1", "host 99999 1", "host x 1", "host 12774"])
def test_not_a_talk_file(text: str) -> None:
    with pytest.raises(ValueError, match="talk"):
        wire.parse_talk(text)


def test_commands_byte_for_byte() -> None:
    assert wire.ask_state(BACK, NONCE) == GOLDEN["state"].encode()
    assert wire.ask_numbers(BACK, NONCE, ("np", "sw")) == GOLDEN["numbers"].encode()
    assert wire.ask_text(BACK, NONCE, "tn") == GOLDEN["text"].encode()
    assert wire.acquire(BACK, NONCE, "/data/cellA/step-12_b0") == GOLDEN["acquire"].encode()


def test_every_command_fits_one_read_of_the_console() -> None:
    back = wire.BackAddress("instrument-computer.chemistry.example.org", 65535)
    path = "/home/vnmr1/vnmrsys/data/operando/" + "k" * 80 + "_b1234"
    assert len(wire.acquire(back, NONCE, path)) < 1000
    assert len(wire.ask_numbers(back, NONCE, wire.NUMBERS)) < 1000
    with pytest.raises(Rejected, match="would be cut"):
        wire.acquire(back, NONCE, "/" + "d" * 800)


@pytest.mark.parametrize("name", ["", "a b", "a'b", "a\nb", "..", "-x", "a/b", "x" * 81, "ü"])
def test_names_that_never_reach_the_language(name: str) -> None:
    with pytest.raises(Rejected):
        wire.safe_name(name)


@pytest.mark.parametrize("path", ["relative", "/a b", "/a/../b", "/a'", "/a//b", "/a/", "", "/a\n"])
def test_paths_that_never_reach_the_language(path: str) -> None:
    with pytest.raises(Rejected):
        wire.safe_path(path)


def test_what_wexp_will_do_can_be_read_back() -> None:
    armed = wire.Armed("/data/cellA", "step-12", 0, NONCE)
    assert wire.parse_wexp(GOLDEN["wexp_as_stored"]) == armed
    assert wire.parse_wexp(GOLDEN["acquire"]) == armed
    assert wire.parse_wexp(GOLDEN["wexp_as_stored"].replace("\\n", "\n")) == armed
    assert wire.parse_wexp("svf('/data/colleague')") is None
    assert wire.parse_wexp("") is None


def test_lines_of_ours() -> None:
    assert wire.parse_said(f"OPNMR {NONCE} DONE 16\n".encode()) == wire.Said(NONCE, "DONE", "16")
    assert wire.parse_said(f"OPNMR {NONCE} STATE 0 0 \n".encode()).payload == "0 0"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"DONE\n",
        b"OPNMR 0123 DONE 1\n",
        b"OPNMR 0123456789abcdef KILL 1\n",
        b"GET / HTTP/1.1\r\n",
        b"OPNMR 0123456789abcdef DONE \xff\n",
    ],
)
def test_lines_that_are_not_ours(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a line of ours"):
        wire.parse_said(data)


def test_states() -> None:
    assert wire.parse_state("1 2 vnmr1") == wire.Activity(1, 2, "vnmr1")
    assert wire.parse_state("0 0") == wire.Activity(0, 0, "")
    assert wire.parse_state("-1 0 ").active == -1
    with pytest.raises(ValueError, match="state"):
        wire.parse_state("one 2")


def test_numbers_come_in_the_order_asked() -> None:
    assert wire.parse_numbers("8192 93457.9", ("np", "sw")) == {"np": 8192.0, "sw": 93457.9}
    with pytest.raises(ValueError, match="values"):
        wire.parse_numbers("8192", ("np", "sw"))


def test_nuclei() -> None:
    assert [wire.nucleus_name(name) for name in ("7Li", "23Na", "19F", "1H")] == ["Li7", "Na23", "F19", "H1"]
    assert [wire.nucleus_of(name) for name in ("Li7", "Na23", "lk")] == ["7Li", "23Na", "lk"]
    with pytest.raises(Rejected):
        wire.nucleus_name("lithium")


@pytest.mark.parametrize(("value", "text"), [(16, "16"), (1.0, "1"), (0.75, "0.75"), (93458.0, "93458"), (-1.5e-7, "-1.5e-07")])
def test_numbers_as_magical_reads_them(value: float, text: str) -> None:
    assert wire.number(value) == text


def test_strings_are_quoted_once() -> None:
    assert wire.quote("svf('a')") == r"'svf(\'a\')'"
    with pytest.raises(Rejected):
        wire.quote('say "x"')


def test_the_clock_and_the_scans_so_far_are_asked_for_in_one_line() -> None:
    """consoles.md 3.2 and 3.3: `$` variables and `if` are legal in a line from the socket; `svf(name,'force')`."""
    assert wire.ask_clock(BACK, NONCE).startswith(
        b"exists('unixtime','command'):$e $s=0 $m=0 if $e>0.5 then unixtime:$s,$m endif write('net',"
    )
    assert wire.parse_clock("1700267454 250000") == 1_700_267_454_250_000_000
    assert wire.parse_clock("0 0") == 0
    assert wire.save_so_far(BACK, NONCE, "/data/a_b0_look").startswith(b"svf('/data/a_b0_look','force') write('net',")


def test_behind_a_firewall_no_statement_makes_a_connection() -> None:
    """consoles.md 3.2, file variant: `write('file',f,template,args)`."""
    files = wire.BackFolder("/data/.answers")
    asked = wire.ask_numbers(files, NONCE, ("gain",))
    assert asked == f"write('file','/data/.answers/{NONCE}','OPNMR {NONCE} NUMBERS %.12g',gain)\0".encode()
    every = (wire.ask_state(files, NONCE), wire.ask_clock(files, NONCE), wire.acquire(files, NONCE, "/data/" + "k" * 60 + "_b0"), asked)
    assert not [command for command in every if b"'net'" in command or b"net\\'" in command]
    assert all(len(command) < 1000 for command in every)
    said = wire.parse_said(f"OPNMR {NONCE} NUMBERS 30".encode())
    assert (said.word, said.payload) == ("NUMBERS", "30")
