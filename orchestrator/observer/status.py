"""``status.html`` and a picture on a folder or share, each minute: for labs where no broker is allowed.

A thread of the observer's process reads the journal with a reader of its own; a share that hangs holds up nothing else. Each file
appears whole or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.monitor.statuspage import Page, rendered
from orchestrator.observer.rounds import EVERY_s, Rounds, Turn
from orchestrator.platform import same_process_lives
from orchestrator.recorder.records import Reader

SILENT_s = 180.0
BATCH = 2000
HTML, PICTURE = "status.html", "status.png"


class StatusPage(Rounds):
    """What is shown of one run."""

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
        super().__init__("status page", to, self._writing, silent_s=SILENT_s, every_s=every_s, monotonic=monotonic)
        self._journal = journal
        self._to = to
        self._rig = rig
        self._now_ns = now_ns
        self._page = Page()

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

    @contextmanager
    def _writing(self) -> Iterator[Turn]:
        """With a reader that lives in the thread."""
        with Reader(self._journal) as reader:
            yield lambda: self.write(reader)


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
