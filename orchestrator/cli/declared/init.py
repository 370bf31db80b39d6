"""``operando init``, declared: a rig by questions, or the files of a broker; work is done in ``cli/init_rig.py`` and ``cli/init.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer
import typer.core

from orchestrator.cli.declared.options import Json

OF_THE_BROKER = {"--rig", "--operator", "--viewer", "--host"}


class RigUnlessSaid(typer.core.TyperGroup):
    """``operando init [NAME]`` is ``init rig``; with the options of a broker's users it is ``init broker``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As every group does, once it is said which subcommand."""
        return super().parse_args(ctx, self.with_subcommand(args))

    def with_subcommand(self, args: list[str]) -> list[str]:
        """The words, with the name of the subcommand before them where nobody said it."""
        if set(args[:1]) & {"-h", "--help", *self.commands}:
            return args
        return ["broker" if OF_THE_BROKER & {word.partition("=")[0] for word in args} else "rig", *args]


init = typer.Typer(cls=RigUnlessSaid, help="A rig by questions (`init rig`), or the files of an MQTT broker (`init broker`).")
Text = Optional[str]  # noqa: UP045
Texts = Optional[list[str]]  # noqa: UP045
PairOf = typer.Option(metavar="KEY=VALUE", help="Of its driver, as its README has them; may be repeated.")


@init.command("rig")
def init_rig(
    name: Annotated[Text, typer.Argument(metavar="NAME", help="Of the rig.")] = None,
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Gets rigs/, experiments/, schema/ and secrets/.")] = Path("configs"),
    potentiostat: Annotated[Text, typer.Option(metavar="DRIVER", help="As `operando drivers` lists them.")] = None,
    potentiostat_address: Annotated[Text, typer.Option(metavar="ADDRESS")] = None,
    potentiostat_identity: Annotated[Text, typer.Option(metavar="TEXT", help="Another instrument is refused; - for any.")] = None,
    potentiostat_option: Annotated[Texts, PairOf] = None,
    channel: Annotated[Text, typer.Option(help="Of an instrument with several.")] = None,
    console: Annotated[Text, typer.Option(metavar="DRIVER", help="As `operando drivers` lists them.")] = None,
    console_address: Annotated[Text, typer.Option(metavar="ADDRESS")] = None,
    console_identity: Annotated[Text, typer.Option(metavar="TEXT", help="Another console is refused; - for any.")] = None,
    console_option: Annotated[Texts, PairOf] = None,
    nucleus: Annotated[Texts, typer.Option(metavar="7Li", help="May be repeated.")] = None,
    voltage: Annotated[Text, typer.Option(metavar="LO..HI", help="Limits of the first experiment, in V.")] = None,
    current_mA: Annotated[Optional[float], typer.Option("--current-mA", help="Its largest current.")] = None,  # noqa: UP045
    zone: Annotated[Text, typer.Option(metavar="AREA/CITY", help="Of the magnet's clock on the wall.")] = None,
    broker: Annotated[Text, typer.Option(metavar="URL", help="mqtts://HOST: with passwords in secrets/; - for none.")] = None,
    defaults: Annotated[bool, typer.Option("--defaults", help="Ask nothing; what is not said is as usual.")] = False,
    as_json: Json = False,
) -> int:
    """Write a rig file, and a first experiment that starts no current. Asks for what no option says; overwrites nothing."""
    from orchestrator.cli.init_rig import Given, init_rig_command

    first = (potentiostat, potentiostat_address, potentiostat_identity, tuple(potentiostat_option or ()))
    second = (console, console_address, console_identity, tuple(console_option or ()))
    given = Given(name, zone, first, channel, second, tuple(nucleus or ()), voltage, current_mA, broker)
    return init_rig_command(given, folder, take_defaults=defaults, as_json=as_json)


@init.command("broker")
def init_broker(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER")] = Path("secrets"),
    rig: Annotated[Texts, typer.Option(metavar="NAME", help="A rig that may publish; may be repeated.")] = None,
    operator: Annotated[Texts, typer.Option(metavar="NAME", help="Who may send commands.")] = None,
    viewer: Annotated[Texts, typer.Option(metavar="NAME", help="Who may look.")] = None,
    host: Annotated[Texts, typer.Option(metavar="NAME", help="Name or address of the broker's computer.")] = None,
    as_json: Json = False,
) -> int:
    """Write certificate, passwords and access list of an MQTT broker; again, to add users. Nothing that is there is lost."""
    from orchestrator.cli.init import init_command

    return init_command(folder, *(tuple(names or ()) for names in (rig, operator, viewer, host)), as_json=as_json)
