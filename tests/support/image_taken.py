"""An image as the journal has it: a bright block of one T2 in noise."""

from __future__ import annotations

from typing import Any

import numpy as np

SIZE = (32, 24)
TRUE_ms = 8.0


def kspace(echo_ms: float, seed: int) -> np.ndarray:
    """complex64 (32, 24): 10 x 8 bright pixels."""
    rng = np.random.default_rng(seed)
    image = np.zeros(SIZE, complex)
    image[10:20, 6:14] = 1000.0 * np.exp(-echo_ms / TRUE_ms)
    image += rng.normal(size=SIZE) + 1j * rng.normal(size=SIZE)
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image))).astype("<c8")


def image_taken(block: int, echo_ms: float, **changed: Any) -> tuple[dict[str, Any], bytes]:
    """Data and blob of a ``fid.block``: one echo time of a series of three."""
    axis = {"spectral_width_Hz": 1e5, "carrier_MHz": 79.4, "reference_MHz": 79.4, "group_delay_points": 0.0, "reversed_axis": False}
    data = {"key": "a1", "block": block, "blocks": 3, "name": "t2 map", "nucleus": "23Na", "dtype": "<c8", "shape": list(SIZE), "scans": 4}
    data |= {"encodes": SIZE[0], "block_value": {"name": "TE_ms", "value": echo_ms}, "raw_dtype": ">i4", **axis}
    return data | {"settings": {"field_of_view_mm": 9.6, "read_field_of_view_mm": 3.0}} | changed, kspace(echo_ms, block).tobytes()
