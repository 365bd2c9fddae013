"""Bars that close by activity instead of by the clock: so much volume, so much value, or so much imbalance.

Source: M. López de Prado, *Advances in Financial Machine Learning* (2018), section 2.3. Each day (UTC) starts a bar of
its own: so a history cut at any midnights gives the same bars, and where it begins matters no longer than that day.
Thresholds are fixed; the book's imbalance bars adapt theirs to an expectation, which depends on all bars before.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal, cast

import polars as pl

from trading_assets.core.candles import TS, require_columns, require_times, timeframe_delta
from trading_assets.core.errors import InvalidFrame, SettingsError
from trading_assets.labels.checks import check_timeframe, check_until

Measure = Literal["volume", "dollar", "imbalance"]

COLUMNS: Final = ("market", "ts", "known_at", "open", "high", "low", "close", "volume", "notional", "rows", "complete")
"""Of every bar; keyed as all bars are by market and ts."""

TOLERANCE: Final = 1e-9
"""Of the threshold: ten times 0.1 reach 1."""

_WHERE: Final = "alternative bars"
_DAY: Final = timedelta(days=1)

_COLUMNS: Final = {"volume": "volume", "dollar": "notional", "imbalance": "flow"}
"""What each measure sums. A closing row's surplus is not carried over: a bar says itself whether it is complete."""


def from_candles(
    candles: pl.DataFrame, *, timeframe: str, measure: Measure, threshold: float, until: datetime | None = None
) -> pl.DataFrame:
    """Bars from the finest candles of one market.

    A bar closes with the candle by which the measure reaches the threshold; within a candle nobody knows when.

    Parameters
    ----------
    candles
        ``market``, ``ts`` (open, UTC), ``open, high, low, close, volume``, ascending.
    timeframe
        Of the candles; a column ``timeframe`` must agree.
    measure
        ``volume`` (base units), ``dollar`` (quote units: volume times close), or ``imbalance``: quote units of rising
        minus falling candles, in either direction.
    threshold
        In the measure's unit.
    until
        Up to when the candles are complete (UTC), where the newest ones are missing; by default the last one's end.

    Returns
    -------
    polars.DataFrame
        :data:`COLUMNS`: ``ts`` is the first candle's open, ``known_at`` the last one's end, ``notional`` in quote
        units, ``rows`` the candles of the bar, ``complete`` false for what the day's end cut short: that it ended is
        known no earlier than the day. The bar under way is left out, unless its day has ended by ``until``.

    Raises
    ------
    InvalidFrame
        If columns are missing, a time is not UTC microseconds, is null or not ascending, a number is not one, or the
        candles are of another timeframe.
    SettingsError
        If the measure is unknown, the threshold is not positive, or ``until`` has no time zone.
    """
    _check(candles, ("market", "ts"), ("open", "high", "low", "close", "volume"), strictly=True)
    check_timeframe(candles, timeframe, where=_WHERE)
    value = pl.col("volume") * pl.col("close")
    rows = candles.with_columns(
        known_at=pl.col("ts") + timeframe_delta(timeframe),
        notional=value,
        flow=value * (pl.col("close") - pl.col("open")).sign(),
    )
    return _bars(rows, measure, threshold, until or cast("datetime | None", rows["known_at"].max()))


def from_trades(
    trades: pl.DataFrame, *, measure: Measure, threshold: float, until: datetime | None = None
) -> pl.DataFrame:
    """Bars from recorded trades of one market: as :func:`from_candles`, exact to the instant.

    Parameters
    ----------
    trades
        Rows of ``public_trades``: ``market, ts, known_at, price, quantity, side``, ascending. Trades of one
        instant stay together. ``imbalance`` counts what buyers took minus what sellers hit. A trade that arrived late
        makes its bar known late, and those after it on that day, which begin where it ended.
    measure, threshold
        As there.
    until
        Up to when the trades are complete; by default the last one's time.
    """
    _check(trades, ("market", "ts", "known_at", "side"), ("price", "quantity"), strictly=False)
    if measure == "imbalance" and not trades["side"].is_in(("buy", "sell")).fill_null(value=False).all():
        raise InvalidFrame("a side is neither buy nor sell", where=_WHERE, remedy="leave such trades out")
    taken = pl.when(pl.col("side") == "buy").then(1.0).otherwise(-1.0)
    if (trades["known_at"] < trades["ts"]).any():
        raise InvalidFrame("a trade is known before it happened", where=_WHERE, remedy="mend known_at")
    rows = (
        trades.with_columns(value=pl.col("price") * pl.col("quantity"))
        .group_by("market", "ts", maintain_order=True)
        .agg(
            pl.col("known_at").max(),
            open=pl.col("price").first(),
            high=pl.col("price").max(),
            low=pl.col("price").min(),
            close=pl.col("price").last(),
            volume=pl.col("quantity").sum(),
            notional=pl.col("value").sum(),
            flow=(pl.col("value") * taken).sum(),
        )
    )
    return _bars(rows, measure, threshold, until or cast("datetime | None", rows["ts"].max()))


def _bars(rows: pl.DataFrame, measure: Measure, threshold: float, until: datetime | None) -> pl.DataFrame:
    from trading_assets.labels.kernels import bar_numbers  # compiled on first use

    if measure not in _COLUMNS:
        raise SettingsError(f"the measure {measure!r}", where=_WHERE, remedy=f"one of {', '.join(_COLUMNS)}")
    if until is not None:
        check_until(until, where=_WHERE)
    if not threshold > 0:
        raise SettingsError(f"a threshold of {threshold}", where=_WHERE, remedy="more than 0, in the measure's unit")
    rows = rows.with_columns(day=pl.col("ts").dt.truncate("1d"))
    limit, column = threshold * (1 - TOLERANCE), _COLUMNS[measure]
    numbers = bar_numbers(rows["day"].to_physical().to_numpy(), rows[column].cast(pl.Float64).to_numpy(), limit)
    bars = (
        rows.with_columns(bar=numbers)
        .group_by("market", "day", "bar", maintain_order=True)
        .agg(
            pl.col("ts").first(),
            pl.col("known_at").max(),
            pl.col("open").first(),
            pl.col("high").max(),
            pl.col("low").min(),
            pl.col("close").last(),
            pl.col("volume").sum(),
            pl.col("notional").sum(),
            rows=pl.len(),
            reached=pl.col(column).sum().abs(),
        )
        .with_columns(last=pl.int_range(pl.len()).over("day") == pl.len().over("day") - 1)
        .with_columns(complete=~pl.col("last") | (pl.col("reached") >= limit))
        .filter(pl.col("complete") | (pl.col("day") + _DAY <= pl.lit(until, TS)))
    )
    known = pl.col("known_at").cum_max().over("day")  # where a bar begins depends on what came before it
    closed = pl.when("complete").then(known).otherwise(pl.max_horizontal(known, pl.col("day") + _DAY))
    return bars.with_columns(known_at=closed).select(COLUMNS)


def _check(frame: pl.DataFrame, columns: tuple[str, ...], numbers: tuple[str, ...], *, strictly: bool) -> None:
    require_columns(frame, (*columns, *numbers), where=_WHERE)
    require_times(frame, (name for name in columns if name in ("ts", "known_at")), where=_WHERE)
    if frame["market"].n_unique() > 1:
        raise InvalidFrame("several markets in one frame", where=_WHERE, remedy="give one at a time")
    step = frame["ts"].to_physical().diff().drop_nulls()
    if (step < (1 if strictly else 0)).any():
        raise InvalidFrame("ts is not ascending", where=_WHERE, remedy="sort by ts")
    for name in numbers:
        if not frame.schema[name].is_numeric():
            raise InvalidFrame(f"{name} is {frame.schema[name]}", where=_WHERE, remedy="make it Float64")
        least = pl.col(name) >= 0 if name in ("volume", "quantity") else pl.col(name) > 0
        bad = frame.select((~(least & pl.col(name).is_finite()).fill_null(value=False)).sum()).item()
        if bad:
            raise InvalidFrame(f"{bad} of {name} are not positive numbers", where=_WHERE, remedy="leave them out")
