# ruff: noqa: C402, PTH112, PTH118, PTH119, PTH123, UP004, UP024, UP031
"""The least of TopCmds that the agent's protocol needs, over a folder. Python 2.7, 3 and Jython alike.

``standin.json`` in the working folder switches it: ``zg_s`` (how long zg lasts), ``fault`` (one of the words below).
"""

import hashlib
import json
import os
import shutil
import struct
import threading
import time

WAIT_TILL_DONE, NO_WAIT_TILL_DONE = 1, 0
CURRENT = []
ENDING = []
LOG = []


def _switch(name, otherwise):
    try:
        with open("standin.json") as file:
            return json.load(file).get(name, otherwise)
    except (IOError, OSError, ValueError):
        return otherwise


def _log(*what):
    with open("standin.log", "a") as file:
        file.write(" ".join("%s" % (word,) for word in what) + "\n")


def _path(named):
    if len(named) > 4:
        return os.path.join(named[3], "data", named[4], "nmr", named[0], named[1])
    return os.path.join(named[3], named[0], named[1])


def CURDATA():
    if _switch("fault", "") == "clicked":
        return ["somebody", "7", "1", "/elsewhere"]
    return list(CURRENT)


def RE(dataset, show="y"):
    _log("RE", _path(dataset))
    if _switch("fault", "") == "dialog":
        time.sleep(_switch("dialog_s", 2.0))
    if os.path.isdir(_path(dataset)):
        CURRENT[:] = [str(part) for part in dataset]


def WR(dataset, confirm="y"):
    _log("WR", _path(dataset))
    shutil.copytree(_path(CURRENT), _path(dataset))


def _acqu(name="acqu"):
    with open(os.path.join(_path(CURRENT), name)) as file:
        return file.read()


def _lines(text):
    return dict((line[3:].split("=", 1)[0], line.split("=", 1)[1].strip()) for line in text.splitlines() if line.startswith("##$"))


def GETPAR(name, axis=0):
    name, _, index = name.partition(" ")
    lines = _lines(_acqu())
    if not index:
        return lines.get(name, "").strip("<>")
    return lines[name].split(")")[1].split()[int(index)]


def PUTPAR(name, value):
    _log("PUTPAR", name, value)
    if _switch("fault", "") == "lost parameters":
        return
    base, _, index = name.partition(" ")
    lines = _lines(_acqu())
    if index:
        head, _, rest = lines[base].partition(")")
        values = rest.split()
        values[int(index)] = value
        value = head + ") " + " ".join(values)
    lines[base] = value
    lines["SFO1"] = repr(float(lines["BF1"]) + float(lines["O1"]) * 1e-6)
    _write(os.path.join(_path(CURRENT), "acqu"), lines)


def _write(path, lines):
    text = "##TITLE= Parameter file, stand-in\n##JCAMPDX= 5.0\n"
    text += "".join("##$%s= %s\n" % (name, lines[name]) for name in sorted(lines)) + "##END=\n"
    with open(path, "w") as file:
        file.write(text)


class _Command(object):
    def __init__(self, result):
        self.result = result

    def getResult(self):
        return self.result

    def join(self):
        pass


def XCMD(cmd, wait=1, arg=None):
    _log("XCMD", cmd)
    if cmd in ("halt", "stop"):
        ENDING.append(cmd)
        return _Command(0)
    if cmd == "zg":
        return _Command(_zg())
    raise ValueError(cmd)


def EXEC_PYSCRIPT(text):
    _log("EXEC_PYSCRIPT", text)
    thread = threading.Thread(target=lambda: exec_in(text))
    thread.start()
    return thread


def exec_in(text):
    eval(compile(text, "script", "exec"), dict(globals()))


def SHOW_STATUS(text):
    _log("SHOW_STATUS", text)


def MSG(*_):
    raise AssertionError("a dialog that waits for a person")


def _zg():
    fault, folder = _switch("fault", ""), _path(CURRENT)
    if fault == "raises":
        raise RuntimeError("the spectrometer is locked by user colleague")
    if fault == "no data":
        return -1
    began, lasts = time.time(), _switch("zg_s", 0.1)
    while time.time() < began + lasts and not ENDING:
        time.sleep(0.01)
    ending = ENDING[-1] if ENDING else ""
    del ENDING[:]
    if ending == "stop":
        return 0
    lines = _lines(_acqu())
    asked = int(float(lines["NS"]))
    lines["NS"] = str(max(1, min(asked, int(asked * (time.time() - began) / lasts)))) if ending else str(asked)
    lines["DATE"] = str(int(time.time()))
    _write(os.path.join(folder, "acqus"), lines)
    points = int(float(lines["TD"]))
    seed = int(os.path.basename(folder))
    data = b"".join(struct.pack("<i", (k * 37 + seed * 1013) % 20011 - 10000) for k in range(points))
    with open(os.path.join(folder, "fid"), "wb") as file:
        file.write(data + b"\0" * (-len(data) % 1024))
    _audit(folder, began, data if fault != "torn" else data + b"x", points)
    return 0


def _pairs(digest):
    return " ".join(digest[n : n + 2] for n in range(0, 32, 2)).upper()


def _stamp(seconds):
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) + ".%03d +0000" % (seconds % 1 * 1000)


def _audit(folder, began, data, points):
    head = "##TITLE= Audit trail, stand-in\n##JCAMPDX= 5.01\n##ORIGIN= Bruker BioSpin GmbH\n##OWNER= nmr\n$$ %s/audita.txt\n" % folder
    head += "##AUDIT TRAIL=  $$ (NUMBER, WHEN, WHO, WHERE, PROCESS, VERSION, WHAT)\n"
    head += "(   1,<%s>,<nmr>,<standin>,<go4>,<TopSpin 4.4.0>,\n      <created by zg\n" % _stamp(time.time())
    head += "\tstarted at %s,\n\tPOWCHK enabled, PULCHK disabled,\n       configuration hash MD5:\n" % _stamp(began)
    head += "       0C 6F BE 03 29 CC A1 D9 6F BD E2 13 49 25 92 1E\n       data hash MD5: %d\n" % points
    head += "       %s>)\n" % _pairs(hashlib.md5(data).hexdigest())
    own = _pairs(hashlib.md5(head.encode("latin-1")).hexdigest())
    with open(os.path.join(folder, "audita.txt"), "wb") as file:
        file.write((head + "##END=\n\n$$ hash MD5\n$$ %s\n" % own).encode("latin-1"))
