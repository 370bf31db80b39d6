"""What is done to the cell: ordered steps and how each ends, repeats, set points, prompts, impedance.

Quantities keep the unit kind they were written in (a C-rate stays a C-rate until ``plan`` knows the cell).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from orchestrator.model.acquisition import NmrTrigger
from orchestrator.model.units import Quantity
from orchestrator.model.values import Frozen, Where


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


Repeat.model_rebuild()
