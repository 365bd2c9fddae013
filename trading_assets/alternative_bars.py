"""Bars that close by activity instead of by the clock: so much volume, so much value, or so much imbalance.

Source: M. López de Prado, *Advances in Financial Machine Learning* (2018), section 2.3. Each day (UTC) starts a bar of
its own: so any partition of the history gives the same bars, and none depends on where the history happens to begin.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.candles import TS, timeframe_delta
from trading_assets.errors import InvalidFrame, SettingsError
from trading_assets.labels.first_touch import first_touch
from trading_assets.labels.passes import in_passes

Measure = Literal["volume", "dollar", "imbalance"]

COLUMNS: Final = ("market", "ts", "known_at", "open", "high", "low", "close", "volume", "notional", "rows", "complete")
"""Of every bar; keyed as all bars are by market and ts."""

TOLERANCE: Final = 1e-9
"""Of the threshold: ten times 0.1 reach 1."""

_WHERE: Final = "alternative bars"
_DAY: Final = timedelta(days=1)

Floats = npt.NDArray[np.float64]


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
        Of the candles.
    measure
        ``volume`` (base units), ``dollar`` (quote units: volume times close), or ``imbalance``: quote units of rising
        minus falling candles, in either direction.
    threshold
        In the measure's unit.
    until
        Up to when the candles are complete, where the newest ones are missing; by default the last one's end.

    Returns
    -------
    polars.DataFrame
        :data:`COLUMNS`: ``ts`` is the first candle's open, ``known_at`` the last one's end, ``notional`` in quote
        units, ``rows`` the candles of the bar, ``complete`` false for what the day's end cut short: that it ended is
        known no earlier than the day. The bar under way is left out, unless its day has ended by ``until``.

    Raises
    ------
    InvalidFrame
        If columns are missing, ``ts`` is not UTC microseconds or not ascending, or a number is not one.
    SettingsError
        If the threshold is not positive.
    """
    _check(candles, ("market", "ts"), ("open", "high", "low", "close", "volume"), strictly=True)
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
    if not threshold > 0:
        raise SettingsError(f"a threshold of {threshold}", where=_WHERE, remedy="more than 0, in the measure's unit")
    rows = rows.with_columns(day=pl.col("ts").dt.truncate("1d"))
    number = _by_imbalance(rows, threshold) if measure == "imbalance" else _by_amount(rows, measure, threshold)
    bars = (
        rows.with_columns(number)
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
            reached=_reached(measure),
        )
        .with_columns(last=pl.int_range(pl.len()).over("day") == pl.len().over("day") - 1)
        .with_columns(complete=~pl.col("last") | (pl.col("reached") >= threshold * (1 - TOLERANCE)))
        .filter(pl.col("complete") | (pl.col("day") + _DAY <= pl.lit(until, TS)))
    )
    known = pl.col("known_at").cum_max().over("day")  # where a bar begins depends on what came before it
    closed = pl.when("complete").then(known).otherwise(pl.max_horizontal(known, pl.col("day") + _DAY))
    return bars.with_columns(known_at=closed).select(COLUMNS)


def _reached(measure: Measure) -> pl.Expr:
    total = pl.col({"volume": "volume", "dollar": "notional", "imbalance": "flow"}[measure]).sum()
    return total.abs() if measure == "imbalance" else total


def _by_amount(rows: pl.DataFrame, measure: Measure, threshold: float) -> pl.Series:
    """The bar of each row within its day: what was traded since the last bar closed reaches the threshold.

    The surplus of a closing row is not carried over, so that a bar says by itself whether it is complete.
    """
    column = "volume" if measure == "volume" else "notional"
    amount, total = rows[column].to_numpy(), _running(rows, column)
    limit, ends, stop, first = threshold * (1 - TOLERANCE), np.empty(len(total), np.int64), _day_ends(rows), 0
    while first < len(total):
        day = slice(first, int(stop[first]))
        ends[day] = first + np.searchsorted(total[day], total[day] - amount[day] + limit)
        first = day.stop
    return _chained(rows, ends)


def _by_imbalance(rows: pl.DataFrame, threshold: float) -> pl.Series:
    """The bar of each row within its day: signed value since the last bar closed leaves the corridor."""
    total = _running(rows, "flow")
    before = total - rows["flow"].to_numpy()
    limit = threshold * (1 - TOLERANCE)
    entry, stop, ends = np.arange(len(total)), _day_ends(rows), np.empty(len(total), np.int64)

    def find(part: slice) -> None:
        start = before[part]
        ends[part] = first_touch(total, total, entry[part], stop[part], above=start + limit, below=start - limit)

    in_passes(find, len(total))
    return _chained(rows, ends)


def _running(rows: pl.DataFrame, column: str) -> Floats:
    """The running sum of each day: one over the whole history would round differently wherever it begins."""
    return rows.select(pl.col(column).cum_sum().over("day")).to_series().to_numpy()


def _day_ends(rows: pl.DataFrame) -> npt.NDArray[np.int64]:
    """For each row the index after the last one of its day."""
    day = rows["day"].to_physical().to_numpy()
    return np.searchsorted(day, day, side="right").astype(np.int64)


def _chained(rows: pl.DataFrame, ends: npt.NDArray[np.int64]) -> pl.Series:
    """Number the bars: each starts after the last one's closing row, or with a new day; one step per bar."""
    following = np.minimum(ends + 1, _day_ends(rows)).tolist()
    starts, at = [], 0
    while at < len(following):
        starts.append(at)
        at = following[at]
    first = np.zeros(rows.height, dtype=np.int64)
    first[starts] = 1
    return pl.Series("bar", np.cumsum(first))


def _check(frame: pl.DataFrame, columns: tuple[str, ...], numbers: tuple[str, ...], *, strictly: bool) -> None:
    missing = [name for name in (*columns, *numbers) if name not in frame.columns]
    if missing:
        raise InvalidFrame(f"no column {', '.join(missing)}", where=_WHERE)
    for name in {"ts", "known_at"}.intersection(columns):
        if frame.schema[name] != TS:
            raise InvalidFrame(f"{name} is {frame.schema[name]}", where=_WHERE, remedy="make it Datetime(us, UTC)")
    if frame["market"].n_unique() > 1:
        raise InvalidFrame("several markets in one frame", where=_WHERE, remedy="give one at a time")
    step = frame["ts"].to_physical().diff().drop_nulls()
    if (step < (1 if strictly else 0)).any():
        raise InvalidFrame("ts is not ascending", where=_WHERE, remedy="sort by ts")
    for name in numbers:
        least = pl.col(name) >= 0 if name in ("volume", "quantity") else pl.col(name) > 0
        bad = frame.select((~(least & pl.col(name).is_finite()).fill_null(value=False)).sum()).item()
        if bad:
            raise InvalidFrame(f"{bad} of {name} are not positive numbers", where=_WHERE, remedy="leave them out")
