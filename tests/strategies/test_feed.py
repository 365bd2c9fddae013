"""Bars that cannot be believed set their market apart, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.core.candles import timeframe_delta
from trading_assets.settings import FeedSettings
from trading_assets.strategies.feed import FeedQuarantine, impossible, largest_move_pct, move_pct
from trading_assets.strategies.signals import ClosedBar

A, B = "sample:A/USDT:USDT", "sample:B/USDT:USDT"
NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Desk:
    """A quarantine with a clock that is moved by hand."""

    def __init__(self, *, remote: bool = False, **limits: float) -> None:
        self.remote = remote
        self.time: datetime | None = NOON
        self.seconds = 0.0
        self.looks = 0
        self.told: list[tuple[str, str]] = []
        tell = lambda event, detail: self.told.append((event, detail))  # noqa: E731
        self.feed = FeedQuarantine(FeedSettings.model_validate(limits), self, tell, lambda: self.seconds)
        self.at = 0

    def now(self) -> datetime | None:
        self.looks += 1
        return self.time

    def bar(self, price: float, market: str = A, **changes: float) -> ClosedBar:
        """The next minute's bar, a little around a price."""
        self.at += 1
        self.time, self.seconds = NOON + self.at * MINUTE, self.at * 60.0
        opened = NOON + (self.at - 1) * MINUTE
        return replace(
            ClosedBar(market, "1m", opened, opened + MINUTE, price, price * 1.001, price * 0.999, price, 5.0), **changes
        )

    def sends(self, *prices: float) -> list[bool]:
        return [self.feed.admits(self.bar(price)) for price in prices]

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.told]


NAN, INFINITE = float("nan"), float("inf")
IMPOSSIBLE = [
    ({"low": 0.0}, "its low is 0"),
    ({"close": -1.0}, "its close is -1"),
    ({"open": NAN}, "its open is nan"),
    ({"high": INFINITE}, "its high is inf"),
    ({"high": 99.0}, "do not hold open 100 and close 100"),
    ({"low": 101.0}, "do not hold open 100 and close 100"),
    ({"volume": -3.0}, "its volume is -3"),
    ({"volume": NAN}, "its volume is nan"),
]


@pytest.mark.parametrize(("changes", "says"), IMPOSSIBLE)
def test_an_impossible_bar_sets_its_market_apart_and_no_other(changes: dict[str, float], says: str) -> None:
    desk = Desk()
    desk.sends(100.0)
    assert not desk.feed.admits(desk.bar(100.0, **changes))
    assert says in str(desk.feed.refusal(A))
    assert desk.feed.admits(desk.bar(7.0, B))
    assert desk.feed.refusal(B) is None
    assert desk.feed.reasons().keys() == {A}
    assert desk.sends(100.0, 101.0, 100.0, 99.0) == [True] * 4
    assert desk.feed.refusal(A) is not None
    assert desk.sends(100.0) == [True]
    assert desk.feed.refusal(A) is None
    assert desk.told[-1] == ("feed trusted again", f"{A}: 5 bars agree")
    assert desk.events == ["feed quarantined", "feed trusted again"]


def test_a_bar_a_hundred_times_too_high_is_not_used_and_says_from_where_it_jumped() -> None:
    desk = Desk()
    desk.sends(100.0)
    assert desk.sends(10_000.0) == [False]
    assert "9990 to 10010 is 9,910 % from the last close 100, limit 30 %" in str(desk.feed.refusal(A))
    assert desk.sends(*[100.0] * 5) == [True] * 5
    assert desk.feed.refusal(A) is None


@pytest.mark.parametrize(
    ("timeframe", "farthest"), [("1m", 30), ("5m", 30), ("15m", 30), ("1h", 60), ("4h", 120), ("1d", 293.9)]
)
def test_a_longer_bar_may_move_farther_and_a_shorter_one_as_far(timeframe: str, farthest: float) -> None:
    assert largest_move_pct(30.0, timeframe) == pytest.approx(farthest, rel=1e-3)
    desk, length = Desk(), timeframe_delta(timeframe)
    bar = lambda high: replace(  # noqa: E731
        desk.bar(100.0), timeframe=timeframe, known_at=NOON, ts=NOON - length, high=high
    )
    assert desk.feed.admits(bar(100.0))
    assert desk.feed.admits(bar(100 + 0.99 * farthest))
    assert not desk.feed.admits(bar(100 + 1.02 * farthest))
    assert f"limit {farthest:g} %" in str(desk.feed.refusal(A))


def test_a_lively_day_in_a_history_of_days_is_a_fact_and_a_tenfold_one_is_left_out() -> None:
    desk, day = Desk(), timedelta(days=1)

    def history(high: float) -> list[ClosedBar]:
        plain = ClosedBar(A, "1d", NOON, NOON + day, 100.0, 101.0, 99.0, 100.0, 5.0)
        days = [replace(plain, ts=NOON + i * day, known_at=NOON + (i + 1) * day) for i in range(9)]
        days[4] = replace(days[4], high=high)
        return days

    assert len(desk.feed.believe(history(250.0))) == 9
    assert len(desk.feed.believe(history(1_000.0))) == 8
    assert desk.events == ["history refused"]


def test_one_implausible_bar_among_agreeing_ones_begins_the_count_anew() -> None:
    desk = Desk(agreeing_bars=3)
    desk.sends(100.0, 1.0, 100.0, 100.0, 1.0, 100.0, 100.0)
    assert desk.feed.refusal(A) is not None
    desk.sends(100.0)
    assert desk.feed.refusal(A) is None


def test_a_crash_that_lasts_is_believed_when_its_bars_agree() -> None:
    desk = Desk()
    desk.sends(100.0)
    assert desk.sends(60.0, 59.0, 61.0, 60.0, 60.0) == [False] * 4 + [True]
    assert desk.feed.refusal(A) is None
    assert desk.told[-1] == ("feed trusted again", f"{A}: 5 bars agree on the new level 60")


def test_a_redenomination_is_left_to_a_person() -> None:
    desk = Desk()
    desk.sends(100.0)
    assert not any(desk.sends(*[0.1] * 50))
    assert "the new level lasts and is 99,900 % away, limit 100 %" in str(desk.feed.refusal(A))
    assert desk.events == ["feed quarantined"] * 2
    assert desk.sends(*[100.0] * 5) == [True] * 5  # the venue took it back
    assert desk.feed.refusal(A) is None


def test_a_bar_of_the_future_is_not_used() -> None:
    desk = Desk()
    desk.sends(100.0)
    ahead = desk.bar(100.0)
    ahead = replace(ahead, ts=ahead.ts + timedelta(hours=6), known_at=ahead.known_at + timedelta(hours=6))
    assert not desk.feed.admits(ahead)
    assert "it ends 21,600 s in the future, limit 5 s: either the bar or this machine's clock" in str(
        desk.feed.refusal(A)
    )


def test_with_a_slow_clock_every_market_is_set_apart_until_it_is_right_again() -> None:
    desk = Desk()
    for market in (A, B):
        bar = desk.bar(100.0, market)
        assert desk.time is not None
        desk.time -= timedelta(minutes=10)
        assert not desk.feed.admits(bar)
    assert desk.feed.reasons().keys() == {A, B}
    for _ in range(5):
        assert desk.feed.admits(desk.bar(100.0, A))
    assert desk.feed.reasons().keys() == {B}


def test_a_clock_that_costs_a_request_is_asked_only_where_a_bar_does_not_follow_the_last_one() -> None:
    desk = Desk(remote=True)
    assert all(desk.sends(*[100.0] * 20))
    assert desk.looks == 1
    desk.at += 30
    assert desk.sends(100.0) == [True]
    assert desk.looks == 2
    desk.at += 30
    later = desk.bar(100.0)
    desk.time = None  # it does not answer
    assert desk.feed.admits(later)


bars = st.builds(
    lambda price, kind: (price, kind),
    st.floats(1e-9, 1e9),
    st.sampled_from(["", "", "", "", "low", "high", "volume"]),
)


@given(st.lists(bars, max_size=60), st.integers(1, 6))
def test_what_is_admitted_is_possible_and_near_the_last_admitted_close(
    sent: list[tuple[float, str]], agreeing: int
) -> None:
    desk = Desk(agreeing_bars=agreeing)
    close: float | None = None
    for price, kind in sent:
        bar = desk.bar(price, **({kind: -1.0} if kind else {}))
        trusted = desk.feed.refusal(A) is None
        if desk.feed.admits(bar):
            assert impossible(bar) is None
            if close is not None and move_pct(bar, close) > 30.0:
                assert desk.feed.refusal(A) is None  # a new level, agreed on
                assert max(bar.close / close, close / bar.close) <= 2.0
            close = bar.close
        else:
            assert desk.feed.refusal(A) is not None
        if not trusted and desk.feed.refusal(A) is None:
            assert desk.told[-1][0] == "feed trusted again"


@pytest.mark.parametrize("exponent", range(-9, 7, 3))
def test_the_band_does_not_depend_on_the_size_of_the_price(exponent: int) -> None:
    desk = Desk()
    path = [100.0, 101.0, 140.0, 100.0, 75.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0]
    assert desk.sends(*(price * 10.0**exponent for price in path)) == [price not in (140.0, 75.0) for price in path]


# -- history -----------------------------------------------------------------------------------------------------------


def history(desk: Desk, *prices: float) -> list[ClosedBar]:
    return [desk.bar(price) for price in prices]


@pytest.mark.parametrize("at", [1, 4, 8, 9])
def test_a_spike_in_a_history_is_left_out_wherever_it_is(at: int) -> None:
    desk = Desk()
    given_bars = history(desk, *(10_000.0 if number == at else 100.0 for number in range(10)))
    assert desk.feed.believe(given_bars) == given_bars[:at] + given_bars[at + 1 :]
    assert desk.told == [("history refused", f"{A}: 1 bars; {given_bars[at].ts:%Y-%m-%d %H:%M}: 9990 to 10010 between "
                          "bars of another level")]  # fmt: skip
    assert desk.sends(100.0) == [True]


def test_a_step_in_a_history_that_lasts_is_a_fact() -> None:
    desk = Desk()
    given_bars = history(desk, *[100.0] * 20, *[10.0] * 20)
    assert desk.feed.believe(given_bars) == given_bars
    assert desk.sends(10.0) == [True]


def test_the_bars_around_a_gap_tell_whether_the_missing_one_is_a_spike() -> None:
    desk = Desk()
    before, missing, after = history(desk, 100.0, 10_000.0, 100.0)
    assert desk.feed.believe([missing], before=before, after=after) == []
    assert desk.feed.believe([replace(missing, low=0.0)]) == []
    crash = replace(missing, open=100.0, high=100.0, low=60.0, close=60.0)
    assert desk.feed.believe([crash], before=before, after=replace(after, low=59.0, close=60.0)) == [crash]


# -- silence -----------------------------------------------------------------------------------------------------------


def test_a_market_whose_bars_are_overdue_is_silent_until_the_next_one() -> None:
    desk = Desk(max_silence_s=150)
    desk.feed.expect(A, ["1m"])
    desk.feed.expect(B, ["1m"])
    desk.sends(100.0, 100.0)
    assert not desk.feed.is_silent(A)
    desk.time, desk.seconds = NOON + timedelta(minutes=5, seconds=29), 329.0
    desk.feed.watch()
    assert desk.feed.reasons().keys() == {B}
    assert "silent: no 1m bar since 2025-05-01 12:00:00, limit 150 s after it is due" in str(desk.feed.refusal(B))
    desk.time += timedelta(seconds=2)
    desk.feed.watch()
    desk.feed.watch()
    assert desk.feed.reasons().keys() == {A, B}
    assert desk.events == ["feed silent", "feed silent"]
    desk.at = 8
    desk.sends(100.0)
    assert not desk.feed.is_silent(A)
    assert desk.feed.is_silent(B)
    assert desk.events[-1] == "feed heard again"


def test_one_silent_timeframe_is_enough_and_an_unknown_time_is_no_silence() -> None:
    desk = Desk()
    desk.feed.expect(A, ["1m", "15m"])
    desk.at = 19
    desk.sends(100.0)
    desk.seconds += 10.0
    desk.time = None
    desk.feed.watch()
    assert not desk.feed.is_silent(A)
    desk.time = NOON + timedelta(minutes=20)
    desk.feed.watch()
    assert "no 15m bar" in str(desk.feed.refusal(A))


def test_a_fast_replay_is_not_silent_between_two_messages() -> None:
    desk = Desk()
    desk.feed.expect(A, ["1m"])
    desk.time, desk.seconds = NOON + timedelta(hours=3), 1.0
    desk.feed.watch()
    assert not desk.feed.is_silent(A)
    desk.seconds = 6.0
    desk.feed.watch()
    assert desk.feed.is_silent(A)


def test_a_market_that_is_held_stays_apart_whatever_its_bars_say() -> None:
    desk = Desk()
    desk.feed.hold(A, "the price level changed")
    desk.feed.hold(A, "the price level changed")
    desk.sends(*[100.0] * 20)
    assert desk.feed.refusal(A) == "the price level changed"
    desk.feed.hold(A, None)
    assert desk.feed.refusal(A) is None
    assert desk.events == ["feed quarantined", "feed trusted again"]
