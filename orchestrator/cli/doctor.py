"""``operando doctor``: one line a check, and how to fix what is wrong."""

from __future__ import annotations

import asyncio
import getpass
import json
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli import exits

if TYPE_CHECKING:
    from orchestrator.doctor.finding import Finding
    from orchestrator.model.broker import Broker
    from orchestrator.model.rig import Rig

MARKS = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL", "unknown": "?   "}


def doctor_command(rig: Path | None, out: Path, report: Path | None, *, as_json: bool) -> int:
    """Look at this computer, and with ``--rig`` at its broker and instruments. Exit 0, or 2, or 3 where an instrument fails."""
    from orchestrator.config import load_rig

    read = None if rig is None else load_rig(rig)
    # A selector loop: aiomqtt watches its socket by itself, which Windows' own loop does not offer.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        findings = runner.run(_all(read, rig, out, as_json=as_json))
    if report is not None:
        _write_report(report, findings, read, rig)
        print(f"{report}: names, addresses and serial numbers are taken out; look through it before you send it", file=sys.stderr)
    if not as_json:
        counts = {state: sum(finding.state == state for finding in findings) for state in ("fail", "warn")}
        print(f"{counts['fail']} failed, {counts['warn']} to look at, of {len(findings)}; nothing was changed")
    return _code(findings)


async def _all(rig: Rig | None, path: Path | None, out: Path, *, as_json: bool) -> list[Finding]:
    found = []
    async for finding in _findings(rig, path, out):
        print(json.dumps(asdict(finding)) if as_json else _line(finding), flush=True)
        found.append(finding)
    return found


async def _findings(rig: Rig | None, path: Path | None, out: Path) -> AsyncIterator[Finding]:
    from orchestrator.doctor.beside import beside_findings
    from orchestrator.doctor.broker import broker_findings
    from orchestrator.doctor.computer import computer, disk
    from orchestrator.doctor.fence import fence_finding
    from orchestrator.doctor.finding import Finding, State, ok
    from orchestrator.doctor.instruments import instrument_findings

    for finding in (*computer(), *disk(out)):
        yield finding
    broker = _broker(rig, path)
    if broker is None:
        yield ok("broker", "MQTT", "none is named and none runs here: nobody can watch from elsewhere")
    else:
        async for finding in broker_findings(broker, rig.name if rig else "doctor"):
            yield finding
    if rig is None:
        return
    if (running := _taken(rig)) is not None:
        text = f"a run goes on ({running}): instruments are left alone"
        yield Finding(rig.name, "instruments", State.UNKNOWN, text, "ask again when it is over; `operando status` tells how it goes")
        return
    for findings in (instrument_findings(rig), beside_findings(rig)):
        async for finding in findings:
            yield finding
    yield await fence_finding(rig)


def _broker(rig: Rig | None, path: Path | None) -> Broker | None:
    """Of the rig file, its files beside it; else the one that ``operando broker`` runs here."""
    from orchestrator.model.broker import Broker
    from orchestrator.monitor.embedded import running
    from orchestrator.rig.publishing import places

    if rig is not None and rig.broker is not None and path is not None:
        files = {name: str(path.parent / text) for name in ("password_file", "ca") if (text := getattr(rig.broker, name))}
        return rig.broker.model_copy(update=files)
    url = next((url for place in places() if (url := running(place)) is not None), None)
    return None if url is None else Broker(url=url)


def _taken(rig: Rig) -> str | None:
    from orchestrator.rig.folders import answering, safe_file_name

    return next((folder.name for folder in answering() if folder.name == safe_file_name(rig.name)), None)


def _line(finding: Finding) -> str:
    head = f"{MARKS[finding.state]}  {finding.area}: {finding.name}: {finding.text}"
    return f"{head}\n      fix: {finding.fix}" if finding.fix else head


def _code(findings: list[Finding]) -> int:
    failed = {finding.area for finding in findings if finding.state == "fail"}
    if failed - {"computer", "libraries", "disk", "ports", "broker"}:
        return exits.INSTRUMENT
    return exits.CONFIGURATION if failed else exits.COMPLETE


def _write_report(path: Path, findings: list[Finding], rig: Rig | None, file: Path | None) -> None:
    """Findings and rig file as text, without what strangers need not know."""
    from orchestrator.doctor.redact import redacted

    names = {str(Path.home()): "~", getpass.getuser(): "<user>", socket.gethostname(): "<host>"}
    if rig is not None:
        names |= {one.identity: "<serial>" for one in rig.instruments.values() if one.identity}
        names |= {rig.broker.host: "<broker>"} if rig.broker is not None else {}
    for finding in findings:
        serial = finding.text.partition("serial ")[2].partition(",")[0]
        names |= {serial: "<serial>"} if serial else {}
    text = "\n".join(_line(finding) for finding in findings)
    if file is not None:
        text += f"\n\n--- rig file ---\n{file.read_text('utf-8')}"
    path.write_text(redacted(text, names) + "\n", "utf-8")
