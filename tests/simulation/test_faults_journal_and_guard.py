"""What the run does about a guard, a journal or a disk that fails, on the simulated pair, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from short_night import SHORT_NIGHT, cells, ends

Live = Callable[..., Any]


def test_no_guard_no_first_current(live: Live) -> None:
    night = live(SHORT_NIGHT, before=lambda night: setattr(night.guard, "alive", False))
    assert ends(night) == ("failed", "ended early", 4)
    assert "no guard" in night.outcome.reason
    assert not night.of("cell.state", cell="on")
    assert not night.of("step.started", mode="galvanostatic")


def test_a_guard_that_is_lost_opens_the_circuit(live: Live) -> None:
    async def take_away(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(30)
        night.guard.go()

    night = live(SHORT_NIGHT, take_away)
    assert ends(night) == ("failed", "ended early", 4)
    lost = night.of("guard.lost")[0]
    off = night.of("cell.state", cell="off")[-1]
    assert off.mono_ns - lost.mono_ns < 1e6
    assert night.of("alarm.raised", id="guard", level="critical")


def test_a_guard_that_is_lost_lets_the_device_finish_where_that_is_the_policy(live: Live) -> None:
    async def take_away(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(30)
        night.guard.go()

    night = live(SHORT_NIGHT.replace("open circuit within 60 s", "finish step on device"), take_away)
    assert ends(night) == ("failed", "ended early", 4)
    plated = night.of("step.started", mode="galvanostatic")[0].data["key"]
    assert night.of("step.ended", key=plated)[0].data["reason"] == "time"
    assert [event.data["index"] for event in night.of("step.started")][-1] <= 2


def test_the_guard_hears_each_second_what_the_cell_does(live: Live) -> None:
    night = live(SHORT_NIGHT)
    cells_told = [beat.cell for beat in night.guard.beats]
    assert {"on", "off"} <= set(cells_told)
    assert max(beat.last_sample_age_s or 0.0 for beat in night.guard.beats) < 3.0
    assert len(night.guard.beats) >= (night.seconds(night.journal.events[-1])) - 2
    assert {beat.order for beat in night.guard.beats} == {"open circuit"}


def test_a_journal_that_recovers_is_an_alarm_and_no_end(live: Live) -> None:
    async def break_it(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        await night.clock.sleep(30)
        night.journal.fail(OSError("no space left"))
        await night.clock.sleep(100)
        night.answers.append(await night.command("note", text="a full disk"))
        night.journal.fail(None)

    night = live(SHORT_NIGHT, break_it)
    assert ends(night) == ("finished", "as planned", 0)
    assert [event.data["level"] for event in night.of("alarm.raised", id="journal")] == ["alarm"]
    assert night.of("alarm.cleared", id="journal")
    assert "not recorded yet: no space left" in night.answers[0].text
    stored = [(event.data["key"], event.data["block"]) for event in night.of("fid.block")]
    assert len(stored) == len(set(stored))


def test_a_journal_that_fails_when_current_is_to_start_is_the_end(live: Live) -> None:
    async def break_it(night: Any) -> None:
        await night.until("step.started")
        night.journal.fail(OSError("no space left"))

    def alone(plan: Any, _: Any) -> Any:
        return plan.model_copy(update={"steps": tuple(step.model_copy(update={"decides": True}) for step in plan.steps)})

    night = live(SHORT_NIGHT, break_it, change=alone)
    assert ends(night) == ("failed", "ended early", 4)
    assert not night.of("step.started", mode="galvanostatic")
    assert "no space left" in night.outcome.reason
    assert cells(night)[-1] == ("off", True)


def test_a_full_journal_is_the_end(live: Live) -> None:
    async def fill(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        night.journal.half_full = night.journal.full = True

    night = live(SHORT_NIGHT, fill)
    assert ends(night) == ("failed", "ended early", 4)
    assert "full" in night.outcome.reason


def test_a_half_full_journal_only_stops_acquisitions(live: Live) -> None:
    async def fill(night: Any) -> None:
        await night.until("step.started", mode="galvanostatic")
        night.journal.half_full = True

    night = live(SHORT_NIGHT, fill)
    assert ends(night)[:2] == ("finished", "as planned")
    assert {event.data["why"] for event in night.of("acquisition.missed")} == {"journal half full"}


def test_a_commit_that_fails_once_does_not_store_a_fid_twice(live: Live) -> None:
    def break_it(night: Any) -> None:
        durable, failed = night.journal.durable, []

        async def once(seq: int) -> None:
            if not failed and night.journal.events[seq - 1].kind == "fid.block":
                failed.append(seq)
                raise OSError("no space left on device")
            await durable(seq)

        night.journal.durable = once

    night = live(SHORT_NIGHT, before=break_it)
    stored = [(event.data["key"], event.data["block"]) for event in night.of("fid.block")]
    assert len(stored) == len(set(stored)) == 6
    assert len(night.of("raw.archived")) == len(set(stored))
    assert {event.data["fid_seq"] for event in night.of("acquisition.stored")} == {event.seq for event in night.of("fid.block")}
