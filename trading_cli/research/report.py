"""`trading report`: where the backtest report of a model's version is."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from trading_assets.backtest.report.files import chart_file, most_wanted, reports
from trading_assets.core.errors import TradingError
from trading_assets.settings import Settings, load_settings


def report(
    model: Annotated[str | None, typer.Argument(help="A model; default: any.")] = None,
    version: Annotated[
        int | None, typer.Option(help="A version; default: the one that trades, else the newest approved, else any.")
    ] = None,
    chart: Annotated[
        bool, typer.Option("--chart", help="The interactive page: trades on their candles, to zoom into.")
    ] = False,
    node: Annotated[
        str | None,
        typer.Option("--node", help="Draw what this node traded, on paper or live, from the store; e.g. --node paper."),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="List all of them, the newest last.")] = False,
) -> None:
    """Print (or open) the backtest report of the version that trades, or draw what a node traded.

    Example: trading report syna --chart --open
    """
    settings = load_settings()
    if node is not None:
        _show(_of_node(settings, node), open_=open_)
        return
    kept = reports(settings.reports_dir)
    found = [one for one in kept if model in (None, one.model) and version in (None, one.version)]
    if not found:
        asked = (f" of model {model!r}" if model else "") + (f" version {version}" if version else "")
        raise TradingError(
            f"no report{asked}",
            where=str(settings.reports_dir),
            remedy="see `trading report --all`" if kept else "run `trading demo` or materialize `backtest` in the UI",
        )
    statuses = _statuses(settings)
    if all_:
        for one in found:
            typer.echo(f"{one.model} {one.version} {statuses.get((one.model, one.version), 'unknown')} {one.file}")
        return
    wanted = most_wanted(found, statuses)
    status = statuses.get((wanted.model, wanted.version), "not in the registry")
    typer.echo(f"{wanted.model} version {wanted.version} ({status})", err=True)
    file = chart_file(settings.reports_dir, wanted.model, wanted.version) if chart else wanted.file
    if not file.exists():
        raise TradingError(
            f"no interactive page of {wanted.model} version {wanted.version}",
            where=str(file),
            remedy="it is from before there were any: materialize `backtest` again, or see the report without --chart",
        )
    _show(file, open_=open_)


def _show(file: Path, *, open_: bool) -> None:
    typer.echo(file)
    if open_:
        webbrowser.open(file.as_uri())


def _of_node(settings: Settings, node: str) -> Path:
    """The page of what a node traded, written now."""
    from datetime import UTC, datetime

    from trading_assets.backtest.charting import write_node_chart
    from trading_assets.store import configured_store

    return write_node_chart(settings, configured_store(settings), node, created_at=datetime.now(UTC))


def _statuses(settings: Settings) -> dict[tuple[str, int], str]:
    """(model, version) -> status, as the runs left it in the store."""
    from trading_assets.store import configured_store
    from trading_assets.store.tables import MODEL_VERSIONS

    known = configured_store(settings).read(MODEL_VERSIONS, columns=["model", "version", "status"])
    return {(model, version): status for model, version, status in known.iter_rows()}
