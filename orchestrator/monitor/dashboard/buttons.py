"""What a person may press, with what it does to the cell; and the page's own heartbeat. Drawn by ``hold.js`` and ``heart.js``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import param
from panel.custom import JSComponent

from orchestrator.model.events import PROMPT
from orchestrator.monitor.dashboard.sentence import ENDED
from orchestrator.monitor.payloads import Alarm, State

HERE = Path(__file__).parent
Button = Mapping[str, str]
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "pause-cell": {"now": False},
    "stop": {"after_step": False},
}
SEEN = "acknowledge "


class Hold(JSComponent):  # type: ignore[misc,unused-ignore]
    """Buttons that must be held. ``pressed`` is called with what the finger did, the verb and its text.

    A finger goes ``down``, and then either ``up`` before it has held long enough, or it has ``held``.
    """

    buttons: list[Button] = param.List([])
    allowed: bool = param.Boolean(True)
    writes: bool = param.Boolean(False)
    said: str = param.String("")
    result: str = param.String("")

    _esm = HERE / "hold.js"
    _stylesheets: ClassVar[list[str]] = [(HERE / "hold.css").read_text("utf-8")]

    def __init__(self, pressed: Callable[[str, str, str], Any], **params: Any) -> None:
        super().__init__(**params)
        self._pressed = pressed

    def _handle_msg(self, data: Any) -> None:
        self._pressed(str(data.get("phase", "")), str(data.get("verb", "")), str(data.get("text", "")))


class Heart(JSComponent):  # type: ignore[misc,unused-ignore]
    """Tells the page that it still hears us; without, the page says that it is stale, and tries to come back.

    ``alive``: the page has said that it is there. What is changed before that may be lost on the way, so nothing may be.
    """

    beat: int = param.Integer(0)
    alive = False

    def _handle_msg(self, _data: Any) -> None:
        self.alive = True

    _esm = HERE / "heart.js"


def main(state: State) -> list[Button]:
    """The four that matter at night; none once the run is over."""
    if state.state in ENDED:
        return []
    nmr = (
        _button("resume", "Resume", "NMR measures again, the cell goes on")
        if state.nmr_paused
        else _button("pause-nmr", "Pause NMR", "current goes on, no new spectrum")
    )
    paused = state.cell_paused or state.state == "paused"
    cell = (
        _button("resume", "Resume", "the cell goes on from what it still owes")
        if paused
        else _button("pause-cell", "Pause cell", "this step ends, the next waits")
    )
    stop = _button("stop", "Stop", "after this spectrum: open circuit, end")
    abort = _button("abort", "Abort", "open circuit NOW, run ends", "abort")
    return [nmr, cell, stop, abort]


def further(state: State, alarms: list[Alarm]) -> list[Button]:
    """Those that can wait: further down on the page."""
    if state.state in ENDED:
        return []
    seen = [_button(f"{SEEN}{one.id}", _answer(one), one.title) for one in alarms if not one.acknowledged]
    more = [_button("skip", "Skip step", "this step ends now, the next starts")]
    more += [_button("acquire", f"Measure {state.acquisition}", "one spectrum now, the cell goes on")] if state.acquisition else []
    return seen + more


def _answer(alarm: Alarm) -> str:
    """What a person says by acknowledging it."""
    return "It is done" if alarm.id.startswith(PROMPT) else "I have seen it"


def command(verb: str, text: str, state: State) -> tuple[str, dict[str, Any]]:
    """Level and arguments of what was pressed. Raises ValueError for what no button has."""
    if verb.startswith(SEEN):
        return "acknowledge", {"alarm": verb.removeprefix(SEEN)}
    if verb == "note":
        return "note", {"text": text[:2000]}
    if verb == "acquire" and state.acquisition:
        return "acquire", {"name": state.acquisition}
    if verb in {"pause-nmr", "pause-cell", "resume", "skip", "stop", "abort"}:
        return verb, dict(ARGUMENTS.get(verb, {}))
    raise ValueError(f"there is no button `{verb}`")


def _button(verb: str, title: str, does: str, tone: str = "") -> Button:
    return {"verb": verb, "title": title, "does": does, "tone": tone}
