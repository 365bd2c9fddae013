"""The newest barrier distances of many markets in one call are to the bit what each market's bars give alone."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from trading_assets.labels import newest_widths, scale_lookback, widths
from trading_assets.settings import LabelSettings

FIXED = LabelSettings(take_profit_pct=0.8, stop_loss_pct=0.4)
ATR = LabelSettings(barriers="atr", scale_bars=7, take_profit_multiple=2, stop_loss_multiple=1)
VOLATILITY = LabelSettings(barriers="volatility", scale_bars=9, horizon_bars=16)


def bars(market: int, rows: int) -> pl.DataFrame:
    rng = np.random.default_rng(market)
    close = 10.0 ** rng.integers(-6, 6) * np.exp(np.cumsum(rng.normal(0, 0.004, rows)))
    return pl.DataFrame({"high": close * 1.002, "low": close * 0.999, "close": close})


def still(rows: int) -> pl.DataFrame:
    return pl.DataFrame(dict.fromkeys(("high", "low", "close"), [100.0] * rows))


@pytest.mark.parametrize("settings", [FIXED, ATR, VOLATILITY], ids=["fixed", "atr", "volatility"])
def test_together_they_are_to_the_bit_what_each_is_alone(settings: LabelSettings) -> None:
    rows = scale_lookback(settings)
    broken = bars(50, rows).with_columns(low=pl.Series([math.nan, *[1.0] * (rows - 1)]))
    held = [*(bars(market, rows) for market in range(20)), still(rows), broken, bars(51, 2), bars(52, 1)]
    assert newest_widths(held, settings) == [widths(one, settings).row(-1) for one in held]
    assert newest_widths(held[:1], settings) == [widths(held[0], settings).row(-1)]
