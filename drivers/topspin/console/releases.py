"""What differs between the releases of TopSpin that are emulated. Pure.

2.1 is the console of the recorded 7Li run (big-endian int32, GRPDLY -1 with DECIM and DSPFVS to look the delay up, ``go``, the
user in the path); 3.6.2 the one whose files the references describe to the byte; 4.4.0 a Neo (float64, names of enumerations,
audit stamps with a T, an entry for the new data set and one for the acquisition in progress: seen in files of 4.3.0 and 4.5.0).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Release:
    """One release of the program and the console under it.

    ``delay_points``: what the digital filter delays the FID by; ``GRPDLY``: what the file says of it. ``NC_least``: the
    most that integers are scaled up by, as a power of two.
    """

    name: str
    title: str
    audit: str
    process: str
    byte_order: str
    dtype: str
    delay_points: float
    GRPDLY: float
    DSPFVS: int
    AQ_mod: int
    NC_least: int = 0
    enum_names: bool = False
    user_in_path: bool = False
    iso_stamps: bool = False
    watts: bool = True

    @property
    def BYTORDA(self) -> int:
        """0 little, 1 big endian."""
        return int(self.byte_order == ">")

    @property
    def DTYPA(self) -> int:
        """0 int32, 2 float64."""
        return 2 if self.dtype == "f8" else 0

    @property
    def raw_dtype(self) -> str:
        """As numpy says it."""
        return self.byte_order + self.dtype

    def DECIM(self, spectral_width_Hz: float) -> float:
        """Decimation of the digitizer, 20 MHz at its input (2.1: of the recorded run)."""
        return 2 if self.user_in_path else round(20e6 / spectral_width_Hz, 9)


RELEASES = {
    release.name: release
    for release in (
        Release(
            "2.1",
            "TOPSPIN\t\tVersion 2.1",
            "TOPSPIN 2.1",
            "go",
            ">",
            "i4",
            44.75,
            -1,
            10,
            1,
            user_in_path=True,
            watts=False,
        ),
        Release("3.6.2", "TopSpin 3.6.2", "TopSpin 3.6.2", "go4", "<", "i4", 67.9858398437500, 67.985839843750, 20, 3, NC_least=-7),
        Release(
            "4.4.0",
            "TopSpin 4.4.0",
            "TopSpin 4.4.0",
            "go4",
            "<",
            "f8",
            19.9876098632812,
            19.9876098632812,
            22,
            3,
            enum_names=True,
            iso_stamps=True,
        ),
    )
}
