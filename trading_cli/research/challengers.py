"""`trading challengers`: what decides in shadow beside the model that trades, and how it does."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from trading_assets.settings import Settings
from trading_assets.settings.names import check_known
from trading_cli.console import console
from trading_cli.research.of_model import begin, note_of

_COLUMNS = ("days", "decisions", "entries", "trades", "net return", "Sharpe", "95 %", "champion's", "better")


def challengers(
    model: Annotated[str | None, typer.Argument(help="A model of the settings. Default: all.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show champion and challengers side by side, by what each said in shadow: traded by the backtest's engine.

    Loads the journal, brings shadow_trades, shadow_equity and challengers up to date, and writes the page. Exit code 0
    with a challenger in shadow, 1 without one, 2 if something is wrong.
    """
    settings = begin("challengers")
    from trading_assets.registry import read_manifest

    named = read_manifest(settings.live_dir).challengers
    if model is not None:
        check_known(model, {**settings.models, **named}, "model")
    chosen = [name for name in sorted(named) if model in (None, name)]
    rows, pages = _compared(settings, chosen, quiet=json_)
    if json_:
        typer.echo(json.dumps(rows, default=_as_text, indent=2))
    elif not chosen:
        console.print(f"No challenger is in shadow{f' beside {model}' if model else ''}.")
    else:
        _show(settings, rows)
        for page in pages:
            console.print(f"page: {page}", soft_wrap=True, highlight=False)
    if not chosen:
        raise typer.Exit(1)


def _compared(settings: Settings, chosen: list[str], *, quiet: bool) -> tuple[list[dict[str, object]], list[str]]:
    """The rows of ``challengers`` of some models, brought up to date, and their pages."""
    from trading_assets.backtest.challengers import compare_in_shadow, keep
    from trading_assets.backtest.report.challengers import render_challengers
    from trading_assets.journal import JOURNAL_FILE, load_journal
    from trading_assets.store import configured_store
    from trading_assets.store.migration import up_to_date

    rows: list[dict[str, object]] = []
    pages: list[str] = []
    if not chosen:
        return rows, pages
    store = up_to_date(configured_store(settings))
    load_journal(store, settings.live_dir / JOURNAL_FILE)
    for name in chosen:
        if quiet:
            records = compare_in_shadow(settings, store, name)
        else:
            with console.status(f"trading the shadow signals of {name}"):
                records = compare_in_shadow(settings, store, name)
        found = keep(settings, store, name, records).to_dicts()
        pages.append(str(render_challengers(records, found, settings, created_at=datetime.now(UTC))))
        rows += found
    return rows, pages


def _show(settings: Settings, rows: list[dict[str, object]]) -> None:
    from trading_assets.backtest.report.challengers import cells_of

    table = Table("model", "version", *_COLUMNS, pad_edge=False, collapse_padding=True)
    for row in rows:
        name, version, trades = str(row["model"]), row["version"], row["version"] == row["champion"]
        shown = f"[bold green]{version} champion[/]" if trades else str(version)
        table.add_row(name + note_of(settings, name), shown, *cells_of(row))
    console.print(table)
    for row in rows:
        if row["note"]:
            console.print(f"{row['model']} version {row['version']}: {row['note']}", highlight=False)


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
