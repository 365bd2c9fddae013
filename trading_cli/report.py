"""`trading report`: where the newest backtest report is."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from trading_assets.errors import TradingError
from trading_assets.settings import load_settings


def report(
    model: Annotated[str | None, typer.Argument(help="A model; default: the newest report of any.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Print (or open) the newest backtest report."""
    settings = load_settings()
    found = sorted(
        settings.reports_dir.glob(f"{model or '*'}.html"), key=lambda path: (path.stat().st_mtime, path.name)
    )
    if not found:
        raise TradingError(
            f"no report{f' of model {model!r}' if model else ''}",
            where=str(settings.reports_dir),
            remedy="run `trading demo` or materialize `backtest` in the UI",
        )
    typer.echo(found[-1])
    if open_:
        webbrowser.open(found[-1].as_uri())
