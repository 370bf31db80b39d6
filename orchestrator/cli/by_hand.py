"""``operando potentiostat`` and ``operando console``: one instrument by hand. Nothing here starts current or a pulse."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli import exits

if TYPE_CHECKING:
    from drivers.base import Settings
    from orchestrator.doctor.instruments import Answer, Kind, Verb


def by_hand_command(
    kind: Kind,
    address: str,
    verbs: tuple[str, ...],
    driver: str | None,
    channel: str,
    rig: Path | None,
    options: tuple[str, ...],
    *,
    as_json: bool,
) -> int:
    """Ask an instrument, or make it safe. Exit 3: it does not answer; 4: it could not be made safe for certain."""
    asked = _verbs(verbs or ("identify", "state", "clock"))
    return asyncio.run(_ask(kind, _settings(kind, address, driver, channel, rig, options), asked, as_json=as_json))


async def _ask(kind: Kind, settings: Settings, verbs: tuple[Verb, ...], *, as_json: bool) -> int:
    from orchestrator.doctor.instruments import ask

    code = exits.COMPLETE
    async for answer in ask(kind, settings, verbs):
        print(json.dumps({"verb": answer.verb, **answer.told}) if as_json else _line(answer), flush=True)
        if not answer.confirmed:
            code = exits.SAFETY
    return code


def _line(answer: Answer) -> str:
    told = ", ".join(f"{key} {value}" for key, value in answer.told.items() if value not in {None, ""})
    return f"{answer.verb}: {told}"


def _verbs(texts: tuple[str, ...]) -> tuple[Verb, ...]:
    from orchestrator.doctor.instruments import VERBS
    from orchestrator.rig.gather import CannotRun

    for text in texts:
        if text not in VERBS:
            raise CannotRun(f"`{text}` cannot be done by hand; there is {', '.join(VERBS)}. Current is started by `operando run` only")
    return tuple(verb for text in texts for verb in VERBS if verb == text)


def _settings(kind: Kind, address: str, driver: str | None, channel: str, rig: Path | None, options: tuple[str, ...]) -> Settings:
    """Of the rig file's instrument that ``address`` names, or of a bare address with ``--driver``."""
    from drivers import registry
    from drivers.base import Settings
    from orchestrator.rig.gather import CannotRun

    if rig is not None:
        return _of_rig(kind, address, rig)
    if driver is None:
        raise CannotRun(f"which driver? add --driver: {', '.join(registry.names(f'{kind}s'))}; or --rig RIG.yaml and the instrument's name")
    pairs = {name: value or "true" for name, _, value in (option.partition("=") for option in options)}
    return Settings(kind, driver, address, channel, "", {**pairs, "unlock": {}}, address)


def _of_rig(kind: Kind, name: str, path: Path) -> Settings:
    from orchestrator.config import load_rig
    from orchestrator.doctor.instruments import kinds, settings_of
    from orchestrator.rig.gather import CannotRun
    from orchestrator.rig.planned import simulated_instrument

    rig = load_rig(path)
    found = {one: channel for one, (what, channel) in kinds(rig).items() if what == kind}
    if name not in found:
        raise CannotRun(f"{path} has no {kind} `{name}`; there is {', '.join(found) or 'none'}")
    if simulated_instrument(rig.instruments[name]):
        raise CannotRun(f"`{name}` lives only while a simulated run does; `operando emulate` starts one that can be asked")
    return settings_of(name, rig.instruments[name], found[name])
