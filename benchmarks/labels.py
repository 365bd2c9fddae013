"""Labels: a year of minutes of entries at two horizons beside ml4t-engineer, the pipeline's own shape, and the rest."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from benchmarks.table import Measurement, Target, best_of, main
from benchmarks.walk import YEAR_OF_MINUTES, walk
from trading_assets.labels import average_uniqueness, return_attribution, trend_scanning, triple_barrier
from trading_assets.settings import LabelSettings
from trading_assets.settings.sections.exits import ExitSettings


def run() -> list[Measurement]:
    """Time labels."""
    bars = walk(YEAR_OF_MINUTES)
    _label(bars[:5_000], bars[:5_000], "15m", LabelSettings())  # compiles, or loads what an earlier run compiled
    measurements = []
    for horizon in (24, 1_440):
        settings = LabelSettings(horizon_bars=horizon)
        seconds = best_of(lambda settings=settings: _label(bars, bars, "15m", settings), repeat=5)
        measurements.append(
            Measurement(
                f"labels: triple barrier, horizon {horizon:,} bars",
                seconds,
                bars.height,
                "ml4t-engineer",
                _ml4t(bars, settings),
                Target(max_seconds=0.1),
            )
        )
    minutes = walk(YEAR_OF_MINUTES, timeframe="1m", scale=1.5e-4)
    quarters = minutes.gather_every(15).with_columns(known_at=pl.col("ts") + timedelta(minutes=15))
    seconds = best_of(lambda: _label(quarters, minutes, "1m", LabelSettings()), repeat=5)
    measurements.append(Measurement("labels: a year of 15m bars resolved on 1m candles", seconds, quarters.height))
    plan = ExitSettings()
    ladder = LabelSettings(barriers="plan", exit="ladder", exit_plan=plan, horizon_bars=192)
    seconds = best_of(lambda: _label(quarters, minutes, "1m", ladder), repeat=5)
    name = "labels: three targets, break-even, trailing: a year of 15m bars on 1m candles"
    measurements.append(Measurement(name, seconds, quarters.height, target=Target(max_seconds=0.5)))
    labels = _label(bars, bars, "15m", LabelSettings())
    others = {
        "labels: average uniqueness": lambda: average_uniqueness(labels),
        "labels: return attribution": lambda: return_attribution(labels, bars),
        "labels: trend scanning, 20 spans": lambda: trend_scanning(
            bars, spans=range(5, 25), until=bars["known_at"][-1]
        ),
    }
    return measurements + [Measurement(name, best_of(work), bars.height) for name, work in others.items()]


def _label(bars: pl.DataFrame, candles: pl.DataFrame, timeframe: str, settings: LabelSettings) -> pl.DataFrame:
    return triple_barrier(bars, candles, candle_timeframe=timeframe, settings=settings, until=candles["known_at"][-1])


def _ml4t(bars: pl.DataFrame, settings: LabelSettings) -> float | None:
    """Seconds of the same labels by ml4t-engineer, warm, where it is installed."""
    try:
        from ml4t.engineer.config import LabelingConfig
        from ml4t.engineer.labeling import triple_barrier_labels
    except ImportError:
        return None
    config = LabelingConfig.triple_barrier(
        upper_barrier=settings.take_profit_pct / 100,
        lower_barrier=settings.stop_loss_pct / 100,
        max_holding_period=settings.horizon_bars,
    )
    columns = {"price_col": "close", "high_col": "high", "low_col": "low", "timestamp_col": "ts", "open_col": "open"}

    def label(frame: pl.DataFrame) -> pl.DataFrame:
        return triple_barrier_labels(frame.drop("known_at"), config, **columns)

    label(bars[:5_000])  # compiles
    return best_of(lambda: label(bars), repeat=2)


if __name__ == "__main__":
    main(run, __doc__, title="Labels")
