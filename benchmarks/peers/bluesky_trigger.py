"""bluesky, in process: a step that ends, the acquisition that follows; its documents written, a line each.

``python bluesky_trigger.py STEPS SECONDS FOLDER`` prints a JSON list: milliseconds from each end to the trigger behind it.
"""

import asyncio
import json
import sys
import time

import bluesky.plan_stubs as bps
from bluesky import RunEngine
from bluesky.callbacks.json_writer import JSONLinesWriter
from ophyd_async.core import AsyncStatus


class Step:
    """A potentiostat whose step takes a while."""

    name, parent, ended_s = "pstat", None, 0.0

    def set(self, seconds):
        """A step."""

        async def run():
            await asyncio.sleep(seconds)
            self.ended_s = time.perf_counter()

        return AsyncStatus(run())


class Nmr:
    """A console that knows when it was triggered."""

    name, parent, begun_s = "nmr", None, 0.0

    def trigger(self):
        """An acquisition; the order has come as soon as this is called."""
        self.begun_s = time.perf_counter()

        async def run():
            """Nothing takes any time."""

        return AsyncStatus(run())

    def read(self):
        """One number."""
        return {"nmr": {"value": 1.0, "timestamp": time.time()}}

    def describe(self):
        """One number."""
        return {"nmr": {"source": "sim", "dtype": "number", "shape": []}}

    def read_configuration(self):
        """Nothing."""
        return {}

    describe_configuration = read_configuration


if __name__ == "__main__":
    steps, seconds = int(sys.argv[1]), float(sys.argv[2])
    RE, step, nmr, late_ms = RunEngine({}), Step(), Nmr(), []
    RE.subscribe(JSONLinesWriter(sys.argv[3]))

    def plan():
        """Step, then acquisition."""
        yield from bps.open_run()
        for _ in range(steps):
            yield from bps.abs_set(step, seconds, wait=True)
            yield from bps.trigger_and_read([nmr])
            late_ms.append((nmr.begun_s - step.ended_s) * 1e3)
        yield from bps.close_run()

    RE(plan())
    print(json.dumps(late_ms))
