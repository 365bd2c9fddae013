"""`trading journal`: look the node's journal through, and copy it whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trading_assets.settings import load_settings
from trading_cli.console import console

app = typer.Typer(help="Check the node's journal, or copy it while the node runs.", no_args_is_help=True)

_OTHER = Annotated[Path | None, typer.Option("--file", help="Another journal than the node's.", show_default=False)]
_SHOWN = 20


@app.command()
def check(file: _OTHER = None) -> None:
    """Read every event, and say what is damaged; exit code 1 if anything is."""
    from trading_assets.journal import check_journal

    report = check_journal(_path(file))
    console.print(f"journal of {report.node}: {report.events:,} events can be read")
    _show_damage(report.damaged)
    if report.damaged:
        console.print("`trading journal export FILE` saves what can be read, with what the last checkpoint held open")
        raise typer.Exit(1)
    console.print("nothing is damaged")


@app.command()
def export(
    target: Annotated[Path, typer.Argument(help="The copy: a new file.", show_default=False)], file: _OTHER = None
) -> None:
    """Write a complete copy, also while the node runs; what is damaged is set aside in it, open positions are kept."""
    from trading_assets.journal import export_journal

    report = export_journal(_path(file), target)
    console.print(f"{report.events:,} events of {report.node} in {target}")
    _show_damage(report.damaged)
    if report.damaged:
        console.print("stop the node before you put the copy in the journal's place, then look at trading status")


def _show_damage(lines: tuple[str, ...]) -> None:
    for line in lines[:_SHOWN]:
        console.print(f"[red]damaged[/]  {line}", highlight=False)
    if len(lines) > _SHOWN:
        console.print(f"[red]damaged[/]  and {len(lines) - _SHOWN:,} more")


def _path(file: Path | None) -> Path:
    from trading_assets.journal import JOURNAL_FILE

    return file if file is not None else load_settings().live_dir / JOURNAL_FILE
