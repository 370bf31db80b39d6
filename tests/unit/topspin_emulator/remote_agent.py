"""An agent that only calls what it is asked to call: one JSON list a line, ``[function, argument, ...]``, and the answer.

Runs as Jython's subset on CPython 3; ``Exception`` is Java's here, so Python's own errors are caught by their base.
"""

import builtins
import json
import os
import socket
import sys
import threading
import time

from TopCmds import *  # noqa: F403

THREADS = {}


def open_session(config):
    return {"config": config, "made": time.time()}


def answer(line, session):
    name, *arguments = json.loads(line)
    try:
        return json.dumps({"answer": perform(name, arguments, session)})
    except Exception as refused:  # noqa: BLE001  java.lang.Exception
        return json.dumps({"java": str(refused)})
    except BaseException as fault:  # noqa: BLE001
        return json.dumps({"python": type(fault).__name__ + ": " + str(fault)})


def perform(name, arguments, session):
    if name == "time":
        return time.time()
    if name == "config":
        return {**session["config"], "made": session["made"]}
    if name == "from another thread":
        return from_another_thread(arguments[0])
    if name == "python error":
        try:
            return session["no such key"]
        except Exception:  # noqa: BLE001  Java's only: this must not catch it
            return "caught"
    if name == "XCMD result":
        return XCMD(*arguments).getResult()  # noqa: F405
    found = globals()[name](*arguments)
    return found if isinstance(found, (str, int, list, type(None))) else "object"


def from_another_thread(name):
    said = []

    def work():
        try:
            said.append(globals()[name]())
        except BaseException as fault:  # noqa: BLE001
            said.append(str(fault))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return said[0]


def serve(link, session):
    kept = b""
    while b"\n" not in kept:
        data = link.recv(65536)
        if not data:
            link.close()
            return
        kept += data
        while b"\n" in kept:
            line, _, kept = kept.partition(b"\n")
            link.sendall((answer(line.decode(), session) + "\n").encode())


def main():
    """One command thread a connection: what it is to do waits in a place that every name space sees."""
    with open(os.environ["OPERANDO_AGENT_CONFIG"]) as file:  # noqa: PTH123
        config = json.load(file)
    session = open_session(config)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((config["host"], config["port"]))
    listener.listen(5)
    with open(config["port_file"], "w") as file:  # noqa: PTH123
        file.write(json.dumps({"host": config["host"], "port": listener.getsockname()[1], "pid": os.getpid()}) + "\n")
    while True:
        link, _ = listener.accept()
        builtins.REMOTE = [*getattr(builtins, "REMOTE", []), lambda link=link: serve(link, session)]
        EXEC_PYSCRIPT("import builtins; builtins.REMOTE.pop(0)()")  # noqa: F405


if __name__ == "__main__":
    sys.exit(main())
