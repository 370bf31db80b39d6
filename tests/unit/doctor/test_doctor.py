"""What the doctor finds on this computer, what it makes of what other systems print, and what it hides."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.app import run as operando
from orchestrator.doctor import computer
from orchestrator.doctor.finding import State, worst
from orchestrator.doctor.redact import redacted

POWERCFG = """
    Power Setting GUID: 29f6c1db-86da-48c5-9fdb-f2b67b1f44da  (Sleep after)
      GUID Alias: STANDBYIDLE
      Minimum Possible Setting: 0x00000000
    Current AC Power Setting Index: {ac}
    Current DC Power Setting Index: 0x00000384
"""


@pytest.mark.parametrize(
    ("finding", "state", "says"),
    [
        (computer.linux_clock("NTPSynchronized=yes\n"), State.OK, "kept by a time server"),
        (computer.linux_clock("NTPSynchronized=no\n"), State.WARN, "not kept"),
        (computer.linux_clock(""), State.UNKNOWN, "timedatectl"),
        (computer.windows_clock("Stratum: 3\nSource: time.windows.com,0x8\n"), State.OK, "time.windows.com"),
        (computer.windows_clock("Source: Local CMOS Clock\n"), State.WARN, "Local CMOS"),
        (computer.windows_clock("Quelle: ntp.example\n"), State.OK, "ntp.example"),
        (computer.windows_clock(""), State.UNKNOWN, "w32tm"),
        (computer.windows_sleep(POWERCFG.format(ac="0x00000708")), State.FAIL, "sleep in 30 min"),
        (computer.windows_sleep(POWERCFG.format(ac="0x00000000")), State.OK, "does not sleep"),
        (computer.windows_sleep("nonsense"), State.UNKNOWN, "powercfg"),
        (computer.linux_sleep("'suspend'\n"), State.FAIL, "suspend"),
        (computer.linux_sleep("'nothing'\n"), State.OK, "awake"),
    ],
)
def test_what_other_systems_print(finding: computer.Finding, state: State, says: str) -> None:
    assert finding.state is state
    assert says in finding.text


def test_the_disk_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    found = list(computer.disk(tmp_path / "not" / "yet"))
    assert worst(found) is State.OK or {one.name for one in found if one.state is State.WARN} <= {"room", "HDF5"}
    assert list(tmp_path.iterdir()) == []


def test_a_network_folder_fails_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computer, "network_file_system", lambda path: "cifs")
    (found,) = computer.disk(tmp_path)
    assert (found.state, "mirror_to" in found.fix) == (State.FAIL, True)


def test_a_folder_that_nobody_may_write_to_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(computer.tempfile, "TemporaryDirectory", refuse)
    assert list(computer.disk(tmp_path))[-1].text.endswith("Permission denied")


def test_every_failure_says_how_to_fix_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    operando(["doctor", "--json", "--out", str(tmp_path)])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"computer", "libraries", "disk", "ports", "broker"} <= {row["area"] for row in rows}
    assert all(row["fix"] for row in rows if row["state"] in {"warn", "fail"})


def sim(repository: Path) -> str:
    """The simulated rig's file, for another folder."""
    return (repository / "configs" / "rigs" / "sim.yaml").read_text("utf-8").replace("../twins", str(repository / "configs" / "twins"))


def test_the_report_hides_people_computers_and_serial_numbers(tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rig = tmp_path / "rig.yaml"
    text = sim(repository)
    rig.write_text(f"{text}\nbroker: {{url: 'mqtt://127.0.0.1:9'}}\n# ask jane.doe@lab.example at 10.1.2.3\n", "utf-8")
    assert operando(["doctor", "--rig", str(rig), "--out", str(tmp_path), "--report", str(tmp_path / "doctor.txt")]) == 2
    told = (tmp_path / "doctor.txt").read_text("utf-8")
    assert "jane" not in told
    assert "10.1.2.3" not in told
    assert str(Path.home()) not in told
    assert "look through it" in capsys.readouterr().err


def test_the_longest_name_is_hidden_first_and_short_ones_stay() -> None:
    told = redacted("ann at annslab (10.0.0.7, 00:11:22:33:44:55), MAX 127.0.0.1", {"ann": "<user>", "annslab": "<host>", "ma": "<x>"})
    assert told == "<user> at <host> (<address>, <mac>), MAX 127.0.0.1"


# --------------------------------------------------------------------------------------------------------------- by hand


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    """The address of an emulated potentiostat, in a process of its own as a real one is."""
    command = [sys.executable, "-m", "orchestrator", "emulate", "methodscript"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": "1"}) as process:
        assert process.stdout is not None
        yield str(json.loads(process.stdout.readline())["address"])
        process.terminate()


@pytest.mark.posix_only
def test_a_potentiostat_tells_who_it_is_and_is_made_safe(emulator: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert operando(["potentiostat", emulator, "identify", "state", "clock", "safe", "--driver", "methodscript", "--json"]) == 0
    told = {row["verb"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert told["identify"]["vendor"] == "PalmSens"
    assert told["state"]["cell"] == "off"
    assert told["safe"]["safe"] == "confirmed"
    assert "clock" in told["clock"] or "offset_s" in told["clock"]


@pytest.mark.posix_only
def test_the_doctor_asks_the_instruments_of_a_rig(
    emulator: str, tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rig = tmp_path / "rig.yaml"
    text = sim(repository)
    for identity, code in (("", 0), ("SOMEBODYELSE", 3)):
        rig.write_text(text.replace("emulator:methodscript", f"{emulator}{f', identity: {identity}' if identity else ''}"), "utf-8")
        assert operando(["doctor", "--rig", str(rig), "--out", str(tmp_path)]) == code
        assert ("PalmSens" in capsys.readouterr().out) is (not identity)


def test_nothing_by_hand_can_start_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert operando(["potentiostat", "/dev/null", "start", "--driver", "methodscript"]) == 2
    assert "Current is started by `operando run` only" in capsys.readouterr().err


def test_who_does_not_answer_is_three(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert operando(["potentiostat", str(tmp_path / "no-port"), "--driver", "methodscript"]) == 3
    assert operando(["console", "127.0.0.1:9", "--driver", "nobody"]) == 2
    assert operando(["console", "127.0.0.1:9"]) == 2
    assert "which driver? add --driver" in capsys.readouterr().err


def test_a_name_of_the_rig_file_that_is_simulated_or_not_there(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rig = str(repository / "configs" / "rigs" / "sim.yaml")
    assert operando(["potentiostat", "potentiostat", "--rig", rig]) == 2
    assert "lives only while a simulated run does" in capsys.readouterr().err
    assert operando(["console", "potentiostat", "--rig", rig]) == 2
    assert "there is console" in capsys.readouterr().err
