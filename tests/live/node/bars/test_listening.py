"""Subscribing at the connection's pace, and noticing what did not come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from trading_assets.settings import FeedSettings
from trading_assets.strategies.feed import FeedQuarantine
from trading_assets.strategies.signals import ClosedBar, Stream
from trading_live.node.bars.history import BarHistory, bar_rows
from trading_live.node.bars.listening import CatchUp, Listening, hold_steps

A, B = "sample:A/USDT:USDT", "sample:B/USDT:USDT"
NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)


class Venue:
    """A clock that is moved by hand, and a strategy that subscribes."""

    remote = False

    def __init__(self) -> None:
        self.time = NOON
        self.seconds = 0.0
        self.subscribed: list[Any] = []
        self.asked: list[tuple[str, datetime, datetime]] = []
        self.told: list[str] = []
        tell = lambda event, _: self.told.append(event)  # noqa: E731
        self.feed = FeedQuarantine(FeedSettings(), self, tell, lambda: self.seconds)
        self.history = BarHistory(Stream(A, "15m"), rows=100)
        ask = lambda *gap: self.asked.append(gap)  # noqa: E731
        self.catch_up = CatchUp({Stream(A, "15m"): self.history}, self.feed, "1m", ask, lambda: self.seconds)

    def now(self) -> datetime:
        return self.time

    def streams(self, market: str) -> list[tuple[str, Any]]:
        return [("1m", f"{market} 1m"), ("15m", f"{market} 15m")]

    def subscribe_bars(self, bar_type: Any) -> None:
        self.subscribed.append(bar_type)

    def minute(self, minutes: int) -> None:
        """A minute's bar ends so many minutes after noon."""
        self.time = NOON + timedelta(minutes=minutes)
        self.feed.admits(bar(self.time - timedelta(minutes=1), "1m", 1))

    def look(self) -> None:
        """Look twice, with some time between."""
        self.catch_up.look()
        self.seconds += 4.0
        self.catch_up.look()


def bar(ts: datetime, timeframe: str, minutes: int, close: float = 100.0) -> ClosedBar:
    return ClosedBar(A, timeframe, ts, ts + timedelta(minutes=minutes), close, close, close, close, 1.0)


def test_streams_are_subscribed_to_one_after_the_other_market_by_market() -> None:
    venue = Venue()
    listening = Listening(venue, venue.feed, [B, A])
    assert [listening.subscribe_next() for _ in range(5)] == [True, True, True, False, False]
    assert venue.subscribed == [f"{B} 1m", f"{B} 15m", f"{A} 1m", f"{A} 15m"]
    assert venue.feed.end_of(A, "15m") == NOON


def test_a_decision_bar_that_closed_before_its_stream_was_live_is_asked_for_before_the_next_one() -> None:
    venue = Venue()
    venue.history.merge([bar(NOON - timedelta(minutes=30), "15m", 15)])  # loaded before noon, subscribed after it
    venue.time = NOON + timedelta(seconds=20)
    Listening(venue, venue.feed, [A]).subscribe_next()
    venue.look()
    assert venue.asked == [(Stream(A, "15m"), NOON - timedelta(minutes=15), NOON)]
    venue.look()
    venue.minute(3)
    venue.look()
    assert len(venue.asked) == 1
    venue.minute(16)
    venue.look()
    assert venue.asked[1:] == [(Stream(A, "15m"), NOON - timedelta(minutes=15), NOON + timedelta(minutes=15))]


@pytest.mark.parametrize("minutes", range(1, 30))
def test_nothing_is_asked_for_where_the_newest_decision_bar_is_there(minutes: int) -> None:
    venue = Venue()
    last = NOON + timedelta(
        minutes=(minutes - 1) // 15 * 15 - 15
    )  # a bar and the finer one that ends with it: any order
    venue.history.merge([bar(last, "15m", 15)])
    venue.minute(minutes)
    venue.look()
    assert venue.asked == []


def test_a_bar_that_only_takes_its_time_is_not_asked_for() -> None:
    venue = Venue()
    venue.history.merge([bar(NOON - timedelta(minutes=15), "15m", 15)])
    venue.minute(16)
    venue.catch_up.look()
    venue.history.merge([bar(NOON, "15m", 15)])
    venue.look()
    assert venue.asked == []


def test_a_step_of_the_price_level_sets_its_market_apart_until_it_left_the_look_back() -> None:
    venue = Venue()
    history = BarHistory(Stream(A, "15m"), rows=10)
    for number in range(8):
        history.append(bar_rows([bar(NOON + number * timedelta(minutes=15), "15m", 15, 100.0 if number < 4 else 0.1)]))
    hold_steps([history], venue.feed, 100.0)
    assert "the price level changed from 100 to 0.1 at 2025-05-01 13:00" in str(venue.feed.refusal(A))
    for number in range(8, 15):
        history.append(bar_rows([bar(NOON + number * timedelta(minutes=15), "15m", 15, 0.1)]))
        hold_steps([history], venue.feed, 100.0)
    assert venue.feed.refusal(A) is None
    assert venue.told == ["feed quarantined", "feed trusted again"]
