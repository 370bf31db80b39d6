"""What FIDs tell by themselves, stream by stream: the part of the analysis that may be done anywhere. Pure.

Of earlier spectra a fit needs the phase that was learned once, the blanks, and where the last fit came to. In a reprocessing
(``full``) every ``AFRESH``th fit of a stream begins from its own start: so a series may be cut there, and each piece looked at
by somebody else with the very same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from orchestrator.analysis.findings import ALGORITHM, SWEEPS, Told
from orchestrator.analysis.lines import LineFit, fid_noise_sd
from orchestrator.analysis.spectrum import Scan, Stream
from orchestrator.analysis.wanted import Wanted

if TYPE_CHECKING:
    from orchestrator.model.events import Event

AFRESH = 256
FEWEST_POINTS = 64


class Looked(NamedTuple):
    """What one FID tells, and the fit of its lines where it was made here."""

    told: list[Told]
    fit: LineFit | None = None


def scans_of(data: Mapping[str, Any], blob: bytes | None) -> Scan:
    """complex128 (rows, points): the sum of all scans, out of data and blob of a ``fid.block``."""
    return np.frombuffer(blob or b"", np.dtype(data["dtype"])).reshape(-1, data["shape"][-1]).astype(np.complex128)


def stream_key(data: Mapping[str, Any]) -> tuple[Any, ...]:
    """What the FIDs of one stream have in common."""
    axis = (data["spectral_width_Hz"], data["carrier_MHz"], data["reference_MHz"], bool(data.get("reversed_axis")))
    return (data["name"], data["shape"][-1], *axis, data.get("group_delay_points"))


class Streams:
    """The streams of one run."""

    def __init__(self, wanted: Wanted, *, full: bool = False) -> None:
        self._wanted, self._full = wanted, full
        self._known: dict[tuple[Any, ...], Stream] = {}

    def of(self, data: Mapping[str, Any]) -> Stream:
        """The stream of a ``fid.block``."""
        key = stream_key(data)
        if key not in self._known:
            self._known[key] = Stream(data, data["shape"][-1], self._wanted, full=self._full)
        return self._known[key]

    def subtracts(self, data: Mapping[str, Any]) -> bool:
        """Whether a blank is taken off this acquisition's spectra."""
        return data["name"] in self._wanted.subtracted

    def look(self, event: Event, context: Mapping[str, Any]) -> Looked:
        """What one FID, or one array of them, tells by itself."""
        stream, scan = self._begun(event)
        if event.data.get("rows"):
            return Looked(list(self._of_array(stream, event.data, scan)))
        blank = stream.taken_off(scan[0], context) if self.subtracts(event.data) else None
        return Looked(stream.told(scan, event.data, blank, int(event.data["scans"])), stream.fit)

    def survey(self, event: Event, context: Mapping[str, Any]) -> None:
        """Only learn of a FID what looks at later ones need of it."""
        stream, scan = self._begun(event)
        if event.data.get("rows"):
            return
        if self.subtracts(event.data):
            stream.taken_off(scan[0], context)
        stream.chain.teach(scan)

    def _begun(self, event: Event) -> tuple[Stream, Scan]:
        stream = self.of(event.data)
        if self._full and stream.looks % AFRESH == 0:
            stream.afresh()
        stream.looks += 1
        return stream, scans_of(event.data, event.blob) / int(event.data["scans"])

    @staticmethod
    def _of_array(stream: Stream, data: Mapping[str, Any], scan: Scan) -> Iterator[Told]:
        """Times, pulses and drift of every window of an array."""
        from orchestrator.analysis import sweeps

        rows = data["rows"]
        noise_sd = float(np.median([fid_noise_sd(row) for row in scan]))
        yield "noise_sd", noise_sd * math.sqrt(int(data["scans"])), None, "", ALGORITHM
        if noise_sd <= 0.0 or len(rows["values"]) != len(scan):
            return
        sweep = sweeps.Sweep(data["sequence"], rows["name"], np.array(rows["values"]), data["nucleus"], data.get("settings") or {})
        yield from ((*one, SWEEPS) for one in sweeps.told(sweep, stream.chain, scan, noise_sd))


Look = Callable[[Streams, "Event", Mapping[str, Any]], Looked]
"""Who looks at a FID: ``Streams.look``, or somebody who has it from elsewhere."""
