"""Ctrl-C, a kill, a second start on the same run folder; what it obeys; rules as alarms; clocks that cannot be compared."""

from __future__ import annotations

import asyncio
import shutil

import h5py
import numpy as np
import pytest
from replayer import mpt_head, mpt_rows

from drivers import registry
from drivers.follow.clocks import dated
from orchestrator.config import load_rules
from orchestrator.control.messages import Command
from orchestrator.imports.importing import projected
from orchestrator.imports.remembered import Remembered
from orchestrator.imports.watching import Answering, Request, opened, run_folder
from orchestrator.recorder.records import Reader
from orchestrator.recorder.recover import verify
from orchestrator.rig.gather import CannotRun

RULES = """
rules:
  - {name: too high, because: the cell is nearly full, when: {observable: voltage, above: 0.3}, do: [warn, open circuit]}
"""


@pytest.fixture
def shares(tmp_path):
    for name in ("nmr", "ec"):
        (tmp_path / name).mkdir()
    return tmp_path / "ec", tmp_path / "nmr"


@pytest.fixture
def request_(shares, tmp_path):
    ec, nmr = shares
    return lambda **how: Request(
        **({"ec": ec, "nmr": nmr, "offset_s": 0.0, "zone": "UTC", "out": tmp_path / "runs", "name": "watched"} | how)
    )


def cell_file(ec, rows: int, every_s: float = 5.0):
    path = ec / "cell.mpt"
    lines = [line for _, line in mpt_rows(every_s * (rows - 1), every_s)]
    path.write_text(mpt_head(dated("11/18/2023 02:00:00")["mdy"]) + "".join(lines), encoding="latin-1", newline="")
    return [float(line.split("\t")[8]) for line in lines]


def live(request, *, seconds: float, end: bool = True, act=None):
    """One process of ``follow``; ``end`` False: killed. Returns the folder and what ``act(following)`` gave."""

    async def main(clock):
        folder = run_folder(request, clock)
        following = opened(request, clock, folder, inline=True)
        watching = asyncio.create_task(following.run())
        await clock.sleep(seconds)
        given = None if act is None else await act(following)
        if end:
            following.halt("enough")
            await watching
            await following.end("enough")
        else:
            watching.cancel()
            await asyncio.wait({watching})
        await following.journal.close()
        return folder, given

    return registry.virtual_run(main, epoch_utc_ns=1_700_272_800_000_000_000)


def events(folder):
    with Reader(folder / "journal.sqlite") as reader:
        return list(reader.events())


def voltages(folder):
    with h5py.File(folder / "run.h5") as file:
        return file["entry/electrochemistry/voltage"][()].tolist()


@pytest.mark.parametrize("end", [True, False], ids=["ended by Ctrl-C", "killed"])
def test_started_again_it_goes_on_where_it_was(request_, shares, end):
    cell_file(shares[0], 20)
    folder, _ = live(request_(), seconds=10, end=end)
    if end:
        assert projected(folder).ok
        assert len(voltages(folder)) == 20
    expected = cell_file(shares[0], 50)
    again, _ = live(request_(into=folder), seconds=10)
    assert again == folder
    assert projected(folder).ok
    np.testing.assert_array_equal(voltages(folder), expected)
    told = events(folder)
    throughput = [event.data["charge_throughput_C"] for event in told if event.kind == "step.ended"]
    assert throughput == sorted(throughput)
    assert throughput[-1] == pytest.approx(0.5e-3 * (50 * 5 - 20), rel=0.1)
    assert len({event.data["key"] for event in told if event.kind == "step.started"}) == sum(e.kind == "step.started" for e in told)
    with h5py.File(folder / "run.h5") as file:
        assert file["entry"].attrs["state"] == "finished"


@pytest.mark.real_data
@pytest.mark.parametrize("cut", [2, 7, 8])
def test_a_spectrum_that_was_half_told_when_it_was_killed_is_told_once(request_, shares, vnmrj, cut):
    source = vnmrj / "19F_20231118T023054.fid"
    shutil.copytree(source, shares[1] / source.name)
    folder, _ = live(request_(), seconds=10, end=False)
    told = events(folder)
    first = next(event.seq for event in told if event.kind == "acquisition.requested")
    import sqlite3

    with sqlite3.connect(folder / "journal.sqlite") as database:
        database.execute("DELETE FROM record WHERE seq >= ?", (first + cut,))
    live(request_(into=folder), seconds=10)
    assert projected(folder).ok
    assert verify(folder).ok
    kinds = [event.kind for event in events(folder)]
    for kind in ("acquisition.requested", "fid.block", "acquisition.stored", "acquisition.verified"):
        assert kinds.count(kind) == 1, kind
    with h5py.File(folder / "run.h5") as file:
        assert file["entry/acquisitions/state"][()].tolist() == [b"verified"]


def test_it_goes_on_with_its_own_runs_only(request_, tmp_path, night):
    folder = tmp_path / "driven"
    folder.mkdir()
    asyncio.run(night(samples=5, fids=0).write(folder / "journal.sqlite"))
    with pytest.raises(CannotRun, match="no run of `operando follow`"):
        live(request_(into=folder), seconds=1)


def test_what_would_move_something_is_refused_and_recorded(request_, shares):
    cell_file(shares[0], 4)

    async def ask(following):
        answering = Answering(following)
        verbs = ("abort", "skip", "resume", "pause cell", "pause nmr")
        answers = {verb: await answering.answer(Command(verb, verb)) for verb in verbs}
        answers["note"] = await answering.answer(Command("n", "note", {"text": "hello"}))
        answers["status"] = await answering.answer(Command("s", "status"))
        answers["stop"] = await answering.answer(Command("x", "stop"))
        assert following.stop.is_set()
        return answers

    folder, answers = live(request_(), seconds=10, act=ask)
    for verb in ("abort", "skip", "resume", "pause cell", "pause nmr"):
        assert not answers[verb].ok
        assert "cannot stop this cell" in answers[verb].text
    assert answers["note"].ok
    assert answers["stop"].ok
    assert answers["status"].data["samples"] == 4
    assert "cannot stop this cell" in answers["status"].text
    verbs = [event.data["verb"] for event in events(folder) if event.kind == "command.received"]
    assert verbs == ["abort", "skip", "resume", "pause cell", "pause nmr", "note", "stop"]


def test_a_rule_is_an_alarm_and_does_nothing(request_, shares, tmp_path):
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    cell_file(shares[0], 200)
    folder, _ = live(request_(rules=load_rules(file, ""), rules_text=RULES), seconds=10)
    told = events(folder)
    (fired, *_) = [event for event in told if event.kind == "rule.fired"]
    assert fired.data["actions"] == []
    assert fired.data["would"] == ["warn", "open circuit"]
    assert fired.data["values"]["voltage"] > 0.3
    alarm = next(event for event in told if event.kind == "alarm.raised")
    assert alarm.cause == fired.seq
    assert alarm.data["level"] == "warn"
    assert "nothing here obeys" in alarm.data["advice"]


def test_clocks_that_cannot_be_compared_are_said_not_to_be(request_, shares):
    expected = cell_file(shares[0], 30)
    folder, _ = live(request_(offset_s=None), seconds=1000)
    told = events(folder)
    (sample,) = [event for event in told if event.kind == "clock.sample" and event.data["instrument"] == "cycler"]
    assert sample.data["how"] == "not known"
    assert sample.data["half_width_ns"] == -1
    assert [event.data["id"] for event in told if event.kind == "alarm.raised"] == ["clock-offset"]
    projected(folder)
    assert voltages(folder) == expected


def test_a_file_that_does_not_grow_is_said_to_be_silent(request_, shares):
    """Half an hour without a row is an alarm; the next row ends it."""
    cell_file(shares[0], 30)

    async def grows_late(following):
        (line,) = [line for t_s, line in mpt_rows(200.0, 5.0) if t_s == 150.0]
        with (shares[0] / "cell.mpt").open("a", encoding="latin-1", newline="") as file:
            file.write(line)
        await following.clock.sleep(5.0)

    folder, _ = live(request_(), seconds=1900, act=grows_late)
    told = [event for event in events(folder) if event.kind.startswith("alarm.")]
    assert [(event.kind, event.data["id"]) for event in told] == [("alarm.raised", "cycler-silent"), ("alarm.cleared", "cycler-silent")]
    assert "no new row in ec for 30 min" in told[0].data["text"]


def test_rows_that_wait_for_the_clocks_are_told_when_it_goes_on(request_, shares):
    expected = cell_file(shares[0], 30)
    folder, _ = live(request_(offset_s=None), seconds=20)
    assert not [event for event in events(folder) if event.kind == "ec.block"]
    live(request_(into=folder, offset_s=-60.0), seconds=20)
    projected(folder)
    assert voltages(folder) == expected
    with h5py.File(folder / "run.h5") as file:
        cell = file["entry/electrochemistry"]
        assert set((cell["time_utc"][()] - cell["time_device"][()]).tolist()) == {-60 * 10**9}


def test_what_it_remembers_is_the_journal(request_, shares):
    cell_file(shares[0], 12)
    folder, _ = live(request_(), seconds=10, end=False)
    before = Remembered.of(events(folder))
    assert before.rows == {"cell.mpt": 12}
    assert before.offset_s == 0.0
    assert not before.ended
    assert before.step_key


def test_places_that_are_not_there_are_refused_before_anything_is_made(request_, shares, tmp_path):
    from orchestrator.imports.watching import check

    for how, words in (
        ({"ec": tmp_path / "nowhere"}, "nothing"),
        ({"nmr": tmp_path / "nowhere"}, "nothing"),
        ({"into": tmp_path}, "no run"),
    ):
        with pytest.raises(CannotRun, match=words):
            check(request_(**how))
    (tmp_path / "x.docx").touch()
    with pytest.raises(CannotRun, match="no file of a cycler"):
        check(request_(ec=tmp_path / "x.docx"))
    assert not (tmp_path / "runs").exists()


def test_the_page_says_what_cannot_be_done_and_does_not_cry_for_a_cell_that_is_not_ours(request_, shares):
    from types import SimpleNamespace

    from orchestrator.monitor.dashboard.sentence import say
    from orchestrator.monitor.picture import Picture
    from orchestrator.monitor.topics import Topics

    cell_file(shares[0], 12)
    folder, _ = live(request_(), seconds=200)
    for upto, tone, words in ((-2, "fine", "cannot stop this cell"), (None, "over", "nobody here drives it")):
        picture = Picture(Topics("magnet"), folder.name)
        picture.feed(events(folder)[:upto])
        picture.take()
        now_s = picture._now.utc_ns / 1e9
        state = picture.state("magnet", rig_alive=True, heard_s=now_s, now_s=now_s)
        assert "cannot stop this cell" in state.cannot
        rig = SimpleNamespace(state=state, name="magnet", level="magnet", status="online", heard_s=now_s, alarms=())
        said = say(rig, None, None, now_s)
        assert said.tone == tone
        assert words in said.text
    beats = [event for event in events(folder) if event.kind == "clock.sample" and not event.data["instrument"]]
    assert len(beats) >= 3


def test_the_analysis_beside_it_goes_on_behind_an_end(request_, shares):
    from orchestrator.observer.analysis import Following

    cell_file(shares[0], 4)
    folder, _ = live(request_(), seconds=10)
    live(request_(into=folder), seconds=10, end=False)
    following = Following(folder / "journal.sqlite", lambda _rows, _through: True, pytest.fail)
    while following.step():
        pass
    assert not following.ended
    following.close()
