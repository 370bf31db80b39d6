"""Data sets of the emulated TopSpin as independent readers see them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import nmrglue
import numpy as np
import pytest

from drivers.transport.virtual import run_virtual


@pytest.mark.parametrize("release", ["2.1", "3.6.2", "4.4.0"])
def test_smoke(desk: Any, release: str) -> None:
    async def main(clock: Any) -> None:
        async with desk(clock, topspin=release) as here:
            agent = await here.caller()
            path = await here.acquired(agent)
            print(here.screen.shown, sorted(p.name for p in path.iterdir()))
            print((path / "audita.txt").read_text())
            print(await agent.call("GETPARSTAT", "NS"), await agent.call("CURDATA"))
            dic, data = nmrglue.bruker.read(str(path))
            print(data.shape, data.dtype, abs(data[:80]).round(1))
            twin = here.twin.acquire(here.twin.scans[0])
            raw = nmrglue.bruker.remove_digital_filter(dic, data, post_proc=False)
            print(dic["acqus"]["NC"], dic["acqus"]["GRPDLY"], abs(raw[:5]) * 2.0 ** dic["acqus"]["NC"], abs(twin[:5]))

    run_virtual(main)
