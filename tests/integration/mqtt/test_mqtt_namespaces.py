"""Two rigs and one dashboard, each at the end of a cable of its own: what the page says while a cable is out, and after."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.posix_only, pytest.mark.needs("unshare", "ip", "mosquitto"), pytest.mark.timeout(300)]


def test_two_rigs_and_a_dashboard_whose_cables_are_cut_and_put_back(tmp_path: Path) -> None:
    play = Path(__file__).parents[2] / "support" / "two_rigs_apart.py"
    done = subprocess.run(
        ["unshare", "-rmn", sys.executable, str(play), str(tmp_path)], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:] + "".join(log.read_text()[-1000:] for log in tmp_path.glob("*.log"))
    said = json.loads(done.stdout)
    fine = {"north": "fine: cell-17 fine", "south": "fine: cell-17 fine"}
    assert said["both are there"] == fine
    assert said["the north is cut off"]["north"].startswith("stale: cell-17 stale since")
    assert said["the north is cut off"]["south"] == fine["south"]
    raised_meanwhile = {"north": "bad: cell-17: soft short", "south": fine["south"]}
    assert said["the north is back"] == raised_meanwhile
    assert said["the page is cut off"]["broker"].startswith("stale: No broker since")
    assert said["the page is back"] == raised_meanwhile
