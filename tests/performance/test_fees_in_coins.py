"""What closed trades say of fees that were not taken in quote currency."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from tests.performance.test_performance import COSTS, MARKET, MINUTE, T0, events, traded
from trading_assets.core.candles import TS
from trading_assets.performance import live_trades

COIN = "sample:BNB/USDT"


def in_coin(coin: str, price: float | None = None, share: float = 0.01) -> list[tuple[str, dict[str, Any]]]:
    """A trade whose fees are a hundredth of what they would be in quote currency."""
    return [
        (kind, {**row, "fee": row["fee"] * share, "fee_currency": coin, "fee_price": price} if kind == "fills" else row)
        for kind, row in traded()
    ]


def only(rows: list[tuple[str, dict[str, Any]]], **more: Any) -> dict[str, Any]:
    (row,) = live_trades(events(*rows), {}, COSTS, **more).to_dicts()
    return row


def test_fees_in_a_coin_count_at_the_price_that_their_fills_have() -> None:
    plain, valued = only(traded()), only(in_coin("BNB", 100.0))
    for name in ("fees", "pnl", "return"):
        assert valued[name] == pytest.approx(plain[name])
    assert plain["fees_unvalued"] == valued["fees_unvalued"] == ""


def test_stored_candles_of_the_coin_say_what_the_node_did_not_know() -> None:
    candles = pl.DataFrame(
        [(T0, 100.0), (T0 + 30 * MINUTE, 900.0)], schema={"end": TS, "close": pl.Float64}, orient="row"
    )
    assert only(in_coin("BNB"), coins={COIN: candles})["fees"] == pytest.approx(only(traded())["fees"])
    late = candles.with_columns(end=pl.col("end") - timedelta(hours=2))
    assert only(in_coin("BNB"), coins={COIN: late})["fees"] == 0


def test_a_fee_that_nobody_knows_the_worth_of_is_left_out_and_named() -> None:
    row = only(in_coin("BNB"))
    assert row["fees"] == 0
    assert row["pnl"] == pytest.approx(8 * 0.98)
    assert row["fees_unvalued"] == "0.004 BNB, 0.001 BNB, 0.002 BNB"


def test_of_a_coin_that_its_fee_made_less_the_price_moves_only_what_was_sold() -> None:
    spot = "sample:A/USDT"
    rows = [
        (kind, {name: one.replace(MARKET, spot) if isinstance(one, str) else one for name, one in row.items()})
        for kind, row in traded()
    ]
    for kind, row in rows:
        if kind == "fills" and row["order_id"] == "e":
            row |= {"fee": 0.008, "fee_currency": "A"}
        elif kind == "fills" and row["order_id"] == "x":
            row["quantity"] = 3.99
    told = only(rows)
    assert told["fees"] == pytest.approx(0.008 * 100.02 + 0.3)
    assert told["pnl"] == pytest.approx(7.99 * (101 - 100.02) - 0.008 * 100.02 - 0.3)
