"""A host that its guard has ended, and one that a bug of ours takes down: what stands in the journal, what happens to the cell."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nights.live import observed_here
from orchestrator.recorder.records import Reader
from orchestrator.rig.gather import gather
from orchestrator.rig.process import Ended, run
from orchestrator.rig.request import RunRequest
from orchestrator.rig.truth import driven_after_s, read_truth
from orchestrator.runner.beat import Beat
from orchestrator.runner.reactions import Reactions
from orchestrator.runner.run import Run
from orchestrator.runner.sampling import Sampling
from orchestrator.runner.states import RunState
from orchestrator.runner.station import ENDED_EARLY, STOP, Ending

FAILS_AFTER_S = 600.0


@pytest.fixture
def begun(tmp_path: Path, repository: Path) -> Callable[[str], Ended]:
    """Run the short night on a rig, whatever becomes of it."""

    def go(rig: str) -> Ended:
        experiment = repository / "configs" / "experiments" / "demo.yaml"
        request = RunRequest(experiment, repository / "configs" / "rigs" / f"{rig}.yaml", tmp_path / "runs", speed=None, display="none")
        with observed_here():
            return run(gather(request))

    return go


def events(folder: Path) -> list[Any]:
    with Reader(folder / "journal.sqlite") as reader:
        return list(reader.events())


def folder_of(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "runs").iterdir()
    return folder


@pytest.fixture
def heartless(monkeypatch: pytest.MonkeyPatch) -> None:
    """The heart stops midway, everything else goes on: nobody but the guard can see it."""
    beat = Beat.run

    async def stopping(self: Beat) -> None:
        try:
            async with asyncio.timeout(FAILS_AFTER_S):
                await beat(self)
        except TimeoutError:
            await asyncio.Event().wait()

    monkeypatch.setattr(Beat, "run", stopping)


@pytest.mark.parametrize("rig", ["sim", "memory"])
@pytest.mark.usefixtures("heartless")
def test_a_virtual_fence_is_a_death(rig: str, begun: Callable[[str], Ended]) -> None:
    ended = begun(rig)
    assert (ended.outcome.exit_code, ended.outcome.cell) == (4, "off")
    found = events(ended.folder)
    assert not [event for event in found if event.kind == "run.ended"]
    assert [event for event in found if event.kind == "cell.state"][-1].data["cell"] == "on", "the dead record nothing"
    said = [json.loads(line) for line in (ended.folder / "guard.jsonl").read_text("utf-8").splitlines()]
    assert [line["kind"] for line in said] == ["guard.acting", "guard.fenced", "guard.acted"]
    assert "no heartbeat" in said[0]["why"]
    truth = read_truth(ended.folder / "emulated" / "truth.jsonl")
    assert driven_after_s(truth, FAILS_AFTER_S) == pytest.approx(12.0, abs=6.0), "open circuit came with the guard, not before"


def one_end(folder: Path) -> dict[str, Any]:
    found = events(folder)
    (end,) = (event for event in found if event.kind == "run.ended")
    assert [event for event in found if event.kind == "cell.state"][-1].data["cell"] == "off"
    truth = read_truth(folder / "emulated" / "truth.jsonl")
    assert driven_after_s(truth, FAILS_AFTER_S) is not None
    return dict(end.data)


def test_a_bug_on_the_way_out_has_one_end_and_a_safe_cell(begun: Callable[[str], Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Run, "_conduct", broken)
    ended = begun("sim")
    assert (ended.outcome.state, ended.outcome.exit_code, ended.outcome.cell) == ("failed", 1, "off")
    assert "ZeroDivisionError: a bug" in one_end(ended.folder)["reason"]


def test_a_reaction_that_fails_makes_the_cell_safe(begun: Callable[[str], Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    ticks = Sampling.flush

    def stopping(self: Sampling, *given: Any) -> Any:
        reactions: Any = self._listener
        if self._s.clock.mono_ns() > FAILS_AFTER_S * 1e9 and reactions.ending is None:
            reactions.stop(Ending(RunState.FINISHED, "somebody stops", ENDED_EARLY, STOP))
        return ticks(self, *given)

    monkeypatch.setattr(Sampling, "flush", stopping)
    monkeypatch.setattr(Reactions, "_end_after_scan", broken)
    ended = begun("sim")
    assert ended.outcome.exit_code == 1
    assert "stop failed: ZeroDivisionError: a bug" in one_end(ended.folder)["reason"]


def test_what_breaks_the_runner_itself_is_not_called_a_run_that_never_began(
    begun: Callable[[str], Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Run.live

    async def broken(self: Run) -> Any:
        await real(self)
        raise ZeroDivisionError("a bug behind the end")

    monkeypatch.setattr(Run, "live", broken)
    with pytest.raises(ZeroDivisionError):
        begun("sim")
    assert one_end(folder_of(tmp_path))["reason"] == "every step was done"
