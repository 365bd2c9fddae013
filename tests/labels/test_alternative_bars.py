"""Bars by activity: each closes when enough was traded, and any way of cutting the history gives the same ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.alternative_bars import Measure, from_candles, from_trades
from trading_assets.errors import InvalidFrame, SettingsError

START = datetime(2025, 3, 1, tzinfo=UTC)
TS = pl.Datetime("us", "UTC")
MEASURES: tuple[Measure, ...] = get_args(Measure)


def candles(volumes: list[float], moves: list[float] | None = None, *, minutes: int = 1) -> pl.DataFrame:
    moves = moves or [1.0] * len(volumes)
    ts = [START + i * timedelta(minutes=minutes) for i in range(len(volumes))]
    rows = [("m", t, 100.0, 100 + abs(m), 100 - abs(m), 100 + m, v) for t, m, v in zip(ts, moves, volumes, strict=True)]
    names = ["market", "ts", "open", "high", "low", "close", "volume"]
    return pl.DataFrame(rows, schema=names, orient="row").cast({"ts": TS})


def reference(frame: pl.DataFrame, measure: Measure, threshold: float) -> list[tuple[datetime, int]]:
    """One row after the other: open time and rows of each closed bar."""
    bars: list[tuple[datetime, int]] = []
    since: list[dict[str, Any]] = []
    for row in frame.iter_rows(named=True):
        if since and row["ts"].date() != since[0]["ts"].date():
            bars.append((since[0]["ts"], len(since)))
            since = []
        since.append(row)
        signed = [r["volume"] * r["close"] * np.sign(r["close"] - r["open"]) for r in since]
        reached = {
            "volume": sum(r["volume"] for r in since),
            "dollar": sum(r["volume"] * r["close"] for r in since),
            "imbalance": abs(sum(signed)),
        }[measure]
        if reached >= threshold * (1 - 1e-12):
            bars.append((since[0]["ts"], len(since)))
            since = []
    return bars


def test_a_bar_closes_with_the_candle_that_reaches_the_threshold() -> None:
    bars = from_candles(candles([4, 5, 3, 20, 1, 1]), timeframe="1m", measure="volume", threshold=10)
    assert bars["rows"].to_list() == [3, 1]
    assert bars["volume"].to_list() == [12, 20]
    assert bars["ts"].to_list() == [START, START + timedelta(minutes=3)]
    assert bars["known_at"].to_list() == [START + timedelta(minutes=3), START + timedelta(minutes=4)]
    assert bars["complete"].all()


def test_selling_closes_an_imbalance_bar_as_buying_does() -> None:
    frame = candles([1, 1, 1, 1, 1, 1], [1, -1, -1, -1, 1, 1])
    bars = from_candles(frame, timeframe="1m", measure="imbalance", threshold=190)
    assert bars["rows"].to_list() == [4, 2]  # +101 -99 -99 -99, then +101 +101


@settings(max_examples=60, deadline=None)
@given(
    volumes=st.lists(st.integers(0, 9), min_size=1, max_size=80),
    seed=st.integers(0, 99),
    measure=st.sampled_from(MEASURES),
    threshold=st.integers(1, 2500),
)
def test_bars_are_those_of_adding_up_candle_by_candle(
    volumes: list[int], seed: int, measure: Measure, threshold: int
) -> None:
    moves = np.random.default_rng(seed).choice([-1.0, 0.0, 1.0], len(volumes)).tolist()
    frame = candles([float(v) for v in volumes], moves, minutes=60)
    limit = threshold / 50 if measure == "volume" else float(threshold)
    bars = from_candles(frame, timeframe="1h", measure=measure, threshold=limit)
    expected = reference(frame, measure, limit)
    found = list(zip(bars["ts"], bars["rows"], strict=True))
    # A day that has ended closes its bar although the frame has no candle of the next one.
    assert found[: len(expected)] == expected
    assert len(found) - len(expected) <= 1
    assert bars.select("market", "ts").is_unique().all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), measure=st.sampled_from(MEASURES))
def test_day_by_day_gives_the_same_bars_as_all_at_once(seed: int, measure: Measure) -> None:
    rng = np.random.default_rng(seed)
    frame = candles(rng.integers(0, 9, 96).astype(float).tolist(), rng.choice([-1.0, 1.0], 96).tolist(), minutes=60)
    whole = from_candles(frame, timeframe="1h", measure=measure, threshold=900)
    days = [day for _, day in frame.group_by_dynamic("ts", every="1d")]
    assert whole.equals(pl.concat(from_candles(day, timeframe="1h", measure=measure, threshold=900) for day in days))


def test_later_candles_never_change_a_closed_bar() -> None:
    rng = np.random.default_rng(2)
    frame = candles(rng.integers(0, 9, 200).astype(float).tolist(), rng.choice([-1.0, 1.0], 200).tolist())
    for measure in MEASURES:
        whole = from_candles(frame, timeframe="1m", measure=measure, threshold=700)
        early = from_candles(frame.head(120), timeframe="1m", measure=measure, threshold=700)
        assert early.equals(whole.head(early.height)), measure


def test_trades_of_one_instant_stay_together_and_imbalance_counts_aggressors() -> None:
    trades = pl.DataFrame(
        {
            "market": "m",
            "ts": pl.Series([START, START, START + timedelta(seconds=1), START + timedelta(seconds=2)], dtype=TS),
            "known_at": pl.Series([START + timedelta(seconds=s) for s in (1, 2, 3, 4)], dtype=TS),
            "price": [100.0, 101.0, 100.0, 100.0],
            "quantity": [1.0, 1.0, 1.0, 2.0],
            "side": ["buy", "sell", "buy", "buy"],
        }
    )
    bars = from_trades(trades, measure="volume", threshold=1.5)
    assert bars["rows"].to_list() == [1, 2]
    assert bars.row(0, named=True) | {"known_at": None} == {
        "market": "m", "ts": START, "known_at": None, "open": 100, "high": 101, "low": 100, "close": 101,
        "volume": 2, "notional": 201, "rows": 1, "complete": True,
    }  # fmt: skip
    assert bars["known_at"][0] == START + timedelta(seconds=2)
    assert from_trades(trades, measure="imbalance", threshold=250)["rows"].to_list() == [3]


def test_what_cannot_give_honest_bars_is_refused() -> None:
    frame = candles([1, 2])
    with pytest.raises(SettingsError, match="threshold of 0"):
        from_candles(frame, timeframe="1m", measure="volume", threshold=0)
    with pytest.raises(InvalidFrame, match="not ascending"):
        from_candles(frame.reverse(), timeframe="1m", measure="volume", threshold=1)
    with pytest.raises(InvalidFrame, match="no column volume"):
        from_candles(frame.drop("volume"), timeframe="1m", measure="volume", threshold=1)
