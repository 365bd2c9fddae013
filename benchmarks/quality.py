"""Quality: all candle checks of a year of minutes of one market, clean and with faults; beside one sort by Polars."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from benchmarks.table import Measurement, Target, best_of, main
from benchmarks.walk import YEAR_OF_MINUTES, walk
from trading_assets.core.candles import CANDLE_COLUMNS
from trading_assets.quality import Stretch, inspect
from trading_assets.settings.sections.quality import QualitySettings
from trading_assets.store.tables import CANDLE_GAPS


def run() -> list[Measurement]:
    """Time the checks."""
    bars = walk(YEAR_OF_MINUTES, timeframe="1m", scale=1.5e-4)
    candles = bars.with_columns(market=pl.lit("m:A/B"), timeframe=pl.lit("1m")).select(list(CANDLE_COLUMNS))
    row = pl.int_range(pl.len())
    spoilt = candles.with_columns(
        high=pl.when(row % 50_000 == 7).then(pl.col("high") * 1.5).otherwise("high"),
        volume=pl.when(row > YEAR_OF_MINUTES // 2).then(pl.col("volume") * 100).otherwise("volume"),
    ).filter(row % 10_000 > 300)
    return [
        Measurement(
            f"quality: all checks of a year of 1m candles, {name}",
            best_of(lambda frame=frame: inspect(_stretch(frame), QualitySettings()), repeat=5),
            frame.height,
            "one sort by Polars",
            best_of(lambda frame=frame: frame.sort("close"), repeat=5),
            Target(max_seconds=1.0),
        )
        for name, frame in (("clean", candles), ("with faults", spoilt))
    ]


def _stretch(candles: pl.DataFrame) -> Stretch:
    first, end = candles["ts"][0], candles["ts"][-1] + timedelta(minutes=1)
    starts = pl.datetime_range(first, end, "1mo", eager=True).to_list()
    months = tuple(zip(starts, [*starts[1:], end], strict=True))
    return Stretch(
        market="m:A/B",
        timeframe="1m",
        candles=candles,
        months=months,
        listed=first,
        now=end,
        ledger=pl.DataFrame(schema=CANDLE_GAPS.columns),
        second=candles.select("ts", "close"),
        second_name="n:A/B",
    )


if __name__ == "__main__":
    main(run, __doc__, title="Quality")
