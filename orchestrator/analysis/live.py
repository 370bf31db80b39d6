"""Live analysis: events of a run in, what each spectrum says out. Pure: no I/O, no clock; the same events give the same findings.

Feed every event in order. When a FID is stored, its findings come back: noise, areas of windows, complex lines, the common
phase, dA/dQ within the step, each with its standard error. Areas are amplitudes of one scan's FID at time zero. The first
finding of a spectrum carries its ``context``: charge, x, cycle, step, voltage and current at the middle of the acquisition.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.bound import Bound
from orchestrator.analysis.budgeting import Area, Budgeting
from orchestrator.analysis.findings import ALGORITHM, MAPS, SALT, Finding, Told
from orchestrator.analysis.lines import Component, LineFit
from orchestrator.analysis.looking import FEWEST_POINTS, Look, Streams, scans_of
from orchestrator.analysis.passes import Pass, Passes, error_of_image, errors_of_map
from orchestrator.analysis.samples import Samples
from orchestrator.analysis.slopes import Slopes
from orchestrator.analysis.wanted import RIGHT_deg, Wanted
from orchestrator.analysis.weighing import by_foil, weighed
from orchestrator.model.events import Event
from orchestrator.model.metals import ROOM_K, on_metal
from orchestrator.model.observables import window_name
from orchestrator.model.salt import SaltBetween
from orchestrator.model.units import NOTHING_A

if TYPE_CHECKING:
    from orchestrator.analysis.maps import Over

HEARD = frozenset({"run.started", "step.started", "step.ended", "ec.block", "fid.block"}) | frozenset(
    f"acquisition.{word}" for word in ("started", "acquired", "stored", "verified", "missed", "rejected", "lost")
)
"""Kinds of events that it learns from; of no other it need be told."""

Floats = NDArray[np.float64]
Scan = NDArray[np.complex128]
METAL_AREAS = frozenset({"area(metal)", "area(bulk)", "area(moss)"})


class LiveAnalysis:
    """Feed it every event of a run once, in order. ``full``: everything there is to tell, for reprocessing and export.

    ``edits``: windows by name instead of the experiment's; ``over``: who fits the tiles of a map; ``look``: who looks at FIDs.
    """

    def __init__(
        self, *, full: bool = False, edits: Mapping[str, Sequence[float]] | None = None, over: Over = map, look: Look = Streams.look
    ) -> None:
        self._full = full
        self._over, self._look = over, look
        self._edits = edits
        self._wanted = Wanted()
        self._streams = Streams(self._wanted, full=full)
        self._origin_ns = 0
        self._driven_ns: int | None = None
        self._edge: tuple[str, int] = ("", 0)
        self._samples = Samples()
        self._budgeting: Budgeting | None = None
        self._salt: SaltBetween | None = None
        self._bound = Bound(ROOM_K)
        self._heard: dict[str, list[int | None]] = {}
        self._fids: dict[tuple[str, int], Event] = {}
        self._slopes = Slopes()
        self._images: dict[str, dict[int, tuple[float, Scan]]] = {}
        self._passes = Passes()
        self._begun: dict[str, str] = {}

    def feed(self, event: Event) -> list[Finding]:
        """What one event lets us know; empty for all but ``acquisition.stored``."""
        match event.kind:
            case "ec.block":  # as most are
                self._samples.feed(event, (ends[0] for ends in self._heard.values()))
            case "run.started":
                self._wanted = Wanted.of(event.data).edited(self._edits)
                self._streams = Streams(self._wanted, full=self._full)
                self._origin_ns = int(event.data["origin_mono_ns"])
                self._budgeting = self._budget_of(self._wanted)
                self._salt = SaltBetween.of(self._wanted.cell)
                self._bound = Bound(float(self._wanted.cell.get("temperature_K") or ROOM_K))
            case "step.started":
                self._step_started(event)
            case "step.ended" if self._budgeting is not None:
                self._budgeting.ended(event.data)
            case "acquisition.started" | "acquisition.acquired" if event.data.get("heard", True):
                ends = self._heard.setdefault(event.data["key"], [None, None])
                self._begun.setdefault(event.data["key"], self._edge[0])
                first = event.kind.endswith("started")
                if not first or ends[0] is None:
                    ends[0 if first else 1] = event.mono_ns
            case "fid.block":
                self._fids[event.data["key"], event.data["block"]] = event
            case "acquisition.stored":
                stored = self._fids.pop((event.data["key"], event.data["block"]), None)
                return [] if stored is None else self._analysed(stored)
            case "acquisition.verified" | "acquisition.missed" | "acquisition.rejected" | "acquisition.lost":
                self._forget(event.data["key"])
            case _:
                pass
        return []

    def _forget(self, key: str) -> None:
        """An acquisition is over: what it has left unfinished will not come."""
        self._heard.pop(key, None)
        self._images.pop(key, None)
        self._begun.pop(key, None)
        for waiting in [where for where in self._fids if where[0] == key]:
            del self._fids[waiting]

    @staticmethod
    def _budget_of(wanted: Wanted) -> Budgeting | None:
        return None if wanted.budget is None else Budgeting(tuple(wanted.budget.get("cycles") or (2, 4)), wanted.resting)

    def _step_started(self, event: Event) -> None:
        """What is measured before the protocol drives the cell is a blank; a preparation's polarity or impedance is no driving."""
        self._edge = (str(event.data["key"]), event.mono_ns)
        of_protocol = event.data.get("index", 0) >= 0 and event.data["mode"] not in {"rest", "impedance"}
        if of_protocol and self._driven_ns is None:
            self._driven_ns = event.mono_ns
        if self._budgeting is not None:
            self._budgeting.started(event.data)

    # ------------------------------------------------------------------------------------------------------ one spectrum

    def _analysed(self, event: Event) -> list[Finding]:
        data = event.data
        points, scans = data["shape"][-1], int(data["scans"] or 0)
        fids = scans_of(data, event.blob)
        if data.get("encodes") and scans >= 1:
            image = [*self._of_image(data, fids / scans)]
            return self._found(event, [*image, *self._bound.of(image, data["nucleus"])], self._context(event, scans))
        if scans < 1 or points < FEWEST_POINTS or not (data.get("rows") or len(fids) == 1):
            return []
        context = self._context(event, scans)
        told, fit = self._look(self._streams, event, context)
        if data.get("rows"):
            return self._found(event, [*told, *self._bound.of(told, data["nucleus"])], context)
        told = [*told, *self._overpotential(told, context), *self._sand(context)]
        told += self._slopes.of(told, data["name"], context)
        told += self._budgeted(told, data["name"], context)
        told += self._weighed(told, data)
        return self._found(event, told, context, fit)

    def blank(self, data: Mapping[str, Any], blob: bytes) -> None:
        """One scan's share of a FID that is taken off what ``relative_error`` looks at; data and blob of a ``fid.block``."""
        self._streams.of(data).blanks.append(scans_of(data, blob)[0] / int(data["scans"]))

    def relative_error(self, data: Mapping[str, Any], blob: bytes, observable: str) -> float:
        """Standard error over value of an area, in the spectrum of one FID so far: data and blob as of its ``fid.block``.

        inf where nothing is resolved; nothing is remembered but where the fit came to. Raises ValueError where no such area is told.
        """
        scan = scans_of(data, blob) / max(1, int(data["scans"] or 0))
        stream = self._streams.of(data)
        blank = np.mean(stream.blanks, axis=0) if stream.blanks and self._streams.subtracts(data) else None
        told = stream.told(scan, data, blank, int(data["scans"] or 0))
        if f"upper_limit{observable.removeprefix('area')}" in {name for name, *_ in told}:
            return math.inf
        found = next(((value, sd) for name, value, sd, _, _ in told if name == observable), None)
        if found is None:
            raise ValueError(f"{observable} is not told of {data['name']}: {', '.join(sorted(name for name, *_ in told))}")
        value, sd = found
        return math.inf if sd is None or not value > 0.0 else sd / value

    def _budgeted(self, told: Sequence[Told], acquisition: str, context: Mapping[str, Any]) -> list[Told]:
        """What this spectrum's metal says of the cycles, where the experiment wants a budget."""
        if self._budgeting is None or self._wanted.budget is None:
            return []
        name = f"area({window_name(*self._wanted.budget['metal_ppm'])})"
        found = next(((value, sd) for one, value, sd, _, _ in told if one == name and sd is not None), None)
        if found is None:
            return []
        budget = self._budgeting.area(acquisition, str(context.get("step_key", "")), Area(*found))
        if self._wanted.tips.get(acquisition) != self._wanted.tips.get(self._budgeting.acquisition):
            return budget  # k is of another pulse
        return [*budget, *self._budgeting.mass(context["nucleus"], Area(*found))]

    def _weighed(self, told: Sequence[Told], data: Mapping[str, Any]) -> list[Told]:
        """The mass of moss, where a foil was weighed for this acquisition."""
        foil = self._wanted.cell.get("foil")
        if not foil or foil["acquisition"] != data["name"]:
            return []
        k = by_foil(foil, str(data["nucleus"]), float(data["reference_MHz"]), self._wanted.tips.get(data["name"], RIGHT_deg))
        return [] if k is None else list(weighed(told, k))

    @staticmethod
    def _found(event: Event, told: Iterable[Told], context: Mapping[str, Any], fit: LineFit | None = None) -> list[Finding]:
        """As findings, the first with its context, the areas of fitted lines with what else the fit says of them."""
        lines = {f"area({one.name})": _shape(one) for one in fit.components if one.resolved} if fit is not None else {}
        found = [
            Finding(name, float(value), _finite(error), unit, event.data["key"], algorithm, event.seq, line=lines.get(name))
            for name, value, error, unit, algorithm in told
            if math.isfinite(value)
        ]
        return [found[0]._replace(context=context), *found[1:]] if found else []

    def _of_image(self, data: Mapping[str, Any], kspace: Scan) -> Iterator[Told]:
        """What one image shows, and the map of the series that it completes."""
        from orchestrator.analysis import maps

        if len(kspace) != data["encodes"]:
            return
        key, value, mirrored = str(data["key"]), data.get("block_value") or {}, bool(data.get("reversed_axis"))
        noise_sd = maps.image_noise_sd(kspace[None])
        brightest = float(maps.magnitudes(kspace[None], mirrored=mirrored).max())
        yield "image_snr", brightest / max(noise_sd, 1e-300), None, "", MAPS
        series = self._images.setdefault(key, {})
        series[int(data["block"])] = (float(value.get("value") or 0.0), kspace)
        if len(series) < int(data.get("blocks") or 1):
            return
        del self._images[key]
        ordered = [series[block] for block in sorted(series)]
        echo_s = np.array([TE_ms for TE_ms, _ in ordered]) * 1e-3
        stack = np.stack([image for _, image in ordered])
        begun, scans = self._begun.get(key, self._edge[0]), max(1, int(data["scans"] or 0))
        passes, mean = self._passes.add(Pass(data["name"], begun, tuple(echo_s.tolist()), stack, scans))
        if len(stack) == 1:
            yield "image_error", error_of_image(mean), None, "", MAPS
        if value.get("name") == "TE_ms" and len(np.unique(echo_s)) > 1:
            whole = maps.mapped(stack, echo_s, maps.image_noise_sd(stack), mirrored=mirrored, over=self._over)
            found = whole.summary
            yield from _of_map(found)
            if on_metal(str(data["nucleus"]), 1e6 * (float(data["carrier_MHz"]) / float(data["reference_MHz"]) - 1.0)):
                yield from self._bound.pixels(whole.T2_s, whole.T2_sd_s, whole.determined, str(data["nucleus"]))
            if passes > 1:
                found = maps.mapped(mean, echo_s, maps.image_noise_sd(mean), mirrored=mirrored, over=self._over).summary
                yield from _of_passes(found)
            yield from ((name, error, None, "", MAPS) for name, error in errors_of_map(found))

    def _context(self, event: Event, scans: int) -> dict[str, Any]:
        key = event.data["key"]
        start_ns, end_ns = self._heard.pop(key, [None, None])
        end_ns = end_ns if end_ns is not None else event.mono_ns
        start_ns = start_ns if start_ns is not None else end_ns
        context = self._samples.context(start_ns, end_ns, self._origin_ns)
        if self._edge[0] and context.get("step_key") == self._edge[0]:
            context["elapsed_s"] = (start_ns - self._edge[1]) / 1e9
        context = {name: value for name, value in context.items() if not isinstance(value, float) or math.isfinite(value)}
        context["blank"] = int(self._driven_ns is None or end_ns <= self._driven_ns)
        context |= {"acquisition": event.data["name"], "nucleus": event.data["nucleus"], "scans": scans}
        return context

    def _overpotential(self, told: Sequence[Told], context: Mapping[str, Any]) -> list[Told]:
        """Of a symmetric cell under current, beside every spectrum that shows metal: both stand in one row for good."""
        current_A, metal = context.get("current_A", 0.0), any(name in METAL_AREAS for name, *_ in told)
        if self._wanted.cell.get("type") != "symmetric" or abs(current_A) < NOTHING_A or "voltage_V" not in context or not metal:
            return []
        return [("overpotential", abs(context["voltage_V"] - current_A * self._wanted.lead_ohm), None, "V", ALGORITHM)]

    def _sand(self, context: Mapping[str, Any]) -> Iterator[Told]:
        """Sand's time of the current, where it is more than the salt bears for ever."""
        lasts_s = math.inf if self._salt is None else self._salt.lasts_s(float(context.get("current_A", 0.0)))
        if math.isfinite(lasts_s):
            yield "sand_time", lasts_s, None, "s", SALT


def _of_map(found: Any) -> Iterator[Told]:
    yield "T2(electrode)", found.electrode_s, found.electrode_sd_s, "s", MAPS
    yield "T2_width(electrode)", found.width_s, None, "s", MAPS
    yield "pixels(electrode)", float(found.pixels), None, "", MAPS
    yield "pixels(cluster)", 0.0 if found.cluster is None else float(found.cluster.pixels), None, "", MAPS
    if found.cluster is not None:
        yield "T2(cluster)", found.cluster.T2_s, found.cluster.sd_s, "s", MAPS
    yield "drift(image)", found.drift, found.drift_sd, "", MAPS


def _of_passes(found: Any) -> Iterator[Told]:
    yield "T2_of_passes(electrode)", found.electrode_s, found.electrode_sd_s, "s", MAPS
    if found.cluster is not None:
        yield "T2_of_passes(cluster)", found.cluster.T2_s, found.cluster.sd_s, "s", MAPS


def _shape(line: Component) -> dict[str, float]:
    """All that a picture of the line needs besides its amplitude."""
    names = ("phase_deg", "phase_sd_deg", "shift_ppm", "shift_sd_ppm", "lorentz_Hz", "lorentz_sd_Hz", "gauss_Hz", "gauss_sd_Hz")
    return {name: value for name in names if math.isfinite(value := float(getattr(line, name)))}


def _finite(error: float | None) -> float | None:
    return None if error is None or not math.isfinite(error) else float(error)
