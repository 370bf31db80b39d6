"""What ``prepare`` must find before the first current of the protocol: open-circuit voltage, polarity. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.runner.account import Account
from orchestrator.runner.safety import ocv_complaint, polarity_complaint


def complaint(account: Account, recent: Sequence[tuple[int, float]]) -> str | None:
    """What a step of ``prepare`` that has ended has found wrong; ``recent``: instants (ns) and voltages up to now."""
    asked = account.planned.settings
    began_ns = account.first_started_ns
    if began_ns is None or asked.get("check") not in {"ocv", "polarity"}:
        return None
    before = [voltage_V for mono_ns, voltage_V in recent if mono_ns < began_ns]
    during = [(mono_ns / 1e9, voltage_V) for mono_ns, voltage_V in recent if mono_ns >= began_ns]
    if asked["check"] == "ocv":
        times, volts = [one[0] for one in during], [one[1] for one in during]
        drift = {name: asked[name] for name in ("drift_V", "drift_per_s") if name in asked}
        return ocv_complaint(times, volts, asked["lower_V"], asked["upper_V"], **drift)
    if not during:
        return "the voltage was not read during the polarity pulse"
    return polarity_complaint(before[-1] if before else during[0][1], during[-1][1], str(asked.get("must", "raise")))
