"""TA-Lib's values of what it defines too, in our units; ``python -m tests.features.talib_peer`` writes the table."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import talib

from trading_assets.core.timeframes import Timeframe
from trading_assets.features import compute, registry
from trading_assets.features.framework.spans import DAY, WEEK, Span, bars_of

M15 = Timeframe.parse("15m")

WARM_UP = 4_000
TOLERANCE = 1e-9
"""Relative to the larger of a value and its column's median magnitude: where a difference crosses zero, any two ways to
compute it differ by all of its size."""

type Values = Callable[..., np.ndarray]


def lagged(values: np.ndarray, bars: int) -> np.ndarray:
    return np.concatenate([np.full(bars, np.nan), values[:-bars]])


def by_talib(bars: pl.DataFrame, timeframe: Timeframe) -> dict[str, tuple[str, np.ndarray]]:
    """Feature -> TA-Lib's function and its values in the feature's unit."""
    o, h, low, c, v = (bars[name].to_numpy() for name in ("open", "high", "low", "close", "volume"))
    upper, middle, lower = talib.BBANDS(c, 20, 2, 2)
    macd, signal, hist = talib.MACD(c, 12, 26, 9)
    stoch_k, stoch_d = talib.STOCH(h, low, c, 14, 3, 0, 3, 0)
    aroon_down, aroon_up = talib.AROON(h, low, 25)
    ema = {bars_: talib.EMA(c, bars_) for bars_ in (9, 21, 50, 200)}
    atr, mean_volume = talib.ATR(h, low, c, 14), talib.EMA(v, 10)
    spans = [span for span in (Span("12h"), DAY, WEEK) if span.bars(timeframe) > 1]
    day = max(DAY.bars(timeframe), 2)
    hl, obv = (h + low) / 2, talib.OBV(c, v)
    values = {
        **{f"ema_{n}_distance": ("EMA", c / ema[n] - 1) for n in (9, 21, 50)},
        **{f"ema_{n}_slope": ("EMA", ema[n] / lagged(ema[n], 10) - 1) for n in (9, 21, 50)},
        "ema_200": ("EMA", ema[200]),
        **{f"sma_{n}_distance": ("SMA", c / talib.SMA(c, n.bars(timeframe)) - 1) for n in (DAY, WEEK) if n in spans},
        **{f"roc_{n}": ("ROCP", talib.ROCP(c, bars_of(n, timeframe))) for n in (1, 4, 16, *spans)},
        **{f"rsi_{n}": ("RSI", talib.RSI(c, n)) for n in (14, 28)},
        "macd": ("MACD", macd / c),
        "macd_signal": ("MACD", signal / c),
        "macd_hist": ("MACD", hist / c),
        "adx_14": ("ADX", talib.ADX(h, low, c, 14)),
        "adxr_14": ("ADXR", talib.ADXR(h, low, c, 14)),
        "plus_di_14": ("PLUS_DI", talib.PLUS_DI(h, low, c, 14)),
        "minus_di_14": ("MINUS_DI", talib.MINUS_DI(h, low, c, 14)),
        "aroon_up_25": ("AROON", aroon_up),
        "aroon_down_25": ("AROON", aroon_down),
        "aroon_oscillator_25": ("AROONOSC", talib.AROONOSC(h, low, 25)),
        "linear_slope_48": ("LINEARREG_SLOPE", talib.LINEARREG_SLOPE(c, 48) / c),
        "forecast_14_distance": ("TSF", 1 - talib.TSF(c, 14) / c),
        "trix_15": ("TRIX", talib.TRIX(c, 15) / 100),
        "dema_21_distance": ("DEMA", c / talib.DEMA(c, 21) - 1),
        "tema_21_distance": ("TEMA", c / talib.TEMA(c, 21) - 1),
        "t3_5_distance": ("T3", c / talib.T3(c, 5, 0.7) - 1),
        "wma_20_distance": ("WMA", c / talib.WMA(c, 20) - 1),
        "trima_20_distance": ("TRIMA", c / talib.TRIMA(c, 20) - 1),
        "kama_10_distance": ("KAMA", c / talib.KAMA(c, 10) - 1),
        "hull_16_distance": ("WMA", c / talib.WMA(2 * talib.WMA(c, 8) - talib.WMA(c, 16), 4) - 1),
        "coppock": ("ROCP, WMA", talib.WMA(talib.ROCP(c, 14) + talib.ROCP(c, 11), 10)),
        "awesome_oscillator": ("SMA", (talib.SMA(hl, 5) - talib.SMA(hl, 34)) / c),
        "detrended_price_20": ("SMA", lagged(c, 11) / talib.SMA(c, 20) - 1),
        "stoch_k_14": ("STOCH", stoch_k),
        "stoch_d_14": ("STOCH", stoch_d),
        "stoch_rsi_14": ("STOCHRSI", talib.STOCHRSI(c, 14, 14, 3, 0)[1]),
        "williams_r_28": ("WILLR", talib.WILLR(h, low, c, 28)),
        "cci_20": ("CCI", talib.CCI(h, low, c, 20)),
        "ultimate_oscillator": ("ULTOSC", talib.ULTOSC(h, low, c, 7, 14, 28)),
        "body_share": ("BOP", talib.BOP(o, h, low, c)),
        "mfi_14": ("MFI", talib.MFI(h, low, c, v, 14)),
        "obv_slope_20": ("OBV", (obv - lagged(obv, 20)) / talib.SUM(v, 20)),
        "chaikin_oscillator_3_10": ("ADOSC", talib.ADOSC(h, low, c, v, 3, 10) / mean_volume),
        "natr_14": ("NATR", talib.NATR(h, low, c, 14) / 100),
        "true_range_ratio_14": ("TRANGE, ATR", talib.TRANGE(h, low, c) / atr),
        "bollinger_percent_b_20": ("BBANDS", (c - lower) / (upper - lower)),
        "bollinger_width_20": ("BBANDS", (upper - lower) / middle),
        "donchian_width_20": ("MAX, MIN", (talib.MAX(h, 20) - talib.MIN(low, 20)) / c),
        "donchian_width_1d": ("MAX, MIN", (talib.MAX(h, day) - talib.MIN(low, day)) / c),
    }
    known = registry(timeframe)
    for name, feature in known.items():
        if feature.family == "patterns":
            function = feature.source.split()[1]
            values[name] = (function, getattr(talib, function)(o, h, low, c) / 100)
    return {name: one for name, one in values.items() if name in known or name == "ema_200"}


def deviations(bars: pl.DataFrame, timeframe: Timeframe, *, warm_up: int = WARM_UP) -> dict[str, tuple[str, float]]:
    """Feature -> TA-Lib's function and our largest deviation from it after the warm-up, in units of the size above."""
    features = compute(bars, timeframe=timeframe, features=[*registry(timeframe), "ema_200_distance"])
    close = bars["close"][-features.height :]
    warm_up = max(warm_up, bars.height - features.height)
    # the mean itself, as a distance to a mean of 200 bars is small against the price
    features = features.with_columns(ema_200=close / (1 + features["ema_200_distance"]))
    found = {}
    for name, (function, theirs) in by_talib(bars, timeframe).items():
        ours, expected = features[name].to_numpy()[warm_up - bars.height :], theirs[warm_up:]
        size = np.maximum(np.abs(expected), max(np.median(np.abs(expected)), 1e-300))
        off = np.abs(ours - expected)
        found[name] = (function, float(np.max(np.where(off == 0, 0.0, off / size))))
    return found


def markdown(frames: dict[str, pl.DataFrame]) -> str:
    """The page ``docs/reference/talib-parity.md``."""
    per_frame = [deviations(bars, M15, warm_up=min(WARM_UP, bars.height - 1_000)) for bars in frames.values()]
    lines = [
        "# Parity with TA-Lib\n",
        "Generated by `python -m tests.features.talib_peer DIRECTORY > docs/reference/talib-parity.md`, checked by",
        "`python -m pytest tests/features/indicators/test_parity.py`. The largest deviation from TA-Lib after",
        "a warm-up of 4,000 bars (1,000 bars before the end of shorter files), relative to the",
        f"larger of a value and its column's median size; allowed is "
        f"1e-9. Candles: {', '.join(frames)} (recorded, Binance).\n",
        "| feature | TA-Lib | largest deviation |",
        "|---|---|---:|",
    ]
    groups = {name: feature.family for name, feature in registry(M15).items()}
    names = sorted(per_frame[0], key=lambda name: (groups.get(name, "trend"), name))
    for name in names:
        worst = max(one[name][1] for one in per_frame)
        lines.append(f"| `{name}` | {per_frame[0][name][0]} | {'equal' if worst == 0 else f'{worst:.0e}'} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    from tests.features.conftest import recorded

    sys.stdout.write(markdown(recorded(Path(sys.argv[1]))))
