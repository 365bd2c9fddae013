"""`trading gaps`: which candles are missing, why, and `--repair`, which fetches just those."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer
from rich.table import Table

from trading_assets.core.errors import SettingsError
from trading_assets.settings import Settings, load_settings, logs
from trading_assets.settings.days import midnight, read_days
from trading_assets.settings.names import check_known
from trading_cli.console import console, synthetic_note
from trading_cli.market_data.backfill import DAYS, Follower, follow_runs, refuse_failures, stopped_months

if TYPE_CHECKING:
    from trading_assets.launch import LaunchResult


def gaps(
    market: Annotated[
        list[str] | None, typer.Option(help="A market of the settings; repeatable. Default: all.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", metavar=DAYS, help="First month or day.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar=DAYS, help="Last month or day, inclusive.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Fetch what is missing, and say why the rest is.")] = False,
    again: Annotated[bool, typer.Option("--again", help="With --repair: ask also for gaps that are settled.")] = False,
    rows: Annotated[int, typer.Option(min=1, help="Gaps to print per market at most, longest first.")] = 20,
) -> None:
    """List the missing ranges of candles between stored ones, with the reason of each.

    unchecked: nobody asked again. confirmed_empty: the exchange has none. exchange_outage: it has none, while a second
    configured exchange traded. fetch_failure: it could not be asked. before_listing: the market was not traded yet.
    out_of_reach: the exchange no longer gives candles that old. not_in_files: the market's files have none; whether it
    traded they do not say. quarantined: what came broke a rule.
    """
    settings = load_settings()
    logs.configure(settings, "gaps")
    if again and not repair:
        raise SettingsError("--again says what --repair asks for", remedy="add --repair")
    results = _repair(settings, market, start, end, again=again) if repair else []
    _list(settings, market, start, end, rows)
    for result in results:
        if result.blocked and not result.failures:
            console.print(f"repaired, but {stopped_months(result)}: bars, features and labels of it stay as they were")
    refuse_failures([result for result in results if result.failures], "repair")


def _repair(
    settings: Settings, markets: list[str] | None, start: str | None, end: str | None, *, again: bool
) -> list[LaunchResult]:
    """Repair market by market, as runs that the UI shows, up to the labels that rest on what came in."""
    with console.status("loading the asset graph"):
        from trading_assets.launch import repair_gaps

    def launch(follow: Follower) -> Iterator[LaunchResult]:
        return repair_gaps(settings, markets, start, end, follow, again=again)

    results = follow_runs(settings, launch)
    if not results:
        console.print(
            "nothing to ask for: every gap has its reason" + ("" if again else " (--again asks all the same)")
        )
    return results


def _list(settings: Settings, markets: list[str] | None, start: str | None, end: str | None, rows: int) -> None:
    with console.status("reading"):
        from trading_assets.sources.gaps.gap_report import gaps_of

    for name in markets or ():
        check_known(name, settings.markets, "market")
    first, last = read_days(settings.history, start, end)
    span = (midnight(first), midnight(last + timedelta(days=1)))
    summary = []
    for name in markets or settings.markets:
        found = gaps_of(settings, name, *span, to_month_end=start is not None or end is not None)
        summary.append(_summary(name, found, stored=_has_candles(settings, name)))
        if found.height:
            console.print(_table(name, found.top_k(min(rows, found.height), by="candles").sort("ts")))
    for line in summary:
        console.print(line)


def _table(market: str, found: pl.DataFrame) -> Table:
    table = Table("from (UTC)", "to", "candles", "reason", "detail", title=market, title_justify="left")
    for gap in found.iter_rows(named=True):
        begin, end = f"{gap['ts']:%Y-%m-%d %H:%M}", _until(gap["ts"], gap["end"])
        table.add_row(begin, end, f"{gap['candles']:,}", gap["reason"], gap["detail"])
    return table


def _has_candles(settings: Settings, market: str) -> bool:
    from trading_assets.store import configured_store
    from trading_assets.store.tables import CANDLES

    return configured_store(settings).bounds(CANDLES, where={"market": market}) is not None


def _summary(market: str, found: pl.DataFrame, *, stored: bool) -> str:
    name = market + synthetic_note([market])
    if not stored:
        return f"{name}: no candles are stored yet; trading backfill --market {market}"
    if found.is_empty():
        return f"{name}: no gaps between its stored candles"
    sums = found.group_by("reason").agg(pl.col("candles").sum()).sort("candles", descending=True)
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sums.iter_rows())
    return f"{name}: {found['candles'].sum():,} candles missing in {found.height:,} ranges: {reasons}"


def _until(start: object, end: object) -> str:
    same_day = f"{start:%Y-%m-%d}" == f"{end:%Y-%m-%d}"
    return f"{end:%H:%M}" if same_day else f"{end:%Y-%m-%d %H:%M}"
