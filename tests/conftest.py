"""Fixtures and the two marks that may skip a test: real data and missing system tools."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices; several tests run at once
os.environ["OPERANDO_BROKER"] = "none"  # no demo leaves a broker behind; whoever wants one says so
os.environ["OPERANDO_REPORT"] = "0"  # seconds of drawing after each run; whoever wants one says so

import gc
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from artificial_night import Night

REPOSITORY = Path(__file__).parent.parent
APT = {
    "mosquitto": "mosquitto",
    "openssl": "openssl",
    "h5dump": "hdf5-tools",
    "chromium": "chromium",
    "unshare": "util-linux",
    "ip": "iproute2",
    "gcc": "gcc",
    "systemd-analyze": "systemd",
    "jython": "jython",
}
WAITS = {"integration", "browser", "powercut"}
"""Folders of real processes and wires: the time of these tests is real and mostly waited."""
WAITED_BY = 0.7
LONGEST_FIRST = ("program", "browser", "queue", "nights", "simulation", "contract", "property")
"""Folders by how long a file of theirs takes; all others after these."""


def real_data_folder() -> Path | None:
    """The recorded instrument files: OPERANDO_REAL_DATA, else ``shared/data/real`` beside the checkout."""
    named = os.environ.get("OPERANDO_REAL_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data" / "real"
    return folder if folder.is_dir() else None


@pytest.fixture
def real_data() -> Path:
    folder = real_data_folder()
    if folder is None:
        pytest.skip("no recorded instrument files: set OPERANDO_REAL_DATA")
    return folder


@pytest.fixture
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def night() -> type[Night]:
    """``Night(samples=…, fids=…)``: its ``told()``, its ``events()``, or ``await …write(path)``."""
    return Night


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="fail the run on any skip but those marked real_data or posix_only")


def pytest_configure(config: pytest.Config) -> None:
    """What must hold before a change lands is tried with the same examples each time; everybody else tries new ones. No example has
    a deadline: on a busy machine it would say nothing of the example.
    """
    hypothesis.settings.register_profile("here", deadline=None, derandomize=config.getoption("--no-skips"))
    hypothesis.settings.load_profile("here")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What was collected stays to the end: no collection of garbage, here or in a test, walks through it again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long tests run only when asked for by name; those that wait are spread among those that reckon, none at the end."""
    if "soak" not in (config.option.markexpr or ""):
        long = [item for item in items if item.get_closest_marker("soak")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("soak")]
    places = order(list(dict.fromkeys(item.path for item in items)))
    items.sort(key=lambda item: places[item.path])


def order(files: list[Path]) -> dict[Path, float]:
    """Where each file stands among all, 0 to 1: workers take them in this order, long ones first, and wait in no more than one or two."""
    folders = [folder for folder in LONGEST_FIRST if any(folder in path.parts for path in files)]
    ranked = sorted(files, key=lambda path: next((n for n, folder in enumerate(folders) if folder in path.parts), len(folders)))
    places: dict[Path, float] = {}
    for wait in (True, False):
        own = [path for path in ranked if WAITS.isdisjoint(path.parts) is not wait]
        places |= {path: (number + 0.5) / len(own) * (WAITED_BY if wait else 1.0) for number, path in enumerate(own)}
    return places


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    allowed = item.get_closest_marker("real_data") or item.get_closest_marker("posix_only")
    if report.skipped and not hasattr(report, "wasxfail") and item.config.getoption("--no-skips") and not allowed:
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("posix_only") and sys.platform == "win32":
        pytest.skip("needs POSIX")
    if item.get_closest_marker("real_data") and real_data_folder() is None:
        pytest.skip("no recorded instrument files: set OPERANDO_REAL_DATA")
    for mark in item.iter_markers("needs"):
        missing = [tool for tool in mark.args if shutil.which(tool) is None]
        if missing:
            pytest.skip(f"missing tools; apt-get install {' '.join(APT.get(tool, tool) for tool in missing)}")
