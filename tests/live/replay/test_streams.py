"""The local exchange's trades and books: made from candles, and candles again when put together."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.live.conftest import MARKET, OTHER, START
from trading_assets.core.candles import OHLCV
from trading_assets.store import open_store
from trading_live.replay import ReplayServer, Tape, book, read_tape
from trading_live.replay.funding import Funding
from trading_live.replay.streams import book_updates, finest, levels_at, snapshot, trades_of, within
from trading_live.replay.tape import Instrument, Series

MINUTE_MS = 60_000
OPEN_MS = round(START.timestamp() * 1000)


def tape_from(file: Any, start: datetime) -> Tape:
    store = open_store(f"duckdb:///{file}")
    return read_tape(store, {MARKET: "1m", OTHER: "1m"}, start=start, end=START + timedelta(hours=3))


@pytest.fixture(scope="module")
def tape(live_store_file: Any) -> Tape:
    return tape_from(live_store_file, START)


def one_candle(first: int, high: int, low: int, last: int, lots: int, minutes: int = 1) -> Instrument:
    """A market of one candle, in ticks of 0.01 and lots of 0.001."""
    prices = [price / 100 for price in (first, high, low, last)]
    frame = pl.DataFrame([(START, *prices, lots / 1000)], schema=["ts", *OHLCV], orient="row")
    name = f"{minutes}m"
    series = Series("SYNAUSDT", name, frame.with_columns(pl.col("ts").cast(pl.Datetime("us", "UTC"))), (2, 3))
    return Instrument(MARKET, "SYNAUSDT", 2, 3, {name: series}, Funding("SYNAUSDT"))


@given(
    prices=st.tuples(*[st.integers(1, 2_000)] * 4),
    lots=st.integers(4, 10**9),
    minutes=st.sampled_from([1, 5, 15]),
)
@examples(150)
def test_the_trades_of_a_candle_make_the_candle_again(
    prices: tuple[int, int, int, int], lots: int, minutes: int
) -> None:
    low, high = min(prices), max(prices)
    one = one_candle(prices[0], high, low, prices[3], lots, minutes)
    made = trades_of(one, 0)
    assert (made.prices[0], made.prices.max(), made.prices.min(), made.prices[-1]) == (prices[0], high, low, prices[3])
    assert made.lots.sum() == lots
    assert (made.lots > 0).all()
    assert (made.times >= OPEN_MS).all()
    assert (made.times < OPEN_MS + minutes * MINUTE_MS).all()
    assert sorted(made.times.tolist()) == made.times.tolist()
    assert sorted(set(made.ids.tolist())) == made.ids.tolist()
    steps = [now - before for before, now in zip(made.prices[:-1].tolist(), made.prices[1:].tolist(), strict=True)]
    sides = made.buyer_maker[1:].tolist()
    assert all(maker == (step < 0) for step, maker in zip(steps, sides, strict=True) if step)


def test_a_candle_without_volume_has_no_trades() -> None:
    assert not len(trades_of(one_candle(100, 100, 100, 100, 0), 0).ids)


def test_a_replay_from_another_start_sends_the_same_trades_and_books(tape: Tape, live_store_file: Any) -> None:
    later = tape_from(live_store_file, START + timedelta(hours=1))
    begin, end = OPEN_MS + 90 * MINUTE_MS, OPEN_MS + 95 * MINUTE_MS
    streams = {"synausdt@aggtrade", "synausdt@depth@0ms"}
    sent = [within(one.instruments["SYNAUSDT"], begin, end, streams) for one in (tape, later)]
    assert sent[0] == sent[1]
    assert len(sent[0]) == 5 * (20 + 60)
    assert [one.at_ms for one in sent[0]] == sorted(one.at_ms for one in sent[0])


def test_only_what_is_subscribed_to_is_made(tape: Tape) -> None:
    one = tape.instruments["SYNAUSDT"]
    assert within(one, OPEN_MS, OPEN_MS + MINUTE_MS, {"noiseusdt@aggtrade", "synausdt@kline_1m"}) == []


@given(st.integers(0, 170 * 60), st.integers(1, 90))
@examples(40)
def test_a_snapshot_with_the_updates_after_it_is_the_later_book(tape: Tape, second: int, length: int) -> None:
    one = tape.instruments["SYNAUSDT"]
    begin = OPEN_MS + second * 1000
    shot = snapshot(one, begin, 1000)
    bids, asks = (dict(map(tuple, shot[side])) for side in ("bids", "asks"))
    former = shot["lastUpdateId"]
    newest = None
    for at, update in book_updates(one, begin, begin + length * 1000):
        assert (update["pu"], update["U"] > former, update["u"] >= update["U"]) == (former, True, True)
        newest, former = at, update["u"]
        for side, changes in ((bids, update["b"]), (asks, update["a"])):
            side.update(map(tuple, changes))
            for price in [price for price, size in side.items() if float(size) == 0]:
                del side[price]
    now = None if newest is None else levels_at(one, newest)
    if now is not None:
        assert bids == {book.decimal(ticks, 2): book.decimal(lots, 3) for ticks, lots in now.bids.items()}
        assert asks == {book.decimal(ticks, 2): book.decimal(lots, 3) for ticks, lots in now.asks.items()}
    best_bid, best_ask = max(map(float, bids)), min(map(float, asks))
    assert best_bid < best_ask


def test_the_book_lies_around_the_last_trade(tape: Tape) -> None:
    one = tape.instruments["SYNAUSDT"]
    made = trades_of(one, int(finest(one).open_ms.searchsorted(OPEN_MS)))
    now = levels_at(one, int(made.times[10]))
    assert max(now.bids) == made.prices[10] - 1
    assert min(now.asks) == made.prices[10] + 1


def get(server: ReplayServer, path: str) -> Any:
    with urllib.request.urlopen(server.url_http + path, timeout=60) as response:
        return json.load(response)


def test_depth_over_rest_has_as_many_levels_as_asked_for(tape: Tape) -> None:
    with ReplayServer(tape) as server:
        shot = get(server, "/fapi/v1/depth?symbol=SYNAUSDT&limit=20")
        assert (len(shot["bids"]), len(shot["asks"])) == (20, 20)
        assert shot["T"] < datetime.now(UTC).timestamp() * 1000
        for query, code in (("symbol=NONE", -1121), ("symbol=SYNAUSDT&limit=7", -4021)):
            with pytest.raises(urllib.error.HTTPError) as error:
                get(server, f"/fapi/v1/depth?{query}")
            assert json.load(error.value)["code"] == code
