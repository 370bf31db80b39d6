"""Which broker a run is shown on, and what its publisher is told."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.model.broker import Broker, complaint
from orchestrator.monitor.embedded import running
from orchestrator.rig.folders import home, state_folder
from orchestrator.rig.gather import CannotRun, Gathered

VARIABLE = "OPERANDO_BROKER"
NOBODY = "none"


def broker_of(gathered: Gathered) -> Broker | None:
    """The broker that the rig file names, else the one that ``operando broker`` runs here; None: nobody can watch.

    ``OPERANDO_BROKER`` goes before both: a URL, or ``none``; ``OPERANDO_BROKER_USER``, ``…_PASSWORD_FILE`` and ``…_CA`` go with
    it. At ``--speed max`` nobody could follow anyway.
    """
    if gathered.request.virtual:
        return None
    if named := os.environ.get(VARIABLE):
        return _named(named)
    if (broker := gathered.rig.broker) is not None:
        beside = gathered.rig_path.parent
        files = {name: str(beside / text) for name in ("password_file", "ca") if (text := getattr(broker, name))}
        return broker.model_copy(update=files)
    url = next((url for place in places() if (url := running(place)) is not None), None)
    return None if url is None else Broker(url=url)


def publish_to(rig: str, state: Path) -> tuple[str, ...]:
    """The same of a run without rig file: on the broker that the environment names or that runs here."""
    named = os.environ.get(VARIABLE)
    url = next((url for place in places() if (url := running(place)) is not None), None)
    broker = _named(named) if named else None if url is None else Broker(url=url)
    return () if broker is None else ("--broker", broker.model_dump_json(), "--rig", rig, "--state", str(state))


def places() -> tuple[Path, ...]:
    """Where a broker of ``operando broker`` may have said where it is."""
    return tuple(dict.fromkeys((home(), home(simulated=True))))


def _named(text: str) -> Broker | None:
    if text == NOBODY:
        return None
    if (wrong := complaint(text)) is not None:
        raise CannotRun(f"{VARIABLE}: {wrong}")
    further = {name: os.environ.get(f"{VARIABLE}_{name.upper()}", "") for name in ("user", "password_file", "ca")}
    return Broker(url=text, **further)


def publish_arguments(gathered: Gathered) -> tuple[str, ...]:
    """What the publisher of this run is told; nothing where nobody can watch."""
    broker = broker_of(gathered)
    if broker is None:
        return ()
    state = state_folder(gathered.rig.name, simulated=gathered.all_simulated)
    return ("--broker", broker.model_dump_json(), "--rig", gathered.rig.name, "--state", str(state))
