"""Returns of sleeves, and when each day is known for good."""

from datetime import timedelta

import pytest

from tests.portfolio.sleeves import DAY, START, equity_of, trades_of
from trading_assets.portfolio import sleeve_returns, sleeves_of


def test_returns_stand_side_by_side_and_a_day_that_one_lacks_is_null():
    found = sleeve_returns(equity_of({"b": [0.1, -0.5], "a": [0.01, 0.02, 0.03]}), trades_of(), starting_balance=1000.0)
    assert sleeves_of(found) == ["a", "b"]
    assert found["a"].to_list() == pytest.approx([0.01, 0.02, 0.03])
    assert found["b"].to_list()[:2] == pytest.approx([0.1, -0.5])
    assert found["b"][2] is None


def test_a_day_is_known_when_the_trades_that_were_open_on_it_have_closed():
    leaves = START + 2 * DAY + timedelta(hours=5)
    trades = trades_of([("a", START + DAY + timedelta(hours=20), leaves)])
    found = sleeve_returns(equity_of({"a": [0.0] * 4}), trades, starting_balance=1000.0)
    assert found["known_at"].to_list() == [START + DAY, leaves, START + 3 * DAY, START + 4 * DAY]


def test_an_account_that_lost_all_earns_nothing_more():
    found = sleeve_returns(equity_of({"a": [-1.0, 0.5]}), trades_of(), starting_balance=1000.0)
    assert found["a"].to_list() == [-1.0, 0.0]
