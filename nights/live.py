"""One night, lived: the whole program at ``--speed max`` in this process, and everything that it left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

from nights.schedule import RIG, Night
from nights.truth import TrueCell
from orchestrator.model.events import Event
from orchestrator.observer.inline import InlineObserver
from orchestrator.plan.orders import Plan
from orchestrator.recorder.records import Reader
from orchestrator.rig.gather import Gathered, gather
from orchestrator.rig.process import Ended, run
from orchestrator.rig.request import RunRequest

TWIN = Path(__file__).parent.parent / "configs" / "twins" / "C1.yaml"


class Beside(InlineObserver):
    """The observer of a run in its own process, as a night's host starts it: what a night writes is projected once, at its end."""

    def __init__(self, folder: Path, _display: str, **_: Any) -> None:
        super().__init__(folder)


@contextmanager
def observed_here() -> Iterator[None]:
    """Runs of this process keep no companion process."""
    with mock.patch("orchestrator.rig.process.Companions", Beside):
        yield


@dataclass
class Lived:
    """What a night left behind."""

    night: Night
    gathered: Gathered
    ended: Ended
    events: list[Event]
    guard: list[dict[str, Any]]
    cell: TrueCell = field(repr=False)

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.ended.folder

    @property
    def plan(self) -> Plan:
        """What was planned."""
        return self.gathered.plan

    @cached_property
    def origin_ns(self) -> int:
        """The run's ``mono_ns`` at the twin's second zero."""
        return int(self.events[0].data["origin_mono_ns"])

    @property
    def until_s(self) -> float:
        """So long the cell was looked at: to the last record, or to the end of the time that the host was away."""
        night, last_s = self.night, self.second(self.events[-1].mono_ns)
        return last_s if night.killed_s is None else max(last_s, night.killed_s + night.away_s)

    def second(self, mono_ns: int) -> float:
        """The twin's second of an instant of the run."""
        return (mono_ns - self.origin_ns) / 1e9

    def of(self, *kinds: str, **data: Any) -> list[Event]:
        """Events of these kinds whose data hold these values."""
        return [event for event in self.events if event.kind in kinds and all(event.data.get(key) == value for key, value in data.items())]


def gathered_night(night: Night, folder: Path) -> Gathered:
    """Write the night's three files and read them as the program does."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "night.yaml").write_text(night.experiment, encoding="utf-8")
    (folder / "rig.yaml").write_text(RIG, encoding="utf-8")
    (folder / "twin.yaml").write_text(TWIN.read_text("utf-8"), encoding="utf-8")
    request = RunRequest(
        folder / "night.yaml", folder / "rig.yaml", folder / "runs", speed=None, seed=night.seed, display="none", faults=night.faults
    )
    return gather(request)


def live(night: Night, folder: Path) -> Lived:
    """Live through a night in ``folder``."""
    gathered = gathered_night(night, folder)
    with observed_here():
        ended = run(gathered)
    return looked_at(night, gathered, ended)


def looked_at(night: Night, gathered: Gathered, ended: Ended) -> Lived:
    """Everything that an ended night left behind."""
    with Reader(ended.folder / "journal.sqlite") as reader:
        events = list(reader.events())
    said = ended.folder / "guard.jsonl"
    guard = [json.loads(line) for line in said.read_text("utf-8").splitlines()] if said.exists() else []
    return Lived(night, gathered, ended, events, guard, TrueCell.of(ended.folder, night.seed))
