"""Is the run complete? It is only where every check says so: pure, from facts. Nothing is complete by default."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.report.facts import LOST, Facts

DRIVEN_BY_OTHERS = frozenset({"imported", "watched"})


@dataclass(frozen=True, slots=True)
class Check:
    """``ok`` None: nothing wrong, yet not what was planned, or not known; it does not decide."""

    name: str
    ok: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """``complete``: every deciding check passed. ``sentence``: for the top of the page."""

    complete: bool
    sentence: str
    checks: Sequence[Check]


def verdict(facts: Facts) -> Verdict:
    """What became of the run, in a sentence, and every check behind it."""
    checks = list(_checks(facts))
    failed = [check for check in checks if check.ok is False]
    if not facts.over:
        return Verdict(False, f"Still running, or died: state of {_published(facts)}.", checks)
    reason = str(facts.attributes["reason"]).partition("\n")[0]
    how = f"{facts.attributes['state']}, {facts.attributes['outcome']}: {reason}".rstrip(": ")
    if failed:
        return Verdict(False, f"Not complete ({how}). {'. '.join(f'{check.name}: {check.text}' for check in failed)}.", checks)
    return Verdict(True, f"Complete ({how}).", checks)


def _published(facts: Facts) -> str:
    raw = facts.attributes.get("published_utc", b"")
    return raw.decode() if isinstance(raw, bytes) else str(raw)


def _checks(facts: Facts) -> Iterator[Check]:
    yield _ended(facts)
    yield _steps(facts)
    yield _acquisitions(facts)
    yield _planned(facts)
    yield _samples(facts)
    yield _closeout(facts)
    yield _cell(facts)
    yield _console(facts)
    yield _raw(facts)


def _ended(facts: Facts) -> Check:
    outcome = str(facts.attributes.get("outcome", "not over"))
    if outcome in DRIVEN_BY_OTHERS:
        return Check("Ended as planned", None, f"{outcome}: others drove the instruments, and what they planned is not known here")
    return Check("Ended as planned", (outcome == "as planned") if facts.over else None, outcome)


def _steps(facts: Facts) -> Check:
    planned = [step for step in facts.steps if step.planned_s == step.planned_s]
    done = [step for step in planned if step.reason]
    if len(done) == len(planned):
        return Check("Steps", True, f"all {len(planned)} were done")
    left = next(step for step in planned if not step.reason)
    skipped = str(facts.attributes.get("outcome")) == "as planned"
    return Check("Steps", None if skipped else False, f"{len(done)} of {len(planned)} were done; the first that was not: {left.text}")


def _acquisitions(facts: Facts) -> Check:
    states = Counter(one.state for one in facts.asked)
    others = [f"{n} {state}" for state, n in sorted(states.items()) if state != "verified"]
    told = f"{states['verified']} of {sum(states.values())} asked for are verified" + (f"; {', '.join(others)}" if others else "")
    bad = any(state in LOST or facts.over for state in states if state != "verified")
    return Check("Acquisitions", not bad, told)


def _planned(facts: Facts) -> Check:
    planned = facts.plan.get("expected_spectra", {})
    made = Counter(one.name for one in facts.asked if one.state == "verified")
    merged = facts.coalesced
    told = [
        f"{name}: {made[name]} of about {planned.get(name, 0)}"
        + (f" ({merged[name]} triggers were merged into pending ones)" if merged[name] else "")
        for name in sorted({*planned, *made})
    ]
    enough = all(made[name] + merged[name] >= n for name, n in planned.items())
    return Check("Planned against acquired", True if enough else None, "; ".join(told) or "nothing planned")


def _samples(facts: Facts) -> Check:
    gaps = facts.of("gap")
    samples = facts.run.entry["electrochemistry/time"].shape[0]
    if not samples:
        return Check("Samples", None, "there is no electrochemistry in this run")
    if not gaps:
        return Check("Samples", True, f"{samples}, without a gap")
    seconds = sum(float(event["data"]["seconds"]) for event in gaps)
    return Check("Samples", False, f"{samples}; nobody heard the cell in {len(gaps)} gaps of {seconds:.0f} s together")


def _closeout(facts: Facts) -> Check:
    if "ok" not in facts.closeout:
        return Check("run.h5 against the journal", False if facts.over else None, "not compared: `operando recover` does it")
    good = bool(facts.closeout["ok"])
    return Check("run.h5 against the journal", good, "every stream counted and hashed alike" if good else str(facts.closeout["lines"][0]))


def _cell(facts: Facts) -> Check:
    states = facts.of("cell.state")
    if facts.attributes.get("outcome") in DRIVEN_BY_OTHERS:
        return Check("Cell at the end", None, "not known: this program did not drive it")
    if not states:
        return Check("Cell at the end", False if facts.over else None, "nobody said")
    last = states[-1]["data"]
    told = f"{last['cell']}, {'read back' if last['confirmed'] else 'not read back'}: {last['detail']}"
    return Check("Cell at the end", (last["cell"] == "off" and bool(last["confirmed"])) if facts.over else None, told)


def _console(facts: Facts) -> Check:
    deviating = [event for event in facts.of("acquisition.armed") if event["data"].get("deviations")]
    armed = len(facts.of("acquisition.armed"))
    if not deviating:
        return Check("Console's read-back", True, f"the parameters of all {armed} acquisitions were as ordered")
    names = sorted({name for event in deviating for name in event["data"]["deviations"]})
    return Check(
        "Console's read-back", None, f"{len(deviating)} of {armed} acquisitions had other parameters than ordered: {', '.join(names)}"
    )


def _raw(facts: Facts) -> Check:
    archived = sum(bool(spectrum.raw_folder) for spectrum in facts.spectra)
    ok = archived == len(facts.spectra)
    return Check(
        "Raw files", ok or (False if facts.over else None), f"{archived} of {len(facts.spectra)} spectra have the vendor's files, hashed"
    )
