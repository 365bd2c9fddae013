"""Lasting level steps are found wherever and however they come, and ordinary markets have none."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.quality.stretches import load, walk
from trading_assets.quality.steps import level_steps, unexplained_steps

ROW = pl.int_range(pl.len())
PRICES = ("open", "high", "low", "close")


def stepped(candles: pl.DataFrame, row: int, factor: float, *, halt: int = 0) -> pl.DataFrame:
    """The candles at another level from a row on, the ``halt`` candles before it missing."""
    moved = candles.with_columns(pl.when(row <= ROW).then(pl.col(n) * factor).otherwise(n).alias(n) for n in PRICES)
    return moved.filter(~ROW.is_between(row - halt, row - 1) if halt else pl.lit(value=True))


@given(
    row=st.integers(250, 1_300),
    factor=st.sampled_from([10.0, 0.1, 1000.0, 0.001, 2.0, 0.5, 100.0]),
    halt=st.sampled_from([0, 1, 240]),
    seed=st.integers(0, 50),
)
def test_a_lasting_step_is_found_where_it_is(row: int, factor: float, halt: int, seed: int) -> None:
    candles = walk(1, seed=seed)
    steps = level_steps(stepped(candles, row, factor, halt=halt), timeframe="1m", min_factor=1.5)
    assert steps["ts"].to_list() == [candles["ts"][row]]
    assert steps["factor"].item() == pytest.approx(factor, rel=0.2)
    assert steps["pause"].item() == timedelta(minutes=halt)
    bars = (
        stepped(candles, row, factor, halt=halt)
        .group_by_dynamic("ts", every="15m")
        .agg(pl.col("open").first(), pl.col("close").last())
    )
    within = level_steps(bars, timeframe="15m", min_factor=1.5)
    if max(factor, 1 / factor) >= 10 and (row - halt) // 15 > 5:
        assert within["ts"].to_list() == [candles["ts"][row].replace(minute=candles["ts"][row].minute // 15 * 15)]


def test_the_check_names_the_levels_and_an_event_explains_it() -> None:
    candles = stepped(walk(1), 700, 10.0, halt=240)
    at = walk(1)["ts"][700]
    finding = unexplained_steps(candles, timeframe="1m", min_factor=1.5)
    assert finding.rows["factor"].item() == pytest.approx(10, rel=0.1)
    assert f"before {at:%Y-%m-%d %H:%M}" in finding.summary()
    assert "-fold up) after 240 min without candles, and no return" in finding.summary()
    explained = unexplained_steps(candles, timeframe="1m", min_factor=1.5, known=[at.replace(hour=0, minute=0)])
    assert explained.passed


def test_a_node_knows_a_step_from_its_first_bar_on() -> None:
    candles = stepped(walk(1), 700, 0.001)[:701]
    assert level_steps(candles, timeframe="1m", min_factor=1.5).is_empty()
    assert level_steps(candles, timeframe="1m", min_factor=1.5, least_after=1)["ts"].to_list() == [candles["ts"][700]]


@pytest.mark.parametrize("bars", [1, 10, 29])
def test_a_price_that_returns_is_no_step(bars: int) -> None:
    candles = walk(1)
    spike = candles.with_columns(
        pl.when(ROW.is_between(700, 699 + bars)).then(pl.col(n) * 10).otherwise(n).alias(n) for n in PRICES
    )
    assert level_steps(spike, timeframe="1m", min_factor=1.5).is_empty()


@given(seed=st.integers(0, 30), wild=st.floats(1, 60))
def test_a_market_without_gaps_has_no_step_however_wild(seed: int, wild: float) -> None:
    calm = walk(1, seed=seed)
    rows = calm.with_columns(pl.col(n).log().mul(wild).exp().alias(n) for n in ("open", "close"))
    assert level_steps(rows, timeframe="1m", min_factor=1.5).is_empty()


def test_recorded_markets_have_no_step(real_candles: Path) -> None:
    for file in sorted(real_candles.glob("*.parquet")):
        candles = load(file)
        timeframe = candles["timeframe"][0]
        assert level_steps(candles, timeframe=timeframe, min_factor=1.5).is_empty(), file.name
        for every in ("1h", "1d"):
            bars = candles.group_by_dynamic("ts", every=every).agg(pl.col("open").first(), pl.col("close").last())
            assert level_steps(bars, timeframe=every, min_factor=1.5).is_empty(), f"{file.name} {every}"
