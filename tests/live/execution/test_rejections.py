"""A refusal names the filter, the order's value and the venue's limit, whichever venue said it."""

from __future__ import annotations

import pytest

from trading_assets.strategies.orders.limits import OrderLimits
from trading_live.execution.rejections import explained, kind_of

LIMITS = OrderLimits(step=0.001, tick=0.1, min_quantity=0.001, max_quantity=120.0, min_notional=100.0)


@pytest.mark.parametrize(
    ("reason", "kind", "says"),
    [
        ("Binance error -4005: Quantity greater than max quantity.", "maximum", "500 above the venue's maximum 120"),
        ("code=-4164, msg=Order's notional must be no smaller than 100", "notional", "below the venue's minimum 100"),
        ("[-1111] Precision is over the maximum defined for this asset.", "step", "not in whole steps of 0.001"),
        ("-4014: Price not increased by tick size.", "tick", "price 9.5 is not in whole ticks of 0.1"),
        ("-4131: The counterparty's best price does not meet the PERCENT_PRICE filter limit.", "band", "price band"),
        ("-2021: Order would immediately trigger.", "triggers", "passed the stop at 9.5 already"),
        ("-2019: Margin is insufficient.", "margin", "not enough free margin"),
        ("-2027: Exceeded the maximum allowable position at current leverage.", "leverage", "node.leverage"),
        ("-2022: ReduceOnly Order is rejected.", "reduce", "no position that 500 would reduce"),
        ("-4061: Order's position side does not match user's setting.", "mode", "one-way positions"),
        ("-4045: Reach max stop order limit.", "stops", "no further stop"),
        ("110007 ab not enough for new order", "margin", "not enough free margin"),
        ("110017 current position is zero, cannot fix reduce-only order qty", "reduce", "would reduce"),
        ("ab not enough for new order", "margin", "not enough free margin"),
        ("expect Falling, but trigger_price[94500] >= current[94000]", "triggers", "passed the stop at 9.5 already"),
        ("expect Rising, but trigger_price[94500] <= current[95000]", "triggers", "passed the stop at 9.5 already"),
        ("Order does not meet minimum order value 5USDT", "notional", "notional"),
        ("Order price exceeds the allowable range.", "band", "price band"),
        ("51121 Order quantity must be a multiple of the lot size", "step", "whole steps"),
        (
            "OKX error 51278: SL trigger price can not be lower than the last price",
            "triggers",
            "passed the stop at 9.5",
        ),
        ("OKX error 51280: SL trigger price can not be higher than the last price", "triggers", "passed the stop"),
        ("OKX error 51010: You can't complete this request under your current account mode.", "account", "in a mode"),
        ("OKX error 51004: Order amount exceeds current tier limit", "leverage", "node.leverage"),
        ("OKX error 51131: Insufficient balance", "margin", "free margin"),
        ("OKX error 51261: Each user can hold up to 30 pending stop orders", "stops", "no further stop"),
        ("51008 Order failed. Insufficient USDT balance in account", "margin", "free margin"),
        ("EOrder:Insufficient funds", "margin", "free margin"),
        ("wouldNotReducePosition", "reduce", "would reduce"),
        ("Filter failure: LOT_SIZE", "minimum", "below the venue's minimum 0.001"),
        ("INFLIGHT_TIMEOUT", "unheard", "did not say what became of it"),
    ],
)
def test_the_words_of_each_venue_are_understood(reason: str, kind: str, says: str) -> None:
    assert kind_of(reason) == kind
    told = explained(reason, 500.0, 9.5, LIMITS)
    assert says in told
    assert reason in told, "the venue's own words stay"


def test_what_is_not_understood_is_told_as_it_was_said() -> None:
    assert explained("the moon is full", 1.0, 2.0, LIMITS) == "the moon is full"
    assert explained("-4005: too much", 1.0, 2.0, None) == "-4005: too much"


@pytest.mark.parametrize(
    ("reason", "quantity", "price"),
    [("-4005", 100.0, 0.0), ("-4004", 1.0, 0.0), ("-4164", 100.0, 0.0), ("-1111", 1.0, 0.0), ("-4014", 1.0, 9.5)],
)
def test_a_refusal_that_the_known_limit_does_not_explain_says_that_it_has_changed(
    reason: str, quantity: float, price: float
) -> None:
    assert "node.instrument_refresh_s" in explained(reason, quantity, price, LIMITS)
    known = {"-4005": (500.0, 0.0), "-4004": (0.0001, 0.0), "-4164": (1.0, 9.5), "-1111": (0.0005, 0.0)}
    assert "node.instrument_refresh_s" not in explained(reason, *known.get(reason, (1.0, 9.55)), LIMITS)
