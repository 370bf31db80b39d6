"""What a person does in a run: prompts of the protocol, and acquisitions by hand whose files are adopted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from drivers.openvnmrj.console.parameters import ParameterSet
from drivers.openvnmrj.vnmrfiles import write_fid

Live = Callable[..., Any]

HEAD = """
version: 1
experiment: hands
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2,
       capacity_mAh: 0.2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 0}
  image: {manual: my own FLASH, watch_folder: WATCH, minutes: 10}
protocol:
"""
TURN = '{prompt: "turn the probe by 90 degrees"}'


def written(tmp_path: Path, *steps: str) -> str:
    return HEAD.replace("WATCH", str(tmp_path / "pv")) + "".join(f"  - {step}\n" for step in steps)


def ends(night: Any) -> tuple[str, str, int]:
    return night.outcome.state, night.outcome.outcome, night.outcome.exit_code


def test_a_prompt_stands_until_somebody_says_that_it_is_done(live: Live, tmp_path: Path) -> None:
    async def person(night: Any) -> None:
        asked = await night.until("alarm.raised", title="Your part")
        assert asked.data["level"] == "info"
        assert asked.data["id"].startswith("prompt-")
        assert asked.data["text"] == "turn the probe by 90 degrees"
        await night.clock.sleep(900)
        status = await night.command("status")
        assert asked.data["id"] in status.data["alarms"]
        assert "turn the probe" in status.text
        assert status.data["cell"] == "off"
        assert (await night.command("acknowledge", alarm=asked.data["id"])).text == f"done: {asked.data['id']}"

    night = live(written(tmp_path, TURN, "{step: Plate working at 1 mA/cm2 for 2 minutes}"), person)
    assert ends(night) == ("finished", "as planned", 0)
    (cleared,) = night.of("alarm.cleared", id="prompt-" + night.plan.steps[0].key)
    plated = next(event for event in night.of("step.started") if event.data["text"].startswith("Plate"))
    assert cleared.mono_ns <= plated.mono_ns
    assert night.seconds(plated) >= 900
    assert night.of("note", text="Prompt: turn the probe by 90 degrees: done, says tester")


def test_a_prompt_that_nobody_answers_stands_still_until_resumed(live: Live, tmp_path: Path) -> None:
    async def person(night: Any) -> None:
        late = await night.until("alarm.raised", id="hands")
        assert "turn the probe" in late.data["text"]
        assert 3600 <= night.seconds(late) < 3700
        assert not any(event.data["text"].startswith("Plate") for event in night.of("step.started"))
        await night.until("run.state", to="paused")
        assert (await night.command("resume")).ok

    late = TURN.replace("}", ", within_h: 1}")
    night = live(written(tmp_path, late, "{step: Plate working at 1 mA/cm2 for 2 minutes}"), person)
    assert ends(night) == ("finished", "as planned", 0)
    assert night.of("alarm.cleared", id="hands")


def test_a_skipped_prompt_is_over_and_asks_no_more(live: Live, tmp_path: Path) -> None:
    async def person(night: Any) -> None:
        await night.until("step.started")
        await night.clock.sleep(60)
        assert (await night.command("skip")).ok

    night = live(written(tmp_path, TURN, "{step: Rest for 1 minute}"), person)
    assert ends(night) == ("finished", "as planned", 0)
    assert len(night.of("alarm.cleared")) == 1
    assert not night.of("alarm.raised", id="hands")


def write(folder: Path, name: str, data: bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_files_made_by_hand_are_adopted_with_times_and_hashes(live: Live, tmp_path: Path) -> None:
    pv = tmp_path / "pv"
    write(pv, "1/method", b"of an earlier scan")

    async def person(night: Any) -> None:
        asked = await night.until("alarm.raised", title="By hand: image")
        assert "my own FLASH" in asked.data["text"]
        await night.clock.sleep(60)
        write(pv, "2/method", b"parameters")
        await night.clock.sleep(300)
        assert not night.of("acquisition.acquired", key="a00001-image")
        write(pv, "2/pdata/1/2dseq", b"an image")
        await night.command("acknowledge", alarm=asked.data["id"])

    night = live(written(tmp_path, "{name: by hand, at: open circuit, nmr: [image, fast]}"), person)
    assert ends(night) == ("finished", "as planned", 0)
    (archived,) = night.of("raw.archived", key="a00001-image")
    files = {file["name"]: file for file in archived.data["files"]}
    assert list(files) == ["2/method", "2/pdata/1/2dseq"]
    assert files["2/pdata/1/2dseq"]["sha256"] == hashlib.sha256(b"an image").hexdigest()
    assert files["2/method"]["modified_utc_ns"] == (pv / "2/method").stat().st_mtime_ns
    assert (night.folder / archived.data["folder"] / "2/pdata/1/2dseq").read_bytes() == b"an image"
    assert night.of("acquisition.verified", key="a00001-image")
    assert night.of("acquisition.acquired", key="a00001-image")[0].data["said_by"] == "tester"
    fast = night.of("acquisition.started", key="a00002-fast")[0]
    assert fast.mono_ns >= night.of("acquisition.verified", key="a00001-image")[0].mono_ns


def test_a_spectrum_of_a_known_console_made_by_hand_leaves_its_fid(live: Live, tmp_path: Path) -> None:
    """A data set that OpenVnmrJ's own emulator would save: its reader knows it."""
    pv = tmp_path / "pv"
    points = np.exp(-np.arange(256) / 40.0) * np.exp(2j * np.pi * 0.1 * np.arange(256)) * 1000

    async def person(night: Any) -> None:
        asked = await night.until("alarm.raised", title="By hand: image")
        parameters = ParameterSet(lambda nucleus: 116.64)
        parameters.put("np", 512.0)
        parameters.put("time_complete", "20260101T000000")
        write(pv, "by_hand.fid/fid", write_fid(points, 8))
        write(pv, "by_hand.fid/procpar", parameters.text().encode("latin-1"))
        await night.command("acknowledge", alarm=asked.data["id"])

    night = live(written(tmp_path, "{name: by hand, at: open circuit, nmr: [image]}"), person)
    assert ends(night) == ("finished", "as planned", 0)
    (block,) = night.of("fid.block")
    assert (block.data["key"], block.data["shape"]) == ("a00001-image", [256])
    assert np.allclose(np.frombuffer(block.blob, "<c8").real, np.round(points.real), atol=1.0)
    assert night.of("acquisition.stored")[0].data["fid_seq"] == block.seq
    assert night.of("acquisition.verified", key="a00001-image")


def test_what_changes_still_is_not_adopted_and_the_minutes_are_enough_without_a_word(live: Live, tmp_path: Path) -> None:
    pv = tmp_path / "pv"

    async def program(night: Any) -> None:
        await night.until("alarm.raised", title="By hand: image")
        for k in range(140):  # eleven and a half minutes, a piece each five seconds
            write(pv, "fid", b"x" * (k + 1))
            await night.clock.sleep(5)

    night = live(written(tmp_path, "{name: by hand, at: open circuit, nmr: [image]}"), program)
    assert ends(night) == ("finished", "as planned", 0)
    (archived,) = night.of("raw.archived")
    assert archived.data["files"][0]["size"] == 140
    assert night.of("acquisition.acquired")[0].data["said_by"] == "its minutes are over"


def test_what_nobody_makes_is_missed_after_its_time(live: Live, tmp_path: Path) -> None:
    night = live(written(tmp_path, "{step: Rest for 30 minutes, nmr: {image: at start}}"))
    (missed,) = night.of("acquisition.missed")
    assert "nothing new in" in missed.data["why"]
    assert night.outcome.exit_code == 3
    assert night.of("alarm.cleared", id="prompt-a00001-image")


def test_an_abort_waits_for_nobody(live: Live, tmp_path: Path) -> None:
    async def person(night: Any) -> None:
        await night.until("alarm.raised", title="By hand: image")
        await night.clock.sleep(30)
        await night.command("abort")

    night = live(written(tmp_path, "{name: by hand, at: open circuit, nmr: [image]}"), person)
    assert night.outcome.state == "aborted"
    (lost,) = night.of("acquisition.missed")
    assert "the run has ended" in lost.data["why"]
    assert night.seconds(night.journal.events[-1]) < 120
