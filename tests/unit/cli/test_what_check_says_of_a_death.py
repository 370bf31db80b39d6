"""``check``: what an instrument does by itself when this program dies, that it has no fence, and which numbers nobody has a source for."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.base import WATCHED, Capabilities
from orchestrator.cli.check import check_command
from orchestrator.model.rig import IN_MEMORY
from orchestrator.rig.planned import by_itself

SAYS = {
    "emulated-zahner": "(zahner) ends nothing by itself",
    "emulated-biologic": "(biologic) goes on with its step to those of its ends and limits that it keeps itself (current, time, voltage)",
    "sim": "(methodscript) says what it does by itself once it is connected",
}


@pytest.mark.parametrize("rig", SAYS)
def test_check_says_what_the_instrument_does_when_its_host_dies(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rig: str
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    code = check_command(repository / "configs/experiments/demo.yaml", repository / f"configs/rigs/{rig}.yaml", as_json=False)
    said = capsys.readouterr().out
    assert code == 0, said
    assert f"when this program dies: potentiostat {SAYS[rig]}" in said
    assert "host lost: open circuit within 60 s" in said
    assert "no hardware fence: if potentiostat" in said
    assert "jumps by 0.5 V* within 2 s* at an unchanged current" in said
    assert "* inferred: no source gives this number" in said
    assert "wall clock and monotonic clock part by more than 1 s between" in said, "that one has a source"


def test_what_an_instrument_does_by_itself() -> None:
    assert by_itself(Capabilities(autonomous=True), IN_MEMORY).endswith("ends with it")
    assert by_itself(Capabilities(autonomous=True), "x").endswith("keeps itself (none)")
    assert by_itself(Capabilities(watchdog=True), "x") == "opens the circuit by a watchdog of its own"
    assert by_itself(Capabilities(commands=frozenset(), rung=WATCHED), "x") == "goes on as its own software says"
