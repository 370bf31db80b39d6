"""Live analysis: events of a run in, what each spectrum says out. Pure: no I/O, no clock; the same events give the same findings.

Feed every event in order. When a FID is stored, its findings come back: noise, areas of windows, complex lines, the common
phase, dA/dQ within the step, each with its standard error. Areas are amplitudes of one scan's FID at time zero. The first
finding of a spectrum carries its ``context``: charge, x, cycle, step, voltage and current at the middle of the acquisition.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestrator.analysis.battery import slope
from orchestrator.analysis.budgeting import Area, Budgeting
from orchestrator.analysis.chain import Axis, Chain, Processed, peak
from orchestrator.analysis.fourier import FourierSettings, evolution_s, evolved_s, power_of_two
from orchestrator.analysis.lines import Component, Line, LineFit, LineModel, Sight, fid_noise_sd, points_needed
from orchestrator.analysis.windows import Window, lines_of, windows_of
from orchestrator.model.columns import unpack
from orchestrator.model.events import Event
from orchestrator.model.observables import base_name, window_name
from orchestrator.model.units import NOTHING_A

HEARD = frozenset({"run.started", "step.started", "step.ended", "ec.block", "fid.block"}) | frozenset(
    f"acquisition.{word}" for word in ("started", "acquired", "stored", "verified", "missed", "rejected", "lost")
)
"""Kinds of events that it learns from; of no other it need be told."""

Floats = NDArray[np.float64]
Scan = NDArray[np.complex128]
Told = tuple[str, float, float | None, str, str]
"""Name, value, standard error, unit, algorithm."""

ALGORITHM = "operando-nmr chain 2"
LINES = "operando-nmr lines 2"
SLOPE = "operando-nmr slope 1"
SWEEPS = "operando-nmr sweeps 2"
MAPS = "operando-nmr maps 2"
KEPT_NS = 7_200_000_000_000
"""So long are samples kept for an acquisition that is out: none takes longer to come back."""
SPARE_NS = 600_000_000_000
"""So long are they kept anyhow, for what is heard of late."""
SLOPE_OVER = 12
SLOPE_FROM = 6
"""dA/dQ over so many spectra of a step, told from so many on: fewer are too noisy (practice.md, domain.md 3.9)."""
FIT_MARGIN_ppm = 25.0
PHASE_KNOWN_deg = 10.0
PEAK_SNR = 8.0
METAL_AREAS = frozenset({"area(metal)", "area(bulk)", "area(moss)"})
CONTEXT_NUMBERS = ("t_s", "x", "charge_mAh", "charge_step_mAh", "throughput_mAh", "current_A", "voltage_V")


class Finding(NamedTuple):
    """One observable of one spectrum, as the control verb ``observed`` takes it."""

    name: str
    value: float
    error: float | None
    unit: str
    key: str
    algorithm: str
    cause: int | None = None
    context: Mapping[str, Any] | None = None
    line: Mapping[str, float] | None = None
    """Of an area that is a fitted line's amplitude: ``phase_deg`` of its FID at time zero, ``shift_ppm``, widths, and their errors."""

    def row(self) -> dict[str, Any]:
        """As plain data, without what is not there."""
        return {name: value for name, value in self._asdict().items() if value is not None or name == "error"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the experiment asks of the analysis.

    ``edits``: windows of its own; ``further``: windows that its rules name;
    ``differences``: pairs of lines whose phases they compare; ``subtracted``: acquisitions that have a blank taken off;
    ``budget``: of the metal, as the experiment has it; ``resting``: what is measured in rests;
    ``pulses``: length in µs and tip angle by acquisition; ``peaks``: what shifts and widths are asked of;
    ``lead_ohm``: of the leads, which is no part of an overpotential.
    """

    cell: Mapping[str, Any] = field(default_factory=dict)
    edits: Mapping[str, Sequence[float]] = field(default_factory=dict)
    further: tuple[tuple[float, float], ...] = ()
    differences: tuple[tuple[str, str], ...] = ()
    subtracted: frozenset[str] = frozenset()
    pulses: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    peaks: frozenset[str] = frozenset()
    lead_ohm: float = 0.0
    budget: Mapping[str, Any] | None = None
    resting: frozenset[str] = frozenset()

    @classmethod
    def of(cls, started: Mapping[str, Any]) -> Wanted:
        """Out of the data of ``run.started``."""
        plan = started.get("plan")
        plan = plan if isinstance(plan, Mapping) else {}
        cell = plan.get("cell")
        edits = (plan.get("analysis") or {}).get("windows") or {}
        rules = plan.get("rules") or ()
        acquisitions = plan.get("acquisitions") or {}
        return cls(
            cell if isinstance(cell, Mapping) else {},
            edits,
            tuple(dict.fromkeys((*_rule_windows(rules), *_budget_windows(plan.get("budget"))))),
            tuple(dict.fromkeys(_differences(rules))),
            frozenset(name for name, planned in acquisitions.items() if planned.get("subtract"))
            | frozenset(name for name, _, blank in _tracked(rules) if blank),
            {name: pulse for name, planned in acquisitions.items() if (pulse := _pulse(planned.get("template") or {})) is not None},
            frozenset(_peaks(rules)),
            float(plan.get("lead_ohm") or 0.0),
            plan.get("budget"),
            frozenset(_in_rests(plan.get("steps") or ())),
        )


def _in_rests(steps: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for step in steps:
        if step.get("mode") == "rest":
            yield from (str(trigger["acquisition"]) for trigger in step.get("triggers") or ())
            yield from map(str, step.get("acquisitions") or ())


def _budget_windows(budget: Mapping[str, Any] | None) -> Iterator[tuple[float, float]]:
    if budget is not None:
        low_ppm, high_ppm = budget["metal_ppm"]
        yield float(low_ppm), float(high_ppm)


def _predicates(rules: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for rule in rules:
        yield from (*(rule.get("all_of") or ()), *(rule.get("any_of") or ()))


def _tracked(rules: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, tuple[float, float], bool]]:
    """Acquisition and window of the strongest line that a rule follows, and whether a blank is taken off."""
    for rule in rules:
        extra = rule.get("extra") or {}
        if track := extra.get("track"):
            low_ppm, high_ppm = track["window_ppm"]
            yield str(track["acquisition"]), (float(low_ppm), float(high_ppm)), bool(extra.get("after"))


def _rule_windows(rules: Iterable[Mapping[str, Any]]) -> Iterator[tuple[float, float]]:
    for predicate in _predicates(rules):
        if predicate.get("window_ppm"):
            low_ppm, high_ppm = predicate["window_ppm"]
            yield float(low_ppm), float(high_ppm)
    yield from (window for _, window, _ in _tracked(rules))


def _peaks(rules: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Names of what shifts or widths are asked of."""
    for predicate in _predicates(rules):
        base, _, line = str(predicate["observable"]).partition("(")
        if base in {"shift", "width"}:
            yield window_name(*predicate["window_ppm"]) if predicate.get("window_ppm") else line.removesuffix(")")
    yield from (window_name(*window) for _, window, _ in _tracked(rules))


def _pulse(template: Mapping[str, Any]) -> tuple[float, float] | None:
    """Microseconds and tip angle of a template's pulse, where it says so."""
    pulse_us, tip_deg = template.get("pulse_us"), template.get("tip_deg", 90.0)
    right = isinstance(pulse_us, int | float) and isinstance(tip_deg, int | float) and tip_deg > 0
    return (float(pulse_us), float(tip_deg)) if right and isinstance(pulse_us, int | float) else None


def _differences(rules: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for predicate in _predicates(rules):
        name, _, lines = str(predicate["observable"]).partition("(")
        if name == "phase_difference_deg":
            first, _, second = lines.removesuffix(")").partition(", ")
            yield first, second


@dataclass(slots=True, eq=False)
class _Stream:
    """What is known of one acquisition on one axis: its chain, its lines, and where the last fit came to."""

    chain: Chain
    model: LineModel | None
    start: Floats | None = None
    fit: LineFit | None = None
    blanks: list[Scan] = field(default_factory=list)


class _Samples:
    """The samples since the oldest acquisition began that is still out, and of the last minutes; always the newest before them."""

    def __init__(self) -> None:
        self._blocks: deque[Event] = deque()

    def feed(self, event: Event, out_since_ns: Iterable[int | None]) -> None:
        began_ns = min((since_ns for since_ns in out_since_ns if since_ns is not None), default=event.mono_ns)
        oldest_ns = max(event.mono_ns - KEPT_NS, min(began_ns, event.mono_ns) - SPARE_NS)
        self._blocks.append(event)
        while len(self._blocks) > 1 and self._blocks[1].mono_ns < oldest_ns:
            self._blocks.popleft()

    def context(self, start_ns: int, end_ns: int, origin_ns: int) -> dict[str, Any]:
        """Charge, x, voltage, current and step at the middle of an acquisition; without samples nothing."""
        middle_ns = (start_ns + end_ns) // 2
        found: dict[str, Any] = {"mono_ns": middle_ns, "t_s": (middle_ns - origin_ns) / 1e9}
        around = [event for event in self._blocks if start_ns - 3e9 <= event.mono_ns <= end_ns + 3e9]
        if not around:
            around = [event for event in self._blocks if event.mono_ns <= middle_ns][-1:]
        if not around:
            return found
        columns = [unpack(event.data["columns"], event.blob or b"", event.data["n"]) for event in around]
        at = np.concatenate([each["mono_ns"] for each in columns]).astype(np.float64)

        def middle(name: str) -> float:
            return float(np.interp(middle_ns, at, np.concatenate([each[name] for each in columns])))

        found["charge_mAh"], found["throughput_mAh"] = middle("charge_net_C") / 3.6, middle("charge_throughput_C") / 3.6
        found["x"], found["voltage_V"], found["current_A"] = middle("x"), middle("voltage_V"), middle("current_A")
        own = next((n for n, each in enumerate(columns) if each["mono_ns"][-1] >= middle_ns), len(columns) - 1)
        step = around[own].data
        found["charge_step_mAh"] = float(np.interp(middle_ns, columns[own]["mono_ns"], columns[own]["charge_step_C"])) / 3.6
        return found | {"cycle": int(step["cycle"]), "step_key": str(step["step_key"])}


class LiveAnalysis:
    """Feed it every event of a run once, in order. ``full``: everything there is to tell, for reprocessing and export.

    ``edits``: windows by name instead of the experiment's.
    """

    def __init__(self, *, full: bool = False, edits: Mapping[str, Sequence[float]] | None = None) -> None:
        self._full = full
        self._edits = edits
        self._wanted = Wanted()
        self._origin_ns = 0
        self._driven_ns: int | None = None
        self._edge: tuple[str, int] = ("", 0)
        self._samples = _Samples()
        self._budgeting: Budgeting | None = None
        self._heard: dict[str, list[int | None]] = {}
        self._fids: dict[tuple[str, int], Event] = {}
        self._streams: dict[tuple[Any, ...], _Stream] = {}
        self._slopes: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
        self._steps: dict[tuple[str, str], str] = {}
        self._images: dict[str, dict[int, tuple[float, Scan]]] = {}
        self.contexts: dict[str, dict[str, Any]] = {}

    def feed(self, event: Event) -> list[Finding]:
        """What one event lets us know; empty for all but ``acquisition.stored``."""
        if event.kind == "step.started":
            self._edge = (str(event.data["key"]), event.mono_ns)
        match event.kind:
            case "run.started":
                self._wanted = Wanted.of(event.data)
                if self._edits is not None:
                    self._wanted = replace(self._wanted, edits=self._edits)
                self._origin_ns = int(event.data["origin_mono_ns"])
                self._budgeting = self._budget_of(self._wanted)
            case "step.started":
                self._step_started(event)
            case "step.ended" if self._budgeting is not None:
                self._budgeting.ended(event.data)
            case "ec.block":
                self._samples.feed(event, (ends[0] for ends in self._heard.values()))
            case "acquisition.started" | "acquisition.acquired" if event.data.get("heard", True):
                ends = self._heard.setdefault(event.data["key"], [None, None])
                first = event.kind.endswith("started")
                if not first or ends[0] is None:
                    ends[0 if first else 1] = event.mono_ns
            case "fid.block":
                self._fids[event.data["key"], event.data["block"]] = event
            case "acquisition.stored":
                stored = self._fids.pop((event.data["key"], event.data["block"]), None)
                return [] if stored is None else self._analysed(stored)
            case "acquisition.verified" | "acquisition.missed" | "acquisition.rejected" | "acquisition.lost":
                self._heard.pop(event.data["key"], None)
            case _:
                pass
        return []

    @staticmethod
    def _budget_of(wanted: Wanted) -> Budgeting | None:
        return None if wanted.budget is None else Budgeting(tuple(wanted.budget.get("cycles") or (2, 4)), wanted.resting)

    def _step_started(self, event: Event) -> None:
        """What is measured before the protocol drives the cell is a blank; a preparation's polarity or impedance is no driving."""
        of_protocol = event.data.get("index", 0) >= 0 and event.data["mode"] not in {"rest", "impedance"}
        if of_protocol and self._driven_ns is None:
            self._driven_ns = event.mono_ns
        if self._budgeting is not None:
            self._budgeting.started(event.data)

    # ------------------------------------------------------------------------------------------------------ one spectrum

    def _analysed(self, event: Event) -> list[Finding]:
        data = event.data
        fids = _scans_of(data, event.blob or b"")
        scans = int(data["scans"] or 0)
        if data.get("encodes") and scans >= 1:
            return self._found(event, self._of_image(data, fids / scans), self._context(event, scans))
        if data.get("rows") and scans >= 1 and fids.shape[1] >= 64:
            return self._found(event, self._of_array(data, fids / scans), self._context(event, scans))
        if len(fids) != 1 or scans < 1 or fids.shape[1] < 64:
            return []
        stream = self._stream(data, fids.shape[1])
        scan = fids / scans
        context = self._context(event, scans)
        blank = self._blank(stream, scan[0], context) if data["name"] in self._wanted.subtracted else None
        told = self._spectrum(stream, scan, data, blank, scans)
        told += self._overpotential(told, context)
        told += self._slopes_of(told, data["name"], context)
        told += self._budgeted(told, data["name"], context)
        return self._found(event, told, context, stream.fit)

    def _spectrum(self, stream: _Stream, scan: Scan, data: Mapping[str, Any], blank: Scan | None, scans: int) -> list[Told]:
        """All that complex (1, points), the FID of one scan, tells by itself."""
        raw_sd = fid_noise_sd(scan[0])
        processed = stream.chain.process(scan, _noise_less(blank, scan[0], raw_sd), blank)
        wandered = np.exp(1j * np.deg2rad(float(processed.drift.ph0_deg[0])))
        fit = stream.fit = self._fitted(stream, scan[0] if blank is None else scan[0] - blank * wandered, float(processed.noise_sd[0]))
        mirrored = bool(data.get("reversed_axis"))
        lines = self._lines(fit, processed, data["reference_MHz"], mirrored=mirrored)
        told = [*self._general(processed, raw_sd, scans), *self._areas(processed, fit, mirrored=mirrored), *lines]
        return told + self._compared(told)

    def blank(self, data: Mapping[str, Any], blob: bytes) -> None:
        """One scan's share of a FID that is taken off what ``relative_error`` looks at; data and blob of a ``fid.block``."""
        scan = _scans_of(data, blob) / int(data["scans"])
        self._stream(data, scan.shape[-1]).blanks.append(scan[0])

    def relative_error(self, data: Mapping[str, Any], blob: bytes, observable: str) -> float:
        """Standard error over value of an area, in the spectrum of one FID so far: data and blob as of its ``fid.block``.

        inf where nothing is resolved; nothing is remembered but where the fit came to. Raises ValueError where no such area is told.
        """
        scan = _scans_of(data, blob) / max(1, int(data["scans"] or 0))
        stream = self._stream(data, scan.shape[-1])
        blank = np.mean(stream.blanks, axis=0) if stream.blanks and data["name"] in self._wanted.subtracted else None
        told = self._spectrum(stream, scan, data, blank, int(data["scans"] or 0))
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
        return [] if found is None else self._budgeting.area(acquisition, str(context.get("step_key", "")), Area(*found))

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

    def _of_array(self, data: Mapping[str, Any], scan: Scan) -> Iterator[Told]:
        """Times, pulses and drift of every window of an array."""
        from orchestrator.analysis import sweeps

        stream, rows = self._stream(data, scan.shape[1]), data["rows"]
        noise_sd = float(np.median([fid_noise_sd(row) for row in scan]))
        yield "noise_sd", noise_sd * math.sqrt(int(data["scans"])), None, "", ALGORITHM
        if noise_sd <= 0.0 or len(rows["values"]) != len(scan):
            return
        sweep = sweeps.Sweep(data["sequence"], rows["name"], np.array(rows["values"]), data["nucleus"], data.get("settings") or {})
        yield from ((*one, SWEEPS) for one in sweeps.told(sweep, stream.chain, scan, noise_sd))

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
        if value.get("name") == "TE_ms" and len(np.unique(echo_s)) > 1:
            stack = np.stack([image for _, image in ordered])
            yield from _of_map(maps.mapped(stack, echo_s, maps.image_noise_sd(stack), mirrored=mirrored).summary)

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
        if self._full:
            self.contexts[key] = context
        return context

    @staticmethod
    def _blank(stream: _Stream, scan: Scan, context: Mapping[str, Any]) -> Scan | None:
        """The mean of what was measured before the protocol's first current; of a blank itself those before it, of the first itself."""
        earlier = np.mean(stream.blanks, axis=0) if stream.blanks else None
        if not context["blank"]:
            return earlier
        stream.blanks.append(scan)
        return scan if earlier is None else earlier

    def _stream(self, data: Mapping[str, Any], points: int) -> _Stream:
        axis = (data["spectral_width_Hz"], data["carrier_MHz"], data["reference_MHz"], bool(data.get("reversed_axis")))
        where = (data["name"], points, *axis, data.get("group_delay_points"))
        if where not in self._streams:
            self._streams[where] = self._made(data, points)
        return self._streams[where]

    def _made(self, data: Mapping[str, Any], points: int) -> _Stream:
        """Chain and lines of one acquisition on one axis."""
        nucleus, cell = str(data["nucleus"]), self._wanted.cell
        windows = [*windows_of(nucleus, cell, self._wanted.edits)]
        windows += [Window(window_name(*edges), *edges, metal=True) for edges in self._wanted.further]
        settings = FourierSettings(
            points=power_of_two(points),
            spectral_width_Hz=data["spectral_width_Hz"],
            group_delay_points=data.get("group_delay_points") or 0.0,
            reversed_axis=bool(data.get("reversed_axis")),
        )
        axis = Axis(data["carrier_MHz"], data["reference_MHz"])
        chain = Chain(settings, axis, windows, tracked=("electrolyte",), evolved_s=self._evolved_s(data))
        return _Stream(chain, _line_model(data, points, lines_of(nucleus, cell), settings))

    def _evolved_s(self, data: Mapping[str, Any]) -> float:
        """By the console's own words, or by the template's pulse alone."""
        found = evolved_s(data.get("parameters") or {})
        pulse_us, tip_deg = self._wanted.pulses.get(data["name"], (0.0, 90.0))
        return evolution_s(pulse_us, tip_deg) if found is None else found

    @staticmethod
    def _fitted(stream: _Stream, scan: NDArray[np.complex128], noise_sd: float) -> LineFit | None:
        if stream.model is None or noise_sd <= 0.0:
            return None
        fit = stream.model.fit(scan, start=stream.start, noise_sd=noise_sd)
        if fit.converged and all(component.resolved for component in fit.components):
            stream.start = fit.start
        return fit

    # ------------------------------------------------------------------------------------------------------------ telling

    def _general(self, processed: Processed, noise_sd: float, scans: int) -> Iterator[Told]:
        yield "noise_sd", noise_sd * math.sqrt(scans), None, "", ALGORITHM
        areas = processed.areas
        if "electrolyte" in areas.names:
            yield "line_snr(electrolyte)", float(processed.whole_snr[0, areas.names.index("electrolyte")]), None, "", ALGORITHM
            if (sd := float(processed.drift.sd_deg[0])) < 45.0:
                yield "phase(electrolyte)", float(processed.drift.ph0_deg[0]), sd, "deg", ALGORITHM

    def _areas(self, processed: Processed, fit: LineFit | None, *, mirrored: bool) -> Iterator[Told]:
        """Window integrals; where a line of that name is fitted its amplitude is the area, and the window's goes under another name."""
        areas = processed.areas
        asked = {name for pair in self._wanted.differences for name in pair} - {"electrolyte"}
        lines = {component.name for component in fit.components} if fit is not None else set()
        for n, name in enumerate(areas.names):
            if name not in lines:
                yield f"area({name})", float(areas.area[0, n]), float(areas.area_sd[0, n]), "", ALGORITHM
                phase_deg, phase_sd_deg = processed.phase_of(0, name) if name in asked else (0.0, 180.0)
                if phase_sd_deg < PHASE_KNOWN_deg:
                    yield f"phase({name})", -phase_deg if mirrored else phase_deg, phase_sd_deg, "deg", ALGORITHM
                if name in self._wanted.peaks and float(areas.snr[0, n]) > PEAK_SNR:
                    yield from self._peak(processed, n)
            elif self._full:
                yield f"window_area({name})", float(areas.area[0, n]), float(areas.area_sd[0, n]), "", ALGORITHM

    @staticmethod
    def _peak(processed: Processed, n: int) -> Iterator[Told]:
        """Shift and width of the strongest line inside a window, without a model of it."""
        window = processed.windows[n]
        shift_ppm, width_ppm = peak(processed.spectra[0].real, processed.axis_ppm, window.inside(processed.axis_ppm))
        yield f"shift({window.name})", shift_ppm, width_ppm / (2.0 * float(processed.areas.snr[0, n])), "ppm", ALGORITHM
        yield f"width({window.name})", width_ppm, None, "ppm", ALGORITHM

    def _lines(self, fit: LineFit | None, processed: Processed, reference_MHz: float, *, mirrored: bool) -> Iterator[Told]:
        """Fitted lines; of one that is not resolved an upper limit and nothing more. On a mirrored axis phases are mirrored too."""
        if fit is None:
            return
        common_deg = processed.phase.ph0_deg + float(processed.drift.ph0_deg[0])
        for line in fit.components:
            if not line.resolved:
                yield f"upper_limit({line.name})", line.upper_limit, None, "", LINES
                continue
            yield f"area({line.name})", line.amplitude, line.amplitude_sd, "", LINES
            yield f"shift({line.name})", line.shift_ppm, line.shift_sd_ppm, "ppm", LINES
            turned_deg = processed.phase.ph1_deg_per_ppm * (line.shift_ppm - processed.phase.pivot_ppm)
            phase_deg = (line.phase_deg - common_deg - turned_deg + 180.0) % 360.0 - 180.0
            yield f"phase({line.name})", -phase_deg if mirrored else phase_deg, line.phase_sd_deg, "deg", LINES
            if self._full or line.name in self._wanted.peaks:
                yield f"width({line.name})", voigt_width(line) / reference_MHz, None, "ppm", LINES
        if self._full:
            yield "fit_rms", fit.rms_of_maximum, None, "", LINES

    def _compared(self, told: Sequence[Told]) -> list[Told]:
        """Differences of phases that rules ask for. A metal's phase is against the common one already."""
        phases = {name: (value, sd) for name, value, sd, _, _ in told if base_name(name) == "phase"}
        found: list[Told] = []
        for first, second in self._wanted.differences:
            one, other = phases.get(f"phase({first})"), phases.get(f"phase({second})")
            if one is not None and other is not None:
                value = one[0] - (0.0 if second == "electrolyte" else other[0])
                sd = math.hypot(one[1] or 0.0, other[1] or 0.0)
                found.append((f"phase_difference_deg({first}, {second})", (value + 180.0) % 360.0 - 180.0, sd, "deg", ALGORITHM))
        return found

    def _overpotential(self, told: Sequence[Told], context: Mapping[str, Any]) -> list[Told]:
        """Of a symmetric cell under current, beside every spectrum that shows metal: both stand in one row for good."""
        current_A, metal = context.get("current_A", 0.0), any(name in METAL_AREAS for name, *_ in told)
        if self._wanted.cell.get("type") != "symmetric" or abs(current_A) < NOTHING_A or "voltage_V" not in context or not metal:
            return []
        return [("overpotential", abs(context["voltage_V"] - current_A * self._wanted.lead_ohm), None, "V", ALGORITHM)]

    def _slopes_of(self, told: Sequence[Told], acquisition: str, context: Mapping[str, Any]) -> list[Told]:
        """dA/dQ of every metal area over the last spectra of this step, where current flows."""
        if abs(context.get("current_A", 0.0)) < NOTHING_A or "charge_step_mAh" not in context:
            return []
        step_key = str(context["step_key"]).partition(".")[0]
        charge_mAh = abs(context["charge_step_mAh"])
        found: list[Told] = []
        for name, area, sd, _, _ in told:
            if base_name(name) != "area" or sd is None or not sd > 0 or name == "area(electrolyte)":
                continue
            history = self._slopes.setdefault((acquisition, name), [])
            if self._steps.get((acquisition, name)) != step_key:
                self._steps[acquisition, name] = step_key
                history.clear()
            history.append((charge_mAh, area, sd))
            del history[:-SLOPE_OVER]
            if len(history) >= SLOPE_FROM:
                line = slope(*np.array(history).T)
                found.append((f"slope{name.removeprefix('area')}", float(line.slope), float(line.slope_sd), "1/mAh", SLOPE))
        return found


def _of_map(found: Any) -> Iterator[Told]:
    yield "T2(electrode)", found.electrode_s, found.electrode_sd_s, "s", MAPS
    yield "T2_width(electrode)", found.width_s, None, "s", MAPS
    yield "pixels(electrode)", float(found.pixels), None, "", MAPS
    yield "pixels(cluster)", 0.0 if found.cluster is None else float(found.cluster.pixels), None, "", MAPS
    if found.cluster is not None:
        yield "T2(cluster)", found.cluster.T2_s, found.cluster.sd_s, "s", MAPS
    yield "drift(image)", found.drift, found.drift_sd, "", MAPS


def _line_model(data: Mapping[str, Any], points: int, lines: Sequence[Line], settings: FourierSettings) -> LineModel | None:
    """The fit of a nucleus' metal lines, where the spectrum shows their window."""
    if not lines:
        return None
    low_ppm = min(line.shift_ppm[0] for line in lines) - FIT_MARGIN_ppm
    high_ppm = max(line.shift_ppm[1] for line in lines) + FIT_MARGIN_ppm
    half_ppm = 0.5 * settings.spectral_width_Hz / data["reference_MHz"]
    centre_ppm = (data["carrier_MHz"] / data["reference_MHz"] - 1.0) * 1e6
    if low_ppm < centre_ppm - half_ppm or high_ppm > centre_ppm + half_ppm:
        return None
    sight = Sight(
        points_needed(lines, points, settings.spectral_width_Hz),
        settings.spectral_width_Hz,
        data["carrier_MHz"],
        data["reference_MHz"],
        (low_ppm, high_ppm),
        group_delay_points=settings.group_delay_points,
        reversed_axis=settings.reversed_axis,
    )
    try:
        return LineModel(sight, lines)
    except ValueError:
        return None


def _scans_of(data: Mapping[str, Any], blob: bytes) -> Scan:
    """complex128 (rows, points): the sum of all scans, out of data and blob of a ``fid.block``."""
    return np.frombuffer(blob, np.dtype(data["dtype"])).reshape(-1, data["shape"][-1]).astype(np.complex128)


def _noise_less(blank: Scan | None, scan: Scan, raw_sd: float) -> float:
    """Noise of what is left when a blank is taken off; of a blank less itself that of two."""
    if blank is None:
        return raw_sd
    return fid_noise_sd(scan - blank) or math.sqrt(2.0) * raw_sd


def _shape(line: Component) -> dict[str, float]:
    """All that a picture of the line needs besides its amplitude."""
    names = ("phase_deg", "phase_sd_deg", "shift_ppm", "shift_sd_ppm", "lorentz_Hz", "lorentz_sd_Hz", "gauss_Hz", "gauss_sd_Hz")
    return {name: value for name in names if math.isfinite(value := float(getattr(line, name)))}


def voigt_width(line: Component) -> float:
    """Full width at half height in Hz (Olivero and Longbothum 1977, good to 0.02 %)."""
    return 0.5346 * line.lorentz_Hz + math.sqrt(0.2166 * line.lorentz_Hz**2 + line.gauss_Hz**2)


def _finite(error: float | None) -> float | None:
    return None if error is None or not math.isfinite(error) else float(error)
