"""The broker that `operando serve` starts where none is named: it outlives the daemon, and takes what a run publishes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.model.broker import Broker
from orchestrator.monitor.embedded import STATE, running
from orchestrator.monitor.mqtt import connected
from orchestrator.monitor.picture import Out

pytestmark = [pytest.mark.posix_only, pytest.mark.timeout(120)]
PATIENCE_S = 40.0


def served(home: Path, broker: str = "") -> str:
    """What `operando serve` says until it looks at its queue."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("OPERANDO_BROKER")}
    env |= {"OPERANDO_HOME": str(home), "PYTHONUNBUFFERED": "1"} | ({"OPERANDO_BROKER": broker} if broker else {})
    with subprocess.Popen([sys.executable, "-m", "orchestrator", "serve"], env=env, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        said = daemon.stdout.readline()
        said += daemon.stdout.readline() if not broker else ""
        daemon.send_signal(signal.SIGTERM)
        rest, _ = daemon.communicate(timeout=PATIENCE_S)
    assert daemon.returncode == 0
    return said + rest


async def test_it_is_started_and_outlives_the_daemon(tmp_path: Path) -> None:
    said = served(tmp_path)
    url = running(tmp_path)
    assert url is not None
    try:
        assert f"are shown on {url}, for this computer only; that broker goes on without us, until nobody has used it for 7 days" in said
        async with connected(Broker(url=url), "rig") as link:
            await link.publish(Out("operando/v1/a/status", b"online"))
        assert "are shown on" not in served(tmp_path, url)  # there is one
    finally:
        os.kill(int((tmp_path / STATE).read_text("utf-8").split('"process": "')[1].split(":")[0]), signal.SIGTERM)
    end = time.monotonic() + PATIENCE_S
    while running(tmp_path) is not None and time.monotonic() < end:
        time.sleep(0.05)
    assert running(tmp_path) is None


def test_none_is_started_where_somebody_says_that_nobody_watches(tmp_path: Path) -> None:
    assert "are shown on" not in served(tmp_path, "none")
    assert running(tmp_path) is None
