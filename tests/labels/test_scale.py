"""Labels do not depend on the unit of the price, also where a candle's high or low is the barrier itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scaling import rescaled
from trading_assets.labels import triple_barrier
from trading_assets.settings import LabelSettings

START = datetime(2025, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TICKS, MINUTES = 100, 3_000
"""A coarse market: a price of a hundred ticks, so that barriers of one and two percent are touched exactly."""


@cache
def market() -> pl.DataFrame:
    rng = np.random.default_rng(5)
    close = np.clip(TICKS + np.cumsum(rng.integers(-1, 2, MINUTES)), 20, 400)
    opened = np.concatenate([[TICKS], close[:-1]])
    high, low = (
        edge(opened, close) + sign * rng.integers(0, 2, MINUTES) for edge, sign in ((np.maximum, 1), (np.minimum, -1))
    )
    ts = pl.datetime_range(START, START + (MINUTES - 1) * MINUTE, "1m", time_unit="us", eager=True)
    prices = {"open": opened, "high": high, "low": low, "close": close}
    return pl.DataFrame({"ts": ts, **{name: values.astype(float) for name, values in prices.items()}}).with_columns(
        volume=pl.lit(1.0)
    )


def labelled(power: int, barriers: str) -> pl.DataFrame:
    candles = rescaled(market(), power, 0)
    bars = candles.group_by_dynamic("ts", every="15m").agg(
        pl.lit("m:A/B").alias("market"), pl.col("high").max(), pl.col("low").min(), pl.col("close").last()
    )
    return triple_barrier(
        bars.with_columns(known_at=pl.col("ts") + 15 * MINUTE),
        candles,
        candle_timeframe="1m",
        settings=LabelSettings(take_profit_pct=2.0, stop_loss_pct=1.0, horizon_bars=6, barriers=barriers),
        until=START + MINUTES * MINUTE,
    )


@pytest.mark.parametrize("barriers", ["fixed", "atr", "volatility"])
@given(power=st.integers(-12, 6))
def test_a_market_in_other_units_has_the_same_labels(barriers: str, power: int) -> None:
    usual, other = labelled(0, barriers), labelled(power, barriers)
    assert usual.height > 90
    same = ["ts", "label_end", "barrier", "bars_to_hit", "label", "ambiguous"]
    assert other.select(same).equals(usual.select(same))
    for name in ("return", "take_profit", "stop_loss"):
        assert (other[name] - usual[name]).abs().max() < 1e-12


@given(power=st.integers(-12, 6), hundreds=st.integers(1, 400), target=st.booleans())
def test_a_price_at_the_barrier_itself_touches_it_at_any_scale(power: int, hundreds: int, target: bool) -> None:
    entry, touched = 100 * hundreds, (102 if target else 99) * hundreds
    ts = [START + 15 * MINUTE + n * MINUTE for n in range(15)]
    prices = [float(f"{entry}e{power}")] * 14 + [float(f"{touched}e{power}")]
    candles = pl.DataFrame({"ts": ts, **dict.fromkeys(("open", "high", "low", "close"), prices)}).cast(
        {"ts": pl.Datetime("us", "UTC")}
    )
    bar = pl.DataFrame({"market": ["m:A/B"], "ts": [START], "known_at": [START + 15 * MINUTE]}).cast(
        {"ts": pl.Datetime("us", "UTC"), "known_at": pl.Datetime("us", "UTC")}
    )
    settings = LabelSettings(take_profit_pct=2.0, stop_loss_pct=1.0, horizon_bars=1)
    label = triple_barrier(bar, candles, candle_timeframe="1m", settings=settings, until=START + 30 * MINUTE)
    assert label["barrier"].item() == ("take_profit" if target else "stop_loss")
