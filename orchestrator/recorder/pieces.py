"""A run cut into pieces whose FIDs anybody may look at: the same numbers come back, whoever did it and in what order.

One walk through the journal learns what is learned once (the common phase, the blanks; no line is fitted) and cuts every stream
where its fits begin afresh. What hangs on the electrochemistry or on earlier areas (charges, slopes, budgets, flags) is told
by whoever puts the pieces together, in the order of the journal. Held at once: the pieces that are under way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.analysis.live import LiveAnalysis
from orchestrator.analysis.looking import AFRESH, Looked, Streams, stream_key
from orchestrator.analysis.maps import Over
from orchestrator.analysis.spectrum import Remembered
from orchestrator.analysis.wanted import Wanted
from orchestrator.model.events import Event
from orchestrator.recorder.records import Reader
from orchestrator.recorder.reprocess import UNREADABLE, Others, Windows, journal_of

Answers = dict[int, Looked | Exception]
"""What FIDs tell, by the number of their record."""


class Piece(NamedTuple):
    """At most ``AFRESH`` FIDs of one stream: the number of each record, and whether it is a blank."""

    folder: Path
    windows: Windows | None
    remembered: Remembered
    fids: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class _Cut:
    """A piece in the making."""

    remembered: Remembered
    fids: list[tuple[int, int]] = field(default_factory=list)


class _Survey:
    """Looks at a run only to cut it."""

    def __init__(self) -> None:
        self.cuts: list[_Cut] = []
        self._open: dict[tuple[Any, ...], _Cut] = {}

    def look(self, streams: Streams, event: Event, context: Mapping[str, Any]) -> Looked:
        """Put a FID into the piece of its stream."""
        key, stream = stream_key(event.data), streams.of(event.data)
        if stream.looks % AFRESH == 0:
            self._open[key] = _Cut(stream.remembered)
            self.cuts.append(self._open[key])
        self._open[key].fids.append((event.seq, int(context["blank"])))
        streams.survey(event, context)
        return Looked([])


def pieces_of(folder: Path, windows: Windows | None, until: int) -> Iterator[Piece]:
    """The pieces of a run up to record ``until``, in the order in which they begin. Raises Refused."""
    survey = _Survey()
    analysis = LiveAnalysis(full=True, edits=windows, look=survey.look)
    with Reader(journal_of(folder)) as reader:
        for event in reader.events():
            if event.seq > until:
                break
            if event.kind == "fid.block" and event.data.get("encodes"):
                continue  # an image: the tiles of its map are the pieces
            try:
                analysis.feed(event)
            except UNREADABLE:
                continue  # whoever looks at it will say so
    for cut in survey.cuts:
        yield Piece(folder, windows, cut.remembered, tuple(cut.fids))


def looked(piece: Piece) -> Answers:
    """What the FIDs of a piece tell: what a worker does."""
    with Reader(journal_of(piece.folder)) as reader:
        wanted = Wanted.of(next(event for event in reader.events() if event.kind == "run.started").data)
        streams = Streams(wanted.edited(piece.windows), full=True)
        return dict(_answers(reader, streams, piece))


def _answers(reader: Reader, streams: Streams, piece: Piece) -> Iterator[tuple[int, Looked | Exception]]:
    for n, (seq, blank) in enumerate(piece.fids):
        (event,) = reader.since(seq - 1, 1)
        try:
            if n == 0:
                streams.of(event.data).take_up(piece.remembered)
            yield seq, streams.look(event, {"blank": blank})._replace(fit=None)
        except UNREADABLE as error:
            yield seq, error


class _Told:
    """Hands out what others have seen, as the journal comes to it; of a piece that is used up nothing is kept."""

    def __init__(self, answers: Iterator[Answers]) -> None:
        self._answers = answers
        self._known: Answers = {}

    def look(self, streams: Streams, event: Event, _context: Mapping[str, Any]) -> Looked:
        """What one FID told. Raises what it raised; one that belongs to no stream raises here as it did when the run was cut."""
        streams.of(event.data)
        while event.seq not in self._known:
            self._known |= next(self._answers)
        found = self._known.pop(event.seq)
        if isinstance(found, Exception):
            raise found
        return found


def shared(folders: Iterable[Path], windows: Windows | None, over: Callable[..., Iterable[Any]]) -> Iterator[tuple[Path, Others]]:
    """Each run with those who work on it: ``over`` maps over pieces, lazily and in their order, and over tiles. Raises Refused.

    Go through the rows of each run to their end before the next is asked for; the others are at work on later runs meanwhile.
    """
    ends = {}
    for folder in folders:
        with Reader(journal_of(folder)) as reader:
            ends[folder] = reader.last_seq
    told = _Told(iter(over(looked, (piece for folder, until in ends.items() for piece in pieces_of(folder, windows, until)))))
    tiles: Over = over
    for folder, until in ends.items():
        yield folder, Others(tiles, told.look, until)
