"""How trades were entered, protected and left, from a journal's orders and fills: of a backtest, on paper or live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from trading_assets.core.candles import TS
from trading_assets.store.tables import FILLS, ORDERS, Schema

PARTS: Final[Schema] = {
    "signal_id": pl.String,
    "ts": TS,
    "purpose": pl.String,
    "side": pl.String,
    "quantity": pl.Float64,
    "price": pl.Float64,
}
LEVELS: Final[Schema] = {
    "signal_id": pl.String,
    "purpose": pl.String,
    "start": TS,
    "end": TS,
    "price": pl.Float64,
}
FUNDING: Final[Schema] = {"signal_id": pl.String, "ts": TS, "amount": pl.Float64, "rate": pl.Float64}

_RESTING: Final = ("take_profit", "stop_loss")
_AT_REST: Final = ("initialized", "submitted", "accepted", "updated", "triggered", "partially_filled", "pending_update")


@dataclass(frozen=True, slots=True)
class Executions:
    """What a chart draws of trades, each named by the signal that it was entered on.

    Attributes
    ----------
    trades
        ``signal_id``, ``market``, ``side``, ``entry_ts``, ``exit_ts``, ``entry_price``, ``exit_price``, ``quantity``,
        ``pnl``, ``return``, ``exit_reason``; an open trade has nulls from its exit on.
    parts
        Each fill: ``signal_id``, ``ts``, ``purpose`` (entry, take_profit, stop_loss, exit), ``side``, ``quantity``,
        ``price``.
    levels
        Where stops and targets lay: ``signal_id``, ``purpose``, ``start``, ``end``, ``price``.
    funding
        Payments: ``signal_id``, ``ts``, ``amount`` (received where positive), ``rate``.
    """

    trades: pl.DataFrame
    parts: pl.DataFrame
    levels: pl.DataFrame
    funding: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FUNDING))

    def of(self, signal_ids: Sequence[str]) -> Executions:
        """Those of some trades."""
        wanted = pl.col("signal_id").is_in(list(signal_ids))
        return Executions(*(one.filter(wanted) for one in (self.trades, self.parts, self.levels, self.funding)))


def rows_of(events: Sequence[Mapping[str, Any]], kind: str) -> pl.DataFrame:
    """A journal's events of orders or fills as a frame of the table's columns."""
    columns = {"orders": ORDERS, "fills": FILLS}[kind].columns
    kept = {name: dtype for name, dtype in columns.items() if name not in ("node", "seq")}
    return pl.DataFrame([[event.get(name) for name in kept] for event in events], schema=kept, orient="row")


def parts_of(fills: pl.DataFrame, orders: pl.DataFrame) -> pl.DataFrame:
    """Each fill with what its order was for; one of an order that nobody wrote down is an exit."""
    purposes = orders.group_by("order_id").agg(pl.col("purpose").first())
    return (
        fills.join(purposes, on="order_id", how="left")
        .with_columns(pl.col("purpose").fill_null("exit"))
        .sort("ts")
        .select(*PARTS)
    )


def levels_of(orders: pl.DataFrame) -> pl.DataFrame:
    """Where stops and targets lay, from the events of their orders: a row for each price that one rested at.

    A moved order has several rows, whether the venue changed it or it was replaced. What still rests when the journal
    ends has its last event as its end.
    """
    resting = orders.filter(pl.col("purpose").is_in(_RESTING) & pl.col("price").is_not_null())
    return (
        resting.sort("ts", maintain_order=True)
        .with_columns(next=pl.col("ts").shift(-1).over("order_id"))
        .filter(pl.col("status").is_in(_AT_REST) | pl.col("status").str.starts_with("pending"))
        .group_by("signal_id", "order_id", "purpose", "price", maintain_order=True)
        .agg(start=pl.col("ts").min(), end=pl.max_horizontal(pl.col("next").max(), pl.col("ts").max()))
        .filter(pl.col("end") > pl.col("start"))
        .select(*LEVELS)
    )


def trades_of(parts: pl.DataFrame, fills: pl.DataFrame) -> pl.DataFrame:
    """Round trips from fills alone, as a node leaves them: one per signal; an open one has no exit yet.

    Parameters
    ----------
    parts
        Of :func:`parts_of`.
    fills
        Of which they are: ``signal_id``, ``market``, ``fee``.
    """
    entry = pl.col("purpose") == "entry"
    money = pl.col("price") * pl.col("quantity")
    sums = (
        parts.group_by("signal_id")
        .agg(
            side=pl.when(pl.col("side").filter(entry).first() == "buy").then(pl.lit("long")).otherwise(pl.lit("short")),
            entry_ts=pl.col("ts").filter(entry).min(),
            exit_ts=pl.col("ts").filter(~entry).max(),
            quantity=pl.col("quantity").filter(entry).sum(),
            sold=pl.col("quantity").filter(~entry).sum(),
            paid=money.filter(entry).sum(),
            got=money.filter(~entry).sum(),
            exit_reason=pl.col("purpose").filter(~entry).last(),
        )
        .filter(pl.col("entry_ts").is_not_null() & (pl.col("signal_id") != ""))
        .join(fills.group_by("signal_id").agg(pl.col("market").first(), pl.col("fee").sum()), on="signal_id")
    )
    closed = pl.col("sold") >= pl.col("quantity") * (1 - 1e-9)
    sign = pl.when(pl.col("side") == "long").then(1.0).otherwise(-1.0)
    pnl = pl.when(closed).then(sign * (pl.col("got") - pl.col("paid")) - pl.col("fee"))
    return (
        sums.with_columns(
            exit_ts=pl.when(closed).then("exit_ts"),
            entry_price=pl.col("paid") / pl.col("quantity"),
            exit_price=pl.when(closed).then(pl.col("got") / pl.col("sold")),
            exit_reason=pl.when(closed).then("exit_reason").otherwise(pl.lit("open")),
            pnl=pnl,
        )
        .with_columns((pl.col("pnl") / pl.col("paid")).alias("return"))
        .sort("entry_ts", "market")
        .select(
            "signal_id",
            "market",
            "side",
            "entry_ts",
            "exit_ts",
            "entry_price",
            "exit_price",
            "quantity",
            pl.col("fee").alias("fees"),
            "pnl",
            "return",
            "exit_reason",
        )
    )
