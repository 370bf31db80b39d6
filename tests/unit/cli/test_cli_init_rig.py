"""`operando init`: a rig by questions, or by options alone; what it writes is what the program takes."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from drivers import registry
from orchestrator.cli.app import run as operando
from orchestrator.cli.init_questions import ADDRESSES, OPTIONS
from orchestrator.config import load_experiment, load_rig
from orchestrator.config.newrig import NewInstrument, NewRig, experiment_text, rig_text
from orchestrator.rig.planned import capabilities, planned

SAID = {
    "arbin": {"folder": "/var/lib/operando/notes"},
    "biologic": {"door": "eclab", "folder": "'D:\\operando'", "device": "MPG-2", "decimal": "'.'"},
    "marcos": {"H1_MHz": "400.13", "data_root": "/data/marcos"},
    "neware": {"folder": "/mnt/bts"},
    "openvnmrj": {"data_root": "/home/vnmr1/data"},
    "spinsolve": {"data_root": "'D:\\opnmr'", "path_map": "{'D:\\opnmr': /mnt/spinsolve}"},
}
PLACES = {"methodscript": "/dev/ttyACM0", "keithley": "TCPIP0::192.168.1.5::5025::SOCKET", "topspin": "127.0.0.1:47011"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def instrument(driver: str) -> NewInstrument:
    return NewInstrument(driver, PLACES.get(driver, "memory" if driver == "sim" else "lab-pc"), options=SAID.get(driver, {}))


@pytest.mark.parametrize("potentiostat", registry.names("potentiostats"))
@pytest.mark.parametrize("console", registry.names("consoles"))
def test_every_pair_of_drivers_gives_a_rig_that_is_taken_and_an_experiment_that_can_be_planned(
    potentiostat: str, console: str, repository: Path, tmp_path: Path
) -> None:
    twin = str(repository / "configs" / "twins" / "C1.yaml") if "sim" in {potentiostat, console} else ""
    channel = {"biologic": "13", "neware": "21-1-8"}.get(potentiostat, "")
    one = NewRig("r1", "Europe/Berlin", instrument(potentiostat), channel, instrument(console), ("7Li", "23Na"), (2.5, 4.3), 5.0, twin=twin)
    for folder, name, text in (("rigs", "r1", rig_text(one)), ("experiments", "first", experiment_text(one))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.yaml").write_text(text, "utf-8")
    rig = load_rig(tmp_path / "rigs" / "r1.yaml")
    assert (rig.instruments["potentiostat"].driver, rig.instruments["console"].driver) == (potentiostat, console)
    assert set(rig.stations["magnet"].nuclei) == {"7Li", "23Na"}
    capabilities(rig)
    found = planned(tmp_path / "experiments" / "first.yaml", None)
    assert [step.current_A for step in found.plan.steps] == [None]  # nothing in it starts a current
    assert (found.plan.steps[0].limits.voltage_lower_V, found.plan.steps[0].limits.voltage_upper_V) == (2.5, 4.3)


def test_every_driver_has_its_question() -> None:
    known = {*registry.names("potentiostats"), *registry.names("consoles")}
    assert known == ADDRESSES.keys()
    assert OPTIONS.keys() <= known


def test_options_alone_write_rig_experiment_schema_and_credentials(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "init rig magnet-300 --potentiostat methodscript --potentiostat-address /dev/ttyACM0 --potentiostat-identity ES4HR20B0008"
    more = "--defaults --json --console topspin --nucleus 7Li --voltage 2.5..4.3 --current-mA 5 --zone Europe/Berlin --broker mqtts://broker.lab"
    assert operando([*words.split(), *more.split()]) == 0
    told = json.loads(capsys.readouterr().out)
    rig = load_rig(here / told["rig"])
    assert (rig.name, rig.zone, rig.instruments["potentiostat"].identity) == ("magnet-300", "Europe/Berlin", "ES4HR20B0008")
    assert rig.broker is not None
    assert (here / "configs" / "rigs" / rig.broker.password_file).resolve().read_text().strip()
    assert "rig-magnet-300" in (here / "configs" / "secrets" / "acl").read_text()
    load_experiment(here / "configs" / "experiments" / "first-magnet-300.yaml")
    text = (here / told["rig"]).read_text("utf-8")
    schema = (here / told["rig"]).parent / text.splitlines()[0].partition("$schema=")[2]
    Draft202012Validator(json.loads(schema.read_text("utf-8"))).validate(YAML(typ="safe").load(text))


def test_nothing_is_overwritten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert operando(["init", "--defaults"]) == 0
    before = (here / "configs" / "rigs" / "my-lab.yaml").read_bytes()
    assert operando(["init", "my-lab", "--defaults", "--nucleus", "23Na"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert (here / "configs" / "rigs" / "my-lab.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--potentiostat keithley", "give --potentiostat-address"),
        ("--potentiostat toaster", "there is arbin, biologic"),
        ("--potentiostat keithley --potentiostat-address X --potentiostat-option door=1", "no option is called door"),
        ("--potentiostat keithley --potentiostat-address X --potentiostat-option door", "KEY=VALUE"),
        ("--nucleus lithium", "no nucleus"),
        ("--voltage 4..2", "write -0.5..4.5"),
        ("--current-mA -1", "above 0"),
        ("--zone Berlin", "no time zone"),
        ("--broker lab", "mqtts://HOST"),
        ("../x", "no name for a rig"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(words: str, said: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert operando(["init", "rig", *words.split(), "--defaults"]) == 2
    assert said in capsys.readouterr().err
    assert not list(here.iterdir())


def test_the_brokers_options_still_mean_the_broker(here: Path) -> None:
    assert operando(["init", "secrets", "--rig", "sim"]) == 0
    assert (here / "secrets" / "passwd").is_file()
    assert not (here / "configs").exists()


@pytest.mark.posix_only
@pytest.mark.timeout(180)
def test_a_person_is_asked_and_enter_takes_what_is_usual(tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    program = [sys.executable, "-c", "import sys; from orchestrator.cli import main; sys.exit(main())", "init"]
    answers = ["bench", "sim", "sim", "23Na, 7Li", "", "0.01..4.2", "", ""]
    asked = ""
    with subprocess.Popen(program, stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, close_fds=True) as process:
        os.close(theirs)
        for answer in answers:
            asked += _until_asked(ours)
            os.write(ours, answer.encode() + b"\n")
        while text := _more(ours):
            asked += text
        assert process.wait(50) == 0, asked
    os.close(ours)
    rig = load_rig(tmp_path / "configs" / "rigs" / "bench.yaml")
    assert list(rig.stations["magnet"].nuclei) == ["23Na", "7Li"]
    assert "E_V: [0.01, 4.2], abs_I_mA: 1," in (tmp_path / "configs" / "experiments" / "first-bench.yaml").read_text()
    assert "MQTT broker" in asked


def _until_asked(handle: int) -> str:
    """What is shown up to the next question."""
    text, until = "", time.monotonic() + 50
    while not text.rstrip(" ").endswith(":"):
        assert time.monotonic() < until, text
        if select.select([handle], [], [], 0.2)[0]:
            text += _more(handle)
    return text


def _more(handle: int) -> str:
    try:
        return os.read(handle, 4096).decode()
    except OSError:  # Linux: the other end is closed
        return ""
