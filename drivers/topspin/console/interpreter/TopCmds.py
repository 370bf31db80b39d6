# ruff: noqa: N999 the module's name is Bruker's
"""The functions of TopSpin's own ``TopCmds``, by the table of the references, in front of the emulated program.

Stands alone: it is imported by an interpreter that knows nothing of this package. ``bridge`` carries the calls: a socket in an
interpreter of its own, a hand-over to the event loop where everything is one process. ``Exception`` here is what scripts catch when
they think of Python's: the original star-imports ``java.lang``, so Python's own errors pass it by.
"""

from __future__ import annotations

import builtins
from typing import Any

WAIT_TILL_DONE = 1
NO_WAIT_TILL_DONE = 0

bridge: Any = None


class JavaException(BaseException):
    """``java.lang.Exception``."""

    def getMessage(self) -> Any:
        """Its text."""
        return str(self)


Exception = JavaException  # noqa: A001


def _call(name: Any, *arguments: Any) -> Any:
    if not bridge.on_command_thread():
        raise JavaException(f"{name}: not on a TopSpin command thread")  # inferred: that it fails is known, how is not
    return bridge.call(name, *arguments)


class CommandThread:
    """What XCMD gives back."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def join(self, *_timeout: Any) -> Any:
        """Wait until the command is over."""
        _call("JOIN", self._handle)

    def getResult(self) -> Any:
        """-1 where a processing command failed."""
        return _call("RESULT", self._handle)


def XCMD(cmd: Any, wait: Any = WAIT_TILL_DONE, arg: Any = None) -> Any:
    """Any command of the command line."""
    return CommandThread(_call("XCMD", cmd, wait, arg))


def XCPR(cmd: Any, wait: Any = WAIT_TILL_DONE) -> Any:
    """The same, straight to the executor: no window in between."""
    return CommandThread(_call("XCPR", cmd, wait))


def ZG(wait: Any = WAIT_TILL_DONE) -> Any:
    """Acquire."""
    return XCMD("zg", wait)


def GO(wait: Any = WAIT_TILL_DONE) -> Any:
    """Acquire, adding to what is there."""
    return XCMD("go", wait)


def EFP(wait: Any = WAIT_TILL_DONE) -> Any:
    """Window, Fourier transformation, phase."""
    return XCMD("efp", wait)


def FT(wait: Any = WAIT_TILL_DONE) -> Any:
    """Fourier transformation."""
    return XCMD("ft", wait)


def APK(wait: Any = WAIT_TILL_DONE) -> Any:
    """Automatic phase."""
    return XCMD("apk", wait)


def CURDATA() -> Any:
    """[name, expno, procno, dir]; up to 3.1 the user too."""
    return _call("CURDATA")


def RE(dataset: Any = None, show: Any = "y") -> Any:
    """Make a data set current."""
    _call("RE", list(dataset), show)


def RE_PATH(path: Any = None, show: Any = "y") -> Any:
    """Make a data set current, by its folder."""
    _call("RE_PATH", path, show)


def RE_IEXPNO() -> Any:
    """The next expno."""
    _call("RE_IEXPNO")


def WR(dataset: Any = None, confirm: Any = "y") -> Any:
    """Copy the current data set to a new place."""
    _call("WR", list(dataset), confirm)


def WR_PATH(path: Any = None, confirm: Any = "y") -> Any:
    """Copy the current data set to a new folder."""
    _call("WR_PATH", path, confirm)


def NEWDATASET(dataset: Any, expdir: Any = None, exp: Any = "PROTON") -> Any:
    """A new data set from a parameter set."""
    _call("NEWDATASET", list(dataset), expdir, exp)


def GETPAR(name: Any, axis: Any = 0) -> Any:
    """A parameter to be used, as text."""
    return _call("GETPAR", name, axis)


def GETPARSTAT(name: Any, axis: Any = 0) -> Any:
    """A status parameter, as text."""
    return _call("GETPARSTAT", name, axis)


def GETPAR2(name: Any) -> Any:
    """A parameter by its whole name (``status NS``)."""
    return _call("GETPAR2", name)


def GETPARS(names: Any, axis: Any = 0, status: Any = 0) -> Any:
    """Several parameters."""
    return _call("GETPARS", list(names), axis, status)


def PUTPAR(name: Any, value: Any, dataspecs: Any = None) -> Any:
    """Set a parameter; both are texts."""
    _call("PUTPAR", name, value, dataspecs)


def GETACQUDIM() -> Any:
    """Dimensions of the acquisition."""
    return _call("GETACQUDIM")


def GETPROCDIM() -> Any:
    """Dimensions of the processed data."""
    return _call("GETPROCDIM")


def MSG(message: Any = "", *rest: Any) -> Any:
    """A box; it blocks until somebody clicks."""
    _call("MSG", message, *rest)


def ERRMSG(message: Any = "", title: Any = None, details: Any = None, modal: Any = 0) -> Any:
    """An error box; it does not block."""
    _call("MSG" if modal else "ERRMSG", message, title, details)


def SHOW_STATUS(message: Any = "") -> Any:
    """The status line."""
    _call("SHOW_STATUS", message)


def CONFIRM(title: Any = None, message: Any = "") -> Any:
    """Yes or no; it blocks."""
    return _call("CONFIRM", message, title)


def SELECT(title: Any = None, message: Any = "", buttons: Any = ()) -> Any:
    """One of several buttons; it blocks."""
    return _call("SELECT", message, title, list(buttons))


def SLEEP(seconds: Any) -> Any:
    """Wait."""
    _call("SLEEP", seconds)


def EXIT() -> Any:
    """End the script."""
    raise SystemExit


def EXEC_PYSCRIPT(text: Any) -> Any:
    """Run a text in a new command thread, in a name space of its own; ``.join()`` waits for it."""
    return bridge.spawn(compile(text, "<EXEC_PYSCRIPT>", "exec"))


def EXEC_PYFILE(path: Any) -> Any:
    """Run a file in a new command thread."""
    with builtins.open(path, encoding="utf-8") as file:  # noqa: PTH123
        return bridge.spawn(compile(file.read(), path, "exec"))


def namespace() -> Any:
    """What every script finds imported."""
    mine = {name: value for name, value in globals().items() if not name.startswith("_") and name not in NOT_FOR_SCRIPTS}
    return {**mine, "Exception": JavaException}


NOT_FOR_SCRIPTS = {"bridge", "builtins", "namespace", "NOT_FOR_SCRIPTS", "JavaException", "CommandThread", "Any", "annotations"}
