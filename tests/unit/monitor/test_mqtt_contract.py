"""The contract of the broker: topics, schemas, AsyncAPI and bytes."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from orchestrator.control.messages import ARGUMENTS
from orchestrator.monitor import described, tiles
from orchestrator.monitor.payloads import MODELS, Command, Event, Sample, State, utc
from orchestrator.monitor.topics import COMMAND_LEVELS, TREE, Levels, Topics, level

RUN = {"run_id": "5eed", "run": "20261121T220000Z_CuLFP-112"}
AT = RUN | {"time_s": 1.5, "time_utc": utc(1.5), "t_s": 0.5}
STATE = AT | {"rig": "magnet 2", "state": "running", "rig_alive": True, "journal_seq": 4}
STATE |= {"heard_s": 1.0, "heard_utc": utc(1.0), "published_s": 2.0, "published_utc": utc(2.0)}


def test_every_level_is_safe_for_every_consumer() -> None:
    for name in ("7Li_metal", "Magnet 2 (König)", "...", "a/b#+"):
        assert re.fullmatch("[a-z0-9-]+", level(name))


def test_names_that_look_alike_do_not_share_a_level() -> None:
    levels = Levels()
    assert [levels.of(name) for name in ("7Li_wide", "7li wide", "7Li_wide", "7LI-WIDE")] == [
        "7li-wide",
        "7li-wide-2",
        "7li-wide",
        "7li-wide-3",
    ]


def test_a_command_says_who_and_what() -> None:
    topics = Topics("sim")
    assert topics.addressed(topics.command("alice", "abort")) == ("alice", "abort")
    for topic in ("operando/v1/other/cmd/alice/abort", topics.top + "/cmd/abort", topics.command("alice", "abort") + "/x", topics.state):
        assert topics.addressed(topic) is None


def test_every_verb_for_people_and_no_other_can_be_sent() -> None:
    assert set(COMMAND_LEVELS.values()) == set(ARGUMENTS) - {"observed"}
    assert not any("current" in verb for verb in COMMAND_LEVELS)


def test_every_argument_of_a_verb_is_a_key_of_the_command() -> None:
    for verb in COMMAND_LEVELS.values():
        assert {argument.name for argument in ARGUMENTS[verb]} <= Command.model_fields.keys()


def test_schemas_are_schemas_and_take_what_is_sent() -> None:
    made = {name: one for name, one in described.schemas().items() if Draft202012Validator.check_schema(one) is None}
    assert len(made) == len(MODELS)
    state = State(**STATE, voltage_V=3.42)
    Draft202012Validator(made["state.json"]).validate(json.loads(state.encoded()))
    with pytest.raises(Exception, match="is not of type"):
        Draft202012Validator(made["state.json"]).validate(json.loads(state.encoded()) | {"voltage_V": "3.42"})


def test_payloads_are_flat_but_for_the_events_table() -> None:
    for name, one in described.schemas().items():
        tables = [key for key, field in one["properties"].items() if field.get("type") in {"object", "array"} or "anyOf" in field]
        assert tables == (["data"] if name == "event.json" else []), name


def test_what_is_not_known_is_left_out_and_what_a_later_version_adds_is_taken() -> None:
    sent = json.loads(State(**STATE).encoded())
    assert "voltage_V" not in sent
    assert State.model_validate(sent | {"from_the_future": 1}).state == "running"


def test_numbers_that_are_not_finite_are_never_sent() -> None:
    with pytest.raises(ValidationError):
        Sample(**AT, seq=1, step_key="1", step_index=0, cycle=1, voltage_V=math.nan)


def test_a_command_with_a_key_too_many_is_none() -> None:
    with pytest.raises(ValidationError):
        Command.model_validate({"id": "1", "not_after_s": 1.0, "current_A": 1.0})


def test_asyncapi_names_every_topic_and_every_schema() -> None:
    document = described.asyncapi()
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert len(addresses) == len(document["operations"]) == len(TREE)
    text = json.dumps(document)
    assert all(f"./{name}" in text for name in described.schemas())
    for reference in re.findall(r'"#/([^"]+)"', text):
        place = document
        for part in reference.split("/"):
            place = place[part]
    for channel in document["channels"].values():
        assert set(re.findall(r"{(\w+)}", channel["address"])) == set(channel["parameters"])


def test_an_event_is_one_line_of_json() -> None:
    event = Event(**AT, seq=7, previous_seq=5, kind="note", source="rig", text="noted", data={"text": "a\nb", "who": "me"})
    assert b"\n" not in event.encoded()


# ----------------------------------------------------------------------------------------------------------------- bytes


def _row(intensity: np.ndarray) -> tiles.Row:
    return tiles.Row(7, 3, 128, 60.5, 1e9 + 0.25, 0.5, 3.42, 2, partial=True, intensity=intensity)


def test_a_row_comes_back_within_half_a_count() -> None:
    intensity = np.random.default_rng(1).normal(size=512) * 1e-5
    back = tiles.row(_row(intensity).encoded())
    assert np.abs(back.intensity - intensity).max() <= 0.51 * np.abs(intensity).max() / 32767
    assert (back.run, back.index, back.scans, back.t_s, back.time_s, back.cycle, back.partial) == (7, 3, 128, 60.5, 1e9 + 0.25, 2, True)
    assert len(_row(intensity).encoded()) == 48 + 1024


@pytest.mark.parametrize("intensity", [np.zeros(4), np.array([]), np.array([np.nan, np.inf, 1e300, -2.0])])
def test_a_row_of_anything_is_a_row(intensity: np.ndarray) -> None:
    assert tiles.row(_row(intensity).encoded()).intensity.size == intensity.size


def test_no_line_is_lost_however_narrow_and_of_either_sign() -> None:
    spectrum = np.zeros(65536)
    spectrum[4711], spectrum[50000] = 5.0, -7.0
    held = tiles.max_hold(spectrum, tiles.ROW_POINTS)
    assert held.size == tiles.ROW_POINTS
    assert (held.max(), held.min()) == (5.0, -7.0)
    assert held.argmax() == 4711 // 128
    assert tiles.max_hold(np.arange(10.0), 512).size == 10


def test_a_tile_of_samples_comes_back_and_is_small_enough_for_a_browser() -> None:
    samples = np.zeros(tiles.TILE_SAMPLES, tiles.SAMPLE)
    samples["t_s"], samples["step"] = np.arange(tiles.TILE_SAMPLES) * 15.0, -1
    payload = tiles.samples_encoded(9, 4, samples)
    run, tile, back = tiles.samples(payload)
    assert (run, tile) == (9, 4)
    assert np.array_equal(back, samples)
    assert len(payload) <= 3900


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x02" + bytes(60), b"\x01" + bytes(47) + b"\x00"])
def test_other_bytes_are_no_tile(payload: bytes) -> None:
    with pytest.raises(tiles.NotATile):
        tiles.row(payload)
    with pytest.raises(tiles.NotATile):
        tiles.samples(payload)
