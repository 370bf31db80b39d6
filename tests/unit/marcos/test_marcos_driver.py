"""The MaRCoS driver in front of a server played from the public description."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from marcos_timeline import CLOCK_Hz, timeline

from drivers.base import Acquired, Axis, ConsoleActivity, Failed, Filed, LinkLost, LinkRestored, Started
from drivers.errors import BadReply, InstrumentError, NotReachable, Rejected, WrongInstrument
from drivers.marcos.program import Site


async def filed(bench, count: int = 1, within_s: float = 60.0) -> None:
    for _ in range(int(within_s / 0.1)):
        if sum(isinstance(event, Filed | Failed) for event in bench.events) >= count:
            return
        await bench.clock.sleep(0.1)
    raise AssertionError(f"nothing filed: {bench.events}")


def test_one_acquisition_adds_up_its_scans_in_whole_numbers(play, tmp_path: Path) -> None:
    """The played console answers in the phase of the pulse: with the receiver turned along, everything adds up in one phase."""

    async def test(bench) -> None:
        assert (await bench.driver.connect()).model == "marga on hardware"
        await bench.acquire()
        await filed(bench)
        assert bench.kinds() == ["Started", "Acquired", "Filed"]
        fetched = await bench.driver.fetch("key-1", 0)
        assert fetched.fid.scans == 6
        assert not fetched.partial
        assert np.array_equal(fetched.fid.data, 6 * 16384 * np.arange(1, 33) + 0j)
        assert fetched.fid.spectral_width_Hz == 96000.0
        assert fetched.fid.reference_MHz == pytest.approx(38.863797)
        assert fetched.fid.carrier_MHz == pytest.approx(38.863797 * 1.0001, rel=1e-8)
        assert {file.name.rpartition("/")[2] for file in fetched.files} == {"header.json", "runs.msgpack", "end.json"}
        lasted_s = (bench.events[-2].mono_ns - bench.events[0].mono_ns) / 1e9
        assert lasted_s == pytest.approx(8 * (0.5 + 34 / 96000), rel=0.01)
        started = next(event for event in bench.events if isinstance(event, Started))
        assert fetched.times.start_utc_ns == bench.clock.utc_of(started.mono_ns)

    play(test)


def test_pulses_phases_and_delays_are_in_the_sequence(play) -> None:
    async def test(bench) -> None:
        await bench.driver.connect()
        await bench.acquire()
        await filed(bench)
        code = bench.console.codes[1]  # after the dummies: three scans of 0.5 s in a run of at most 2 s
        steps = timeline(code)
        pulses = [(t, b, v) for t, b, v in steps if b in {5, 6} and v]
        assert [(b, v) for _, b, v in pulses] == [(5, 16384), (6, 16384), (5, 0x10000 - 16384)]
        periods = np.diff([t for t, _, _ in pulses])
        assert len(set(periods)) == 1
        assert periods[0] % 1280 == 0  # whole samples: each scan meets the decimation in the same phase
        assert periods[0] / CLOCK_Hz == pytest.approx(0.5 + 34 / 96000, abs=2e-4)
        first = pulses[0][0]
        off = min(t for t, b, v in steps if b == 5 and not v and t > first)
        assert (off - first) / CLOCK_Hz == pytest.approx(8e-6, abs=1e-8)
        gate_on = min(t for t, b, v in steps if b == 15 and v == 1)
        assert (first - gate_on) / CLOCK_Hz == pytest.approx(10e-6, abs=1e-7)
        low, high = ([v for _, b, v in steps if b == buffer and v][-1] for buffer in (9, 10))
        assert ((high << 16) | low) * 122.88 / 2**31 == pytest.approx(38.863797 * 1.0001, rel=1e-8)
        dummies = timeline(bench.console.codes[0])
        assert not [v for _, b, v in dummies if b == 16 and v & 0x100]

    play(test)


def test_an_echo_has_its_middle_at_the_echo_time(play) -> None:
    async def test(bench) -> None:
        await bench.driver.connect()
        order = replace(bench.order, sequence="hahn_echo", scans=4, dummies=0, rows=Axis("TE_ms", (1.0, 4.0)))
        await bench.acquire(order)
        await filed(bench)
        fetched = await bench.driver.fetch(order.key, 0)
        assert fetched.fid.data.shape == (2, 32)
        assert fetched.row_s.shape == (2, 2)
        assert fetched.row_s[0, 0] == 0.0
        assert fetched.row_s[1, 0] >= fetched.row_s[0, 1] > 1.4
        for code, te_ms in zip(bench.console.codes[::2], (1.0, 4.0), strict=True):
            steps = timeline(code)
            on = [t for t, b, v in steps if b in {5, 6} and v][:2]
            ends = [min(t for t, b, v in steps if b == 5 and not v and t > one) for one in on]
            middle = [(a + b) / 2 / CLOCK_Hz for a, b in zip(on, ends, strict=True)]
            window = min(t for t, b, v in steps if b == 16 and v & 0x100) / CLOCK_Hz
            assert middle[1] - middle[0] == pytest.approx(te_ms / 2e3, abs=2e-8)
            assert window - middle[0] == pytest.approx(te_ms / 1e3, abs=2e-8)

    play(test)


def test_replies_in_pieces_and_an_older_server(play) -> None:
    async def test(bench) -> None:
        bench.console.pieces, bench.console.version = 3, 0x000208
        assert (await bench.driver.connect()).firmware == "0.2.8"
        await bench.acquire()
        await filed(bench)
        assert isinstance(bench.last(), Filed)
        assert bench.console.versions[0] == 0x010002
        assert set(bench.console.versions[1:]) == {0x000208}  # the one that both know

    play(test)


@pytest.mark.parametrize(("changes", "words"), [({"version": 0x070000}, "7"), ({"kind": "hardware", "deaf": True}, "no answer")])
def test_who_is_no_such_console_is_refused(play, changes, words) -> None:
    async def test(bench) -> None:
        for name, value in changes.items():
            setattr(bench.console, name, value)
        with pytest.raises((WrongInstrument, NotReachable), match=words) as refusal:
            await bench.driver.connect()
        assert refusal.type is (NotReachable if "deaf" in changes else WrongInstrument)

    play(test)


def test_halt_keeps_and_abort_throws_away(play, tmp_path: Path) -> None:
    async def test(bench) -> None:
        await bench.driver.connect()
        await bench.acquire(replace(bench.order, scans=200))
        await bench.clock.sleep(4.0)
        looked = await bench.driver.look("key-1")
        assert 0 < looked.fid.scans < 200
        assert looked.partial
        await bench.driver.halt("key-1")
        await filed(bench)
        fetched = await bench.driver.fetch("key-1", 0)
        assert 0 < fetched.fid.scans < 200
        assert fetched.partial
        await bench.acquire(replace(bench.order, key="key-2", scans=200))
        await bench.clock.sleep(4.0)
        await bench.driver.abort("key-2")
        await filed(bench, 2)
        assert isinstance(bench.last(), Failed)
        with pytest.raises(Rejected):
            await bench.driver.fetch("key-2", 0)
        assert not (tmp_path / "scans" / "key-2" / "0" / "runs.msgpack").exists()

    play(test)


def test_scans_lost_with_the_link_are_made_again(play) -> None:
    async def test(bench) -> None:
        await bench.driver.connect()
        await bench.acquire(replace(bench.order, scans=20))
        await bench.clock.sleep(4.0)
        bench.console.deaf = True
        while not any(isinstance(event, LinkLost) for event in bench.events):
            await bench.clock.sleep(1.0)
        assert (await bench.driver.read_state()).activity is ConsoleActivity.ACQUIRING
        bench.console.deaf = False
        await filed(bench, within_s=120.0)
        assert any(isinstance(event, LinkRestored) for event in bench.events)
        fetched = await bench.driver.fetch("key-1", 0)
        assert fetched.fid.scans == 20
        assert np.array_equal(fetched.fid.data, 20 * 16384 * np.arange(1, 33) + 0j)

    play(test)


def test_its_own_errors_and_samples_that_are_missing_end_a_block(play) -> None:
    async def test(bench) -> None:
        await bench.driver.connect()
        bench.console.errors = ("RX FIFO/s full during sequence",)
        await bench.acquire()
        await filed(bench)
        assert "FIFO" in bench.last().why
        bench.console.errors, bench.console.short = (), 3
        await bench.acquire(replace(bench.order, key="key-2"))
        await filed(bench, 2)
        assert "samples" in bench.last().why

    play(test)


def test_what_was_kept_is_checked_against_its_hash(play, tmp_path: Path) -> None:
    async def test(bench) -> None:
        await bench.driver.connect()
        await bench.acquire()
        await filed(bench)
        path = tmp_path / "scans" / "key-1" / "0" / "runs.msgpack"
        content = path.read_bytes()
        assert hashlib.sha256(content).hexdigest() in (path.parent / "end.json").read_text()
        path.write_bytes(content[:-1] + b"\x01")
        with pytest.raises(BadReply, match="SHA-256"):
            await bench.driver.fetch("key-1", 0)

    play(test)


def test_a_torn_end_costs_the_last_sequence_only(play, tmp_path: Path) -> None:
    async def test(bench) -> None:
        await bench.driver.connect()
        await bench.acquire()
        await filed(bench)
        folder = tmp_path / "scans" / "key-1" / "0"
        (folder / "end.json").unlink()
        (folder / "runs.msgpack").write_bytes((folder / "runs.msgpack").read_bytes()[:-50])
        again = bench.another()
        fetched = await again.fetch("key-1", 0)
        assert fetched.partial
        assert 0 < fetched.fid.scans < 6

    play(test)


def test_make_safe_halts_resets_and_reads(play) -> None:
    async def test(bench) -> None:
        await bench.driver.connect()
        bench.console.state = 8
        with pytest.raises(Rejected, match="state 8"):
            await bench.driver.prepare(bench.order)
        assert (await bench.driver.read_state()).activity is ConsoleActivity.FOREIGN
        assert (await bench.driver.make_safe()).confirmed
        asked = [name for one in bench.console.asked for name in one]
        assert asked.count("halt_and_reset") == 1
        assert [one["direct"] >> 24 for one in bench.console.asked if "direct" in one] == [5, 6, 15]
        await bench.driver.prepare(bench.order)

    play(test)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nucleus": "299Xx"}, "not known"),
        ({"sequence": "image_se"}, "gradients"),
        ({"sequence": "nutation", "rows": Axis("pulse_us", (1.0,))}, "single pulses"),
        ({"rows": Axis("TE_ms", (1.0,))}, "sweep"),
        ({"sequence": "hahn_echo", "rows": Axis("TE_ms", (0.001,))}, "echo time"),
        ({"template": {"points": 32, "spectral_width_Hz": 96000}}, "pulse_us"),
        ({"template": {"points": 32, "spectral_width_Hz": 10, "pulse_us": 8}}, "width"),
        ({"template": {"points": 0, "spectral_width_Hz": 96000, "pulse_us": 8}}, "points"),
        ({"template": {"points": 32, "spectral_width_Hz": 96000, "pulse_us": 8, "tx_amplitude": 1.5}}, "amplitude"),
        ({"template": {"points": 32, "spectral_width_Hz": 96000, "pulse_us": 900}, "recycle_s": 0.001}, "full power"),
        ({"scans": 0}, "scans"),
        ({"key": "../../etc"}, "no name"),
    ],
)
def test_what_it_cannot_do_is_refused_before_anything_moves(play, changes, words) -> None:
    async def test(bench) -> None:
        await bench.driver.connect()
        with pytest.raises(Rejected, match=words):
            await bench.driver.prepare(replace(bench.order, **changes))
        with pytest.raises(InstrumentError):
            await bench.driver.start(replace(bench.order, **changes).key)
        assert not bench.console.codes

    play(test)


def test_a_carrier_beyond_the_converters_needs_the_sites_word(play) -> None:
    async def first(bench) -> None:
        await bench.driver.connect()
        with pytest.raises(Rejected, match="zone"):
            await bench.driver.prepare(bench.order)

    play(first, H1_MHz=300.0)

    async def second(bench) -> None:
        await bench.driver.connect()
        assert (await bench.driver.prepare(bench.order)).parameters["carrier_MHz"] > 100

    play(second, H1_MHz=300.0, nyquist_zone=2)


def test_without_a_magnet_or_a_folder_it_asks_for_them(play) -> None:
    async def test(bench) -> None:
        await bench.driver.connect()
        with pytest.raises(Rejected, match="kept"):
            await bench.driver.prepare(bench.order)

    play(test, data_root="")
    with pytest.raises(ValueError, match="H1_MHz"):
        Site.of({})


def test_a_deadline_that_passes_ends_it(play) -> None:
    async def test(bench) -> None:
        await bench.driver.connect()
        await bench.driver.prepare(replace(bench.order, deadline_s=1.0))
        await bench.driver.start("key-1")
        bench.console.deaf = True
        await filed(bench, within_s=300.0)
        assert "deadline" in bench.last().why
        assert not any(isinstance(event, Acquired) for event in bench.events)

    play(test)
