"""What people write, in its normal form: an Experiment with its cell, limits, acquisitions, protocol and rules.

``config`` reads YAML and sentences into these; ``plan`` turns them into orders. Nothing here does I/O. Names are the
field's; quantities keep the unit kind they were written in (a C-rate stays a C-rate until ``plan`` knows the cell).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from drivers.base import ElectrodeBounds
from orchestrator.model.broker import Broker
from orchestrator.model.units import Quantity
from orchestrator.model.validation import Validation


class Frozen(BaseModel):
    """A value: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Where(Frozen):
    """Where something was written: file, line and column, 1-based; ``length`` in characters, within that line."""

    file: str = ""
    line: int = 0
    column: int = 0
    length: int = 0


# ------------------------------------------------------------------------------------------------------------- cell


class Electrode(Frozen):
    """A named electrode and, where known, its capacity."""

    name: str
    capacity_mAh: float | None = None


class Salt(Frozen):
    """The salt between the electrodes: its diffusion, concentration and cation's share of the current; how far they are apart."""

    diffusion_cm2_per_s: float
    mol_per_L: float
    t_plus: float
    gap_mm: float


class Foil(Frozen):
    """A weighed foil of the metal, measured in the same coil with the same pulse by an acquisition: what its area was.

    ``thickness_um``: of one so thick that the coil sees its two skins only; None: all of it is seen.
    """

    mass_mg: float
    area: float
    area_sd: float = 0.0
    acquisition: str
    thickness_um: float | None = None


class Cell(Frozen):
    """A cell record; it outlives runs. Never physics: the twin's physics is its own file. ``sample``: no cell, ``working`` holds it."""

    id: str
    type: Literal["full", "half", "symmetric", "sample"]
    working: str
    counter: str | None = None
    reference: str | None = None
    positive: Electrode | None = None
    negative: Electrode | None = None
    electrolyte: str | None = None
    area_cm2: float | None = None
    mass_mg: float | None = None
    capacity_mAh: float | None = None
    C_rate_of: str | None = None
    x_is: str | None = None
    x_now: float | None = None
    x_now_is: str | None = None
    electrode_normal_to_B0_deg: float | None = None
    lead_ohm: float = 0.0
    stack_pressure_MPa: float | None = None
    fixed_in_probe: bool = False
    environments: tuple[str, ...] = ()
    composition: str | None = None
    rotor_mm: float | None = None
    spinning_kHz: float | None = None
    temperature_K: float | None = None
    salt: Salt | None = None
    foil: Foil | None = None
    history: str | None = None
    where: Where = Where()


class SafetyLimits(Frozen):
    """Ring 2: what no step may pass. Both voltage sides, current, charge per step, and what to do when the host dies.

    ``voltage_name``: which E that is; ``electrodes``: further voltages of single electrodes, beside the cell's.
    """

    voltage_lower_V: float
    voltage_upper_V: float
    current_A: float
    charge_per_step: Quantity
    host_lost: Literal["open circuit", "finish step on device"]
    host_lost_within_s: float | None = None
    lower_armed_above_V: float | None = None
    voltage_name: str = "cell"
    electrodes: tuple[ElectrodeBounds, ...] = ()
    where: Where = Where()

    def bounds(self, name: str) -> ElectrodeBounds:
        """Lower and upper limit of one voltage (``cell``, ``we``, ``ce``), where it has any."""
        first = ElectrodeBounds(self.voltage_name, self.voltage_lower_V, self.voltage_upper_V)
        return next((one for one in (first, *self.electrodes) if one.electrode == name), ElectrodeBounds(name))


# ----------------------------------------------------------------------------------------------------- acquisitions


class MissedPolicy(Frozen):
    """What happens when acquisitions are missed: go on, wait at open circuit after n, or stop."""

    do: Literal["continue", "wait at open circuit", "stop"] = "continue"
    after: int = 1


class Acquisition(Frozen):
    """One NMR measurement as the experiment names it; the template is the site's own.

    ``manual``: a person (or another program) measures; ``members``: an interleave of other acquisitions with weights.
    ``arrays``: swept parameters by name (``TE_ms``). ``edge_within_s``: > 0: its trigger arms it, and an edge on the console's trigger
    input begins it, for which it waits so long at most. ``any_scans``: the phase cycle may be broken. ``places``: where each key stands.
    """

    name: str
    template: str | None = None
    scans: int = 1
    any_scans: bool = False
    dummies: int = 0
    recycle_s: float = 1.0
    until: Mapping[str, Any] | None = None
    edge_within_s: float = 0.0
    subtract: str | None = None
    arrays: Mapping[str, tuple[float, ...]] = Field(default_factory=dict)
    repeat_first: bool = False
    manual: str | None = None
    watch_folder: str | None = None
    minutes: float | None = None
    members: Mapping[str, int] = Field(default_factory=dict)
    retune_between: bool = False
    retune_every: int | None = None
    missed: MissedPolicy | None = None
    where: Where = Where()
    places: Mapping[str, Where] = Field(default_factory=dict)


class TriggerKind(StrEnum):
    """Why an acquisition starts now."""

    AT_START = "at start"
    AT_END = "at end"
    EVERY_TIME = "every time"
    EVERY_CHARGE = "every charge"
    EVERY_X = "every x"
    EVERY_VOLTAGE = "every voltage"
    CONTINUOUSLY = "continuously"
    TIMES = "times"
    LOG_SPACED = "log-spaced"
    AT_X = "at x"
    KNEE = "knee"
    ON_DEMAND = "on demand"


class Condition(Frozen):
    """A trigger counts only while ``of`` (x in %, or voltage in V) is on ``side`` of ``value``."""

    of: Literal["x", "voltage"]
    side: Literal["below", "above"]
    value: float


class NmrTrigger(Frozen):
    """One trigger of one acquisition.

    ``every``: interval of the EVERY kinds (s, mAh, mAh/cm2, %, V). ``count``: n of TIMES (``from_start`` True: counted from
    the step's start, back to back) and LOG_SPACED. ``first_s``, ``last_s``: ends of LOG_SPACED. ``x``: fractions of AT_X.
    ``guard_s``: time after a step edge before the trigger may fire. ``hysteresis_V``: of EVERY_VOLTAGE; None = a quarter of
    the interval. ``only_in``: for a trigger of the whole experiment, the kind of step in which it counts ("" = every step).
    """

    acquisition: str
    kind: TriggerKind
    every: Quantity | None = None
    count: int | None = None
    from_start: bool = False
    first_s: float | None = None
    last_s: float | None = None
    x: tuple[float, ...] = ()
    condition: Condition | None = None
    guard_s: float | None = None
    hysteresis_V: float | None = None
    only_in: Literal["", "rest", "galvanostatic", "potentiostatic"] = ""
    text: str = ""
    where: Where = Where()


# --------------------------------------------------------------------------------------------------------- protocol


class End(Frozen):
    """One way a step ends: time, voltage, charge or current. ``absolute``: abs(E). ``voltage_name``: which E."""

    kind: Literal["time", "voltage", "charge", "current"]
    quantity: Quantity
    absolute: bool = False
    voltage_name: str = "cell"
    where: Where = Where()


class Verb(StrEnum):
    """What a step does. ``charge``/``discharge`` only for full cells; ``galvanostatic``: signed current from a dictionary."""

    REST = "rest"
    CHARGE = "charge"
    DISCHARGE = "discharge"
    LITHIATE = "lithiate"
    DELITHIATE = "delithiate"
    SODIATE = "sodiate"
    DESODIATE = "desodiate"
    PLATE = "plate"
    STRIP = "strip"
    GALVANOSTATIC = "galvanostatic"
    POTENTIOSTATIC = "potentiostatic"


class WaitForNmr(Frozen):
    """The electrochemistry waits for the console here, and what the cell does meanwhile."""

    cell: Literal["at open circuit", "at last voltage", "keep current"]
    longest_s: float = 3600.0


class SampleRate(Frozen):
    """Sampling: ``first_Hz`` for the first ``first_s`` seconds, then ``then_Hz``."""

    then_Hz: float
    first_Hz: float | None = None
    first_s: float = 0.0


class Step(Frozen):
    """One electrochemical step. ``text``: as written (or the sentence that a dictionary stands for).

    ``set_where``: where its current or voltage stands.
    """

    kind: Literal["step"] = "step"
    text: str
    verb: Verb
    electrode: str | None = None
    current: Quantity | None = None
    voltage_V: float | None = None
    voltage_name: str = "cell"
    ends: tuple[End, ...] = ()
    name: str | None = None
    nmr: tuple[NmrTrigger, ...] = ()
    then: tuple[NmrTrigger, ...] = ()
    eis: Literal["at start", "at end"] | None = None
    wait_for_nmr: WaitForNmr | None = None
    stop_when: str | None = None
    sample: SampleRate | None = None
    if_no_short: str | None = None
    ttl: Literal["raise", "wait", "raise and wait"] | None = None
    where: Where = Where()
    set_where: Where = Where()


class AtOpenCircuit(Frozen):
    """``{name, at: open circuit, nmr: [...]}``: a list of acquisitions at open circuit; ends when all are stored."""

    kind: Literal["at open circuit"] = "at open circuit"
    name: str
    acquisitions: tuple[str, ...]
    if_no_short: str | None = None
    where: Where = Where()


class RepeatUntil(Frozen):
    """``discharge < 50 % of cycle 2``: leave the repeat when a step verb's charge falls below a part of another cycle's."""

    verb: Verb
    factor: float
    of_cycle: int
    side: Literal["below", "above"] = "below"
    text: str = ""
    where: Where = Where()


class Repeat(Frozen):
    """``{repeat: n, until: ..., steps: [...]}``."""

    kind: Literal["repeat"] = "repeat"
    times: int = Field(ge=1)
    until: RepeatUntil | None = None
    steps: tuple[ProtocolItem, ...]
    where: Where = Where()


class SetPoint(Frozen):
    """``{set: temperature, to_K: 298, settle_min: 20}``."""

    kind: Literal["set"] = "set"
    quantity: str
    to: Quantity
    settle_s: float = 0.0
    where: Where = Where()


class Prompt(Frozen):
    """``{prompt: TEXT, within_h: 12}``: a person does something and says so; later than that the protocol stands still."""

    kind: Literal["prompt"] = "prompt"
    text: str
    within_s: float | None = None
    where: Where = Where()


class Eis(Frozen):
    """``{eis: ...}`` as a step of its own."""

    kind: Literal["eis"] = "eis"
    settings: Mapping[str, Any] = Field(default_factory=dict)
    where: Where = Where()


ProtocolItem = Step | AtOpenCircuit | Repeat | SetPoint | Prompt | Eis


def items(protocol: Iterable[ProtocolItem]) -> Iterator[ProtocolItem]:
    """Every item of a protocol once, in file order, those inside repeats included."""
    for item in protocol:
        yield item
        if isinstance(item, Repeat):
            yield from items(item.steps)


# ------------------------------------------------------------------------------------------------------------ rules


class Action(Frozen):
    """One action of a rule, of ``prepare`` or of ``at_end``: a verb and its arguments; ``text`` as written."""

    verb: str
    arguments: Mapping[str, Any] = Field(default_factory=dict)
    text: str = ""
    where: Where = Where()


class Predicate(Frozen):
    """One comparison of an observable.

    ``observable``: a declared name (``short_ratio``, ``polarisation_ratio``, ``voltage``, ``area(metal)`` …), see
    ``orchestrator.model.observables``; ``absolute``: its absolute value counts. ``value`` in the observable's unit.
    ``reference``: what ``factor`` or ``n_sd`` refers to: ``of`` (blank, mean, step_start, same_half_cycle), ``cycles``
    (first, last), ``over`` (x as fractions). ``window_ppm``: of ``area`` and its like where no line is named.
    """

    observable: str
    absolute: bool = False
    test: Literal["above", "below", "slope above", "slope below"]
    value: float | None = None
    reference: Mapping[str, Any] | None = None
    window_ppm: tuple[float, float] | None = None
    text: str = ""
    where: Where = Where()


class Rule(Frozen):
    """What the program does by itself when something is seen. Shorthand sentences are already taken apart.

    ``armed_after`` as written; taken apart, the rule arms at whichever comes first: ``armed_after_s`` after the step's start,
    or, with ``armed_on_new_sign``, when E has the sign of the new current. ``extra``: track, after, record, amplifier_check.
    """

    name: str
    enabled: bool = True
    because: str = ""
    acquisition: str | None = None
    all_of: tuple[Predicate, ...] = ()
    any_of: tuple[Predicate, ...] = ()
    for_count: int = 1
    for_unit: Literal["samples", "spectra"] = "samples"
    times: int = 1
    confidence_SE: float | None = None
    not_after_edge_s: float = 0.0
    armed_after: str | None = None
    armed_after_s: float | None = None
    armed_on_new_sign: bool = False
    do: tuple[Action, ...] = ()
    extra: Mapping[str, Any] = Field(default_factory=dict)
    text: str = ""
    where: Where = Where()


class InterlockSetting(Frozen):
    """What an experiment says of one interlock (``model.interlocks``). ``on`` None: not said. ``numbers``: in the table's units."""

    name: str
    on: bool | None = None
    numbers: Mapping[str, float] = Field(default_factory=dict)
    do: tuple[Action, ...] | None = None
    because: str = ""
    where: Where = Where()


# ------------------------------------------------------------------------------------------------------- experiment


class Record(Frozen):
    """How densely electrochemistry is kept."""

    every_s: float = 1.0
    every_V: float | None = None


class BookingEnd(Frozen):
    """What happens when the booked magnet time ends."""

    nmr: str = "stop after this spectrum and hand console back"
    cell: Literal["continue", "finish half-cycle then open circuit", "open circuit"] = "open circuit"


class AtEnd(Frozen):
    """How the run leaves cell and console."""

    cell: str = "open circuit"
    nmr: tuple[str, ...] = ()
    label: str | None = None
    attach: tuple[str, ...] = ()


class Experiment(Frozen):
    """One experiment: what to do to which cell, what to measure when, and what must never happen."""

    version: Literal[1] = 1
    name: str
    cell: Cell
    limits: SafetyLimits
    prepare: tuple[Action, ...] = ()
    acquisitions: Mapping[str, Acquisition] = Field(default_factory=dict)
    protocol: tuple[ProtocolItem, ...]
    nmr: tuple[NmrTrigger, ...] = ()
    rules: tuple[Rule, ...] = ()
    interlocks: tuple[InterlockSetting, ...] = ()
    record: Record = Record()
    cut_offs: Literal["E", "E - I*R_lead"] = "E"
    """Which voltage the cut-offs of constant-current steps and the triggers mean; limits always mean what is measured."""
    busy: Literal["coalesce", "queue"] = "coalesce"
    missed: MissedPolicy = MissedPolicy()
    when_booking_ends: BookingEnd | None = None
    booking_ends: str | None = None
    when_run_dies: Literal["wait for a person", "resume"] = "wait for a person"
    """Of a run that the queue has started: does its daemon continue it without a person, after a crash or a power cut?"""
    at_end: AtEnd = AtEnd()
    budget: Mapping[str, Any] | None = None
    after_short: Mapping[str, str] | None = None
    rig: str | None = None
    validation: Validation | None = None
    """``validate:``, which ``run`` ignores."""
    source: str = ""
    """The YAML text, verbatim."""
    file: str = ""
    """The file it was read from; ``rig`` and ``history`` are relative to its folder."""
    places: Mapping[str, Where] = Field(default_factory=dict)
    """Where each top-level key was written."""


Repeat.model_rebuild()


# -------------------------------------------------------------------------------------------------------------- rig


IN_MEMORY = "memory"
"""The address of instruments that are simulated inside the rig's own process."""


class Instrument(Frozen):
    """One instrument of the rig: its driver, address, expected identity, and further keys its driver documents."""

    driver: str
    address: str
    identity: str = ""
    unlock: Mapping[str, Any] = Field(default_factory=dict)
    options: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def in_memory(self) -> bool:
        """Is it simulated inside the rig's own process, and ends with it?"""
        return self.address == IN_MEMORY


class NucleusSetup(Frozen):
    """What this station must do to measure a nucleus."""

    tuner_preset: str = ""
    manual: bool = False
    retune_every: int | None = None
    retune_above_dB: float | None = None


class Leads(Frozen):
    """What lies between the instrument and the cell, in series: the leads, and a low-pass filter where they enter the magnet."""

    lead_ohm: float = 0.0
    filter_ohm: float = 0.0

    @property
    def ohm(self) -> float:
        """All of it."""
        return self.lead_ohm + self.filter_ohm


class StationSetup(Frozen):
    """One channel, one console, tuner and sensors. ``leads``: None where the rig says nothing of them."""

    potentiostat: str
    console: str
    tuner: str | None = None
    sensors: tuple[str, ...] = ()
    nuclei: Mapping[str, NucleusSetup] = Field(default_factory=dict)
    leads: Leads | None = None


class Template(Frozen):
    """The site's own acquisition template. Pulse and power belong to it.

    ``dataset``: a vendor's data set to clone. ``series``: its kind (``model.kinds``): which sequence it runs, what it sweeps, its
    limits; without a data set the console makes it from the parameters (simulation, VnmrJ, MaRCoS). ``phase_cycle``: of the site's
    own pulse program, in place of its kind's.
    """

    nucleus: str
    dataset: str | None = None
    series: str | None = None
    phase_cycle: int | None = None
    parameters: Mapping[str, Any] = Field(default_factory=dict)


class Rig(Frozen):
    """The instruments of one rig file and its stations. ``twin``: physics file for emulated instruments."""

    version: Literal[1] = 1
    name: str
    zone: str = "UTC"
    data_root: str | None = None
    mirror_to: str | None = None
    status_to: str | None = None
    broker: Broker | None = None
    instruments: Mapping[str, Instrument]
    stations: Mapping[str, StationSetup]
    templates: Mapping[str, Template] = Field(default_factory=dict)
    references: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)
    fence: Mapping[str, Any] | None = None
    notify: tuple[Mapping[str, Any], ...] = ()
    by_hand: Mapping[str, str] = Field(default_factory=dict)
    """What a manual acquisition says (``manual:``) → the template by which this rig's console makes it without anybody's hand."""
    twin: str | None = None
    source: str = ""
    file: str = ""
    """The file it was read from; ``twin`` is relative to its folder."""
