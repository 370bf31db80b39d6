"""The same two steps for bluesky: a device with ``set``, ``trigger``, ``read``, ``stop``, ``stage``, ``unstage``, and a plan.

``stop`` and ``unstage`` open the circuit; the plan stages the device, checkpoints before each sample, and ends at open circuit.
``python night.py HOST:PORT CURRENT STEP FOLDER`` runs it as a script; bluesky-queueserver imports it.
"""

# ruff: noqa: ARG002, ARG005 - the signatures are those of the protocols

import asyncio
import sys
import time

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky import RunEngine
from bluesky.callbacks.json_writer import JSONLinesWriter
from bluesky.utils import RunEngineInterrupted
from ophyd_async.core import AsyncStatus
from smu import Smu


class Cell:
    """A channel that holds a current and reads a voltage."""

    name, parent = "cell", None

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self._smu, self._current, self._reading = Smu(host, int(port)), 0.0, (0.0, 0.0)

    def set(self, current):
        """Hold this current, A."""
        return AsyncStatus(asyncio.to_thread(self._set, float(current)))

    def _set(self, current):
        self._current = current
        self._smu.set_current(current)

    def trigger(self):
        """One sample."""
        return AsyncStatus(asyncio.to_thread(self._measure))

    def _measure(self):
        self._reading = (self._smu.voltage_V(), time.time())

    def read(self):
        """The last sample."""
        value, stamp = self._reading
        return {
            "cell_voltage": {"value": value, "timestamp": stamp},
            "cell_current": {"value": self._current, "timestamp": stamp},
        }

    def describe(self):
        """Two numbers."""
        return {key: {"source": "smu", "dtype": "number", "shape": []} for key in ("cell_voltage", "cell_current")}

    def read_configuration(self):
        """Nothing."""
        return {}

    describe_configuration = read_configuration

    def stop(self, *, success=False):
        """Open circuit."""
        self._smu.off()

    def stage(self):
        """Nothing to prepare."""
        return [self]

    def unstage(self):
        """Open circuit."""
        self._smu.off()
        return [self]


def two_steps(cell, current, step):
    """Hold a current, then the opposite one, a sample each second."""

    @bpp.stage_decorator([cell])
    @bpp.run_decorator()
    def inner():
        for amperes in (current, -current):
            yield from bps.mv(cell, amperes)
            until = time.monotonic() + step
            while time.monotonic() < until:
                yield from bps.checkpoint()
                yield from bps.trigger_and_read([cell])
                yield from bps.sleep(1.0)
        yield from bps.mv(cell, 0.0)

    return (yield from inner())


def engine(folder):
    """A run engine that writes its documents into a folder, a line each, and says how a run ended."""
    RE = RunEngine({})
    RE.subscribe(JSONLinesWriter(folder))
    RE.subscribe(lambda name, doc: print("TOLD", doc["exit_status"], doc["reason"], flush=True), "stop")
    return RE


if __name__ == "__main__":
    address, current, step, folder = sys.argv[1:]
    RE = engine(folder)
    try:
        RE(two_steps(Cell(address), float(current), float(step)))
    except RunEngineInterrupted:
        if RE.state == "paused" and "abort" in sys.stdin.readline():
            RE.abort("by the user")
