# mypy: ignore-errors
"""The same agent beside TopSpin instead of inside it: Bruker's own Python interface carries out its calls. CPython 3 only.

`python operando_agent_api.py`, with operando_agent.py beside it and the same settings. It needs the packages that come with TopSpin 4.1.4
and newer in <TopSpin>/python/examples (ts_remote_api-*.whl, bruker_nmr_api-*.whl), which may not be handed on, and the network interface
that TopSpin's user starts (gear wheel, Python 3+, Manage TopSpin Network Interface). OPERANDO_TOPSPIN_URL: where that is (localhost:3081).
Data sets must have the same path here as in TopSpin. Built to what public programs call, not yet met an instrument.

inferred: a parameter is set by a command of its name in small letters without blank ("D 7" is "d7 0.1"; seen were "ns 16", "sw 20");
`halt` of a second connection acts while the first waits in `zg`; a data set that is copied file by file is taken as one of TopSpin's.
"""

import os
import re
import shutil
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import operando_agent

URL = os.environ.get("OPERANDO_TOPSPIN_URL", "localhost:3081")
IDLE_s = float(os.environ.get("OPERANDO_AGENT_IDLE_S", "0"))
MISSING = 3
ADVICE = """Bruker's Python interface is not installed in %s.
Install what came with your TopSpin (it is on no index and may not be handed on):
  %s -m pip install <TopSpin>/python/examples/ts_remote_api-*.whl <TopSpin>/python/examples/bruker_nmr_api-*.whl
"""


class Commands:
    """The names of TopCmds that the agent calls, by Bruker's Python interface. `connect()`: one more connection to TopSpin."""

    def __init__(self, connect):
        self._connect = connect
        self._topspin = connect()
        self._provider = self._topspin.getDataProvider()

    def version(self):
        return "%s" % (self._topspin.getVersion(),)

    def _shown(self):
        """The data set on the screen, "" where there is none: a path that ends in pdata/N."""
        return ("%s" % (self._provider.getCurrentDatasetIdentifier() or "",)).replace("\\", "/").rstrip("/")

    def _data(self):
        path = self._shown()
        if not path:
            raise RuntimeError("TopSpin shows no data set")
        return self._provider.getNMRData(path)

    def CURDATA(self):
        path = self._shown()
        found = re.match(r"^(.*)/([^/]+)/(\d+)/pdata/(\d+)$", path)
        return None if found is None else [found.group(2), found.group(3), found.group(4), found.group(1)]

    def RE(self, dataset, show="y"):
        name, expno, procno, folder = dataset[:4]
        data = self._provider.getNMRData("%s/%s/%s/pdata/%s" % (folder, name, expno, procno))
        self._topspin.getDisplay().show(dataset=data, newWindow=False)

    def WR(self, dataset):
        """A copy of what is shown, without its data: files, as public programs do it."""
        name, expno, _, folder = dataset[:4]
        source, target = self._shown().rsplit("/pdata/", 1)[0], os.path.join(folder, name, expno)
        raw = [path.split("/")[-1] for path in operando_agent.NOT_COPIED]
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*raw))

    def GETPAR(self, name):
        return self._data().getPar(name)

    def PUTPAR(self, name, value):
        self._data().launch("%s %s" % (name.lower().replace(" ", ""), value))

    def XCMD(self, command, wait=1):
        self._data().launch(command, wait=bool(wait))

    def EXEC_PYSCRIPT(self, text):
        """From another thread, while `zg` is waited for: a connection of its own, which does not wait."""
        command = re.match(r"^XCMD\('(halt|stop)', 0\)$", text).group(1)
        self._connect().executeCommand(command, wait=False)


class TopSpin(operando_agent.TopSpin):
    """Every call into TopSpin."""

    def version(self):
        return self.t.version()

    def say(self, text):
        """Nothing: the interface has no status line, and its `showError` waits for a person."""


def end_when_nobody_comes(server):
    """Nobody connected, nothing running, for so long: whoever started this has gone."""
    since = time.time()
    while not server.over.is_set():
        if server.sessions or server.job is not None:
            since = time.time()
        if time.time() - since > IDLE_s:
            server.over.set()
            server.jobs.put(None)
        server.over.wait(0.5)


def main():
    try:
        from bruker.api.topspin import Topspin
    except ImportError as error:
        sys.stderr.write("%s\n%s" % (error, ADVICE % (sys.executable, sys.executable)))
        return MISSING
    try:
        commands = Commands(lambda: Topspin(url=URL))
        server = operando_agent.Server(operando_agent.load_settings(), TopSpin(commands))
    except Exception as error:
        sys.stderr.write("TopSpin's network interface at %s: %s\n" % (URL, error))
        return 2
    if IDLE_s:
        threading.Thread(target=end_when_nobody_comes, args=(server,), daemon=True).start()
    try:
        server.serve()
    except operando_agent.Refused as refusal:
        sys.stderr.write("operando_agent_api: %s\n" % refusal.text)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
