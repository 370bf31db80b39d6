"""Which nights are lived each time: few, and no fault without one."""

from __future__ import annotations

import ast
from pathlib import Path

from nights.schedule import FAULTS, night_of


def test_every_fault_has_its_night() -> None:
    chosen = [46, 251]  # test_nights_shown.py
    for path in sorted(Path(__file__).parent.glob("test_nights_[abc].py")):
        values = [node.value for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.Assign)]
        chosen += [seed for value in values for seed in ast.literal_eval(value)]
    met = [{fault.partition(":")[0] for fault in night_of(seed).faults} for seed in chosen]
    assert set().union(*met) == set(FAULTS)
    assert set() in met, "a quiet night is one of them"
