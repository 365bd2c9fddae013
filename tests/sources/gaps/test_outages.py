"""An exchange that was down: everything else is stored, and the hole settles as what the exchange confirms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import strategies as st

from tests.examples import examples
from tests.sources.desk import DAY, START, Desk
from tests.stores import fresh_store
from trading_assets.sources import ingest
from trading_assets.sources.gaps.repair import repair
from trading_assets.store import Store
from trading_assets.store.tables import CANDLE_GAPS, CANDLES

KINDS = ["binance spot", "bybit spot", "okx spot", "bitget spot", "kraken spot", "kraken perpetual"]
MINUTES = 700
"""Kraken's spot market gives no more."""

Make = Callable[..., pl.DataFrame]


def at(minutes: int) -> datetime:
    return START + timedelta(minutes=minutes)


@pytest.fixture
def desks(plain_candles: Make, set_ccxt_clock: Callable[[datetime], None]) -> Iterator[dict[str, Desk]]:
    """A server and a source per exchange, for all holes."""
    now = at(MINUTES + 5)
    set_ccxt_clock(now)
    made = {kind: Desk(kind, plain_candles(MINUTES), now) for kind in KINDS}
    for desk in made.values():
        desk.__enter__()
    yield made
    for desk in made.values():
        desk.__exit__()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@examples(8, suppress=HealthCheck.function_scoped_fixture, derandomize=True)
@given(first=st.integers(1, MINUTES - 1), length=st.integers(1, MINUTES), limit=st.sampled_from([20, 50, 100, None]))
@example(first=300, length=51, limit=None)
@example(first=100, length=30, limit=50)
@example(first=50, length=7, limit=50)
@example(first=149, length=60, limit=50)
@example(first=500, length=500, limit=100)
def test_a_hole_of_any_length_at_any_place_is_crossed_and_confirmed(
    tmp_path_factory: pytest.TempPathFactory,
    plain_candles: Make,
    desks: dict[str, Desk],
    kind: str,
    first: int,
    length: int,
    limit: int | None,
) -> None:
    desk, end = desks[kind].limited(limit), min(first + length, MINUTES)
    whole = plain_candles(MINUTES)
    left = pl.concat([whole[:first], whole[end:]])
    desk.venue.hold(left)
    store = fresh_store(tmp_path_factory.mktemp("outage"))
    with store.kept_open():
        assert backfilled(store, desk).equals(left)
        assert repaired(store, desk) == [(at(first), at(end), "confirmed_empty")]


def backfilled(store: Store, desk: Desk) -> pl.DataFrame:
    ingest(store, desk.source, market=desk.market, timeframe="1m", start=START, end=at(MINUTES), now=desk.now)
    return store.read(CANDLES).drop("market", "timeframe")


def repaired(store: Store, desk: Desk) -> list[tuple[datetime, datetime, str]]:
    repair(store, desk.source, market=desk.market, timeframe="1m", start=START, end=at(MINUTES), now=desk.now, peers={})
    return store.read(CANDLE_GAPS).select("ts", "end", "reason").rows()


@pytest.mark.parametrize("kind", ["kraken spot", "gate spot"])
def test_a_hole_that_the_exchange_no_longer_reaches_is_not_confirmed(
    store: Store, plain_candles: Make, set_ccxt_clock: Callable[[datetime], None], kind: str
) -> None:
    whole = plain_candles(12 * 1440)
    left = pl.concat([whole[:600], whole[660 : 11 * 1440 + 1300], whole[11 * 1440 + 1310 :]])
    then, now = START + DAY, START + 12 * DAY
    set_ccxt_clock(then)
    with Desk(kind, left, then) as desk:
        store.upsert(CANDLES, left.with_columns(market=pl.lit(desk.market), timeframe=pl.lit("1m")))
    set_ccxt_clock(now)
    with Desk(kind, left, now) as desk:
        ask = {"market": desk.market, "timeframe": "1m", "start": START, "end": now, "now": now}
        repair(store, desk.source, peers={}, **ask)  # type: ignore[arg-type]
        assert store.read(CANDLE_GAPS).select("ts", "candles", "reason").rows() == [
            (at(600), 60, "out_of_reach"),
            (START + 11 * DAY + timedelta(minutes=1300), 10, "confirmed_empty"),
        ]


def test_what_was_missed_while_nobody_fetched_is_out_of_reach_where_the_exchange_refuses_it(
    store: Store, plain_candles: Make, set_ccxt_clock: Callable[[datetime], None]
) -> None:
    whole, now = plain_candles(12 * 1440), START + 12 * DAY
    set_ccxt_clock(now)
    with Desk("gate spot", whole, now) as desk:
        key = {"market": desk.market, "timeframe": "1m"}
        store.upsert(CANDLES, whole[:600].with_columns(**{name: pl.lit(value) for name, value in key.items()}))
        parts = [(at(599), now)]
        report = ingest(store, desk.source, **key, start=START, end=now, now=now, parts=parts)
    assert report.stored == 600 + 10_000
    assert report.explained == {"out_of_reach": 12 * 1440 - 10_600}
