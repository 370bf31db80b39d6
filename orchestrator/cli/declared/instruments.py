"""Instruments and files, one by one: what is known of them, what they say, who watches them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from orchestrator.cli.declared.options import Json, Out, RigFile

instruments = typer.Typer()


@instruments.command()
def drivers(as_json: Json = False) -> int:
    """List what instruments are known, and how well each has been tried."""
    from orchestrator.cli.drivers import drivers_command

    return drivers_command(as_json=as_json)


@instruments.command()
def doctor(
    rig: RigFile = None,
    out: Out = Path("runs"),
    report: Annotated[Optional[Path], typer.Option("--report", metavar="FILE.txt", help="Also as text for an issue, redacted.")] = None,  # noqa: UP045
    as_json: Json = False,
) -> int:
    """Look for what would keep a rig from running tonight: computer, disk, broker, and with --rig its instruments."""
    from orchestrator.cli.doctor import doctor_command

    return doctor_command(rig, out, report, as_json=as_json)


Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="As in a rig file; with --rig, the instrument's name there.")]
Verbs = Annotated[Optional[list[str]], typer.Argument(metavar="[identify|state|clock|safe]...", help="Default: all but safe.")]  # noqa: UP045
Driver = Annotated[Optional[str], typer.Option(metavar="NAME", help="As `operando drivers` lists them.")]  # noqa: UP045
Options = Annotated[Optional[list[str]], typer.Option("--option", metavar="KEY=VALUE", help="Of the driver; may be repeated.")]  # noqa: UP045


@instruments.command()
def potentiostat(
    address: Address,
    verbs: Verbs = None,
    driver: Driver = None,
    channel: Annotated[str, typer.Option(help="Of an instrument with several.")] = "",
    rig: RigFile = None,
    option: Options = None,
    as_json: Json = False,
) -> int:
    """Ask one potentiostat by hand, or make it safe (open circuit). Nothing here starts current."""
    from orchestrator.cli.by_hand import by_hand_command

    return by_hand_command("potentiostat", address, tuple(verbs or ()), driver, channel, rig, tuple(option or ()), as_json=as_json)


@instruments.command()
def console(
    address: Address, verbs: Verbs = None, driver: Driver = None, rig: RigFile = None, option: Options = None, as_json: Json = False
) -> int:
    """Ask one NMR console by hand, or make it safe (RF off). Nothing here starts a pulse."""
    from orchestrator.cli.by_hand import by_hand_command

    return by_hand_command("console", address, tuple(verbs or ()), driver, "", rig, tuple(option or ()), as_json=as_json)


@instruments.command("install-agent")
def install_agent(
    topspin: Annotated[Path, typer.Argument(metavar="TOPSPIN", help="The folder TopSpin is installed in (/opt/topspin4.4.0).")],
    root: Annotated[Path, typer.Option(metavar="DIR", help="Where new data sets are made, and nowhere else.")],
    host: Annotated[str, typer.Option(help="Where the agent listens; any other than loopback gets a key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Its TCP port.")] = 47011,
    templates: Annotated[
        list[Path] | None,
        typer.Option("--templates", metavar="DIR", help="A further folder whose data sets may be cloned; may be repeated."),
    ] = None,
    pull: Annotated[bool, typer.Option("--pull", help="No port in TopSpin: an AU program asks the orchestrator at host:port.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite other files of these names.")] = False,
    as_json: Json = False,
) -> int:
    """Write the one file that goes inside TopSpin, and say what to type there."""
    from orchestrator.cli.install_agent import install_command

    return install_command(topspin, root, host, port, tuple(templates or ()), pull=pull, force=force, as_json=as_json)


@instruments.command()
def schema(what: Annotated[str, typer.Argument(metavar="experiment|rig|cell")] = "experiment") -> int:
    """Print the JSON schema of a file, for editors."""
    from orchestrator.cli.schema import schema_command

    return schema_command(what)


@instruments.command()
def guard(rig: Annotated[str, typer.Argument(metavar="RIG", help="The rig's name, as its file says.")]) -> int:
    """Watch a rig's runs as a service, one after the other (without it, each run starts a guard of its own)."""
    from orchestrator.cli.guard import guard_command

    return guard_command(rig)
