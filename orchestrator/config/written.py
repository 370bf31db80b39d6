"""What people write, key by key, before any sentence is read: pydantic models of the YAML tables.

They refuse unknown keys, check types and ranges, and are what the JSON schemas are made of.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.config.shapes import (
    AT_EDGE,
    NUMBER,
    STRING,
    STRINGS,
    UNTIL_KNOWN,
    ElectrodeText,
    EndSentence,
    HostLost,
    Name,
    NotNegative,
    NumberOrText,
    Pair,
    Positive,
    PrepareSentence,
    StepSentence,
    Triggers,
    WaitSentence,
    either,
    sentence,
)


class Written(BaseModel):
    """A table of a YAML file."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)


# ------------------------------------------------------------------------------------------------------- cell, limits


class WrittenSalt(Written):
    """The salt between the electrodes; with ``area_cm2`` it gives the limiting current and Sand's time."""

    diffusion_cm2_per_s: Positive = Field(description="of the salt between the electrodes, separator included")
    mol_per_L: Positive
    t_plus: Annotated[float, Field(ge=0, lt=1)] = Field(description="the cation's transference number")
    gap_mm: Positive = Field(description="between the two electrodes")


class WrittenFoil(Written):
    """A weighed foil of the same metal in the same coil with the same pulse: it makes the areas of ``acquisition`` absolute."""

    mass_mg: Positive
    area: Positive = Field(description="its area as a report of its own run tells it: amplitude of one scan's FID at time zero")
    area_sd: NotNegative = 0.0
    acquisition: Name = Field(description="the acquisition of this experiment that has the same template")
    thickness_um: Positive | None = Field(None, description="of a foil thicker than the skin depth: then only its two skins were seen")


class WrittenCell(Written):
    """A cell record: what is in the magnet. Never physics: the twin's physics is its own file."""

    version: Literal[1] = 1
    id: Name = Field(description="the cell's name; it outlives runs")
    type: Literal["full", "half", "symmetric", "sample"] = Field(
        description="full | half | symmetric: it decides which verbs make sense; sample: ex situ, no current ever"
    )
    working: str = Field(description="positive current is oxidation at this electrode; of a sample, what holds it")
    counter: str | None = None
    reference: str | None = Field(
        None, description="the third electrode, which carries no current: `Li wire`; E_we and E_ce are against it"
    )
    positive: ElectrodeText | None = None
    negative: ElectrodeText | None = None
    electrolyte: str | None = None
    area_cm2: Positive | None = None
    mass_mg: Positive | None = None
    capacity_mAh: Positive | None = None
    C_rate_of: str | None = Field(None, description="the electrode whose capacity C-rates and percentages refer to")
    x_is: str | None = Field(None, description="what x counts: `Na in hard carbon`")
    x_now: NumberOrText | None = Field(None, description="x when the run begins: `0.06 Li in graphite`")
    electrode_normal_to_B0_deg: Annotated[float, Field(ge=0, le=180)] | None = Field(
        None, description="angle between the electrode's normal and B0; the shift of a metal line depends on it"
    )
    lead_ohm: NotNegative = 0.0
    stack_pressure_MPa: NotNegative | None = None
    fixed_in_probe: bool = False
    environments: list[str] = Field(default_factory=list, description="the windows it has: `[metal, electrolyte]`")
    composition: str | None = Field(None, description="of an ex situ sample: what it is and how it was made")
    rotor_mm: Positive | None = Field(None, description="outer diameter of the rotor")
    spinning_kHz: NotNegative | None = Field(None, description="set by hand at the spinning controller; the program does not drive it")
    temperature_K: Positive | None = None
    salt: WrittenSalt | None = Field(None, description="what the limiting current and Sand's time are computed from")
    foil: WrittenFoil | None = Field(None, description="a weighed foil: areas in mg")
    history: str | None = Field(None, description="file of what the cell did before")


class WrittenLimits(Written):
    """What no step may pass: both voltage sides, current, charge per step, and what happens when the host dies."""

    E_V: Pair | None = Field(None, description="[lower, upper] of the cell voltage")
    abs_E_V: Positive | None = None
    E_we_V: Pair | None = Field(None, description="[lower, upper] of the working electrode against the reference; E_ce_V of the counter")
    abs_E_we_V: Positive | None = None
    E_ce_V: Pair | None = None
    abs_E_ce_V: Positive | None = None
    abs_I_A: Positive | None = None
    abs_I_mA: Positive | None = None
    abs_I_uA: Positive | None = None
    charge_per_step_mAh: Positive | None = None
    charge_per_step_mAh_cm2: Positive | None = None
    host_lost: HostLost = Field(description="`open circuit within 60 s` or `finish step on device`")
    lower_E_armed_once_above_V: float | None = None


# ------------------------------------------------------------------------------------------------------- acquisitions


EdgeSentence = Annotated[str, sentence(AT_EDGE.replace("?P<time>", "").replace("?P<unit>", ""), "at trigger edge within 2 hours")]
UntilSentence = Annotated[
    str,
    sentence(
        UNTIL_KNOWN.replace("?P<line>", "").replace("?P<error>", "").replace("?P<scans>", "").replace("?P<charge>", ""),
        "area of moss is known to 2 %, at most 1024 scans or 0.2 % of capacity",
    ),
]


class WrittenAcquisition(Written):
    """One NMR measurement with the site's own template."""

    template: Name = Field(description="a template of the rig file; pulse and power belong to it")
    scans: Annotated[int, Field(ge=1)] = Field(1, description="a multiple of the phase cycle")
    any_scans: bool = Field(False, description="true: `scans` may break the phase cycle; `check` then only warns")
    dummies: Annotated[int, Field(ge=0)] = 0
    recycle_s: Positive = Field(1.0, description="D1; repetition = recycle_s + acquisition time")
    until: WrittenUntilSeen | UntilSentence | None = None
    start: EdgeSentence | None = Field(
        None, description="its trigger arms it; an edge on the console's trigger input begins it: the site's own sequence waits for one"
    )
    subtract: Literal["blank"] | None = None
    TE_ms: list[Positive] | None = None
    tau_ms: list[Positive] | None = None
    pulse_us: list[Positive] | None = None
    gradient_percent: list[float] | None = None
    carrier_ppm: list[float] | None = None
    mixing_ms: list[Positive] | None = None
    repeat_first: bool = False


class WrittenUntilSeen(Written):
    """Scans until an observable is known well enough."""

    observable: str
    error_percent: Positive
    scans_max: Annotated[int, Field(ge=1)]
    charge_percent: Positive | None = None


class WrittenManual(Written):
    """A person, or another program, measures."""

    manual: str
    watch_folder: str | None = None
    minutes: Positive | None = None
    TE_ms: list[Positive] | None = None
    repeat_first: bool = False


class WrittenInterleave(Written):
    """Other acquisitions in turn, with weights."""

    of: Annotated[Any, either({"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}, "minProperties": 2}, STRINGS)]
    retune_between: bool = False
    retune: Annotated[str, sentence(r"^\s*[Ee]very \d+ pairs?\s*$", "every 10 pairs")] | None = None


# ----------------------------------------------------------------------------------------------------------- protocol


class WrittenEnds(Written):
    """How a step given as a table ends: whichever comes first."""

    voltage_V: float | None = None
    voltage_mV: float | None = None
    voltage_we_V: float | None = None
    voltage_ce_V: float | None = None
    abs_voltage_V: Positive | None = None
    abs_voltage_mV: Positive | None = None
    time_s: Positive | None = None
    time_min: Positive | None = None
    time_h: Positive | None = None
    charge_mAh: Positive | None = None
    charge_mAh_cm2: Positive | None = None
    charge_percent: Positive | None = None
    current_A: Positive | None = None
    current_mA: Positive | None = None
    current_uA: Positive | None = None
    current_mA_cm2: Positive | None = None
    C_rate: Positive | None = None


class WrittenStepKeys(Written):
    """What may be said of any step."""

    name: str | None = None
    nmr: Triggers | None = None
    then: Triggers | None = None
    eis: Literal["at start", "at end"] | None = None
    wait_for_nmr: WaitSentence | None = None
    stop_when: str | None = Field(None, description="the name of a rule")
    sample_Hz: Annotated[Any, either(NUMBER, {"type": "object", "additionalProperties": NUMBER, "minProperties": 1})] = None
    if_no_short: Literal["ask a person", "continue", "stop"] | None = None
    ttl: Literal["raise", "wait", "raise and wait"] | None = Field(
        None, description="the potentiostat's line at the step's start: raise it, wait for the console's, or both"
    )


class WrittenStep(WrittenStepKeys):
    """A step as a sentence, with what else is said of it."""

    step: StepSentence


class WrittenQuantityStep(WrittenStepKeys):
    """A step as a table with units in the keys; positive current is oxidation at the working electrode."""

    current_A: float | None = None
    current_mA: float | None = None
    current_uA: float | None = None
    current_A_cm2: float | None = None
    current_mA_cm2: float | None = None
    current_uA_cm2: float | None = None
    C_rate: float | None = None
    voltage_V: float | None = None
    voltage_mV: float | None = None
    rest_s: Positive | None = None
    rest_min: Positive | None = None
    rest_h: Positive | None = None
    until: WrittenEnds | None = None


class WrittenRepeat(Written):
    """Steps again and again."""

    repeat: Annotated[int, Field(ge=1)]
    until: Annotated[str, sentence(r"^.*[<>].* of cycle \d+\s*$", "discharge < 50 % of cycle 2")] | None = None
    steps: list[Any] = Field(min_length=1)


class WrittenAtOpenCircuit(Written):
    """Acquisitions at open circuit, one after the other."""

    name: str
    at: Literal["open circuit"]
    nmr: list[str] = Field(min_length=1)
    if_no_short: Literal["ask a person", "continue", "stop"] | None = None


class WrittenSetPoint(Written):
    """A set point, and how long it settles."""

    set: str
    to_K: Positive | None = None
    to_degC: float | None = None
    settle_s: NotNegative | None = None
    settle_min: NotNegative | None = None


class WrittenPrompt(Written):
    """A person does something and says so."""

    prompt: str
    within_h: Positive | None = Field(None, description="later than that it becomes an alarm, and the protocol stands still")


class WrittenEisSettings(Written):
    """One impedance spectrum."""

    frequency_Hz: Pair | None = None
    points: Annotated[int, Field(ge=1)] | None = None
    amplitude_mA: Positive | None = None
    amplitude_mV: Positive | None = None


class WrittenEis(Written):
    """An impedance spectrum as a step of its own."""

    eis: WrittenEisSettings
    name: str | None = None


# --------------------------------------------------------------------------------------------------------- experiment


class WrittenRecord(Written):
    """How densely electrochemistry is kept."""

    every_s: Positive = 1.0
    every_V: Positive | None = None


class WrittenBooking(Written):
    """What happens when the booked magnet time ends."""

    nmr: Literal["stop after this spectrum and hand console back", "continue"] = "stop after this spectrum and hand console back"
    cell: Literal["continue", "finish half-cycle then open circuit", "open circuit"] = "open circuit"


class WrittenAtEnd(Written):
    """How the run leaves cell and console."""

    cell: Annotated[str, sentence(r"^\s*[Oo]pen circuit.*$", "open circuit", "open circuit after discharge")] = "open circuit"
    nmr: list[EndSentence] = Field(default_factory=list)
    label: str | None = None
    attach: list[str] = Field(default_factory=list)


class WrittenBudget(Written):
    """Where the lithium is, cycle by cycle."""

    metal_ppm: Pair
    mol_per_area_from: Annotated[str, sentence(r"^stripping in cycles? .*$", "stripping in cycles 2-4")]
    dead: Literal["end of discharge", "end of strip"] = Field(
        "end of discharge", description="when all was stripped that can be: before, dead metal and what can still be stripped are one line"
    )
    sei: Literal["charge - discharge - dead"] = "charge - discharge - dead"


class WrittenAfterShort(Written):
    """What holds after a short."""

    current: Literal["never again in this run", "as planned"] = "never again in this run"
    cell: Literal["do not move"] | None = None


ROW = r"^([OPQR][0-9]{1,2}b?)$"


class WrittenVariant(Written):
    """One run of ``validate:``; it may replace keys of the file and of its twin."""

    instead: dict[str, Any] = Field(default_factory=dict, description="top-level keys of this file that are replaced")
    twin_with: dict[str, Any] = Field(default_factory=dict, description="`a.b.c: value`: keys of the twin that are replaced")


class WrittenComparison(Written):
    """One published number."""

    row: Annotated[str, Field(pattern=ROW)] = Field(description="of the literature's table: O1, R5, Q12, P16")
    quantity: str = Field(description="what is compared")
    unit: str = ""
    published: Annotated[
        float | Annotated[list[float | None], Field(min_length=2, max_length=2)],
        either(NUMBER, {"type": "array", "minItems": 2, "maxItems": 2}),
    ] = Field(description="a number, or [low, high], either of them null")
    tolerance: NotNegative = 0.0
    source: str = Field(description="who published it, and where the tolerance comes from")
    consistency: bool = Field(
        False, description="the number stands in the twin's own file: found again, it is no evidence of more than the chain"
    )
    note: str = Field("", description="what a reader must know first, such as a bound or a window chosen after a run had been seen")
    measure: dict[str, Any] = Field(description="how it is found in run.h5")


class WrittenValidation(Written):
    """What `operando validate` compares; `run` ignores it."""

    twin: str = Field(description="the simulated cell, relative to this file")
    rig: str = Field("../rigs/memory.yaml", description="the simulated rig, relative to this file")
    seed: int = 1
    instead: dict[str, Any] = Field(default_factory=dict, description="top-level keys of this file that are replaced, to be quick")
    shortened: str = Field("", description="what of the whole `instead` leaves; a note of every row, and not with `--full`")
    twin_with: dict[str, Any] = Field(default_factory=dict, description="`a.b.c: value`: keys of the twin that are replaced")
    runs: dict[str, WrittenVariant] = Field(default_factory=dict, description="several runs by name, instead of one")
    compare: list[WrittenComparison] = Field(min_length=1)


class WrittenExperiment(Written):
    """An experiment: what to do to which cell, what to measure when, and what must never happen."""

    version: Literal[1] = 1
    experiment: Name = Field(description="the experiment's name; the run folder carries it")
    rig: str | None = Field(None, description="the rig file, relative to this one")
    cell: Any = Field(description="a cell record, or the id of one")
    limits: WrittenLimits = Field(description="what no step may pass; without limits nothing starts")
    prepare: list[PrepareSentence] = Field(default_factory=list)
    acquisitions: dict[str, Any] = Field(default_factory=dict)
    protocol: list[Any] = Field(min_length=1, description="the steps")
    nmr: Triggers | None = Field(None, description="triggers in every step")
    rules: list[Any] = Field(default_factory=list)
    windows: dict[Name, Pair] = Field(
        default_factory=dict,
        description="in ppm, for the live analysis, instead of the built-in window of that name or beside: {SEI: [-20, 20]}",
    )
    interlocks: dict[str, Any] | None = Field(None, description="built-in interlocks by name: on, off, or other numbers")
    record: WrittenRecord | None = None
    cut_offs: Literal["E", "E - I*R_lead"] = Field(
        "E", description="the voltage that cut-offs of constant-current steps and triggers mean; limits always mean E as measured"
    )
    busy: Literal["coalesce", "queue"] = "coalesce"
    missed_acquisition: Annotated[Any, either(STRING, {"type": "object", "additionalProperties": STRING})] = None
    when_booking_ends: WrittenBooking | None = None
    booking_ends: str | None = Field(None, description="UTC, or local time with its zone")
    when_run_dies: Literal["wait for a person", "resume"] = Field(
        "wait for a person", description="a queued run whose rig died: `resume` continues it without a person"
    )
    at_end: WrittenAtEnd | None = None
    budget: WrittenBudget | None = None
    after_short: WrittenAfterShort | None = None
    validation: WrittenValidation | None = Field(None, alias="validate", description="what `operando validate` compares; `run` ignores it")
