"""The parameters of a new data set: an own table, with every key that recorded ``acqus`` and ``procs`` hold. Pure.

Values are this emulator's own; names, kinds and lengths of arrays are those of recorded files of TopSpin 2.1 and 3.0.
"""

from __future__ import annotations

from drivers.topspin.console.jcamp import Scalar, Value, Word
from drivers.topspin.console.releases import Release

NO = Word("no")

ARRAYS: tuple[tuple[str, int, Scalar], ...] = (
    ("AMP", 32, 100), ("CNST", 64, 1), ("D", 64, 0), ("DBL", 8, 120), ("DBP", 8, 150), ("DBPOAL", 8, 0.5), ("DBPOFFS", 8, 0),
    ("DL", 8, 120), ("DP", 8, 150), ("DPOAL", 8, 0.5), ("DPOFFS", 8, 0), ("FCUCHAN", 10, 0), ("FS", 8, 83), ("GPX", 32, 0),
    ("GPY", 32, 0), ("GPZ", 32, 0), ("HGAIN", 4, 0), ("HPMOD", 8, 0), ("IN", 64, 0.001), ("INF", 8, 0), ("INP", 64, 0),
    ("L", 32, 1), ("OBSCHAN", 10, 0), ("P", 64, 0), ("PACOIL", 16, 0), ("PCPD", 10, 100), ("PHCOR", 32, 0), ("PL", 64, 120),
    ("PRECHAN", 16, -1), ("RECCHAN", 16, 0), ("RECPRE", 16, -1), ("RECPRFX", 16, -1), ("RECSEL", 16, 0), ("ROUTWD1", 24, 0),
    ("ROUTWD2", 24, 0), ("RSEL", 10, 0), ("S", 8, 83), ("SP", 32, 150), ("SPOAL", 32, 0.5), ("SPOFFS", 32, 0),
    ("SWIBOX", 16, 0), ("TL", 8, 120), ("TP", 8, 150), ("TPOAL", 8, 0.5), ("TPOFFS", 8, 0), ("XGAIN", 4, 0),
)  # fmt: skip
NEWER_ARRAYS: tuple[tuple[str, int, Scalar], ...] = (
    ("PLW", 64, 0), ("PLWMAX", 8, 0), ("SPPEX", 64, 0), ("SPW", 64, 0), ("CAGPARS", 12, 0), ("MULEXPNO", 16, 0), ("PEXSEL", 10, 1),
    ("SELREC", 10, 0), ("SP", 64, 120), ("SPOAL", 64, 0.5), ("SPOFFS", 64, 0), ("SWIBOX", 20, 0), ("TE_STAB", 9, 0),
)  # fmt: skip

NUMBERED: tuple[tuple[str, range, Scalar], ...] = (
    ("BF", range(1, 9), 0.0), ("CPDPRG", range(1, 9), ""), ("DBPNAM", range(8), ""), ("DPNAME", range(8), ""), ("FL", range(1, 5), 83),
    ("FQ", range(0), ""), ("GPNAM", range(32), "sine.100"), ("HL", range(1, 5), 83), ("NUC", range(2, 9), "off"), ("O", range(1, 9), 0.0),
    ("SFO", range(1, 9), 0.0), ("SPNAM", range(32), "gauss"), ("SUBNAM", range(10), '""'), ("TPNAME", range(8), ""),
    ("USERA", range(1, 6), "user"), ("ZL", range(1, 5), 120),
)  # fmt: skip

SCALARS: dict[str, Scalar] = {
    "ACQT0": 0.0, "ANAVPT": -1, "AQSEQ": 0, "AUNM": "au_zg", "AUTOPOS": "", "CFDGTYP": 2, "CFRGTYP": 9, "CHEMSTR": "none",
    "CPDPRG": "", "CPDPRGB": "", "CPDPRGT": "", "DATE": 0, "DBP07": 0, "DE": 6.5, "DECBNUC": "off", "DECIM": 1, "DECNUC": "off",
    "DECSTAT": 4, "DIGMOD": 1, "DIGTYP": 8, "DP07": 0, "DQDMODE": 0, "DR": 16, "DS": 0, "DSLIST": "SSSSSSSSSSSSSSS", "DSPFIRM": 0,
    "DSPFVS": 0, "DTYPA": 0, "EXP": "", "F1LIST": "111111111111111", "F2LIST": "222222222222222", "F3LIST": "333333333333333",
    "FOV": 20, "FRQLO3": 0, "FRQLO3N": 0, "FTLPGN": 0, "FW": 125000, "FnMODE": 0, "FnTYPE": 0, "GP031": 0, "GRDPROG": "",
    "GRPDLY": -1, "HDDUTY": 20, "HDRATE": 20, "HOLDER": 0, "HPPRGN": 0, "INSTRUM": "", "LFILTER": 10, "LGAIN": -10, "LINPSTP": 0,
    "LOCKED": NO, "LOCKFLD": 0, "LOCKGN": 0, "LOCKPOW": -20, "LOCKPPM": 0, "LOCNUC": "off", "LOCPHAS": 0, "LOCSHFT": NO, "LOCSW": 0,
    "LTIME": 0.1, "MASR": 0, "MASRLST": "masrlst", "NBL": 1, "NC": 0, "NLOGCH": 2, "NS": 16, "NUC1": "off", "NUCLEI": 0,
    "NUCLEUS": "off", "OVERFLW": 0, "PAPS": 2, "PARMODE": 0, "PHLIST": "", "PHP": 2, "PH_ref": 0, "PLSTEP": 0.1, "PLSTRT": -6,
    "POWMOD": 0, "PQPHASE": 0, "PQSCALE": 0, "PR": 4, "PRGAIN": 0, "PROBHD": "static 10 mm, 1 coil", "PROSOL": NO, "PULPROG": "zg",
    "PW": 0, "PYNM": "acqu.py", "QNP": 1, "RD": 0, "RECPH": 0, "RG": 101.0, "RO": 20, "SEOUT": 0, "SOLVENT": "None", "SP07": 0,
    "SPECTR": 0, "SWfinal": 0, "TD0": 1, "TE": 298.0, "TE2": 300.0, "TE3": 300.0, "TEG": 300.0, "TP07": 0, "TUNHIN": 0, "TUNHOUT": 0,
    "TUNXOUT": 0, "V9": 5, "VALIST": "valist", "VCLIST": "CCCCCCCCCCCCCCC", "VD": 0, "VDLIST": "DDDDDDDDDDDDDDD",
    "VPLIST": "PPPPPPPPPPPPPPP", "VTLIST": "TTTTTTTTTTTTTTT", "WBST": 1024, "WBSW": 10.0, "XL": 0, "YL": 0, "YMAX_a": 0, "YMIN_a": 0,
    "ZGOPTNS": "",
}  # fmt: skip
NEWER: dict[str, Scalar] = {
    "NOVFLW": 0, "NUSLIST": "automatic", "SOLVOLD": "off", "SPINCNT": 0, "TE1": 300.0, "TE4": 300.0, "TE_PIDX": 0,
}  # fmt: skip

OLDER = frozenset({"CPDPRGB", "CPDPRGT", "DBP07", "DSLIST", "GP031", "NUCLEI", "OBSCHAN", "PROSOL", "SEOUT", "SP07", "TP07"})
"""Gone since 3.0."""

PROC: dict[str, Scalar] = {
    "ABSF1": 1000.0, "ABSF2": -1000.0, "ABSG": 5, "ABSL": 3, "ALPHA": 0, "AQORDER": 0, "ASSFAC": 0, "ASSFACI": 0, "ASSFACX": 0,
    "ASSWID": 0, "AUNMP": "proc_1d", "AXLEFT": 0, "AXNAME": "", "AXNUC": "", "AXRIGHT": 0, "AXTYPE": 0, "AXUNIT": "", "AZFE": 0.1,
    "AZFW": 0.5, "BCFW": 0, "BC_mod": 2, "BYTORDP": 0, "COROFFS": 0, "CY": 15, "DATMOD": 0, "DC": 0, "DFILT": "", "DTYPP": 0,
    "ERETIC": NO, "F1P": 0, "F2P": 0, "FCOR": 1, "FTSIZE": 0, "FT_mod": 0, "GAMMA": 0, "GB": 0, "INTBC": 1, "INTSCL": 1, "ISEN": 128,
    "LB": 50, "LEV0": 0, "LPBIN": 0, "MAXI": 10000, "MC2": 0, "MEAN": 0, "ME_mod": 0, "MI": 0, "MddCEXP": NO, "MddCT_SP": NO,
    "MddF180": NO, "MddLAMBDA": 0, "MddMEMORY": 0, "MddMERGE": 0, "MddNCOMP": 0, "MddNITER": 0, "MddNOISE": 0, "MddPHASE": 0,
    "MddSEED": 0, "MddSRSIZE": 0, "Mdd_CsALG": 0, "Mdd_CsLAMBDA": 0, "Mdd_CsNITER": 0, "Mdd_CsNORM": 0, "Mdd_CsVE": NO, "Mdd_CsZF": 0,
    "Mdd_LrLAMBDA": 0, "Mdd_LrNITER": 0, "Mdd_LrRANK": 0, "Mdd_LrZF": 0, "Mdd_mod": 0, "NCOEF": 0, "NC_proc": 0, "NLEV": 6,
    "NOISF1": 0, "NOISF2": 0, "NSP": 0, "NTH_PI": 0, "NZP": 0, "OFFSET": 0.0, "PC": 1.4, "PHC0": 0, "PHC1": 0, "PH_mod": 1,
    "PKNL": Word("yes"), "PPARMOD": 0, "PPDIAG": 0, "PPIPTYP": 0, "PPMPNUM": 2147483647, "PPRESOL": 1, "PSCAL": 0, "PSIGN": 0,
    "PYNMP": "proc.py", "RDF1": 0, "RDF2": 0, "RDFWHM": 0, "RDINT": 0, "RDPOS": 0, "REVERSE": NO, "SF": 0.0, "SI": 8192, "SIGF1": 0,
    "SIGF2": 0, "SINO": 16, "SIOLD": 0, "SPECTYP": "", "SREF_mod": 1, "SREGLST": "RRRRRRRRRRRRRRR", "SSB": 0, "STSI": 0, "STSR": 0,
    "SW_p": 0.0, "SYMM": 0, "S_DEV": 0, "TDeff": 0, "TDoff": 0, "TI": "", "TILT": NO, "TM1": 0, "TM2": 0, "TOPLEV": 0, "USERP1": "user",
    "USERP10": "", "USERP2": "user", "USERP3": "user", "USERP4": "user", "USERP5": "user", "USERP6": "", "USERP7": "", "USERP8": "",
    "USERP9": "", "WDW": 1, "XDIM": 0, "YMAX_p": 0, "YMIN_p": 0,
}  # fmt: skip


def acqu(release: Release) -> dict[str, Value]:
    """Acquisition parameters of a new one-pulse data set, before any run."""
    newer = release.watts
    found: dict[str, Value] = {**SCALARS, **(NEWER if newer else {})}
    for stem, numbers, value in NUMBERED:
        found |= {f"{stem}{n}": value for n in numbers}
    found |= {f"FQ{n}LIST": "freqlist" for n in range(1, 9)}
    found |= {name: [value] * length for name, length, value in (*ARRAYS, *(NEWER_ARRAYS if newer else ()))}
    if newer:
        found |= {f"SPNAM{n}": "gauss" for n in range(32, 64)}
        found = {name: value for name, value in found.items() if name not in OLDER}
    return found | {"AQ_mod": release.AQ_mod, "BYTORDA": release.BYTORDA, "TD": 12288, "SW": 0.0, "SW_h": 0.0}


def proc() -> dict[str, Value]:
    """Processing parameters of a new data set."""
    return dict(PROC)
