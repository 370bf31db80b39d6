"""What a rig says of a channel, what a step may ask of it, and the notebook by which a step is known again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.base import EndConditions, Limits, Mode, Settings, StepOrder
from drivers.durable import write_durably
from drivers.errors import Rejected
from drivers.neware.driver import Neware
from drivers.neware.models import Options, capabilities_of, check, choose, where
from drivers.neware.steps import barcode_of
from drivers.neware.wire import Address
from drivers.registry import factory
from drivers.stream import notebook
from orchestrator.config import load_rig
from orchestrator.rig.planned import capabilities

LIMITS = Limits(voltage_upper_V=4.4, voltage_lower_V=2.3, current_A=1e-3, charge_C=18.0, time_s=50_000.0)
ORDER = StepOrder("s0001-c01-charge", Mode.GALVANOSTATIC, EndConditions(60.0, 4.2), LIMITS, current_A=5e-4)
CHANNELS = tuple(Address("127.0.0.1", "27", "21", sub, number) for sub, number in (("1", "1"), ("1", "2"), ("2", "2")))


def test_the_example_rig_is_planned_with_what_a_cycler_can_do(repository: Path) -> None:
    found = capabilities(load_rig(repository / "configs" / "rigs" / "emulated-neware.yaml"))["potentiostat"]
    assert (found.EIS, found.CV, found.max_steps, found.autonomous) == (False, True, 1, True)  # type: ignore[union-attr]
    assert factory("potentiostats", "neware") is Neware


def test_a_real_one_needs_a_folder_that_its_computer_sees() -> None:
    with pytest.raises(Rejected, match="folder is missing"):
        Neware.declared(Settings("cycler", "neware", "192.168.1.20"))
    assert Neware.declared(Settings("cycler", "neware", "192.168.1.20", options={"folder": "/mnt/steps"})).CC
    assert Neware.declared(Settings("cycler", "neware", "192.168.1.20:502/mnt/steps")).CC
    assert Neware.declared(Settings("neware", "neware", "")).CC


@pytest.mark.parametrize(
    "options",
    [{"folders": "a"}, {"folder": 1}, {"max_current_A": "1"}, {"protect_delay_s": -1}, {"min_voltage_V": 6}, {"max_voltage_V": True}],
)
def test_options_that_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        Options.of(Settings("cycler", "neware", "", options=options))


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("pc", ("pc", 502, "")),
        ("192.168.1.20:5020", ("192.168.1.20", 5020, "")),
        ("127.0.0.1:49152/tmp/share", ("127.0.0.1", 49152, "/tmp/share")),
    ],
)
def test_addresses(address: str, found: tuple[str, int, str]) -> None:
    assert where(address, "cycler") == found
    for wrong in ("", ":502", "pc:", "pc:x", "pc:70000"):
        with pytest.raises(Rejected):
            where(wrong, "cycler")


def test_a_channel_is_named_whole_or_by_a_number_that_only_one_has() -> None:
    assert choose(CHANNELS, "21-1-2") == CHANNELS[1]
    assert choose(CHANNELS, "1") == CHANNELS[0]
    assert choose(CHANNELS[:1], "") == CHANNELS[0]
    assert [choose(CHANNELS, wanted) for wanted in ("2", "", "21-1-9", "9")] == [None] * 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "a b"},
        {"key": "../x"},
        {"mode": Mode.IMPEDANCE},
        {"mode": Mode.POTENTIOSTATIC},
        {"sample_interval_s": 0.01},
        {"current_A": 2e-3},
        {"current_A": None},
        {"ends": EndConditions(float("nan"))},
        {"ends": EndConditions(60.0, 9.0)},
        {"ends": EndConditions(60.0, charge_C=0.0)},
        {"limits": replace(LIMITS, voltage_lower_V=5.0)},
        {"limits": replace(LIMITS, current_A=1.0)},
    ],
)
def test_what_a_channel_cannot_do_is_refused(wrong: dict[str, Any]) -> None:
    able = capabilities_of(Options())
    assert check((ORDER,), able) is ORDER
    with pytest.raises(Rejected):
        check((replace(ORDER, **wrong),), able)
    with pytest.raises(Rejected):
        check((ORDER, ORDER), able)


def test_a_step_is_known_again_by_barcode_channel_and_time(tmp_path: Path) -> None:
    barcode = barcode_of(ORDER.key)
    assert barcode == "op.s0001-c01-charge"
    assert barcode_of("a:b") == "op.a_b"
    entry, path = notebook.Entry("21-1-1", 1_000_000_000_000, ORDER), tmp_path / "deep" / f"{barcode}.json"
    write_durably(path, notebook.to_text(entry))
    assert notebook.read(path) == entry
    assert notebook.from_text(notebook.to_text(entry).replace("1000000000000", "1e999")) is None
    assert entry.fits("21-1-1", 100.0, 1_100_000_000_000)
    assert not entry.fits("21-1-2", 100.0, 1_100_000_000_000)
    assert not entry.fits("21-1-1", 50.0, 1_100_000_000_000)
    assert not entry.fits("21-1-1", None, 1_100_000_000_000)
    assert notebook.read(tmp_path / "none.json") is None
    path.write_text("{}", encoding="utf-8")
    assert notebook.read(path) is None
