"""What ``plan`` makes of an experiment: a flat list of steps with triggers, in SI units, ready for the Runner.

A plan is plain data (JSON both ways): it stands in event 1 of every run, and ``continue`` reads it back from there.
Repeats are unrolled; what depends on what will have happened (``110 % of the sodiation so far``, ``until: discharge <
50 % of cycle 2``) stays as a rule that the Runner evaluates when it gets there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from drivers.base import CELL, ONE_PULSE, Axis, EndConditions, ImpedanceOrder, Limits, Mode
from orchestrator.model.acquisition import Condition, MissedPolicy, TriggerKind
from orchestrator.model.experiment import BookingEnd
from orchestrator.model.interlocks import PlannedInterlock
from orchestrator.model.protocol import SampleRate, WaitForNmr
from orchestrator.model.rule import Rule
from orchestrator.model.values import Frozen


class TriggerOrder(Frozen):
    """One trigger in SI units: ``every`` in s, C, fraction of x, or V, by kind. ``times_s``: instants after the step's start.

    ``count`` and ``from_start`` of TIMES: n acquisitions evenly over the step, or back to back from its start.
    ``x``: fractions of AT_X. ``condition``: as written, x in % of the step's own charge over the capacity.
    ``guard_s``: not within this time after a step edge. ``hysteresis_V`` for EVERY_VOLTAGE. ``less_ohm``: E less this times I is what it
    looks at.
    """

    acquisition: str
    kind: TriggerKind
    every: float | None = None
    count: int | None = None
    from_start: bool = False
    times_s: tuple[float, ...] = ()
    x: tuple[float, ...] = ()
    condition: Condition | None = None
    guard_s: float = 0.0
    hysteresis_V: float = 0.0
    text: str = ""
    less_ohm: float = 0.0


class ChargeOfEarlier(Frozen):
    """The step's charge limit is ``factor`` times what earlier steps of ``verb`` passed since the last opposite step.

    Earlier steps: all that passed charge in the direction of ``verb``, potentiostatic ones included. ``110 % of the
    sodiation so far`` in a sodiation is a tenth more: factor 0.1. ``ends.charge_C`` then holds the worst case.
    """

    factor: float
    verb: str


class LeaveRepeat(Frozen):
    """Checked when the step has ended.

    If ``verb``'s charge in this cycle is on ``side`` of factor × cycle ``of_cycle``'s, go to ``to_index`` (which is the
    number of steps where the protocol ends there).
    """

    verb: str
    factor: float
    of_cycle: int
    side: Literal["below", "above"]
    to_index: int


WAITS = frozenset({"set", "prompt", "tune"})
"""Actions that are waited for at open circuit: a set-point and its settling, a person, the tuner."""


class PlannedStep(Frozen):
    """One step of the flat list.

    ``action``: an electrochemical step, a list of acquisitions at open circuit, or what is waited for there (``WAITS``). ``mode``,
    ``current_A``, ``voltage_V``, ``voltage_name``, ``ends``, ``limits``: as in ``drivers.base.StepOrder``. ``settings``: of a set-point
    or a prompt, ``if_no_short`` of a step that asks it, ``inside`` of an impedance spectrum that fits into its step's time.
    ``path``: where it stands in the protocol (index at each depth of repeats), ``turns``: in which turn of each repeat, from 1.
    ``expected_s``/``worst_s``: estimate, and the bound that the limits give. ``decides``: the host must
    decide something before the next step may start, so a program ends here. ``lead_V``: the cut-offs in ``ends`` are as the instrument
    reads them, so much above those at the cell that were written (I·R_lead; 0 where they mean what is measured).
    """

    index: int
    key: str
    text: str
    verb: str
    action: Literal["electrochemical", "acquisitions", "set", "prompt", "tune", "impedance"] = "electrochemical"
    name: str | None = None
    cycle: int = 0
    mode: Mode = Mode.REST
    current_A: float | None = None
    voltage_V: float | None = None
    voltage_name: str = CELL
    ends: EndConditions
    limits: Limits
    charge_of_earlier: ChargeOfEarlier | None = None
    impedance: ImpedanceOrder | None = None
    sample: SampleRate
    sample_voltage_V: float | None = None
    triggers: tuple[TriggerOrder, ...] = ()
    then: tuple[str, ...] = ()
    acquisitions: tuple[str, ...] = ()
    longest_s: float | None = None
    wait_for_nmr: WaitForNmr | None = None
    stop_when: str | None = None
    leave_repeat: LeaveRepeat | None = None
    decides: bool = False
    expected_s: float
    worst_s: float
    expected_charge_C: float = 0.0
    worst_charge_C: float = 0.0
    settings: Mapping[str, Any] = {}
    lead_V: float = 0.0
    ttl: str = ""
    path: tuple[int, ...] = ()
    turns: tuple[int, ...] = ()


class UntilKnown(Frozen):
    """When an acquisition may stop before its last scan.

    The relative standard error of ``observable`` is ``error`` or less, or so much of the capacity has passed since it began (of an unknown
    one nothing bounds it); at a multiple of ``phase_cycle``, and not before ``scans_least``.
    """

    observable: str
    error: float
    scans_least: int = 1
    phase_cycle: int = 4
    of_capacity: float | None = None


class PlannedAcquisition(Frozen):
    """An acquisition resolved against the rig's templates. ``members``: an interleave (name → weight); then no template.

    ``template``: what ``drivers.base.AcquisitionOrder.template`` will be. ``kind``: of ``model.kinds``, "" for a site's own.
    ``rows``: what one data set sweeps, ``per_block``: what each of several data sets has (``drivers.base.AcquisitionOrder``).
    ``prepares``: of an acquisition that ``prepare`` asks for, what is to be read from it (``plan.calibrations``).
    ``until``: ``scans`` are the most, and it may be halted before. ``edge_within_s``: as in ``model.acquisition.Acquisition``.
    ``duration_s``: of every row (dummies + scans) × (recycle + what the sequence waits + acquisition time), and for each block
    the console's overhead. ``expected_count``: spectra in the whole run, those made as a member of an
    interleave included; of an interleave, its rounds.
    """

    name: str
    nucleus: str = ""
    template: Mapping[str, Any] = {}
    scans: int = 1
    dummies: int = 0
    recycle_s: float = 1.0
    acquisition_time_s: float = 0.0
    points: int = 0
    blocks: int = 1
    kind: str = ""
    sequence: str = ONE_PULSE
    rows: Axis | None = None
    per_block: Axis | None = None
    duration_s: float = 0.0
    members: Mapping[str, int] = {}
    retune_between: bool = False
    retune_every: int | None = None
    subtract: str | None = None
    until: UntilKnown | None = None
    edge_within_s: float = 0.0
    missed: MissedPolicy = MissedPolicy()
    prepares: Mapping[str, Any] = {}
    expected_count: int = 0

    @property
    def fids(self) -> int:
        """FIDs of one acquisition, all blocks together."""
        return self.blocks * (1 if self.rows is None else len(self.rows))

    @property
    def drift(self) -> bool:
        """Is the first value measured once more at the end?"""
        axis = self.rows if self.per_block is None else self.per_block
        return axis is not None and len(axis) > 2 and axis.values[0] == axis.values[-1]


class TuningOrder(Frozen):
    """How the probe is tuned to a nucleus, and when besides: every so many spectra, or when the reflection is above ``above_dB``.

    ``at_ppm``: the carrier to tune to (``prepare: [tune at 560 ppm]``); None: where the tuner's preset is.
    """

    preset: str
    at_ppm: float | None = None
    every: int | None = None
    above_dB: float | None = None


class Plan(Frozen):
    """Everything the Runner needs, and everything ``check`` prints.

    ``x_per_C``: change of x per coulomb at *working* (signed; None: x has no meaning in this cell). ``expected_s`` and
    ``worst_s``: from the first step to the end of the last, without ``prepare`` and ``at_end_nmr``.
    ``expected_charge_C``: throughput. ``expected_spectra``: all of the run, ``prepare`` and ``at_end_nmr`` included.
    ``at_end_after``: the verb after which the cell is to be left ("" = any). ``at_end_attach``: files or folders beside the experiment.
    ``after_short_cell``: what nobody may do with it then.
    ``holds``: what rules and interlocks may hold the cell at, by the text of the action; no key, no triggers.
    ``tuning``: by nucleus; empty where the station has no tuner.
    ``size_bytes``: the most on the disk at any time, with the copies of ``run.h5`` or of its open chapter and the merging at
    the end; ``size_at_end_bytes``: what stays; ``size_hdf5_bytes``: ``run.h5`` of that;
    ``ballast_bytes``: kept besides, and given to the electrochemistry when the disk is full.
    """

    version: Literal[1] = 1
    name: str
    station: str
    zone: str
    cell: Mapping[str, Any]
    steps: tuple[PlannedStep, ...]
    acquisitions: Mapping[str, PlannedAcquisition]
    rules: tuple[Rule, ...] = ()
    windows: Mapping[str, tuple[float, float]] = {}
    interlocks: tuple[PlannedInterlock, ...] = ()
    holds: Mapping[str, PlannedStep] = {}
    limits: Limits
    host_lost: Literal["open circuit", "finish step on device"]
    host_lost_within_s: float
    lead_ohm: float = 0.0
    capacity_C: float | None = None
    x_now: float = 0.0
    x_per_C: float | None = None
    busy: Literal["coalesce", "queue"] = "coalesce"
    prepare: tuple[PlannedStep, ...] = ()
    tuning: Mapping[str, TuningOrder] = {}
    prepare_checks: tuple[Mapping[str, Any], ...] = ()
    at_end_nmr: tuple[str, ...] = ()
    budget: Mapping[str, Any] | None = None
    at_end_after: str = ""
    at_end_label: str = ""
    at_end_attach: tuple[str, ...] = ()
    after_short_current: bool = True
    after_short_cell: str = ""
    booking_end: BookingEnd | None = None
    booking_end_utc_ns: int | None = None
    expected_s: float
    worst_s: float
    expected_charge_C: float
    expected_spectra: Mapping[str, int]
    size_bytes: int
    size_at_end_bytes: int = 0
    size_hdf5_bytes: int = 0
    ballast_bytes: int = 0
    warnings: tuple[str, ...] = ()
    not_available: tuple[str, ...] = ()
