"""``status.html`` and a picture on a folder or share, each minute: for labs where no broker is allowed.

A thread of the observer's process reads the journal with a reader of its own; a share that hangs holds up nothing else. Each file
appears whole or not at all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from orchestrator.monitor.statuspage import Page, rendered
from orchestrator.platform import same_process_lives
from orchestrator.recorder.records import JournalError, Reader

EVERY_s = 60.0
SILENT_s = 180.0
BATCH = 2000
HTML, PICTURE = "status.html", "status.png"


class StatusPage:
    """``start`` it, ask for its ``trouble`` now and then, ``finish`` it."""

    def __init__(
        self,
        journal: Path,
        to: Path,
        rig: str = "",
        *,
        every_s: float = EVERY_s,
        monotonic: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._journal = journal
        self._to = to
        self._rig = rig
        self._every_s = every_s
        self._monotonic = monotonic
        self._now_ns = now_ns
        self._page = Page()
        self._failed: str | None = None
        self._busy_since_s: float | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._live, name="status page", daemon=True)

    def start(self) -> None:
        """Begin; the first page is written at once."""
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        """Why the page is old; None when all is well."""
        since_s = self._busy_since_s
        if since_s is not None and (silent_s := self._monotonic() - since_s) > SILENT_s:
            return f"{self._to} has not answered for {silent_s:.0f} s"
        return self._failed

    def finish(self, within_s: float) -> bool:
        """Write what is there now; True when it is written in time."""
        self._ending.set()
        self._thread.join(within_s)
        return not self._thread.is_alive() and self._failed is None

    def write(self, reader: Reader) -> None:
        """Read on, write both files. Raises OSError, JournalError."""
        while batch := reader.since(self._page.seq, BATCH):
            self._page.feed(batch)
        if not self._page.seq:
            return
        alive = same_process_lives(self._rig)
        text = rendered(self._page, published_utc_ns=self._now_ns(), every_s=self._every_s, alive=alive)
        _put(self._to / HTML, text.encode())
        if (picture := drawn(self._page)) is not None:
            _put(self._to / PICTURE, picture)

    def _live(self) -> None:
        reader = Reader(self._journal)
        try:
            while True:
                last = self._ending.is_set()
                self._busy_since_s = self._monotonic()
                try:
                    self.write(reader)
                    self._failed = None
                except (OSError, JournalError) as error:
                    self._failed = f"{self._to}: {getattr(error, 'strerror', None) or error}"
                self._busy_since_s = None
                if last:
                    return
                self._ending.wait(self._every_s)
        finally:
            reader.close()


def _put(path: Path, content: bytes) -> None:
    """A file whole: the new one or the old one."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.replace(path)


def drawn(page: Page) -> bytes | None:
    """The same as a PNG, where matplotlib is installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    import io

    spectra = page.spectra()
    figure = Figure(figsize=(8, 2.4 * (1 + max(1, len(spectra)))), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1 + max(1, len(spectra)), 1, squeeze=False)[:, 0]
    axes[0].plot([t_s / 3600 for t_s, _, _ in page.curve.points], [voltage_V for _, voltage_V, _ in page.curve.points])
    axes[0].set(
        xlabel="time / h", ylabel="E / V", title=f"{page.view.name}: {page.view.state}" + (f"; {page.cannot}" if page.cannot else "")
    )
    axes[0].title.set_fontsize(8)
    for axis, (event, shift_ppm, intensity) in zip(axes[1:], spectra, strict=False):
        axis.plot(shift_ppm, intensity, linewidth=0.8)
        axis.set(xlabel="shift / ppm", title=str(event.data["name"]))
        axis.invert_xaxis()
    answer = io.BytesIO()
    figure.savefig(answer, format="png", dpi=100)
    return answer.getvalue()
