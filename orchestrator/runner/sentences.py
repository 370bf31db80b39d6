"""What an instrument did not do, as a person needs it: which one, what was sent, what came back, what was done, what to do."""

from __future__ import annotations

from drivers.base import Settings
from drivers.errors import InstrumentError, NotReachable, Rejected


def told(
    settings: Settings, what: Exception | str, *, did: str, why: str = "", sent: str = "", received: str = "", advice: str = ""
) -> str:
    """The whole sentence. What the error itself knows comes before what is given here; ``why`` comes before its message."""
    known = what if isinstance(what, InstrumentError) else InstrumentError(str(what) or type(what).__name__)
    silent = isinstance(what, (NotReachable, TimeoutError))
    where = settings.written or settings.address
    if isinstance(what, Rejected):
        usual = f"look up the refusal in its manual; every byte both ways stands in wire/{settings.instrument}.jsonl"
    else:
        usual = f"check its power and its cable, and that the rig's address is right: {where}"
    return str(
        InstrumentError(
            f"{why}: {known.message}" if why else known.message,
            instrument=known.instrument or settings.instrument,
            sent=known.sent or sent,
            received=known.received or received or ("nothing" if silent else known.message),
            did=did if known.did in did else f"{known.did}; {did}",
            advice=known.advice or advice or usual,
        )
    )


def first_line(text: str) -> str:
    """A sentence without what was sent, came back, was done and can be done."""
    return text.partition("\n")[0]
