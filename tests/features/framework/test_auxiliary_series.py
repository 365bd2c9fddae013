"""What features read beside the bars: joined as of ``known_at``, null where nothing was known, read from the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.core.errors import InvalidFrame
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import compute, lookback_bars, nullable_features, registry
from trading_assets.features.framework.order_flow import of_books, of_trades
from trading_assets.features.framework.stored_series import read_companions
from trading_assets.features.proofs.proving import made_up_bars
from trading_assets.store.tables import BARS, BOOK_SNAPSHOTS, CANDLES, FUNDING_RATES, PUBLIC_TRADES, SENTIMENT

M15 = Timeframe.parse("15m")
LOOKBACK_BARS = lookback_bars(M15)

MARKET, LEADER = "sample:X/USDT", "sample:BTC/USDT"
NINE = datetime(2025, 1, 1, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TS = pl.Datetime("us", "UTC")


def test_exactly_the_features_with_a_companion_may_be_null(bars, companions):
    assert nullable_features() == {name for name, feature in registry(M15).items() if feature.companions}
    rows = compute(bars, companions, timeframe=M15)
    assert all(rows[name].is_not_null().any() for name in rows.columns)
    assert not any(rows[name].is_nan().any() for name in rows.columns[3:])
    alone = compute(bars, timeframe=M15)
    assert all(alone[name].is_null().all() for name in nullable_features())
    assert alone.drop(nullable_features()).equals(rows.drop(nullable_features()))


def test_a_companion_counts_from_its_known_at_until_it_is_too_old(bars):
    known_at = bars["known_at"][2_500]
    one = pl.DataFrame(
        {"known_at": [known_at + timedelta(microseconds=1)], "rate": [1e-4]}, schema_overrides={"known_at": TS}
    )
    rate = compute(bars, {"funding": one}, timeframe=M15).select("known_at", "funding_rate")
    assert rate.filter(pl.col("known_at") <= known_at)["funding_rate"].null_count() == 2_500 - LOOKBACK_BARS + 2
    known = rate.drop_nulls()
    assert known["known_at"].min() == known_at + 15 * MINUTE
    assert known["known_at"].max() == known_at + timedelta(days=1)
    assert known["funding_rate"].unique().to_list() == [1e-4]


def test_beta_and_correlation_are_the_textbooks(bars):
    rng = np.random.default_rng(3)
    own = np.diff(np.log(bars["close"].to_numpy()))
    lead = 0.5 * own + rng.normal(0, 1e-3, len(own))
    leader = pl.DataFrame({"known_at": bars["known_at"], "close": 50 * np.exp(np.append(0, np.cumsum(lead)))})
    last = compute(bars, {"leader": leader}, timeframe=M15).row(-1, named=True)
    own, lead = own[-96:], lead[-96:]
    assert last["leader_beta_96"] == pytest.approx(np.cov(own, lead, ddof=0)[0, 1] / lead.var(), rel=1e-9)
    assert last["leader_correlation_96"] == pytest.approx(np.corrcoef(own, lead)[0, 1], rel=1e-9)
    assert last["relative_strength_1d"] == pytest.approx(own.sum() - lead.sum(), rel=1e-9)
    assert last["leader_return_1_lag_2"] == pytest.approx(lead[-3], rel=1e-9)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda one: {"funding": one.reverse()}, "strictly ascending"),
        (lambda one: {"funding": pl.concat([one, one[-1:]])}, "strictly ascending"),
        (lambda one: {"funding": one.drop("rate")}, "no column rate"),
        (lambda one: {"funding": one.with_columns(rate=pl.lit(np.inf))}, "rate is not finite"),
        (lambda one: {"funding": one.with_columns(pl.col("known_at").dt.replace_time_zone(None))}, "make it Datetime"),
        (lambda one: {"weather": one}, "no such companion"),
    ],
)
def test_a_companion_that_cannot_be_trusted_is_refused(bars, companions, spoil, message):
    with pytest.raises(InvalidFrame, match=message):
        compute(bars, spoil(companions["funding"]), timeframe=M15)


def _times(*minutes: float) -> pl.Series:
    return pl.Series([NINE + minute * MINUTE for minute in minutes], dtype=TS)


def _books() -> pl.DataFrame:
    """Two snapshots in the bar of 09:00 and one at the very open of the next, which is known with the first bar."""
    known = _times(1, 2, 15)
    return pl.DataFrame(
        {
            "market": [MARKET] * 3,
            "ts": known,
            "known_at": known,
            "sequence": [1, 2, 3],
            "bid_prices": [[99.0, 98.0], [99.0, 98.0], [100.0, 99.0]],
            "bid_sizes": [[1.0, 2.0], [3.0, 2.0], [1.0, 1.0]],
            "ask_prices": [[101.0, 102.0]] * 3,
            "ask_sizes": [[2.0, 2.0], [2.0, 1.0], [4.0, 2.0]],
        }
    )


def test_a_bars_books_give_spread_depth_and_order_flow():
    row = of_books(_books(), M15).row(0, named=True)
    assert row["known_at"] == NINE + 15 * MINUTE
    assert row["spread_bps"] == pytest.approx((200 + 200 + 1 / 100.5 * 1e4) / 3)
    assert row["depth_imbalance"] == pytest.approx((2 - 6) / 8)
    # the bid grew by 2 at its price (+2), then a better one of 1 came (+1); the ask grew by 2 at its price (-2)
    assert row["order_flow_imbalance"] == pytest.approx((2 + 1 - 2) / (2 + 1))


def _trades() -> pl.DataFrame:
    known = _times(1, 2, 3, 16)
    return pl.DataFrame(
        {
            "market": [MARKET] * 4,
            "ts": known,
            "known_at": known,
            "trade_id": list("abcd"),
            "price": [100.0] * 4,
            "quantity": [1.0, 1.0, 6.0, 1.0],
            "side": ["buy", "buy", "sell", "buy"],
        }
    )


def test_a_bars_trades_give_who_was_trading():
    rows = of_trades(_trades(), M15)
    assert rows["known_at"].to_list() == [NINE + 15 * MINUTE, NINE + 30 * MINUTE]
    assert rows["sign_imbalance"].to_list() == pytest.approx([1 / 3, 1])
    assert rows["volume_imbalance"].to_list() == pytest.approx([-0.5, 1])


@pytest.mark.parametrize(("timeframe", "ends"), [("1m", [1, 2, 3, 16]), ("1h", [60]), ("4h", [180]), ("1d", [900])])
def test_books_and_trades_belong_to_the_bar_of_the_timeframe_in_which_they_became_known(timeframe, ends):
    bar = Timeframe.parse(timeframe)
    trades, books = of_trades(_trades(), bar), of_books(_books(), bar)
    assert trades["known_at"].to_list() == [NINE + end * MINUTE for end in ends]
    assert books["known_at"].max() == (NINE + 15 * MINUTE if timeframe == "1m" else NINE + ends[-1] * MINUTE)
    if timeframe != "1m":
        assert trades["sign_imbalance"].to_list() == [0.5]
        assert trades["volume_imbalance"].to_list() == pytest.approx([(3 - 6) / 9])


@pytest.mark.parametrize("timeframe", ["1m", "30m", "2h", "1d"])
def test_a_leader_is_read_as_bars_of_the_timeframe(store, timeframe):
    bar = Timeframe.parse(timeframe)
    leading = made_up_bars(lookback_bars(bar, ["leader"]) + 30, bar).with_columns(market=pl.lit(LEADER))
    if timeframe == "1m":  # its bars are the candles
        store.upsert(CANDLES, leading.drop("known_at").with_columns(timeframe=pl.lit("1m")))
    else:
        store.upsert(BARS[timeframe], leading.with_columns(candles=pl.lit(bar.minutes, pl.Int32)))
    bars = made_up_bars(leading.height, bar, seed=7)
    first, last = bars["ts"][0], bars["known_at"][-1]
    found = read_companions(store, MARKET, start=first, end=last, leader=LEADER, timeframe=bar)
    rows = compute(bars, found, timeframe=bar, features=["leader"])
    assert rows.height == 31
    assert not any(rows[name].null_count() for name in rows.columns)
    lead = np.log(leading["close"]).diff().to_list()
    assert rows["leader_return_1"].to_list() == pytest.approx(lead[-31:])


def test_companions_are_read_from_the_store_as_far_as_they_are_there(store, bars):
    assert read_companions(store, MARKET, start=NINE, end=NINE + timedelta(days=1), leader=LEADER, timeframe=M15) == {}
    leader = bars[:200].with_columns(market=pl.lit(LEADER), candles=pl.lit(15, pl.Int32))
    store.upsert(BARS["15m"], leader)
    store.upsert(BOOK_SNAPSHOTS, _books())
    store.upsert(PUBLIC_TRADES, _trades())
    funding = {"market": [MARKET], "ts": _times(-60), "known_at": _times(-60), "rate": [1e-4]}
    store.upsert(FUNDING_RATES, pl.DataFrame(funding | {"interval_hours": [8.0], "mark_price": [100.0]}))
    scores = {"scope": ["*", "X"], "source": ["a", "a"], "ts": _times(-60, -60), "known_at": _times(-50, -40)}
    store.upsert(SENTIMENT, pl.DataFrame(scores | {"score": [0.9, -0.4]}))
    found = read_companions(store, MARKET, start=NINE, end=NINE + timedelta(days=1), leader=LEADER, timeframe=M15)
    assert set(found) == {"leader", "funding", "sentiment", "book", "trades"}
    assert found["sentiment"]["score"].to_list() == [0.9, -0.4]
    assert found["sentiment"]["known_at"].to_list() == [NINE - 45 * MINUTE, NINE - 35 * MINUTE]
    assert found["leader"]["known_at"].min() == NINE - timedelta(hours=1)
    rows = compute(bars, found, timeframe=M15)
    assert rows.height == bars.height - LOOKBACK_BARS + 1
    some = read_companions(
        store,
        MARKET,
        start=NINE,
        end=NINE + timedelta(days=1),
        leader=LEADER,
        timeframe=M15,
        names=["funding"],
    )
    assert set(some) == {"funding"}, "what nobody asks for is not read"
    assert "leader" not in read_companions(
        store, LEADER, start=NINE, end=NINE + timedelta(days=1), leader=LEADER, timeframe=M15
    )
