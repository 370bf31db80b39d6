"""What keeps a TopSpin from obeying, by name, each with what a person can do. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class State:
    """``name`` in a person's words; ``advice``: what to do."""

    name: str
    advice: str


PORT_CLOSED = State(
    "TopSpin runs, but the agent's port is closed", "check the firewall of TopSpin's computer, and host and port in operando_agent.json"
)
TOPSPIN_GONE = State(
    "TopSpin or its agent is gone",
    "start TopSpin and type `xpy operando_agent`; the acquisition server may still finish the scan, and its data are then found",
)
SILENT = State("TopSpin's computer does not answer", "check cable and power, and whether TopSpin's computer sleeps")
DIALOG = State("a dialog is open in TopSpin", "somebody must look at TopSpin's window and close it; nothing else goes on until then")
CHANGED = State("somebody works in TopSpin", "their data set was left alone; ask them to leave this TopSpin to the run")
LOCKED = State("TopSpin is locked by another user", "ask them to unlock it, to log out, or to end what they run there (IconNMR?)")
AUTOMATION = State("an automation runs", "stop IconNMR (or the queue) on this TopSpin before the run")
CONTROLLED = State("another program has control of the agent", "end that program; control is free as soon as it disconnects")
KEY = State("the agent's key is another", "give the rig file the key_file that was written with the agent (`operando install-agent`)")
BUSY = State("TopSpin is busy", "wait until it has finished")
TAKEN = State("the data set is there already", "fetch it, or take another key")
REFUSED = State("the agent refuses", "correct the template or the limits in operando_agent.json")
FAULT = State("TopSpin reports an error", "look at TopSpin's window; the agent goes on")
NO_DATA = State("TopSpin left no complete data", "look at TopSpin's window, and at the free space of its disk")
NOT_ACQUIRED = State(
    "TopSpin did not acquire",
    "look at TopSpin's window, it says why only there: an automation (IconNMR) runs, somebody else acquires or has locked the "
    "spectrometer, or the pulse program does not compile",
)
STUCK = State("zg does not come back", "look at TopSpin's window for a dialog; a pulse program may also wait for a trigger that never came")

_BY_CODE = {
    "auth": KEY,
    "busy": BUSY,
    "not_idle": BUSY,
    "controlled": CONTROLLED,
    "locked": LOCKED,
    "dialog_suspected": DIALOG,
    "no_raw_data": NO_DATA,
    "par_rejected": REFUSED,
    "bad_request": REFUSED,
    "target_exists": TAKEN,
    "timeout": DIALOG,
}
# inferred: no source gives the exact texts; whatever TopSpin says is repeated to the person beside the name.
_BY_WORDS = (
    (re.compile(r"icon-?nmr|automation|queue (?:is )?running", re.IGNORECASE), AUTOMATION),
    (re.compile(r"locked by|in use by|another user|other user|owned by", re.IGNORECASE), LOCKED),
    (re.compile(r"meanwhile TopSpin shows", re.IGNORECASE), CHANGED),
    (re.compile(r"zg came back after"), NOT_ACQUIRED),
    (re.compile(r"a dialog|dialog (?:is )?open", re.IGNORECASE), DIALOG),
)


def state_of(code: str, text: str) -> State:
    """The name of what an agent's refusal or failure says: by what TopSpin said, else by the code."""
    for words, state in _BY_WORDS:
        if words.search(text):
            return state
    return _BY_CODE.get(code, FAULT)


def sentence(code: str, text: str) -> str:
    """``name: what was said``."""
    return f"{state_of(code, text).name}: {text}"


def story(code: str, text: str) -> str:
    """``name: what was said; what to do``."""
    return f"{sentence(code, text)}; {state_of(code, text).advice}"
