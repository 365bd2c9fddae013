"""Funding of perpetuals: what an open position pays or receives at each settlement. Pure frames.

A payment is ``rate x price x quantity`` of what is held at its instant: longs pay a positive rate and shorts receive
it, and the other way round where it is negative. The price is the mark price that was stored with the payment, or else
the last close before it. A position that is opened at the instant of a payment, or later, does not take part in it.

Where no payments are stored, an assumed rate is charged every eight hours, **to either side**: what nobody has recorded
may be a cost, never an income.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from trading_assets.core.candles import TS, Market, timeframe_delta
from trading_assets.store.contract import Store
from trading_assets.store.tables import FUNDING_RATES, Schema

USUAL: Final = timedelta(hours=8)
"""Between two payments, on most venues; what is assumed is assumed so often."""

PAYMENTS: Final[Schema] = {
    "market": pl.String,
    "ts": TS,
    "rate": pl.Float64,
    "price": pl.Float64,
    "assumed": pl.Boolean,
}
"""The payments that are due on a market, whoever holds it."""

CHARGES: Final[Schema] = {
    "signal_id": pl.String,
    "market": pl.String,
    "ts": TS,
    "quantity": pl.Float64,
    "price": pl.Float64,
    "rate": pl.Float64,
    "amount": pl.Float64,
    "assumed": pl.Boolean,
}
"""What trades were charged: ``quantity`` is signed, ``amount`` is received where positive, in quote currency."""

_FILLS: Final[Schema] = {
    "market": pl.String,
    "ts": TS,
    "signal_id": pl.String,
    "side": pl.String,
    "quantity": pl.Float64,
}


def stored_payments(store: Store, markets: Sequence[str], start: datetime) -> dict[str, pl.DataFrame]:
    """Perpetual -> its stored payments from the one before ``start`` on."""
    return {
        market: store.read(FUNDING_RATES, where={"market": market}, start=start - USUAL)
        for market in markets
        if Market.parse(market).is_perpetual
    }


def payments(
    market: str,
    stored: pl.DataFrame | None,
    candles: pl.DataFrame,
    *,
    timeframe: str,
    start: datetime,
    end: datetime,
    assumed_bps: float,
) -> pl.DataFrame:
    """The payments that are due on a market in ``[start, end)``, ascending.

    Parameters
    ----------
    market
        A market that is not a perpetual has none.
    stored
        Rows of the table ``funding_rates``, from eight hours before ``start`` on; None for none.
    candles
        ``ts`` (open) and ``close``: what a payment without a mark price is priced with.
    timeframe
        Of the candles.
    assumed_bps
        Of the notional, at 00:00, 08:00 and 16:00 UTC where nothing is stored of the eight hours before. Synthetic
        markets, whose candles nobody pays for, are assumed to pay nothing.

    Returns
    -------
    pl.DataFrame
        Columns of :data:`PAYMENTS`.
    """
    if not Market.parse(market).is_perpetual:
        return pl.DataFrame(schema=PAYMENTS)
    known = pl.DataFrame(schema=FUNDING_RATES.columns) if stored is None else stored
    known = known.select("ts", "rate", "mark_price").sort("ts")
    due = _slots(known["ts"], start, end)
    rate = 0.0 if Market.parse(market).is_synthetic else assumed_bps / 1e4
    assumed = pl.DataFrame({"ts": due}, schema={"ts": TS}).with_columns(
        rate=pl.lit(rate), mark_price=pl.lit(None, pl.Float64), assumed=pl.lit(value=True)
    )
    told = known.filter(pl.col("ts").is_between(start, end, closed="left")).with_columns(assumed=pl.lit(value=False))
    closes = candles.select((pl.col("ts") + timeframe_delta(timeframe)).alias("ts"), "close").sort("ts")
    return (
        pl.concat([told, assumed])
        .sort("ts")
        .join_asof(closes, on="ts", strategy="backward")
        .with_columns(market=pl.lit(market), price=pl.coalesce("mark_price", "close"))
        .filter(pl.col("price").is_not_null())  # before the first candle nothing is held
        .select(*PAYMENTS)
    )


def _slots(known: pl.Series, start: datetime, end: datetime) -> list[datetime]:
    """The usual times of a payment in ``[start, end)`` that none of the eight hours up to them is known for."""
    grid = pl.datetime_range(
        pl.lit(start).dt.truncate("8h"), pl.lit(end), USUAL, time_unit="us", time_zone="UTC", closed="left"
    )
    wanted = pl.select(ts=grid.cast(TS)).filter(pl.col("ts") >= start)
    newest = pl.DataFrame({"ts": known}, schema={"ts": TS}).with_columns(before="ts")
    found = wanted.join_asof(newest, on="ts", strategy="backward")
    silent = pl.col("before").is_null() | (pl.col("ts") - pl.col("before") >= USUAL)
    return found.filter(silent)["ts"].to_list()


def charged(fills: Sequence[Mapping[str, Any]], due: pl.DataFrame) -> pl.DataFrame:
    """What trades paid or received: each payment on what was held of its market at that instant.

    Parameters
    ----------
    fills
        The journal's events of this kind, in the order in which they happened; at most one trade a market at a time.
    due
        Columns of :data:`PAYMENTS`, of any number of markets.

    Returns
    -------
    pl.DataFrame
        Columns of :data:`CHARGES`, by ``ts`` and market.
    """
    signed = pl.when(pl.col("side") == "buy").then(pl.col("quantity")).otherwise(-pl.col("quantity"))
    held = (
        pl.DataFrame([[row[name] for name in _FILLS] for row in fills], schema=_FILLS, orient="row")
        .with_columns(quantity=signed.cum_sum().over("market", "signal_id"))
        .sort("ts", maintain_order=True)
    )
    amount = pl.col("price") * pl.col("rate") * pl.col("quantity")
    return (
        due.sort("ts")
        .join_asof(
            held.select("market", "ts", "signal_id", "quantity"),
            on="ts",
            by="market",
            strategy="backward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .filter(pl.col("quantity").abs() * pl.col("price") > 1e-9)  # what rounding leaves of a closed trade is none
        .with_columns(amount=pl.when("assumed").then(-amount.abs()).otherwise(-amount))
        .sort("ts", "market")
        .select(*CHARGES)
    )
