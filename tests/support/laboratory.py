"""The laboratory's broker as `operando init` and configs/mosquitto make it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mosquitto import Mosquitto, free_port

from orchestrator.cli.app import run as operando
from orchestrator.model.broker import Broker


@dataclass
class Laboratory:
    port: int
    secrets: Path
    mosquitto: Mosquitto

    def as_user(self, user: str) -> Broker:
        files = {"password_file": str(self.secrets / f"{user}.password"), "ca": str(self.secrets / "ca.crt")}
        return Broker(url=f"mqtts://127.0.0.1:{self.port}", user=user, **files)


def start_laboratory(folder: Path, repository: Path, rig: str) -> Laboratory:
    """The very configuration of compose, with its folders put elsewhere."""
    secrets, port = folder / "secrets", free_port()
    assert operando(["init", str(secrets), "--rig", rig, "--operator", "alice", "--viewer", "bob"]) == 0
    text = (repository / "configs" / "mosquitto" / "mosquitto.conf").read_text("utf-8")
    text = (
        text.replace("/mosquitto/secrets", str(secrets))
        .replace("/mosquitto/data/", f"{folder}/")
        .replace("listener 8883", f"listener {port}")
    )
    return Laboratory(port, secrets, Mosquitto(folder, ["user root", *text.splitlines()], port).start())
