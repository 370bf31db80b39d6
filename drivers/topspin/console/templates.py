"""The site's own data sets, for cloning: what a laboratory of the twin's field would have set up. Pure.

The 90 degree pulse is 8 us for every nucleus at the power that stands in the template. BF1 is the console's nominal frequency;
what 0 ppm is, the site has written into SF of the processing parameters, some hundred Hz beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from drivers.topspin.console import names, standard
from drivers.topspin.console.jcamp import Value
from drivers.topspin.console.releases import Release

PULSE_90_us = 8.0
POWER_W, ATTENUATION_dB = 50.0, -1.74
RG = 101.0
SITE: dict[str, dict[str, Any]] = {
    "7Li_metal": {"nucleus": "7Li", "points": 6144, "spectral_width_Hz": 93458, "carrier_ppm": 137, "pulse_us": 8},
    "7Li_edge": {"nucleus": "7Li", "points": 6144, "spectral_width_Hz": 93458, "carrier_ppm": 137, "pulse_us": 8, "program": "zg_trigpe1"},
    "7Li_wide": {"nucleus": "7Li", "points": 8192, "spectral_width_Hz": 200000, "carrier_ppm": 137, "pulse_us": 2},
    "23Na_0ppm": {"nucleus": "23Na", "points": 1024, "spectral_width_Hz": 100000, "carrier_ppm": 0, "pulse_us": 5},
    "23Na_900ppm": {"nucleus": "23Na", "points": 1024, "spectral_width_Hz": 200000, "carrier_ppm": 900, "pulse_us": 5},
    "7Li_T1": {"nucleus": "7Li", "points": 4096, "spectral_width_Hz": 93458, "carrier_ppm": 137, "pulse_us": 8, "program": "satrect1"},
    "7Li_T1_inversion": {
        "nucleus": "7Li",
        "points": 4096,
        "spectral_width_Hz": 93458,
        "carrier_ppm": 137,
        "pulse_us": 8,
        "program": "t1ir1d",
    },
    "7Li_T2": {"nucleus": "7Li", "points": 4096, "spectral_width_Hz": 93458, "carrier_ppm": 137, "pulse_us": 8, "program": "hahnecho"},
    "23Na_mrs_1126ppm": {"nucleus": "23Na", "points": 1024, "spectral_width_Hz": 200000, "carrier_ppm": 1126, "pulse_us": 5},
}
PULSE_PROGRAM = """# 1 "zg"
;zg
;1D sequence, one pulse

"acqt0=-p1*2/3.1416"
1 ze
2 30m
  d1
  p1 ph1
  go=2 ph31
  30m mc #0 to 2 F0(zd)
exit

ph1=0 2 2 0 1 3 3 1
ph31=0 2 2 0 1 3 3 1
"""


def acqu(release: Release, template: Mapping[str, Any], larmor_MHz: Callable[[str], float], off_Hz: float) -> dict[str, Value]:
    """Acquisition parameters of a template."""
    found = standard.acqu(release)
    zero_MHz = larmor_MHz(template["nucleus"])
    found["NUC1"] = template["nucleus"]
    base_MHz = round(zero_MHz - off_Hz * 1e-6, 6)
    offset_Hz = round((zero_MHz * (1 + float(template["carrier_ppm"]) * 1e-6) - base_MHz) * 1e6, 2)
    width_Hz = names.digitized(float(template["spectral_width_Hz"]))
    carrier_MHz = round(base_MHz + offset_Hz * 1e-6, 10)
    found |= {"BF1": base_MHz, "O1": offset_Hz, "SFO1": carrier_MHz, "SW_h": width_Hz, "SW": width_Hz / carrier_MHz}
    found["TD"] = 2 * int(template["points"])
    found["RG"], found["PULPROG"], found["NS"], found["DS"] = RG, template.get("program", "zg"), 16, 0
    _set(found, "P", 1, float(template["pulse_us"]))
    _set(found, "D", 1, float(template.get("recycle_s", 1.0)))
    _set(found, *(("PLW", 1, POWER_W) if release.watts else ("PL", 1, ATTENUATION_dB)))
    return found


def proc(template: Mapping[str, Any], larmor_MHz: Callable[[str], float]) -> dict[str, Value]:
    """Processing parameters of a template: SF is what 0 ppm is."""
    points = int(template["points"])
    return standard.proc() | {
        "SF": round(larmor_MHz(template["nucleus"]), 9),
        "AXNUC": template["nucleus"],
        "SI": 1 << (points - 1).bit_length(),
    }


def _set(values: dict[str, Value], name: str, place: int, value: float) -> None:
    array = values[name]
    assert isinstance(array, list)
    array[place] = int(value) if value.is_integer() else value
