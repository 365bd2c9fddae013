"""The triple-barrier label: take-profit, stop-loss or the end of the horizon, whichever comes first.

Source: M. López de Prado, *Advances in Financial Machine Learning* (2018), chapter 3. The first touch is looked for on
the finest candles stored, not on the bars that the model sees.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from trading_assets.candles import TS, timeframe_delta
from trading_assets.errors import InvalidFrame
from trading_assets.labels.exits import Exits, Path, Trades
from trading_assets.labels.positions import Positions
from trading_assets.labels.widths import WIDTHS, widths
from trading_assets.settings import LabelSettings
from trading_assets.store.tables import LABELS

BAR: Final = timedelta(minutes=15)
"""The bar that `horizon_bars` counts."""

_BARRIERS: Final = pl.Series(["stop_loss", "time", "take_profit"])
"""By sign, from -1 on."""

_MICROSECOND: Final = timedelta(microseconds=1)
_PRICES: Final = ("open", "high", "low", "close")

Ints = npt.NDArray[np.int64]


def triple_barrier(
    bars: pl.DataFrame,
    candles: pl.DataFrame,
    *,
    candle_timeframe: str,
    settings: LabelSettings,
    until: datetime,
) -> pl.DataFrame:
    """Label each bar with the barrier that an entry at ``known_at`` touches first.

    Entry is the open of the candle that opens at ``known_at``. A candle touches a barrier where its high or low reaches
    it. A candle that *opens* beyond a barrier exits at that open, so ``return`` may exceed the barrier. Without a touch
    the exit is the close of the last candle that opened within the horizon. Candles missing within the horizon are
    absent facts: nothing is filled.

    Parameters
    ----------
    bars
        Bars of 15 minutes of one market: ``market, ts, known_at``, ascending; ``high, low, close`` too where the
        barriers are scaled. A column ``side`` (1 long, -1 short, 0 no bet) says what is entered; without it, long.
    candles
        The finest candles of that market: ``ts, open, high, low, close``, ascending, from the first ``known_at`` to
        ``until``.
    candle_timeframe
        The candles' timeframe, e.g. ``1m``.
    settings
        Barriers, the horizon in bars of 15 minutes, costs, the policy for ambiguous candles.
    until
        Up to when the candles are complete: only bars whose whole horizon ends by then get a label, also where a
        barrier was touched earlier. Otherwise the newest labels would all be quick touches.

    Returns
    -------
    polars.DataFrame
        Rows of the ``labels`` table. A bar has none whose entry candle is missing (see :func:`missing_entries`), whose
        barriers are still warming up, or which is no bet; neither has an ambiguous one where the policy is ``drop``.

    Raises
    ------
    InvalidFrame
        Columns or order of ``bars`` or ``candles`` are wrong, or a price is not a positive number.
    """
    bars = _with_barriers(bars, settings, until)
    check_bars(candles, ("ts", *_PRICES), "candles")
    times = _microseconds(candles["ts"])
    step = timeframe_delta(candle_timeframe) // _MICROSECOND
    positions = Positions(times, step)
    entry = positions.first_from(_microseconds(bars["known_at"]))
    found = _opens_there(bars, times, entry)
    if not found.all():
        bars, entry = bars.filter(pl.Series(found)), entry[found]
    if bars.is_empty():
        return pl.DataFrame(schema=LABELS.columns)

    known_at = _microseconds(bars["known_at"])
    horizon_end = known_at + _horizon(settings) // _MICROSECOND
    long, target, risk = bars["side"].to_numpy() > 0, *(bars[name].to_numpy() for name in WIDTHS)
    trades = Trades(entry, positions.first_from(horizon_end), horizon_end, long, target, risk)
    path = Path(times, step, *(candles[name].to_numpy() for name in _PRICES))
    exits = Exits.of(trades, path, best_case=settings.ambiguous == "best_case")
    earned = exits.gross - settings.cost_bps / 1e4
    frame = bars.with_columns(
        pl.Series("label_end", exits.label_end).cast(TS),
        pl.Series("entry_price", exits.entry_price),
        pl.Series("bars_to_hit", -((known_at - exits.label_end) // (BAR // _MICROSECOND)), dtype=pl.Int32),
        pl.Series("return", earned),
        pl.Series("label", np.where(exits.barrier > 0, earned > 0, exits.barrier), dtype=pl.Int8),
        pl.Series("ambiguous", exits.ambiguous),
        pl.lit(candle_timeframe).alias("resolution"),
        _BARRIERS.gather(exits.barrier.astype(np.int64) + 1).alias("barrier"),
    ).select(*LABELS.columns)
    return frame.filter(~pl.col("ambiguous")) if settings.ambiguous == "drop" else frame


def missing_entries(
    bars: pl.DataFrame, candles: pl.DataFrame, *, settings: LabelSettings, until: datetime
) -> pl.DataFrame:
    """The bars that get no label because the candle that opens at ``known_at`` is missing: ``market, ts, known_at``."""
    bars = _with_barriers(bars, settings, until).select("market", "ts", "known_at")
    times = _microseconds(candles["ts"])
    entry = np.searchsorted(times, _microseconds(bars["known_at"]))
    return bars.filter(pl.Series(~_opens_there(bars, times, entry)))


def label_window(start: datetime, end: datetime, *, settings: LabelSettings) -> tuple[datetime, datetime]:
    """The bars that the label partition ``[start, end)`` holds: ``first <= ts < last``.

    A partition holds the bars whose horizon ends within it, so that it needs no candle after its end and partitions
    run one by one or all at once give the same table. In terms of the bar's open: ``start - horizon <= ts < end -
    horizon``. The candles needed are those from ``first`` to ``end``.
    """
    return start - _horizon(settings), end - _horizon(settings)


def _horizon(settings: LabelSettings) -> timedelta:
    return settings.horizon_bars * BAR


def _with_barriers(bars: pl.DataFrame, settings: LabelSettings, until: datetime) -> pl.DataFrame:
    """The bars that can be entered on and whose horizon ends in time, with ``side`` and the barriers' distances."""
    needed = () if settings.barriers == "fixed" else ("high", "low", "close")
    check_bars(bars, ("market", "ts", "known_at", *needed), "bars")
    side = pl.col("side").cast(pl.Int8) if "side" in bars.columns else pl.lit(1, pl.Int8)
    return (
        bars.select("market", "ts", "known_at", side.alias("side"))
        .hstack(widths(bars, settings))
        .filter(
            pl.col("known_at") <= until - _horizon(settings), pl.col("take_profit").is_not_null(), pl.col("side") != 0
        )
    )


def _opens_there(bars: pl.DataFrame, times: Ints, entry: Ints) -> npt.NDArray[np.bool_]:
    """Whether the candle ``entry`` opens at the bar's ``known_at``."""
    if not len(times):
        return np.zeros(len(entry), dtype=np.bool_)
    same: npt.NDArray[np.bool_] = times.take(entry, mode="clip") == _microseconds(bars["known_at"])
    return same


def check_bars(frame: pl.DataFrame, columns: tuple[str, ...], name: str) -> None:
    """Raise ``InvalidFrame``: columns missing, times of another type or not ascending, prices not positive numbers."""
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise InvalidFrame(f"no column {', '.join(missing)}", where=f"labels: {name}")
    for column in columns:
        if column in ("ts", "known_at") and frame.schema[column] != TS:
            raise InvalidFrame(
                f"{column} is {frame.schema[column]}", where=f"labels: {name}", remedy="make it Datetime(us, UTC)"
            )
    times = _microseconds(frame["ts"])
    if (times[1:] <= times[:-1]).any():
        raise InvalidFrame(
            "ts is not strictly ascending", where=f"labels: {name}", remedy="give one market, sorted and unique by ts"
        )
    for column in (column for column in columns if column in _PRICES):
        prices = frame[column].to_numpy()
        if len(prices) and not (prices.min() > 0 and prices.max() < np.inf):  # both are NaN where one is
            raise InvalidFrame(
                f"{column} is not a positive number everywhere",
                where=f"labels: {name}",
                remedy="leave such candles out: a missing candle touches nothing",
            )


def _microseconds(series: pl.Series) -> Ints:
    return series.to_physical().to_numpy()
