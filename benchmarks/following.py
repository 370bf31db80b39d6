"""Following other people's instruments: from complete files to the page, and a week watched: cost and memory."""

from __future__ import annotations

import asyncio
import os
import statistics
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from replayer import mpt_head, mpt_rows

from benchmarks.measure import QUICK, Report, spread
from drivers import registry
from drivers.clock import Clock
from drivers.follow.clocks import dated
from orchestrator.imports.watching import Request, opened, run_folder
from orchestrator.observer.source import Source

ROUNDS = 3 if QUICK else 10
WEEK_s = 7 * 86400.0
SPECTRUM_EVERY_s = 600.0
ROW_EVERY_s = 60.0
POINTS = 1024
REAL = Path(os.environ.get("OPERANDO_REAL_DATA", Path(__file__).parent.parent.parent / "shared" / "data" / "real"))


def procpar(run_s: float) -> str:
    """As much of one as a reader needs."""
    stamps = {name: time.strftime("%Y%m%dT%H%M%S", time.gmtime(run_s + late)) for name, late in STAMPS.items()}
    numbers = {"np": 2 * POINTS, "sw": 20000.0, "sfrq": 155.5, "reffrq": 155.5, "nt": 16, "ct": 16, "at": POINTS / 20000.0}
    texts = {"tn": "Li7", "seqfil": "s2pul", **stamps}
    lines = [f"{name} 1 1 1e9 -1e9 0 2 1 0 1 64\n1 {value} \n0 " for name, value in numbers.items()]
    lines += [f'{name} 2 2 8 0 0 2 1 0 1 64\n1 "{value}"\n0 ' for name, value in texts.items()]
    return "\n".join(lines) + "\n"


STAMPS = {"time_run": 0, "time_complete": 60, "time_saved": 62}


def save(nmr: Path, number: int, run_s: float) -> None:
    """One made data folder, whole."""
    folder = nmr / f"Li7_{number:05d}.fid"
    folder.mkdir()
    values = struct.pack(f">{2 * POINTS}i", *((number * 7 + n * n) % 5000 - 2500 for n in range(2 * POINTS)))
    head = struct.pack(">6l2hl", 1, 1, 2 * POINTS, 4, len(values), len(values) + 28, 0, 0x45, 1)
    (folder / "fid").write_bytes(head + struct.pack(">4hl4f", 0, 0x45, 1, 0, 16, 0, 0, 0, 0) + values)
    (folder / "procpar").write_text(procpar(run_s), "latin-1")


def rss_bytes() -> int:
    """Resident memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def to_the_page(scratch: Path) -> list[float]:
    """Seconds from the last byte of a folder until its spectrum is among what the broker is given; real time, real files."""
    nmr, ec = scratch / "page-nmr", scratch / "page-ec"
    nmr.mkdir(), ec.mkdir()
    return asyncio.run(_to_the_page(Request(ec, nmr, 0.0, zone="UTC", out=scratch / "page-runs", name="page"), nmr))


async def _to_the_page(request: Request, nmr: Path) -> list[float]:
    clock = Clock()
    folder = run_folder(request, clock)
    following = opened(request, clock, folder)
    watching = asyncio.create_task(following.run())
    await following.journal.durable(following.journal.last_seq)
    source = Source(folder, "page", time.time)
    took = []
    for number in range(ROUNDS):
        await asyncio.sleep(0.3 + 0.17 * number % 0.5)
        save(nmr, number, time.time() - 62)
        written = time.monotonic()
        while not any("spectrum" in topic for topic in (await asyncio.to_thread(source.look)).outs):
            await asyncio.sleep(0.1)
        took.append(time.monotonic() - written)
    source.close()
    following.halt("enough")
    await watching
    await following.journal.close()
    return took


def week(scratch: Path, seconds: float) -> tuple[list[int], list[float], int, int]:
    """A week in virtual time: memory and process time of each day, spectra and samples told."""
    nmr, ec = scratch / "week-nmr", scratch / "week-ec"
    nmr.mkdir(), ec.mkdir()
    request = Request(ec, nmr, 0.0, zone="UTC", out=scratch / "week-runs", name="week")
    epoch_s = 1_700_000_000.0
    file = ec / "cell.mpt"
    file.write_text(mpt_head(dated(time.strftime("%m/%d/%Y %H:%M:%S", time.gmtime(epoch_s)))["mdy"]), "latin-1", newline="")

    async def main(clock: Clock) -> tuple[list[int], list[float], int, int]:
        following = opened(request, clock, run_folder(request, clock))
        following.poll_s = 5.0
        watching = asyncio.create_task(following.run())
        memory, busy = [rss_bytes()], []
        rows = mpt_rows(seconds, ROW_EVERY_s)
        spectra = 0
        for day in range(round(seconds / 86400)):
            began = time.process_time()
            for minute in range(1440):
                with file.open("a", encoding="latin-1", newline="") as growing:
                    growing.write(next(rows)[1])
                if minute % round(SPECTRUM_EVERY_s / 60) == 0:
                    save(nmr, spectra, epoch_s + day * 86400 + minute * 60 - 62)
                    spectra += 1
                await clock.sleep(60.0)
            busy.append(time.process_time() - began)
            memory.append(rss_bytes())
        following.halt("the week is over")
        await watching
        counts = following.counts
        await following.journal.close()
        return memory, busy, counts["spectra"], counts["samples"]

    return registry.virtual_run(main, epoch_utc_ns=round(epoch_s * 1e9))


def measure(_: Path, scratch: Path) -> Report:
    """Both."""
    report = Report(
        "Following other people's instruments",
        f"`operando follow` on folders of this computer. {ROUNDS} data folders, written whole, until their spectrum is among what the "
        "broker is given (files still for 1.5 s, looked at each 0.5 s, journaled, read by the publisher's source). A week in virtual time: "
        f"a spectrum each {SPECTRUM_EVERY_s / 60:.0f} min, a sample each {ROW_EVERY_s:.0f} s, both shares looked at each 5 s; resident "
        "memory of the follower and its process time, day by day.",
        ("what", "measured", "control", "asked"),
    )
    report.rows.append(("from complete files to the page", spread(to_the_page(scratch), "s"), "1.5 s of them waited on purpose", "<= 5 s"))
    memory, busy, spectra, samples = week(scratch, WEEK_s)
    grown = (memory[-1] - memory[2]) / 1e6
    report.rows.append(
        ("a week: memory, day 7 less day 2", f"{grown:+.1f} MB of {memory[-1] / 1e6:.0f} MB", f"day 2: {memory[2] / 1e6:.0f} MB", "flat")
    )
    last, first = statistics.mean(busy[-2:]), statistics.mean(busy[1:3])
    report.rows.append(("a week: process time a day", f"{last:.1f} s on days 6 and 7", f"{first:.1f} s on days 2 and 3", "flat"))
    report.rows.append(("a week: told", f"{spectra} spectra, {samples} samples", "", "1008, 10080"))
    return report
