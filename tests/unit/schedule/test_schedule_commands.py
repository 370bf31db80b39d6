"""`operando queue`, as it is typed: what is refused, what is pinned, what is said."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.app import run as operando
from orchestrator.config import load_experiment
from orchestrator.schedule import version
from orchestrator.schedule.daemon import served
from orchestrator.schedule.queue import Queue as Opened

EXPERIMENT = """
version: 1
experiment: short
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 20 s}
prepare: [ocv -20..20 mV for 30 s]
protocol: [Rest for 14 hours]
"""

Queue = Callable[..., Any]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPERANDO_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "short.yaml"
    path.write_text(EXPERIMENT, "utf-8")
    return path


@pytest.fixture
def queue(file: Path, repository: Path, capsys: pytest.CaptureFixture[str]) -> Queue:
    def typed(verb: str, *words: str) -> Any:
        more = [str(file), "--rig", str(repository / "configs" / "rigs" / "memory.yaml")] if verb == "add" else []
        code = operando(["queue", verb, *more, *words, "--json"])
        said = capsys.readouterr()
        assert code == 0, said.err
        return [json.loads(line) for line in said.out.splitlines()] if verb == "list" else json.loads(said.out)

    return typed


def refused(file: Path, repository: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert operando(["queue", "add", str(file), "--rig", str(repository / "configs" / "rigs" / "memory.yaml"), *words]) == 2
    assert not list((file.parent / "home" / "queue").glob("0*")), "nothing is left of what was refused"
    return capsys.readouterr().err


def test_what_does_not_fit_its_night_is_refused_with_the_arithmetic(file: Path, repository: Path, capsys: Any) -> None:
    text = refused(file, repository, capsys, "--window", "19:00-08:00")
    assert "the run needs 14 h (at worst 14 h)" in text
    assert "(13 h): 1 h too long" in text
    assert "`when_booking_ends`" in text


def test_what_the_experiment_provides_for_is_taken(file: Path, queue: Queue) -> None:
    file.write_text(EXPERIMENT + "when_booking_ends: {cell: open circuit}\n", "utf-8")
    assert "cut short by" in queue("add", "--window", "19:00-08:00")["first_opening"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--window", "19-8"), "write 19:00-08:00"),
        (("--booking", "2020-01-01 10:00..2020-01-02 10:00"), "no time is left: its window is over"),
        (("--must-end-by", "soon"), "no date and time"),
        (("--speed", "fast"), "--speed fast: write a number (60 = sixty times as fast) or `max`"),
        (("--speed", "inf"), "--speed inf: write a number (60 = sixty times as fast) or `max`"),
    ],
)
def test_what_cannot_be_is_said(words: tuple[str, ...], says: str, file: Path, repository: Path, capsys: Any) -> None:
    assert says in refused(file, repository, capsys, *words)


def test_a_cell_of_which_nobody_says_the_voltage_is_refused(file: Path, repository: Path, capsys: Any) -> None:
    file.write_text(EXPERIMENT.replace("prepare: [ocv -20..20 mV for 30 s]\n", ""), "utf-8")
    assert "a wrong cell would not be noticed at night" in refused(file, repository, capsys)


def test_what_is_named_relative_to_a_copied_file_is_refused(file: Path, repository: Path, tmp_path: Path, capsys: Any) -> None:
    rig = tmp_path / "rig.yaml"
    text = (repository / "configs" / "rigs" / "memory.yaml").read_text("utf-8")
    rig.write_text(text.replace("../twins/", f"{repository / 'configs' / 'twins'}/") + "mirror_to: ../share\n", "utf-8")
    assert operando(["queue", "add", str(file), "--rig", str(rig)]) == 2
    assert "`mirror_to: ../share` is relative" in capsys.readouterr().err


def test_files_and_program_are_pinned_when_it_is_queued(file: Path, queue: Queue) -> None:
    number = str(queue("add")["id"])
    file.write_text("something else", "utf-8")
    shown = queue("show", number)
    copy = shown["asked"]["files"]["experiment"]
    assert Path(copy["path"]).read_text("utf-8") == EXPERIMENT
    assert set(shown["asked"]["files"]) == {"experiment", "rig", "twin"}
    assert shown["asked"]["program"]
    assert shown["asked"]["needs_s"] == pytest.approx(14 * 3600 + 30 + 60)


def test_a_cell_record_beside_the_experiment_is_copied_and_one_at_home_is_not(file: Path, queue: Queue) -> None:
    record, home = file.parent / "cells" / "C1.yaml", file.parent / "home" / "cells" / "C2.yaml"
    for path in (record, home):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{{id: {path.stem}, type: symmetric, working: upper Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0}}\n", "utf-8")
    for name, copied in (("C1", {"experiment", "rig", "twin", "cell"}), ("C2", {"experiment", "rig", "twin"})):
        file.write_text(re.sub(r"cell: .*", f"cell: {name}", EXPERIMENT), "utf-8")
        shown = queue("show", str(queue("add")["id"]))
        assert set(shown["asked"]["files"]) == copied
        assert load_experiment(shown["asked"]["files"]["experiment"]["path"], home=home.parent.parent).cell.id == name


def test_confirm_move_and_remove(queue: Queue, file: Path, capsys: Any) -> None:
    cells = file.parent / "home" / "cells"
    cells.mkdir(parents=True)
    (cells / "C1.yaml").write_text("{id: C1, type: symmetric, working: upper Li}\n", "utf-8")
    first, second = (queue("add")["id"] for _ in range(2))
    assert "not confirmed loaded" in queue("list")[0]["why"]
    assert queue("confirm", str(first))["why"] == "due, but no daemon serves this queue: operando serve"
    assert queue("move", str(second), "--before", str(first))["priority"] == 0
    assert [one["id"] for one in queue("list")] == [second, first]
    assert queue("remove", str(second))["state"] == "removed"
    assert [one["id"] for one in queue("list")] == [first]
    assert [one["id"] for one in queue("list", "--all")] == [second, first]
    assert operando(["cell", "show", "C1"]) == 0
    assert f"confirmed for entry {first} of the queue" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("place", "says"),
    [("/opt/other", "the program is another (0.9 abc) than at submission"), (version.place(), "due")],
)
def test_it_is_the_daemons_program_that_would_start_it(place: str, says: str, queue: Queue, file: Path) -> None:
    home = file.parent / "home"
    number = str(queue("add", "--loaded")["id"])
    opened = Opened(home)
    opened.know(version.KNOWN, json.dumps({"program": "0.9 abc", "place": place}))
    with served(home):
        assert queue("list")[0]["why"].startswith(says)
        assert queue("show", number)["why"].startswith(says)
        assert queue("confirm", number)["why"] == "due"
        assert (opened.entry(int(number)).program == "0.9 abc") is (place == "/opt/other")
    opened.close()


def test_copies_that_were_changed_are_not_due(queue: Queue) -> None:
    number = str(queue("add", "--loaded")["id"])
    Path(queue("show", number)["asked"]["files"]["experiment"]["path"]).write_text("other", "utf-8")
    assert queue("list")[0]["why"].startswith("its copies are not what was submitted")


def test_an_entry_that_is_not_there(file: Path, capsys: Any) -> None:
    assert operando(["queue", "show", "7"]) == 2
    assert "no entry 7" in capsys.readouterr().err
