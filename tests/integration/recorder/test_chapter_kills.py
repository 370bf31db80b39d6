"""Death at any instant of a chaptered run: what is public opens and is a prefix of the truth, and the next process ends it right."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from orchestrator.observer import observer as observing
from orchestrator.observer.observer import Observer
from orchestrator.recorder import publisher as publishing
from orchestrator.recorder.chapters import FOLDER
from orchestrator.recorder.digest import digest
from orchestrator.recorder.pack import pack
from orchestrator.recorder.publisher import PUBLIC
from orchestrator.recorder.recover import recover, verify

KILLS = 6
STRIDE = 16


class Died(BaseException):
    """In place of SIGKILL: nothing catches it, so nothing more is written."""


class Deaths:
    """Counts what changes the disk (syncs, renames, links, removals) and dies at one of them."""

    def __init__(self, patched: pytest.MonkeyPatch, at: int) -> None:
        self.steps = 0
        self._at = at
        for owner, name in ((os, "fsync"), (os, "link"), (Path, "replace"), (Path, "unlink"), (shutil, "rmtree"), (shutil, "copyfile")):
            patched.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, true: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **more: Any) -> Any:
            self.steps += 1
            if self.steps >= self._at:
                raise Died
            return true(*arguments, **more)

        return step


def observe(folder: Path) -> Observer:
    """A whole observation in small steps, every second publication a chapter."""
    observer = Observer(folder, cadence_s=0, chapter_bytes=1)
    try:
        while observer.step():
            pass
        observer.close()
    finally:
        observer._reader.close()
        if observer._own is not None:
            observer._own.close()  # the dead hold none
    return observer


@pytest.fixture(scope="module")
def truth(night: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run folder with a journal only, and the digest that its run has in one file."""
    import asyncio

    folder = tmp_path_factory.mktemp("truth") / "run"
    folder.mkdir()
    asyncio.run(night(samples=160, fids=3, points=32, raw_folder=folder / "raw").write(folder / "journal.sqlite"))
    one = shutil.copytree(folder, folder.parent / "one")
    return folder, recover(one).digest


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "BATCH_EVENTS", 30)
    monkeypatch.setattr(observing, "READ_FOR_s", -1.0)
    monkeypatch.setattr(observing.Observer, "_something_new", lambda _: True)


def dies(folder: Path, template: Path, at: int) -> int:
    """An observation that dies at its step ``at``; how many it took."""
    shutil.copytree(template, folder)
    with pytest.MonkeyPatch.context() as patched:
        deaths = Deaths(patched, at)
        with contextlib.suppress(Died):
            observe(folder)
    return deaths.steps


def opens(folder: Path) -> None:
    if (folder / PUBLIC).exists():
        with h5py.File(folder / PUBLIC, "r") as file:
            voltage = file["entry/electrochemistry/voltage"][()]
            assert np.isfinite(voltage).all()
            assert {len(node) for node in file["entry/electrochemistry"].values()} == {len(voltage)}
            assert file["entry/electrochemistry/time"][()].tolist() == list(range(1, len(voltage) + 1))
            assert all(len(key) for key in file["entry/events/kind"][()])


@pytest.mark.usefixtures("small_steps")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("offset", [0, pytest.param(None, marks=pytest.mark.soak)])
def test_death_between_any_two_steps(tmp_path: Path, truth: tuple[Path, str], offset: int | None) -> None:
    """Then another observer ends the run, or `recover` does: the digest is that of one file."""
    template, expected = truth
    steps = dies(tmp_path / "whole", template, sys.maxsize)
    assert verify(tmp_path / "whole").ok
    assert steps > 60
    for at in range(1, steps + 1, 1 if offset is None else STRIDE):
        folder = tmp_path / str(at)
        dies(folder, template, at)
        opens(folder)
        finding = observe(folder).finding if at % 2 else recover(folder)
        assert finding is not None
        assert finding.ok, (at, finding.lines)
        assert finding.digest == expected == digest(folder / PUBLIC), at
        assert verify(folder).ok
        assert not (folder / FOLDER).exists()
        shutil.rmtree(folder)


@pytest.mark.timeout(120)
def test_pack_dies_and_is_repeated(tmp_path: Path, truth: tuple[Path, str]) -> None:
    template, expected = truth
    folder = shutil.copytree(template, tmp_path / "run")
    recover(folder)
    done, at = False, 1
    while not done:
        with pytest.MonkeyPatch.context() as patched:
            Deaths(patched, at)
            try:
                pack(folder)
                done = True
            except Died:
                pass
        assert verify(folder).ok
        assert digest(folder / PUBLIC) == expected
        at += 1
    assert at > 5
    assert "packed already" in pack(folder).lines[0]


@pytest.mark.posix_only
@pytest.mark.timeout(120)
async def test_sigkills_at_random_instants(tmp_path: Path, truth: tuple[Path, str]) -> None:
    """Also within HDF5's own writing, and within the merging of the close-out."""
    template, expected = truth
    folder = shutil.copytree(template, tmp_path / "run")
    code = f"""
        from pathlib import Path
        from orchestrator.observer import observer as module
        module.BATCH_EVENTS, module.READ_FOR_s = 20, -1.0
        module.Observer._something_new = lambda _: True
        observer = module.Observer(Path({str(folder)!r}), cadence_s=0, chapter_bytes=1)
        print("up", flush=True)
        while observer.step():
            pass
        observer.close()
    """
    rng = random.Random(5)
    ended, seen = False, 0
    for _ in range(KILLS):
        with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"up\n"
            until = time.monotonic() + rng.uniform(0.05, 2.5)
            while time.monotonic() < until and child.poll() is None:
                opens(folder)
            ended = child.poll() is not None
            child.kill()
        opens(folder)
        seen = max(seen, len(list((folder / FOLDER).glob("*.h5"))))
        if ended:
            break
    assert seen or ended
    finding = recover(folder)
    assert finding.ok, finding.lines
    assert finding.digest == expected
    assert json.loads((folder / "closeout.json").read_text())["digest"] == expected
    assert not (folder / FOLDER).exists()
    assert not (folder / publishing.RING).exists()
