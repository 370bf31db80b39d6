"""Broker and rig as docker-compose.yml starts them, their folders put elsewhere: healthy while they run, stopped as compose stops them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest
from laboratory import Laboratory, start_laboratory
from ruamel.yaml import YAML

pytestmark = [pytest.mark.posix_only, pytest.mark.needs("mosquitto", "mosquitto_sub", "openssl"), pytest.mark.timeout(240)]
PATIENCE_S = 90.0
OPERANDO = (sys.executable, "-m", "orchestrator")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    path = Path(__file__).parents[3] / "docker-compose.yml"
    return YAML(typ="safe").load(path.read_text("utf-8"))["services"]


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    made = start_laboratory(tmp_path_factory.mktemp("laboratory"), Path(__file__).parents[3], "sim")
    yield made
    made.mosquitto.end()


def test_the_broker_says_that_it_is_healthy_and_that_it_is_not(services: dict[str, Any], laboratory: Laboratory) -> None:
    kind, check = services["broker"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    check = check.replace("$$", "$").replace("/mosquitto/secrets", str(laboratory.secrets)).replace("-p 8883", f"-p {laboratory.port}")

    def healthy() -> int:
        return subprocess.run(["/bin/sh", "-c", check], capture_output=True, timeout=30, check=False).returncode

    assert healthy() == 0
    laboratory.mosquitto.kill()
    assert healthy() != 0
    laboratory.mosquitto.start()


def test_the_rig_of_compose_runs_is_healthy_and_stops_in_its_grace(
    services: dict[str, Any], laboratory: Laboratory, repository: Path, tmp_path: Path
) -> None:
    service, runs = services["rig"], tmp_path / "runs"
    here = {"/configs": f"{repository / 'configs'}", "/runs": f"{runs}", "${OPERANDO_SPEED:-60}": "60"}
    command = [_put(word, here) for word in service["command"]]
    secrets = {"/run/secrets/rig_password": "rig-sim.password", "/run/secrets/ca": "ca.crt"}
    told = {name: str(laboratory.secrets / secrets[value]) if value in secrets else value for name, value in service["environment"].items()}
    told |= {"OPERANDO_BROKER": f"mqtts://127.0.0.1:{laboratory.port}", "OPERANDO_HOME": str(tmp_path / "state")}
    env = os.environ | {name: value for name, value in told.items() if name.startswith("OPERANDO")}
    status = [*OPERANDO, *service["healthcheck"]["test"][2:]]
    assert service["healthcheck"]["test"][:2] == ["CMD", "operando"]

    def healthy() -> bool:
        return subprocess.run(status, env=env, capture_output=True, timeout=60, check=False).returncode == 0

    assert not healthy()
    with subprocess.Popen([*OPERANDO, *command], env=env, stdout=subprocess.DEVNULL) as rig:
        _until(lambda: _state(laboratory).get("cell_state") == "on")
        assert healthy()
        rig.send_signal(signal.SIGTERM)  # what `docker compose stop` sends
        assert rig.wait(float(service["stop_grace_period"].removesuffix("s"))) == 130  # interrupted
    assert not healthy()
    assert _state(laboratory) | {"state": "finished", "cell_state": "off", "outcome": "ended early"} == _state(laboratory)
    (file,) = runs.glob("*/run.h5")
    with h5py.File(file) as closed:
        assert closed["entry/electrochemistry/voltage"].shape[0] > 0


def _put(word: str, here: dict[str, str]) -> str:
    return next((word.replace(there, new) for there, new in here.items() if word.startswith(there)), word)


def _until(there: Any) -> None:
    end = time.monotonic() + PATIENCE_S
    while not there():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.3)


def _state(laboratory: Laboratory) -> dict[str, Any]:
    """What is retained of the rig; nothing where nothing is."""
    viewer = laboratory.as_user("viewer")
    password = Path(viewer.password_file).read_text("utf-8").strip()
    who = ("-h", "127.0.0.1", "-p", str(laboratory.port), "--cafile", viewer.ca, "-u", "viewer", "-P", password)
    command = ("mosquitto_sub", *who, "-t", "operando/v1/sim/state", "-C", "1", "-W", "2")
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout
    return json.loads(said) if said.strip() else {}
