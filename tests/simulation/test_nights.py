"""Whole nights on the simulated pair, in virtual time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

Live = Callable[..., Any]


def test_the_demo_runs_as_planned(live: Live, repository: Path) -> None:
    night = live(repository / "configs" / "experiments" / "demo.yaml")
    import sys

    sys.path.insert(0, "/tmp")
    from trace import trace

    trace(night)
    for event in []:
        if event.kind not in ("ec.block", "clock.sample"):
            print(
                f"{night.seconds(event):9.3f}",
                event.seq,
                event.cause,
                event.kind,
                {k: v for k, v in event.data.items() if k not in ("parameters", "files", "times", "capabilities")},
            )
    print(night.outcome, Counter(event.kind for event in night.journal.events))
    assert night.outcome.exit_code == 0
