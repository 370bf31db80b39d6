"""``operando process``, ``export`` and ``rehearse``: what the spectra of a run that is over say, and what rules would have done."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli import exits

if TYPE_CHECKING:
    from orchestrator.recorder.reprocess import Source


def process_command(runs: list[str], out: Path, windows: Path | None, dask: str | None, *, as_json: bool) -> int:
    """Analyse runs again, each into a new file beside its ``run.h5``; ``dask``: on a cluster."""
    from orchestrator.recorder.reprocess import process
    from orchestrator.rig.folders import find_run

    folders, own, asked = [find_run(run, out) for run in runs], _windows(windows), " ".join(sys.argv[1:])
    if dask is None:
        return max(_processed(*process(folder, own, asked=asked), as_json=as_json) for folder in folders)
    return _on_a_cluster(folders, own, asked, dask, as_json=as_json)


def _on_a_cluster(folders: list[Path], windows: dict[str, tuple[float, float]] | None, asked: str, dask: str, *, as_json: bool) -> int:
    """Pieces of every series of spectra of every run are handed out, and tiles of maps; the files are the same as without a cluster."""
    from orchestrator.recorder.cluster import NoCluster, spread
    from orchestrator.recorder.pieces import shared
    from orchestrator.recorder.reprocess import process

    code, written = exits.COMPLETE, 0
    try:
        with spread(dask) as cluster:
            for folder, others in shared([folder.resolve() for folder in folders], windows, cluster.map):
                code = max(code, _processed(*process(folder, windows, asked=asked, others=others), as_json=as_json))
                written += 1
    except NoCluster as error:
        print(f"{error}; {f'{written} of {len(folders)} runs were' if written else 'nothing was'} written", file=sys.stderr)
        return exits.CONFIGURATION
    return code


def _processed(path: Path, source: Source, *, as_json: bool) -> int:
    return _told(f"{source.spectra} spectra analysed into {path}; run.h5 is as it was", {"file": str(path)}, source, as_json=as_json)


def export_command(run: str, out: Path, observables: Path, windows: Path | None, *, as_json: bool) -> int:
    """One row per spectrum as CSV."""
    from orchestrator.recorder.spectra_table import export_observables
    from orchestrator.rig.folders import find_run

    source = export_observables(find_run(run, out), observables, _windows(windows))
    return _told(f"{source.spectra} spectra, a row each, in {observables}", {"file": str(observables)}, source, as_json=as_json)


def rehearse_command(run: str, out: Path, rules: Path, *, as_json: bool) -> int:
    """What these rules would have done in this run."""
    from orchestrator.config import load_rules
    from orchestrator.recorder.records import Reader
    from orchestrator.recorder.reprocess import journal_of
    from orchestrator.rig.folders import find_run
    from orchestrator.runner.rehearsal import rehearse

    journal = journal_of(find_run(run, out))
    with Reader(journal) as reader:
        wanted = load_rules(rules, str(next(reader.events()).data["experiment"]))
        fired = 0
        for firing in rehearse(reader.events(), wanted):
            fired += 1
            print(json.dumps(asdict(firing)) if as_json else "\n".join(_lines(asdict(firing))))
    if not as_json:
        print(f"{len(wanted)} rules, {fired} firings; nothing was done")
    return exits.COMPLETE


def _lines(firing: dict[str, Any]) -> Iterator[str]:
    hours, minutes = divmod(round(firing["time_s"] / 60.0), 60)
    where = " ".join(part for part in (firing["step_key"], firing["spectrum_key"]) if part)
    yield f"{hours:4d} h {minutes:02d} min  {firing['rule']} ({where}): would {', '.join(firing['actions']) or 'do nothing'}"
    yield "                 " + ", ".join(f"{name} {value:.4g}" for name, value in firing["values"].items())


def _told(text: str, data: dict[str, Any], source: Source, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps({**data, "spectra": source.spectra, "run_id": source.run_id, "failed": source.failed}))
    else:
        print(text)
        print("".join(f"not analysed: {why}\n" for why in source.failed), end="", file=sys.stderr)
    return exits.BUG if source.failed else exits.COMPLETE


def _windows(file: Path | None) -> dict[str, tuple[float, float]] | None:
    """``{metal: [220, 310]}`` out of a YAML file. Raises CannotRun."""
    if file is None:
        return None
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    from orchestrator.rig.gather import CannotRun

    try:
        read = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
        found = {str(name): (float(low), float(high)) for name, (low, high) in dict(read).items()}
    except (YAMLError, TypeError, ValueError) as error:
        raise CannotRun(f"{file}: windows are written as `metal: [220, 310]`, a line each: {error}") from error
    if wrong := [name for name, (low, high) in found.items() if not low < high]:
        raise CannotRun(f"{file}: window `{wrong[0]}` must begin below its end, in ppm")
    return found
