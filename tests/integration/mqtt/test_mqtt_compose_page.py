"""The page as docker-compose.yml starts it, with its folders put elsewhere: it asks who is there, and its health check tells."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from laboratory import Laboratory, start_laboratory
from mosquitto import free_port
from ruamel.yaml import YAML

pytestmark = [pytest.mark.needs("mosquitto", "openssl"), pytest.mark.timeout(120)]
SECRETS = {"viewer_password": "viewer.password", "ca": "ca.crt", "page_certificate": "server.crt", "page_key": "server.key"}


@pytest.fixture
def laboratory(tmp_path: Path, repository: Path) -> Iterator[Laboratory]:
    made = start_laboratory(tmp_path, repository, "sim")
    yield made
    made.mosquitto.end()


@pytest.mark.parametrize(("name", "published"), [("dashboard", 8750), ("dashboard-tls", 8751)])
def test_the_pages_of_compose_come_up_and_are_healthy(laboratory: Laboratory, repository: Path, name: str, published: int) -> None:
    service = YAML(typ="safe").load((repository / "docker-compose.yml").read_text("utf-8"))["services"][name]
    port = free_port()
    here = {f"/run/secrets/{secret}": str(laboratory.secrets / file) for secret, file in SECRETS.items()}
    here |= {"//broker:8883": f"//localhost:{laboratory.port}", f"{published}": f"{port}", "${OPERANDO_HOST:-localhost}": "localhost"}
    command = [_put(word, here) for word in service["command"]]
    _, _, flag, check = service["healthcheck"]["test"]
    with subprocess.Popen([sys.executable, "-m", "orchestrator", *command], stdout=subprocess.PIPE) as page:
        assert page.stdout is not None
        assert b"localhost" in page.stdout.readline()
        asked = subprocess.run([sys.executable, flag, _put(check, here)], capture_output=True, text=True, timeout=60, check=False)
        other = subprocess.run(
            [sys.executable, flag, _put(check, here).replace(f"{port}", f"{free_port()}")], capture_output=True, check=False
        )
        page.terminate()
    assert asked.returncode == 0, asked.stderr
    assert other.returncode != 0


def _put(text: str, here: dict[str, Any]) -> str:
    for there, instead in here.items():
        text = text.replace(there, instead)
    return text
