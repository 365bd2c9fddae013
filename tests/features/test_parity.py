"""Where TA-Lib defines an indicator, our value is its value."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import talib

from trading_assets.features import compute

WARM_UP = 4_000
TOLERANCE = 1e-9


def _lagged(values: np.ndarray, bars: int) -> np.ndarray:
    return np.concatenate([np.full(bars, np.nan), values[:-bars]])


def _by_talib(bars: pl.DataFrame) -> dict[str, np.ndarray]:
    """Our features' names -> TA-Lib's values, in our unit."""
    open_, high, low, close, volume = (bars[name].to_numpy() for name in ("open", "high", "low", "close", "volume"))
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    macd, signal, hist = talib.MACD(close, 12, 26, 9)
    stoch_k, stoch_d = talib.STOCH(high, low, close, 14, 3, 0, 3, 0)
    aroon_down, aroon_up = talib.AROON(high, low, 25)
    ema = {bars_: talib.EMA(close, bars_) for bars_ in (9, 21, 50, 200)}
    return {
        **{f"ema_{bars_}": values for bars_, values in ema.items()},
        **{f"ema_{bars_}_distance": close / ema[bars_] - 1 for bars_ in (9, 21, 50)},
        **{f"ema_{bars_}_slope": ema[bars_] / _lagged(ema[bars_], 10) - 1 for bars_ in (21, 50)},
        **{f"sma_{bars_}_distance": close / talib.SMA(close, bars_) - 1 for bars_ in (96, 672)},
        **{f"roc_{bars_}": talib.ROCP(close, bars_) for bars_ in (1, 4, 16, 48, 96, 672)},
        **{f"rsi_{bars_}": talib.RSI(close, bars_) for bars_ in (14, 28)},
        "macd": macd / close,
        "macd_signal": signal / close,
        "macd_hist": hist / close,
        "adx_14": talib.ADX(high, low, close, 14),
        "plus_di_14": talib.PLUS_DI(high, low, close, 14),
        "minus_di_14": talib.MINUS_DI(high, low, close, 14),
        "aroon_up_25": aroon_up,
        "aroon_down_25": aroon_down,
        "aroon_oscillator_25": talib.AROONOSC(high, low, 25),
        "linear_slope_48": talib.LINEARREG_SLOPE(close, 48) / close,
        "trix_15": talib.TRIX(close, 15) / 100,
        "stoch_k_14": stoch_k,
        "stoch_d_14": stoch_d,
        "stoch_rsi_14": talib.STOCHRSI(close, 14, 14, 3, 0)[1],
        "williams_r_28": talib.WILLR(high, low, close, 28),
        "cci_20": talib.CCI(high, low, close, 20),
        "ultimate_oscillator": talib.ULTOSC(high, low, close, 7, 14, 28),
        "body_share": talib.BOP(open_, high, low, close),
        "mfi_14": talib.MFI(high, low, close, volume, 14),
        "natr_14": talib.NATR(high, low, close, 14) / 100,
        "true_range_ratio_14": talib.TRANGE(high, low, close) / talib.ATR(high, low, close, 14),
        "bollinger_percent_b_20": (close - lower) / (upper - lower),
        "bollinger_width_20": (upper - lower) / middle,
        "donchian_width_20": (talib.MAX(high, 20) - talib.MIN(low, 20)) / close,
        "donchian_width_96": (talib.MAX(high, 96) - talib.MIN(low, 96)) / close,
    }


def _assert_parity(bars: pl.DataFrame, *, warm_up: int = WARM_UP) -> None:
    features = compute(bars)
    close = bars["close"].to_numpy()[bars.height - features.height :]
    ours = {name: features[name].to_numpy() for name in features.columns[3:]}
    ours |= {f"ema_{bars_}": close / (1 + ours[f"ema_{bars_}_distance"]) for bars_ in (9, 21, 50, 200)}
    for name, theirs in _by_talib(bars).items():
        value, expected = ours[name][warm_up - bars.height :], theirs[warm_up:]
        allowed = TOLERANCE * np.maximum(np.abs(expected), np.median(np.abs(expected)))
        worst = np.argmax(np.abs(value - expected) - allowed)
        assert np.abs(value - expected)[worst] <= allowed[worst], (name, worst, value[worst], expected[worst])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_values_equal_talib_on_random_walks(make_bars, seed):
    _assert_parity(make_bars(12_000, seed=seed))


def test_values_equal_talib_on_a_coarse_tick_with_many_equal_prices(make_bars):
    _assert_parity(make_bars(12_000, seed=4, tick=0.05))


def test_values_equal_talib_on_recorded_candles(real_bars):
    for candles in real_bars.values():
        _assert_parity(candles, warm_up=min(WARM_UP, candles.height - 1_000))
