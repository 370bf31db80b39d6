"""The instruments that speak MethodSCRIPT, as far as their output shows them. Pure.

Potentials and currents: dossier 1.6; range indices: the parser PalmSens publishes (dossier 1.5). Whatever else stands here
is inferred: capability bits of the common commands, script memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SCRIPT_BITS = {
    "var": 1, "array": 2, "store_var": 3, "copy_var": 4, "add_var": 5, "sub_var": 6, "mul_var": 7, "div_var": 8, "set_e": 9,
    "set_int": 10, "await_int": 11, "wait": 12, "loop": 13, "endloop": 14, "breakloop": 15, "if": 16, "else": 17, "elseif": 18,
    "endif": 19, "meas": 21, "meas_loop_ca": 28, "meas_loop_ocp": 30, "meas_loop_eis": 31, "set_autoranging": 32,
    "pck_start": 33, "pck_add": 34, "pck_end": 35, "set_max_bandwidth": 36, "cell_on": 38, "cell_off": 39,
    "set_pgstat_mode": 40, "send_string": 41, "set_pgstat_chan": 42, "set_gpio_cfg": 43, "set_gpio_pullup": 44, "set_gpio": 45,
    "get_gpio": 46, "file_open": 50, "file_close": 51, "set_script_output": 52, "array_get": 53, "array_set": 54, "abort": 62,
    "timer_start": 63, "timer_get": 64, "set_range": 65, "set_range_minmax": 66, "meas_loop_cp": 67, "set_i": 68,
    "meas_loop_geis": 70, "int_to_float": 71, "float_to_int": 72, "bit_and_var": 73, "bit_or_var": 74, "bit_xor_var": 75,
    "bit_lsl_var": 76, "bit_lsr_var": 77, "bit_inv_var": 78, "set_acquisition_frac": 80, "set_gpio_msk": 84, "get_gpio_msk": 85,
    "set_acquisition_frac_autoadjust": 91, "alter_vartype": 92, "mod_var": 96, "pow_var": 112, "log_var": 114,
}  # fmt: skip
"""Bit of ``CM`` for every script command this interpreter executes (PalmSens' published table)."""

COMMAND_BITS = {
    "t": 1, "CC": 32, "CM": 33, "S": 34, "G": 35, "l": 36, "r": 37, "e": 38, "Fmscr": 43, "Lmscr": 44, "i": 48, "v": 49,
    "h": 96, "H": 97, "Z": 98, "Y": 99, "R": 101,
}  # fmt: skip
"""Bit of ``CC`` for every communication command answered here."""

GALVANOSTAT = frozenset({"meas_loop_cp", "set_i", "meas_loop_geis"})
AUTO_MODES = frozenset({0, 2, 3, 4, 5, 6})


@dataclass(frozen=True, slots=True)
class Model:
    """One device code: what it can apply, and the indices it names its ranges by (index → full scale)."""

    code: str
    version: str
    built: str
    potential_V: tuple[float, float]
    current_A: float
    current_ranges: tuple[tuple[int, float], ...]
    potential_ranges: tuple[tuple[int, float], ...]
    modes: frozenset[int] = AUTO_MODES
    missing: frozenset[str] = frozenset()
    galvanostat_offset: int = 0
    default_potential_index: int = 6
    script_bytes: int = 65536
    serial: str = field(default="ES4HR20B0008")

    def script_bits(self) -> int:
        """The number that ``CM`` shows in hex."""
        return sum(1 << bit for name, bit in SCRIPT_BITS.items() if name not in self.missing)


def _decades(first_index: int, step: int, *full_scales_A: float) -> tuple[tuple[int, float], ...]:
    return tuple((first_index + step * place, full_A) for place, full_A in enumerate(full_scales_A))


_EMSTAT4_POTENTIAL = ((2, 0.05), (3, 0.1), (4, 0.2), (5, 0.5), (6, 1.0))

MODELS = {
    "es4_hr": Model(
        "es4_hr", "1500", "Mar 12 2026 14:28:01", (-6.0, 6.0), 0.2, _decades(9, 3, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
        _EMSTAT4_POTENTIAL,
    ),
    "es4_lr": Model(
        "es4_lr", "1500", "Mar 12 2026 14:28:01", (-3.0, 3.0), 0.03, _decades(3, 3, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2),
        _EMSTAT4_POTENTIAL, serial="ES4LR20B0008",
    ),
    "espico": Model(
        "espico", "1600", "Sep 30 2025 12:00:00", (-1.7, 2.0), 0.003,
        ((0, 1e-7), (1, 2e-6), (2, 4e-6), (3, 8e-6), (4, 16e-6), (5, 32e-6), (6, 63e-6), (7, 125e-6), (8, 250e-6), (9, 500e-6),
         (10, 1e-3), (11, 5e-3)),
        (), modes=frozenset({0, 2, 3, 4, 5}), missing=GALVANOSTAT, default_potential_index=0, script_bytes=16384,
        serial="ESPICO21C0042",
    ),
    "nexus1": Model(
        "nexus1", "1100", "Mar 12 2026 14:28:01", (-10.0, 10.0), 1.0,
        ((16, 1e-10), (0, 1e-9), (1, 1e-8), (2, 1e-7), (3, 1e-6), (4, 1e-5), (5, 1e-4), (8, 1e-3), (9, 1e-2), (10, 1e-1), (11, 1.0)),
        ((3, 1e-3), (2, 1e-2), (1, 1e-1), (0, 1.0)), galvanostat_offset=32, default_potential_index=0, serial="NEXUS25A0003",
    ),
}  # fmt: skip
