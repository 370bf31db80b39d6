"""Small files of state are written in one way only, which a power cut leaves whole."""

from __future__ import annotations

import ast
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers import durable
from drivers.durable import OWNER_ONLY, replace_durably, sync_file, sync_folder, write_durably

# Who puts a file in place or writes one without ``drivers.durable``, and why that loses nothing.
OTHERWISE = {
    "drivers/durable.py": "here it is",
    "orchestrator/recorder/publisher.py": "syncs inode and folder by itself: links and chapters",
    "orchestrator/runner/archive.py": "syncs many raw files at once, then renames their folder",
    "orchestrator/observer/mirror.py": "a copy on a share, compared and made again",
    "orchestrator/observer/status.py": "a page that is drawn anew each minute",
    "orchestrator/schedule/claim.py": "linked, not renamed, and synced: who comes first has it",
    "orchestrator/recorder/h5file.py": "a method of our own called write_text",
    "orchestrator/rig/shown.py": "what an emulated broker was told, for tests",
    "orchestrator/rig/survivors.py": "the snapshot of a simulated death",
    "orchestrator/rig/as_it_began.py": "copies in a scratch folder, made from the journal",
    "orchestrator/monitor/certificates.py": "the words for openssl, in a scratch folder",
    "drivers/biologic/eclab_door.py": "a settings file that EC-Lab loads at once",
    "drivers/topspin/beside.py": "settings of a child process that is started in the next line",
}
NO_STATE = ("orchestrator/cli/", "orchestrator/config/schema.py", "orchestrator/export/", "orchestrator/report/", "orchestrator/validate/")
SIMULATED = ("emulator.py", "/console/", "/instrument/", "drivers/sim/")
CALLS = {"write_text", "write_bytes"}


def written_by_hand(tree: ast.AST) -> Iterator[int]:
    """Lines that write a file whole, or rename one."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        renames = node.func.attr in {"replace", "rename"} and len(node.args) == 1 and not node.keywords
        if renames or node.func.attr in CALLS or (node.func.attr == "replace" and ast.unparse(node.func.value) == "os"):
            yield node.lineno


def test_no_state_is_written_in_another_way(repository: Path) -> None:
    found = {}
    for path in [*(repository / "orchestrator").rglob("*.py"), *(repository / "drivers").rglob("*.py")]:
        name = path.relative_to(repository).as_posix()
        if name.startswith(NO_STATE) or any(part in name for part in SIMULATED):
            continue
        if lines := sorted(written_by_hand(ast.parse(path.read_text("utf-8")))):
            found[name] = lines
    assert {name: lines for name, lines in found.items() if name not in OTHERWISE} == {}
    assert set(OTHERWISE) - set(found) == set(), "no longer true: take them out"


def test_a_file_is_written_again_in_a_folder_that_was_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "told.json"
    write_durably(path, "1 µ")
    write_durably(path, b"2")
    assert path.read_bytes() == b"2"
    assert [one.name for one in path.parent.iterdir()] == ["told.json"]


@pytest.mark.posix_only
def test_a_secret_is_the_owners_from_the_first_byte_on(tmp_path: Path) -> None:
    write_durably(tmp_path / "token", "secret", mode=OWNER_ONLY)
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == OWNER_ONLY


def test_the_old_one_stays_where_the_disk_refuses_and_nothing_lies_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    write_durably(tmp_path / "told", "old")
    monkeypatch.setattr(durable, "sync_file", full)
    with pytest.raises(OSError, match="No space"):
        write_durably(tmp_path / "told", "new")
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {"told": "old"}


@pytest.mark.posix_only
def test_bytes_then_name_then_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(durable, "sync_file", lambda path: order.append(f"bytes of {path.name}"))
    monkeypatch.setattr(durable, "sync_folder", lambda path: order.append(f"{path.name} with {sorted(one.name for one in path.iterdir())}"))
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "new").write_text("x")
    replace_durably(folder / "new", folder / "told")
    assert order == ["bytes of new", "state with ['told']"]
    order.clear()
    write_durably(folder / "deeper" / "told", "x")
    assert order[-1] == "state with ['deeper', 'told']", "a new folder is an entry of the one above it"


def test_syncing_works_on_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    sync_file(tmp_path / "file")
    sync_folder(tmp_path)
    with pytest.raises(OSError, match="absent"):
        sync_file(tmp_path / "absent")
