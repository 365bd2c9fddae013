"""Which bars are decided on together, and which wait for another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from trading_assets.strategies.host.queue import DecisionQueue
from trading_assets.strategies.signals import ClosedBar, Stream

START = datetime(2025, 1, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def bar(market: str, number: int) -> ClosedBar:
    ts = START + number * QUARTER
    return ClosedBar(market, "15m", ts, ts + QUARTER, 1.0, 1.0, 1.0, 1.0, 1.0)


steps = st.lists(st.one_of(st.none(), st.tuples(st.sampled_from("ABC"), st.integers(0, 3))), max_size=12)


@given(steps)
def test_where_nothing_is_waited_for_the_short_way_takes_what_the_long_one_does(
    arrivals: list[tuple[str, int] | None],
) -> None:
    short, long = DecisionQueue(None, finer=None), DecisionQueue(lambda _: None, finer=None)
    for arrival in [*arrivals, None, None, None, None]:
        if arrival is None:
            assert short.take(START + QUARTER) == long.take(START + QUARTER)
        else:
            short.add(bar(*arrival))
            long.add(bar(*arrival))


def test_a_bar_is_taken_after_that_of_its_leader_whichever_came_first() -> None:
    leaders = {Stream("B", "15m"): "A", Stream("C", "15m"): "A"}
    for order in ("BAC", "CBA", "ABC"):
        queue = DecisionQueue(leaders.get, finer=None)
        for market in order:
            queue.add(bar(market, 0))
        taken = [one.market for one in queue.take(START + QUARTER)]
        assert taken[0] == "A"
        assert sorted(taken) == ["A", "B", "C"]
        assert queue.take(START + QUARTER) == []


def test_a_bar_waits_for_its_leader_until_a_later_bar_shows_that_it_does_not_come() -> None:
    queue = DecisionQueue({Stream("B", "15m"): "A"}.get, finer=None)
    queue.add(bar("B", 0))
    assert queue.ready(START + QUARTER) == 0
    assert queue.take(START + QUARTER) == []
    assert queue.take(START + 2 * QUARTER) == [bar("B", 0)]
