"""A disk that stays full to the end: what is not in the journal is said, and the end of the run is told all the same."""

from __future__ import annotations

from pathlib import Path

from drivers.clock import Clock
from orchestrator.recorder.journal import Journal
from orchestrator.recorder.records import Reader
from orchestrator.rig.process import _closed


async def test_a_journal_that_could_not_write_its_last_records_says_which(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "journal.sqlite", Clock())
    await journal.durable(journal.put("note", {"text": "written", "who": "tester"}))
    journal._file.no_room = True
    journal.put("note", {"text": "never written", "who": "tester"})
    assert "records 2 to 2 are not on the disk" in await _closed(journal)
    with Reader(tmp_path / "journal.sqlite") as reader:
        assert [event.data["text"] for event in reader.events()] == ["written"]


async def test_a_journal_that_wrote_everything_says_nothing(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "journal.sqlite", Clock())
    journal.put("note", {"text": "written", "who": "tester"})
    assert await _closed(journal) == ""
