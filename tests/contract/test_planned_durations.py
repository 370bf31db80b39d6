"""How long `check` says that each kind of acquisition takes, against what the emulated consoles take, in virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML
from wire_taps import Silence

from drivers.base import Context, Filed, Settings
from drivers.clock import Clock
from drivers.registry import factory, make_console, make_emulator, memory_network, names
from drivers.testing.bench import listening
from drivers.transport.virtual import run_virtual
from orchestrator.config import parse_experiment, parse_rig
from orchestrator.model.kinds import KINDS, Kind
from orchestrator.plan import make_plan
from orchestrator.plan.orders import PlannedAcquisition
from orchestrator.runner.readiness import order_of

ROOT = r"D:\opnmr"
UNLOCK = {"tau_ms": [1, 60000], "TE_ms": [0.02, 1000], "pulse_us": [1, 40]}
AGENT = {"unlock": {"D 7": [0.001, 60.0], "D 6": [1e-5, 0.05], "P 1": [1.0, 40.0]}}
SINGLE = ("series_1p_7Li_metal",)
CANNOT = {"ge3d_1H", "mas_hahn", "mas_matpass"}
"""No console that is emulated runs them."""
DATASETS = {"sr_T1": "7Li_T1", "echo_T2": "7Li_T2"}
FEW_PER_CENT, ASKED_S = 0.02, 1.0
"""Of the planned time; and about so long is asked, now and then, whether it is over."""
SWEPT: Mapping[str, tuple[float, ...]] = {
    "TE_ms": (1, 2, 4, 8, 16, 32),
    "tau_ms": (10, 30, 100, 300, 1000, 3000),
    "pulse_us": (2, 4, 6, 8, 10, 12),
    "gradient_percent": (5, 10, 20, 40),
    "carrier_ppm": (-100, 0, 100),
    "mixing_ms": (1, 10, 100),
}
MENU: Mapping[str, tuple[float, ...]] = {"tau_ms": (10, 37.6, 141.4, 531.8, 2000), "TE_ms": (1, 3.76, 14.14, 53.2, 200)}
REPETITION_S = {"series_1p_7Li_metal": 2.0, "ir_T1": 7.0, "cpmg_T2": 4.0}
"""Of Spinsolve's own menus; the longest delay is part of the repetition."""


class Console(NamedTuple):
    """Options of the emulator, which is made as slow as its driver states, and of the driver; the kinds that are measured."""

    emulator: Mapping[str, Any]
    driver: Mapping[str, Any]
    kinds: tuple[str, ...]


CONSOLES: Mapping[str, Console] = {
    "sim": Console({}, {}, tuple(kind.name for kind in KINDS.values() if kind.sequence)),
    "topspin": Console({"agent_options": AGENT, "overhead_s": 2.7}, {"unlock": UNLOCK}, (*SINGLE, "sr_T1", "echo_T2")),
    "openvnmrj": Console({"overhead_s": 8}, {"unlock": UNLOCK}, (*SINGLE, "sr_T1", "echo_T2", "vocs_echo", "se2d_image")),
    "spinsolve": Console(
        {"shown_as": ROOT, "overhead_s": 4},
        {"data_root": ROOT, "path_map": {ROOT: "data"}, "least_acquisition_s": 0.02},
        (*SINGLE, "ir_T1", "cpmg_T2"),
    ),
    "marcos": Console({}, {"H1_MHz": 7.05 * 42.577478, "nyquist_zone": 2}, (*SINGLE, "hahn_echo", "echo_T2")),
}


def template_of(kind: Kind, vendor: str) -> dict[str, Any]:
    """A small one of this kind: its parameters by name."""
    if vendor == "spinsolve":
        return {"acquisition_time_s": 0.02}
    own: dict[str, Any] = {"points": 1024, "spectral_width_Hz": 96000, "carrier_ppm": 100, "pulse_us": 8, "tip_deg": 90}
    own |= {one.name: (one.low * one.high) ** 0.5 for one in kind.parameters if one.needed}
    if vendor == "topspin":
        own |= {"points": 4096 if kind.name in DATASETS else 6144, "spectral_width_Hz": 93458}
    own |= {"views": 8, "points": 64} if kind.parameter("views") else {}
    own |= {"TE_ms": 2.0} if kind.parameter("TE_ms") and "TE_ms" not in kind.swept else {}
    own |= {"evolution_us": [10, 20, 40]} if "evolution_us" in kind.swept else {}
    own |= {"echoes": 8, "echo_spacing_us": 100} if kind.sequence == "qcpmg" else {}
    return {name: value for name, value in own.items() if name not in SWEPT or name not in kind.swept}


def planned(kind: Kind, vendor: str, console: Any) -> PlannedAcquisition:
    """As `check` plans it for this very console."""
    values = MENU if vendor == "spinsolve" else SWEPT
    swept = {name: list(values[name]) for name in kind.swept if name in values}
    longest_s = max(swept.get("tau_ms", swept.get("TE_ms", [0.0]))) / 1e3
    recycle_s = REPETITION_S[kind.name] - 0.02 - longest_s if vendor == "spinsolve" else 1.0
    dataset = {"dataset": f"templates/{DATASETS.get(kind.name, '7Li_metal')}/1"} if vendor == "topspin" else {}
    template = {"nucleus": "7Li", "series": kind.name, **dataset, "parameters": template_of(kind, vendor)}
    rig = {"version": 1, "name": "bench", "instruments": {name: {"driver": "sim", "address": "memory"} for name in "pc"}}
    rig |= {"stations": {"s": {"potentiostat": "p", "console": "c"}}, "templates": {"one": template}}
    cell = {"id": "x", "type": "symmetric", "working": "upper Li", "counter": "lower Li", "area_cm2": 0.4, "electrode_normal_to_B0_deg": 0}
    limits = {"abs_E_V": 0.5, "abs_I_mA": 0.5, "charge_per_step_mAh": 1, "host_lost": "open circuit within 60 s"}
    scans = kind.phase_cycle * (1 if kind.phase_cycle > 1 else 4)
    asked = {"template": "one", "scans": scans, "dummies": 2 if console.capabilities.dummies else 0, "recycle_s": recycle_s, **swept}
    experiment = {"version": 1, "experiment": "all", "cell": cell, "limits": limits, "acquisitions": {"one": asked}}
    plan = make_plan(
        parse_experiment(text_of({**experiment, "protocol": ["Rest for 1 hour"]})),
        parse_rig(text_of(rig)),
        capabilities={"c": console.capabilities},
    )
    return plan.acquisitions["one"]


def text_of(value: Mapping[str, Any]) -> str:
    return "\n".join(f"{key}: {_flow(one)}" for key, one in value.items())


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(one)}" for key, one in value.items()) + "}"
    return "[" + ", ".join(map(_flow, value)) + "]" if isinstance(value, list) else str(value)


async def opened(stack: AsyncExitStack, vendor: str, clock: Clock, repository: Path, folder: Path) -> Any:
    """The driver, connected to its emulated console."""
    description = YAML(typ="safe").load(repository / "configs" / "twins" / "C1.yaml")
    twin, network = factory("twins", "twin")(description, seed=1, t0_mono_ns=clock.mono_ns()), memory_network()
    asked, address = CONSOLES[vendor], "memory"
    options: dict[str, Any] = {**asked.driver}
    if vendor == "sim":
        options["scratch"] = folder
    else:
        chosen = {"folder": str(folder), **asked.emulator}
        emulator = make_emulator(Settings("emulator", vendor, str(folder), options=chosen), Context(clock, network, Silence(), twin))
        address = (await emulator.start()).address
        stack.push_async_callback(emulator.stop)
    options |= {"data_root": str(folder / "scans")} if vendor == "marcos" else {}
    settings = Settings("console", vendor, address, options=options)
    console = make_console(settings, Context(clock, network, Silence(), twin))
    await console.connect()
    stack.push_async_callback(console.release)
    return console


async def took_s(console: Any, one: PlannedAcquisition, key: str, clock: Clock, log: Any) -> float:
    """From the order to the files of the last block."""
    before = clock.mono_ns()
    await console.prepare(order_of(one, key, 7200.0))
    for block in range(one.blocks):
        await console.start(key, block)
        await log.until(Filed, len(log.of(Filed)) + 1, within_s=7200.0)
    return (log.of(Filed)[-1].mono_ns - before) / 1e9


def test_the_table_is_about_every_console() -> None:
    assert set(CONSOLES) == set(names("consoles"))


@pytest.mark.parametrize("vendor", CONSOLES)
def test_a_console_takes_as_long_as_check_says(vendor: str, repository: Path, tmp_path: Path) -> None:
    compared: dict[str, tuple[float, float]] = {}

    async def main(clock: Clock) -> None:
        async with AsyncExitStack() as stack:
            console = await opened(stack, vendor, clock, repository, tmp_path)
            able = console.capabilities
            log = await stack.enter_async_context(listening(console.events(), clock))
            for n, kind in enumerate(KINDS[name] for name in CONSOLES[vendor].kinds):
                if kind.sequence in able.sequences:
                    one = planned(kind, vendor, console)
                    compared[kind.name] = (one.duration_s, await took_s(console, one, f"a{n:05}-one", clock, log))

    run_virtual(main)
    if vendor != "sim":  # what `check` knows without the console is what it then is
        settings = Settings("console", vendor, "somewhere:1", options=CONSOLES[vendor].driver)
        said: Any = factory("consoles", vendor)
        assert said.declared(settings).overhead_s == said.capabilities.overhead_s
    assert set(compared) == set(CONSOLES[vendor].kinds) - CANNOT
    for name, (said_s, took) in compared.items():
        assert took == pytest.approx(said_s, rel=FEW_PER_CENT, abs=ASKED_S), name
