"""A night from its seed: what is asked, and what goes wrong when. Pure: the same seed gives the same night for ever."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

LASTS_S = 7200.0
"""About so long a night is; every fault begins within it. What waits for a person then waits until the booking ends."""

EXPERIMENT = """version: 1
experiment: night-{seed}
cell: {{id: C1, type: symmetric, working: upper Li, counter: lower Li, area_cm2: 0.4, electrode_normal_to_B0_deg: 0, lead_ohm: 2}}
limits: {{abs_E_V: {abs_E_V}, abs_I_mA: 0.5, charge_per_step_mAh: {limit_mAh}, host_lost: {host_lost}}}
acquisitions:
  fast: {{template: 7Li_1k, recycle_s: 0.75, scans: {scans}, dummies: 2}}
protocol:
{protocol}{rules}
busy: {busy}
missed_acquisition: {missed}
record: {{every_s: 1}}
at_end: {{cell: open circuit, nmr: [fast]}}
booking_ends: 2026-01-01T03:00Z
when_booking_ends: {{nmr: stop after this spectrum and hand console back, cell: open circuit}}
"""
HARD_SHORT = """
rules:
  - {name: hard short, when: abs(E) < 0.2 * abs(I) * R_eis, for: 3 samples, not_after_edge_s: 5, do: [open circuit, alarm]}"""

RIG = """version: 1
name: night
zone: UTC
instruments:
  potentiostat: {driver: methodscript, address: "emulator:methodscript"}
  console:
    driver: openvnmrj
    address: "emulator:openvnmrj"
    options:
      data_root: /home/vnmr1/vnmrsys/data/operando
      path_map: {/home/vnmr1/vnmrsys: .}
      emulator: {shown_as: /home/vnmr1/vnmrsys}
    unlock: {pulse_us: [1, 10]}
stations:
  sim: {potentiostat: potentiostat, console: console, nuclei: {7Li: {manual: false}}}
twin: twin.yaml
templates:
  7Li_1k:
    nucleus: 7Li
    series: series_1p_7Li_metal
    parameters: {points: 1024, spectral_width_Hz: 93458, carrier_ppm: 137, pulse_us: 8}
"""

Draw = Callable[[Random], str]


def _lasts(random: Random, longest_s: float = 900.0) -> str:
    """Seconds between one and the longest, short ones as likely as long ones."""
    return f"{longest_s ** random.random():.3f}"


def _times(random: Random) -> str:
    return f"times={random.choice((1, 2, 3, 10, 60))}"


FAULTS: Mapping[str, Draw] = {
    "methodscript.silent": lambda r: f"for_s={_lasts(r)}",
    "methodscript.garbage_line": _times,
    "methodscript.duplicate_package": _times,
    "methodscript.packages_overtake": _times,
    "methodscript.half_line_then_stall": lambda r: f"stall_s={_lasts(r, 60.0)}",
    "methodscript.echo_but_no_start": lambda r: f"times={r.choice((1, 2))}",
    "methodscript.error_mid_step_cell_on": lambda r: f"after={r.randint(1, 400)}",
    "methodscript.overload": _times,
    "methodscript.reading_nan": lambda r: f"times={r.choice((1, 2, 5))},what={r.choice(('E', 'I', 'EI'))}",
    "methodscript.voltage_jump": lambda r: f"offset_V={r.choice((-5.0, -0.3, 0.3, 5.0))},for_s={_lasts(r, 60.0)}",
    "methodscript.port_vanishes": lambda r: f"seconds={_lasts(r, 120.0)},power_lost={r.choice(('true', 'false'))}",
    "methodscript.reboot_mid_step": lambda _: "",
    "methodscript.clock_skew": lambda r: f"ppm={r.choice((-200.0, 200.0))}",
    "methodscript.load_error": lambda r: f"times={r.choice((1, 2))}",
    "methodscript.chunked": lambda r: f"for_s={_lasts(r)}",
    "methodscript.stray_xon": lambda r: f"for_s={_lasts(r)}",
    "openvnmrj.silent": lambda r: f"for_s={_lasts(r)}",
    "openvnmrj.talk_missing": lambda r: f"for_s={_lasts(r)}",
    "openvnmrj.stale_pid": lambda r: f"for_s={_lasts(r)}",
    "openvnmrj.refused_port": lambda r: f"for_s={_lasts(r)}",
    "openvnmrj.foreground_busy": lambda r: f"seconds={_lasts(r, 300.0)}",
    "openvnmrj.wexp_stale": lambda _: "scans=4",
    "openvnmrj.acquisition_error": lambda r: f"times={r.choice((1, 3))},code={r.choice((13, 15))}",
    "openvnmrj.background_processing": lambda r: f"for_s={_lasts(r)}",
    "openvnmrj.curpar_stale": lambda r: f"for_s={_lasts(r)}",
    "openvnmrj.clock_off": lambda r: f"seconds={r.choice((-3600.0, 2.5, 10440.0))}",
    "openvnmrj.dead_listener_freeze": lambda r: f"times={r.choice((1, 3))}",
    "openvnmrj.wrong_nucleus": lambda r: f"for_s={_lasts(r)}",
    "openvnmrj.svf_fails": lambda r: f"times={r.choice((1, 3))}",
    "openvnmrj.disk_full": lambda r: f"times={r.choice((1, 3))}",
    "openvnmrj.tuner_hang": lambda r: f"times={r.choice((1, 1, 3))},stall_s={r.choice(('null', '30', '200'))}",
    "twin.soft_short": lambda r: f"for_s={_lasts(r, 7200.0)}",
    "twin.hard_short_on_reversal": lambda r: f"value={r.choice((0.5, 5.0, 50.0))}",
    "twin.contact_loss": lambda r: f"for_s={_lasts(r)}",
    "twin.voltage_spike": lambda r: f"value={r.choice((-1.0, -0.3, 0.3, 1.0))}",
    "twin.amplifier_trip": lambda r: f"for_s={_lasts(r)}",
    "twin.gain_changed": lambda _: "value=0.5",
    "twin.filter_fault": lambda r: f"for_s={_lasts(r)}",
    "host.clock_step": lambda r: f"seconds={r.choice((-3600.0, 3600.0, 0.7))}",
    "host.journal_disk_full": lambda r: f"for_s={_lasts(r)}",
    "host.broker_gone": lambda r: f"for_s={_lasts(r, 7200.0)},hangs={r.choice(('true', 'false'))}",
}
"""Every fault of a night, and how its parameters are drawn."""


@dataclass(frozen=True, slots=True)
class Night:
    """What ``operando run`` is asked for. ``faults``: as ``--fault`` takes them. ``killed_s``: the host dies then, for ``away_s``."""

    seed: int
    experiment: str
    faults: tuple[str, ...]
    killed_s: float | None = None
    away_s: float = 0.0


def night_of(seed: int) -> Night:
    """The night of a seed."""
    random = Random(f"night {seed}")
    experiment = _experiment(seed, random)
    return Night(seed, experiment, _faults(random.choice((0, 1, 1, 2, 2, 3, 4, 6)), random))


def killed_night(seed: int) -> Night:
    """The night of a seed with at most two faults, whose host is killed somewhere in it and comes back."""
    random = Random(f"killed {seed}")
    experiment = _experiment(seed, random)
    faults = _faults(random.choice((0, 0, 1, 2)), random)
    return Night(seed, experiment, faults, min(_instant_s(random), LASTS_S - 600.0), 3600.0 ** random.random())


def _faults(count: int, random: Random) -> tuple[str, ...]:
    """Different ones; a third of them soon after the one before."""
    found: list[str] = []
    after_s = 0.0
    for name in random.sample(list(FAULTS), count):
        soon = found and random.random() < 1 / 3
        after_s = after_s + random.uniform(0.0, 30.0) if soon else _instant_s(random)
        found.append(f"{name}:{','.join(filter(None, (f'after_s={after_s:.3f}', FAULTS[name](random))))}")
    return tuple(found)


def _instant_s(random: Random) -> float:
    """Any of the night, or within seconds of a whole minute: where steps begin and end."""
    if random.random() < 0.5:
        return random.uniform(1.0, LASTS_S)
    return max(1.0, 60.0 * random.randint(1, round(LASTS_S / 60)) + random.uniform(-2.0, 4.0))


def _experiment(seed: int, random: Random) -> str:
    current_mA_per_cm2 = random.choice((0.25, 0.5, 1.0))
    minutes = random.choice((12, 25))
    charge_mAh = 0.4 * current_mA_per_cm2 * minutes / 60
    triggers = _triggers(random, charge_mAh)
    return EXPERIMENT.format(
        seed=seed,
        abs_E_V=random.choice((0.3, 0.6)),
        limit_mAh=f"{charge_mAh * random.choice((1.05, 1.5)):.4f}",
        host_lost=random.choice(("open circuit within 60 s", "open circuit within 20 s", "finish step on device")),
        scans=128 if "continuously" in triggers else random.choice((8, 16, 64)),
        protocol=_protocol(random, triggers, current_mA_per_cm2, minutes, charge_mAh),
        rules=random.choice(("", HARD_SHORT)),
        busy=random.choice(("coalesce", "queue")),
        missed=random.choice(("continue", "continue", "wait at open circuit after 2 missed", "stop")),
    )


def _triggers(random: Random, charge_mAh: float) -> str:
    """When a half-cycle takes spectra: one in two minutes at most."""
    every = random.choice(("every 5 minutes", "every 2 minutes", f"every {charge_mAh / 4:.4f} mAh", "continuously"))
    return random.choice((f"[at start, {every}, at end]", f"[{every}]", "at end"))


def _protocol(random: Random, triggers: str, current_mA_per_cm2: float, minutes: int, charge_mAh: float) -> str:
    """A rest, then half-cycles of plating and stripping with rests between them; two hours in all."""
    end = random.choice((f"for {minutes} minutes", f"until {charge_mAh:.4f} mAh or {minutes + 5} minutes"))
    rest = random.choice((1, 3))
    held = "\n      - {step: Hold at 0.05 V for 3 minutes, nmr: {fast: at end}}" if random.random() < 0.3 else ""
    turns = round((LASTS_S / 60 - 5) / (2 * (minutes + rest) + (3 if held else 0)))
    pairs = "".join(
        f"""
      - {{step: {verb} working at {current_mA_per_cm2} mA/cm2 {end}, nmr: {{fast: {triggers}}}}}{held if verb == "Plate" else ""}
      - {{step: Rest for {rest} minutes, nmr: {{fast: at start}}}}"""
        for verb in ("Plate", "Strip")
    )
    return f"""  - {{step: Rest for 5 minutes, nmr: {{fast: at start}}}}
  - repeat: {turns}
    steps:{pairs}"""
