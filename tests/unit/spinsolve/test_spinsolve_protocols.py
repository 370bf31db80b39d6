"""Which protocol, and an order in its menus."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from drivers.base import AcquisitionOrder
from drivers.errors import Rejected
from drivers.spinsolve import protocols
from drivers.spinsolve.protocols import BeyondProtocol
from drivers.spinsolve.wire import Option

NUMBER = Option("Number", "", ("0", "1", "2", "4", "8", "16", "16384"))
REPETITION = Option("RepetitionTime", "", ("1", "2", "4", "7", "10"))
ACQUISITION = Option("AcquisitionTime", "3.2", ("0.4", "0.80", "1.6", "3.2"))
ANGLE = Option("PulseAngle", "", ("30", "45", "60", "90"))
FULL = (NUMBER, REPETITION, ACQUISITION, ANGLE)
STOCK = {
    "1D PROTON": (Option("Scan", "", ("QuickScan", "PowerScan")),),
    "1D EXTENDED+": FULL,
    "1D FLUORINE+": FULL,
    "1D CARBON": (NUMBER, REPETITION),
    "1D CARBON+": FULL,
    "SHIM 1H SAMPLE": (Option("SampleReference"),),
    "T1": (REPETITION,),
}


@pytest.mark.parametrize(
    ("nucleus", "more", "chosen"),
    [
        ("1H", {}, "1D EXTENDED+"),
        ("19F", {}, "1D FLUORINE+"),
        ("7Li", {"1d Lithium": FULL}, "1d Lithium"),
        ("7Li", {"7Li 1D": FULL, "T1 LITHIUM": (REPETITION,)}, "7Li 1D"),
        ("23Na", {"1D SODIUM+": FULL}, "1D SODIUM+"),
        ("23Na", {"1D 23NA": FULL}, "1D 23NA"),
    ],
)
def test_recognised_by_its_name(nucleus: str, more: dict[str, Any], chosen: str) -> None:
    assert protocols.choose(nucleus, None, {**STOCK, **more}) == chosen


def test_named_in_the_rig() -> None:
    assert protocols.choose("7Li", "1d carbon+", STOCK) == "1D CARBON+"


@pytest.mark.parametrize(
    ("nucleus", "wanted", "said"),
    [
        ("7Li", None, "no protocol for 7Li"),
        ("13C", None, r"several protocols for 13C: 1D CARBON, 1D CARBON\+"),
        ("7Li", "1D LITHIUM", "has no protocol `1D LITHIUM`"),
        ("17Li", None, "no protocol for 17Li"),
    ],
)
def test_none_or_too_many(nucleus: str, wanted: str | None, said: str) -> None:
    with pytest.raises(Rejected, match=said) as refused:
        protocols.choose(nucleus, wanted, STOCK)
    assert refused.value.advice


def fit(order: AcquisitionOrder, protocol: str = "1D EXTENDED+", **changes: Any) -> protocols.Setup:
    return protocols.fit(replace(order, **changes), protocol, STOCK)


def test_values_as_the_menu_writes_them(order: AcquisitionOrder) -> None:
    setup = fit(order, template={"acquisition_time_s": 0.8}, recycle_s=1.2, scans=16)
    assert setup.options == {"Number": "16", "AcquisitionTime": "0.80", "RepetitionTime": "2"}
    assert (setup.deviations, setup.expected_s) == ({}, 32.0)


def test_points_over_width_are_an_acquisition_time(order: AcquisitionOrder) -> None:
    assert fit(order, template={"points": 2000, "spectral_width_Hz": 5000.0}).options["AcquisitionTime"] == "0.4"


def test_without_an_acquisition_time_the_consoles_own_counts(order: AcquisitionOrder) -> None:
    """Left as it stands on the console, and yet part of the repetition."""
    setup = fit(order, template={}, recycle_s=0.8)
    assert setup.options == {"Number": "4", "RepetitionTime": "4"}
    assert setup.acquisition_s == 3.2


def test_scans_between_two_on_the_menu_are_for_the_console_to_judge(order: AcquisitionOrder) -> None:
    setup = fit(order, scans=100)
    assert setup.options["Number"] == "100"
    assert protocols.compare(setup, {"Number": "100.0", "Other": "1"}) == {}
    with pytest.raises(Rejected, match="100 scans asked, the console says 128"):
        protocols.compare(setup, {"Number": "128"})
    assert protocols.compare(setup, {"PulseAngle": "45"}) == {"PulseAngle": ("90", "45")}


def test_menus_without_numbers_are_free_text(order: AcquisitionOrder) -> None:
    free = {"1D X": (Option("Number"), Option("RepetitionTime"), Option("AcquisitionTime"), Option("Note"))}
    template = {"acquisition_time_s": 0.01, "options": {"Note": "a b"}}
    setup = protocols.fit(replace(order, template=template, recycle_s=0.09), "1D X", free)
    assert setup.options == {"Number": "4", "AcquisitionTime": "0.01", "RepetitionTime": "0.1", "Note": "a b"}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"scans": 0}, Rejected),
        ({"recycle_s": float("nan")}, Rejected),
        ({"recycle_s": -1.0}, Rejected),
        ({"blocks": 0}, Rejected),
        ({"template": {"acquisition_time_s": "long"}}, Rejected),
        ({"template": {"points": 100, "spectral_width_Hz": 0}}, Rejected),
        ({"template": {"acquisition_time_s": float("inf")}}, Rejected),
        ({"template": {"acquisition_time_s": 7.0}}, BeyondProtocol),
        ({"recycle_s": 0.2}, BeyondProtocol),
        ({"template": {"pulse_angle_deg": 89}}, BeyondProtocol),
    ],
)
def test_what_cannot_be(order: AcquisitionOrder, changes: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        fit(order, **changes)


@pytest.mark.parametrize(("protocol", "missing"), [("1D PROTON", "Number"), ("SHIM 1H SAMPLE", "Number"), ("T1", "Number")])
def test_protocols_without_the_options(order: AcquisitionOrder, protocol: str, missing: str) -> None:
    with pytest.raises(BeyondProtocol, match=missing):
        fit(order, protocol)
