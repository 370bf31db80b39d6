"""What people write under ``rules``, key by key."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from orchestrator.config.shapes import (
    STRING,
    NotNegative,
    NumberOrText,
    OneOrMoreActions,
    Pair,
    Positive,
    WhenSentence,
    either,
    sentence,
)
from orchestrator.config.written import Written


class WrittenOver(Written):
    """Over which spectra a reference is taken."""

    x: Pair


class WrittenReference(Written):
    """What a rule compares with."""

    of: Literal["blank", "mean", "step_start", "same_half_cycle"]
    cycles: Annotated[list[int], Field(min_length=2, max_length=2)] | None = None
    factor: float | None = None
    n_sd: Positive | None = None
    over: WrittenOver | None = None


class WrittenPredicate(Written):
    """One comparison as a table."""

    observable: str
    above: NumberOrText | None = None
    below: NumberOrText | None = None
    slope: Annotated[Any, either({"enum": ["above", "below"]}, STRING)] = None
    value: NumberOrText | None = None
    reference: WrittenReference | None = None


class WrittenWhen(WrittenPredicate):
    """A comparison, and how often and when it counts."""

    for_: str | None = Field(None, alias="for")
    times: Annotated[int, Field(ge=1)] | None = None
    confidence_SE: Positive | None = None
    not_after_edge_s: NotNegative | None = None
    armed_after: str | None = None
    while_: WhenSentence | None = Field(None, alias="while", description="what must hold besides: `I > 0`, `E < 3.4 V`")


class WrittenRule(Written):
    """What the program does by itself when something is seen."""

    name: str
    enabled: bool = True
    because: str = ""
    acquisition: str | None = None
    when: Annotated[Any, either(STRING, {"$ref": "#/$defs/WrittenWhen"})] = None
    and_: WhenSentence | None = Field(None, alias="and")
    while_: WhenSentence | None = Field(None, alias="while", description="what must hold besides, also beside `any`: `I > 0`, `E < 3.4 V`")
    all: Annotated[list[Any], Field(min_length=1)] | None = None
    any: Annotated[list[Any], Field(min_length=1)] | None = None
    for_: Annotated[str, sentence(r"^\s*\d+ (samples?|spectra|spectrum)\s*$", "3 samples", "3 spectra")] | None = Field(None, alias="for")
    times: Annotated[int, Field(ge=1)] | None = None
    confidence: Annotated[str, sentence(r"^.*SE\s*$", "2 SE")] | None = None
    confidence_SE: Positive | None = None
    not_after_edge_s: NotNegative | None = None
    armed_after: Annotated[str, sentence(r"^\S.*$", "E has the new sign or 5 s", "10 s")] | None = None
    do: OneOrMoreActions = None
    track: Annotated[str, sentence(r"^.*ppm in .*$", "strongest line 40..1100 ppm in metal")] | None = None
    after: Literal["subtract blank"] | None = None
    record: list[Literal["shift", "width", "area", "phase"]] | None = None
    amplifier_check: Literal["noise level and reflected power only", "noise level", "reflected power only", "off"] | None = None
