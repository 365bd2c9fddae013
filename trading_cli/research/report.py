"""`trading report`: where the backtest report of a model's version is."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from trading_assets.backtest.report.files import most_wanted, reports
from trading_assets.core.errors import TradingError
from trading_assets.settings import Settings, load_settings


def report(
    model: Annotated[str | None, typer.Argument(help="A model; default: any.")] = None,
    version: Annotated[
        int | None, typer.Option(help="A version; default: the one that trades, else the newest approved, else any.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    all_: Annotated[bool, typer.Option("--all", help="List all of them, the newest last.")] = False,
) -> None:
    """Print (or open) the backtest report of the version that trades."""
    settings = load_settings()
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
    typer.echo(wanted.file)
    if open_:
        webbrowser.open(wanted.file.as_uri())


def _statuses(settings: Settings) -> dict[tuple[str, int], str]:
    """(model, version) -> status, as the runs left it in the store."""
    from trading_assets.store import configured_store
    from trading_assets.store.tables import MODEL_VERSIONS

    known = configured_store(settings).read(MODEL_VERSIONS, columns=["model", "version", "status"])
    return {(model, version): status for model, version, status in known.iter_rows()}
