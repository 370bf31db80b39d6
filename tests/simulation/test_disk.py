"""The disk of a run fills up, and is emptied again: a warning, no new acquisition, the ballast, open circuit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.recorder.rundisk import Room, RunDisk
from orchestrator.runner import disk as watching

TOTAL, BALLAST = 1_000_000_000, 80_000_000
RESERVE = BALLAST // 8

NIGHT = """
version: 1
experiment: short
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.3, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 1}
protocol:
  - {step: Plate working at 1 mA/cm2 for 30 minutes, nmr: {fast: every 1 minute}}
"""


class Tank:
    """A disk whose free bytes somebody sets; what the ballast gives back is added."""

    ballast_bytes = BALLAST
    reserve_bytes = RESERVE

    def __init__(self) -> None:
        self.free = TOTAL
        self.used = 0
        self.given: list[str] = []
        self.looks = 0
        self.broken = 0

    def room(self) -> Room:
        self.looks += 1
        if self.broken:
            self.broken -= 1
            raise OSError("stale")
        return Room(self.free, TOTAL, self.used)

    def take_ballast(self) -> None:
        self.given.append("taken")
        self.free -= BALLAST

    def free_ballast(self) -> bool:
        if "ballast" in self.given[-1:]:
            return False
        self.given.append("ballast")
        self.free += BALLAST - RESERVE
        return True

    def free_last(self) -> bool:
        self.given.append("last")
        self.free += RESERVE
        return True


def sized(size_bytes: int) -> Any:
    return lambda plan, _: plan.model_copy(update={"size_bytes": size_bytes})


def on(tank: Tank) -> Any:
    return lambda night: setattr(night, "disk", tank)


def acquired_after(night: Any, event: Any) -> list[str]:
    started = night.of("acquisition.started")
    return [one.data["key"] for one in started if one.mono_ns > event.mono_ns]


def test_a_nearly_full_disk_is_a_warning_that_goes(live: Any) -> None:
    tank = Tank()

    async def during(night: Any) -> None:
        await night.until("step.started")
        tank.free = TOTAL // 10 - 1
        await night.until("alarm.raised", id="disk")
        await night.clock.sleep(100.0)
        tank.free = TOTAL // 10
        await night.until("alarm.cleared", id="disk")

    night = live(NIGHT, during, before=on(tank), change=sized(1000))
    assert night.outcome.complete
    assert [event.data["level"] for event in night.of("alarm.raised", id="disk")] == ["warn"]
    assert not night.of("acquisition.missed")
    assert tank.given == []


def test_each_minute_says_what_is_free_and_what_is_still_needed(live: Any) -> None:
    tank = Tank()
    tank.used = 400
    night = live(NIGHT, before=on(tank), change=sized(1000))
    said = night.of("disk")
    assert {tuple(event.data.items()) for event in said} == {(("free_bytes", TOTAL), ("needed_bytes", 600))}
    assert 30 <= len(said) <= 32


def test_below_twice_the_remainder_no_acquisition_starts_and_the_current_goes_on(live: Any) -> None:
    tank, size = Tank(), 100_000_000

    async def during(night: Any) -> None:
        await night.until("acquisition.verified")
        tank.free = 2 * size - 1
        await night.until("alarm.raised", id="disk", level="alarm")
        await night.clock.sleep(300.0)
        tank.free = 2 * size
        await night.until("alarm.cleared", id="disk")

    night = live(NIGHT, during, before=on(tank), change=sized(size))
    raised, cleared = night.of("alarm.raised", id="disk")[0], night.of("alarm.cleared", id="disk")[0]
    assert not [event for event in night.of("acquisition.armed") if raised.mono_ns < event.mono_ns < cleared.mono_ns]
    assert acquired_after(night, cleared), "they start again when there is room"
    assert night.of("acquisition.missed")[0].data["why"].startswith("disk: ")
    assert (night.outcome.state, night.outcome.outcome) == ("finished", "as planned")
    assert tank.given == []


def test_the_ballast_then_open_circuit_with_a_last_record(live: Any) -> None:
    tank = Tank()

    async def during(night: Any) -> None:
        await night.until("step.started")
        tank.free = RESERVE - 1
        spent = await night.until("alarm.raised", id="disk-full", level="alarm")
        assert tank.given == ["ballast"]
        await night.clock.sleep(200.0)
        assert night.outcome is None, "the electrochemistry goes on with what was given"
        assert not acquired_after(night, spent)
        tank.free = RESERVE - 1

    night = live(NIGHT, during, before=on(tank), change=sized(1000))
    assert tank.given == ["ballast", "last"]
    assert (night.outcome.exit_code, night.outcome.cell) == (4, "off")
    assert "the disk is full" in night.outcome.reason
    assert night.journal.events[-1].kind == "run.ended"
    off = next(event for event in night.of("cell.state", cell="off") if event.mono_ns > night.of("alarm.raised", id="disk-full")[0].mono_ns)
    critical = night.of("alarm.raised", id="disk-full", level="critical")[0]
    assert abs(off.mono_ns - critical.mono_ns) < 2e9
    assert tank.looks < 70


def test_room_that_was_made_is_ballast_again(live: Any) -> None:
    tank = Tank()

    async def during(night: Any) -> None:
        await night.until("step.started")
        tank.free = RESERVE - 1
        await night.until("alarm.raised", id="disk-full")
        tank.free = TOTAL // 2
        await night.until("alarm.cleared", id="disk-full")

    night = live(NIGHT, during, before=on(tank), change=sized(1000))
    assert tank.given == ["ballast", "taken"]
    assert acquired_after(night, night.of("alarm.cleared", id="disk-full")[0])
    assert night.outcome.exit_code != 4


def test_a_commit_that_finds_no_room_frees_the_ballast_at_once(live: Any) -> None:
    """A quota: the disk itself says that it has room."""
    tank = Tank()

    async def during(night: Any) -> None:
        await night.until("step.started")
        await night.clock.sleep(90.0)
        night.journal.fail(OSError("database or disk is full"))
        await night.until("alarm.raised", id="disk-full", level="alarm")
        night.journal.fail(None)

    night = live(NIGHT, during, before=on(tank), change=sized(1000))
    failed = night.of("alarm.raised", id="journal")[0]
    assert night.of("alarm.raised", id="disk-full")[0].mono_ns - failed.mono_ns < 1e9
    assert tank.given[0] == "ballast"
    assert night.outcome.exit_code != 4, "one failure is not two"


def test_a_disk_that_does_not_answer_is_told_and_asked_again(live: Any) -> None:
    tank = Tank()
    tank.broken = 2
    night = live(NIGHT, before=on(tank), change=sized(1000))
    assert len(night.of("alarm.raised", id="disk-silent")) == len(night.of("alarm.cleared", id="disk-silent")) == 1
    assert night.outcome.complete


def test_a_journal_that_never_ends_a_commit_is_told(live: Any) -> None:
    async def during(night: Any) -> None:
        await night.until("step.started")
        night.journal.stuck = True
        raised = await night.until("alarm.raised", id="journal-slow")
        assert raised.data["level"] == "alarm"
        night.journal.stuck = False
        await night.until("alarm.cleared", id="journal-slow")

    night = live(NIGHT, during, before=on(Tank()), change=sized(1000))
    assert night.of("alarm.cleared", id="journal-slow")


@pytest.mark.parametrize(
    ("free", "needed", "step"),
    [(TOTAL, 0, "open"), (TOTAL // 10 - 1, 0, "low"), (TOTAL // 2, TOTAL // 4 + 1, "refusing"), (TOTAL // 2, TOTAL // 4, "open")],
)
def test_how_low_a_disk_is(free: int, needed: int, step: str) -> None:
    assert watching.step_of(Room(free, TOTAL, 0), needed) == step


def test_the_ballast_is_there_in_full_and_goes_in_two_parts(tmp_path: Path) -> None:
    disk = RunDisk(tmp_path, 800_000)
    disk.take_ballast()
    there = {path.name: path.stat().st_blocks * 512 for path in tmp_path.iterdir()}
    assert there.keys() == {".ballast", ".ballast.last"}
    assert sum(there.values()) >= 800_000, "bytes, not a hole"
    assert disk.reserve_bytes == 100_000
    assert disk.room().used_bytes == 0, "the ballast is nobody's need"
    assert (disk.free_ballast(), disk.free_ballast(), disk.free_last(), disk.free_last()) == (True, False, True, False)
    assert list(tmp_path.iterdir()) == []


def test_what_a_run_has_taken_counts_each_inode_once(tmp_path: Path) -> None:
    (tmp_path / "raw" / "a").mkdir(parents=True)
    (tmp_path / "wire").mkdir()
    (tmp_path / "raw" / "a" / "fid").write_bytes(bytes(30))
    (tmp_path / "journal.sqlite").write_bytes(bytes(20))
    (tmp_path / "wire" / "console.jsonl").write_bytes(bytes(7))
    (tmp_path / "run.h5").write_bytes(bytes(5))
    (tmp_path / ".run.h5.ring").mkdir()
    (tmp_path / ".run.h5.ring" / "000001.h5").hardlink_to(tmp_path / "run.h5")
    assert RunDisk(tmp_path, 0).room().used_bytes == 55


def test_a_ballast_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    disk = RunDisk(tmp_path, 1 << 60)
    with pytest.raises(OSError, match=r"No space|File too large|Invalid"):
        disk.take_ballast()
    assert list(tmp_path.iterdir()) == []
