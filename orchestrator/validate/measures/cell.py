"""Electrochemistry and events: rules that fired, charge, voltage, current."""

from __future__ import annotations

import math

import numpy as np

from orchestrator.model.events import PROMPT
from orchestrator.validate.compare import Found
from orchestrator.validate.measures.words import NotFound, Runs, Words, measure, run_of

AT_END = ".end"
"""How the key of the last step goes on while the spectra of `at_end` are taken."""
EDGE_s = 0.5
"""The sample at an edge stands on both sides of it."""


@measure
def fired(words: Words, runs: Runs) -> Found:
    """Of the first firing of a rule after the step whose key holds ``since`` began.

    ``tell: voltage | step_s | t_h | charge_step_mAh | x | off_after_s`` (until the cell was off); ``step_s`` counts from ``since``.
    """
    evidence = run_of(words, runs)
    since = str(words.get("since", ""))
    begun_s = next(float(event["time"]) for event in evidence.events("step.started") if since in str(event["data"]["key"]))
    spare_s = float(words.get("not_before_s", 0.0))
    events = [event for event in evidence.events("rule.fired", rule=str(words["fired"])) if float(event["time"]) >= begun_s + spare_s]
    if not events:
        raise NotFound(f"the rule `{words['fired']}` did not fire")
    at = float(events[0]["time"])
    if words.get("tell") in {"step_s", "t_h"}:
        return Found(at - begun_s if words["tell"] == "step_s" else at / 3600.0, 0.0)
    if words.get("tell") == "off_after_s":
        off = [float(event["time"]) for event in evidence.events("cell.state", cell="off") if float(event["time"]) >= at]
        return Found(off[0] - at, 0.0)
    place = evidence.place(at)
    value = {"voltage": place.voltage_V, "charge_step_mAh": place.charge_step_mAh, "x": place.x}
    return Found(abs(value[str(words["tell"])]), 0.0)


@measure
def passed(words: Words, runs: Runs) -> Found:
    """Charge in mAh that passed in the steps whose key holds a word; ``pick`` for one of several. What `at_end` asks for is no step."""
    told = [(str(event["data"]["key"]), float(event["data"]["charge_C"])) for event in run_of(words, runs).events("step.ended")]
    charges = [abs(charge_C) / 3.6 for key, charge_C in told if str(words["passed"]) in key and not key.endswith(AT_END)]
    return Found(charges[int(words.get("pick", 0))], 0.0)


@measure
def voltage_at(words: Words, runs: Runs) -> Found:
    """Absolute voltage at ``step_h`` into the first step whose key holds a word."""
    evidence = run_of(words, runs)
    begun = next(event for event in evidence.events("step.started") if str(words["voltage_at"]) in str(event["data"]["key"]))
    ended = next(event for event in evidence.events("step.ended") if event["data"]["key"] == begun["data"]["key"])
    at = float(ended["time"]) - 2.0 if words.get("step_h") == "end" else float(begun["time"]) + 3600.0 * float(words["step_h"])
    return Found(abs(evidence.place(at).voltage_V), 1e-4)


@measure
def current_in_spectra(words: Words, runs: Runs) -> Found:
    """Largest current in A between begin and end of the spectra of an acquisition, as the potentiostat told it."""
    evidence = run_of(words, runs)
    time, current = evidence.electrochemistry["time"], np.abs(evidence.electrochemistry["current"])
    inside = np.zeros(len(time), bool)
    for begin_s, end_s in evidence.spans_s(str(words["current_in_spectra"])):
        inside |= (time > begin_s + EDGE_s) & (time < end_s - EDGE_s)
    return Found(float(current[inside].max()), 0.0)


@measure
def charge_closes(words: Words, runs: Runs) -> Found:
    """Largest difference between a spectrum's charge window and the current integrated over it, of that charge (of ``of``)."""
    evidence = run_of(words, runs)
    time, current = evidence.electrochemistry["time"], evidence.electrochemistry["current"]
    whole = np.concatenate([[0.0], np.cumsum(0.5 * (current[1:] + current[:-1]) * np.diff(time))]) / 3.6
    off: list[float] = []
    for begin_s, end_s, charge_mAh in evidence.charge_windows(str(words["charge_closes"])):
        if math.isfinite(charge_mAh) and abs(charge_mAh) > 1e-4:
            summed = float(np.interp(end_s, time, whole) - np.interp(begin_s, time, whole))
            off.append(abs(summed - charge_mAh) / abs(charge_mAh))
    return Found(max(off), 0.0)


@measure
def sensor(words: Words, runs: Runs) -> Found:
    """Mean of a sensor's readings during the spectra ``of`` an acquisition."""
    evidence = run_of(words, runs)
    time, value = evidence.sensor(str(words["sensor"]))
    inside = np.zeros(len(time), bool)
    for begin_s, end_s in evidence.spans_s(str(words["of"])):
        inside |= (time >= begin_s) & (time <= end_s)
    taken = value[inside]
    return Found(float(taken.mean()), float(taken.std()) / math.sqrt(len(taken)))


@measure
def read_beside(words: Words, runs: Runs) -> Found:
    """The part of the spectra ``of`` an acquisition during which a sensor was read."""
    evidence = run_of(words, runs)
    time, value = evidence.sensor(str(words["read_beside"]))
    spans = evidence.spans_s(str(words["of"]))
    seen = [bool((np.isfinite(value) & (time >= begin_s) & (time <= end_s)).any()) for begin_s, end_s in spans]
    return Found(sum(seen) / len(seen), 0.0)


@measure
def verified_of_asked(words: Words, runs: Runs) -> Found:
    """The part of an acquisition's records that ended verified."""
    evidence, name = run_of(words, runs), str(words["verified_of_asked"])
    asked = [event for event in evidence.events("acquisition.requested") if event["data"]["name"] == name]
    verified = {event["data"]["key"] for event in evidence.events("acquisition.verified")}
    return Found(sum(event["data"]["key"] in verified for event in asked) / len(asked), 0.0)


@measure
def after_prompts(words: Words, runs: Runs) -> Found:
    """The part of an acquisition's spectra at whose begin nobody was still asked for anything; one prompt at least must be answered."""
    evidence = run_of(words, runs)
    asked = [(float(event["time"]), str(event["data"]["id"])) for event in evidence.events("alarm.raised")]
    answers = {str(event["data"]["id"]): float(event["time"]) for event in evidence.events("alarm.acknowledged")}
    stood = [(begin_s, answers.get(name, math.inf)) for begin_s, name in asked if name.startswith(PROMPT)]
    if not any(math.isfinite(end_s) for _, end_s in stood):
        raise NotFound("no prompt was answered")
    begun = [begin_s for begin_s, _ in evidence.spans_s(str(words["after_prompts"]))]
    return Found(sum(not any(asked_s <= at < end_s for asked_s, end_s in stood) for at in begun) / len(begun), 0.0)
