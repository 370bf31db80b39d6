"""Instruments' sides and generated scripts before clients and parsers of other people: pymeasure, aurora-neware, PalmSens' own grammar.

Arbin's (pycti-arbin) has its place in ``unit/arbin_emulator``, aurora-unicycler's in ``unit/export`` and ``unit/neware``.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from potentiostat_stands import WIDE, cell
from wire_taps import Silence

from drivers.base import Context, EndConditions, ImpedanceOrder, Mode, Settings, StepOrder
from drivers.clock import Clock
from drivers.methodscript import script
from drivers.methodscript.models import MODELS
from drivers.neware import steps
from drivers.registry import make_emulator
from drivers.transport.real import RealNetwork

REST_V = 0.3
CC = StepOrder("cc", Mode.GALVANOSTATIC, EndConditions(60.0, 1.0, -1.0, 0.02), WIDE, current_A=4e-4)
REST = StepOrder("rest", Mode.REST, EndConditions(30.0), WIDE)
CV = StepOrder("cv", Mode.POTENTIOSTATIC, EndConditions(60.0, current_below_A=1e-5), WIDE, voltage_V=0.35)
EIS = StepOrder("eis", Mode.IMPEDANCE, EndConditions(600.0), WIDE, impedance=ImpedanceOrder(1e4, 0.1, 21, amplitude_A=1e-5))


@asynccontextmanager
async def instrument(repository: Path, name: str, **options: Any) -> AsyncIterator[tuple[Any, Any, Any]]:
    """Emulator, address and twin, on real sockets; its cell rests at 0.3 V."""
    clock = Clock(20.0)
    twin = cell(repository, clock, REST_V)
    emulator: Any = make_emulator(Settings(name, name, "", options=options), Context(clock, RealNetwork(), Silence(), twin))
    address = await emulator.start()
    try:
        yield emulator, address, twin
    finally:
        await emulator.stop()


# ---------------------------------------------------------------------------------------------------------------- Keithley


def sources_half_a_milliampere(visa: str) -> dict[str, Any]:
    """As pymeasure's own example does, with a cell at the leads."""
    from pymeasure.instruments.keithley import Keithley2450

    smu = Keithley2450(visa, visa_library="@py", read_termination="\n", write_termination="\n", timeout=10_000)
    found: dict[str, Any] = {"identity": smu.id}
    smu.apply_current(current_range=1e-3, compliance_voltage=2.0)
    smu.current_output_off_state = "HIMP"
    smu.voltage_output_off_state = "HIMP"
    smu.measure_voltage(nplc=1, voltage=2, auto_range=False)
    smu.source_current = 0.0
    smu.enable_source()
    found["rest_V"], found["on"] = smu.voltage, smu.source_enabled
    smu.source_current = 4e-4
    found["charging_V"] = smu.voltage
    smu.disable_source()
    found["off"], found["asked_A"], found["error"] = smu.source_enabled, smu.source_current, smu.next_error
    smu.adapter.close()
    return found


async def test_pymeasure_sources_and_measures(repository: Path) -> None:
    async with instrument(repository, "keithley2450", output_off="HIMP") as (_, address, twin):
        found = await asyncio.to_thread(sources_half_a_milliampere, address.visa)
        assert found["identity"].startswith("KEITHLEY INSTRUMENTS,MODEL 2450,")
        assert found["rest_V"] == pytest.approx(REST_V, abs=2e-3)
        assert found["charging_V"] > found["rest_V"] + 2e-3
        assert (bool(found["on"]), bool(found["off"]), found["asked_A"]) == (True, False, 4e-4)
        assert found["error"][0] == 0
        assert twin.charge_C() > 0


# ------------------------------------------------------------------------------------------------------------------ Neware


def runs_our_step_file(port: int, step_file: Path, backup: Path) -> list[Any]:
    """aurora-neware: connect, which channels, start, look, download, stop."""
    import time

    from aurora_neware import NewareAPI

    found: list[Any] = []
    with NewareAPI("127.0.0.1", port) as client:
        channel = next(iter(client.channel_map))
        found += [client.inquire(channel)[channel]["workstatus"]]
        found += [client.start(channel, "cell-7", str(step_file), save_location=str(backup))[0]["start"]]
        rows: dict[str, list[Any]] = {}
        for _ in range(100):
            time.sleep(0.05)
            working = client.inquire(channel)[channel]
            rows = client.download(channel, 0) if client.inquiredf(channel)[channel]["count"] > 3 else {}
            if rows:
                break
        found += [working["workstatus"], working["step_type"], working["barcode"], rows]
        found += [client.getchlstatus(channel)[channel]["status"], client.stop(channel)[0]["stop"]]
        found += [client.getchlstatus(channel)[channel]["status"]]
    return found


async def test_aurora_neware_runs_a_step_file_of_ours(repository: Path, tmp_path: Path) -> None:
    async with instrument(repository, "neware", folder=str(tmp_path)) as (_, address, twin):
        path = tmp_path / "ours.xml"
        plan = steps.plan_of(replace(CC, ends=EndConditions(3000.0)))
        path.write_text(steps.step_file(plan, steps.step_type(plan.order, None), stamp="2026-01-01 00:00:00", delay_s=1.0))
        before, started, working, kind, barcode, rows, busy, stopped, after = await asyncio.to_thread(
            runs_our_step_file, address.port, path, tmp_path
        )
        assert (before, started, working, kind, barcode) == ("finish", "ok", "working", "cc", "cell-7")
        assert rows["curr"] == pytest.approx([4e-4] * len(rows["curr"]), rel=1e-2)
        assert rows["volt"][-1] > REST_V
        assert rows["testtime"] == [1000 * n for n in range(len(rows["testtime"]))]
        assert (busy, stopped, after) == ("working", "ok", "stop")
        assert twin.charge_C() > 0


# ------------------------------------------------------------------------------------------------------------ MethodSCRIPT


@pytest.fixture(scope="module")
def grammar() -> Iterator[Callable[[str], None]]:
    """PalmSens' published grammar; the rest of that package wants .NET."""
    found = importlib.util.find_spec("pypalmsens")
    assert found is not None
    assert found.origin
    folder = Path(found.origin).parent / "_methodscript"
    spec = importlib.util.spec_from_file_location("palmsens_grammar", folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["palmsens_grammar"] = module
    spec.loader.exec_module(module)
    yield module.validate
    for name in [name for name in sys.modules if name.startswith("palmsens_grammar")]:
        del sys.modules[name]


@pytest.mark.parametrize("code", ["es4_hr", "nexus1"])
@pytest.mark.parametrize(
    "program",
    [(REST,), (CC,), (CV,), (EIS,), (replace(CC, ttl_out=True, ttl_in=True),), (REST, CC, CV)],
    ids=["rest", "cc", "cv", "eis", "lines", "three"],
)
def test_palmsens_grammar_accepts_every_script(grammar: Callable[[str], None], program: tuple[StepOrder, ...], code: str) -> None:
    text = script.write_program(program, MODELS[code])
    grammar(text.rstrip("\n") + "\n")


def test_palmsens_grammar_refuses_what_is_none(grammar: Callable[[str], None]) -> None:
    """Its control: a decimal number, and a verb that is none."""
    text = script.write_program((CC,), MODELS["es4_hr"]).rstrip("\n") + "\n"
    for wrong in (text.replace("meas_loop_cp", "meas_loop_cq", 1), text.replace("400u", "0.4m", 1)):
        assert wrong != text
        with pytest.raises(SyntaxError):
            grammar(wrong)
