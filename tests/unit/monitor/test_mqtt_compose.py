"""docker-compose.yml and what stands behind it: what a schema would say, and that every name in it is one of ours."""

from __future__ import annotations

import itertools
import json
import re
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
