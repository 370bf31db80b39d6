"""No ``wire.py`` hangs or raises anything but its own error, whatever it is given; one that is new is looked at too, or this fails."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire_fuzz import names, samples, targets, wires

ALL = [(vendor, name) for vendor in wires() for name in names(vendor)]


@pytest.mark.parametrize("vendor", wires())
def test_every_wire_is_known_by_what_is_really_said_on_it(vendor: str) -> None:
    assert len(samples(vendor)) >= 5, f"put what {vendor} says into tests/golden/{vendor}, or into SAMPLES of tests/support/wire_fuzz.py"
    assert targets(vendor)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("vendor", "name"), ALL, ids=[f"{vendor}.{name}" for vendor, name in ALL])
@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
)
@given(data=st.data())
def test_nothing_hangs_it_or_makes_it_raise_but_its_own(vendor: str, name: str, data: st.DataObject) -> None:
    target = targets(vendor)[name]
    target.check(data.draw(target.arguments))


@pytest.mark.soak
@pytest.mark.posix_only
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed: pip install atheris")
@pytest.mark.parametrize("vendor", wires())
def test_guided_by_coverage(vendor: str, tmp_path: Path, repository: Path) -> None:
    """Ten minutes each; what fails is left in a file that libFuzzer names."""
    support = repository / "tests" / "support"
    paths = os.pathsep.join([str(repository), str(support), os.environ.get("PYTHONPATH", "")])
    command = (sys.executable, str(support / "atheris_wire.py"), vendor, "-max_total_time=600", "-timeout=20", "-rss_limit_mb=2000")
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
