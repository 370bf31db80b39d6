"""``python atheris_wire.py VENDOR …``: everything public of a vendor's ``wire.py``, guided by coverage (libFuzzer's own options follow)."""

from __future__ import annotations

import sys

import atheris

VENDOR = sys.argv.pop(1)
with atheris.instrument_imports(include=[f"drivers.{VENDOR}.wire"]):
    __import__(f"drivers.{VENDOR}.wire")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from wire_fuzz import targets  # noqa: E402

TARGETS = list(targets(VENDOR).values())


@settings(deadline=None, database=None)
@given(st.data())
def look(data: st.DataObject) -> None:
    target = data.draw(st.sampled_from(TARGETS))
    target.check(data.draw(target.arguments))


def once(data: bytes) -> None:
    look.hypothesis.fuzz_one_input(data)  # type: ignore[attr-defined]


atheris.Setup(sys.argv, once)
atheris.Fuzz()
