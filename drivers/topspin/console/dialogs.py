"""What TopSpin shows to a person: boxes that wait for a click, boxes that do not, the status line. No API reads them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from drivers.clock import Clock


@dataclass(eq=False)
class Box:
    """One dialog; ``answer`` is what was clicked."""

    text: str
    kind: str
    clicked: asyncio.Event = field(default_factory=asyncio.Event)
    answer: str = ""


class Screen:
    """The dialogs that are open, what was shown, the status line."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.open: list[Box] = []
        self.shown: list[str] = []
        self.status = ""

    def tell(self, text: str) -> None:
        """A box that blocks nobody."""
        self.shown.append(text)

    async def ask(self, text: str, kind: str = "message", *, seconds: float | None = None, answer: str = "ok") -> str:
        """A box that blocks its caller until somebody clicks, or ``seconds`` until ``answer`` is clicked."""
        box = Box(text, kind)
        self.open.append(box)
        self.shown.append(text)
        waiting: set[asyncio.Future[object]] = {asyncio.ensure_future(box.clicked.wait())}
        if seconds is not None:
            waiting.add(asyncio.ensure_future(self.clock.sleep(seconds)))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for future in waiting:
                future.cancel()
            self.open.remove(box)
        return box.answer or answer

    def click(self, answer: str = "ok") -> bool:
        """Somebody clicks the oldest open box; False when there is none."""
        for box in self.open:
            if not box.clicked.is_set():
                box.answer = answer
                box.clicked.set()
                return True
        return False
