"""Event 1 says everything of the run and nothing of this computer's folders; the plan in it reads back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from drivers.clock import Clock
from orchestrator.plan.orders import Plan
from orchestrator.rig.gather import gather, run_started
from orchestrator.rig.request import RunRequest


def test_event_one_is_the_same_wherever_the_files_lie(tmp_path: Path, repository: Path) -> None:
    told = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        shutil.copytree(repository / "configs", folder / "configs")
        request = RunRequest(folder / "configs" / "experiments" / "demo.yaml", None, tmp_path / "runs", speed=None)
        told.append(run_started(gather(request), Clock(epoch_utc_ns=0), "id"))
    for name in ("experiment", "rig", "twin", "cell", "plan", "digests"):
        assert told[0][name] == told[1][name]
    assert str(tmp_path) not in json.dumps(told[0])


def test_the_plan_in_event_one_reads_back(repository: Path, tmp_path: Path) -> None:
    gathered = gather(RunRequest(repository / "configs" / "experiments" / "demo.yaml", None, tmp_path, speed=None))
    plan = Plan.model_validate(json.loads(json.dumps(run_started(gathered, Clock(), "id")["plan"])))
    assert [step.key for step in plan.steps] == [step.key for step in gathered.plan.steps]
    assert plan.limits == gathered.plan.limits
