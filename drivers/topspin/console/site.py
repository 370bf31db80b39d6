"""Where and when: folders, desk, the console's own clock and zone. The only place that knows the emulator's options."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from drivers.clock import Clock
from drivers.sim.switches import Faults
from drivers.topspin.console.audit import Desk
from drivers.topspin.console.dataset import Place
from drivers.topspin.console.releases import RELEASES

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DEFAULT_RELEASE = "3.6.2"
REFERENCE_OFF_Hz = 250.0
"""How far what the site calls 0 ppm lies above the console's nominal frequency."""


class Site:
    """One installation: ``root`` holds the data, ``home`` is TopSpin's own folder."""

    def __init__(self, options: Mapping[str, Any], folder: Path, clock: Clock, faults: Faults) -> None:
        release = str(options.get("topspin", DEFAULT_RELEASE))
        if release not in RELEASES:
            raise ValueError(f"TopSpin {release} is not emulated; there are: {', '.join(RELEASES)}")
        self.release = RELEASES[release]
        self.folder = folder
        self.root = Path(str(options.get("root") or folder / "nmr")).absolute()
        self.home = folder / "topspin"
        self.shown_as = str(options.get("shown_as", ""))
        self.clock = clock
        self.faults = faults
        self.desk = Desk(
            str(options.get("user", "nmr")), str(options.get("host", "av300")), str(options.get("instrument", "spect")), self.release
        )
        self.zone = ZoneInfo(str(options.get("zone", "UTC")))
        self.clock_off_s = float(options.get("clock_off_s", 0.0))
        self.overhead_s = float(options.get("overhead_s", 2.0))
        self.write_s = float(options.get("write_s", 0.3))
        self.reference_off_Hz = float(options.get("reference_off_Hz", REFERENCE_OFF_Hz))
        self.zgsafety = bool(options.get("zgsafety", True))
        self.atm = bool(options.get("atm", True))
        self.lock = bool(options.get("lock", False))

    def make(self) -> None:
        """The folders of an installation."""
        for path in (self.root, self.py_user, self.home / "exp/stan/nmr/lists/pp/user", self.curdir):
            path.mkdir(parents=True, exist_ok=True)

    @property
    def py_user(self) -> Path:
        """Where TopSpin looks for a user's Python scripts."""
        return self.home / "exp/stan/nmr/py/user"

    @property
    def curdir(self) -> Path:
        """The user's folder of state."""
        return self.home / "prog/curdir" / self.desk.user

    def place(self, name: str, expno: int | str, user: str = "") -> Place:
        """A data set below the root, as this release lays them out."""
        who = (user or self.desk.user) if self.release.user_in_path else ""
        return Place(name, str(expno), "1", str(self.root), who)

    def shown(self, path: Path) -> str:
        """A path as the files name it: below ``shown_as``, where the rig says what the console calls its data folder."""
        if self.shown_as and path.is_relative_to(self.root):
            return str(Path(self.shown_as) / path.relative_to(self.root))
        return str(path)

    # ------------------------------------------------------------------------------------------------------------- time

    def off_s(self) -> float:
        """How fast the console's clock is."""
        return self.clock_off_s + (float(self.faults["clock_off"]["seconds"]) if "clock_off" in self.faults else 0.0)

    def unix_ns(self) -> int:
        """The console's clock, ns since 1970."""
        return self.clock.utc_ns() + round(self.off_s() * 1e9)

    def local(self, mono_ns: int | None = None) -> datetime:
        """The console's local time, with its zone, at an instant of the run's clock (now)."""
        utc_ns = self.clock.utc_ns() if mono_ns is None else self.clock.utc_of(mono_ns)
        utc = EPOCH + timedelta(microseconds=utc_ns // 1000, seconds=self.off_s())
        here = utc.astimezone(self.zone)
        if "zone_moves" not in self.faults:
            return here
        offset = (here.utcoffset() or timedelta()) + timedelta(hours=float(self.faults["zone_moves"]["hours"]))
        return utc.astimezone(timezone(offset))

    def remarks(self, path: Path, process: str, when: datetime) -> tuple[str, ...]:
        """The ``$$`` lines of a parameter file."""
        text = when.isoformat(sep=" ", timespec="milliseconds")[:23]
        who = f"{text} {when.strftime('%z')}  {self.desk.user}@{self.desk.host}"
        return who, self.shown(path), f"process /opt/topspin{self.release.name}/prog/mod/{process}"
