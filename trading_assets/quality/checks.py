"""The candle checks by name: what each catches, what to do about it, and how it is applied to a stretch of candles."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from trading_assets.quality import clocks, gaps, outliers, runs, shape, steps
from trading_assets.quality.finding import Finding
from trading_assets.settings.sections.quality import QualitySettings

MARGIN: Final = timedelta(days=2)
"""What is read before and after the months that are judged: neighbours of their first and last candles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Candles of one market, read once for all checks, and what they are judged by.

    Attributes
    ----------
    market, timeframe
        Whose candles.
    candles
        Rows of the table ``candles`` by ascending ``ts``: the months and, where stored, ``MARGIN`` around them.
    months
        Start and end (exclusive) of each month that is judged; they follow each other.
    listed
        Open time of the market's first stored candle; the start of the months where it has none.
    now
        The present time.
    ledger
        The market's rows of ``candle_gaps``.
    whole
        The months that ``months`` are days of; empty where they are whole.
    stored
        Open times of all stored candles of these months; None where ``candles`` has them.
    second
        ``ts`` and ``close`` of the second exchange's market over the same time; None where none is configured.
    second_name
        That market.
    events
        When the market's told events took effect.
    """

    market: str
    timeframe: str
    candles: pl.DataFrame
    months: tuple[tuple[datetime, datetime], ...]
    listed: datetime
    now: datetime
    ledger: pl.DataFrame
    whole: tuple[tuple[datetime, datetime], ...] = ()
    stored: pl.Series | None = None
    second: pl.DataFrame | None = None
    second_name: str = ""
    events: tuple[datetime, ...] = ()

    @property
    def start(self) -> datetime:
        """The first judged instant."""
        return self.months[0][0]

    @property
    def end(self) -> datetime:
        """The end of the last judged month, exclusive."""
        return self.months[-1][1]


Measure = Callable[[Stretch, QualitySettings], Finding]


@dataclass(frozen=True, slots=True)
class CandleCheck:
    """One check: what it makes sure of, what to do where it fails, and the function that measures."""

    text: str
    remedy: str
    measure: Measure


_AGAIN: Final = "trading backfill --again sets such candles apart and fetches the months anew"

CANDLE_CHECKS: Final[dict[str, CandleCheck]] = {
    "candle_schema": CandleCheck(
        "Every stored candle has the declared columns and types, no nulls, positive finite prices, no negative volume.",
        _AGAIN,
        lambda it, _: shape.schema(it.candles),
    ),
    "no_duplicates": CandleCheck(
        "No two candles share market, timeframe and ts.",
        "trading backfill --again leaves each key once; find out what else writes to the store",
        lambda it, _: shape.duplicates(it.candles),
    ),
    "ohlc_consistency": CandleCheck(
        "The high is the highest and the low the lowest of the four prices.",
        _AGAIN,
        lambda it, _: shape.inconsistent(it.candles),
    ),
    "monotone_time": CandleCheck(
        "Times ascend, and each is a multiple of the timeframe.",
        f"{_AGAIN}; see whether the market's `timeframe` is that of its source",
        lambda it, _: shape.off_time(it.candles, timeframe=it.timeframe),
    ),
    "gap_share": CandleCheck(
        "The share of missing candles in a month is within `quality.gap_share`.",
        "trading gaps says which, and why",
        lambda it, quality: gaps.gap_share(
            it.candles["ts"] if it.stored is None else it.stored,
            it.ledger,
            months=it.months,
            whole=it.whole,
            timeframe=it.timeframe,
            listed=it.listed,
            now=it.now,
            max_share=quality.gap_share.max_share,
            max_empty_share=quality.gap_share.max_empty_share,
        ),
    ),
    "clock_skew": CandleCheck(
        "No stored bar ends in the future.",
        "set this machine's clock (NTP), then trading backfill --again sets these bars apart until they have ended",
        lambda it, quality: clocks.from_the_future(
            it.candles, timeframe=it.timeframe, now=it.now, tolerance_s=quality.clock_skew.tolerance_s
        ),
    ),
    "frozen_prices": CandleCheck(
        "No run of bars with one and the same price is longer than `quality.frozen_prices.max_bars`.",
        "compare with another exchange: if the market was halted, raise `quality.frozen_prices.max_bars`; if the feed "
        "repeated its last price, trading backfill --again once its exchange has mended that",
        lambda it, quality: runs.frozen_prices(
            it.candles, timeframe=it.timeframe, max_bars=quality.frozen_prices.max_bars
        ),
    ),
    "outliers": CandleCheck(
        "No price is far from those before and after it; limits in `quality.outliers`. Looks ahead, as a check may.",
        "compare with another exchange: if the price was real, raise `quality.outliers.max_z`; if it was a bad print, "
        "trading backfill --again once its exchange has mended that",
        lambda it, quality: outliers.outliers(
            it.candles, max_z=quality.outliers.max_z, min_move_pct=quality.outliers.min_move_pct
        ),
    ),
    "level_step": CandleCheck(
        "No price goes to another level at once and stays there, but where the market's `events` say so.",
        "tell what it was under `events` of the market in the settings (docs/how-to/market-events.md); rows whose "
        "look-back or horizon crosses it are left out of training and trading anyway",
        lambda it, quality: steps.unexplained_steps(
            it.candles, timeframe=it.timeframe, min_factor=quality.level_step.min_factor, known=it.events
        ),
    ),
    "zero_volume": CandleCheck(
        "No run of bars without a trade is longer than `quality.zero_volume.max_bars`.",
        "a halted or dead market, or a source that fills gaps: take another one, then trading backfill --again, or "
        "raise `quality.zero_volume.max_bars`",
        lambda it, quality: runs.zero_volume(it.candles, timeframe=it.timeframe, max_bars=quality.zero_volume.max_bars),
    ),
    "volume_unit": CandleCheck(
        "Typical volumes do not change by more than `quality.volume_unit.max_factor` from one day to the next.",
        "see whether the source counts contracts or quote currency: name the column that counts base units under its "
        "`columns`, then trading backfill --again; if trade did change so much, raise `quality.volume_unit.max_factor`",
        lambda it, quality: outliers.volume_unit(
            it.candles, timeframe=it.timeframe, max_factor=quality.volume_unit.max_factor
        ),
    ),
    "second_exchange": CandleCheck(
        "Closes are within `quality.second_exchange.max_bps` of the market named as `second_exchange`, if one is.",
        "name a `second_exchange` of the same asset and currency; where the two do differ, raise "
        "`quality.second_exchange.max_bps`",
        lambda it, quality: _beside_second(it, quality),
    ),
    "freshness": CandleCheck(
        "The newest candle of a history that goes on today is within `quality.freshness.max_delay_minutes`.",
        "see whether the schedule is on and the exchange up, then trading backfill",
        lambda it, quality: clocks.stale(
            it.candles,
            timeframe=it.timeframe,
            start=it.start,
            end=it.end,
            now=it.now,
            max_delay=timedelta(minutes=quality.freshness.max_delay_minutes),
        ),
    ),
}
"""Check -> what it is; the names are those of the asset checks and of the settings under ``quality``."""


def _beside_second(it: Stretch, quality: QualitySettings) -> Finding:
    if it.second is None:
        return Finding(good="no `second_exchange` is configured for this market")
    limits = quality.second_exchange
    inside = it.candles.filter(pl.col("ts").is_between(it.start, it.end, closed="left"))
    return clocks.deviating(inside, it.second, name=it.second_name, max_bps=limits.max_bps, bars=limits.bars)


def inspect(stretch: Stretch, quality: QualitySettings, names: Iterable[str] = CANDLE_CHECKS) -> dict[str, Finding]:
    """Apply candle checks to a stretch.

    Parameters
    ----------
    stretch
        The candles and what they are judged by.
    quality
        The limits.
    names
        Which checks; those that are ``off`` are passed over.

    Returns
    -------
    dict
        Check -> what it found in the stretch's months.
    """
    wanted = [name for name in names if quality.severity(name) != "off"]
    return {name: CANDLE_CHECKS[name].measure(stretch, quality).within(stretch.start, stretch.end) for name in wanted}
