"""What a followed run's journal already holds, so that following goes on behind it: nothing is told twice, nothing left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from orchestrator.imports.telling import HalfTold
from orchestrator.model.columns import unpack
from orchestrator.model.events import Event

CYCLER = "cycler"
"""Whose clock the samples of the offset are of."""
ENDS = frozenset({"acquisition.verified", "acquisition.lost"})


@dataclass(slots=True)
class Remembered:
    """``taken``: keys of spectra that are told whole. ``rows``: file → rows that are. ``half_told``: how far others came."""

    utc_less_mono_ns: int = 0
    zone: str = "UTC"
    name: str = ""
    rung: int | str | None = None
    taken: dict[str, None] = field(default_factory=dict)
    half_told: dict[str, HalfTold] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    offset_s: float | None = None
    half_width_s: float = 0.0
    how: str = ""
    step_index: int = -1
    step_key: str = ""
    last_sample_ns: int = -(1 << 62)
    last_ns: int = 0
    net_C: float = 0.0
    throughput_C: float = 0.0
    ended: bool = False
    times: int = 0
    alarms: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Iterable[Event]) -> Remembered:
        """From all events of a run, in order."""
        found = cls()
        for event in events:
            found.feed(event)
        return found

    def feed(self, event: Event) -> None:
        """The next event."""
        data, self.last_ns = event.data, max(self.last_ns, event.utc_ns)
        match event.kind:
            case "run.started":
                self.utc_less_mono_ns = event.utc_ns - event.mono_ns
                self.zone, self.name, self.rung = str(data["zone"]), str(data["name"]), data.get("rung")
            case "run.state":
                self.ended, self.times = False, self.times + (data["to"] == "running")
            case "run.ended":
                self.ended = True
            case "acquisition.requested":
                self.half_told.setdefault(data["key"], HalfTold())
            case "fid.block":
                self.half_told[data["key"]] = HalfTold(event.seq)
            case "acquisition.stored":
                self.half_told[data["key"]] = HalfTold(int(data["fid_seq"]), stored=True)
            case "ec.block":
                self._samples(event)
            case "step.started":
                self.step_index, self.step_key = int(data["index"]), str(data["key"])
            case "step.ended":
                self.step_key = ""
            case "clock.sample" if data["instrument"] == CYCLER and data.get("used"):
                self.offset_s, self.half_width_s = float(data["offset_s"]), data["half_width_ns"] / 1e9
                self.how = str(data.get("how", ""))
            case "alarm.raised":
                self.alarms[data["id"]] = None
            case "alarm.cleared":
                self.alarms.pop(data["id"], None)
            case kind if kind in ENDS:
                self.taken[data["key"]] = None
                self.half_told.pop(data["key"], None)
            case _:
                pass

    def _samples(self, event: Event) -> None:
        data = event.data
        self.rows[str(data.get("file", ""))] = int(data.get("row", 0))
        columns = unpack(data["columns"], event.blob or b"", data["n"])
        self.last_sample_ns = int(columns["mono_ns"][-1]) + self.utc_less_mono_ns
        net_C, throughput_C = float(columns["charge_net_C"][-1]), float(columns["charge_throughput_C"][-1])
        if np.isfinite(net_C):
            self.net_C, self.throughput_C = net_C, throughput_C
