"""A fill that an implausible bar made is told of, whichever of the two is heard of first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from trading_assets.strategies.host.doubtful_fills import DoubtfulFills, Fill
from trading_assets.strategies.signals import ClosedBar

A, B = "sample:A/USDT:USDT", "sample:B/USDT:USDT"
NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)
BAD = ClosedBar(A, "1m", NOON, NOON + timedelta(minutes=1), 100.0, 9_900.0, 99.0, 100.0, 5.0)
TOLD = (
    "fill in doubt",
    f"{A}: O-1: sell 2 at 130: the 1m bar of 2025-05-01 12:00, 99 to 9900, is not believed",
)


def told(*steps: tuple[str, int, bool] | tuple[str, int]) -> list[tuple[str, str]]:
    """What is told of bars (market, time, whether admitted) and fills (market, time)."""
    heard: list[tuple[str, str]] = []
    fills = DoubtfulFills(lambda event, detail: heard.append((event, detail)))
    for market, ts, *admitted in steps:
        if admitted:
            fills.bar(market, ts, None if admitted[0] else BAD)
        else:
            fills.fill(market, Fill(ts, "O-1: sell 2 at 130"))
    return heard


def test_a_fill_that_an_implausible_bar_made_is_told_of_once_before_or_after_the_bar() -> None:
    assert told((A, 10, True), (A, 20, False), (A, 20), (A, 30, True)) == [TOLD]
    assert told((A, 10, True), (A, 21), (A, 20, False), (A, 30, True)) == [TOLD]


def test_a_fill_at_the_implausible_close_is_told_of_until_the_next_bar_comes() -> None:
    assert told((A, 20, False), (A, 29), (A, 30, True)) == [TOLD]
    assert told((A, 20, False), (A, 30, True), (A, 29), (A, 31)) == []


def test_fills_of_other_bars_and_other_markets_are_not() -> None:
    assert told((A, 10, True), (A, 11), (A, 12), (A, 20, False)) == []
    assert told((B, 10, True), (A, 20, False), (B, 21), (B, 30, True)) == []


def test_two_bars_in_a_row_that_are_not_believed_tell_of_a_fill_once() -> None:
    assert told((A, 20, False), (A, 25), (A, 30, False)) == [TOLD]
