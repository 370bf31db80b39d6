"""The preparation's measurements: read as soon as they are stored, recorded, and what the rig allows is set by them and then frozen.

Nothing here touches the cell. What cannot be read is an alarm and not the end of the run: the templates then stay as the site wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from drivers.base import Fetched
from orchestrator.plan.orders import PlannedAcquisition
from orchestrator.runner.station import Alarms, Surroundings

if TYPE_CHECKING:
    from orchestrator.analysis.calibrating import Line

Result = dict[str, tuple[float, float | None, str]]
"""Observable → value, error, unit."""

BELIEVED = (0.5, 2.0)
"""A pulse so far from the template's is a mistake rather than a probe (inferred)."""
ADVICE = "look at the sample, the tuning and the template; the run goes on with what the templates say"


class Calibrating:
    """``scales``: nucleus → by what the template's pulses are multiplied; ``gains``: template → the receiver gain that was frozen."""

    def __init__(self, surroundings: Surroundings, alarms: Alarms) -> None:
        self._s = surroundings
        self._alarms = alarms
        self.scales: dict[str, float] = {}
        self.gains: dict[str, float] = {}
        self._first_ppm: dict[str, float] = {}
        self._warned: set[str] = set()

    def restore(self, events: tuple[Mapping[str, Any], ...]) -> None:
        """Go on with what a run that was broken off had set."""
        for data in events:
            applied = data.get("applied") or {}
            self.scales |= {str(applied["nucleus"]): float(applied["scale"])} if "scale" in applied else {}
            self.gains |= {str(applied["template"]): float(applied["gain"])} if "gain" in applied else {}
            if data["what"] == "reference":
                self._first_ppm.setdefault(str(data["of"]), float(data["found"]["reference_shift"]))

    def template(self, planned: PlannedAcquisition) -> Mapping[str, Any]:
        """The template of an acquisition, with the pulse that was found where one was set."""
        scale = self.scales.get(planned.nucleus)
        pulse_us = planned.template.get("pulse_us")
        if scale is None or not isinstance(pulse_us, int | float) or planned.prepares.get("what") == "pulse":
            return planned.template
        return {**planned.template, "pulse_us": round(pulse_us * scale, 3)}

    async def take(self, key: str, planned: PlannedAcquisition, fetched: Fetched, cause: int) -> None:
        """One block that was fetched."""
        self._watch_gain(planned, fetched)
        if not planned.prepares:
            return
        found = await self._s.clock.in_thread(_read, planned, fetched)
        what = str(planned.prepares["what"])
        if not found:
            text = f"{planned.name}: nothing in {key} tells the {what}"
            self._alarms.sound(f"prepare-{planned.name}", "warn", "A preparation found nothing", text, cause=cause, advice=ADVICE)
            return
        of = str(planned.prepares.get("name") or planned.prepares.get("of") or planned.nucleus)
        for name, (value, error, unit) in found.items():
            algorithm = f"prepare: {what}"
            self._s.put("observable", cause, name=f"{name}({of})", value=value, error=error, unit=unit, key=key, algorithm=algorithm)
        applied, why = self._apply(planned, fetched, found)
        numbers = {name: value for name, (value, _, _) in found.items()}
        self._s.put("preparation", cause, what=what, of=of, key=key, found=numbers, applied=applied, why=why)

    def _apply(self, planned: PlannedAcquisition, fetched: Fetched, found: Result) -> tuple[dict[str, Any], str]:
        """What is set by a result, and why not."""
        match planned.prepares["what"]:
            case "pulse":
                return self._apply_pulse(planned, found["pulse_90"][0])
            case "gain":
                return self._freeze_gain(planned, fetched, found)
            case "reference":
                return {}, self._referenced(planned, found["reference_shift"][0])
        return {}, "recorded; nothing is set by it"

    def _apply_pulse(self, planned: PlannedAcquisition, p90_us: float) -> tuple[dict[str, Any], str]:
        asked = planned.prepares
        scale, unlocked = p90_us / asked["nominal_us"], asked.get("unlocked_us")
        if unlocked is None:
            return {}, "recorded only: this rig keeps pulse_us locked"
        if not BELIEVED[0] <= scale <= BELIEVED[1]:
            return {}, f"not believed: {p90_us:.3g} us, the template says {asked['nominal_us']:g} us"
        pulses_us = [
            one.template["pulse_us"] * scale
            for one in self._s.plan.acquisitions.values()
            if one.nucleus == planned.nucleus and one is not planned and isinstance(one.template.get("pulse_us"), int | float)
        ]
        if not all(unlocked[0] <= pulse_us <= unlocked[1] for pulse_us in pulses_us):
            return {}, f"recorded only: beyond the {unlocked[0]:g} to {unlocked[1]:g} us that the rig unlocks"
        self.scales[planned.nucleus] = scale
        return {"nucleus": planned.nucleus, "scale": scale}, "set for this nucleus, and frozen"

    def _freeze_gain(self, planned: PlannedAcquisition, fetched: Fetched, found: Result) -> tuple[dict[str, Any], str]:
        """The console keeps its own gain: it is only held to it. Too little headroom is told."""
        asked = planned.prepares
        headroom = found["headroom"][0] if "headroom" in found else None
        if headroom is not None and headroom < asked["headroom"]:
            text = f"{asked['of']}: the receiver has {headroom:.2g}x headroom, {asked['headroom']:g}x was asked for"
            self._alarms.sound(
                f"headroom-{asked['of']}", "warn", "Little headroom in the receiver", text, advice="lower the template's gain"
            )
        why = "the console says no limit of its converter: no headroom is known" if headroom is None else ""
        if fetched.fid.gain is None or not asked["frozen"]:
            return {}, why or "recorded; the template's gain stays"
        self.gains[str(asked["template"])] = fetched.fid.gain
        return {"template": asked["template"], "gain": fetched.fid.gain}, why or "the template's own gain, and frozen"

    def _watch_gain(self, planned: PlannedAcquisition, fetched: Fetched) -> None:
        """A receiver gain that was frozen and is another now: areas before and after cannot be compared."""
        template, gain = str(planned.template.get("name", "")), fetched.fid.gain
        frozen = self.gains.get(template)
        if frozen is None or gain is None or gain == frozen or template in self._warned:
            return
        self._warned.add(template)
        text = f"{planned.name}: receiver gain {gain:g}, frozen at {frozen:g} in the preparation"
        advice = "areas before and after do not compare"
        self._alarms.sound(f"gain-{template}", "alarm", "The receiver gain has changed", text, advice=advice)

    def _referenced(self, planned: PlannedAcquisition, shift_ppm: float) -> str:
        """Spectra keep the axis that they were measured on (practice.md 28); the drift since the first look is told."""
        name = str(planned.prepares["name"])
        if name not in self._first_ppm:
            self._first_ppm[name] = shift_ppm
            return "recorded; no spectrum is moved by it"
        return f"recorded; {shift_ppm - self._first_ppm[name]:+.4f} ppm since the first; no spectrum is moved by it"


def _read(planned: PlannedAcquisition, fetched: Fetched) -> Result:
    """What one block tells; empty where it tells nothing."""
    from orchestrator.analysis import calibrating

    fid, asked = fetched.fid, planned.prepares
    seen = calibrating.Seen(fid.spectral_width_Hz, fid.carrier_MHz, fid.reference_MHz, fid.group_delay_points, fid.reversed_axis)
    match asked["what"]:
        case "noise":
            return {"noise_level": (calibrating.noise_sd(fid.data, fid.scans), None, "")}
        case "gain":
            return _headroom(calibrating.largest(fid.data, fid.scans), fetched)
        case "reference":
            line = calibrating.strongest_line(fid.data, seen)
            return {} if line is None else _of_reference(line, asked["shift_ppm"])
        case "pulse" if planned.rows is not None and fid.data.ndim == 2:
            pulse = calibrating.ninety_degrees(fid.data, np.array(planned.rows.values[: len(fid.data)]), seen)
            return {} if pulse is None else {"pulse_90": (pulse.p90_us, pulse.p90_sd_us, "us")}
    return {}


def _of_reference(line: Line, expected_ppm: float) -> Result:
    away_ppm = line.shift_ppm - expected_ppm
    return {"reference_shift": (away_ppm, line.shift_sd_ppm, "ppm"), "reference_width": (line.width_ppm, None, "ppm")}


def _headroom(largest: float, fetched: Fetched) -> Result:
    limit = fetched.parameters.get("adc_limit_counts")
    told: Result = {"largest": (largest, None, "")}
    if isinstance(limit, int | float) and largest > 0.0:
        told["headroom"] = (float(limit) / fetched.fid.scans / largest, None, "")
    return told
