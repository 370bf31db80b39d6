"""The tutorial notebook runs from its first cell to its last in a kernel of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from artificial_night import Night
from nbclient import NotebookClient
from reported import clean, run_folder

NOTEBOOK = Path(__file__).parents[3] / "docs" / "tutorial" / "a-run-in-a-notebook.ipynb"


@pytest.fixture
def notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_kept_without_outputs(notebook: Any) -> None:
    nbformat.validate(notebook)
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of the kernel's libraries
def test_it_runs_from_the_first_cell_to_the_last(notebook: Any, tmp_path: Path) -> None:
    run_folder(tmp_path / "runs" / "20260101T000000Z_night", clean(Night(samples=300, fids=3, points=256)))
    done = NotebookClient(notebook, timeout=50, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    said = "".join(output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs)
    assert "<run 'night', finished" in said
    assert "area(metal)" in said
    assert "'verified' 'verified' 'verified'" in said
