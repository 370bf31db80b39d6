"""What no run starts with: the same as `check` refuses, a rig that is taken, a folder that cannot be written, keys that nobody executes."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from drivers.clock import Clock
from orchestrator.cli.app import run as operando
from orchestrator.control.messages import Answer, Command
from orchestrator.control.server import ControlServer
from orchestrator.model.problems import ProblemsError
from orchestrator.rig import gather as gathering
from orchestrator.rig.folders import state_folder
from orchestrator.rig.gather import CannotRun, gather, revision, run_started
from orchestrator.rig.hold import name_running, rig_held
from orchestrator.rig.process import run
from orchestrator.rig.request import RunRequest

GOOD = """version: 1
experiment: short
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_metal, recycle_s: 0.75, scans: 8, dummies: 1}
protocol:
  - {step: Rest for 30 seconds, nmr: {fast: at start}}
  - {step: Plate working at 1 mA/cm2 for 5 minutes, nmr: {fast: [at start, every 1 minute]}}
"""
REFUSED = {
    "booking too short": ("protocol:", "booking_ends: 2020-01-01 08:00\nprotocol:"),
    "host_lost too short": ("within 60 s", "within 4 s"),
    "template unknown": ("7Li_metal", "7Li_metl"),
    "current above its limit": ("1 mA/cm2", "10 mA/cm2"),
    "sampled too densely": ("for 5 minutes, nmr", "for 5 minutes, sample: {then_Hz: 100000}, nmr"),
}


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPERANDO_HOME", str(tmp_path / "home"))


@pytest.fixture
def sim(repository: Path) -> Path:
    return repository / "configs" / "rigs" / "sim.yaml"


def written(tmp_path: Path, *change: str) -> Path:
    text = GOOD
    if change:
        assert change[0] in text
        text = text.replace(*change)
    path = tmp_path / "experiment.yaml"
    path.write_text(text, "utf-8")
    return path


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What is said on the way to exit code 2, less the time that is left."""
    assert operando(arguments) == 2
    return re.sub(r"in -?[\d.]+ \w+|[\d.]+ MB", "", capsys.readouterr().err)


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("speed", ["1", "max"])
def test_run_refuses_what_check_refuses(name: str, speed: str, tmp_path: Path, sim: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(written(tmp_path, *REFUSED[name]))
    by_check = told(["check", file, "--rig", str(sim)], capsys)
    assert "nothing was started" in by_check
    assert told(["run", file, "--rig", str(sim), "--out", str(tmp_path / "runs"), "--speed", speed], capsys) == by_check
    assert not (tmp_path / "runs").exists()


def test_mistakes_in_both_files_are_told_at_once(tmp_path: Path, sim: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rig = tmp_path / "rig.yaml"
    rig.write_text(sim.read_text("utf-8").replace("driver:", "drvier:", 1), "utf-8")
    said = told(["check", str(written(tmp_path, "area_cm2: 0.4", "area_cm: 0.4")), "--rig", str(rig)], capsys)
    assert "experiment.yaml:3:" in said
    assert "area_cm" in said
    assert "rig.yaml:" in said
    assert "drvier" in said


ABSENT = {
    "driver": (
        "driver: methodscript",
        "driver: methodscrpt",
        "no potentiostat driver is called `methodscrpt`",
        "did you mean `methodscript`?",
    ),
    "console": ("driver: openvnmrj", "driver: zzz", "no console driver is called `zzz`", "there are: marcos, openvnmrj, sim"),
    "emulator": ("emulator:methodscript", "emulator:zzz", "no emulator is called `zzz`", "neware, openvnmrj"),
}


@pytest.mark.parametrize("name", ABSENT)
def test_what_is_not_installed_is_a_mistake_of_the_rig(name: str, tmp_path: Path, sim: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new, message, hint = ABSENT[name]
    rig = with_keys(sim, tmp_path)
    rig.write_text(rig.read_text("utf-8").replace(old, new, 1), "utf-8")
    file = str(written(tmp_path))
    by_check = told(["check", file, "--rig", str(rig)], capsys)
    assert re.search(rf"rig.yaml:\d+:\d+: {message}\n.*\n.*{new}", by_check)
    assert hint in by_check
    assert told(["run", file, "--rig", str(rig), "--out", str(tmp_path / "runs")], capsys) == by_check
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("speed", ["0", "-3", "nan", "inf", "abc"])
def test_a_speed_that_is_none(speed: str, tmp_path: Path, sim: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["run", str(written(tmp_path)), "--rig", str(sim), "--out", str(tmp_path / "runs"), "--speed", speed]
    assert told(given, capsys) == f"--speed {speed}: write a number (60 = sixty times as fast) or `max`\n"
    if speed != "abc":
        assert told(["emulate", "methodscript", "--speed", speed], capsys).startswith(f"--speed {speed}: write a number above 0")
    assert not (tmp_path / "runs").exists()


def test_an_emulator_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(["emulate", "methodscrpt"], capsys) == "no emulator driver is called `methodscrpt`; did you mean `methodscript`?\n"


def test_a_fault_with_a_value_that_is_none_names_the_fault(capsys: pytest.CaptureFixture[str]) -> None:
    said = told(["emulate", "methodscript", "--fault", "silent:after_s=abc"], capsys)
    assert said == "fault `silent`: could not convert string to float: 'abc'\n"


def test_a_booking_given_with_the_command_counts(tmp_path: Path, sim: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [str(written(tmp_path)), "--rig", str(sim), "--booking-end", "2020-01-01T08:00"]
    by_check = told(["check", *given], capsys)
    assert "the booking ends" in by_check
    assert told(["run", *given, "--out", str(tmp_path / "runs")], capsys) == by_check


@pytest.mark.parametrize("speed", [1.0, None])
def test_a_full_disk_refuses(tmp_path: Path, sim: Path, monkeypatch: pytest.MonkeyPatch, speed: float | None) -> None:
    monkeypatch.setattr(gathering, "free_bytes_at", lambda _: 1000)
    with pytest.raises(ProblemsError, match=r"the run needs about .* the disk has 0 MB"):
        gather(RunRequest(written(tmp_path), sim, tmp_path / "runs", speed=speed))


def test_a_rig_that_is_taken_names_the_run_that_has_it(tmp_path: Path, sim: Path) -> None:
    gathered = gather(RunRequest(written(tmp_path), sim, tmp_path / "runs", display="none"))
    state = state_folder("sim")
    with rig_held(state, "sim"):
        with pytest.raises(CannotRun, match="just beginning or ending"), rig_held(state, "sim"):
            pass
        name_running(state, tmp_path / "runs" / "the_first")
        with pytest.raises(CannotRun, match=rf"rig `sim` is taken: .*the_first \(process {os.getpid()}\) is running"):
            run(gathered)
    assert not (tmp_path / "runs").exists(), "nothing was opened"
    with rig_held(state, "sim"):
        assert sorted(path.name for path in state.iterdir()) == ["lock"]


async def test_a_run_takes_away_its_own_control_file_only(tmp_path: Path) -> None:
    async def answering(command: Command) -> Answer:
        return Answer(command.id, ok=True, text="")

    async with ControlServer(tmp_path, tmp_path / "first", answering):
        async with ControlServer(tmp_path, tmp_path / "second", answering):
            pass
        assert not (tmp_path / "control.json").exists()
    first = ControlServer(tmp_path, tmp_path / "first", answering)
    async with ControlServer(tmp_path, tmp_path / "second", answering):
        async with first:
            (tmp_path / "control.json").write_text('{"token": "of the second"}')
        assert (tmp_path / "control.json").exists()


@pytest.mark.skipif(os.name == "nt", reason="posix_only: /dev/null")
def test_an_out_that_is_no_folder_is_a_sentence(tmp_path: Path, sim: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(written(tmp_path))
    said = told(["run", file, "--rig", str(sim), "--out", "/dev/null", "--speed", "max"], capsys)
    assert said.startswith("--out /dev/null: no run folder can be made there")
    assert said.endswith("nothing was started\n")


def with_keys(sim: Path, tmp_path: Path, *keys: str) -> Path:
    path = tmp_path / "rig.yaml"
    text = sim.read_text("utf-8").replace("../twins", str(sim.parent.parent / "twins"))
    path.write_text(text + "".join(f"\n{key}\n" for key in keys), "utf-8")
    return path


RELAY = 'fence: {driver: relay, address: "%s", options: {kind: devantech}}'


def test_check_names_what_has_no_fence(tmp_path: Path, sim: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(written(tmp_path))
    assert operando(["check", file, "--rig", str(sim)]) == 0
    assert "no hardware fence: if potentiostat (methodscript) cannot be reached" in capsys.readouterr().out
    assert operando(["check", file, "--rig", str(with_keys(sim, tmp_path, RELAY % "/dev/ttyUSB9"))]) == 0
    said = capsys.readouterr().out
    assert "no hardware fence" not in said
    assert "hardware fence: relay 1 (devantech) at /dev/ttyUSB9, read back" in said


@pytest.mark.parametrize(
    ("fence", "hint"),
    [
        ("{driver: open-in, address: COM7}", "open_in"),
        ("{driver: open_in, address: COM7, options: {kind: hope}}", "kind is devantech, lcus or custom"),
        ('{driver: relay, address: "emulator:rely", options: {kind: lcus}}', "relay"),
    ],
)
def test_check_refuses_a_fence_that_nobody_could_work(
    tmp_path: Path, sim: Path, capsys: pytest.CaptureFixture[str], fence: str, hint: str
) -> None:
    assert operando(["check", str(written(tmp_path)), "--rig", str(with_keys(sim, tmp_path, f"fence: {fence}"))]) == 2
    said = capsys.readouterr().err
    assert hint in said
    assert "rig.yaml:" in said, "it says where"


def test_a_fence_that_cannot_be_reached_is_none(tmp_path: Path, sim: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rig = str(with_keys(sim, tmp_path, RELAY % "/dev/nothing"))
    said = told(["run", str(written(tmp_path)), "--rig", rig, "--out", str(tmp_path / "runs"), "--speed", "max"], capsys)
    assert "hardware fence cannot be reached; nothing was started" in said


def test_a_fence_that_is_tripped_is_closed_by_hand(tmp_path: Path, sim: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The emulated coil is on, and the driver is told that its contact then is open."""
    odd = 'fence: {driver: relay, address: "emulator:relay", options: {kind: devantech, trip_by: on, emulator: {trip_by: off}}}'
    rig = str(with_keys(sim, tmp_path, odd))
    said = told(["run", str(written(tmp_path)), "--rig", rig, "--out", str(tmp_path / "runs"), "--speed", "max"], capsys)
    assert "hardware fence is tripped; nothing was started" in said


@pytest.mark.parametrize("way", ["{level: alarm}", "{run: [beep], desktop: true}"])
def test_a_way_to_tell_that_is_none_is_refused(tmp_path: Path, sim: Path, capsys: pytest.CaptureFixture[str], way: str) -> None:
    rig = str(with_keys(sim, tmp_path, f"notify: [{way}]"))
    assert operando(["check", str(written(tmp_path)), "--rig", rig]) == 2
    assert "say how to tell" in capsys.readouterr().err


def test_other_keys_are_named_in_a_line_each(tmp_path: Path, sim: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rig = with_keys(sim, tmp_path, "data_root: /data")
    gathered = gather(RunRequest(written(tmp_path), rig, tmp_path / "runs", speed=None))
    assert gathered.ignored == ("rig: data_root is ignored: runs are made where --out says; only watched folders are relative to it",)
    assert operando(["check", str(written(tmp_path)), "--rig", str(rig)]) == 0
    assert "not available yet: rig: data_root" in capsys.readouterr().out


def test_event_one_says_what_was_asked_for_and_no_path(tmp_path: Path, sim: Path, repository: Path) -> None:
    data = tmp_path / "private" / "recorded"
    data.mkdir(parents=True)
    request = RunRequest(
        written(tmp_path), sim, tmp_path / "runs", booking_end="2999-01-01T08:00", speed=60.0, data=data, faults=("silent:after_s=5",)
    )
    first = run_started(gather(request), Clock(60.0), "id")
    asked = {name: first[name] for name in ("rig_name", "booking_end", "faults", "data")}
    assert asked == {"rig_name": "sim", "booking_end": "2999-01-01T08:00", "faults": ["silent:after_s=5"], "data": "recorded"}
    assert str(data.parent) not in repr(first)
    head = subprocess.run(["git", "-C", str(repository), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    assert first["revision"].removesuffix("+") == (head.stdout.strip() if head.returncode == 0 else "")
    assert revision() == first["revision"]
