"""The shipped agent in the interpreter that TopSpin has. All of its tests run there by hand: ``OPERANDO_AGENT_PYTHON=jython pytest …``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.needs("jython")
@pytest.mark.timeout(300)
def test_one_acquisition_under_jython(consoles: Callable[..., Any]) -> None:
    console = consoles()
    console.interpreter = ["jython"]
    client = console.start().controller()
    template, folder = str(console.template), str(console.root / "cellA")
    asked = client.ask("prepare", template=template, folder=folder, key="a00001-quant", par={"NS": 16, "D 1": 2.0}, title="cell A")
    assert float(asked["readback"]["NS"]) == 16
    assert client.ask("start", key="a00001-quant", target=asked["target"])["state"] == "running"
    done = client.until("done")
    assert (done["key"], done["audit_md5_ok"]) == ("a00001-quant", True)
    assert client.ask("status")["state"] == "idle"
