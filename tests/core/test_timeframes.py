"""A timeframe divides the day, has one name, and says how many of its bars a length of time has."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.core.errors import SettingsError
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import MINUTES_OF_A_DAY, Timeframe

DIVISORS = [minutes for minutes in range(1, MINUTES_OF_A_DAY + 1) if MINUTES_OF_A_DAY % minutes == 0]


@given(st.sampled_from(DIVISORS))
def test_a_timeframe_is_read_back_from_its_name(minutes: int) -> None:
    assert Timeframe.parse(Timeframe(minutes).name) == Timeframe(minutes)


@given(st.sampled_from(DIVISORS), st.integers(min_value=1, max_value=100_000))
def test_the_bars_of_a_span_cover_it_and_one_bar_less_does_not(minutes: int, span: int) -> None:
    timeframe, length = Timeframe(minutes), timedelta(minutes=span)
    bars = timeframe.bars(length)
    assert bars * timeframe.length >= length
    assert (bars - 1) * timeframe.length < length


@pytest.mark.parametrize(
    ("name", "day", "week"), [("1m", 1440, 10_080), ("15m", 96, 672), ("1h", 24, 168), ("1d", 1, 7)]
)
def test_a_day_and_a_week_have_the_bars_that_one_counts_by_hand(name: str, day: int, week: int) -> None:
    timeframe = Timeframe.parse(name)
    assert (timeframe.bars(timedelta(days=1)), timeframe.bars(timedelta(days=7))) == (day, week)


@pytest.mark.parametrize("text", ["7m", "5h", "2d", "1w", "0m", "hour"])
def test_what_does_not_divide_the_day_is_refused_by_name(text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        Timeframe.parse(text)


def test_bars_are_built_from_equal_or_finer_candles_that_divide_them() -> None:
    hour = Timeframe.parse("1h")
    assert hour.is_built_from("1h")
    assert hour.is_built_from("15m")
    assert not hour.is_built_from("4h")
    assert not Timeframe.parse("30m").is_built_from("20m")


def test_each_side_is_the_other_ones_opposite() -> None:
    for side in Side:
        assert side.opposite.opposite is side
        assert side.opposite == -side
        assert Side.parse(side.word) is side
    with pytest.raises(ValueError, match="'buy'"):
        Side.parse("buy")
