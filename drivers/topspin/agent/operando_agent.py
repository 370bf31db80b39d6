# mypy: ignore-errors
"""tsbridge/1: carries out a fixed list of operations inside TopSpin, as JSON lines over TCP. One file, nothing to install.

Runs as Jython 2.7 (TopSpin 3 and 4: `xpy operando_agent`) and as CPython 3. Built to the document, not yet met an instrument.
Settings: `operando_agent.json` beside this file, or the file that OPERANDO_AGENT_CONFIG names:

  host "127.0.0.1", port 0 (= free)      where to listen; any other host needs key_file
  root                                   new data sets are made below it, and nowhere else
  templates []                           further folders whose data sets may be cloned; they are only read
  key_file                               a secret of at least 16 bytes, shared with the orchestrator
  mode "listen" | "pull"                 pull: called by the AU program operando_pull, connects to host:port by itself
  port_file                              one line of JSON {"host", "port", "pid"}, once it listens
  limits, unlock                         {"NS": [1, 65536], ...}, {"P 1": [1.0, 12.0]}: what may be set, and how far

Two threads matter. The script's own thread (a TopSpin command thread) makes every call into TopSpin, one at a time. The others talk
to the network and never call TopSpin, but for EXEC_PYSCRIPT, which is the documented way to do so from outside a command thread.
Never MSG or any other dialog: it would wait for a person. To stop the agent, make a file `operando_agent.stop` beside its settings.
"""

from __future__ import absolute_import, division, print_function

import binascii
import errno
import hashlib
import hmac
import json
import os
import re
import socket
import sys
import threading
import time

try:
    import builtins
except ImportError:
    import __builtin__ as builtins
try:
    import queue
except ImportError:
    import Queue as queue

# `xpy` imports TopCmds' names into every script, and with them java.lang's: `Exception` alone may mean java.lang.Exception.
ANY_ERROR = (builtins.Exception, Exception)
try:
    from java.lang import Throwable

    ANY_ERROR += (Throwable,)
except ImportError:
    pass

AGENT = "tsbridge/1"
VERSION = "1.0"
MOST_BYTES = 65536
MOST_CONNECTIONS = 16
MOST_UNREAD = 1000
REMEMBERED = 1000
HEARTBEAT_s = 5.0
SILENT_CONTROLLER_s = 30.0
STOP_AGAIN_s = 5.0
HELLO_WITHIN_s = 10.0
WINDOWS = os.sep == "\\"  # os.name is "java" in Jython, wherever it runs
JOURNAL, STATE = "operando_agent.jsonl", "operando_agent.state"
SAFE_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,79}$")
OBSERVER_MAY = ("ping", "status", "find")
OPERATIONS = ("find", "halt", "hand_back", "ping", "prepare", "start", "status", "stop")

# Parameters that may be set, and how far; `limits` in the settings narrows or widens them. Whatever else a site allows (pulse
# lengths, powers) stands in `unlock`, and only there.
LIMITS = {
    "NS": (1, 1 << 20),
    "DS": (0, 4096),
    "D 1": (0.001, 86400.0),
    "TD": (2, 1 << 22),
    "O1": (-1.0e6, 1.0e6),
}
UNLOCKABLE = ("P 1", "PL 1", "PLW 1", "PLdB 1", "RG")
UNLOCKABLE_TOO = re.compile(r"^[DP] ([2-9]|[1-5][0-9]|6[0-3])$")  # delays and pulses of the site's own programs, for arrays
ROUNDING = {"O1": 1.0, "TD": None}  # TopSpin may round TD: told, not refused
TOLD = ("NUC1", "PULPROG", "PARMODE", "AQ_mod", "NS", "DS", "TD", "D 1", "O1", "BF1", "SFO1", "SW_h", "RG", "DE", "P 1", "PL 1", "PLW 1")
# Copied status files would look like a finished acquisition.
NOT_COPIED = ("fid", "ser", "acqus", "acqu2s", "audita.txt", "pdata/1/1r", "pdata/1/1i", "pdata/1/procs", "pdata/1/auditp.txt")

# How a connection is made to look; replaced in no way by anybody but the settings.
DEFAULTS = {
    "host": "127.0.0.1",
    "port": 0,
    "root": "",
    "templates": [],
    "key_file": "",
    "mode": "listen",
    "port_file": "",
    "limits": {},
    "unlock": {},
    "dialog_s": 30.0,
    "audit_s": 10.0,
    "patience_s": 3600.0,
}


class Refused(builtins.Exception):
    """What was asked is not done; `code` says why in one word."""

    def __init__(self, code, text):
        builtins.Exception.__init__(self, text)
        self.code = code
        self.text = text


def told(error):
    """An error of Python or Java in one line."""
    text = "%s" % (error,)
    return " ".join(text.split())[:300] or error.__class__.__name__


# ---------------------------------------------------------------------------------------------------------------- settings


def own_folder():
    """Where this file lies; `xpy` need not define __file__ (inferred)."""
    for path in (globals().get("__file__"), sys.argv[0] if sys.argv else None):
        if path and os.path.isfile(path):
            return os.path.dirname(os.path.abspath(path))
    return os.getcwd()


def load_settings(written=None):
    """The settings file's, checked; or those given."""
    path = os.environ.get("OPERANDO_AGENT_CONFIG") or os.path.join(own_folder(), "operando_agent.json")
    if written is None:
        with open(path, "rb") as file:
            written = json.loads(file.read().decode("utf-8"))
    unknown = sorted(set(written) - set(DEFAULTS))
    if unknown:
        raise Refused("bad_request", "%s: unknown setting %s" % (path, unknown[0]))
    settings = dict(DEFAULTS)
    settings.update(written)
    if not settings["root"] or not os.path.isdir(settings["root"]):
        raise Refused("bad_request", "%s: root %r is no folder" % (path, settings["root"]))
    settings["root"] = os.path.realpath(settings["root"])
    settings["folder"] = os.path.dirname(os.path.abspath(path))
    settings["secret"] = load_secret(settings["key_file"])
    if settings["secret"] is None and settings["host"] not in ("127.0.0.1", "localhost", "::1"):
        raise Refused("auth", "%s: host %s is on the network: that needs a key_file" % (path, settings["host"]))
    locked = sorted(name for name in settings["unlock"] if name not in UNLOCKABLE and not UNLOCKABLE_TOO.match(name))
    if locked:
        raise Refused("bad_request", "%s: %s cannot be unlocked" % (path, locked[0]))
    return settings


def load_secret(path):
    if not path:
        return None
    with open(path, "rb") as file:
        secret = file.read().strip()
    if len(secret) < 16:
        raise Refused("auth", "%s: a secret has at least 16 bytes" % path)
    return secret


def limits_of(settings):
    """Parameter -> (lowest, highest), of all that may be set."""
    limits = dict(LIMITS)
    limits.update((name, tuple(pair)) for name, pair in settings["limits"].items() if name in LIMITS)
    limits.update((name, tuple(pair)) for name, pair in settings["unlock"].items())
    return limits


# ------------------------------------------------------------------------------------------------------- data sets on disk


def below(path, root):
    """Is a path inside a folder, all links followed?"""
    path, root = os.path.realpath(path), os.path.realpath(root)
    return os.path.normcase(path).startswith(os.path.normcase(root).rstrip(os.sep) + os.sep)


def checked_path(path, roots, what):
    """An absolute path below one of the roots whose last two parts are a plain name and a number, or refused."""
    text = path if hasattr(path, "startswith") else ""
    parts = [part for part in re.split(r"[/\\]", text) if part]
    if not os.path.isabs(text) or ".." in parts or len(parts) < 2 or "\n" in text or "\0" in text:
        raise Refused("bad_request", "%s %r is no absolute path" % (what, path))
    if not any(below(text, root) for root in roots):
        raise Refused("bad_request", "%s %r is not below %s" % (what, path, " or ".join(roots)))
    return os.path.normpath(text)


def checked_data_set(path, roots, what):
    path = checked_path(path, roots, what)
    name, expno = os.path.basename(os.path.dirname(path)), os.path.basename(path)
    if not SAFE_NAME.match(name) or not expno.isdigit() or int(expno) < 1:
        raise Refused("bad_request", "%s %r: a plain name and a number are wanted at its end" % (what, path))
    return path


def fresh(folder):
    """The first experiment number after all that are there."""
    taken = [int(name) for name in os.listdir(folder) if name.isdigit()] if os.path.isdir(folder) else []
    return os.path.join(folder, str(max(taken + [0]) + 1))


def parse_parameters(text):
    """A JCAMP parameter file -> {"NS": "16", "P 1": "8"}; of arrays the elements, strings without their brackets."""
    found = {}
    for record in ("\n" + text).split("\n##$")[1:]:
        name, _, value = record.split("\n##")[0].split("\n$$")[0].partition("=")
        name, value = name.strip(), value.strip()
        array = re.match(r"^\(0\.\.\d+\)\s*(.*)$", value, re.DOTALL)
        if array is None:
            found[name] = value[1:-1] if value.startswith("<") and value.endswith(">") else value
        else:
            for index, element in enumerate(re.findall(r"<[^>]*>|\S+", array.group(1))):
                found["%s %d" % (name, index)] = element
    return found


def parameters_on_disk(data_set, name="acqu"):
    with open(os.path.join(data_set, name), "rb") as file:
        return parse_parameters(file.read().decode("latin-1"))


def offset_Hz(data_set, carrier_ppm):
    """O1 of a carrier in ppm. 0 ppm is at SF, where the site has referenced its template, else at BF1."""
    basic = finite("BF1", parameters_on_disk(data_set).get("BF1"))
    zero = basic
    for name in ("procs", "proc"):
        path = os.path.join(data_set, "pdata", "1", name)
        if os.path.isfile(path):
            said = parameters_on_disk(os.path.dirname(path), name).get("SF", "0")
            zero = finite("SF", said) if abs(finite("SF", said) / basic - 1) < 1e-3 else basic
            break
    return round((zero * (1 + carrier_ppm * 1e-6) - basic) * 1e6, 2)


def write_title(data_set, lines):
    folder = os.path.join(data_set, "pdata", "1")
    if not os.path.isdir(folder):
        os.makedirs(folder)
    plain = [re.sub(r"[^\x20-\x7e]", "?", line)[:200] for line in lines]
    with open(os.path.join(folder, "title"), "wb") as file:
        file.write("\n".join(plain).encode("ascii"))


def md5(data):
    return hashlib.md5(data).hexdigest().upper()  # noqa: S324  the format's own hash


def audit_verdict(data_set):
    """Nothing when audita.txt's own hash and its hash of the data both hold; else what is wrong."""
    try:
        with open(os.path.join(data_set, "audita.txt"), "rb") as file:
            audit = file.read()
        raw = os.path.join(data_set, "fid")
        if not os.path.isfile(raw):
            raw = os.path.join(data_set, "ser")
        parameters = parameters_on_disk(data_set, "acqus")
        with open(raw, "rb") as file:
            data = file.read()
    except (IOError, OSError) as error:
        return "%s is not there" % os.path.basename(error.filename or "a file")
    head, end, tail = audit.partition(b"##END=")
    own = hex_after(tail.decode("latin-1"), r"\$\$ hash MD5\s*\$\$")
    of_data = hex_after(head.decode("latin-1"), r"data hash MD5:[^\n]*\n")
    if not end or not own or not of_data:
        return "audita.txt is not finished"
    if own[-1] != md5(head):
        return "audita.txt is not what its own hash says"
    return "" if of_data[-1] == md5(hashed_part(data, parameters)) else "the data are not what audita.txt's hash says"


def hex_after(text, before):
    """Every MD5 that is written, in 16 spaced pairs, after a pattern."""
    found = re.findall(before + r"\s*((?:[0-9A-Fa-f]{2}\s?){16})", text)
    return ["".join(one.split()).upper() for one in found]


def hashed_part(data, parameters):
    """TD numbers without the padding to 1024 bytes, little-endian however they are stored."""
    word = 8 if parameters.get("DTYPA") == "2" else 4
    size = min(int(float(parameters.get("TD", "0"))) * word, len(data) // word * word)
    if parameters.get("BYTORDA") != "1":
        return data[:size]
    turned = bytearray(size)
    for byte in range(word):
        turned[byte::word] = bytearray(data[:size])[word - 1 - byte :: word]
    return bytes(turned)


def raw_size(data_set):
    for name in ("fid", "ser"):
        if os.path.isfile(os.path.join(data_set, name)):
            return os.path.getsize(os.path.join(data_set, name))
    return 0


# ------------------------------------------------------------------------------------------------------------ into TopSpin


class Names(object):
    """TopCmds' names where `xpy` has put them: in this script's own namespace."""

    def __getattr__(self, name):
        try:
            return globals()[name]
        except KeyError:
            raise AttributeError(name)


def topspin_commands():
    try:
        import TopCmds

        return TopCmds
    except ImportError:
        return Names()


class TopSpin(object):
    """Every call into TopSpin. Only on the script's own thread, but for `outside`."""

    def __init__(self, commands):
        self.t = commands

    def version(self):
        """From the name of the folder that TopSpin is installed in, as each release tells it; "unknown" otherwise."""
        for properties in ("getBaseProperties", "registry", "getEnviron"):
            try:
                found = getattr(sys, properties)
                home = "%s" % (found() if callable(found) else found)["XWINNMRHOME"]
                return re.split(r"topspin[ _-]?", home, flags=re.IGNORECASE)[1].split("/")[0].split(os.sep)[0]
            except ANY_ERROR:
                continue
        return "unknown"

    def say(self, text):
        try:
            self.t.SHOW_STATUS("operando: " + text)
        except ANY_ERROR:
            pass

    def current(self):
        """The path of the current data set; "" where there is none."""
        named = self.t.CURDATA()
        if not named:
            return ""
        name, expno, folder = ("%s" % named[0], "%s" % named[1], "%s" % named[3])
        if len(named) > 4:  # TopSpin 3.1 and older
            return os.path.normpath(os.path.join(folder, "data", "%s" % named[4], "nmr", name, expno))
        return os.path.normpath(os.path.join(folder, name, expno))

    def named(self, path):
        """A path as TopSpin of this version names data sets: [name, expno, procno, dir(, user)]."""
        folder, expno = os.path.split(path)
        folder, name = os.path.split(folder)
        now = self.t.CURDATA()
        if not now or len(now) <= 4:
            return [name, expno, "1", folder]
        parts = folder.split(os.sep)
        if len(parts) < 4 or parts[-1] != "nmr" or parts[-3] != "data":
            raise Refused("bad_request", "this TopSpin wants data sets in DIR/data/USER/nmr/NAME/EXPNO, not %s" % path)
        return [name, expno, "1", os.sep.join(parts[:-3]), parts[-2]]

    def show(self, path):
        """RE, and see that it worked. A person may be clicking at the same time, but not three times in a moment."""
        found = ""
        for _ in range(3):
            self.t.RE(self.named(path))
            found = self.current()
            if os.path.normcase(os.path.realpath(found)) == os.path.normcase(os.path.realpath(path)):
                return
        raise Refused("locked", "RE has no effect, TopSpin goes on showing %s" % (found or "no data set"))

    def copy_to(self, path):
        """WR without its second argument, whose meaning differs from version to version: the target must not exist."""
        self.t.WR(self.named(path))
        if not os.path.isfile(os.path.join(path, "acqu")):
            raise Refused("topspin_error", "WR made no %s: is the folder writable for TopSpin's user?" % path)

    def get(self, name):
        value = self.t.GETPAR(name)
        return "" if value is None else ("%s" % (value,)).strip()

    def put(self, name, text):
        self.t.PUTPAR(name, text)

    def zg(self):
        """Acquire; returns when TopSpin does. What the returned object says, where it says anything."""
        thread = self.t.XCMD("zg", 1)
        try:
            result = thread.getResult()
        except ANY_ERROR:
            return ""
        return "zg returned %s" % (result,) if result not in (None, 0, "0", "") else ""

    def outside(self, command):
        """One command from outside a command thread (inferred to act while another script is inside zg)."""
        self.t.EXEC_PYSCRIPT("XCMD('%s', 0)" % {"halt": "halt", "stop": "stop"}[command])


# ----------------------------------------------------------------------------------------------------------------- journal


class Journal(object):
    """Every transition: numbered, kept in a file below the root, and told to whoever listens."""

    def __init__(self, root):
        self.path = os.path.join(root, JOURNAL)
        self.lock = threading.Lock()
        self.listeners = []
        self.recent = []
        self.known = {}
        self.seq = 0
        self.torn = False  # the last line has no end: a crash cut it
        self.read()

    def read(self):
        """What earlier agents wrote: which key has which data set, and how far it came."""
        if not os.path.isfile(self.path):
            return
        with open(self.path, "rb") as file:
            text = file.read().decode("utf-8", "replace")
        self.torn = bool(text) and not text.endswith("\n")
        for line in text.splitlines():
            try:
                event = json.loads(line)
                self.take(event, int(event["seq"]))
            except (ValueError, KeyError, TypeError):
                continue

    def take(self, event, seq):
        self.seq = max(self.seq, seq)
        if event.get("key"):
            known = self.known.setdefault((event["key"], int(event.get("block", 0))), {})
            known.update(target=event.get("target", known.get("target")), state=event["ev"], text=event.get("text", ""))
            known["t_unix"] = event.get("t_unix", 0.0)
        self.recent = (self.recent + [event])[-REMEMBERED:]

    def put(self, ev, **told_too):
        with self.lock:
            event = dict(told_too, ev=ev, seq=self.seq + 1, t_unix=time.time())
            self.take(event, event["seq"])
            try:
                with open(self.path, "ab") as file:
                    file.write((("\n" if self.torn else "") + json.dumps(event, sort_keys=True) + "\n").encode("utf-8"))
                self.torn = False
            except (IOError, OSError):
                pass  # a full disk must not stop a scan
            for listener in list(self.listeners):
                listener(event)

    def listen(self, listener, since):
        """From now on, and what was after number `since` (None: nothing) first."""
        with self.lock:
            for event in self.recent:
                if since is not None and event["seq"] > since:
                    listener(event)
            self.listeners.append(listener)

    def forget(self, listener):
        with self.lock:
            self.listeners = [one for one in self.listeners if one != listener]


# -------------------------------------------------------------------------------------------------------------------- jobs


class Job(object):
    """One operation for the script's own thread. `answer` is there once `answered` is set."""

    def __init__(self, op, request):
        self.op = op
        self.request = request
        self.since = time.time()
        self.answered = threading.Event()
        self.answer = None
        self.refusal = None
        self.ending = ""  # "halt" or "stop", once asked
        self.abandoned = False  # nobody waits for the answer any more
        self.over = threading.Event()

    def reply(self, answer):
        self.answer = answer
        self.answered.set()

    def refuse(self, code, text):
        self.refusal = Refused(code, text)
        self.answered.set()


class Agent(object):
    """Carries out one job at a time. `job` is what runs now."""

    def __init__(self, settings, topspin):
        self.settings = settings
        self.topspin = topspin
        self.root = settings["root"]
        self.limits = limits_of(settings)
        self.journal = Journal(self.root)
        self.jobs = queue.Queue()
        self.lock = threading.Lock()
        self.job = None
        self.over = threading.Event()
        self.version = topspin.version()
        self.controller = None
        self.as_found = ""
        self.cloned = []

    # ------------------------------------------------------------------------------------------- asked by any thread

    def state(self):
        job = self.job
        if job is None:
            return {"state": "idle"}
        found = {"state": "running" if job.op == "start" else "preparing", "op": job.op, "for_s": time.time() - job.since}
        if job.ending:
            found["state"] = "stopping"
        for name in ("key", "block", "target"):
            if name in job.request:
                found[name] = job.request[name]
        return found

    def submit(self, op, request):
        """Give the script's own thread something to do. Refused while it does something else, but for a moment's preparing."""
        now = self.job
        if now is not None and now.op == "prepare":
            now.over.wait(self.settings["dialog_s"])
        with self.lock:
            if self.job is not None:
                now = self.state()
                text = "%s of %s for %.0f s" % (now["op"], now.get("key", now.get("target", "a data set")), now["for_s"])
                raise Refused("busy", text + (": is a dialog open in TopSpin?" if now["op"] == "prepare" else ""))
            self.job = job = Job(op, request)
        self.jobs.put(job)
        return job

    def answer(self, op, request):
        """The answer to an operation, in whatever thread asks."""
        if op in ("ping", "status"):
            return dict(self.state(), t_unix=time.time(), seq=self.journal.seq)
        if op == "find":
            return self.find(text_of(request, "key"), number_of(request, "block", 0))
        if op in ("halt", "stop"):
            return self.end(op, text_of(request, "key"))
        if op == "start" and self.was_started(request):
            return {"state": self.journal.known[key_of(request)]["state"], "again": True, "t_unix": time.time()}
        job = self.submit(op, request)
        job.answered.wait(self.settings["dialog_s"])
        if not job.answered.is_set():
            job.abandoned = True
            raise Refused("dialog_suspected", "TopSpin has not returned from %s for %.0f s" % (op, self.settings["dialog_s"]))
        if job.refusal is not None:
            raise job.refusal
        return job.answer

    def find(self, key, block):
        """How far a key has come; "starting" while TopSpin has not come back from RE."""
        known, job = dict(self.journal.known.get((key, block)) or {"state": "unknown"}), self.job
        if known["state"] == "prepared" and job is not None and job.op == "start" and job.request.get("key") == key:
            known["state"] = "starting"
        return known

    def was_started(self, request):
        known = self.journal.known.get(key_of(request))
        return known is not None and known["state"] != "prepared"

    def end(self, how, key):
        """`halt` keeps what was scanned, `stop` discards it; both only what runs under this key."""
        job = self.job
        if job is None or job.op != "start" or job.request.get("key") != key:
            raise Refused("not_idle" if job else "bad_request", "%s is not running" % key)
        job.ending = "stop" if how == "stop" else (job.ending or "halt")
        self.journal.put("stopping", key=key, block=job.request["block"], target=job.request["target"], how=how)
        self.topspin.outside(how)
        return {"state": "stopping"}

    # --------------------------------------------------------------------------------------- on the script's own thread

    def work(self):
        """Jobs, until the agent is over; a get that waits for ever could not be interrupted."""
        while not self.over.is_set():
            try:
                job = self.jobs.get(True, 60.0)
            except queue.Empty:
                continue
            if job is not None:
                self.carry_out(job)

    def carry_out(self, job):
        """Who hears how a job ended may ask for the next one at once."""
        conclude = self.outcome(job)
        self.job = None
        job.over.set()
        conclude()

    def outcome(self, job):
        """Do a job; what is then to be said."""
        try:
            if job.op == "start":
                return self.start(job)
            answer = self.hand_back() if job.op == "hand_back" else self.prepare(job.request)
            return lambda: job.reply(answer)
        except Refused as refusal:
            refused = refusal
        except ANY_ERROR as error:
            refused = Refused("topspin_error", "%s: %s" % (job.op, told(error)))
        return lambda: self.refuse(job, refused)

    def refuse(self, job, refused):
        job.refuse(refused.code, refused.text)
        if job.op == "start" and job.abandoned:
            names = {name: job.request[name] for name in ("key", "block", "target") if name in job.request}
            self.journal.put("failed", code=refused.code, text=refused.text, **names)

    def hand_back(self):
        """Show the data set again that stood there before ours; what a person has chosen since stays."""
        shown = self.topspin.current()
        ours = [known.get("target") for known in self.journal.known.values()]
        if self.as_found and shown != self.as_found and (shown in ours or shown in self.cloned):
            self.topspin.show(self.as_found)
        found, self.as_found = self.as_found, ""
        return {"as_found": found, "shown": self.topspin.current()}

    def prepare(self, request):
        """Clone the site's own template into a fresh experiment number, set the few parameters that may be set, read back."""
        template = checked_data_set(request.get("template"), [self.root] + self.settings["templates"], "template")
        if not os.path.isfile(os.path.join(template, "acqu")):
            raise Refused("bad_request", "no data set at %s" % template)
        nucleus = text_of(request, "nucleus")
        if nucleus and parameters_on_disk(template).get("NUC1") != nucleus:
            raise Refused("par_rejected", "the template %s is not of %s" % (template, nucleus))
        target = self.target_of(request)
        wanted = self.wanted(request.get("par") or {}, template)
        key, block = key_of(request)
        if self.was_started(request):
            raise Refused("target_exists", "%s was acquired already, in %s" % (key, self.journal.known[key, block]["target"]))
        self.as_found = self.as_found or self.topspin.current()
        if template not in self.cloned:
            self.cloned.append(template)
        self.topspin.show(template)
        self.topspin.copy_to(target)
        self.topspin.show(target)
        self.clear(target)
        if (self.topspin.get("PARMODE") or "1D") not in ("1D", "0"):
            raise Refused("bad_request", "the template %s is not one-dimensional" % template)
        read_back = self.set(wanted, target)
        write_title(target, [text_of(request, "title") or key, "opnmr:" + key])
        self.journal.put("prepared", key=key, block=block, target=target, template=template, par=wanted)
        return {"target": target, "readback": read_back}

    def target_of(self, request):
        """A data set that does not exist yet: the one named, or the next number of a named folder."""
        if "target" in request:
            target = checked_data_set(request["target"], [self.root], "target")
        else:
            folder = checked_path(request.get("folder"), [self.root], "folder")
            target = checked_data_set(fresh(folder), [self.root], "target")
        if os.path.exists(target):
            raise Refused("target_exists", "%s is there already" % target)
        return target

    def wanted(self, asked, template):
        """Parameter -> text for PUTPAR; refused outside the limits."""
        wanted = {}
        for given, value in sorted(asked.items()):
            name, number = given, finite(given, value)
            if given == "O1P":
                name, number = "O1", offset_Hz(template, number)
            if name not in self.limits:
                raise Refused("par_rejected", "%s may not be set here" % name)
            low, high = self.limits[name]
            if not low <= number <= high:
                raise Refused("par_rejected", "%s = %s is outside %s to %s" % (name, value, low, high))
            if name == "TD" and (number % 2 or number != int(number)):
                raise Refused("par_rejected", "TD = %s is not even" % value)
            wanted[name] = str(int(number)) if number == int(number) else repr(number)
        return wanted

    def clear(self, target):
        """Nothing that a copy brought along may look like an acquisition."""
        for name in NOT_COPIED:
            path = os.path.join(target, *name.split("/"))
            if os.path.isfile(path):
                os.remove(path)
        if raw_size(target):
            raise Refused("target_exists", "%s still holds raw data" % target)

    def set(self, wanted, target):
        """PUTPAR each, GETPAR each: TopSpin loses parameters without a word."""
        for name, text in sorted(wanted.items()):
            self.topspin.put(name, text)
        found = parameters_on_disk(target)
        read_back = {name: found[name] for name in TOLD if name in found}
        for name in sorted(wanted):
            read_back[name] = self.topspin.get(name)
        for name, text in sorted(wanted.items()):
            if not same(name, text, read_back[name]):
                raise Refused("par_rejected", "%s was set to %s, TopSpin says %s" % (name, text, read_back[name] or "nothing"))
        return read_back

    def start(self, job):
        """RE immediately before zg; then the truth is on the disk, not in what zg says."""
        request = job.request
        key, block = key_of(request)
        target = checked_data_set(request.get("target"), [self.root], "target")
        if self.journal.known.get((key, block), {}).get("target") != target:
            raise Refused("bad_request", "%s was not prepared for %s" % (target, key))
        if raw_size(target):
            raise Refused("target_exists", "%s holds raw data already" % target)
        self.topspin.show(target)
        request.update(key=key, block=block, target=target)
        began = time.time()
        self.journal.put("started", key=key, block=block, target=target)
        job.reply({"state": "running", "t_unix": began, "target": target})
        watch = threading.Thread(target=self.mind, args=(job, finite("deadline_s", request.get("deadline_s", 86400.0))))
        watch.daemon = True
        watch.start()
        said = ""
        try:
            if not job.ending:
                said = self.topspin.zg()
        except ANY_ERROR as error:
            said = told(error)
        return self.finish(job, began, said)

    def finish(self, job, began, said):
        """Acquired; how to say that it is done, or has failed."""
        key, block, target = (job.request[name] for name in ("key", "block", "target"))
        names = {"key": key, "block": block, "target": target}
        if job.ending == "stop":
            return self.failure("aborted", "aborted", names)
        if not raw_size(target):
            return self.failure("no_raw_data", self.no_data(target, began, said), names)
        self.journal.put("acquired", **names)
        wrong = self.until_audited(target)
        if wrong:
            return self.failure("no_raw_data", "%s: %s%s" % (target, wrong, said and "; " + said), names)
        return lambda: self.journal.put("done", fid_bytes=raw_size(target), audit_md5_ok=True, **names)

    def failure(self, code, text, names):
        return lambda: self.journal.put("failed", code=code, text=text, **names)

    def until_audited(self, target):
        until = time.time() + self.settings["audit_s"]
        while True:
            wrong = audit_verdict(target)
            if not wrong or time.time() > until:
                return wrong
            time.sleep(0.2)

    def no_data(self, target, began, said):
        """Why zg may have left nothing: TopSpin tells people by dialogs, and scripts not at all."""
        text = "zg came back after %.1f s and there are no data in %s" % (time.time() - began, target)
        try:
            now = self.topspin.current()
        except ANY_ERROR as error:
            return "%s; %s" % (text, told(error))
        if os.path.realpath(now) != os.path.realpath(target):
            text += "; meanwhile TopSpin shows %s" % (now or "no data set")
            audit = os.path.join(now, "audita.txt")
            if now and os.path.isfile(audit) and os.path.getmtime(audit) >= began - 1:
                text += ", and acquired there"
        return text + ("; " + said if said else "")

    def mind(self, job, deadline_s):
        """A trigger that never comes holds zg for ever: halt at the deadline, a minute later stop, then leave it alone.

        A halt that comes while zg is still starting may be lost: it is said again while zg lasts.
        """
        deadline, asked = time.time() + deadline_s, 0
        again = 0.0
        while self.job is job:
            now = time.time()
            try:
                if asked < 2 and now >= deadline:
                    asked, deadline = asked + 1, now + 60.0
                    self.end(("halt", "stop")[asked - 1], job.request["key"])
                    again = now + STOP_AGAIN_s
                elif job.ending and asked < 2 and now >= again:
                    if again:
                        self.topspin.outside(job.ending)
                    again = now + STOP_AGAIN_s
            except ANY_ERROR:
                pass
            job.over.wait(min(STOP_AGAIN_s, max(0.1, deadline - time.time())) if asked < 2 else STOP_AGAIN_s)


def text_of(request, name):
    value = request.get(name, "")
    if not hasattr(value, "startswith") or len(value) > 300:
        raise Refused("bad_request", "%s = %r is no text" % (name, value))
    return value


def number_of(request, name, otherwise):
    value = request.get(name, otherwise)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Refused("bad_request", "%s = %r is no number" % (name, value))
    return value


def key_of(request):
    key = text_of(request, "key")
    if not SAFE_NAME.match(key):
        raise Refused("bad_request", "%r cannot be a key" % key)
    return key, number_of(request, "block", 0)


def finite(name, value):
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise Refused("bad_request", "%s = %r is no number" % (name, value))
    if not abs(number) < float("inf"):
        raise Refused("bad_request", "%s = %r is no number" % (name, value))
    return number


def same(name, asked, found):
    """Numerically equal up to TopSpin's rounding."""
    allowed = ROUNDING.get(name, 1e-6)
    if allowed is None:
        return bool(found)
    try:
        difference = abs(float(asked) - float(found))
    except ValueError:
        return False
    return difference <= max(allowed, 1e-4 * abs(float(asked)))


# ----------------------------------------------------------------------------------------------------------------- network


def mac_of(secret, *words):
    return hmac.new(secret, "|".join(words).encode("utf-8"), hashlib.sha256).hexdigest()


def equal(one, other):
    """Equal texts, in a time that does not tell where they differ."""
    difference = len(one) ^ len(other)
    for a, b in zip(one, other):
        difference |= ord(a) ^ ord(b)
    return difference == 0


class Session(object):
    """One connection: a challenge, one hello, then requests."""

    def __init__(self, agent, stream, peer):
        self.agent = agent
        self.stream = stream
        self.peer = peer
        self.out = queue.Queue(MOST_UNREAD)
        self.nonce = binascii.hexlify(os.urandom(16)).decode("ascii")
        self.role = ""
        self.listening = False
        self.client = ""
        self.token = binascii.hexlify(os.urandom(16)).decode("ascii")
        self.since = self.heard = time.time()
        self.started = None  # pull: what is to be acquired now

    def run(self):
        writer = threading.Thread(target=self.write)
        writer.daemon = True
        writer.start()
        try:
            self.send({"ev": "challenge", "agent": AGENT, "nonce": self.nonce, "auth": "hmac-sha256" if self.secret() else "none"})
            for line in self.lines():
                self.heard = time.time()
                if not self.take(line) or self.started is not None:
                    break
        except (IOError, OSError, socket.error):
            pass
        finally:
            self.agent.journal.forget(self.send)
            self.send(None)
            writer.join(5.0)
            self.agent.let_go(self)
            self.close()

    def write(self):
        """What is to be sent, in order; nobody who acquires waits for a client that does not read."""
        try:
            message = self.out.get()
            while message is not None:
                self.stream.sendall((json.dumps(message, sort_keys=True) + "\n").encode("utf-8"))
                message = self.out.get()
        except (IOError, OSError, socket.error):
            self.close()

    def secret(self):
        return self.agent.settings["secret"]

    def lines(self):
        data = b""
        while True:
            end = data.find(b"\n")
            if end >= 0:
                yield data[:end]
                data = data[end + 1 :]
                continue
            if len(data) > MOST_BYTES:
                self.send({"id": None, "ok": False, "e": {"code": "bad_request", "text": "a line above %d bytes" % MOST_BYTES}})
                return
            chunk = self.stream.recv(MOST_BYTES)
            if not chunk:
                return
            data += chunk

    def send(self, message):
        try:
            self.out.put_nowait(message)
        except queue.Full:
            self.close()

    def take(self, line):
        """Answer one line; False ends the connection."""
        try:
            request = json.loads(line.decode("utf-8"))
        except (ValueError, UnicodeError) as error:
            return self.refuse(None, "bad_request", told(error))
        if not isinstance(request, dict):
            return self.refuse(None, "bad_request", "no object")
        if self.role and request.get("op") in ("prepare", "start", "hand_back"):
            self.agent.beside(lambda: self.reply(request))  # TopSpin may take its time: pings are answered meanwhile
            return True
        return self.reply(request)

    def refuse(self, number, code, text):
        self.send({"id": number, "ok": False, "e": {"code": code, "text": text}})
        return code not in ("auth", "controlled")

    def reply(self, request):
        number, op = request.get("id"), request.get("op")
        try:
            answer = self.hello(request) if not self.role else self.obey(op, request)
        except Refused as refusal:
            return self.refuse(number, refusal.code, refusal.text)
        except (TypeError, ValueError, UnicodeError) as error:
            return self.refuse(number, "bad_request", told(error))
        except ANY_ERROR as error:
            return self.refuse(number, "topspin_error", told(error))
        self.send({"id": number, "ok": True, "r": answer})
        if op == "hello" and not self.listening:
            since, self.listening = request.get("since"), True
            self.agent.journal.listen(self.send, since if isinstance(since, int) else None)
        return True

    def obey(self, op, request):
        if op not in OPERATIONS:
            raise Refused("bad_request", "no operation is called %r" % (op,))
        if self.role == "control" and self.agent.controller is not self:
            raise Refused("controlled", "another connection has control by now")
        if self.role != "control" and op not in OBSERVER_MAY:
            raise Refused("auth", "an observer may not %s" % op)
        return self.agent.answer(op, request)

    def hello(self, request):
        if request.get("op") != "hello":
            raise Refused("auth", "hello comes first")
        theirs, role = text_of(request, "nonce"), request.get("role", "control")
        if role not in ("control", "observe"):
            raise Refused("bad_request", "no role is called %r" % (role,))
        if self.secret() and not equal(text_of(request, "mac"), mac_of(self.secret(), AGENT, "client", role, self.nonce, theirs)):
            time.sleep(1.0)
            raise Refused("auth", "the key is not the agent's")
        self.client = text_of(request, "client")
        if role == "control":
            self.agent.take_controller(self, text_of(request, "token"))
        self.role = role
        return self.greeting(theirs)

    def greeting(self, theirs):
        agent = self.agent
        greeting = dict(agent.state(), agent=AGENT, version=VERSION, topspin=agent.version, user=user_name(), host=socket.gethostname())
        greeting.update(t_unix=time.time(), caps=list(OPERATIONS), root=agent.root, limits=agent.limits, seq=agent.journal.seq)
        greeting.update(unlock=agent.settings["unlock"], mode=agent.settings["mode"], token=self.token, role=self.role or "control")
        if self.secret():
            greeting["mac"] = mac_of(self.secret(), AGENT, "agent", theirs, self.nonce)
        return greeting

    def close(self):
        for how in (lambda: self.stream.shutdown(socket.SHUT_RDWR), self.stream.close):
            try:
                how()
            except (IOError, OSError, socket.error):
                pass


def user_name():
    try:
        from java.lang import System

        return "%s" % System.getProperty("user.name")
    except ImportError:
        import getpass

        return getpass.getuser()


class Server(Agent):
    """The agent that listens."""

    def __init__(self, settings, topspin):
        Agent.__init__(self, settings, topspin)
        self.sessions = []
        self.listener = None

    def take_controller(self, session, token):
        """One at a time; the same one again at once, another after half a minute of silence."""
        with self.lock:
            now = self.controller
            if now is not None and not equal(token, now.token) and time.time() - now.heard < SILENT_CONTROLLER_s:
                raise Refused("controlled", "%s at %s has control" % (now.client or "a client", now.peer))
            self.controller = session
        if now is not None:
            now.close()

    def let_go(self, session):
        with self.lock:
            if self.controller is session:
                self.controller = None
            if session in self.sessions:
                self.sessions.remove(session)

    def beside(self, work):
        """In a thread of its own."""
        thread = threading.Thread(target=work)
        thread.daemon = True
        thread.start()

    def listen(self):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if not WINDOWS:  # there this would let two agents listen at one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self.settings["host"], int(self.settings["port"])))
            listener.listen(MOST_CONNECTIONS)  # Jython binds no sooner
        except (IOError, OSError, socket.error) as error:
            listener.close()
            if getattr(error, "errno", None) == errno.EADDRINUSE:
                raise Refused("busy", "port %s is taken: is another agent running?" % self.settings["port"])
            raise
        self.listener = listener
        self.settings["port"] = listener.getsockname()[1]  # if the socket has to be opened anew, at the same port

    def serve(self):
        self.listen()
        host, port = self.settings["host"], self.settings["port"]
        self.beside(self.accept)
        self.beside(self.beat)
        self.announce({"host": host, "port": port, "pid": own_pid()})
        self.journal.put("agent", text="listens at %s:%s" % (host, port), topspin=self.version)
        self.topspin.say("listens at %s:%s" % (host, port))
        try:
            self.work()
        finally:
            self.over.set()
            self.listener.close()
            for session in list(self.sessions):
                session.close()

    def announce(self, where):
        if self.settings["port_file"]:
            write_whole(self.settings["port_file"], json.dumps(where, sort_keys=True) + "\n")

    def accept(self):
        """Connections, for as long as the agent lives: a listening socket that broke is opened again."""
        while not self.over.is_set():
            try:
                stream, peer = self.listener.accept()
            except (IOError, OSError, socket.error):
                if not self.over.is_set():
                    self.reopen()
                continue
            if len(self.sessions) >= MOST_CONNECTIONS:
                stream.close()
                continue
            session = Session(self, stream, "%s:%s" % (peer[0], peer[1]))
            self.sessions.append(session)
            self.beside(session.run)

    def reopen(self):
        time.sleep(1.0)
        try:
            self.listener.close()
            self.listen()
        except ANY_ERROR:
            pass

    def show_the_door(self):
        """Whoever has said nothing of use for a while makes room for others."""
        for session in list(self.sessions):
            if not session.role and time.time() - session.since > HELLO_WITHIN_s:
                session.close()

    def beat(self):
        """Alive, for whoever sees the folder and not the port; and the stop file looked for."""
        stop = os.path.join(self.settings["folder"], "operando_agent.stop")
        while not self.over.is_set():
            self.show_the_door()
            if os.path.isfile(stop):
                os.remove(stop)
                self.over.set()
                self.jobs.put(None)
            try:
                beat = dict(self.state(), t_unix=time.time(), host=socket.gethostname(), port=self.settings["port"], pid=own_pid())
                write_whole(os.path.join(self.root, STATE), json.dumps(beat, sort_keys=True) + "\n")
            except (IOError, OSError):
                pass
            self.over.wait(HEARTBEAT_s)


def own_pid():
    try:
        return os.getpid()
    except ANY_ERROR:
        return 0


def write_whole(path, text):
    """A reader sees the old text or the new one."""
    part = path + ".part"
    with open(part, "wb") as file:
        file.write(text.encode("utf-8"))
    if WINDOWS and os.path.exists(path):
        os.remove(path)
    os.rename(part, path)


# -------------------------------------------------------------------------------------------------------------------- pull


class Pull(Agent):
    """Called by an AU program before each acquisition: connects to the orchestrator, does as it says, returns for `zg`.

    The AU program sets CNST 60 to 0 before each call, and acquires the data set that is then current if it says 4711 there.
    """

    GO = "4711"

    def beside(self, work):
        work()

    def take_controller(self, session, token):
        self.controller = session

    def let_go(self, session):
        self.controller = None

    def answer(self, op, request):
        """Without a second thread: jobs are done where they are asked for, and start only says go."""
        if op in ("halt", "stop"):
            raise Refused("bad_request", "nothing acquires while this script waits")
        if op == "prepare":
            return self.prepare(request)
        if op == "start" and not self.was_started(request):
            return self.go(request)
        if op == "start":
            return {"state": self.find(*key_of(request))["state"], "again": True, "t_unix": time.time()}
        return Agent.answer(self, op, request)

    def go(self, request):
        key, block = key_of(request)
        target = checked_data_set(request.get("target"), [self.root], "target")
        if self.journal.known.get((key, block), {}).get("target") != target:
            raise Refused("bad_request", "%s was not prepared for %s" % (target, key))
        if raw_size(target):
            raise Refused("target_exists", "%s holds raw data already" % target)
        self.topspin.show(target)
        self.topspin.put("CNST 60", self.GO)
        if not same("CNST 60", self.GO, self.topspin.get("CNST 60")):
            raise Refused("par_rejected", "CNST 60 cannot be set in %s" % target)
        self.journal.put("started", key=key, block=block, target=target)
        self.controller.started = target
        return {"state": "running", "t_unix": time.time(), "target": target}

    def report(self):
        """What the last call started is over by now: `zg` has returned to the AU program."""
        running = [(key, known) for key, known in self.journal.known.items() if known["state"] in ("started", "stopping", "acquired")]
        for (key, block), known in sorted(running):
            job = Job("start", {"key": key, "block": block, "target": known["target"]})
            self.finish(job, known["t_unix"], "")()

    def serve(self):
        self.report()
        until = time.time() + self.settings["patience_s"]
        while time.time() < until:
            try:
                stream = socket.create_connection((self.settings["host"], int(self.settings["port"])), 10.0)
            except (IOError, OSError, socket.error):
                self.topspin.say("waits for %(host)s:%(port)s" % self.settings)
                time.sleep(1.0)
                continue
            stream.settimeout(None)
            session = Session(self, stream, "%(host)s:%(port)s" % self.settings)
            session.run()
            if session.started is not None:
                return
        self.topspin.say("nobody has answered for %.0f s: the loop ends" % self.settings["patience_s"])


def main(written=None):
    """Run until stopped; `written`: settings instead of the file's."""
    topspin = TopSpin(topspin_commands())
    try:
        settings = load_settings(written)
        (Pull if settings["mode"] == "pull" else Server)(settings, topspin).serve()
    except Refused as refusal:
        topspin.say(refusal.text)
        sys.stderr.write("operando_agent: %s\n" % refusal.text)
        return 2
    return 0


if __name__ == "__main__":
    main()
