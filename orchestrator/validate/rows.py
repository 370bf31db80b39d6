"""Every row that the literature asks for (O operando, R the sodium study, Q queued samples, P physics), and why one does not run yet.

Pure data, in the order of the tables that it comes from.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """``reason``: why no experiment file validates it; unused where one does."""

    id: str
    what: str
    published: str
    reason: str = ""


ROWS: tuple[Row, ...] = (
    Row("O1", "LCO half cell, the full picture", "LCO 0-100 ppm with SOC; Li metal 250; electrolyte and SEI near 0"),
    Row("O2", "Li microstructure against bulk", "apart by skin depth and susceptibility; 12 um skin at 9.4 T"),
    Row("O3", "orientation calibration", "242 ppm at 90 deg to 272 ppm at 0 deg"),
    Row("O4", "dead Li after stripping", "dead Li near 260, SEI near 0 ppm"),
    Row("O5", "anode-free inactive Li budget", "dead Li and SEI-Li per cycle"),
    Row("O6", "overcharged graphite, relaxation", "metal 270, LiCx near 40; the metal decays in the first hours of rest"),
    Row("O7", "onset of plating", "graphite plates at 105 %"),
    Row("O7b", "fast charge plating", "onset detected; dissolves again after the charge"),
    Row("O8", "Si lithiation", "-15 to 20 ppm; overlithiated Li15+xSi4 decays to Li15Si4"),
    Row("O9", "Ge lithiation", "24, 13, 10 and -24 ppm"),
    Row("O10", "Cs+ shield", "vertical and horizontal Li apart"),
    Row("O11", "stack pressure", "moss below 270 ppm under pressure"),
    Row("O12", "Li metal MRI", "about 100 um resolution"),
    Row("O13", "onset time of dendrites against current", "Sand at high j"),
    Row("O14", "dendrites in LLZO", "onset to crossing imaged"),
    Row("O15", "1H MRI of dendrites", "metal seen as void"),
    Row("O16", "Na metal, two carriers", "speciation on cycling: 0 and 1130 ppm"),
    Row("O17", "Na microstructure, transition overpotential", "linear to 0.15 V, then decomposition"),
    Row("O18", "hard carbon, quasi-metal", "below 180 mV a new signal grows and moves left"),
    Row("O19", "operando relaxometry", "T1 and T2 in operando"),
    Row("O20", "Li-S", "in situ spectra exist; two lines near 0 ppm"),
    Row("O21", "STRAFI profile", "Li+ movement followed"),
    Row("O22", "z-resolved spectra", "done for a paramagnetic cathode"),
    Row("O23", "liquid electrolyte ageing", "-"),
    Row("O24", "long life", "more than 2000 h"),
    Row("O25", "commercial pouch, inside-out MRI", "state of charge from the induced field"),
    Row("O26", "jelly roll under MAS", "10 kHz; charged outside the probe"),
    Row("O27", "concentration polarisation", "transport from a profile"),
    Row("O28", "6Li/7Li self exchange", "about 2x faster with FEC"),
    Row("O29", "inactive Li on carbon anodes", "budget as O5"),
    Row("O30", "solid-state anode-free, sulfides", "reversible, dead, SEI-Li per cycle"),
    Row("O31", "pause, measure, resume", "counter electrode removed during NMR"),
    Row("O32", "soft short in Li/Li", "the plating rate seen by NMR falls to 0.74, then 0.05-0.20"),
    Row("R1", "Na / Na-beta''-alumina / Na cycling", "84 um Na; polarisation grows; short on reversal"),
    Row("R2", "Knight-shift spin-echo image", "only 11 um skins seen; pixel 23 um"),
    Row("R3", "spectrum pristine and shorted", "1126 ppm; no second line, no gain"),
    Row("R4", "gradient-echo images", "exist"),
    Row("R5", "T2 map", "5 echoes, 11.5 h, 2.3 h each"),
    Row("R6", "T2 values", "electrode 5-10 ms, 5-12 after; cluster 16 ms"),
    Row("R7", "T2 histogram", "isolated peak near 16 ms; electrode wider after the short"),
    Row("R8", "correlative data", "XCT, SEM, EDX; the line does not broaden"),
    Row("Q1", "Li10SnP2S12 ball milling", "31P 84 ppm; 119Sn near 50 ppm"),
    Row("Q2", "Al/W-LLZO", "6Li 1.9, 1.6, 0.8 ppm; D 1e-12 m2/s"),
    Row("Q3", "NCM111, NCM622 6Li", "250-1100 ppm, split at 700"),
    Row("Q4", "NCM811 VT", "hopping fastest at 40-50 % SOC"),
    Row("Q5", "Li in Na layered oxide", "above and below 1200 ppm"),
    Row("Q6", "17O Li2MnO3", "1859, 2231 ppm"),
    Row("Q7", "LCO charge series", "7Li 0 ppm pristine; 17O -636 to 1250"),
    Row("Q8", "P2-Na0.67Ni0.33Mn0.67O2", "hydrated 250-400 ppm"),
    Row("Q9", "NaxMn(Al)O2 23Na", "250-600, 650-900, 900-1400, 1400-1850 ppm"),
    Row("Q10", "Na2FePO4F 23Na", "Na1 inactive, Na2 active"),
    Row("Q11", "PDBS 13C; 3Q 15N/13C", "115, 110 to 105 ppm"),
    Row("Q12", "LiC6; disordered carbon; diglyme graphite", "45 and 0 ppm"),
    Row("Q13", "Si against SiO", "LixSi near 20 ppm"),
    Row("Q14", "P anode", "a-Li3P -289; Li3+xP 3.4 and -273.7 ppm"),
    Row("Q15", "SEI by MAS and DNP", "SEI within +-10 ppm"),
    Row("Q16", "LSPS/Li, LATP/Li; CP", "1H-23Na CP; T1 of products shorter"),
    Row("Q17", "2D EXSY", "cross peaks present or absent"),
    Row("Q18", "LiTMPO4 shift calculations", "shift order Mn > Fe > Ni > Co"),
    Row("P1", "skin depth", "Na 10.7, Li 12.3 um at 9.4 T"),
    Row("P2", "metal nutation", "maximum at 123 deg, 0.468 delta, -56 deg"),
    Row("P3", "T1 of bulk metal", "44/T s (Li)"),
    Row("P4", "T2 <= T1 for every metal line", "violation flagged"),
    Row("P5", "metal gained is Q/F", "slope constant while no short"),
    Row("P6", "stripping a thick electrode", "skin signal unchanged within 5 %"),
    Row("P7", "susceptibility shift", "Li strip 272/242; Na +5 along B0"),
    Row("P8", "SNR doubles for 4x scans", "noise sd within 20 %"),
    Row("P9", "sum rule", "environments add up to the inventory"),
    Row("P10", "quadrupolar horns", "satellites +-Cq/4"),
    Row("P11", "saturation", "doubling TR: electrolyte by the factor, metal below 2 %"),
    Row("P12", "excitation", "corrected area constant with the carrier 30 kHz off"),
    Row("P13", "Hahn echo against one pulse", "exp(-2 tau / T2); not for metal"),
    Row("P14", "Rees T2 modes and map time", "5-10 ms, 16-17 ms, 11.5 h / 5 = 2.3 h"),
    Row("P15", "Na/Na microstructure against eta", "linear until 0.15 V"),
    Row("P16", "shifts", "LiC6 45, metal 250, SEI 0, Na metal 1126-1131"),
    Row("P17", "Sand's law", "onset ~ j^-2 above the limiting current"),
    Row("P18", "charge windows", "integrate to the total within 0.1 %"),
)
"""[L] Liu 2021 for O and Q, [R] Rees 2021 for R; P: the physics that the project holds itself to."""

IDS = frozenset(row.id for row in ROWS)
NO_FILE = "no experiment file has a `validate:` section for it yet"
