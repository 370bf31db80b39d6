"""`operando install-agent`: where the files go, what is never overwritten, and that what is written is what the agent reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from drivers import registry
from orchestrator.cli.app import run


@pytest.fixture
def topspin(tmp_path: Path) -> Path:
    """A TopSpin as it is installed."""
    folder = tmp_path / "topspin4.4.0"
    (folder / "exp/stan/nmr/py/user").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    return folder


def install(topspin: Path, *more: str) -> int:
    return run(["install-agent", str(topspin), "--root", str(topspin.parent / "data"), *more])


def scripts(topspin: Path) -> Path:
    return topspin / "exp/stan/nmr/py/user"


def test_the_agent_and_its_settings_go_where_topspin_looks(topspin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install(topspin) == 0
    shipped = registry.folder("consoles", "topspin") / "agent" / "operando_agent.py"
    assert (scripts(topspin) / "operando_agent.py").read_bytes() == shipped.read_bytes()
    settings = json.loads((scripts(topspin) / "operando_agent.json").read_text())
    assert settings == {"host": "127.0.0.1", "port": 47011, "root": str(topspin.parent / "data"), "mode": "listen"}
    said = capsys.readouterr().out
    assert "xpy operando_agent" in said
    assert "127.0.0.1:47011" in said
    assert not (scripts(topspin) / "operando_agent.key").exists()


def test_on_a_network_there_is_a_key_that_only_its_owner_reads(topspin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install(topspin, "--host", "10.0.0.5") == 0
    key = scripts(topspin) / "operando_agent.key"
    assert len(key.read_text().strip()) == 64
    assert json.loads((scripts(topspin) / "operando_agent.json").read_text())["key_file"] == str(key)
    assert str(key) in capsys.readouterr().out
    if sys.platform != "win32":
        assert key.stat().st_mode & 0o077 == 0


def test_a_second_time_changes_nothing(topspin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(topspin, "--host", "10.0.0.5")
    key = scripts(topspin) / "operando_agent.key"
    before = key.read_bytes()
    capsys.readouterr()
    assert install(topspin, "--host", "10.0.0.5", "--json") == 0
    assert json.loads(capsys.readouterr().out)["written"] == []
    assert key.read_bytes() == before, "a new key would lock the run's computer out"


def test_another_file_is_never_overwritten_unless_asked(topspin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    agent = scripts(topspin) / "operando_agent.py"
    agent.write_text("somebody's own")
    assert install(topspin) == 2
    assert "nothing was written" in capsys.readouterr().err
    assert agent.read_text() == "somebody's own"
    assert not (scripts(topspin) / "operando_agent.json").exists()
    assert install(topspin, "--force") == 0
    assert agent.read_text() != "somebody's own"


def test_settings_that_somebody_has_filled_in_stay(topspin: Path) -> None:
    install(topspin)
    settings = scripts(topspin) / "operando_agent.json"
    settings.write_text('{"root": "/elsewhere"}')
    assert install(topspin) == 0
    assert settings.read_text() == '{"root": "/elsewhere"}'


def test_the_pull_variant_brings_its_au_program(topspin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install(topspin, "--pull", "--host", "10.0.0.9", "--port", "47012") == 0
    program = (topspin / "exp/stan/nmr/au/src/user/operando_pull").read_text()
    assert 'XPY("operando_agent.py")' in program
    assert program.rstrip().endswith("QUIT")
    assert "xaupw operando_pull" in capsys.readouterr().out


def test_a_folder_that_is_no_topspin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install(tmp_path) == 2
    assert "exp/stan/nmr/py/user" in capsys.readouterr().err


def test_what_is_written_runs(topspin: Path) -> None:
    """The installed file finds its settings beside itself, and says why it does not start where they are wrong."""
    install(topspin)
    (topspin.parent / "data").rmdir()
    environment = {name: value for name, value in os.environ.items() if name != "OPERANDO_AGENT_CONFIG"}
    done = subprocess.run(
        [sys.executable, str(scripts(topspin) / "operando_agent.py")], capture_output=True, text=True, check=False, env=environment
    )
    assert "operando_agent.json: root" in done.stderr
    assert "is no folder" in done.stderr
