"""tomato with two instruments: each step of the potentiostat but the first is what an acquisition of the console waits for."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.peers.side import Case
from benchmarks.peers.tomato import Tomato, current_step

STEP_s, EVERY_s = 2.0, 0.05


class TomatoTrigger(Tomato):
    """``start_with_task_name`` is its trigger. ``edges``: so many steps are followed by an acquisition."""

    files: ClassVar[tuple[str, ...]] = (*Tomato.files, "tomato_console.py")
    edges = 10

    def devices(self, case: Case) -> list[dict[str, object]]:
        """The source-measure unit and the console, at its command socket."""
        console = {
            "name": "console",
            "driver": "console",
            "address": case.addresses["console"]["address"],
            "channels": ["1"],
            "pollrate": 1,
        }
        return [*super().devices(case), console]

    def steps(self, case: Case) -> list[dict[str, object]]:
        """Currents in turn; with each new one an acquisition."""
        currents = [current_step(case.current_A * (-1) ** n, STEP_s, EVERY_s) | {"task_name": f"s{n}"} for n in range(self.edges + 1)]
        acquisitions: list[dict[str, object]] = [
            {
                "component_role": "nmr",
                "max_duration": 0.2,
                "sampling_interval": 0.1,
                "technique_name": "acquire",
                "task_params": {"scans": 1.0},
                "start_with_task_name": f"s{n}",
            }
            for n in range(1, self.edges + 1)
        ]
        return [*currents, *acquisitions]
