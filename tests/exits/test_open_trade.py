"""A trade's stop and targets by hand: long and short."""

from __future__ import annotations

from datetime import timedelta

import pytest

from trading_assets.core.sides import Side
from trading_assets.exits.open_trade import OpenTrade
from trading_assets.exits.plan import ExitPlan
from trading_assets.settings.sections.exits import ExitSettings


def _entered(side: Side, **changes: object) -> OpenTrade:
    """At 100, with an average true range of 2 %, and costs of 0.1 %."""
    plan = ExitPlan.of(ExitSettings.model_validate(changes), unit=0.02)
    return OpenTrade.entered(side, 100.0, 10.0, plan, cost=0.001)


def test_the_default_plan_sells_in_three_parts_one_two_and_three_ranges_away() -> None:
    long, short = _entered(Side.LONG), _entered(Side.SHORT)

    assert long.target_prices == pytest.approx((102, 104, 106))
    assert short.target_prices == pytest.approx((98, 96, 94))
    assert (long.stop_price, short.stop_price) == pytest.approx((97, 103))
    assert [target.share for target in long.plan.targets] == [0.3, 0.4, 0.3]
    assert long.plan.hold == timedelta(hours=48)


@pytest.mark.parametrize(("side", "even"), [(Side.LONG, 100.1), (Side.SHORT, 99.9)])
def test_after_the_first_target_the_stop_lies_where_costs_are_earned(side: Side, even: float) -> None:
    trade = _entered(side).after_target()

    assert trade.stop_price == pytest.approx(even)
    assert trade.after_target().stop_price == pytest.approx(even)


def test_the_stop_follows_the_best_price_from_the_first_target_on_and_never_goes_back() -> None:
    trade = _entered(Side.LONG).after_bar(high=101.5, low=99)
    assert trade.stop_price == pytest.approx(97)

    trade = trade.after_target().after_bar(high=105, low=101)
    assert trade.stop_price == pytest.approx(103)
    assert trade.after_bar(high=104, low=103.5).stop_price == pytest.approx(103)


def test_a_short_trades_stop_follows_from_the_entry_on_where_the_plan_says_so() -> None:
    trade = _entered(Side.SHORT, trailing={"distance": 0.5, "after": "entry"}).after_bar(high=100.5, low=97)

    assert trade.stop_price == pytest.approx(98)
    assert trade.after_bar(high=97.9, low=97.5).stop_price == pytest.approx(98)
