"""What the report says in sentences: how it was done, on what scale, how to cite. Pure, from facts."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from orchestrator.analysis.battery import MG_PER_MAH, UMOL_PER_MAH
from orchestrator.analysis.weighing import ByFoil, by_foil
from orchestrator.recorder.datasets import group_name
from orchestrator.report.facts import Area, Facts

NAME = "operando-nmr"


def duration(seconds: float) -> str:
    """``1 h 03 min``, ``4 min 05 s``, ``12.3 s``; a dash for what is not known."""
    if not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min {rest:02d} s"


def number(value: float, digits: int = 4, unit: str = "") -> str:
    """With its unit; a dash for what is not known."""
    return f"{value:.{digits}g}{f' {unit}' if unit else ''}" if math.isfinite(value) else "–"


def scale(facts: Facts) -> str:
    """Relative or absolute, and by which calibration."""
    if not facts.area_names:
        return "No areas were found, so there is no scale to speak of."
    if (weighed := foil_of(facts)) is not None:
        return " ".join((*_weighed(facts, *weighed), *(_beside_foil(facts.per_area, *weighed) if facts.per_area else ())))
    if facts.per_area is not None and facts.per_area.value > 0:
        return " ".join(_calibrated(facts, facts.per_area))
    return (
        "Relative. Areas are in arbitrary units and may be compared within one acquisition at one receiver gain; nothing in this run "
        "relates them to moles. That takes a weighed foil in the same coil with the same pulse (`foil:` in the cell record), or the "
        "charge of stripping (`budget:` in the experiment file)."
    )


def _weighed(facts: Facts, k: ByFoil, nucleus: str) -> Iterator[str]:
    foil = facts.cell["foil"]
    yield f"Absolute for the metal of {foil['acquisition']}, by a weighed foil of {foil['mass_mg']:g} mg with an area of {foil['area']:g}:"
    error = f" ± {k.sd:.2g}" if k.sd else ""
    mAh = k.mg_per_area / MG_PER_MAH[nucleus]
    moles = f"{mAh:.4g} mA h, or {mAh * UMOL_PER_MAH:.4g} µmol"
    yield f"one unit of area is {k.mg_per_area:.4g}{error} mg of {nucleus} metal, or {moles}."
    if k.seen < 1.0:
        yield f"Of the foil, {foil['thickness_um']:g} µm thick, the coil saw {k.seen:.1%} (skin depth); that much of its mass was counted."
    else:
        yield "The whole foil was taken as seen: right for one much thinner than the skin depth."
    yield "It holds for metal without a skin (moss, thin deposits): of a thick plate only the skin is seen. All other areas are relative."


def _beside_foil(k: Area, foil: ByFoil, nucleus: str) -> Iterator[str]:
    ratio = k.value * MG_PER_MAH[nucleus] / foil.mg_per_area
    yield f"By the charge of stripping one unit of the budget's area is {k.value:.4g} mA h, {ratio:.3g} times as much as by the foil."


def _calibrated(facts: Facts, k: Area) -> Iterator[str]:
    first, last = (facts.plan.get("budget") or {}).get("cycles") or (2, 4)
    error = f" ± {k.error:.2g}" if math.isfinite(k.error) else ""
    yield f"Absolute for the metal of the budget, by the charge of stripping in cycles {first} to {last}:"
    yield f"one unit of its area is {k.value:.4g}{error} mA h, or {k.value * UMOL_PER_MAH:.4g} µmol of electrons."
    if facts.closes:
        worst = max(facts.closes, key=abs)
        yield f"In cycles that did not give k, the charge of stripping fails k (A_c - A_d) by {abs(worst):.1f} standard errors at most."
    yield "All other areas are relative: arbitrary units, to be compared within one acquisition at one receiver gain."


def foil_of(facts: Facts) -> tuple[ByFoil, str] | None:
    """By the weighed foil of the cell record, and its nucleus; None where there is none, or no acquisition that it is for."""
    foil = facts.cell.get("foil")
    planned = facts.plan.get("acquisitions", {}).get(foil["acquisition"], {}) if foil else {}
    group = group_name(foil["acquisition"]) if foil else ""
    if not foil or group not in facts.run.fid:
        return None
    nucleus, tip_deg = str(planned.get("nucleus", "")), (planned.get("template") or {}).get("tip_deg", 90.0)
    found = by_foil(foil, nucleus, float(facts.run.entry[f"fid/{group}/fid"].attrs["reference_MHz"]), tip_deg)
    return None if found is None else (found, nucleus)


def methods(facts: Facts) -> str:
    """A paragraph ready for the supporting information; what the file does not know stands in brackets to be filled in."""
    return " ".join(part for part in (*_cell(facts), *_instruments(facts), *_acquisitions(facts), *_time(facts), *_program(facts)) if part)


def _cell(facts: Facts) -> Iterator[str]:
    cell = facts.cell
    electrodes = [f"{role} electrode {_electrode(cell[role])}" for role in ("positive", "negative") if cell.get(role)]
    electrodes = electrodes or [f"{role} electrode {cell[role]}" for role in ("working", "counter") if cell.get(role)]
    area = f" of {cell['area_cm2']:g} cm²" if cell.get("area_cm2") else " [area]"
    electrolyte = cell.get("electrolyte") or "[electrolyte]"
    yield f"A {cell.get('type', '')} cell{area} ({', '.join(electrodes)}; electrolyte {electrolyte}) was studied in situ."
    if cell.get("electrode_normal_to_B0_deg") is not None:
        yield f"The electrode's normal lay at {cell['electrode_normal_to_B0_deg']:g}° to B0."
    texts = Counter(step.text for step in facts.steps if step.index >= 0 and step.reason)
    if texts:
        yield f"Steps: {'; '.join(f'{text} (×{n})' if n > 1 else text for text, n in texts.items())}."
    yield "Positive current is oxidation at the working electrode."


def _electrode(told: Any) -> str:
    return str(told.get("name", told)) if isinstance(told, Mapping) else str(told)


def _instruments(facts: Facts) -> Iterator[str]:
    for one in facts.instruments:
        made = " ".join(str(one.get(key, "")) for key in ("vendor", "model")).strip()
        firmware = f", firmware {one['firmware']}" if one.get("firmware") else ""
        simulated = " (simulated)" if one.get("simulated") else ""
        yield f"{str(one['role']).capitalize()}: {made}{firmware}{simulated}."


def _acquisitions(facts: Facts) -> Iterator[str]:
    planned: Mapping[str, Any] = facts.plan.get("acquisitions", {})
    for name in facts.run.fid:
        node = facts.run.entry[f"fid/{name}"]
        about, order = node["fid"].attrs, planned.get(str(node.attrs["acquisition"]), {})
        width_Hz, carrier, reference = (float(about[key]) for key in ("spectral_width_Hz", "carrier_MHz", "reference_MHz"))
        template = order.get("template", {})
        pulse = f"a pulse of {template['pulse_us']:g} µs" if template.get("pulse_us") else "a pulse of [length, power, tip angle]"
        shown = facts.run.entry[f"spectra/{name}/intensity"].attrs if f"spectra/{name}" in facts.run.entry else {}
        yield (
            f"{node.attrs['nucleus']} spectra “{name}” (n = {node['fid'].shape[0]}) were acquired at {carrier:.4f} MHz with {pulse}, "
            f"{order.get('scans', '[n]')} scans after {order.get('dummies', '[n]')} dummies, a recycle delay of "
            f"{order.get('recycle_s', math.nan):g} s and {node['fid'].shape[1]} complex points over {width_Hz / 1e3:.4g} kHz; "
            f"0 ppm is {reference:.4f} MHz{_processed(shown)}."
        )


def _processed(shown: Mapping[str, Any]) -> str:
    if "LB_Hz" not in shown:
        return ""
    return (
        f". They were apodised by {float(shown['LB_Hz']):g} Hz, zero-filled to {int(shown['points'])} points, Fourier transformed and "
        f"turned by one phase of {float(shown.get('ph0_deg', math.nan)):.1f}°"
    )


def _time(facts: Facts) -> Iterator[str]:
    if not facts.spectra:
        return
    took = [one.end_s - one.start_s for one in facts.spectra if math.isfinite(one.end_s - one.start_s)]
    latency_s = [one.latency_s for one in facts.asked if math.isfinite(one.latency_s)]
    if took and latency_s:
        yield (
            "Voltage, current and charge are related to each spectrum by one monotonic clock; a spectrum took "
            f"{duration(float(np.median(took)))} (median) and began {np.median(latency_s):.2g} s (median) after its trigger."
        )


def _program(facts: Facts) -> Iterator[str]:
    version = facts.versions.get(NAME, "[version]")
    file = f"run {facts.run_id}, digest {digest(facts)[:16] or '[digest]'}"
    yield f"Both instruments were run by {NAME} {version}; all data of the run are in one HDF5 file ({file})."
    if facts.simulated:
        yield "ALL INSTRUMENTS OF THIS RUN WERE SIMULATED" + (f", AND {facts.played_back.upper()}." if facts.played_back else ".")


def digest(facts: Facts) -> str:
    """The digest of run.h5 as the close-out found it; empty before."""
    return str(facts.closeout.get("digest", ""))


def cite(facts: Facts) -> str:
    """How to cite program and data."""
    version = facts.versions.get(NAME, "")
    data = f"run {facts.run_id}, begun {facts.start}, SHA-256 digest {digest(facts) or 'not closed yet'}"
    return f"{NAME}, version {version} (CITATION.cff in its source). Data: {data}."


def pretty(text: str) -> str:
    """JSON with indents; anything else as it is."""
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except ValueError:
        return text
