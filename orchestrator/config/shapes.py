"""Sentences as editors see them: JSON schema types with a pattern and examples. The grammar itself judges in ``config.phrases``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

STRING: dict[str, Any] = {"type": "string"}
NUMBER: dict[str, Any] = {"type": "number"}


UNTIL_KNOWN = (
    r"^\s*(?:[Tt]he )?area of (?P<line>[\w-]+) (?:is )?known to (?P<error>\d+(?:\.\d+)?) ?%,? at most (?P<scans>\d+) scans"
    r"(?: or (?P<charge>\d+(?:\.\d+)?) ?% of capacity)?\s*$"
)
"""When an acquisition may stop before its last scan."""
AT_EDGE = r"^\s*at (?:the )?(?:next )?trigger edge within (?P<time>\d+(?:\.\d+)?) ?(?P<unit>s|min|h|seconds?|minutes?|hours?)\s*$"
"""That an edge on the console's trigger input decides when an acquisition begins, and how long it is waited for."""


def sentence(pattern: str, *examples: str) -> Any:
    """A string with a pattern and examples."""
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


def either(*schemas: dict[str, Any]) -> Any:
    """One of several forms."""
    return WithJsonSchema({"anyOf": list(schemas)})


def one_or_more(schema: dict[str, Any]) -> dict[str, Any]:
    """One, or a list."""
    return {"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}]}


TRIGGER: dict[str, Any] = {
    "type": "string",
    "pattern": r"^\s*([Aa]t (start|end|x|each|knee)|[Ee]very|[Cc]ontinuously|\d+ times?|[Ll]og-spaced|[Oo]n demand)\b.*$",
    "examples": [
        "at start",
        "at end after 5 s",
        "every 5 minutes",
        "every 1 %",
        "every 0.01 mAh/cm2",
        "every 10 mV with hysteresis 2 mV",
        "every 2 % below 80 %",
        "continuously above 80 %",
        "5 times",
        "20 times from start",
        "log-spaced 12 min to 12 h, 16 points",
        "at x 0, 0.25, 0.5",
        "on demand",
    ],
}
TRIGGERS = {"type": "object", "additionalProperties": one_or_more(TRIGGER), "minProperties": 1}
STRINGS: dict[str, Any] = {"type": "array", "items": STRING, "minItems": 1}
ACTION: dict[str, Any] = {
    "type": "string",
    "pattern": r"^\S.*$",
    "examples": [
        "record",
        "mark x and E",
        "tag",
        "flag budget",
        "info",
        "warn",
        "alarm",
        "critical",
        "acquire quant every 10 minutes",
        "eis",
        "retune",
        "change acquisition burst",
        "pause nmr",
        "end step",
        "skip to step after",
        "open circuit",
        "hold at 3 V until C/50",
        "stop",
        "abort",
    ],
}

StepSentence = Annotated[
    str,
    sentence(
        r"^\s*([Rr]est|[Cc]harge|[Dd]ischarge|[Ll]ithiate|[Dd]elithiate|[Ss]odiate|[Dd]esodiate|[Pp]late|[Ss]trip|[Gg]alvanostatic|[Pp]otentiostatic|[Hh]old)\b.*$",
        "Rest for 30 minutes",
        "Charge at C/10 until 3.8 V or 11 hours",
        "Plate working at 0.5 mA/cm2 until 1 mAh/cm2 or abs(E) 0.4 V",
        "Potentiostatic at 0.005 V until C/100 or 3 hours",
    ),
]
Triggers = Annotated[Any, WithJsonSchema(TRIGGERS)]
PrepareSentence = Annotated[
    Any,
    sentence(
        r"^\S.*$",
        "ocv -5..5 mV for 10 minutes",
        "polarity +20 uA for 30 s must raise E",
        "tune",
        "tune at 560 ppm",
        "pulse on reference",
        "gain with 3x headroom then frozen",
        "gain frozen",
        "reference 7Li_LiCl_aq",
        "noise",
        "blank",
        "eis",
        "quant",
    ),
]
EndSentence = Annotated[Any, sentence(r"^\S.*$", "quant", "reference 7Li_LiCl_aq")]
OneOrMoreActions = Annotated[Any, WithJsonSchema(one_or_more(ACTION))]
WHEN: dict[str, Any] = {
    "type": "string",
    "pattern": r"^.*[<>].*$",
    "examples": ["abs(E) < 0.2 * abs(I) * R_eis", "abs(E) > 3 * E_at_start", "area(metal) > blank + 5 sd", "short_ratio < 0.2"],
}
WhenSentence = Annotated[str, WithJsonSchema(WHEN)]
HostLost = Annotated[
    str, sentence(r"^\s*([Oo]pen circuit within .*|[Ff]inish step on device)\s*$", "open circuit within 60 s", "finish step on device")
]
Missed = Annotated[
    str, sentence(r"^\s*([Cc]ontinue|[Ss]top|[Ww]ait at open circuit.*)\s*$", "continue", "wait at open circuit after 2 missed", "stop")
]
WaitSentence = Annotated[
    str,
    sentence(
        r"^\s*([Aa]t open circuit|[Aa]t last voltage|[Kk]eep current)\b.*$",
        "at open circuit",
        "at last voltage, at most 30 minutes",
        "keep current",
    ),
]
ElectrodeText = Annotated[str, sentence(r"^\S.*$", "LFP", "graphite 1.60 mAh", "Cu foil")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", max_length=80)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
NumberOrText = Annotated[Any, either(NUMBER, STRING)]
Pair = Annotated[list[float], Field(min_length=2, max_length=2)]
