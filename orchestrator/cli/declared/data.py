"""What has been measured, here or elsewhere: prove it, bring it in, analyse it, write it out, go on with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from orchestrator.cli.declared.options import ClaimFolder, Json, Out, Report, RigFile, Run, Windows

data = typer.Typer()


@data.command()
def verify(
    run: Run,
    out: Out = Path("runs"),
    digest: Annotated[bool, typer.Option("--digest", help="Print the digest of run.h5 only.")] = False,
    as_json: Json = False,
) -> int:
    """Check every hash of a run: journal, run.h5 and raw files."""
    from orchestrator.cli.verify import verify_command

    return verify_command(run, out, digest=digest, as_json=as_json)


@data.command()
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


@data.command("import")
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


@data.command()
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
    notify: Annotated[Path | None, typer.Option(metavar="FILE", help="A rig file, or its `notify:` alone: who is told of alarms.")] = None,
    status: Annotated[Optional[Path], typer.Option(metavar="DIR", help="A folder or share for status.html, each minute.")] = None,  # noqa: UP045
    mirror: Annotated[Optional[Path], typer.Option("--mirror-to", metavar="DIR", help="A folder that gets a copy of the run.")] = None,  # noqa: UP045
    into: Annotated[Optional[Path], typer.Option(metavar="RUN", help="The run folder of an earlier `follow`, to go on with.")] = None,  # noqa: UP045
    out: Out = Path("runs"),
    as_json: Json = False,
) -> int:
    """Watch a run that others drive, over read-only shares, and analyse it live. Moves nothing; Ctrl-C ends the watching."""
    from orchestrator.cli.follow import follow_command

    return follow_command(
        ec, nmr, offset_s, half_width_s, zone, date_order, name, rig, rules, notify, status, mirror, into, out, as_json=as_json
    )


@data.command()
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


@data.command()
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


@data.command()
def report(
    run: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar="RUN...", help="A run folder, its name, or `latest`; several of one cell: one page about all."),
    ] = None,
    cell: Annotated[str, typer.Option(metavar="CELL", help="All runs that this cell's record knows of.")] = "",
    to: Annotated[Optional[Path], typer.Option(metavar="DIR", help="Of several runs; default: CELL_report beside the runs.")] = None,  # noqa: UP045
    out: Out = Path("runs"),
    as_json: Json = False,
) -> int:
    """Write one page about a run, or about several of one cell: verdict, what not to trust, the figure, every table (extra [report])."""
    from orchestrator.cli.report import report_command, several_command

    if cell or len(run or ()) > 1:
        return several_command(tuple(run or ()), cell, to, out, as_json=as_json)
    return report_command((run or ["latest"])[0], out, as_json=as_json)


@data.command()
def validate(
    rows: Annotated[Optional[list[str]], typer.Argument(metavar="ROW...", help="O1, R5, Q12, P16; all where none is named.")] = None,  # noqa: UP045
    full: Annotated[bool, typer.Option("--full", help="The whole protocols instead of the short ones.")] = False,
    page: Annotated[Optional[Path], typer.Option(metavar="FILE.md", help="Where the table goes; all rows: docs/validation.md.")] = None,  # noqa: UP045
    as_json: Json = False,
) -> int:
    """Run the systems of the literature on the twin, and compare what their spectra say with what was published."""
    from orchestrator.cli.validate import validate_command

    return validate_command(tuple(rows or ()), page, full=full, as_json=as_json)


@data.command()
def rehearse(
    run: Run,
    rules: Annotated[Path, typer.Option(metavar="FILE", help="An experiment, or its `rules:` alone.")],
    out: Out = Path("runs"),
    as_json: Json = False,
) -> int:
    """Say what rules would have done in a run that is over."""
    from orchestrator.cli.analyse import rehearse_command

    return rehearse_command(run, out, rules, as_json=as_json)


@data.command("continue")
def continue_(
    run: Run,
    cell_is_off: Annotated[
        bool, typer.Option("--cell-is-off", help="You have looked: the cell is at open circuit. Asked for only where it is in doubt.")
    ] = False,
    as_begun: Annotated[bool, typer.Option("--as-begun", help="Go on with the files as the run began, though they have changed.")] = False,
    away_s: Annotated[float, typer.Option("--away-s", help="Of a run killed at --speed max: so long nobody was there.")] = 60.0,
    out: Out = Path("runs"),
    claim: ClaimFolder = None,
    report: Report = True,
    as_json: Json = False,
) -> int:
    """Go on with a run whose rig has died: what runs is adopted, what is owed is done, what was missed is said."""
    from orchestrator.cli.claimed import perhaps_claimed
    from orchestrator.cli.continue_ import continue_command

    def work() -> int:
        return continue_command(run, out, cell_is_off=cell_is_off, as_begun=as_begun, away_s=away_s, report=report, as_json=as_json)

    return perhaps_claimed(claim, work)


@data.command("pack")
def pack_(run: Run, out: Out = Path("runs"), as_json: Json = False) -> int:
    """Compress run.h5 of a finished run; every HDF5 reader still opens it."""
    from orchestrator.cli.verify import pack_command

    return pack_command(run, out, as_json=as_json)


@data.command()
def prune(run: Run, out: Out = Path("runs"), as_json: Json = False) -> int:
    """Drop the journal of a complete run whose run.h5 is proven to hold all of it."""
    from orchestrator.cli.verify import prune_command

    return prune_command(run, out, as_json=as_json)
