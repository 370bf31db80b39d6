"""What a page knows of a rig when it has heard these messages."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.monitor.dashboard.rigs import Rig, Rigs
from orchestrator.monitor.picture import Out
from orchestrator.monitor.topics import Topics

TOPICS = Topics("magnet-2")
NOW_s = 1_790_000_700.0


def heard(outs: Iterable[Out]) -> tuple[Rigs, Rig]:
    rigs = Rigs(NOW_s)
    for out in outs:
        rigs.hear(out.topic, out.payload, NOW_s, retained=True)
    return rigs, rigs.by_level["magnet-2"]
