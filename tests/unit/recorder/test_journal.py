"""The journal: order, durability, its chain, its reader, and what it does when the disk does not."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from drivers.clock import Clock, Stamp
from orchestrator.recorder import journal as journal_module
from orchestrator.recorder.journal import Journal, JournalFailed, JournalInUse, NetworkFolder, NotAJournal, Reader
from orchestrator.recorder.recordfile import RecordFile
from orchestrator.recorder.records import Row


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


async def written(path: Path, texts: list[str]) -> None:
    journal = Journal.create(path, Clock())
    for text in texts:
        journal.put("note", {"text": text, "who": "me"})
    await journal.close()


async def test_events_come_back_in_order_as_they_were_put(path: Path) -> None:
    journal = Journal.create(path, Clock())
    first = journal.put("note", {"text": "µ", "who": "me"}, at=Stamp(5, 7), source="guard")
    second = journal.put("cell.state", {"cell": "on", "confirmed": True, "detail": ""}, blob=b"\x00\xff", cause=first)
    await journal.close()
    with Reader(path) as reader:
        a, b = reader.since(0)
        assert (a.seq, a.mono_ns, a.utc_ns, a.kind, a.data, a.blob, a.source, a.cause) == (
            (first, 5, 7, "note", {"text": "µ", "who": "me"}, None, "guard", None)
        )
        assert (b.seq, b.blob, b.cause, b.v) == (second, b"\x00\xff", first, 1)
        assert reader.since(first)[0].seq == second
        assert [event.seq for event in reader.since(0, limit=1)] == [first]
        assert (reader.count, reader.last_seq, reader.kinds) == (2, 2, {"cell.state": 1, "note": 1})


async def committed(journal: Journal) -> None:
    """Until the thread has written everything by itself."""
    async with asyncio.timeout(30):
        while journal.durable_seq < journal.last_seq:
            await asyncio.sleep(0.01)


async def test_while_records_come_nobody_wakes_the_thread_and_they_are_written_all_the_same(path: Path) -> None:
    journal = Journal.create(path, Clock())
    for text in "abc":
        journal.put("note", {"text": text, "who": "me"})
        assert not journal._work.is_set(), "to wake a thread is to share the interpreter with it, behind every edge"
        await committed(journal)
    await journal.close()


async def test_a_thread_that_sleeps_is_woken_by_the_next_record(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "AWAKE_S", 0.0)
    journal = Journal.create(path, Clock())
    for text in "ab":
        async with asyncio.timeout(30):
            while not journal._asleep:
                await asyncio.sleep(0.01)
        journal.put("note", {"text": text, "who": "me"})
        await committed(journal)
    await journal.close()


async def test_open_continues_numbers_and_chain(path: Path) -> None:
    await written(path, ["a", "b"])
    journal = Journal.open(path, Clock())
    assert journal.last_seq == journal.durable_seq == 2
    assert journal.put("note", {"text": "c", "who": "me"}) == 3
    await journal.close()
    with Reader(path) as reader:
        assert reader.check_chain() is None
        assert reader.count == 3


async def test_durable_returns_only_when_another_process_could_read_it(path: Path) -> None:
    journal = Journal.create(path, Clock())
    with Reader(path) as reader:
        for n in range(1, 20):
            seq = journal.put("note", {"text": str(n), "who": "me"})
            await journal.durable(seq)
            assert journal.durable_seq >= seq
            assert reader.last_seq >= seq
    await journal.durable(1)
    with pytest.raises(ValueError, match="has not been put"):
        await journal.durable(99)
    await journal.close()


async def test_put_commits_by_itself(path: Path) -> None:
    journal = Journal.create(path, Clock())
    seq = journal.put("note", {"text": "x", "who": "me"})
    async with asyncio.timeout(10):
        while journal.durable_seq < seq:
            await asyncio.sleep(0.005)
    await journal.close()


async def test_shape_and_json_are_checked_when_put(path: Path) -> None:
    journal = Journal.create(path, Clock())
    with pytest.raises(ValueError, match="unknown kind 'nonsense'"):
        journal.put("nonsense", {})
    with pytest.raises(ValueError, match="missing 'who'"):
        journal.put("note", {"text": "x"})
    with pytest.raises(ValueError, match="not JSON"):
        journal.put("note", {"text": b"bytes", "who": "me"})
    assert journal.last_seq == 0
    await journal.close()
    with pytest.raises(ValueError, match="closed"):
        journal.put("note", {"text": "late", "who": "me"})


async def test_numbers_that_are_not_finite_become_null(path: Path) -> None:
    journal = Journal.create(path, Clock())
    data = {"text": float("nan"), "who": [np.float64("inf"), np.float32("nan"), np.int64(3), np.bool_(True), (1.5, {"a": -float("inf")})]}
    journal.put("note", data)
    await journal.close()
    with Reader(path) as reader:
        assert reader.since(0)[0].data == {"text": None, "who": [None, None, 3, True, [1.5, {"a": None}]]}


async def test_full_queue_is_said_and_nothing_is_dropped(path: Path) -> None:
    journal = Journal.create(path, Clock(), limit_bytes=100_000)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    assert not journal.half_full
    for _ in range(6):
        journal.put("note", {"text": "x", "who": "me"}, blob=bytes(10_000))
    assert journal.half_full
    assert not journal.full
    for _ in range(6):
        journal.put("note", {"text": "x", "who": "me"}, blob=bytes(10_000))
    assert journal.full
    blocker.execute("ROLLBACK")
    blocker.close()
    await journal.durable(12)
    assert not journal.half_full
    await journal.close()
    with Reader(path) as reader:
        assert reader.count == 12


async def test_a_failed_commit_is_reported_kept_and_tried_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "RETRY_S", 0.05)
    journal = Journal.create(path, Clock())
    await journal.durable(journal.put("note", {"text": "before", "who": "me"}))
    saboteur = sqlite3.connect(path, isolation_level=None)
    saboteur.execute("CREATE TRIGGER broken BEFORE INSERT ON record BEGIN SELECT RAISE(ABORT, 'the disk is on fire'); END")
    watcher = asyncio.create_task(journal.wait_failed())
    await asyncio.sleep(0)
    with pytest.raises(JournalFailed, match="the disk is on fire"):
        await journal.durable(journal.put("note", {"text": "during", "who": "me"}))
    assert "on fire" in str(await watcher)
    assert "on fire" in str(await journal.wait_failed())
    with pytest.raises(JournalFailed):
        await journal.durable(journal.last_seq)
    seq = journal.put("note", {"text": "still during", "who": "me"})
    saboteur.execute("DROP TRIGGER broken")
    saboteur.close()
    async with asyncio.timeout(10):
        while journal.durable_seq < seq:
            await asyncio.sleep(0.01)
    assert journal.failed is None
    await journal.close()
    with Reader(path) as reader:
        assert [event.data["text"] for event in reader.since(0)] == ["before", "during", "still during"]
        assert reader.check_chain() is None


async def test_closing_while_the_disk_fails_says_what_is_missing(path: Path) -> None:
    journal = Journal.create(path, Clock())
    saboteur = sqlite3.connect(path, isolation_level=None)
    saboteur.execute("CREATE TRIGGER broken BEFORE INSERT ON record BEGIN SELECT RAISE(ABORT, 'no'); END")
    saboteur.close()
    journal.put("note", {"text": "x", "who": "me"})
    with pytest.raises(JournalFailed, match="records 1 to 1 are not on the disk"):
        await journal.close()


async def test_a_journal_that_was_swapped_for_another_is_not_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "RETRY_S", 0.05)
    journal = Journal.create(path, Clock())
    await journal.durable(journal.put("note", {"text": "mine", "who": "me"}))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("INSERT INTO record VALUES (2, 0, 0, 'note', 1, 'rig', NULL, '{}', NULL, 42)")
    other.close()
    with pytest.raises(JournalFailed, match="UNIQUE"):
        await journal.durable(journal.put("note", {"text": "mine too", "who": "me"}))
    async with asyncio.timeout(10):
        while "not the file" not in str(journal.failed):
            await asyncio.sleep(0.01)
    with pytest.raises(JournalFailed):
        await journal.close()
    with Reader(path) as reader:
        assert reader.since(1)[0].data == {}
        assert "record 2" in str(reader.check_chain())


async def test_one_writer_only(path: Path) -> None:
    journal = Journal.create(path, Clock())
    with pytest.raises(JournalInUse, match="another process"):
        Journal.open(path, Clock())
    await journal.close()
    again = Journal.open(path, Clock())
    await again.close()


async def test_create_and_open_refuse_what_they_must(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError):
        Journal.open(path, Clock())
    path.write_text("certainly not a database, but long enough to be looked at" * 100)
    with pytest.raises(NotAJournal):
        Journal.open(path, Clock())
    with pytest.raises(FileExistsError):
        Journal.create(path, Clock())
    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE songs (name)")
    connection.close()
    with pytest.raises(NotAJournal, match="not a journal"):
        Journal.open(foreign, Clock())
    with pytest.raises(NotAJournal, match="not a journal"), Reader(foreign) as reader:
        reader.since(0)
    monkeypatch.setattr("orchestrator.recorder.records.network_file_system", lambda _: "nfs4")
    with pytest.raises(NetworkFolder, match=r"nfs4.*local disk"):
        Journal.create(tmp_path / "new.sqlite", Clock())
    assert not (tmp_path / "new.sqlite").exists()


async def test_a_newer_journal_is_refused(path: Path) -> None:
    await written(path, ["a"])
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=2")
    connection.close()
    with pytest.raises(NotAJournal, match="newer program"), Reader(path) as reader:
        reader.since(0)


def test_settings_that_durability_hangs_on(path: Path) -> None:
    """Of the file, and of each writing connection: the second one after a failure too."""
    file = RecordFile(path)
    file.open()

    def ask(name: str) -> object:
        assert file._connection is not None
        return file._connection.execute(f"PRAGMA {name}").fetchone()[0]

    for _ in range(2):
        assert (ask("journal_mode"), ask("user_version"), ask("application_id")) == ("wal", 1, 0x6F704E4D)
        assert (ask("synchronous"), ask("wal_autocheckpoint")) == (2, 0)
        file._suspect = True
        file.write([Row(file.durable_seq + 1, 0, 0, "note", 1, "rig", None, "{}", None)])
    assert file._connection is not None
    columns = [row[1] for row in file._connection.execute("PRAGMA table_info(record)")]
    assert columns == ["seq", "mono_ns", "utc_ns", "kind", "v", "source", "cause", "data", "blob", "crc"]
    file.close()


@pytest.mark.parametrize("column", ["mono_ns", "utc_ns", "kind", "source", "cause", "data", "blob", "v"])
async def test_a_changed_field_breaks_the_chain(path: Path, column: str) -> None:
    await written(path, ["a", "b", "c"])
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE record SET {column} = ? WHERE seq = 2", (b"9" if column == "blob" else 9,))
    connection.close()
    with Reader(path) as reader:
        assert reader.check_chain() == f"record 2 ({'9' if column == 'kind' else 'note'}) is not what was written"


async def test_a_missing_record_breaks_the_chain(path: Path) -> None:
    await written(path, ["a", "b", "c"])
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM record WHERE seq = 2")
    connection.close()
    with Reader(path) as reader:
        assert "record 2 is missing" in str(reader.check_chain())


def test_the_reader_waits_for_the_file(path: Path) -> None:
    with Reader(path) as reader:
        assert reader.since(0) == []
        assert reader.count == reader.last_seq == 0
        assert reader.check_chain() is None
        path.touch()
        assert reader.since(0) == []
        asyncio.run(written(path.with_name("other.sqlite"), ["a"]))
        path.with_name("other.sqlite").replace(path)
        assert [event.data["text"] for event in reader.since(0)] == ["a"]


@pytest.mark.parametrize("writer", ["alive", "dead", "closed"])
async def test_the_reader_never_writes(path: Path, writer: str) -> None:
    code = f"""
        import asyncio, os, sys
        from pathlib import Path
        from drivers.clock import Clock
        from orchestrator.recorder.journal import Journal
        async def main():
            journal = Journal.create(Path({str(path)!r}), Clock())
            for n in range(50):
                journal.put("note", {{"text": str(n), "who": "me"}}, blob=bytes(10000))
            await journal.durable(50)
            if {writer!r} == "closed":
                await journal.close()
            print("ready", flush=True)
            sys.stdin.read()
            os._exit(1)
        asyncio.run(main())
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    with child:
        assert child.stdout.readline() == b"ready\n"
        if writer == "dead":
            child.kill()
            child.wait()
        files = [path, Path(f"{path}-wal")]
        before = [(file.stat().st_mtime_ns, file.read_bytes()) for file in files if file.exists()]
        with Reader(path) as reader:
            assert len(reader.since(0)) == 50
            assert reader.check_chain() is None
        with Reader(path) as reader:
            assert reader.kinds == {"note": 50}
        assert [(file.stat().st_mtime_ns, file.read_bytes()) for file in files if file.exists()][: len(before)] == before
        child.stdin.close()


async def test_a_closed_journal_on_read_only_media_needs_no_index_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await written(path, ["a"])
    before = sorted(path.parent.iterdir())
    monkeypatch.setattr("orchestrator.recorder.records.os.access", lambda *_: False)
    with Reader(path) as reader:
        assert reader.count == 1
        assert sorted(path.parent.iterdir()) == before


async def test_big_records_come_in_small_batches(path: Path) -> None:
    journal = Journal.create(path, Clock())
    for _ in range(5):
        journal.put("note", {"text": "x", "who": "me"}, blob=bytes(3 << 20))
    await journal.close()
    with Reader(path) as reader:
        assert len(reader.since(0)) == 2
        assert [event.seq for event in reader.events()] == [1, 2, 3, 4, 5]


async def test_the_log_is_folded_into_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "WAL_MOST_BYTES", 100_000)
    journal = Journal.create(path, Clock())
    for _ in range(40):
        await journal.durable(journal.put("note", {"text": "x", "who": "me"}, blob=bytes(20_000)))
    assert Path(f"{path}-wal").stat().st_size < 400_000
    assert path.stat().st_size > 400_000
    await journal.close()
    assert not Path(f"{path}-wal").exists()


@pytest.mark.posix_only
def test_a_disk_that_is_full_loses_nothing_that_was_acknowledged(path: Path) -> None:
    code = f"""
        import asyncio, resource, signal
        from pathlib import Path
        from drivers.clock import Clock
        from orchestrator.recorder import journal as module
        from orchestrator.recorder.journal import Journal, JournalFailed
        module.RETRY_S = 0.05
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        async def main():
            journal = Journal.create(Path({str(path)!r}), Clock())
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
            sent = 0
            try:
                while True:
                    sent = journal.put("note", {{"text": str(sent), "who": "me"}}, blob=bytes(30_000))
                    await journal.durable(sent)
                    print(sent, flush=True)
            except JournalFailed:
                print("failed", flush=True)
            for _ in range(5):
                sent = journal.put("note", {{"text": "kept", "who": "me"}})
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            while journal.failed is not None:
                await asyncio.sleep(0.01)
            await journal.durable(sent)
            print(sent, flush=True)
            await journal.close()
        asyncio.run(main())
    """
    answer = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=50, check=False)
    assert answer.returncode == 0, answer.stderr
    words = answer.stdout.split()
    assert "failed" in words
    assert len(words) > 10
    with Reader(path) as reader:
        assert reader.check_chain() is None
        assert reader.last_seq == int(words[-1])


def test_json_is_one_line_of_plain_text() -> None:
    from orchestrator.recorder.records import encode_json

    text = encode_json({"a": "\n\u2028\ud800", "b": [1, 2]})
    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text)["b"] == [1, 2]
