"""What stands beside a rig: observer, broker, dashboard, publisher, daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from orchestrator.cli.declared.options import Json, RigProcess

beside = typer.Typer()


@beside.command(hidden=True)
def observe(
    run: Annotated[Path, typer.Argument(metavar="FOLDER")],
    rig_process: RigProcess = "",
    keep_free: Annotated[int, typer.Option(hidden=True, help="Publish nothing while fewer bytes are free.")] = 0,
    mirror_to: Annotated[Path | None, typer.Option(hidden=True, help="Copy what is published there.")] = None,
    tell: Annotated[bool, typer.Option("--tell", hidden=True, help="Say on the standard output what the rig should know.")] = False,
    control: Annotated[Path | None, typer.Option(hidden=True, help="Send there what live analysis finds.")] = None,
    status_to: Annotated[Path | None, typer.Option(hidden=True, help="Write status.html there each minute.")] = None,
) -> int:
    """Read a run's journal and keep run.h5 (started by `run`)."""
    from orchestrator.cli.observe import observe_command

    return observe_command(
        run, rig_process, keep_free_bytes=keep_free, mirror_to=mirror_to, tell=tell, control=control, status_to=status_to
    )


@beside.command()
def broker(
    port: Annotated[Optional[int], typer.Option(metavar="PORT", help="0: any that is free. Default: 1883, or any.")] = None,  # noqa: UP045
    idle: Annotated[Optional[float], typer.Option(metavar="SECONDS", help="End when nobody was connected for so long.")] = None,  # noqa: UP045
    home: Annotated[Optional[Path], typer.Option(hidden=True)] = None,  # noqa: UP045
    as_json: Json = False,
) -> int:
    """A small MQTT broker on this computer, for rigs whose file names none (extra [dashboard])."""
    from orchestrator.cli.broker import broker_command

    return broker_command(port, home, idle, as_json=as_json)


@beside.command()
def dashboard(
    broker_url: Annotated[Optional[str], typer.Option("--broker", metavar="URL", help="mqtt://HOST, mqtts://HOST with TLS.")] = None,  # noqa: UP045
    user: Annotated[str, typer.Option(help="User at the broker; by whom the page listens.")] = "",
    password_file: Annotated[Optional[Path], typer.Option(metavar="FILE", help="The user's password.")] = None,  # noqa: UP045
    ca: Annotated[Optional[Path], typer.Option(metavar="FILE", help="Certificate of who signed the broker's.")] = None,  # noqa: UP045
    address: Annotated[str, typer.Option(help="Where to listen; anything but this computer asks for a login.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any that is free.")] = 8750,
    name: Annotated[Optional[list[str]], typer.Option(metavar="HOST", help="Its name elsewhere; may be repeated.")] = None,  # noqa: UP045
    certificate: Annotated[Optional[Path], typer.Option(metavar="FILE", help="For https.")] = None,  # noqa: UP045
    key: Annotated[Optional[Path], typer.Option(metavar="FILE", help="Of the certificate.")] = None,  # noqa: UP045
    as_json: Json = False,
) -> int:
    """The night on a page, also for a phone (extra [dashboard]). Shows every rig of a broker; touches none."""
    from orchestrator.cli.dashboard import Where, dashboard_command

    where = Where(broker_url, user, password_file, ca)
    return dashboard_command(where, (address, port, tuple(name or ()), certificate, key), as_json=as_json)


@beside.command(hidden=True)
def publish(
    run: Annotated[Path, typer.Argument(metavar="FOLDER")],
    broker: Annotated[str, typer.Option(hidden=True, help="A broker, as JSON.")],
    rig: Annotated[str, typer.Option(hidden=True, help="The rig's name.")],
    state: Annotated[Path, typer.Option(hidden=True, help="The rig's state folder, where its run answers commands.")],
    rig_process: RigProcess = "",
    tell: Annotated[bool, typer.Option("--tell", hidden=True, help="Say on the standard output what the rig should know.")] = False,
) -> int:
    """Show a run on a broker and take commands for it (started by `run`)."""
    from orchestrator.cli.publish import publish_command

    return publish_command(run, broker, rig, state, rig_process, tell=tell)


@beside.command()
def serve(look_s: Annotated[float, typer.Option("--look-s", min=0.05, help="So often it looks.")] = 1.0, as_json: Json = False) -> int:
    """Start the runs of the queue when they are due. Touches no instrument; its own end is nothing to them."""
    from orchestrator.cli.serve import serve_command

    return serve_command(look_s, as_json=as_json)
