"""The rig's own journal: what runs and guards leave there, each once, and never on a network folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.model.events import Event
from orchestrator.platform import hold_file
from orchestrator.recorder import records
from orchestrator.recorder.records import Reader
from orchestrator.rig.gather import CannotRun
from orchestrator.rig.outside import JOURNAL, note, noted, refuse_network
from orchestrator.runner.station import Outcome

FINISHED = Outcome("finished", "as planned", "every step was done\nand more", complete=True, exit_code=0, cell="off")


def events(state: Path) -> list[Event]:
    with Reader(state / JOURNAL) as reader:
        assert reader.check_chain() is None
        return list(reader.events())


def acts(run: Path, *kinds: str) -> None:
    run.mkdir(exist_ok=True)
    with (run / "guard.jsonl").open("a", encoding="utf-8") as file:
        for n, kind in enumerate(kinds):
            line: dict[str, Any] = {
                "utc_ns": 10**18 + n,
                "mono_ns": n,
                "pid": 1,
                "kind": kind,
                "why": "gone",
                "confirmed": True,
                "detail": "",
            }
            file.write(json.dumps(line) + "\n")


async def test_runs_and_the_deeds_of_their_guards_each_once(tmp_path: Path) -> None:
    state, first, second = tmp_path / "state", tmp_path / "first", tmp_path / "second"
    await note(state)
    assert not state.joinpath(JOURNAL).exists(), "nothing has happened"
    async with noted(state, first, "a run begins") as tell:
        acts(first, "guard.started", "guard.stood_down")
        tell(FINISHED)
    acts(first, "guard.started", "guard.acting", "guard.tripped")
    await note(state)
    acts(first, "guard.acted")
    with pytest.raises(CannotRun):
        async with noted(state, second, "a run begins"):
            raise CannotRun("no room\nat all")
    await note(state)
    told = events(state)
    assert [event.kind for event in told] == ["note", "note", "guard.acting", "guard.tripped", "guard.acted", "note", "note"]
    texts = [event.data["text"] for event in told if event.kind == "note"]
    assert texts == [
        "a run begins: first",
        "ended: first: finished, as planned, cell off: every step was done",
        "a run begins: second",
        "ended: second: CannotRun: no room",
    ]
    deed = told[2]
    assert (deed.source, deed.data["run"]) == ("guard", str(first))
    assert deed.utc_ns == pytest.approx(10**18, abs=1e9)


async def test_a_run_begins_though_the_rigs_journal_takes_nothing(tmp_path: Path) -> None:
    await note(tmp_path, ("note", {"text": "before", "who": "rig"}, None, "rig"))
    held = hold_file(tmp_path / f".{JOURNAL}.lock")
    assert held is not None
    async with noted(tmp_path, tmp_path / "run", "a run begins"):
        pass
    held.close()
    (tmp_path / JOURNAL).write_bytes(b"no journal")
    async with noted(tmp_path, tmp_path / "run", "a run begins"):
        pass


def test_never_on_a_network_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_network(tmp_path)
    monkeypatch.setattr(records, "network_file_system", lambda _: "nfs4")
    with pytest.raises(CannotRun, match=r"nfs4.*OPERANDO_HOME"):
        refuse_network(tmp_path)
