"""What stands in the messages: flat JSON, units in the keys. ``python docs/generate.py`` makes the published schemas of these models.

A key whose value is not known is left out. ``…_s`` and ``…_utc`` of one name are the same instant, as seconds since 1970 and as
ISO 8601. Instants are of the run's clock, which in a simulated run is not the clock on the wall, except those that say so.
A consumer must take keys that it does not know: a later version may add some, and never changes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

ID = r"^[A-Za-z0-9._-]{1,64}$"
LONGEST_AHEAD_s = 60.0
"""A command's ``not_after_s`` may lie so far ahead at most."""
HEARTBEAT_s = 10.0
"""``state`` comes again so often at the latest; after three times as long without it a reader says `stale`."""

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


def utc(seconds: float) -> str:
    """An instant as people and programs read it: ``2026-11-21T22:00:00.000Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Message(BaseModel):
    """A flat JSON object; ``encoded`` leaves out what is not known."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    def encoded(self) -> bytes:
        """The payload."""
        return self.model_dump_json(exclude_none=True).encode()


class OfRun(Message):
    """What says which run a message is of. A reader drops messages of another run than that of ``state``."""

    run_id: str = Field(description="names the run for ever")
    run: str = Field(description="name of the run folder")


class At(OfRun):
    """Something at one instant."""

    time_s: float = Field(description="seconds since 1970, by the run's clock")
    time_utc: str
    t_s: float = Field(description="seconds since the run began")


class State(At):
    """What the rig is doing now, retained."""

    rig: str
    station: str = ""
    name: str = Field("", description="the experiment's name")
    cell: str = Field("", description="the cell's name")
    zone: str = Field("UTC", description="time zone of the rig, for clocks that are shown")
    simulated: bool = False
    speed: float = Field(1.0, description="so many times as fast as the clock on the wall; 1 for everything real")
    cannot: str = Field("", description="what this program cannot do in this run, in words; empty: nothing")
    driven: bool = Field(True, description="false where somebody else runs the cell, and this program watches or follows it")
    state: str = Field(description="queued, preparing, running, paused, finishing, finished, aborting, aborted or failed")
    why: str = Field("", description="why it is in this state")
    rig_alive: bool = Field(description="false: the rig's process is gone without its end; its guard has the cell")
    outcome: str | None = Field(None, description="of a run that has ended: `as planned` or `ended early`")
    reason: str | None = Field(None, description="of a run that has ended: why")
    complete: bool | None = None
    cell_state: str = Field("unknown", description="on (under current), off (open circuit) or unknown")
    cell_paused: bool = Field(False, description="a person, a rule or the program holds the next step back")
    nmr_paused: bool = Field(False, description="a person has paused acquisitions")
    step_key: str | None = None
    step_index: int | None = Field(None, description="counted from 0; -1 before the protocol")
    steps: int = Field(0, description="how many the plan has")
    step_text: str | None = None
    step_mode: str | None = None
    step_s: float | None = Field(None, description="how long the step has run")
    cycle: int | None = None
    voltage_V: float | None = None
    current_A: float | None = Field(None, description="positive = oxidation at the working electrode")
    charge_step_C: float | None = None
    charge_net_C: float | None = None
    x: float | None = Field(None, description="composition, where the cell says how to count it")
    acquisition: str | None = Field(None, description="the acquisition that is measured, or was last")
    acquisition_key: str | None = None
    acquisition_state: str | None = Field(None, description="requested, armed, acquiring, acquired, filed, stored, verified, missed, …")
    acquisition_s: float | None = Field(None, description="how long it has been measuring")
    acquisition_expected_s: float | None = None
    spectra_stored: int = 0
    spectra_missed: int = 0
    spectra_rejected: int = 0
    spectra_lost: int = 0
    last_spectrum_s: float | None = None
    last_spectrum_utc: str | None = None
    elapsed_s: float = 0.0
    expected_s: float = Field(0.0, description="what the plan expects the whole run to last")
    progress: Fraction = 0.0
    ends_s: float | None = Field(None, description="when the plan expects the end")
    ends_utc: str | None = None
    booking_end_utc: str | None = None
    alarms: int = Field(0, description="how many stand")
    worst_level: str | None = Field(None, description="info, warn, alarm or critical")
    worst_title: str | None = None
    journal_seq: int = Field(description="up to which event of the journal this reaches")
    heartbeat_s: float = HEARTBEAT_s
    heard_s: float = Field(description="clock on the wall: when the rig last wrote something")
    heard_utc: str
    published_s: float = Field(description="clock on the wall: when this was sent")
    published_utc: str


class Sample(At):
    """The newest sample of the cell."""

    seq: int
    step_key: str
    step_index: int
    cycle: int
    voltage_V: float | None = None
    current_A: float | None = None
    charge_step_C: float | None = None
    charge_net_C: float | None = None
    charge_throughput_C: float | None = None
    voltage_we_V: float | None = None
    voltage_ce_V: float | None = None
    x: float | None = None


class SensorValue(At):
    """The newest value of a sensor, retained."""

    sensor: str
    value: float | None = None
    unit: str


class Spectrum(At):
    """The newest spectrum of an acquisition, retained; its picture is in ``view/row``. ``time_s`` is the middle of it."""

    acquisition: str
    level: str = Field(description="the acquisition's level in topics")
    key: str
    index: int = Field(description="counted from 0 for each acquisition")
    nucleus: str
    scans: int
    partial: bool = False
    snr: float | None = Field(None, description="highest point over the standard deviation of the noise")
    peak_ppm: float | None = Field(None, description="where the highest point is")
    intensity: float | None = Field(None, description="of the highest point")
    noise: float | None = Field(None, description="standard deviation, in the unit of the intensity")
    voltage_V: float | None = Field(None, description="cell voltage when it was stored")
    cycle: int | None = None
    fid_points: int | None = Field(None, description="complex points of the FID, before zero-filling to a power of two")
    spectral_width_Hz: float | None = None
    carrier_MHz: float | None = None
    reference_MHz: float | None = Field(None, description="what lies at 0 ppm")
    reversed_axis: bool = Field(False, description="the FID turns the other way round")
    broadening_Hz: float | None = Field(None, description="exponential window exp(-π broadening t)")
    ph0_deg: float | None = Field(None, description="phase that was taken off, at 0 ppm")
    ph1_deg_per_ppm: float | None = Field(None, description="and by how much more a ppm")


class Image(At):
    """The newest image of an acquisition, retained; its pixels are in ``view/image``, its T2 in ``view/map``. ``time_s``: its middle."""

    acquisition: str
    level: str = Field(description="the acquisition's level in topics")
    key: str
    index: int = Field(description="counted from 0 for each acquisition, an echo time of a series each")
    nucleus: str
    scans: int
    rows: int = Field(description="pixels along the phase encoding")
    columns: int = Field(description="pixels along the read direction")
    echo_ms: float | None = None
    voltage_V: float | None = None
    cycle: int | None = None


class FittedLine(At):
    """A line as fitted to a spectrum, retained: of the newest where ``key`` is that of its ``Spectrum``.

    Its FID is amplitude · exp(i phase + 2πi ν t - π lorentz t - (π gauss t)² / (4 ln 2)), of one scan.
    """

    SHAPE: ClassVar[frozenset[str]] = frozenset({"phase_deg", "shift_ppm", "lorentz_Hz", "gauss_Hz"})

    name: str
    level: str = Field(description="the acquisition's level in topics")
    key: str = Field(description="the acquisition that it was fitted in")
    amplitude: float = Field(description="of the FID at time zero; the line's area")
    amplitude_sd: float | None = None
    phase_deg: float = Field(description="of the FID at time zero, nothing taken off")
    phase_sd_deg: float | None = None
    shift_ppm: float
    shift_sd_ppm: float | None = None
    lorentz_Hz: float = Field(description="full width at half height of the Lorentzian part")
    lorentz_sd_Hz: float | None = None
    gauss_Hz: float = Field(description="and of the Gaussian part")
    gauss_sd_Hz: float | None = None


class Observable(At):
    """The newest value of an observable, retained."""

    name: str
    value: float | None = None
    error: float | None = None
    unit: str = ""
    key: str | None = Field(None, description="the acquisition that it was seen in")
    source: str


class Alarm(At):
    """An alarm that stands, retained. ``time_s`` is when it was raised."""

    id: str
    seq: int
    level: str = Field(description="info, warn, alarm or critical")
    title: str
    text: str
    advice: str = ""
    acknowledged: bool = False
    acknowledged_by: str | None = None


class Event(At):
    """One event of the journal. The only message with a table in it: ``data``, as the journal has it, less what is long."""

    seq: int
    previous_seq: int = Field(description="seq of the event that was sent before this one (0: none): who has not seen it has missed one")
    kind: str
    source: str
    cause: int | None = None
    text: str = Field(description="for people, one line")
    data: Mapping[str, Any] = Field(default_factory=dict)


class Axis(OfRun):
    """The axis of an acquisition's rows: ``points`` equal steps from ``first_ppm`` down to ``last_ppm``, retained.

    A row of more points, as the newest is, shows the same from edge to edge: half a step beyond the first and the last.
    """

    acquisition: str
    level: str
    nucleus: str
    points: int
    first_ppm: float
    last_ppm: float


class Command(BaseModel):
    """What a person wants; the topic says who and which verb. A key that the verb does not take is refused.

    MQTT 3.1.1 has neither expiry nor reply topic, so both are here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    id: str = Field(pattern=ID, description="made up by the sender; the same id twice is once")
    not_after_s: float = Field(description="clock on the wall, seconds since 1970: refused later; at most 60 s ahead")
    reply_to: str = Field("", description="`operando/v1/<rig>/reply/<user>/<client>`, of the same user; empty: no answer is sent")
    if_state: str | None = Field(None, description="refused in any other state of the run")
    reason: str = Field("", max_length=500)
    who: str = Field("", max_length=100, description="the person, where the user is a program that serves several")
    name: str | None = Field(None, description="acquire: which acquisition")
    every_s: float | None = Field(None, gt=0, description="acquire: again and again")
    now: bool | None = Field(None, description="pause-cell: open circuit at once")
    after_step: bool | None = Field(None, description="stop: let the running step end first")
    alarm: str | None = Field(None, description="acknowledge: the alarm's id")
    text: str | None = Field(None, max_length=2000, description="note: what is written into the run")

    def arguments(self) -> dict[str, Any]:
        """What the verb is given."""
        names = ("name", "every_s", "now", "after_step", "alarm", "text")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class Reply(Message):
    """What became of a command. An answer is the only proof that it was heard; say `no answer` after 3 s without one."""

    id: str
    verb: str
    ok: bool
    duplicate: bool = Field(False, description="this id was answered before; nothing was done a second time")
    text: str = Field(description="for people: what the cell does now, or why not")
    state: str | None = None
    cell_state: str | None = None
    answered_s: float = Field(description="clock on the wall")
    answered_utc: str


MODELS: tuple[type[BaseModel], ...] = (
    State, Sample, SensorValue, Spectrum, Image, FittedLine, Observable, Event, Alarm, Axis, Command, Reply,
)  # fmt: skip
