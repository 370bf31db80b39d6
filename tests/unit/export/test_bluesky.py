"""Bluesky-style documents against bluesky's own schemas, and the numbers in them against the run."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import event_model
import h5py
import numpy as np
import pytest
from artificial_night import Night
from reported import clean, run_folder

from orchestrator.export.write import export
from orchestrator.recorder.reader import open_run

SAMPLES, FIDS = 1300, 3


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_folder(tmp_path_factory.mktemp("runs") / "20260101T000000Z_night", clean(Night(samples=SAMPLES, fids=FIDS, points=64)))


@pytest.fixture(scope="module")
def told(run: Path) -> list[tuple[str, dict[str, Any]]]:
    folder, _ = export(run, "bluesky")
    return [tuple(json.loads(line)) for line in (folder / "night.jsonl").read_text("utf-8").splitlines()]


def test_every_document_is_one_by_bluesky_s_schemas(told: list[tuple[str, dict[str, Any]]]) -> None:
    for name, document in told:
        event_model.schema_validators[event_model.DocumentNames[name]].validate(document)
    assert told[0][0] == "start"
    assert told[-1][0] == "stop"
    assert Counter(name for name, _ in told)["event_page"] >= 2 + 1


def test_documents_name_each_other_and_count_right(told: list[tuple[str, dict[str, Any]]]) -> None:
    start = told[0][1]["uid"]
    descriptors = {document["uid"]: document for name, document in told if name == "descriptor"}
    assert all(document["run_start"] == start for document in descriptors.values())
    counted: Counter[str] = Counter()
    for name, document in told:
        if name == "event_page":
            stream = descriptors[document["descriptor"]]
            within = {key for key, about in stream["data_keys"].items() if not about.get("external")}
            assert document["data"].keys() == document["timestamps"].keys() == within
            counted[stream["name"]] += len(document["seq_num"])
    stop = told[-1][1]
    assert stop["exit_status"] == "success"
    assert dict(counted) == {name: n for name, n in stop["num_events"].items() if n}
    assert (counted["electrochemistry"], counted["fid_li"]) == (SAMPLES, FIDS)


def test_the_numbers_are_those_of_the_run(run: Path, told: list[tuple[str, dict[str, Any]]]) -> None:
    (uid,) = [document["uid"] for name, document in told if name == "descriptor" and document["name"] == "electrochemistry"]
    pages = [document for name, document in told if name == "event_page" and document["descriptor"] == uid]
    with open_run(run) as opened:
        cell = opened.electrochemistry
        np.testing.assert_array_equal(np.concatenate([page["data"]["voltage"] for page in pages]), cell["voltage"])
        np.testing.assert_allclose(np.concatenate([page["time"] for page in pages]), cell["time_utc"] / 1e9, rtol=0, atol=1e-6)
    keys = next(document for name, document in told if name == "descriptor" and document["uid"] == uid)["data_keys"]
    assert (keys["voltage"]["units"], keys["current"]["units"]) == ("V", "A")


def test_arrays_are_found_where_the_resource_says(told: list[tuple[str, dict[str, Any]]]) -> None:
    resources = {document["uid"]: document for name, document in told if name == "stream_resource"}
    assert {one["data_key"] for one in resources.values()} == {"fid", "intensity"}
    for name, document in told:
        if name == "stream_datum":
            one = resources[document["stream_resource"]]
            with h5py.File(url2pathname(urlsplit(one["uri"]).path)) as file:
                assert len(file[one["parameters"]["dataset"]]) == document["indices"]["stop"] == FIDS


def test_exported_twice_it_is_the_same(run: Path, tmp_path: Path) -> None:
    first, second = (export(run, "bluesky", tmp_path / name)[0] / "night.jsonl" for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
