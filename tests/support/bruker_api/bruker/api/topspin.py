"""Stands in for Bruker's package: the calls that public programs make of it, on the emulated TopSpin's data tree.

OPERANDO_TEST_TOPSPIN names the emulated program's own door: host, port and token; one connection each, a line of JSON a call.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any


class Topspin:
    def __init__(self, url: str = "localhost:3081") -> None:
        host, port, token = os.environ["OPERANDO_TEST_TOPSPIN"].split()
        assert url == os.environ.get("OPERANDO_TOPSPIN_URL", "localhost:3081")
        self._wire = socket.create_connection((host, int(port))).makefile("rwb")
        self._wire.write((token + "\n").encode())

    def _call(self, name: str, *arguments: Any) -> Any:
        self._wire.write((json.dumps([name, *arguments]) + "\n").encode())
        self._wire.flush()
        answer = json.loads(self._wire.readline())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["answer"]

    def getVersion(self) -> str:
        return "4.4.0"

    def executeCommand(self, command: str, wait: bool = True) -> None:
        self._call("XCMD", command, int(wait))

    def getDisplay(self) -> Display:
        return Display(self)

    def getDataProvider(self) -> DataProvider:
        return DataProvider(self)


class Display:
    def __init__(self, topspin: Topspin) -> None:
        self._topspin = topspin

    def show(self, dataset: NMRData, newWindow: bool = False) -> None:
        self._topspin._call("RE_PATH", dataset.path, "y")


class DataProvider:
    def __init__(self, topspin: Topspin) -> None:
        self._topspin = topspin

    def getCurrentDatasetIdentifier(self) -> str | None:
        found = self._topspin._call("CURDATA")
        return "/".join([found[3], found[0], found[1], "pdata", found[2]]) if found else None

    def getNMRData(self, path: str, directIO: bool = False) -> NMRData:
        return NMRData(self._topspin, path)


class NMRData:
    def __init__(self, topspin: Topspin, path: str) -> None:
        self._topspin, self.path = topspin, path

    def launch(self, command: str, wait: bool = True) -> None:
        """On this data set: it is shown first."""
        self._topspin._call("RE_PATH", self.path, "y")
        self._topspin._call("XCMD", command, int(wait))

    def getPar(self, name: str) -> str:
        self._topspin._call("RE_PATH", self.path, "y")
        return str(self._topspin._call("GETPAR", name, 0))
