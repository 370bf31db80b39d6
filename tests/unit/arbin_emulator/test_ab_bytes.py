"""Byte by byte against the public client pycti-arbin: what the plain client here asks, and what the emulator answers."""

from __future__ import annotations

import logging
import struct
from typing import Any

import pytest
from arbin_client import assign_request, info_request, login_request, set_request, start_request, stop_request
from pyctiarbin.messages import Msg

from drivers.arbin.instrument import messages
from drivers.arbin.instrument.messages import ASSIGN, INFO, LOGIN, SET_MV, START, STOP

VARIABLES = {f"user_variable_{n}": 0.0 for n in range(1, 17)}


@pytest.mark.parametrize(
    ("ours", "theirs", "values"),
    [
        (login_request("admin", "000000"), Msg.Login.Client, {"username": "admin", "password": "000000"}),
        (info_request(13), Msg.ChannelInfo.Client, {"channel": 13}),
        (
            assign_request(13, "a.sdx", {}, "cell"),
            Msg.AssignSchedule.Client,
            {"channel": 13, "schedule": "a.sdx", "barcode": "cell", **VARIABLES},
        ),
        (start_request(13, "night"), Msg.StartSchedule.Client, {"channel": 13, "test_name": "night"}),
        (stop_request(13), Msg.StopSchedule.Client, {"channel": 13}),
        (set_request(13, 116, 2.5), Msg.SetMetaVariable.Client, {"channel": 13, "mv_meta_code": 116, "mv_data": 2.5}),
    ],
)
def test_a_request(ours: bytes, theirs: Any, values: dict[str, Any]) -> None:
    assert ours == bytes(theirs.pack(values))
    requests = messages.Requests()
    (found,) = requests.feed(ours)
    assert requests.odd == []
    assert messages.read(found).get("channel", 13) == 13


@pytest.mark.parametrize(
    ("request_code", "theirs"),
    [(ASSIGN, Msg.AssignSchedule), (START, Msg.StartSchedule), (STOP, Msg.StopSchedule), (SET_MV, Msg.SetMetaVariable)],
)
def test_a_feedback(request_code: int, theirs: Any) -> None:
    wanted = bytes(theirs.Server.pack({"channel": 13, "result": "\x10"}))
    assert len(wanted) == 130
    assert messages.answer(request_code, {"channel": 13, "result": 16}) == wanted


def test_a_log_in_and_a_channel_info_read_as_that_client_reads_them(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = Msg.Login.Server.unpack(messages.answer(LOGIN, {"result": 3, "serial": "207855", "channels": 8, "allow_control": 1}))
        assert (found["result"], found["cycler_sn"], found["num_channels"], found["allow_control"]) == ("already logged in", "207855", 8, 1)
        values = {"count": 1, "channel": 13, "status": 3, "schedule": "Rest+207855.sdx", "test": "night", "exit_condition": "N/A"}
        values |= {"barcode": "cell", "step_and_cycle": "[1] 1: Step_A, Rest", "master_channel": 13, "test_time_s": 2.5432}
        values |= {"step_time_s": 1.5, "voltage_V": 3.5, "current_A": -0.25, "power_W": -0.875, "comm_failure": 1}
        values |= {"charge_Ah": 1.0, "discharge_Ah": 2.0, "charge_Wh": 3.0, "discharge_Wh": 4.0}
        found = Msg.ChannelInfo.Server.unpack(messages.answer(INFO, values))
    assert caplog.records == [], "length and code are what that client expects"
    said = ("number_of_channels", "channel", "status", "schedule", "testname", "exit_condition", "barcode", "step_and_cycle_format")
    assert [found[name] for name in said[:3]] == [1, 13, "Discharge"]
    assert [found[name] for name in said[3:]] == ["Rest+207855.sdx", "night", "N/A", "cell", "[1] 1: Step_A, Rest"]
    numbers = ("test_time_s", "step_time_s", "voltage_v", "current_a", "power_w")
    assert [found[name] for name in numbers] == [2.5432, 1.5, 3.5, -0.25, -0.875]
    sums = ("charge_capacity_ah", "discharge_capacity_ah", "charge_energy_wh", "discharge_energy_wh", "comm_failure", "master_channel")
    assert [found[name] for name in sums] == [1.0, 2.0, 3.0, 4.0, 1, 13]


def test_what_is_too_long_is_cut_and_ends_in_a_zero() -> None:
    found = messages.answer(INFO, {"test": "x" * 100})
    assert found[431:575] == ("x" * 71 + "\0").encode("utf-16-le")
    assert struct.unpack_from("<H", found, 1779)[0] == sum(found[:1779]) & 0xFFFF
