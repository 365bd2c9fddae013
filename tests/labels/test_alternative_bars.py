"""Bars by activity: each closes when enough was traded, and any way of cutting the history gives the same ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from trading_assets.core.errors import InvalidFrame, SettingsError
from trading_assets.labels import triple_barrier
from trading_assets.labels.alternative_bars import Measure, from_candles, from_trades
from trading_assets.settings import LabelSettings

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


@examples(60)
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


@examples(20)
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
    with pytest.raises(SettingsError, match="the measure 'ticks'; one of volume, dollar, imbalance"):
        from_candles(frame, timeframe="1m", measure="ticks", threshold=1)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="without a time zone"):
        from_candles(frame, timeframe="1m", measure="volume", threshold=1, until=datetime(2025, 3, 2))  # noqa: DTZ001
    unknown = frame.with_columns(ts=pl.when(pl.int_range(pl.len()) == 0).then("ts"))
    with pytest.raises(InvalidFrame, match="ts has 1 nulls"):
        from_candles(unknown, timeframe="1m", measure="volume", threshold=1)
    with pytest.raises(InvalidFrame, match="volume is String"):
        from_candles(frame.cast({"volume": pl.String}), timeframe="1m", measure="volume", threshold=1)
    with pytest.raises(InvalidFrame, match="a trade is known before it happened"):
        from_trades(trades([1, 2], [1, 1]), measure="volume", threshold=1)


def test_candles_of_another_timeframe_than_said_are_refused_as_they_would_be_known_too_early() -> None:
    quarters = candles([1.0, 2.0, 3.0], minutes=15).with_columns(timeframe=pl.lit("15m"))
    with pytest.raises(InvalidFrame, match="candles are of 15m, not of 1m"):
        from_candles(quarters, timeframe="1m", measure="volume", threshold=1)
    with pytest.raises(InvalidFrame, match="candles are of less, not of 15m"):
        from_candles(candles([1.0, 2.0]), timeframe="15m", measure="volume", threshold=1)


def test_what_the_days_end_cut_short_is_known_when_the_day_is_over() -> None:
    frame = candles([1.0] * 48, minutes=60)
    until_ten = frame.filter((pl.col("ts") < START + timedelta(hours=10)) | (pl.col("ts").dt.day() == 2))
    bars = from_candles(until_ten, timeframe="1h", measure="volume", threshold=8)
    cut = bars.filter(~pl.col("complete"))
    assert cut["rows"].to_list() == [2]
    assert cut["known_at"].to_list() == [START + timedelta(days=1)]  # the eleventh hour might have come
    assert bars["known_at"].is_sorted()


@pytest.mark.parametrize("measure", MEASURES)
def test_a_day_without_its_last_candles_is_the_same_alone_and_within_the_history(measure: Measure) -> None:
    rng = np.random.default_rng(3)
    frame = candles((rng.integers(0, 900, 96) / 1000).tolist(), rng.choice([-1.0, 1.0], 96).tolist(), minutes=60)
    frame = frame.filter(pl.col("ts").dt.hour() < 20)
    limit = 1.1 if measure == "volume" else 110.0
    end = START + timedelta(days=4)
    whole = from_candles(frame, timeframe="1h", measure=measure, threshold=limit, until=end)
    parts = [
        from_candles(rows, timeframe="1h", measure=measure, threshold=limit, until=day + timedelta(days=1))
        for (day,), rows in frame.group_by_dynamic("ts", every="1d")
    ]
    assert whole.equals(pl.concat(parts))
    assert whole["rows"].sum() == frame.height
    without = from_candles(frame, timeframe="1h", measure=measure, threshold=limit)
    assert without.equals(whole.filter(pl.col("complete") | (pl.col("known_at") < end)))


def test_lots_that_add_up_to_the_threshold_close_their_bar_on_any_day() -> None:
    # In one running sum over a long history 0.1 is no longer 0.1.
    frame = candles([1e6 + 0.3, *[0.1] * 47], minutes=60)
    whole = from_candles(frame, timeframe="1h", measure="volume", threshold=0.3)
    second = from_candles(frame[24:], timeframe="1h", measure="volume", threshold=0.3)
    assert second["rows"].to_list() == [3] * 8
    assert whole.filter(pl.col("ts").dt.day() == 2).equals(second)


def trades(seconds: list[int], known: list[int], quantity: float = 1.0) -> pl.DataFrame:
    ts, known_at = ([START + timedelta(seconds=s) for s in times] for times in (seconds, known))
    rows = {"market": "m", "ts": ts, "known_at": known_at, "price": 100.0, "quantity": quantity, "side": "buy"}
    return pl.DataFrame(rows).cast({"ts": TS, "known_at": TS})


def test_a_late_trade_makes_its_bar_and_those_after_it_known_late() -> None:
    bars = from_trades(trades([1, 2, 3, 4, 5, 6], [1, 90, 3, 4, 5, 6]), measure="volume", threshold=2)
    # Without the trade that came at second 90 the second bar would have begun a trade later.
    assert bars["known_at"].to_list() == [START + timedelta(seconds=90)] * 3
    day = 86_400
    over = from_trades(trades([1, day - 1], [1, day + 5], 0.5), measure="volume", threshold=2)
    assert over.is_empty()  # a late arrival does not say that its day had no more trades
    until = START + timedelta(days=1)
    (known_at,) = from_trades(trades([1, day - 1], [1, day + 5], 0.5), measure="volume", threshold=2, until=until)[
        "known_at"
    ]
    assert known_at == until + timedelta(seconds=5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0, None])
def test_numbers_that_are_none_are_refused_instead_of_closing_no_bar_ever_again(bad: float | None) -> None:
    broken = pl.when(pl.int_range(pl.len()) == 2).then(pl.lit(bad, dtype=pl.Float64))
    for name in ("volume", "close"):
        frame = candles([1.0] * 5).with_columns(broken.otherwise(name).alias(name))
        with pytest.raises(InvalidFrame, match=f"1 of {name} are not positive numbers"):
            from_candles(frame, timeframe="1m", measure="volume", threshold=2)
    with pytest.raises(InvalidFrame, match="1 of quantity"):
        from_trades(
            trades([1, 2, 3], [1, 2, 3]).with_columns(broken.otherwise("quantity").alias("quantity")),
            measure="volume",
            threshold=2,
        )
    with pytest.raises(InvalidFrame, match="neither buy nor sell"):
        from_trades(trades([1], [1]).with_columns(side=pl.lit(None, pl.String)), measure="imbalance", threshold=2)


def test_trades_of_nothing_move_no_imbalance() -> None:
    frame = trades([1, 2, 3, 4], [1, 2, 3, 4]).with_columns(quantity=pl.Series([0.0, 1, 0, 1]))
    assert from_trades(frame, measure="imbalance", threshold=200)["rows"].to_list() == [4]


def test_bars_of_trades_get_labels_also_where_late_trades_make_a_bar_known_after_the_next_one() -> None:
    day = 86_400
    seconds = [day - 300, day - 200, day - 100, day + 30, day + 90, day + 150, day + 210]
    known = [day - 300, day - 200, day + 500, day + 30, day + 90, day + 150, day + 210]
    bars = from_trades(trades(seconds, known), measure="volume", threshold=1)
    assert not bars["known_at"].is_sorted()
    prices = (100 + np.random.default_rng(1).normal(0, 0.4, 60)).tolist()
    ts = [START + timedelta(seconds=day - 600 + 60 * i) for i in range(60)]
    path = pl.DataFrame({"ts": ts, "open": prices, "high": prices, "low": prices, "close": prices}).cast({"ts": TS})
    chosen = LabelSettings(horizon_bars=1, take_profit_pct=0.5, stop_loss_pct=0.5)
    found = triple_barrier(bars, path, candle_timeframe="1m", settings=chosen, until=ts[-1])
    assert found["ts"].to_list() == bars["ts"].to_list()
    entered = dict(zip(ts, prices, strict=True))
    opens = [t + timedelta(seconds=-t.second % 60) for t in bars["known_at"]]
    assert found["entry_price"].to_list() == [entered[t] for t in opens]
    assert (found["label_end"] > found["known_at"]).all()
