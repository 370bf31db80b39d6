"""docker-compose.yml and what stands behind it: what a schema would say, and that every name in it is one of ours."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from orchestrator.cli.app import run as operando
from orchestrator.monitor import described
from orchestrator.monitor.discovery import discovery
from orchestrator.monitor.topics import ROOT, TREE, Topics

KEYS = {
    "init", "user", "read_only", "cap_drop", "security_opt", "environment", "logging", "image", "build", "command", "restart",
    "tmpfs", "volumes", "depends_on", "ports", "healthcheck", "stop_grace_period", "secrets", "profiles",
}  # fmt: skip


DURATION = re.compile(r"[1-9]\d*s")


def docker_compose() -> bool:
    """Is it here?"""
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return YAML(typ="safe").load((Path(__file__).parents[3] / "docker-compose.yml").read_text("utf-8"))


def test_the_file_is_of_keys_that_compose_knows(compose: dict[str, Any]) -> None:
    assert {key for key in compose if not key.startswith("x-")} == {"name", "services", "secrets"}
    for name, service in compose["services"].items():
        assert service.keys() <= KEYS, name
        assert set(service.get("depends_on", ())) <= compose["services"].keys()
        assert set(service.get("secrets", ())) <= compose["secrets"].keys()


def test_every_service_is_modest(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert re.search(r":\d+\.\d+\.\d+$", service["image"]), f"{name}: a full version"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["user"].startswith("${OPERANDO_UID:-1000}")
        assert service["logging"]["options"]["max-size"]
        assert all(port.startswith(("${OPERANDO_BIND:-127.0.0.1}:", "127.0.0.1:")) for port in service.get("ports", ()))
        assert service["restart"] == ("no" if name in {"init", "rig"} else "unless-stopped")
    assert compose["services"]["rig"]["stop_grace_period"] == "120s"


def test_what_goes_on_running_tells_its_health_and_may_take_its_time_to_end(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name == "init":
            continue
        assert DURATION.fullmatch(service["stop_grace_period"]), name
        check = service["healthcheck"]
        assert check["test"][0] in {"CMD", "CMD-SHELL"}, name
        assert all(
            DURATION.fullmatch(check[key]) for key in ("interval", "timeout", *(("start_period",) if "start_period" in check else ()))
        )
        assert check["retries"] > 0
        assert check.keys() <= {"test", "interval", "timeout", "retries", "start_period"}, name


if docker_compose():  # no skip where it is not: the file is held to its schema by the other tests

    def test_docker_compose_itself_takes_the_file(repository: Path) -> None:
        command = ("docker", "compose", "--profile", "tls", "--profile", "grafana", "config", "--quiet")
        done = subprocess.run(command, capture_output=True, text=True, cwd=repository, timeout=60, check=False)
        assert done.returncode == 0, done.stderr


def test_every_profile_is_whole(compose: dict[str, Any]) -> None:
    """A service waits for none that its profile does not start."""
    services = compose["services"]
    assert {name for name, one in services.items() if not one.get("profiles")} == {"init", "broker", "rig", "dashboard"}
    for name, service in services.items():
        for other in service.get("depends_on", {}):
            assert set(services[other].get("profiles", ())) <= set(service.get("profiles", ())), name
    assert {name for name, one in services.items() if one.get("profiles") == ["grafana"]} == {"telegraf", "influxdb", "grafana"}


def test_the_brokers_state_lies_where_it_outlives_the_container(compose: dict[str, Any], repository: Path) -> None:
    text = (repository / "configs" / "mosquitto" / "mosquitto.conf").read_text("utf-8")
    (place,) = re.findall(r"^persistence_location (\S+)$", text, re.MULTILINE)
    assert any(volume.endswith(f":{place.rstrip('/')}") for volume in compose["services"]["broker"]["volumes"])
    for line in ("persistence true", "autosave_on_changes true", "autosave_interval 1", "set_tcp_nodelay true", "allow_anonymous false"):
        assert line in text.splitlines()


def test_who_waits_for_health_waits_for_somebody_who_tells_it(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for service in services.values():
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] == "service_completed_successfully" or "healthcheck" in services[other]


def test_every_file_that_is_mounted_is_there_or_is_written_by_init(compose: dict[str, Any], repository: Path, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    assert operando(["init", str(secrets), "--rig", "sim"]) == 0
    for secret in compose["secrets"].values():
        assert (secrets / secret["file"].removeprefix("./secrets/")).is_file(), secret
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./configs/"):
                assert (repository / source).exists(), source


def test_the_commands_of_our_services_are_ours(compose: dict[str, Any], repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("init", "rig", "dashboard", "dashboard-tls"):
        command = compose["services"][name]["command"]
        options = [word.partition("=")[0] for word in command if word.startswith("--")]
        operando([*itertools.takewhile(str.isalpha, command), "--help"])
        text = capsys.readouterr().out
        assert all(option in text for option in options)
        for word in command:
            if word.startswith("/configs/"):
                assert (repository / word[1:]).is_file()


def test_what_is_served_to_the_laboratory_is_encrypted(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        opened = [port for port in service.get("ports", ()) if port.startswith("${OPERANDO_BIND")]
        encrypted = name == "broker" or any(word.startswith("--certificate=") for word in service.get("command", ()))
        assert not opened or encrypted or name == "grafana", name


def numbers(schema: str) -> set[str]:
    return described.schemas()[f"{schema}.json"]["properties"].keys()


def test_every_name_that_telegraf_has_is_in_our_schemas(repository: Path) -> None:
    (consumer,) = tomllib.loads((repository / "configs" / "telegraf" / "telegraf.conf").read_text("utf-8"))["inputs"]["mqtt_consumer"]
    known = {f"{ROOT}/+/{re.sub('<[^>]*>', '+', one.pattern)}": one.model.lower() for one in TREE if one.model}
    models = [known[topic] for topic in consumer["topics"]]
    everything = set().union(*(numbers(model) for model in models))
    assert {*consumer["tag_keys"], *consumer["json_string_fields"]} <= everything
    assert all(consumer["json_time_key"] in numbers(model) for model in models)
    assert {parsing["topic"].count("/") for parsing in consumer["topic_parsing"]} == {topic.count("/") for topic in consumer["topics"]}


def test_every_field_that_grafana_draws_is_in_our_schemas(repository: Path) -> None:
    dashboard = json.loads((repository / "configs" / "grafana" / "dashboards" / "rigs.json").read_text("utf-8"))
    schemas = {"ec": "sample", "state": "state", "spectrum": "spectrum", "observable": "observable", "sensor": "sensorvalue"}
    for panel in dashboard["panels"]:
        query = panel["targets"][0]["query"]
        (measurement,) = re.findall(r'r\._measurement == "(\w+)"', query)
        fields = re.findall(r'r\._field == "(\w+)"', query)
        assert fields
        assert set(fields) <= numbers(schemas[measurement]), panel["title"]


def test_what_home_assistant_is_told_is_in_our_schemas_and_below_our_topics() -> None:
    out = discovery(Topics("magnet-2"), "Magnet 2")
    told = json.loads(out.payload)
    assert out.topic == "homeassistant/device/operando-magnet-2/config"
    assert out.retained
    assert set(re.findall(r"value_json\.(\w+)", out.payload.decode())) <= numbers("state")
    assert {one["state_topic"] for one in told["components"].values()} == {Topics("magnet-2").state}
    assert len({one["unique_id"] for one in told["components"].values()}) == len(told["components"])
    assert told["availability_topic"] == Topics("magnet-2").status
