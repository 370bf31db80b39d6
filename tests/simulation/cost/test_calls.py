"""What a sample and a spectrum cost, in calls of this program's own functions on the rig's thread: a number that no computer's load moves.

Three short virtual nights with emulators, journal and guard; the differences between them are what more samples and more spectra
cost. They were counted on Python 3.11; later ones inline comprehensions and count less. Who makes the program cheaper lowers
them; who makes it dearer has to say why here.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from nights.live import gathered_night, observed_here
from nights.schedule import Night
from orchestrator.recorder.records import Reader
from orchestrator.rig.process import run

pytestmark = [pytest.mark.posix_only, pytest.mark.timeout(600)]

REPOSITORY = Path(__file__).parent.parent.parent.parent
COUNTED = {"sample": 186.6, "spectrum": 5870.0}
LEEWAY = 1.05
COUNTED_C = {"sample": 122.0, "spectrum": 5170.0}
"""What they call of functions written in C, a loop's too that calls none of ours."""
LEEWAY_C = 1.4
SHORT, LONG, SEEN = (2, "at start"), (6, "at start"), (6, "every 1 minute")
NOT_THE_HOST = (
    "drivers/sim/",
    "drivers/methodscript/interpreter/",
    "drivers/openvnmrj/console/",
    "drivers/openvnmrj/magical/",
    "drivers/openvnmrj/vnmrfiles.py",
    "drivers/transport/virtual.py",
)
"""The instruments' side and the loop that stands for the computer's clock."""

NIGHT = """version: 1
experiment: cost
cell: {id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}
limits: {abs_E_V: 0.6, abs_I_mA: 0.5, charge_per_step_mAh: 0.12, host_lost: open circuit within 60 s}
acquisitions:
  fast: {template: 7Li_1k, recycle_s: 0.75, scans: 8, dummies: 1}
protocol:
  - {step: Plate working at 1 mA/cm2 for MINUTES minutes, nmr: {fast: EVERY}}
record: {every_s: 1}
"""


@dataclass(frozen=True)
class Cost:
    """Calls of a night by module, and what they were for."""

    calls: Counter[str]
    of_C: Counter[str]
    samples: int
    spectra: int


@contextmanager
def counted(calls: Counter[str], of_C: Counter[str]) -> Iterator[None]:
    """Count each call of a function of the host's side on this thread, by file, and of one written in C by whose call it is.

    A generator that goes on is called again.
    """
    ours: dict[str, str | None] = {}
    kinds = {"call": calls, "c_call": of_C}

    def name_of(file: str) -> str | None:
        path = Path(file)
        inside = path.is_relative_to(REPOSITORY / "orchestrator") or path.is_relative_to(REPOSITORY / "drivers")
        name = path.relative_to(REPOSITORY).as_posix() if inside else "drivers/sim/"
        return None if name.startswith(NOT_THE_HOST) or name.endswith("emulator.py") else name

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event not in kinds:
            return
        file = frame.f_code.co_filename
        if file not in ours:
            ours[file] = name_of(file)
        if (name := ours[file]) is not None:
            kinds[event][name] += 1

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)


def cost(folder: Path, minutes: int, every: str) -> Cost:
    """Live through a night, and count."""
    calls, of_C = Counter[str](), Counter[str]()
    gathered = gathered_night(Night(1, NIGHT.replace("MINUTES", str(minutes)).replace("EVERY", every), ()), folder)
    with observed_here(), counted(calls, of_C):
        ended = run(gathered)
    assert ended.outcome.complete
    with Reader(ended.folder / "journal.sqlite") as reader:
        events = list(reader.events())
    samples = sum(int(event.data["n"]) for event in events if event.kind == "ec.block")
    return Cost(calls, of_C, samples, sum(event.kind == "acquisition.stored" for event in events))


def beyond(more: Counter[str], less: Counter[str], each: int) -> dict[str, float]:
    """Calls of each file that one more costs, the dearest first."""
    files = {file: (more[file] - less[file]) / each for file in sorted(more | less)}
    return dict(sorted(files.items(), key=lambda item: -item[1]))


def test_a_sample_and_a_spectrum_cost_no_more_calls_than_they_did(tmp_path: Path) -> None:
    cost(tmp_path / "warm", *SHORT)  # what is read and compiled once is nobody's share
    short, long, seen = (cost(tmp_path / name, *night) for name, night in (("short", SHORT), ("long", LONG), ("seen", SEEN)))
    assert long.samples - short.samples == 240
    assert seen.spectra - long.spectra == 5
    for counts, budgets in (
        ([night.calls for night in (short, long, seen)], {what: each * LEEWAY for what, each in COUNTED.items()}),
        ([night.of_C for night in (short, long, seen)], {what: each * LEEWAY_C for what, each in COUNTED_C.items()}),
    ):
        sample = beyond(counts[1], counts[0], long.samples - short.samples)
        later = Counter({file: round(each * (seen.samples - long.samples)) for file, each in sample.items()})
        spectrum = beyond(counts[2], counts[1] + later, seen.spectra - long.spectra)
        for what, files in (("sample", sample), ("spectrum", spectrum)):
            found, dearest = sum(files.values()), ", ".join(f"{file} {each:.1f}" for file, each in list(files.items())[:12])
            print(f"a {what}: {found:.1f} calls ({dearest})")
            assert found <= budgets[what], f"a {what} costs {found:.1f} calls, its budget is {budgets[what]:.0f}; dearest: {dearest}"
