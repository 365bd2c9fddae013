"""Sentiment live: the store's rows by the tables' function, and nothing said where the store was not read in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.core.errors import StoreError
from trading_assets.features.framework.auxiliary_series import COMPANIONS
from trading_assets.features.framework.stored_series import SENTIMENT_DELAY, scores_of
from trading_assets.store import Store
from trading_assets.store.tables import SENTIMENT
from trading_live.node.auxiliary.sentiment import StoredScores

MARKET = "binance:BTC/USDT:USDT"
NOON = datetime(2025, 5, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def scores(*told: tuple[str, datetime, float]) -> pl.DataFrame:
    rows = [(scope, "mine", at, at, score) for scope, at, score in told]
    return pl.DataFrame(rows, schema=SENTIMENT.columns, orient="row")


def test_a_score_counts_from_five_minutes_after_it_was_known_and_a_later_one_is_read_meanwhile(store: Store) -> None:
    now = [NOON]
    store.upsert(SENTIMENT, scores(("*", NOON - timedelta(days=1), 0.1)))
    live = StoredScores(store, {MARKET: NOON - timedelta(days=2)}, historic=False, now=lambda: now[0])
    assert live.rows(MARKET, NOON) == "sentiment: the store has not been read yet"
    live.read()
    store.upsert(SENTIMENT, scores(("BTC", NOON, 0.7)))
    now[0] = NOON + 4 * MINUTE
    live.read()
    said = [live.rows(MARKET, NOON + SENTIMENT_DELAY + number * MINUTE) for number in (-1, 0)]
    assert [one["score"][-1] for one in said if isinstance(one, pl.DataFrame)] == [0.1, 0.7]


def test_a_store_that_was_not_read_in_time_is_said_with_the_reason(store: Store) -> None:
    class Held:
        def read(self, *_: object, **__: object) -> pl.DataFrame:
            raise StoreError("another process holds it", where="market.duckdb")

    live = StoredScores(store, {MARKET: NOON}, historic=False, now=lambda: NOON)
    live.read()
    live._store = Held()  # type: ignore[assignment]
    live.read()
    assert isinstance(live.rows(MARKET, NOON + 2 * MINUTE), pl.DataFrame), "what could come later does not count yet"
    said = live.rows(MARKET, NOON + 3 * MINUTE)
    assert isinstance(said, str)
    assert said.startswith("sentiment: the store was last read at 12:00:00, more than 0:02:30 before: ")
    assert "another process holds it" in said
    past = StoredScores(store, {MARKET: NOON}, historic=True, now=lambda: NOON)
    past.read()
    assert isinstance(past.rows(MARKET, NOON + timedelta(days=3)), pl.DataFrame)


@given(
    told=st.lists(st.tuples(st.sampled_from(["BTC", "*"]), st.integers(0, 240), st.integers(-10, 10)), max_size=30),
    cut=st.integers(0, 240),
)
def test_what_comes_later_changes_no_score_that_was_known_before(told: list[tuple[str, int, int]], cut: int) -> None:
    """A coin's first own score, in the middle of a window, would else take the whole market's away before it."""
    every = scores(*((scope, NOON + timedelta(hours=hours), score / 10) for scope, hours, score in told))
    moment = NOON + timedelta(hours=cut)
    before = scores_of(every.filter(pl.col("known_at") <= moment), "BTC")
    after = scores_of(every, "BTC").filter(pl.col("known_at") <= moment + SENTIMENT_DELAY)
    assert before.equals(after)


def test_a_coins_own_scores_go_before_the_whole_markets_for_as_long_as_they_count() -> None:
    age = COMPANIONS["sentiment"].max_age
    told = [("*", NOON - MINUTE, 0.1), ("BTC", NOON, 0.5), ("*", NOON + age, 0.2), ("*", NOON + age + MINUTE, 0.3)]
    assert scores_of(scores(*told), "BTC")["score"].to_list() == [0.1, 0.5, 0.3]
