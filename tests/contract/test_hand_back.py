"""What a console looks like after it was handed back, by the emulator's own truth."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from wire_taps import Silence

from drivers.base import AcquisitionOrder, Context, Filed, Settings
from drivers.clock import Clock
from drivers.registry import factory, make_console, make_emulator, memory_network
from drivers.transport.virtual import run_virtual

Work = Callable[[Any, Any, Clock], Awaitable[None]]


def order(key: str, **template: Any) -> AcquisitionOrder:
    known = {"nucleus": "23Na", "points": 2048, "spectral_width_Hz": 93458.0, "carrier_ppm": 100.0, **template}
    return AcquisitionOrder(key=key, name="one", nucleus="23Na", template=known, scans=4, dummies=1, recycle_s=0.5)


def with_console(driver: str, repository: Path, tmp_path: Path, work: Work) -> None:
    description = YAML(typ="safe").load(repository / "configs" / "twins" / "C1.yaml")

    async def main(clock: Clock) -> None:
        twin = factory("twins", "twin")(description, seed=1, t0_mono_ns=clock.mono_ns())
        network = memory_network()
        emulator = make_emulator(Settings("emulator", driver, str(tmp_path)), Context(clock, network, Silence(), twin))
        address = (await emulator.start()).address
        console = make_console(Settings("console", driver, address), Context(clock, network, Silence()))
        try:
            await console.connect()
            await work(console, emulator, clock)
        finally:
            await console.release()
            await emulator.stop()

    run_virtual(main)


async def measured(console: Any, wanted: AcquisitionOrder) -> None:
    await console.prepare(wanted)
    await console.start(wanted.key)
    async for event in console.events():
        if isinstance(event, Filed):
            return


def test_vnmrj_has_its_nucleus_and_its_parameters_again_and_nothing_armed(repository: Path, tmp_path: Path) -> None:
    async def work(console: Any, emulator: Any, _: Clock) -> None:
        names = ("tn", "sw", "np", "nt", "ss", "d1", "tof", "pw", "tpwr", "seqfil")
        before = {name: emulator.parameters[name] for name in names}
        assert before["tn"] == "Li7"
        await measured(console, order("one"))
        assert emulator.parameters["tn"] == "Na23"
        left = await console.hand_back()
        assert {name: emulator.parameters[name] for name in names} == before
        assert (emulator.parameters["wexp"], emulator.parameters["werr"]) == ("", "")
        assert left == ("the workspace shows our last FID: load your own with `rt`",)

    with_console("openvnmrj", repository, tmp_path, work)


def test_topspin_shows_the_persons_data_set_again(repository: Path, tmp_path: Path) -> None:
    async def work(console: Any, emulator: Any, _: Clock) -> None:
        before = emulator.topspin.current
        await measured(console, order("one", dataset="templates/23Na_0ppm/1"))
        assert emulator.topspin.current != before
        assert await console.hand_back() == ()
        assert emulator.topspin.current == before
        assert await console.hand_back() == ()

    with_console("topspin", repository, tmp_path, work)


def test_topspin_leaves_what_a_person_has_chosen_since(repository: Path, tmp_path: Path) -> None:
    async def work(console: Any, emulator: Any, _: Clock) -> None:
        before = emulator.topspin.current
        await measured(console, order("one", dataset="templates/23Na_0ppm/1"))
        chosen = emulator.topspin.foreign("another", "guest")
        emulator.topspin.current = chosen
        assert before != chosen
        await console.hand_back()
        assert emulator.topspin.current == chosen

    with_console("topspin", repository, tmp_path, work)


def test_spinsolve_holds_nothing_of_ours_but_its_folder(repository: Path, tmp_path: Path) -> None:
    async def work(console: Any, emulator: Any, _: Clock) -> None:
        (left,) = await console.hand_back()
        assert "its data folder is ours" in left
        assert not any(emulator.snapshot().get("user_data", {}).values())

    with_console("spinsolve", repository, tmp_path, work)
