"""How much of a backtest's fees stands for slippage."""

from __future__ import annotations

import pytest

from tests.backtest.worlds import EXACT, A, backtest, random_sides, walk


def test_the_slippage_of_a_backtest_is_what_its_orders_at_the_market_were_charged_beyond_their_fee() -> None:
    predictions, frames = random_sides(A, 300, seed=5), {A: walk(300, seed=5)}
    slipping = backtest(predictions, frames, settings=EXACT.model_copy(update={"slippage_bps": 3.0}))
    targets = {row["order_id"] for row in slipping.orders if row["purpose"] == "take_profit"}
    at_market = sum(row["price"] * row["quantity"] for row in slipping.fills if row["order_id"] not in targets)
    assert at_market > 0
    assert slipping.metrics["total_slippage"] == pytest.approx(3e-4 * at_market)
    assert slipping.metrics["total_slippage"] < slipping.metrics["total_fees"] == slipping.metrics["total_costs"]
    assert backtest(predictions, frames, settings=EXACT).metrics["total_slippage"] == 0.0
