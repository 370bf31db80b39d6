"""Which broker a run is shown on: the environment's, the rig file's, the one that runs here, none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from orchestrator.cli.app import run as operando
from orchestrator.cli.run import say_who_watches
from orchestrator.monitor import embedded
from orchestrator.platform import process_start
from orchestrator.rig.gather import CannotRun, Gathered, gather
from orchestrator.rig.publishing import broker_of, publish_arguments
from orchestrator.rig.request import RunRequest


def gathered_with(repository: Path, folder: Path, line: str, speed: float | None = 60.0) -> Gathered:
    text = (repository / "configs" / "rigs" / "sim.yaml").read_text("utf-8").replace("../twins/", f"{repository / 'configs' / 'twins'}/")
    rig = folder / "rig.yaml"
    rig.write_text(f"{text}\n{line}\n", "utf-8")
    return gather(RunRequest(repository / "configs" / "experiments" / "demo.yaml", rig, folder / "runs", speed=speed))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("OPERANDO_BROKER")
    monkeypatch.setenv("OPERANDO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_broker_in_words_or_as_a_table(repository: Path, tmp_path: Path) -> None:
    assert broker_of(gathered_with(repository, tmp_path, "broker: mqtt://lab")).url == "mqtt://lab"
    (tmp_path / "p").write_text("secret")
    table = "broker: {url: mqtts://lab:8884, user: rig-sim, password_file: p, home_assistant: true}"
    broker = broker_of(gathered_with(repository, tmp_path, table))
    assert broker is not None
    assert (broker.host, broker.port, broker.tls, broker.password_file) == ("lab", 8884, True, str(tmp_path / "p"))
    told = publish_arguments(gathered_with(repository, tmp_path, table))
    assert "secret" not in " ".join(told)
    assert json.loads(told[told.index("--broker") + 1])["home_assistant"] is True


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("broker: http://lab", "write mqtt://HOST"),
        ("broker: {url: 'mqtt://me:secret@lab'}", "no password may stand in it"),
        ("broker: {url: 'mqtt://lab:port'}", "this broker cannot be"),
        ("broker: {url: mqtt://lab, pasword_file: x}", "unknown key `pasword_file`"),
        ("broker: {url: mqtt://lab, password_file: nowhere}", "no such password_file file"),
        ("broker: {user: x}", "`url` is missing"),
    ],
)
def test_a_broker_that_cannot_be_is_refused_at_its_place(
    repository: Path, tmp_path: Path, line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exception, match=r"rig\.yaml") as refused:
        gathered_with(repository, tmp_path, line)
    assert said in str(refused.value)


def test_the_environment_goes_before_the_file(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gathered = gathered_with(repository, tmp_path, "broker: mqtt://lab")
    monkeypatch.setenv("OPERANDO_BROKER", "mqtts://other")
    monkeypatch.setenv("OPERANDO_BROKER_USER", "rig-sim")
    assert (broker_of(gathered).url, broker_of(gathered).user) == ("mqtts://other", "rig-sim")
    monkeypatch.setenv("OPERANDO_BROKER", "none")
    assert broker_of(gathered) is None
    monkeypatch.setenv("OPERANDO_BROKER", "lab")
    with pytest.raises(CannotRun, match="write mqtt://HOST"):
        broker_of(gathered)


def test_nobody_follows_a_run_in_virtual_time(repository: Path, tmp_path: Path) -> None:
    assert publish_arguments(gathered_with(repository, tmp_path, "broker: mqtt://lab", speed=None)) == ()


def test_the_broker_that_runs_here_is_found_while_it_lives(
    repository: Path, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gathered = gathered_with(repository, tmp_path, "")
    assert broker_of(gathered) is None
    say_who_watches(gathered)
    assert "nobody can watch this run over MQTT: `broker:` in the rig file" in capsys.readouterr().err
    embedded.announce(home, "mqtt://127.0.0.1:4711")
    assert broker_of(gathered).url == "mqtt://127.0.0.1:4711"
    assert operando(["broker", "--home", str(home)]) == 2
    assert "runs here already" in capsys.readouterr().err
    embedded.withdraw(home, "mqtt://127.0.0.1:4711")
    assert broker_of(gathered) is None
    (home / "broker.json").write_text(json.dumps({"url": "mqtt://x", "process": f"{os.getpid()}:{process_start(os.getpid()) or 0.0 + 1}x"}))
    assert broker_of(gathered) is None  # its process has gone, and another has its number


def test_our_own_broker_ends_when_nobody_uses_it(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(embedded, "LOOK_s", 0.01)
    assert operando(["broker", "--port", "0", "--idle", "0.02", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["url"].startswith("mqtt://127.0.0.1:")
    assert not (home / "broker.json").exists()


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(embedded, "installed", lambda: False)
    assert operando(["broker"]) == 2
    assert "pip install 'operando-nmr[dashboard]'" in capsys.readouterr().err
