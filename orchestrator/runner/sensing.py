"""Sensors of the station: read each so often, journaled as ``aux``, told to the interlocks; one that is not there reads nothing."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import asdict

from drivers.base import Reading, Sensor, Settings
from drivers.errors import InstrumentError
from orchestrator.runner.blocks import AUX, layout
from orchestrator.runner.sentences import first_line
from orchestrator.runner.station import Alarms, Surroundings
from orchestrator.runner.wire import within

READ_WITHIN_S = 30.0
EVERY_S = 10.0

Told = Callable[[str, Reading], None]


class Sensing:
    """``told``: the interlocks hear each reading, and a NaN where a sensor is missing."""

    def __init__(self, surroundings: Surroundings, alarms: Alarms, told: Told) -> None:
        self._s = surroundings
        self._alarms = alarms
        self._told = told
        self.newest: dict[str, Reading] = {}

    async def watch(self) -> None:
        """Read all of them until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, (sensor, settings) in self._s.station.sensors.items():
                group.create_task(self._watch(name, sensor, settings), name=f"sensor {name}")

    async def _watch(self, name: str, sensor: Sensor, settings: Settings) -> None:
        every_s = float(settings.options.get("every_s", EVERY_S))
        met, seen_ns = False, self._s.clock.mono_ns()
        while True:
            try:
                if not met:
                    await self._meet(name, sensor, settings)
                    met = True
                reading = await within(READ_WITHIN_S, sensor.read())
            except (InstrumentError, TimeoutError) as error:
                self._missing(name, settings, first_line(str(error)) or "no answer", (self._s.clock.mono_ns() - seen_ns) / 1e9)
            else:
                seen_ns = reading.mono_ns
                self._take(name, settings, reading)
            await self._s.clock.sleep(every_s)

    async def _meet(self, name: str, sensor: Sensor, settings: Settings) -> None:
        identity = await within(READ_WITHIN_S, sensor.connect())
        about = {"id": name, "driver": settings.driver, "address": settings.written or settings.address}
        truth = {"simulated": identity.simulated or settings.simulated}
        self._s.journal.put("instrument", {"role": "sensor", **about, **asdict(identity), **truth})

    def _take(self, name: str, settings: Settings, reading: Reading) -> None:
        self.newest[name] = reading
        description, packer = layout(AUX, 1)
        data = {"sensor": name, "unit": reading.unit, "n": 1, "columns": description}
        blob = packer.pack(reading.mono_ns, reading.value)
        self._s.journal.put("aux.block", data, blob=blob, at=self._s.at(reading.mono_ns))
        self._told(name, reading)
        self._alarms.clear(f"sensor-{name}")
        self._judge(name, settings, reading)

    def _judge(self, name: str, settings: Settings, reading: Reading) -> None:
        """Limits that the rig gives a sensor."""
        low, high = (float(value) for value in settings.options.get("limits", (-math.inf, math.inf)))
        if low <= reading.value <= high:
            self._alarms.clear(f"limit-{name}")
            return
        text = f"{reading.value:.6g} {reading.unit}; the rig allows {low:g} to {high:g}"
        values = {"value": reading.value}
        self._alarms.sound(f"limit-{name}", "alarm", f"{name} is outside its limits", text, advice="look at it", values=values)

    def _missing(self, name: str, settings: Settings, why: str, since_s: float) -> None:
        """No row: what nobody has read is no value. The interlock hears that there was none."""
        unit = str(settings.options.get("unit", ""))
        self._told(name, Reading(math.nan, unit, self._s.clock.mono_ns(), 0.0))
        if since_s < float(settings.options.get("stale_after_s", 30.0)):
            return
        self.newest.pop(name, None)
        self._alarms.sound(f"sensor-{name}", "warn", f"{name} is missing", why, advice="look at its plug; until then nobody watches it")

    def actuator(self, quantity: str) -> tuple[str, Sensor, str] | None:
        """What sets a quantity, by the rig's word: its name, itself, its unit."""
        for name, (sensor, settings) in self._s.station.sensors.items():
            if settings.options.get("quantity") == quantity and "set" in settings.options:
                return name, sensor, str(settings.options.get("unit", ""))
        return None

    async def release(self) -> None:
        """Let go of their wires."""
        for sensor, _ in self._s.station.sensors.values():
            await sensor.release()
