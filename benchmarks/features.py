"""Features: a year of minutes' worth of rows, one more day, one more bar; beside pandas-ta-classic and TA-Lib."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import polars as pl

from benchmarks.table import Measurement, Target, best_of, print_table
from benchmarks.walk import YEAR_OF_MINUTES, walk
from trading_assets.features import LOOKBACK_BARS, compute, feature_names

BARS_OF_A_DAY = 96


def run() -> list[Measurement]:
    """Time features."""
    bars = walk(YEAR_OF_MINUTES)
    count = len(feature_names())
    seconds = best_of(lambda: compute(bars))
    pandas_columns, pandas_seconds = _pandas_ta(bars)
    talib_columns, talib_seconds = _talib(bars)
    day = bars[-(BARS_OF_A_DAY + LOOKBACK_BARS - 1) :]
    latencies = _latencies(bars)
    return [
        Measurement(
            f"features: {count} columns, one market",
            seconds,
            bars.height,
            f"pandas-ta-classic, {pandas_columns} of them",
            pandas_seconds,
            Target(max_seconds=1.0),
        ),
        Measurement(
            "features: per column", seconds / count, bars.height, "TA-Lib's C loops", talib_seconds / talib_columns
        ),
        Measurement("features: one more day, whatever the history", best_of(lambda: compute(day)), BARS_OF_A_DAY),
        Measurement("features: one live bar, median", statistics.median(latencies)),
        Measurement("features: one live bar, p99", float(np.quantile(latencies, 0.99))),
    ]


def _latencies(bars: pl.DataFrame) -> list[float]:
    latencies = []
    for last in range(LOOKBACK_BARS, LOOKBACK_BARS + 300):
        tail = bars[last - LOOKBACK_BARS : last]
        begin = time.perf_counter()
        compute(tail)
        latencies.append(time.perf_counter() - begin)
    return latencies


def _talib(bars: pl.DataFrame) -> tuple[int, float]:
    """Columns and seconds of the indicators that TA-Lib has as well."""
    import talib as ta

    open_, high, low, close, volume = (bars[name].to_numpy() for name in ("open", "high", "low", "close", "volume"))
    calls: list[tuple[int, Callable[[], object]]] = [
        *((1, lambda span=span: ta.EMA(close, span)) for span in (9, 21, 50, 200)),
        *((1, lambda span=span: ta.ROCP(close, span)) for span in (1, 4, 16, 48, 96, 672)),
        *((1, lambda span=span: ta.SMA(close, span)) for span in (96, 672)),
        *((1, lambda span=span: ta.RSI(close, span)) for span in (14, 28)),
        (3, lambda: ta.MACD(close)),
        (1, lambda: ta.ADX(high, low, close)),
        (1, lambda: ta.PLUS_DI(high, low, close)),
        (1, lambda: ta.MINUS_DI(high, low, close)),
        (2, lambda: ta.AROON(high, low, 25)),
        (1, lambda: ta.AROONOSC(high, low, 25)),
        (1, lambda: ta.LINEARREG_SLOPE(close, 48)),
        (1, lambda: ta.TRIX(close, 15)),
        (2, lambda: ta.STOCH(high, low, close, 14, 3, 0, 3, 0)),
        (1, lambda: ta.STOCHRSI(close, 14, 14, 3, 0)),
        (1, lambda: ta.WILLR(high, low, close, 28)),
        (1, lambda: ta.CCI(high, low, close, 20)),
        (1, lambda: ta.ULTOSC(high, low, close)),
        (1, lambda: ta.BOP(open_, high, low, close)),
        (1, lambda: ta.MFI(high, low, close, volume, 14)),
        (1, lambda: ta.NATR(high, low, close, 14)),
        (2, lambda: ta.BBANDS(close, 20, 2, 2)),
    ]
    return sum(columns for columns, _ in calls), best_of(lambda: [call() for _, call in calls])


def _pandas_ta(bars: pl.DataFrame) -> tuple[int, float | None]:
    """Columns and seconds of the indicators that pandas-ta-classic has as well, where it is installed."""
    try:
        import pandas_ta_classic as ta
    except ImportError:
        return 0, None
    frame = bars.select("ts", "open", "high", "low", "close", "volume").to_pandas().set_index("ts")
    high, low, close, volume = (frame[name] for name in ("high", "low", "close", "volume"))
    native = {"talib": False}
    calls: list[tuple[int, Callable[[], object]]] = [
        *((1, lambda span=span: ta.ema(close, span, **native)) for span in (9, 21, 50, 200)),
        *((1, lambda span=span: ta.roc(close, span, **native)) for span in (1, 4, 16, 48, 96, 672)),
        *((1, lambda span=span: ta.rsi(close, span, **native)) for span in (14, 28)),
        (3, lambda: ta.macd(close, **native)),
        (3, lambda: ta.adx(high, low, close, **native)),
        (3, lambda: ta.aroon(high, low, 25, **native)),
        (1, lambda: ta.trix(close, 15)),
        (2, lambda: ta.stoch(high, low, close, 14, 3, 3)),
        (1, lambda: ta.willr(high, low, close, 28, **native)),
        (1, lambda: ta.cci(high, low, close, 20, **native)),
        (1, lambda: ta.uo(high, low, close, **native)),
        (1, lambda: ta.mfi(high, low, close, volume, 14, **native)),
        (1, lambda: ta.natr(high, low, close, 14, **native)),
        (2, lambda: ta.bbands(close, 20, 2, **native)),
        (2, lambda: ta.donchian(high, low, 20, 20)),
        (1, lambda: ta.cmf(high, low, close, volume, length=20)),
        (1, lambda: ta.tsi(close, 13, 25)),
        (1, lambda: ta.er(close, 20)),
    ]
    return sum(columns for columns, _ in calls), best_of(lambda: [call() for _, call in calls], repeat=1)


if __name__ == "__main__":
    print_table(run(), title="Features")
