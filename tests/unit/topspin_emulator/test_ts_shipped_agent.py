"""The shipped agent inside the emulated TopSpin, driven line by line: nobody's driver in between."""

from __future__ import annotations

import json
from typing import Any

import nmrglue
import pytest

from drivers.errors import NotReachable
from drivers.topspin.emulator import AGENT, AU_GO
from drivers.transport.memory import MemoryNetwork
from drivers.transport.virtual import run_virtual

ORCHESTRATOR = 47011


class Lines:
    """One connection in tsbridge/1: requests by number, events beside them."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.kept, self.number, self.events = stream, b"", 0, []

    async def next(self) -> dict[str, Any]:
        while b"\n" not in self.kept:
            data = await self.stream.read()
            if not data:
                raise NotReachable("the agent has gone")
            self.kept += data
        line, _, self.kept = self.kept.partition(b"\n")
        return dict(json.loads(line))

    async def ask(self, op: str, **words: Any) -> dict[str, Any]:
        self.number += 1
        await self.stream.write((json.dumps({"v": 1, "id": self.number, "op": op, **words}) + "\n").encode())
        while (line := await self.next()).get("id") != self.number:
            self.events.append(line)
        return line

    async def event(self, name: str) -> dict[str, Any]:
        while (line := await self.next()).get("ev") != name:
            self.events.append(line)
        return line


async def hello(stream: Any) -> tuple[Lines, dict[str, Any]]:
    lines = Lines(stream)
    assert (await lines.next())["ev"] == "challenge"
    return lines, (await lines.ask("hello", nonce="00", client="test"))["r"]


def order(here: Any, expno: int) -> dict[str, Any]:
    template = here.emulator.topspin.template("7Li_metal").path
    return {
        "template": str(template),
        "target": str(here.path(expno)),
        "par": {"NS": "8", "D 1": "0.5"},
        "title": "step",
        "key": f"step-{expno}",
        "nucleus": "7Li",
        "block": 0,
    }


def test_prepare_start_done(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, agent=str(AGENT)) as here:
            lines, greeting = await hello(await here.network.connect("127.0.0.1", here.emulator.port))
            assert (greeting["user"], greeting["host"], greeting["root"]) == ("nmr", "av300", str(here.root))
            prepared = await lines.ask("prepare", **order(here, 5))
            assert prepared["ok"], prepared
            started = await lines.ask("start", key="step-5", block=0, target=str(here.path(5)))
            assert started["ok"], started
            done = await lines.event("done")
            assert done["audit_md5_ok"] is True
            parameters, data = nmrglue.bruker.read(str(here.path(5)))
            assert (parameters["acqus"]["NS"], data.shape) == (8, (6144,))
            assert "step-5" in (here.path(5) / "pdata/1/title").read_text()

    run_virtual(main)


@pytest.mark.parametrize(
    ("fault", "when", "event", "code"),
    [
        ({"compile_error": {}}, "start", "failed", "no_raw_data"),  # 6
        ({"user_moves": {"at": "zg"}}, "start", "failed", "no_raw_data"),  # 1: somebody clicks between RE and zg
        ({"foreign_acquisition": {}}, "start", "failed", "no_raw_data"),
        ({"acquisition_error": {}}, "start", "failed", "no_raw_data"),
        ({"audit_broken": {}}, "start", "failed", "no_raw_data"),
        ({"disk_full": {}}, "start", "failed", "no_raw_data"),
        ({"template_2D": {}}, "prepare", "", ""),  # 12
        ({"locked_by_user": {}}, "prepare", "", ""),
    ],
)
def test_the_agent_never_takes_a_failure_for_data(desk: Any, fault: dict[str, Any], when: str, event: str, code: str) -> None:
    """Whatever befalls TopSpin, what the agent calls done has been measured where it was ordered."""

    async def main(clock: Any) -> None:
        async with desk(clock, agent=str(AGENT)) as here:
            lines, _ = await hello(await here.network.connect("127.0.0.1", here.emulator.port))
            if when == "prepare":
                here.emulator.inject(*fault)
                assert not (await lines.ask("prepare", **order(here, 5)))["ok"]
                return
            assert (await lines.ask("prepare", **order(here, 5)))["ok"]
            for name, parameters in fault.items():
                here.emulator.inject(name, **parameters)
            await lines.ask("start", key="step-5", block=0, target=str(here.path(5)))
            failed = await lines.event(event)
            assert failed["code"] == code
            assert not any(line.get("ev") == "done" for line in lines.events)

    run_virtual(main)


def test_a_parameter_that_is_lost_is_noticed(desk: Any) -> None:
    """5: every PUTPAR is lost without a word; reading back shows it."""

    async def main(clock: Any) -> None:
        async with desk(clock, agent=str(AGENT)) as here:
            lines, _ = await hello(await here.network.connect("127.0.0.1", here.emulator.port))
            here.emulator.topspin.lost.add(str(here.path(5)))
            refused = await lines.ask("prepare", **order(here, 5))
            assert refused["ok"] is False
            assert refused["e"]["code"] == "par_rejected"

    run_virtual(main)


def test_a_dialog_is_named(desk: Any) -> None:
    """11: nothing returns; whoever asks is told so and need not wait for ever."""

    async def main(clock: Any) -> None:
        async with desk(clock, agent=str(AGENT)) as here:
            lines, _ = await hello(await here.network.connect("127.0.0.1", here.emulator.port))
            here.emulator.inject("dialog")
            refused = await lines.ask("prepare", **order(here, 5))
            assert refused["e"]["code"] == "dialog_suspected"
            assert (await lines.ask("ping"))["ok"]

    run_virtual(main)


def test_the_deadline_ends_a_trigger_that_never_comes(desk: Any) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, agent=str(AGENT), faults=["trigger_missed"]) as here:
            lines, _ = await hello(await here.network.connect("127.0.0.1", here.emulator.port))
            assert (await lines.ask("prepare", **order(here, 5)))["ok"]
            await lines.ask("start", key="step-5", block=0, target=str(here.path(5)), deadline_s=120)
            await lines.event("failed")
            assert 115 < clock.mono_ns() / 1e9 < 200
            assert here.emulator.topspin.server.active is None

    run_virtual(main)


@pytest.mark.parametrize("spectra", [3])
def test_the_pull_variant_asks_before_every_acquisition(desk: Any, spectra: int) -> None:
    """No port in TopSpin: the AU program's loop calls the script, which asks us; then it acquires."""

    async def main(clock: Any) -> None:
        network = MemoryNetwork()
        listener = await network.listen(port=ORCHESTRATOR)
        asked = {"mode": "pull", "host": "127.0.0.1", "port": ORCHESTRATOR}
        async with desk(clock, network, agent=str(AGENT), agent_options=asked) as here:
            for expno in range(1, spectra + 1):
                lines, greeting = await hello(await listener.accept())
                assert greeting["mode"] == "pull"
                assert (await lines.ask("prepare", **order(here, expno)))["ok"]
                assert (await lines.ask("start", key=f"step-{expno}", block=0, target=str(here.path(expno))))["ok"]
            lines, _ = await hello(await listener.accept())  # it tells what became of the last before it asks again
            for expno in range(1, spectra + 1):
                assert nmrglue.bruker.read(str(here.path(expno)))[1].shape == (6144,)
            await listener.close()
            await lines.stream.close()
            await clock.sleep(3600)  # nobody is there any more: the loop ends by itself
            assert here.emulator.topspin.server.active is None
            assert not here.path(spectra + 1).exists()

    run_virtual(main)


def test_the_loop_looks_for_the_number_that_the_shipped_au_program_names() -> None:
    program = (AGENT.parent / "operando_pull").read_text()
    assert float(AU_GO) == 4711.0
    assert "verdict < 4710.5 || verdict > 4711.5" in program
    assert program.index("STOREPAR") < program.index("XPY(") < program.index("FETCHPAR(") < program.index("  ZG")
