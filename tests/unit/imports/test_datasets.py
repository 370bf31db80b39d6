"""Data folders as they appear: half copied, still changing, complete, damaged; each is taken once."""

from __future__ import annotations

import shutil

import pytest

from orchestrator.imports.datasets import Datasets, key_of, open_folder

pytestmark = pytest.mark.real_data


@pytest.fixture
def now():
    return [1000.0]


@pytest.fixture
def recorded(real_data):
    return real_data / "vnmrj_battery_19F_1H" / "19F_20231118T023054.fid"


def look(datasets, now, seconds=2.0):
    now[0] += seconds
    return datasets.look()


def test_a_folder_is_taken_once_complete_and_still(recorded, tmp_path, now):
    datasets = Datasets(tmp_path, lambda: now[0])
    folder = tmp_path / recorded.name
    assert look(datasets, now) == []
    folder.mkdir()
    content = (recorded / "fid").read_bytes()
    (folder / "fid").write_bytes(content[:1000])
    assert look(datasets, now) == []
    assert look(datasets, now) == []
    shutil.copy(recorded / "procpar", folder)
    assert look(datasets, now) == []
    assert look(datasets, now) == []
    assert "bytes" in datasets.growing[folder].lacking
    (folder / "fid").write_bytes(content)
    assert look(datasets, now, 1.0) == []
    shutil.copy(recorded / "log", folder)
    assert look(datasets, now, 1.0) == []
    (found,) = look(datasets, now)
    assert (found.key, found.name) == ("19F_20231118T023054", "19F_s2pul")
    assert found.appeared.at_s < found.seen.before_s < found.seen.at_s
    assert look(datasets, now) == []
    assert Datasets(tmp_path, lambda: now[0], [found.key], settle_s=0.0).look() == []


@pytest.mark.parametrize("part", range(1, 8))
def test_a_procpar_that_is_half_written_is_not_complete(recorded, tmp_path, now, part):
    folder = tmp_path / recorded.name
    shutil.copytree(recorded, folder)
    content = (recorded / "procpar").read_bytes()
    (folder / "procpar").write_bytes(content[: len(content) * part // 8])
    datasets = Datasets(tmp_path, lambda: now[0])
    assert look(datasets, now) == []
    assert look(datasets, now) == []


def test_what_is_taken_is_not_opened_again(recorded, tmp_path, now, monkeypatch):
    shutil.copytree(recorded, tmp_path / recorded.name)
    datasets = Datasets(tmp_path, lambda: now[0])
    look(datasets, now)
    assert len(look(datasets, now)) == 1
    monkeypatch.setattr("orchestrator.imports.datasets._signature", lambda folder: pytest.fail(f"{folder} was looked into"))
    assert look(datasets, now) == []


def test_fids_are_not_all_held_at_once(real_data, tmp_path, now):
    datasets = Datasets(real_data / "vnmrj_battery_19F_1H", lambda: now[0], settle_s=0.0)
    sizes = []
    while found := datasets.look(5):
        sizes.append(len(found))
    assert sizes == [5, 5, 5, 5, 4]


def test_a_damaged_data_set_is_told_as_what_it_is(real_data, tmp_path):
    source = real_data / "bruker_operando_7Li" / "1"
    folder = tmp_path / "series" / "1"
    shutil.copytree(source, folder)
    whole = open_folder(folder, tmp_path / "series")
    assert whole.fetched is not None
    assert whole.key == "series-1"
    content = bytearray((folder / "fid").read_bytes())
    content[100] ^= 1
    (folder / "fid").write_bytes(bytes(content))
    damaged = open_folder(folder, tmp_path / "series")
    assert damaged.fetched is None
    assert "sum does not hold" in damaged.why


def test_keys_are_names_of_data_sets(tmp_path):
    assert key_of(tmp_path / "cell A" / "7", tmp_path) == "cell_A-7"
    long = key_of(tmp_path / ("x" * 90) / "7", tmp_path)
    assert len(long) <= 56
    assert long != key_of(tmp_path / ("x" * 90) / "8", tmp_path)
