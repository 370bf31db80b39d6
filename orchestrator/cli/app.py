"""All commands, declared; their work is done in the modules of the same name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from orchestrator.cli import exits
from orchestrator.cli.init_app import init_app

app = typer.Typer(
    name="operando",
    help="Runs battery NMR experiments while nobody watches.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="The experiment, a YAML file.")]
RigFile = Annotated[Optional[Path], typer.Option("--rig", metavar="RIG.yaml", help="The instruments.")]  # noqa: UP045
Station = Annotated[Optional[str], typer.Option(help="Station of the rig; needed where it has several.")]  # noqa: UP045
BookingEnd = Annotated[Optional[str], typer.Option(metavar="TIME", help="When the booked magnet time ends (UTC, or local to the rig).")]  # noqa: UP045
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, for scripts.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where run folders are made.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run folder, its name, or `latest`.")]
Speed = Annotated[str, typer.Option(metavar="X|max", help="Simulated rigs only: so many times as fast, or as fast as it goes.")]
Seed = Annotated[int, typer.Option(help="Seed of everything simulated.")]
Epoch = Annotated[Optional[str], typer.Option(metavar="UTC", help="What the time is when the run begins (simulated rigs).")]  # noqa: UP045
Data = Annotated[Optional[Path], typer.Option(metavar="FOLDER", help="Recorded data for an emulated console to replay.")]  # noqa: UP045
Fault = Annotated[
    list[str] | None,
    typer.Option("--fault", metavar="[EMULATOR.]NAME[:after_s=20]", help="Switch a fault of an emulator on; may be repeated."),
]
TwinFile = Annotated[Optional[Path], typer.Option("--twin", metavar="FILE", help="Simulated rigs only: another cell than the rig's.")]  # noqa: UP045
RigProcess = Annotated[str, typer.Option(hidden=True, help="pid:start of the rig; end with it.")]
Rig = Annotated[Optional[str], typer.Option("--rig", metavar="NAME", help="Which rig, where several run.")]  # noqa: UP045
ClaimFolder = Annotated[Path | None, typer.Option("--claim", hidden=True, help="Where a daemon's start of a run is claimed.")]


@app.command()
def check(
    file: File,
    rig: RigFile = None,
    station: Station = None,
    booking_end: BookingEnd = None,
    as_json: Json = False,
    optimise: Annotated[bool, typer.Option("--optimise", help="Also say what would use the console better.")] = False,
) -> int:
    """Print the whole plan, and every mistake at once. Touches no instrument."""
    from orchestrator.cli.check import check_command

    return check_command(file, rig=rig, station=station, booking_end=booking_end, as_json=as_json, optimise=optimise)


@app.command("run")
def run_(
    file: File,
    rig: RigFile = None,
    station: Station = None,
    booking_end: BookingEnd = None,
    speed: Speed = "1",
    seed: Seed = 0,
    epoch: Epoch = None,
    out: Out = Path("runs"),
    data: Data = None,
    fault: Fault = None,
    twin: TwinFile = None,
    claim: ClaimFolder = None,
    as_json: Json = False,
) -> int:
    """Run an experiment. Ctrl-C once: stop after this acquisition; twice: open circuit now."""
    from orchestrator.cli.claimed import perhaps_claimed
    from orchestrator.cli.run import run_command

    def work() -> int:
        return run_command(file, rig, station, booking_end, speed, seed, epoch, out, data, tuple(fault or ()), twin=twin, as_json=as_json)

    return perhaps_claimed(claim, work)


@app.command()
def demo(speed: Speed = "60", seed: Seed = 1, out: Out = Path("runs"), as_json: Json = False) -> int:
    """Cycle a simulated Li|Li cell and watch it by 7Li NMR, in under two minutes."""
    from orchestrator.cli.broker import start_beside
    from orchestrator.cli.paths import configs
    from orchestrator.cli.run import run_command

    experiment, rig = configs() / "experiments" / "demo.yaml", configs() / "rigs" / "sim.yaml"
    if speed != "max":
        start_beside()
    return run_command(experiment, rig, None, None, speed, seed, None, out, None, (), as_json=as_json)


@app.command()
def emulate(
    names: Annotated[Optional[list[str]], typer.Argument(metavar="NAME...", help="As `operando drivers` lists them")] = None,  # noqa: UP045
    twin: Annotated[Optional[Path], typer.Option(metavar="FILE", help="The cell and magnet behind them.")] = None,  # noqa: UP045
    speed: Annotated[float, typer.Option(help="So many times as fast.")] = 1.0,
    seed: Seed = 0,
    fault: Fault = None,
    data: Data = None,
    truth: Annotated[Path | None, typer.Option(metavar="FILE", help="Write what really happens to the cell, a JSON object a line.")] = None,
    request: Annotated[Optional[str], typer.Option(hidden=True)] = None,  # noqa: UP045
) -> int:
    """Start emulated instruments on one simulated cell; prints their addresses as JSON, a line each."""
    from orchestrator.cli.emulate import emulate_command

    return emulate_command(tuple(names or ()), twin, speed, seed, tuple(fault or ()), data, truth, request)


@app.command()
def watch(
    run: Run = "latest",
    out: Out = Path("runs"),
    lines: Annotated[bool, typer.Option(help="Lines instead of a screen.")] = False,
    rig_process: RigProcess = "",
) -> int:
    """Show a run as it goes, here or from another terminal."""
    from orchestrator.cli.watch import watch_command

    return watch_command(run, out, lines=lines, rig=rig_process)


@app.command()
def status(rig: Rig = None, as_json: Json = False) -> int:
    """What a running rig is doing."""
    from orchestrator.cli.command import command

    return command("status", {}, rig, as_json=as_json)


@app.command()
def pause(
    what: Annotated[str, typer.Argument(metavar="nmr|cell")],
    now: Annotated[bool, typer.Option("--now", help="Cell: open circuit at once, not at the step's end.")] = False,
    rig: Rig = None,
    as_json: Json = False,
) -> int:
    """`pause nmr`: no new acquisition, current goes on. `pause cell`: the next step does not start."""
    from orchestrator.cli.command import command

    return command(f"pause {what}", {"now": now} if what == "cell" else {}, rig, as_json=as_json)


@app.command()
def resume(rig: Rig = None, as_json: Json = False) -> int:
    """End a pause; what is left is planned anew from charge and time still owed."""
    from orchestrator.cli.command import command

    return command("resume", {}, rig, as_json=as_json)


@app.command()
def skip(rig: Rig = None, as_json: Json = False) -> int:
    """End the running step, go on with the next."""
    from orchestrator.cli.command import command

    return command("skip", {}, rig, as_json=as_json)


@app.command()
def stop(
    after_step: Annotated[bool, typer.Option("--after-step", help="Let the running step end first.")] = False,
    rig: Rig = None,
    as_json: Json = False,
) -> int:
    """Finish the running acquisition, end the step, open circuit, close."""
    from orchestrator.cli.command import command

    return command("stop", {"after_step": after_step}, rig, as_json=as_json)


@app.command()
def abort(rig: Rig = None, as_json: Json = False) -> int:
    """Open circuit now, halt the console."""
    from orchestrator.cli.command import command

    return command("abort", {}, rig, as_json=as_json)


@app.command()
def acquire(name: Annotated[str, typer.Argument(metavar="NAME")], rig: Rig = None, as_json: Json = False) -> int:
    """Ask for one acquisition now."""
    from orchestrator.cli.command import command

    return command("acquire", {"name": name}, rig, as_json=as_json)


@app.command()
def acknowledge(alarm: Annotated[str, typer.Argument(metavar="ID")], rig: Rig = None, as_json: Json = False) -> int:
    """Say that you have seen an alarm."""
    from orchestrator.cli.command import command

    return command("acknowledge", {"alarm": alarm}, rig, as_json=as_json)


@app.command()
def note(text: Annotated[str, typer.Argument(metavar="TEXT")], rig: Rig = None, as_json: Json = False) -> int:
    """Write a note into the run."""
    from orchestrator.cli.command import command

    return command("note", {"text": text}, rig, as_json=as_json)


@app.command()
def verify(
    run: Run,
    out: Out = Path("runs"),
    digest: Annotated[bool, typer.Option("--digest", help="Print the digest of run.h5 only.")] = False,
    as_json: Json = False,
) -> int:
    """Check every hash of a run: journal, run.h5 and raw files."""
    from orchestrator.cli.verify import verify_command

    return verify_command(run, out, digest=digest, as_json=as_json)


@app.command()
def recover(run: Run, out: Out = Path("runs"), as_json: Json = False) -> int:
    """Rebuild run.h5 from the journal, and say what was done."""
    from orchestrator.cli.verify import recover_command

    return recover_command(run, out, as_json=as_json)


Zone = Annotated[Optional[str], typer.Option(metavar="AREA/CITY", help="Zone of the vendors' stamps that name none; else this computer's.")]  # noqa: UP045
OffsetS = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(
        "--offset-s", metavar="S", help="To be added to the cycler's stamps to get the console's; else it is found, where it can be."
    ),
]
HalfWidthS = Annotated[float, typer.Option("--half-width-s", metavar="S", help="How well --offset-s is known.")]
DateOrder = Annotated[
    str, typer.Option("--date-order", metavar="mdy|dmy", help="Of dates in the cycler's files that can be read both ways.")
]


@app.command("import")
def import_(
    nmr: Annotated[Path, typer.Argument(metavar="NMR", help="A folder with data sets of TopSpin, VnmrJ or Spinsolve.")],
    ec: Annotated[Optional[Path], typer.Option(metavar="PATH", help="The cycler's file, or the folder with its files.")] = None,  # noqa: UP045
    offset_s: OffsetS = None,
    half_width_s: HalfWidthS = 1.0,
    zone: Zone = None,
    date_order: DateOrder = "",
    name: Annotated[str, typer.Option(help="Of the run; else the folder's.")] = "",
    protocol: Annotated[bool, typer.Option("--protocol", help="NMR is a protocol of aurora-unicycler: make an experiment of it.")] = False,
    to: Annotated[Optional[Path], typer.Option(metavar="FILE.yaml", help="Of --protocol; else beside it.")] = None,  # noqa: UP045
    out: Out = Path("runs"),
    as_json: Json = False,
) -> int:
    """Make a run of what others have measured (.mpr, .mpt, .nda, .ndax, BDF; data sets); or an experiment of a protocol."""
    if protocol:
        from orchestrator.cli.protocol import import_protocol_command

        return import_protocol_command(nmr, to, as_json=as_json)
    from orchestrator.cli.import_ import import_command

    return import_command(nmr, ec, offset_s, half_width_s, zone, date_order, name, out, as_json=as_json)


@app.command()
def follow(
    ec: Annotated[
        Path, typer.Argument(metavar="EC", help="The cycler's file, or the folder with its files: .mpr, .mpt, .nda, .ndax, BDF.")
    ],
    nmr: Annotated[Path, typer.Argument(metavar="NMR", help="The folder in which TopSpin, VnmrJ or Spinsolve saves.")],
    offset_s: OffsetS = None,
    half_width_s: HalfWidthS = 1.0,
    zone: Zone = None,
    date_order: DateOrder = "",
    name: Annotated[str, typer.Option(help="Of the run; else the folder's.")] = "",
    rig: Annotated[str, typer.Option("--rig", metavar="NAME", help="Under which it is shown; else watch-NAME of the run.")] = "",
    rules: Annotated[Optional[Path], typer.Option(metavar="FILE", help="An experiment, or its `rules:` alone: told as alarms.")] = None,  # noqa: UP045
    status: Annotated[Optional[Path], typer.Option(metavar="DIR", help="A folder or share for status.html, each minute.")] = None,  # noqa: UP045
    mirror: Annotated[Optional[Path], typer.Option("--mirror-to", metavar="DIR", help="A folder that gets a copy of the run.")] = None,  # noqa: UP045
    into: Annotated[Optional[Path], typer.Option(metavar="RUN", help="The run folder of an earlier `follow`, to go on with.")] = None,  # noqa: UP045
    out: Out = Path("runs"),
    as_json: Json = False,
) -> int:
    """Watch a run that others drive, over read-only shares, and analyse it live. Moves nothing; Ctrl-C ends the watching."""
    from orchestrator.cli.follow import follow_command

    return follow_command(ec, nmr, offset_s, half_width_s, zone, date_order, name, rig, rules, status, mirror, into, out, as_json=as_json)


Windows = Annotated[Path | None, typer.Option(metavar="FILE.yaml", help="Windows of your own: `metal: [220, 310]`, in ppm, a line each.")]


@app.command()
def process(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run folders, their names, or `latest`.")],
    windows: Windows = None,
    dask: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="ADDRESS", help="Over a Dask cluster (tcp://host:8786), or over workers of this computer: local."),
    ] = None,
    out: Out = Path("runs"),
    as_json: Json = False,
) -> int:
    """Analyse the spectra of runs again, each into a new file beside its run.h5."""
    from orchestrator.cli.analyse import process_command

    return process_command(runs, out, windows, dask, as_json=as_json)


@app.command()
def export(
    run: Run,
    observables: Annotated[Optional[Path], typer.Option(metavar="FILE.csv", help="What the spectra say, one row per spectrum.")] = None,  # noqa: UP045
    formats: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--format", metavar="bdf|bluesky|bruker|crate|csdm|csv|ismrmrd|jcamp|nexus|nmrpipe", help="May be repeated."),
    ] = None,
    to: Annotated[Optional[Path], typer.Option(metavar="DIR", help="Where; default: export/FORMAT in the run's folder.")] = None,  # noqa: UP045
    windows: Windows = None,
    protocol: Annotated[
        str, typer.Option(metavar="unicycler|neware|biologic|pybamm", help="RUN is an experiment file: its protocol in another's form.")
    ] = "",
    rig: RigFile = None,
    out: Out = Path("runs"),
    as_json: Json = False,
) -> int:
    """Write what the spectra say as a table, the run in the formats of others, or an experiment's protocol in theirs."""
    from orchestrator.cli.analyse import export_command
    from orchestrator.cli.export import formats_command

    if protocol:
        from orchestrator.cli.protocol import export_protocol_command

        return export_protocol_command(Path(run), protocol, to, rig, as_json=as_json)
    if formats:
        code = formats_command(run, out, tuple(formats), to, as_json=as_json)
        return code if code or observables is None else export_command(run, out, observables, windows, as_json=as_json)
    if observables is None:
        raise typer.BadParameter("say what: --format NAME, or --observables FILE.csv")
    return export_command(run, out, observables, windows, as_json=as_json)


@app.command()
def report(run: Run = "latest", out: Out = Path("runs"), as_json: Json = False) -> int:
    """Write one page about a run: verdict, what not to trust, the figure, every table (figure: extra [report])."""
    from orchestrator.cli.report import report_command

    return report_command(run, out, as_json=as_json)


@app.command()
def validate(
    rows: Annotated[Optional[list[str]], typer.Argument(metavar="ROW...", help="O1, R5, Q12, P16; all where none is named.")] = None,  # noqa: UP045
    full: Annotated[bool, typer.Option("--full", help="The whole protocols instead of the short ones.")] = False,
    page: Annotated[Optional[Path], typer.Option(metavar="FILE.md", help="Where the table goes; all rows: docs/validation.md.")] = None,  # noqa: UP045
    as_json: Json = False,
) -> int:
    """Run the systems of the literature on the twin, and compare what their spectra say with what was published."""
    from orchestrator.cli.validate import validate_command

    return validate_command(tuple(rows or ()), page, full=full, as_json=as_json)


@app.command()
def rehearse(
    run: Run,
    rules: Annotated[Path, typer.Option(metavar="FILE", help="An experiment, or its `rules:` alone.")],
    out: Out = Path("runs"),
    as_json: Json = False,
) -> int:
    """Say what rules would have done in a run that is over."""
    from orchestrator.cli.analyse import rehearse_command

    return rehearse_command(run, out, rules, as_json=as_json)


@app.command("continue")
def continue_(
    run: Run,
    cell_is_off: Annotated[
        bool, typer.Option("--cell-is-off", help="You have looked: the cell is at open circuit. Asked for only where it is in doubt.")
    ] = False,
    as_begun: Annotated[bool, typer.Option("--as-begun", help="Go on with the files as the run began, though they have changed.")] = False,
    away_s: Annotated[float, typer.Option("--away-s", help="Of a run killed at --speed max: so long nobody was there.")] = 60.0,
    out: Out = Path("runs"),
    claim: ClaimFolder = None,
    as_json: Json = False,
) -> int:
    """Go on with a run whose rig has died: what runs is adopted, what is owed is done, what was missed is said."""
    from orchestrator.cli.claimed import perhaps_claimed
    from orchestrator.cli.continue_ import continue_command

    def work() -> int:
        return continue_command(run, out, cell_is_off=cell_is_off, as_begun=as_begun, away_s=away_s, as_json=as_json)

    return perhaps_claimed(claim, work)


@app.command("pack")
def pack_(run: Run, out: Out = Path("runs"), as_json: Json = False) -> int:
    """Compress run.h5 of a finished run; every HDF5 reader still opens it."""
    from orchestrator.cli.verify import pack_command

    return pack_command(run, out, as_json=as_json)


@app.command()
def prune(run: Run, out: Out = Path("runs"), as_json: Json = False) -> int:
    """Drop the journal of a complete run whose run.h5 is proven to hold all of it."""
    from orchestrator.cli.verify import prune_command

    return prune_command(run, out, as_json=as_json)


@app.command()
def drivers(as_json: Json = False) -> int:
    """List what instruments are known, and how well each has been tried."""
    from orchestrator.cli.drivers import drivers_command

    return drivers_command(as_json=as_json)


@app.command()
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


@app.command()
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


@app.command()
def console(
    address: Address, verbs: Verbs = None, driver: Driver = None, rig: RigFile = None, option: Options = None, as_json: Json = False
) -> int:
    """Ask one NMR console by hand, or make it safe (RF off). Nothing here starts a pulse."""
    from orchestrator.cli.by_hand import by_hand_command

    return by_hand_command("console", address, tuple(verbs or ()), driver, "", rig, tuple(option or ()), as_json=as_json)


@app.command("install-agent")
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


@app.command()
def schema(what: Annotated[str, typer.Argument(metavar="experiment|rig|cell")] = "experiment") -> int:
    """Print the JSON schema of a file, for editors."""
    from orchestrator.cli.schema import schema_command

    return schema_command(what)


@app.command()
def guard(rig: Annotated[str, typer.Argument(metavar="RIG", help="The rig's name, as its file says.")]) -> int:
    """Watch a rig's runs as a service, one after the other (without it, each run starts a guard of its own)."""
    from orchestrator.cli.guard import guard_command

    return guard_command(rig)


@app.command(hidden=True)
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


@app.command()
def broker(
    port: Annotated[Optional[int], typer.Option(metavar="PORT", help="0: any that is free. Default: 1883, or any.")] = None,  # noqa: UP045
    idle: Annotated[Optional[float], typer.Option(metavar="SECONDS", help="End when nobody was connected for so long.")] = None,  # noqa: UP045
    home: Annotated[Optional[Path], typer.Option(hidden=True)] = None,  # noqa: UP045
    as_json: Json = False,
) -> int:
    """A small MQTT broker on this computer, for rigs whose file names none (extra [dashboard])."""
    from orchestrator.cli.broker import broker_command

    return broker_command(port, home, idle, as_json=as_json)


@app.command()
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


app.add_typer(init_app, name="init")


@app.command(hidden=True)
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


@app.command()
def serve(look_s: Annotated[float, typer.Option("--look-s", min=0.05, help="So often it looks.")] = 1.0) -> int:
    """Start the runs of the queue when they are due. Touches no instrument; its own end is nothing to them."""
    from orchestrator.cli.serve import serve_command

    return serve_command(look_s)


queue_app = typer.Typer(help="Runs that start by themselves: tonight, each night, when the magnet is ours.", no_args_is_help=True)
app.add_typer(queue_app, name="queue")
Number = Annotated[int, typer.Argument(metavar="ID", help="As `operando queue list` shows it.")]
Instant = Optional[str]  # noqa: UP045


@queue_app.command("add")
def queue_add(
    file: File,
    rig: RigFile = None,
    station: Station = None,
    not_before: Annotated[Instant, typer.Option("--not-before", metavar="TIME", help="Local to the rig, or with a zone.")] = None,
    must_end_by: Annotated[
        Instant, typer.Option("--must-end-by", metavar="TIME", help="It is not begun unless it can end by then.")
    ] = None,
    booking: Annotated[Instant, typer.Option(metavar="TIME..TIME", help="Magnet time that is ours: no other entry starts into it.")] = None,
    window: Annotated[list[str] | None, typer.Option(metavar="19:00-08:00", help="Nightly, by the rig's clock; repeatable.")] = None,
    repeat: Annotated[int, typer.Option(min=1, help="So many runs, one after the other.")] = 1,
    priority: Annotated[int, typer.Option(help="Higher goes first.")] = 0,
    loaded: Annotated[bool, typer.Option("--loaded", help="The cell is in the magnet now.")] = False,
    speed: Speed = "1",
    seed: Seed = 0,
    out: Out = Path("runs"),
    as_json: Json = False,
) -> int:
    """Queue a run, with copies of its files as they are now. What cannot fit its times is refused, with the arithmetic."""
    from orchestrator.cli.queue import add_command

    times = {"not_before": not_before, "must_end_by": must_end_by, "booking": booking, "nightly": tuple(window or ())}
    how = {"station": station, "repeat": repeat, "priority": priority, "loaded": loaded, "speed": speed, "seed": seed}
    return add_command(file, rig, out, {**times, **how}, as_json=as_json)


@queue_app.command("list")
def queue_list(every: Annotated[bool, typer.Option("--all", help="Also what is over.")] = False, as_json: Json = False) -> int:
    """What is queued, in the order in which it comes, and why each waits."""
    from orchestrator.cli.queue import list_command

    return list_command(every=every, as_json=as_json)


@queue_app.command("show")
def queue_show(number: Number, as_json: Json = False) -> int:
    """One entry: its files as pinned, and what happened to it."""
    from orchestrator.cli.queue import show_command

    return show_command(number, as_json=as_json)


@queue_app.command("confirm")
def queue_confirm(
    number: Number,
    again: Annotated[bool, typer.Option("--again", help="A run that died: from the start, instead of continued.")] = False,
    as_json: Json = False,
) -> int:
    """You have looked: its cell is in the magnet. What waited for a person goes on."""
    from orchestrator.cli.queue import confirm_command

    return confirm_command(number, again=again, as_json=as_json)


@queue_app.command("move")
def queue_move(
    number: Number,
    before: Annotated[Optional[int], typer.Option(metavar="ID", help="To before this one; else to the end.")] = None,  # noqa: UP045
    priority: Annotated[Optional[int], typer.Option(help="Higher goes first.")] = None,  # noqa: UP045
    as_json: Json = False,
) -> int:
    """Change the order."""
    from orchestrator.cli.queue import move_command

    return move_command(number, before, priority, as_json=as_json)


@queue_app.command("remove")
def queue_remove(number: Number, as_json: Json = False) -> int:
    """Take an entry out. One that runs is stopped first (`operando stop`)."""
    from orchestrator.cli.queue import remove_command

    return remove_command(number, as_json=as_json)


cell_app = typer.Typer(help="Cells outlive runs: their records, and what has happened to them.", no_args_is_help=True)
app.add_typer(cell_app, name="cell")
CellName = Annotated[str, typer.Argument(metavar="CELL", help="Its record is cells/CELL.yaml in OPERANDO_HOME.")]
Note = Annotated[str, typer.Option(metavar="TEXT")]


@cell_app.command("list")
def cell_list(as_json: Json = False) -> int:
    """Every cell with a record, and how far it is."""
    from orchestrator.cli.cell import list_command

    return list_command(as_json=as_json)


@cell_app.command("show")
def cell_show(name: CellName, as_json: Json = False) -> int:
    """One cell: x, cycles and charge so far, and where each came from."""
    from orchestrator.cli.cell import show_command

    return show_command(name, as_json=as_json)


@cell_app.command("mount")
def cell_mount(
    name: CellName,
    rig: Annotated[str, typer.Option(metavar="NAME", help="Of the rig whose probe it is in.")],
    station: Annotated[str, typer.Option(help="Of a rig with several.")] = "",
    x: Annotated[Optional[float], typer.Option(help="Where somebody knows it; it then counts from here.")] = None,  # noqa: UP045
    note: Note = "",
    as_json: Json = False,
) -> int:
    """It was put into a probe. For the queue: `operando queue confirm`."""
    from orchestrator.cli.cell import mount_command

    return mount_command(name, rig, station, x, note, as_json=as_json)


@cell_app.command("add-history")
def cell_add_history(
    name: CellName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Of a cycler: .mpr, .mpt, .nda, .ndax, BDF.")],
    x_includes_it: Annotated[bool, typer.Option("--x-includes-it", help="`x_now` of the record is of after it.")] = False,
    turned: Annotated[bool, typer.Option("--turned", help="Its current is positive for reduction at `working` of the record.")] = False,
    note: Note = "",
    as_json: Json = False,
) -> int:
    """What a bench cycler did to it (formation): its charge, cycles and x count on from there."""
    from orchestrator.cli.cell import history_command

    return history_command(name, file, note, x_includes_it=x_includes_it, turned=turned, as_json=as_json)


def run(arguments: list[str]) -> int:
    """Parse and run; turns our errors into sentences and exit codes."""
    if not any(stream.isatty() for stream in (sys.stdout, sys.stderr)):
        app.rich_markup_mode = None  # nobody looks at colours and boxes, and drawing them takes half of the start
    try:
        result = app(arguments, prog_name="operando", standalone_mode=False)
    except typer.Exit as stopped:
        return stopped.exit_code
    except Exception as error:  # noqa: BLE001 - told() raises what is our own bug again
        return exits.told(error)
    return int(result or 0)
