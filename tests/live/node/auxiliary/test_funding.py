"""Funding live: the venue's payments by the ingest's rules, and no decision while one that is due is not told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from tests.live.conftest import MARKET, START, random_walk
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework.stored_series import read_companions
from trading_assets.settings import CcxtSource, Settings
from trading_assets.sources.contract import RAW_FUNDING
from trading_assets.sources.funding.exchange import ExchangeFunding
from trading_assets.sources.funding.ingestion import ingest_funding
from trading_assets.store import Store
from trading_assets.store.tables import CANDLES, FUNDING_RATES
from trading_assets.strategies.plans.funding_exit import FundingDue
from trading_live.node.auxiliary.funding import VenueFunding
from trading_live.replay import ReplayServer, read_tape
from trading_live.venues.funding import RestFunding

PERPETUAL = "binance:BTC/USDT:USDT"
EIGHT = datetime(2025, 5, 20, 8, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


class Told:
    """A venue that tells payments so long after they were due."""

    def __init__(self, late: timedelta = timedelta(0)) -> None:
        self.now = EIGHT - MINUTE
        self.late = late
        self.asked = 0
        self.paid = [EIGHT - number * 8 * HOUR for number in range(20, -3, -1)]
        self.fails = ""
        self.announces: datetime | None = EIGHT

    def fetch(self, _market: str, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
        self.asked += 1
        if self.fails:
            raise OSError(self.fails)
        known = [at for at in self.paid if at + self.late <= self.now and start <= at < end]
        stamped = [at + timedelta(milliseconds=4) for at in known]
        rates = [1e-4 * (1 + number) for number, _ in enumerate(known)]
        columns = {
            "ts": stamped,
            "rate": rates,
            "interval_hours": [None] * len(known),
            "mark_price": [None] * len(known),
        }
        yield pl.DataFrame(columns, schema=RAW_FUNDING)

    def announced(self, _market: str) -> FundingDue | None:
        return None if self.announces is None else FundingDue(self.announces, 3e-4)


class Clock:
    remote = False

    def __init__(self, venue: Told) -> None:
        self._venue = venue

    def now(self) -> datetime | None:
        return self._venue.now


def asked(venue: Told) -> VenueFunding:
    funding = VenueFunding(venue, Clock(venue), {PERPETUAL: 2 * timedelta(days=1)})
    funding.look(PERPETUAL)
    return funding


def newest(rows: pl.DataFrame | str) -> datetime:
    assert isinstance(rows, pl.DataFrame), rows
    last = rows["known_at"][-1]
    assert isinstance(last, datetime)
    return last


def test_a_payment_counts_from_the_first_bar_that_closes_after_its_stamp() -> None:
    venue = Told()
    funding = asked(venue)
    venue.now = EIGHT + SECOND
    assert newest(funding.rows(PERPETUAL, EIGHT)) == EIGHT - 8 * HOUR + timedelta(milliseconds=4)
    funding.look(PERPETUAL)
    assert newest(funding.rows(PERPETUAL, EIGHT)) == EIGHT - 8 * HOUR + timedelta(milliseconds=4)
    assert newest(funding.rows(PERPETUAL, EIGHT + MINUTE)) == EIGHT + timedelta(milliseconds=4)


def test_while_a_due_payment_is_not_told_nothing_is_said_and_then_it_is_there() -> None:
    venue = Told(late=90 * SECOND)
    funding = asked(venue)
    venue.now = EIGHT + MINUTE + SECOND
    funding.look(PERPETUAL)
    said = funding.rows(PERPETUAL, EIGHT + MINUTE)
    assert said == "funding: the venue has not told the payment of 08:00 yet"
    venue.now = EIGHT + 2 * MINUTE
    funding.look(PERPETUAL)
    assert newest(funding.rows(PERPETUAL, EIGHT + 2 * MINUTE)) == EIGHT + timedelta(milliseconds=4)


def test_a_payment_that_never_comes_is_waited_for_ten_minutes() -> None:
    venue = Told()
    venue.paid.remove(EIGHT)
    funding = asked(venue)
    for minutes in range(1, 13):
        venue.now = EIGHT + minutes * MINUTE + SECOND
        funding.look(PERPETUAL)
        assert isinstance(funding.rows(PERPETUAL, EIGHT + minutes * MINUTE), str) is (minutes < 10)


def test_a_venue_that_does_not_answer_is_named_and_what_is_due_later_is_not_missed() -> None:
    venue = Told()
    venue.fails = "no route to host"
    funding = asked(venue)
    assert funding.settled
    assert funding.rows(PERPETUAL, EIGHT) == "funding: OSError: no route to host"
    venue.fails = ""
    funding.look(PERPETUAL)
    venue.now, venue.fails = EIGHT + 9 * MINUTE, "no route to host"
    funding.look(PERPETUAL)
    assert isinstance(funding.rows(PERPETUAL, EIGHT), pl.DataFrame), "nothing was due before"
    said = funding.rows(PERPETUAL, EIGHT + MINUTE)
    assert said == "funding: the venue has not told the payment of 08:00 yet: OSError: no route to host"


def test_the_history_is_asked_for_when_a_payment_is_due_and_now_and_then() -> None:
    venue = Told()
    venue.now, venue.announces = EIGHT - HOUR, None
    funding = asked(venue)
    for minutes in range(1, 8):
        venue.now = EIGHT - HOUR + minutes * MINUTE
        funding.look(PERPETUAL)
    assert venue.asked == 1
    venue.now = EIGHT + SECOND
    funding.look(PERPETUAL)
    assert venue.asked == 2


def test_a_payment_that_is_announced_sooner_than_usual_is_waited_for() -> None:
    venue = Told()
    venue.now, venue.announces = EIGHT + MINUTE, EIGHT + HOUR
    funding = asked(venue)
    venue.now = EIGHT + HOUR + MINUTE
    funding.look(PERPETUAL)
    assert isinstance(funding.rows(PERPETUAL, EIGHT + HOUR + MINUTE), str)


def test_the_next_payment_is_the_announced_one_and_of_a_market_nobody_asked_about_from_now_on() -> None:
    venue = Told()
    funding = asked(venue)
    assert funding.next_payment(PERPETUAL, venue.now) == FundingDue(EIGHT, 3e-4)
    venue.announces = None
    funding.look(PERPETUAL)
    due = funding.next_payment(PERPETUAL, venue.now)
    assert due is not None
    assert due.at == EIGHT
    assert 1e4 * due.rate == funding.newest_bps(PERPETUAL)
    other = "binance:ETH/USDT:USDT"
    assert funding.next_payment(other, venue.now) is None
    funding.look(other)
    assert funding.next_payment(other, venue.now) is not None


@pytest.fixture
def paid(store: Store) -> ReplayServer:
    """A local exchange with payments every eight hours."""
    store.upsert(CANDLES, random_walk(MARKET, seed=1, days_before=3, days_after=1))
    ts = [START + number * 8 * HOUR for number in range(-9, 3)]
    rows = {
        "market": [MARKET] * len(ts),
        "ts": ts,
        "known_at": [one + timedelta(milliseconds=number) for number, one in enumerate(ts)],
        "rate": [1e-5 * number for number in range(len(ts))],
        "interval_hours": [8.0] * len(ts),
        "mark_price": [100.0] * len(ts),
    }
    store.upsert(FUNDING_RATES, pl.DataFrame(rows, schema=FUNDING_RATES.columns))
    return ReplayServer(read_tape(store, {MARKET: "1m"}, start=START + HOUR, end=START + 9 * HOUR))


@pytest.mark.parametrize(("name", "exchange"), [("binance", "binanceusdm"), ("bybit", "bybit")])
def test_what_the_node_hears_of_the_venue_is_what_the_ingest_stores_of_it(
    paid: ReplayServer, settings: Settings, store: Store, name: str, exchange: str
) -> None:
    with paid as server:
        node = settings.node.model_copy(update={"venue": name, "base_url_http": server.url_http})
        venue = Told()
        venue.now = START + HOUR
        live = VenueFunding(RestFunding(settings.model_copy(update={"node": node})), Clock(venue), {MARKET: 24 * HOUR})
        live.look(MARKET)
        said = live.rows(MARKET, START + HOUR)
        source = ExchangeFunding.from_settings(
            CcxtSource(exchange=exchange, base_url=server.url_http, rate_limit=False)
        )
        span = {"start": START - 24 * HOUR, "end": START + HOUR}
        store.replace(FUNDING_RATES, pl.DataFrame(schema=FUNDING_RATES.columns), where={"market": MARKET})
        ingest_funding(store, source, market=MARKET, now=START + HOUR, **span)
        stored = read_companions(store, MARKET, timeframe=Timeframe.parse("15m"), names=["funding"], **span)["funding"]
        assert live.next_payment(MARKET, START + HOUR) == FundingDue(START + 8 * HOUR, said["rate"][-1])  # type: ignore[index]
    assert isinstance(said, pl.DataFrame)
    assert said.tail(stored.height).equals(stored)
    assert stored.height >= 3
