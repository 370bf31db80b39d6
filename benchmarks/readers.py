"""What three readers that poll the growing run.h5 do to its writer: each run with them beside one without, in turn.

The writer is the whole program at speed 1 on simulated instruments, samples at 10 ms and a spectrum a second. Its latency is that
from the end of a step to the start of the acquisition, marked by the simulated instruments. The same readers on the file of a run that
is over show what three more processes do to two cores, whatever they read.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import QUICK, Report, percentile, ratios, spread
from benchmarks.rigs import experiment, marked_run, memory_rig

ROUNDS = 2 if QUICK else 10
STEPS = 10
READERS, EVERY_s = 3, 0.2
READER = """
import glob, sys, time, h5py
looks = wrong = 0
while True:
    for path in glob.glob(sys.argv[1] + "/*/run.h5"):
        try:
            with h5py.File(path) as run:
                table = run["entry/electrochemistry"]
                looks, wrong = looks + 1, wrong + (len({len(table[name][:]) for name in ("time", "voltage", "current")}) > 1)
        except OSError:
            wrong += 1
    print(looks, wrong, flush=True)
    time.sleep(float(sys.argv[2]))
"""


def measure(repository: Path, scratch: Path) -> Report:
    """Runs with readers and without, in turn."""
    report = Report(
        "Live readers",
        f"{ROUNDS} runs of {STEPS} steps with {READERS} processes that open run.h5 and read its samples each {EVERY_s:g} s, each beside "
        "one without, and one with the same processes on the file of a run that is over: from the end of a step to the start of the "
        "acquisition.",
        ("", "median (least to most)", "99 %", "looks (torn or refused)", "asked"),
    )
    rig = memory_rig(repository, scratch / "rig.yaml", points=16384)
    steps = "- {step: Plate working at 0.5 mA/cm2 until 1 seconds, nmr: {one: at end}}"
    steps += "\n- {step: Strip working at 0.5 mA/cm2 until 1 seconds, nmr: {one: at end}}"
    file = experiment(scratch / "readers.yaml", "\n".join([steps] * (STEPS // 2)), 0.01)
    alone: list[list[float]] = []
    beside: list[list[float]] = []
    read: list[list[float]] = []
    looks, looks_beside = [0, 0], [0, 0]
    for number in range(ROUNDS):
        (scratch / f"alone{number}").mkdir()
        alone.append(marked_run(repository, file, rig, scratch / f"alone{number}"))
        beside.append(_read(repository, file, rig, scratch / f"beside{number}", looks_beside, scratch / "alone0"))
        read.append(_read(repository, file, rig, scratch / f"read{number}", looks))
    told = (
        ("alone", alone, ""),
        (f"{READERS} readers of another file", beside, f"{looks_beside[0]} ({looks_beside[1]})"),
        (f"{READERS} readers", read, f"{looks[0]} ({looks[1]})"),
    )
    for name, rounds, seen in told:
        values = [value for one in rounds for value in one]
        report.rows.append((name, spread(values, "ms"), f"{percentile(values, 99):.2f} ms", seen, "control" if rounds is beside else ""))
    medians = [[statistics.median(one) for one in rounds] for rounds in (alone, beside, read)]
    report.rows.append(("readers over alone, run by run", ratios(medians[2], medians[0]), "", "", "<= 1.2"))
    report.rows.append(("readers over readers of another file, run by run", ratios(medians[2], medians[1]), "", "", "<= 1.2"))
    return report


def _read(repository: Path, file: Path, rig: Path, folder: Path, looks: list[int], other: Path | None = None) -> list[float]:
    """The same, looked at (or an ``other`` folder is); adds to ``looks`` how often, and how often in vain."""
    folder.mkdir()
    readers = [_reader(other or folder) for _ in range(READERS)]
    time.sleep(0.5)  # h5py is imported
    try:
        found = marked_run(repository, file, rig, folder)
    finally:
        said = [_ended(reader) for reader in readers]
    for place in (0, 1):
        looks[place] += sum(one[place] for one in said)
    return found


def _reader(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", READER, str(folder), str(EVERY_s)], stdout=subprocess.PIPE, text=True)


def _ended(reader: subprocess.Popen[str]) -> Sequence[int]:
    reader.terminate()
    said, _ = reader.communicate()
    return [int(word) for word in said.splitlines()[-1].split()] if said else (0, 0)
