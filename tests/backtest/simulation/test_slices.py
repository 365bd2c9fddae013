"""Candles as a price path: order, times, exact numbers."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backtest.worlds import MINUTE, QUARTER, START, A, candles, engine_bars, walk
from tests.examples import examples
from trading_assets.backtest.simulation import venue
from trading_assets.backtest.simulation.slices import MarketRules, decision_bars, price_path
from trading_assets.core.errors import SettingsError

LATENCY = timedelta(milliseconds=100)
PATH = {"timeframe": "1m", "decision_timeframe": "15m", "latency": LATENCY}


def test_a_candle_goes_to_its_low_before_its_high() -> None:
    path = price_path(candles([(10, 12, 9, 11)]), **PATH)
    assert path.select("open", "high", "low", "close").rows() == [
        (10, 10, 10, 10),
        (10, 10, 10, 10),
        (10, 10, 9, 9),
        (9, 12, 9, 11),
    ]
    half, end = START + MINUTE / 2, START + MINUTE - timedelta(milliseconds=1)
    assert path["at"].to_list() == [START + LATENCY, START + 2 * LATENCY, half, end]


def test_a_candle_too_narrow_for_both_barriers_stays_one_bar() -> None:
    frame = candles([(100, 101, 100, 101), (101, 103, 100, 101)])
    path = price_path(frame, **PATH, barrier_ratio=1.02 / 0.99)
    assert path.select("open", "high", "low", "close").rows()[2:] == [
        (100, 101, 100, 101),
        (101, 101, 100, 100),
        (100, 103, 100, 101),
    ]


def test_the_best_case_goes_to_the_high_first() -> None:
    path = price_path(candles([(10, 12, 9, 11)]), **PATH, low_first=False)
    assert path.select("open", "high", "low", "close").rows()[2:] == [(10, 12, 10, 12), (12, 12, 9, 11)]


@given(seed=st.integers(0, 1000), gap_share=st.sampled_from([0.0, 0.4]))
@examples(30)
def test_the_path_keeps_every_candle_and_its_order(seed: int, gap_share: float) -> None:
    frame = walk(300, seed=seed, gap_share=gap_share)
    path = price_path(frame, **PATH)
    assert path["at"].is_sorted()
    again = path.group_by_dynamic("at", every="1m").agg(
        pl.col("open").first(), pl.col("high").max(), pl.col("low").min(), pl.col("close").last()
    )
    assert again.rows() == frame.select("ts", "open", "high", "low", "close").rows()


def test_the_first_candle_after_a_decision_opens_twice_even_after_a_gap() -> None:
    frame = candles([(10, 10, 10, 10)] * 60).filter(pl.col("ts").dt.minute().is_in([0, 1, 20, 21, 45]))
    path = price_path(frame, **PATH)
    openings = path.filter(pl.col("at") - pl.col("at").dt.truncate("1m") <= 2 * LATENCY)
    assert openings["at"].dt.minute().to_list() == [0, 0, 20, 20, 45, 45]


def test_only_closed_decision_bars_are_made() -> None:
    bars = decision_bars(walk(40, seed=1), timeframe="1m", decision_timeframe="15m", until=START + 2 * QUARTER)
    assert bars["known_at"].to_list() == [START + QUARTER, START + 2 * QUARTER]
    with pytest.raises(SettingsError, match="1h"):
        decision_bars(walk(40, seed=1), timeframe="1h", decision_timeframe="15m", until=START)


@pytest.mark.parametrize(("price", "decimals"), [(100.0, 0), (0.1234, 4), (42_123.5, 1), (1 / 3, 11)])
def test_a_market_has_as_many_decimals_as_its_prices(price: float, decimals: int) -> None:
    assert MarketRules.of(candles([(price,) * 4])).price_precision == decimals


def test_the_engine_gets_exactly_the_numbers_of_the_frame() -> None:
    frame = walk(500, seed=3)
    path = price_path(frame, **PATH).with_columns(volume=pl.Series(np.round(np.linspace(0, 1e9, 1068), 3)).head(1068))
    bars = engine_bars(venue.Feed(A, "1m", MarketRules(2, 3), path))
    assert len(bars) == path.height
    for bar, row in zip(bars, path.iter_rows(named=True), strict=True):
        for name in ("open", "high", "low", "close", "volume"):
            assert float(str(getattr(bar, name))) == row[name]
        assert bar.ts_event == int(row["at"].timestamp() * 1e6) * 1000
