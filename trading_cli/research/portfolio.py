"""`trading portfolio`: the share of the account that each approved model trades with, and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer
from rich.table import Table

from trading_assets.core.errors import SettingsError
from trading_assets.settings import Settings
from trading_assets.settings.names import check_known
from trading_cli.console import console
from trading_cli.research.of_model import begin, note_of, refuse_failed

if TYPE_CHECKING:
    from trading_assets.portfolio.stored import Portfolio

_PARTS = ("weight", "target", "risk", "volatility", "max_drawdown", "total")


def portfolio(
    method: Annotated[
        str | None,
        typer.Option(help="Another method to compare with equal weights, e.g. risk_parity; nothing comes into force."),
    ] = None,
    rebalance: Annotated[
        bool, typer.Option("--rebalance", help="Run the job rebalance: weights that pass reach the node.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show the weights of the approved models, what each brings to the risk, and whether the method earns its place.

    Example: trading portfolio --method min_cvar. Exit code 0 where all gates pass, 1 where one fails, 2 if something
    is wrong.
    """
    settings = begin("portfolio")
    from trading_assets.portfolio.stored import judge_portfolio, section_of
    from trading_assets.settings.sections.portfolio import METHODS, method_kinds
    from trading_assets.store import configured_store
    from trading_assets.store.migration import up_to_date

    section = section_of(settings)
    if method is not None:
        check_known(method, method_kinds(), "method")
        if rebalance:
            raise SettingsError(
                "--method only compares", where="trading portfolio --rebalance", remedy="set portfolio.method instead"
            )
    if rebalance:
        with console.status("loading the asset graph"):
            from trading_assets.launch import rebalance as run
        refuse_failed(run(settings))
    asked = section.method if method in (None, section.method.kind) else METHODS.read({"kind": method})
    found = judge_portfolio(settings, up_to_date(configured_store(settings)), datetime.now(UTC), method=asked)
    if json_:
        typer.echo(json.dumps(_told(found), default=str, indent=2))
    else:
        _show(settings, found)
    if not found.passed:
        raise typer.Exit(1)


def _told(found: Portfolio) -> dict[str, Any]:
    from trading_assets.portfolio.summary import accounts_frame, correlation_frame, sleeves_frame

    return {
        "decided_at": found.chosen.as_of,
        "method": found.chosen.method,
        "verdict": found.verdict.text,
        "evidence": found.verdict.evidence,
        "sleeves": sleeves_frame(found).to_dicts(),
        "accounts": accounts_frame(found).to_dicts(),
        "correlation": correlation_frame(found).to_dicts(),
        "gates": [{"name": one.name, "passed": one.passed, "text": one.text} for one in found.gates],
        "notes": list(found.notes),
    }


def _show(settings: Settings, found: Portfolio) -> None:
    from trading_assets.portfolio.summary import accounts_frame, correlation_frame, sleeves_frame

    sleeves = sleeves_frame(found)
    marked = [name + note_of(settings, name) for name in sleeves["model"]]
    console.print(_table(sleeves.with_columns(model=pl.Series(marked, dtype=pl.String))))
    console.print(_table(accounts_frame(found)))
    if len(found.versions) > 1:
        console.print("correlation of daily returns over the look-back:")
        console.print(_table(correlation_frame(found)))
    console.print(found.verdict.text, highlight=False)
    for gate in found.gates:
        mark = "[green]passed[/]" if gate.passed else "[red]FAILED[/]"
        console.print(f"{gate.name}: {mark}, {gate.text}", highlight=False)
    for note in found.notes:
        console.print(note, highlight=False)


def _table(frame: pl.DataFrame) -> Table:
    table = Table(*frame.columns, pad_edge=False, collapse_padding=True)
    for row in frame.iter_rows(named=True):
        table.add_row(*(_cell(name, value) for name, value in row.items()))
    return table


def _cell(name: str, value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1%}" if name in _PARTS else f"{value:.2f}"
    return str(value)
