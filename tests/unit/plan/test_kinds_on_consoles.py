"""Every kind of acquisition on every console: planned with its duration and mapped by the driver, or a clear word why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from drivers.base import SEQUENCES, AcquisitionOrder, ConsoleCapabilities, Settings, waits_s
from drivers.marcos import program as marcos
from drivers.openvnmrj import parameters as openvnmrj
from drivers.registry import factory, names
from drivers.sim import console as simulated
from drivers.spinsolve import protocols as spinsolve
from drivers.spinsolve.wire import Option
from drivers.topspin import parameters as topspin
from orchestrator.config import parse_experiment, parse_rig
from orchestrator.model.kinds import KINDS, Kind
from orchestrator.plan import PlanError, make_plan
from orchestrator.runner.readiness import order_of

UNLOCK = {"pulse_us": [1, 40], "tau_ms": [1, 60000], "TE_ms": [0.02, 1000]}
POINTS = 65536
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "topspin": {"unlock": UNLOCK},
    "openvnmrj": {"unlock": UNLOCK},
    "marcos": {"H1_MHz": 100.0},
}
SWEPT = {
    "TE_ms": "[1, 2, 4]",
    "tau_ms": "[10, 100, 1000]",
    "pulse_us": "[2, 4, 8]",
    "gradient_percent": "[5, 10, 20]",
    "carrier_ppm": "[-100, 0, 100]",
    "mixing_ms": "[1, 10, 100]",
}
SINGLE = {kind.name for kind in KINDS.values() if kind.sequence == "one_pulse"}
RELAXING = {"sr_T1", "ir_T1", "echo_T2", "nutation", "hahn_echo", "vocs_echo"}
RUNS: Mapping[str, set[str]] = {
    "sim": {kind.name for kind in KINDS.values() if kind.sequence} - {"ge3d_1H", "mas_hahn", "mas_matpass"},
    "openvnmrj": SINGLE | RELAXING | {"cpmg_T2", "se2d_image", "se2d_T2map", "ge2d_image"},
    "topspin": SINGLE | RELAXING | {"qcpmg"},
    "spinsolve": SINGLE | {"ir_T1", "cpmg_T2"},
    "marcos": SINGLE | {"hahn_echo", "echo_T2"},
}
COMMON = ("Number", "RepetitionTime", "AcquisitionTime")
OWN = {
    "one_pulse": ("PulseAngle",),
    "inversion_recovery": ("MaximumInversionTime", "NumberOfSteps"),
    "cpmg": ("EchoTime", "MaximumEchoTime", "NumberOfSteps"),
}
MENUS = {sequence: tuple(Option(name, "", ()) for name in (*COMMON, *more)) for sequence, more in OWN.items()}


def of_spinsolve(order: AcquisitionOrder) -> Any:
    """Its T1 and T2 choose the delays: here as its screen shows them."""
    shown = {} if order.rows is None else {"shown": {"delays_ms": list(order.rows.values)}}
    return spinsolve.fit(replace(order, template={**order.template, **shown}), order.sequence, MENUS)


MAPPED: Mapping[str, Callable[[AcquisitionOrder], Any]] = {
    "openvnmrj": lambda order: openvnmrj.setup_of(order, UNLOCK),
    "topspin": lambda order: topspin.setup_of(order, UNLOCK, {}),
    "spinsolve": of_spinsolve,
    "marcos": lambda order: [list(marcos.runs_of(marcos.setup_of(order, marcos.Site(100.0)), k)) for k in range(order.blocks)],
}


def capabilities(console: str) -> ConsoleCapabilities:
    if console == "sim":
        return ConsoleCapabilities(overhead_s=2.8, sequences=simulated.RUNS, lacks=simulated.LACKS)
    made: Any = factory("consoles", console)
    settings = Settings("c", console, "somewhere:1", options=OPTIONS.get(console, {}))
    found: ConsoleCapabilities = made.declared(settings) if hasattr(made, "declared") else made.capabilities
    return found


def nucleus(kind: Kind) -> str:
    return kind.nuclei[0] if kind.nuclei else "7Li"


def written(kind: Kind, **changes: Any) -> tuple[str, str]:
    """A rig with one template of this kind, and an acquisition of it."""
    own = {"points": POINTS, "spectral_width_Hz": 100000, "pulse_us": 8}
    own |= {one.name: (one.low * one.high) ** 0.5 if one.low > 0 else one.high / 2 for one in kind.parameters if one.needed}
    own |= {"views": 8} if kind.parameter("views") else {}
    own |= {"TE_ms": 2.0} if kind.parameter("TE_ms") and "TE_ms" not in kind.swept else {}
    own |= {"tip_deg": 90} | ({"evolution_us": "[10, 20, 40]"} if "evolution_us" in kind.swept else {})
    parameters = ", ".join(
        f"{name}: {value}"
        for name, value in {**own, **changes}.items()
        if value is not None and (name not in kind.swept or name not in SWEPT)
    )
    rig = f"""
version: 1
name: bench
instruments: {{p: {{driver: sim, address: memory}}, c: {{driver: sim, address: memory}}}}
stations: {{s: {{potentiostat: p, console: c}}}}
templates: {{one: {{nucleus: {nucleus(kind)}, series: {kind.name}, dataset: /t/1, parameters: {{{parameters}}}}}}}
"""
    swept = ", ".join(f"{name}: {SWEPT[name]}" for name in kind.swept if name in SWEPT)
    cycle = kind.phase_cycle
    scans, recycle = changes.get("scans", 2 * cycle), changes.get("recycle_s", 5)
    return rig, f"{{template: one, scans: {scans}, dummies: 2, recycle_s: {recycle}{', ' + swept if swept else ''}}}"


def plan(kind: Kind, console: ConsoleCapabilities, **changes: Any) -> Any:
    rig, acquisition = written(kind, **changes)
    head = """
version: 1
experiment: all
cell: {id: x, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0}
limits: {abs_E_V: 0.5, abs_I_mA: 0.5, charge_per_step_mAh: 1, host_lost: open circuit within 60 s}
protocol: [Rest for 1 hour]
acquisitions:
"""
    return make_plan(parse_experiment(f"{head}  one: {acquisition}\n"), parse_rig(rig), capabilities={"c": console})  # type: ignore[arg-type]


def refused(kind: Kind, console: ConsoleCapabilities, **changes: Any) -> str:
    with pytest.raises(PlanError) as caught:
        plan(kind, console, **changes)
    return "\n".join(f"{problem.message}; {problem.hint}" for problem in caught.value.problems)


def test_the_table_is_about_every_console_that_can_be_asked() -> None:
    assert set(RUNS) == set(names("consoles"))


EVERYTHING = ConsoleCapabilities(overhead_s=2.8, sequences=frozenset(SEQUENCES))


@pytest.mark.parametrize("console", RUNS)
def test_every_kind_is_planned_and_mapped_or_refused_with_a_reason(console: str) -> None:
    able = capabilities(console)
    for kind in KINDS.values():
        if not kind.sequence:
            assert kind.written_as in refused(kind, able), kind.name
        elif kind.name in RUNS[console]:
            order = order_of(plan(kind, able).acquisitions["one"], "a00001-one", 3600.0)
            assert order.sequence == kind.sequence
            if console in MAPPED:
                assert MAPPED[console](order), kind.name
        else:
            words = refused(kind, able)
            assert "this console cannot" in words, f"{console}, {kind.name}: {words}"
            reason = next(line for line in words.splitlines() if "this console cannot" in line).partition(";")[2]
            assert len(reason.split()) >= 3, f"{console}, {kind.name} gives no reason: {words}"


def test_every_duration_is_scans_times_what_a_scan_lasts() -> None:
    for kind in KINDS.values():
        if not kind.sequence:
            continue
        one = plan(kind, EVERYTHING).acquisitions["one"]
        per_row = [
            {**one.template, **({one.rows.name: value} if one.rows is not None else {})}
            for value in (one.rows.values if one.rows is not None else (None,))
        ]
        blocks = one.per_block.values if one.per_block is not None else (None,)
        waits = sum(
            waits_s(kind.sequence, {**row, **({one.per_block.name: value} if one.per_block is not None else {})})
            for value in blocks
            for row in per_row
        )
        scans = one.scans + one.dummies
        expected_s = scans * (len(blocks) * len(per_row) * (5 + POINTS / 100000) + waits) + len(blocks) * EVERYTHING.overhead_s
        assert one.duration_s == pytest.approx(expected_s, rel=1e-6), kind.name


def test_every_limit_of_every_kind_bites() -> None:
    for kind in KINDS.values():
        if not kind.sequence:
            continue
        said = refused(kind, EVERYTHING, recycle_s=min(1e-5, kind.least_recycle_s / 2), pulse_us=101, power_W=1999, points=32)
        assert "needs at least" in said, kind.name
        if "pulse_us" not in kind.swept:
            assert "J is the most" in said, kind.name
            assert "cannot be for a" in said, kind.name
            assert SEQUENCES[kind.sequence] or "under RF" in said, kind.name
        if kind.phase_cycle > 1:
            nearest = f"use {2 * kind.phase_cycle} or {3 * kind.phase_cycle}"
            assert nearest in refused(kind, EVERYTHING, scans=2 * kind.phase_cycle + 1), kind.name
        for one in kind.parameters:
            if one.needed:
                assert one.name in refused(kind, EVERYTHING, **{one.name: None}), kind.name
