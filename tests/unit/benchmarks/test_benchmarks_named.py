"""Every benchmark that is named can be begun, and what they count they count right."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import NAMES
from benchmarks.measure import ratios
from benchmarks.sampling import missing
from benchmarks.trigger import edges_ms

REPOSITORY = Path(__file__).parent.parent.parent.parent


@pytest.mark.parametrize("name", NAMES)
def test_each_named_benchmark_is_a_module_that_measures(name: str) -> None:
    """Read, not imported: some take in libraries for seconds."""
    tree = ast.parse((REPOSITORY / "benchmarks" / f"{name}.py").read_text("utf-8"))
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "measure"]
    assert [len(one.args.args) for one in found] == [2]


def test_help_names_them_all_and_an_unknown_one_is_refused() -> None:
    command = [sys.executable, "-m", "benchmarks"]
    said = subprocess.run([*command, "--help"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert set(NAMES) <= set(said.replace(",", " ").split())
    refused = subprocess.run([*command, "no_such"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (refused.returncode, "no_such" in refused.stderr) == (2, True)


def test_lost_samples_are_counted_and_late_ones_are_not_lost() -> None:
    even_s = np.arange(100) * 0.01
    assert missing(even_s, 0.01) == 0
    assert missing(even_s + 0.002 * (np.arange(100) % 2), 0.01) == 0
    assert missing(np.delete(even_s, [10, 50, 51]), 0.01) == 3


def test_an_edge_is_the_last_order_for_a_current_before_the_start() -> None:
    rows = [(":SOUR:CURR 1", 0), ("start read", 5_000_000), (":READ?", 6_000_000), (":SOUR:CURR -1", 7_000_000), ("start read", 8_000_000)]
    assert edges_ms(rows) == [5.0, 1.0]


def test_ratios_are_those_of_pairs() -> None:
    assert ratios([2.0, 9.0, 4.0], [1.0, 3.0, 1.0]) == "3.00 (2.00 to 4.00) x"
