"""`trading quarantine`: what was set apart on the way in, why, and how to overrule it."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import polars as pl
import typer
from rich.table import Table

from trading_assets.core.candles import OHLCV
from trading_assets.core.errors import SettingsError, TradingError
from trading_assets.settings import Settings, load_settings
from trading_assets.store import Store, configured_store
from trading_cli.console import console, synthetic_note

app = typer.Typer(help="Candles that broke a rule: list, show, explain, release.", no_args_is_help=True)

_Market = Annotated[str | None, typer.Option("--market", help="Of one market.", show_default=False)]
_Month = Annotated[str | None, typer.Option("--month", metavar="YYYY-MM", help="Of one month.", show_default=False)]
_At = Annotated[
    str | None, typer.Option("--at", metavar="'YYYY-MM-DD HH:MM'", help="Of one bar (UTC).", show_default=False)
]
_Reason = Annotated[str | None, typer.Option("--reason", help="That broke this rule.", show_default=False)]
_Row = Annotated[str | None, typer.Option("--row", help="Beginning of a row's id.", show_default=False)]
_Rows = Annotated[int, typer.Option("--rows", min=1, help="Rows to print at most.")]


@app.command("list")
def list_counts(market: _Market = None) -> None:
    """Count the rows by market, month and reason."""
    settings = load_settings()
    from trading_assets.sources.ingest import quarantine

    counts = quarantine.counts(configured_store(settings))
    if market is not None:
        counts = counts.filter(pl.col("market") == market)
    if counts.is_empty():
        console.print("Nothing is in quarantine." if market is None else f"Nothing of {market} is in quarantine.")
        return
    for (name,), group in counts.group_by("market", maintain_order=True):
        table = _table("candles", "month", "reason", "waiting", "released", title=name + synthetic_note([name]))
        for line in group.drop("market").iter_rows():
            table.add_row(*map(str, line))
        console.print(table)
    console.print("See rows with `trading quarantine show`, and what they broke with `trading quarantine explain`.")


@app.command()
def show(
    market: _Market = None,
    month: _Month = None,
    at: _At = None,
    reason: _Reason = None,
    row: _Row = None,
    context: Annotated[int, typer.Option(min=0, help="Good candles before and after.")] = 2,
    rows: _Rows = 5,
) -> None:
    """Show rows among the good candles around them."""
    store = configured_store(load_settings())
    found = _selected(store, market, month, at, reason, row)
    from trading_assets.sources.ingest import quarantine

    for bad in found.head(rows).to_dicts():
        table = _table("", "ts", *OHLCV, title=f"{bad['market']} {bad['timeframe']}")
        near = quarantine.around(store, bad, bars=context)
        lines = [(candle, "") for candle in near.to_dicts()] + [(bad, quarantine.row_id(bad["row_hash"])[:8])]
        for candle, mark in sorted(lines, key=lambda line: (line[0]["ts"], line[1])):
            style = "red" if mark else None
            table.add_row(mark, f"{candle['ts']:%Y-%m-%d %H:%M:%S}", *map(_number, map(candle.get, OHLCV)), style=style)
        console.print(table)
        console.print(f"{bad['reason']}; {_fate(bad)}\n")
    _say_rest(found, rows)


@app.command()
def explain(
    market: _Market = None,
    month: _Month = None,
    at: _At = None,
    reason: _Reason = None,
    row: _Row = None,
    rows: _Rows = 10,
) -> None:
    """Say which rule each row broke, which of its values broke it, and what to do."""
    store = configured_store(load_settings())
    found = _selected(store, market, month, at, reason, row)
    from trading_assets.sources.ingest import quarantine

    for bad in found.head(rows).to_dicts():
        where = {"market": bad["market"], "start": bad["ts"], "end": bad["ts"] + timedelta(microseconds=1)}
        rivals = quarantine.select(store, **where).filter(pl.col("timeframe") == bad["timeframe"])
        short = quarantine.row_id(bad["row_hash"])[:8]
        console.print(f"[bold]{short}[/] {bad['market']} {bad['timeframe']} {bad['ts']:%Y-%m-%d %H:%M:%S}")
        for sentence in quarantine.explain(bad, rivals):
            console.print(f"  {sentence}", highlight=False, soft_wrap=True)
        for name in bad["reason"].split(","):
            console.print(f"  [dim]{quarantine.REMEDIES[name]}[/]", highlight=False, soft_wrap=True)
        seen = f"from {bad['source']}, first seen {bad['seen_at']:%Y-%m-%d %H:%M}; {_fate(bad)}"
        console.print(f"  [dim]{seen}[/]", soft_wrap=True)
    _say_rest(found, rows)


@app.command()
def release(
    note: Annotated[str, typer.Option("--note", help="Why: kept with the rows.")],
    market: _Market = None,
    month: _Month = None,
    at: _At = None,
    reason: _Reason = None,
    row: _Row = None,
    by: Annotated[
        str | None, typer.Option("--by", help="Who; default: the user logged in.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    run: Annotated[bool, typer.Option("--run", help="Then run the months that rest on these candles.")] = False,
) -> None:
    """Accept rows as candles; the decision is kept, and holds when the same rows are fetched again."""
    settings = load_settings()
    if not note.strip():
        raise SettingsError("a release needs a reason", where="--note", remedy="say why these rows are right")
    if not any((market, month, at, reason, row)):
        raise SettingsError("no rows are selected", remedy="name them by --market, --month, --at, --reason or --row")
    store = configured_store(settings)
    found = _selected(store, market, month, at, reason, row)
    waiting = found.filter(pl.col("released_at").is_null())
    if waiting.height and not yes:
        reasons = ", ".join(f"{count} {name}" for name, count in waiting["reason"].value_counts().sort("reason").rows())
        what = "row a candle" if waiting.height == 1 else "rows candles"
        typer.confirm(f"Make {waiting.height:,} {what} ({reasons})?", abort=True)
    from trading_assets.sources.ingest import quarantine

    done = quarantine.release(store, found, by=by or getpass.getuser(), note=note.strip(), now=datetime.now(UTC))
    before = f", {done.before:,} had been before" if done.before else ""
    said = "row is a candle" if done.released == 1 else "rows are candles"
    console.print(f"{done.released:,} {said} now{before}")
    for name, (first, last) in done.spans.items():
        months = _resting_on(settings, first, last)
        if run:
            _run(settings, name, months)
        else:
            command = f"trading backfill --market {name} --from {months[0]} --to {months[1]}"
            console.print(f"bars, features and labels follow with: {command}", soft_wrap=True)


def _selected(
    store: Store, market: str | None, month: str | None, at: str | None, reason: str | None, row: str | None
) -> pl.DataFrame:
    from trading_assets.sources import RULES
    from trading_assets.sources.ingest import quarantine

    if reason is not None and reason not in RULES:
        raise SettingsError(f"no reason {reason!r}", where="--reason", remedy=f"one of {', '.join(RULES)}")
    start, end = _window(month, at)
    found = quarantine.select(store, market=market, reason=reason, start=start, end=end, row=row)
    if found.is_empty():
        raise TradingError("no such rows in quarantine", remedy="`trading quarantine list` counts what there is")
    return found


def _window(month: str | None, at: str | None) -> tuple[datetime | None, datetime | None]:
    try:
        if at is not None:
            moment = datetime.fromisoformat(at)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
            return moment, moment + timedelta(minutes=1)
        if month is not None:
            first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
            return first, (first + timedelta(days=31)).replace(day=1)
    except ValueError:
        given = at or month
        raise SettingsError(
            f"{given!r} is no time", remedy="write --month 2025-03 or --at '2025-03-04 05:06'"
        ) from None
    return None, None


def _table(*columns: str, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _fate(bad: dict[str, Any]) -> str:
    if bad["released_at"] is None:
        return "set apart"
    return f"released {bad['released_at']:%Y-%m-%d %H:%M} by {bad['released_by']}: {bad['note']}"


def _number(value: object) -> str:
    return "" if value is None else f"{value:.10g}"


def _say_rest(found: pl.DataFrame, rows: int) -> None:
    if found.height > rows:
        console.print(f"... {found.height - rows:,} more rows; see more with --rows")


def _resting_on(settings: Settings, first: datetime, last: datetime) -> tuple[str, str]:
    """The months whose bars, features or labels may rest on candles of a span."""
    from trading_assets.features import lookback_bars

    reach = max(
        one.timeframe.length * (lookback_bars(one.timeframe, plugins=settings.plugged) + one.horizon_bars)
        for one in settings.labels.values()
    )
    newest = settings.history.end - timedelta(days=1) if settings.history.end else datetime.now(UTC).date()
    return f"{first:%Y-%m}", f"{max(first.date(), min((last + reach).date(), newest)):%Y-%m}"


def _run(settings: Settings, market: str, months: tuple[str, str]) -> None:
    from trading_cli.market_data.backfill import backfill_markets

    failed = [result for result in backfill_markets(settings, [market], *months) if not result.success]
    if failed:
        raise TradingError(f"the run of {market} failed", remedy="the reasons stand above and in the UI")
