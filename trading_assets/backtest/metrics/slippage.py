"""What of the fees of fills stands for slippage. Pure frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from trading_assets.settings.sections.slippage import MeasuredSlippageSettings
from trading_assets.settings.sections.trading import CostSettings
from trading_assets.store.tables import Schema

FILLED: Final[Schema] = {
    "order_id": pl.String,
    "signal_id": pl.String,
    "market": pl.String,
    "price": pl.Float64,
    "quantity": pl.Float64,
    "fee": pl.Float64,
    "filled_by": pl.String,
}
"""What is asked of fills; of orders it is ``order_id`` and ``purpose``."""


def slippage_fees(fills: pl.DataFrame, orders: pl.DataFrame, costs: CostSettings, *, simulated: bool) -> pl.DataFrame:
    """What of the fees of each trade stands for slippage: ``signal_id``, ``slippage_fees``.

    An order at the market that no venue filled is charged its slippage with its fee; one that a venue filled has it in
    its price.

    Parameters
    ----------
    fills, orders
        Columns of the tables of these names.
    costs
        Fees and slippage.
    simulated
        Whether the backtest filled them, which may measure slippage instead of assuming it.
    """
    at_market = orders.filter(pl.col("purpose") != "take_profit").select("order_id").unique()
    paid = fills.filter(pl.col("filled_by").fill_null("paper") != "live").join(at_market, on="order_id", how="semi")
    notional = pl.col("price") * pl.col("quantity")
    if simulated and isinstance(costs.slippage, MeasuredSlippageSettings):
        rates = {market: costs.rates(market).taker_bps for market in paid["market"].unique()}
        slip = pl.col("fee") - pl.col("market").replace_strict(rates, return_dtype=pl.Float64) / 1e4 * notional
    else:
        slip = pl.min_horizontal(costs.slippage_bps / 1e4 * notional, pl.col("fee"))
    return paid.group_by("signal_id", maintain_order=True).agg(slippage_fees=slip.sum())


def total_slippage(fills: Sequence[dict[str, Any]], orders: Sequence[dict[str, Any]], costs: CostSettings) -> float:
    """What of all fees of a backtest stands for slippage, in quote currency.

    Parameters
    ----------
    fills, orders
        Its journal's events of these kinds.
    costs
        Fees and slippage.
    """
    filled = pl.DataFrame([[row[name] for name in FILLED] for row in fills], schema=FILLED, orient="row")
    sent = pl.DataFrame(
        [(row["order_id"], row["purpose"]) for row in orders],
        schema={"order_id": pl.String, "purpose": pl.String},
        orient="row",
    )
    return float(slippage_fees(filled, sent, costs, simulated=True)["slippage_fees"].sum())
