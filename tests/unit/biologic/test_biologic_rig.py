"""The example rig: it loads, and what the driver says from it alone is true of both doors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from drivers.base import Settings
from drivers.biologic.driver import BioLogic
from drivers.errors import Rejected
from drivers.registry import factory, names
from orchestrator.config import load_rig
from orchestrator.rig.planned import capabilities


def test_the_example_rig_is_planned_with_what_ec_lab_can_do(repository: Path) -> None:
    rig = load_rig(repository / "configs" / "rigs" / "biologic.yaml")
    found = capabilities(rig)["cycler"]
    assert (found.EIS, found.max_steps, found.autonomous, found.buffered) == (True, 1, True, False)  # type: ignore[union-attr]
    assert found.max_current_A == 0.1  # type: ignore[union-attr]


def test_the_dll_can_do_more() -> None:
    settings = Settings("cycler", "biologic", "USB0", options={"door": "dll", "package": "C:/p", "folder": "D:/o", "trigger_out": True})
    found = BioLogic.declared(settings)
    assert (found.EIS, found.ttl, found.buffered) == (True, True, True)
    emulated = BioLogic.declared(replace(settings, address="emulator:biologic", options={}))
    assert (emulated.EIS, emulated.ttl) == (True, True)
    assert not BioLogic.declared(Settings("biologic", "biologic", "")).ttl


def test_it_is_registered() -> None:
    assert "biologic" in names("potentiostats")
    assert factory("potentiostats", "biologic") is BioLogic


@pytest.mark.parametrize(
    "options", [{"door": "dll", "package": "C:/p", "folder": "D:/o"}, {"door": "eclab", "decimal": ".", "folder": "D:/o"}]
)
def test_a_real_channel_is_opened_only_when_the_rig_says_what_it_needs(options: dict[str, str]) -> None:
    assert BioLogic.declared(Settings("cycler", "biologic", "USB0", options=options)).max_steps == 1
    for missing in set(options) - {"door"}:
        rest = {name: value for name, value in options.items() if name != missing}
        with pytest.raises(Rejected, match=f"{missing} is missing"):
            BioLogic.declared(Settings("cycler", "biologic", "USB0", options=rest))


def test_who_asks_before_there_is_a_rig_is_told_the_first_doors_capabilities() -> None:
    assert not BioLogic.declared(Settings("biologic", "biologic", "")).ttl
