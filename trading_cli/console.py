"""What every command prints with: one console, one look of progress bars and tables."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from trading_assets.core.candles import Market

console = Console()


def progress() -> Progress:
    """A progress display for long work: what, how far, how long."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}"),
        console=console,
    )


def counted_progress() -> Progress:
    """The same for work that is counted: how many of how many, and how long the rest may take."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[note]}"),
        console=console,
    )


def synthetic_note(markets: list[str]) -> str:
    """``" (synthetic)"`` where the candles of any of the markets are made up."""
    return " [yellow](synthetic)[/]" if is_synthetic(markets) else ""


def is_synthetic(markets: Iterable[str]) -> bool:
    """Whether the candles of any of the markets are made up."""
    return any(Market.parse(market).is_synthetic for market in markets)


def named(market: str) -> str:
    """A market's name, marked where it is synthetic."""
    return market + synthetic_note([market])
