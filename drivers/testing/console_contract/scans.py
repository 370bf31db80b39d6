"""Acquisitions as the contract has them made, and what must hold of their events and of what is fetched."""

from __future__ import annotations

import hashlib

import numpy as np

from drivers.base import Acquired, AcquisitionOrder, ConsoleEvent, Failed, Fetched, Filed, Progress, Started
from drivers.testing.bench import ConsoleBench, EventLog, near

Log = EventLog[ConsoleEvent]
S = 1e9
MANY_SCANS = 2000


def check_order(log: Log) -> None:
    """For each block: started, progress with growing scans, acquired, filed, or failed in between; times never go back."""
    at: dict[tuple[str, int], str] = {}
    scans: dict[tuple[str, int], int] = {}
    may_follow = {
        "": {"Started"},
        "Started": {"Progress", "Acquired", "Failed"},
        "Progress": {"Progress", "Acquired", "Failed"},
        "Acquired": {"Filed", "Failed"},
    }
    last_ns = -1
    for event in log.events:
        assert event.mono_ns >= last_ns, f"{event} lies before what came before it"
        last_ns = event.mono_ns
        if isinstance(event, Started | Progress | Acquired | Filed | Failed):
            block, name = (event.key, event.block), type(event).__name__
            assert name in may_follow.get(at.get(block, ""), set()), f"{name} after {at.get(block, 'nothing')} in {block}"
            at[block] = name
        if isinstance(event, Progress):
            assert event.scans_done >= scans.get(block, 0)
            scans[block] = event.scans_done


def check_fetched(fetched: Fetched, order: AcquisitionOrder, block: int = 0) -> None:
    """Who it is, a FID that is one, files that are what their hashes say, and the key in the vendor's own data."""
    assert (fetched.key, fetched.block) == (order.key, block)
    fid = fetched.fid
    assert fid.nucleus == order.nucleus
    assert fid.data.ndim == 1
    assert fid.data.dtype in {np.dtype(np.complex64), np.dtype(np.complex128)}
    assert np.all(np.isfinite(fid.data))
    assert np.any(fid.data)
    assert fid.raw_dtype
    assert fid.carrier_MHz > 0
    assert near(fid.carrier_MHz, fid.reference_MHz, 0.01 * fid.reference_MHz)
    assert fetched.times.zone
    assert fetched.times.stamps
    check_files(fetched)


def check_files(fetched: Fetched) -> None:
    """Sizes and hashes agree with the disk, names stay inside the archive, the key stands in the vendor's data."""
    assert fetched.files
    contents = [file.path.read_bytes() for file in fetched.files]
    for file, content in zip(fetched.files, contents, strict=True):
        assert file.size == len(content)
        assert file.sha256 == hashlib.sha256(content).hexdigest()
        assert not file.name.startswith(("/", "\\"))
        assert ".." not in file.name
    assert len({file.name for file in fetched.files}) == len(fetched.files)
    key = fetched.key.encode()
    assert any(key in content for content in contents) or any(fetched.key in file.name for file in fetched.files), "the key is nowhere"


class Scanned:
    """How the themes have something scanned."""

    async def acquire(self, bench: ConsoleBench, log: Log, order: AcquisitionOrder, block: int = 0) -> Fetched:
        """Prepare, start, wait until filed, fetch."""
        filed = len(log.of(Filed))
        await bench.console.prepare(order)
        await bench.console.start(order.key, block)
        await log.until(Filed, filed + 1, within_s=self.lasts_s(bench, order))
        return await bench.console.fetch(order.key, block)

    async def _run_block(self, bench: ConsoleBench, log: Log, order: AcquisitionOrder) -> None:
        await bench.console.prepare(order)
        await bench.console.start(order.key)
        await log.until(Filed)

    async def _run_for_some_scans(self, bench: ConsoleBench, log: Log, order: AcquisitionOrder) -> None:
        await bench.console.prepare(order)
        await bench.console.start(order.key)
        await log.until(Started)
        scan_s = order.recycle_s + bench.points / bench.spectral_width_Hz
        await bench.clock.sleep((order.dummies + 3.5) * scan_s + bench.console.capabilities.overhead_s)

    def lasts_s(self, bench: ConsoleBench, order: AcquisitionOrder) -> float:
        """More seconds than an acquisition can take."""
        acquisition_s = bench.points / bench.spectral_width_Hz
        return 3 * (order.scans + order.dummies) * (order.recycle_s + acquisition_s) + 10 * bench.console.capabilities.overhead_s + 30
