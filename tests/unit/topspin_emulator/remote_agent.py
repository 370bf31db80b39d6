"""An agent that only calls what it is asked to call: one JSON list a line, ``[function, argument, ...]``, and the answer.

Runs as Jython's subset on CPython 3; ``Exception`` is Java's here, so Python's own errors are caught by their base.
"""

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
        return json.dumps({"python": "%s: %s" % (type(fault).__name__, fault)})


def perform(name, arguments, session):
    if name == "time":
        return time.time()
    if name == "config":
        return session["config"]
    if name == "from another thread":
        return from_another_thread(arguments[0])
    if name == "python error":
        try:
            return [][0]
        except Exception:  # Java's only: this must not catch it
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
            said.append("%s" % fault)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return said[0]


def main():
    with open(os.environ["OPERANDO_AGENT_CONFIG"]) as file:
        config = json.load(file)
    session = open_session(config)
    listener = socket.create_server((config["host"], config["port"]))
    with open(config["port_file"], "w") as file:
        file.write(json.dumps({"host": config["host"], "port": listener.getsockname()[1], "pid": os.getpid()}) + "\n")
    while True:
        link, _ = listener.accept()
        with link, link.makefile("rwb") as wire:
            for line in wire:
                wire.write((answer(line.decode(), session) + "\n").encode())
                wire.flush()


if __name__ == "__main__":
    sys.exit(main())
