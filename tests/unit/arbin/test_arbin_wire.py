"""Arbin's frames are those that a public client makes, byte for byte, and what it says to itself is read."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.arbin import wire
from drivers.arbin.models import Options, capabilities_of, channel_of, key_of, name_of, planned, schedule_of, variables_of, where
from drivers.base import EndConditions, Limits, Mode, Settings, StepOrder
from drivers.errors import Rejected

GOLDEN = Path(__file__).parents[2] / "golden" / "arbin" / "public_client.hex"
FRAMES = {name: bytes.fromhex(data) for name, data in (line.split() for line in GOLDEN.read_text().splitlines() if line[0] != "#")}
NUMBERS = wire.Variables(0.5, 4.2, 2.5, 60.0, 0.25, 0.0, 4.25, 2.375, 0.625, 0.5, 1.0)
LIMITS = Limits(voltage_upper_V=4.3, voltage_lower_V=2.4, current_A=0.6, charge_C=3600.0, time_s=1e5)
STEP = StepOrder("s1", Mode.GALVANOSTATIC, EndConditions(60.0, voltage_upper_V=4.2), LIMITS, current_A=0.5)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("login", wire.login("admin", "secret")),
        ("channel_info", wire.channel_info(4)),
        ("assign", wire.assign(4, "operando_current.sdx", "op.s1", NUMBERS)),
        ("start", wire.start(4, "op.s1")),
        ("stop", wire.stop(4)),
    ],
)
def test_each_question_is_the_public_clients(name: str, made: bytes) -> None:
    assert made == FRAMES[name]


def test_the_frame_is_the_dossiers() -> None:
    """Header, length, command, extended command, payload, sum of all bytes; the length leaves out header and itself."""
    data = wire.stop(0)
    assert data[:8].hex() == "dddddddddddddd11"
    assert struct.unpack_from("<III", data, 8) == (len(data) - 12, 0xBB310001, 0)
    assert int.from_bytes(data[-2:], "little") == sum(data[:-2]) & 0xFFFF


@pytest.mark.parametrize("size", [1, 7, 1000, 10_000])
def test_answers_are_read_however_they_arrive(size: int) -> None:
    splitter, found = wire.Splitter(), []
    stream = FRAMES["welcome"] + FRAMES["info"] + FRAMES["started"]
    for at in range(0, len(stream), size):
        frame = splitter.feed(stream[at : at + size])
        while frame is not None:
            found.append(frame)
            frame = splitter.feed(b"")
    assert found == [FRAMES["welcome"], FRAMES["info"], FRAMES["started"]]


def test_a_reply_whose_length_counts_as_a_question_does_is_read_too() -> None:
    body = bytearray(FRAMES["stopped"][:-2])
    struct.pack_into("<I", body, 8, len(body) + 2 - 12)
    data = bytes(body) + (sum(body) & 0xFFFF).to_bytes(2, "little")
    assert wire.Splitter().feed(data) == data


def test_who_answers() -> None:
    assert wire.welcome(FRAMES["welcome"]) == wire.Welcome(1, "AB12", 11, 8)
    assert not replace(wire.welcome(FRAMES["welcome"]), result=2).taken


def test_what_a_channel_does() -> None:
    found = wire.info(FRAMES["info"])
    assert (found.channel, found.test, found.running, found.time_s) == (4, "op.s1", True, 12.5)
    assert (found.row.voltage_V, found.row.current_A, found.row.charge_C) == (3.5, -0.5, 900.0)
    assert wire.info(FRAMES["idle"]).running is False


@pytest.mark.parametrize(
    ("status", "running"), [(0, False), (2, True), (4, True), (15, False), (18, None), (8, None), (14, None), (22, True)]
)
def test_status_words(status: int, running: bool | None) -> None:
    assert replace(wire.info(FRAMES["info"]), status=status).running is running


def test_results() -> None:
    assert [wire.result(FRAMES[name], code) for name, code in (("assigned", wire.ASSIGN_REPLY), ("stopped", wire.STOP_REPLY))] == [0, 0]
    assert wire.refusal(wire.START_REPLY, wire.result(FRAMES["runs_already"], wire.START_REPLY)) == "the channel runs, or is unsafe"
    with pytest.raises(wire.Garbled, match="answers BB120001"):
        wire.result(FRAMES["assigned"], wire.STOP_REPLY)


def test_one_wrong_byte_is_noticed() -> None:
    for at in (0, 24, 40, len(FRAMES["started"]) - 1):
        spoilt = bytearray(FRAMES["started"])
        spoilt[at] ^= 1
        with pytest.raises(wire.Garbled):
            wire.Splitter().feed(bytes(spoilt) + bytes(40))


@pytest.mark.parametrize("text", ["x" * 72, "a\0b"])
def test_a_name_that_does_not_fit_is_not_sent(text: str) -> None:
    with pytest.raises(wire.Garbled):
        wire.start(0, text)


# --------------------------------------------------------------------------------------------------------------- numbers


def test_the_numbers_of_a_step() -> None:
    options = Options(max_current_A=1.0)
    plan = planned((STEP,), capabilities_of(options))
    found = variables_of(plan, options)
    assert schedule_of(plan, options) == "operando_current.sdx"
    assert (found.value, found.time_s, found.upper_V, found.lower_V) == (0.5, 60.0, 4.2, pytest.approx(-1000.0005))
    assert (found.safety_upper_V, found.safety_lower_V, found.safety_current_A) == (4.3, pytest.approx(2.3995), 0.6)
    assert (found.charge_Ah, found.every_s, found.taper_A) == (1.0, 1.0, 0.0)


def test_a_discharge_keeps_its_sign_and_opens_the_upper_side() -> None:
    options = Options(max_current_A=1.0)
    found = variables_of(planned((replace(STEP, current_A=-0.5),), capabilities_of(options)), options)
    assert (found.value, found.upper_V, found.safety_upper_V, found.safety_lower_V) == (
        -0.5,
        pytest.approx(4.2005),
        pytest.approx(4.3005),
        2.4,
    )


def test_a_tests_name_is_new_and_says_the_step() -> None:
    name = name_of("s1-charge", 1_700_000_000_000_000_000)
    assert (name, key_of(name)) == ("op.s1-charge@6553f100", "s1-charge")
    assert key_of("guest") == ""


@pytest.mark.parametrize(
    "order",
    [
        replace(STEP, key="k" * 70),
        replace(STEP, key="a b"),
        replace(STEP, mode=Mode.IMPEDANCE),
        replace(STEP, current_A=2.0),
        replace(STEP, sample_interval_s=0.1),
    ],
)
def test_what_it_cannot_do_is_refused(order: StepOrder) -> None:
    with pytest.raises(Rejected):
        planned((order,), capabilities_of(Options()))


@pytest.mark.parametrize("options", [{"schedules": 3}, {"user": "x" * 32}, {"max_current_A": -1}, {"min_voltage_V": 9}, {"nonsense": 1}])
def test_a_rig_that_cannot_be_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(Rejected):
        Options.of(Settings("cycler", "arbin", "", options=options))


def test_addresses_and_channels() -> None:
    assert where("10.0.0.2", "cycler") == ("10.0.0.2", 9031)
    assert where("mits:9999", "cycler") == ("mits", 9999)
    assert channel_of(Settings("cycler", "arbin", "", channel="5")) == 4
    for bad in ("0", "x", "-1"):
        with pytest.raises(Rejected):
            channel_of(Settings("cycler", "arbin", "", channel=bad))
