"""From what the strategy journalled to round trips and a daily equity curve. Pure frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from trading_assets.core.candles import TS, timeframe_delta
from trading_assets.core.sides import Side
from trading_assets.costs.funding import CHARGES
from trading_assets.settings.days import midnight
from trading_assets.store.tables import Schema
from trading_assets.strategies.plans.plan import TradePlan

_DAY: Final = timedelta(days=1)
_FILL: Final[Schema] = {
    "ts": TS,
    "signal_id": pl.String,
    "side": pl.String,
    "quantity": pl.Float64,
    "price": pl.Float64,
    "fee": pl.Float64,
}
_PLAN: Final[Schema] = {
    "signal_id": pl.String,
    "side": pl.String,
    "market": pl.String,
    "signal_ts": TS,
    "probability": pl.Float64,
    "exit_reason": pl.String,
    "targets": pl.Int32,
    "targets_filled": pl.Int32,
}


def round_trips(
    plans: Sequence[Mapping[str, Any]],
    fills: Sequence[Mapping[str, Any]],
    *,
    decision_timeframe: str,
    funding: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """One row per closed trade, by entry time; a long one was opened by buys, a short one by sells.

    Parameters
    ----------
    plans, fills
        The journal's events of these kinds.
    funding
        What they paid and received, of :func:`trading_assets.costs.funding.charged`; None for nothing.

    Returns
    -------
    pl.DataFrame
        The ``trades`` table without ``model``; also ``signal_id``, and ``entry_fee`` and ``exit_fee``, which sum to
        ``fees``; and ``exit_low`` and ``exit_high``, the prices of the lowest and the highest of its exits.
    """
    length = timeframe_delta(decision_timeframe)
    last = {row["signal_id"]: row["plan"] for row in plans}
    newest = {signal_id: TradePlan.from_json(plan) for signal_id, plan in last.items()}
    said = [
        (one.signal_id, one.side.word, one.market, one.known_at - length, one.probability, one.exit_reason, *_hits(one))
        for one in newest.values()
    ]
    planned = pl.DataFrame(said, schema=_PLAN, orient="row")
    filled = _frame(fills)
    notional = pl.col("price") * pl.col("quantity")
    opens = (pl.col("side") == "buy") == (pl.col("side_planned") == Side.LONG.word)
    sides = planned.lazy().select("signal_id", "side")
    mine = filled.lazy().join(sides, on="signal_id", suffix="_planned", maintain_order="left")  # sums have an order
    ways = {
        way: mine.filter(chosen)
        .group_by("signal_id", maintain_order=True)
        .agg(
            pl.col("ts").min().alias("first"),
            pl.col("ts").max().alias("last"),
            pl.col("quantity").sum(),
            pl.when(pl.len() == 1)
            .then(pl.col("price").first())
            .otherwise(notional.sum() / pl.col("quantity").sum())
            .alias("price"),
            pl.col("fee").sum(),
            pl.col("price").min().alias("low"),
            pl.col("price").max().alias("high"),
        )
        for way, chosen in (("in", opens), ("out", ~opens))
    }
    gained = sign() * (pl.col("price_out") - pl.col("price")) * pl.col("quantity")
    charged = pl.DataFrame(schema=CHARGES) if funding is None else funding
    paid = charged.lazy().group_by("signal_id", maintain_order=True).agg(pl.col("amount").sum().alias("funding"))
    return (
        planned.lazy()
        .join(ways["in"], on="signal_id")
        .join(ways["out"], on="signal_id", suffix="_out")
        .join(paid, on="signal_id", how="left")
        .with_columns(pl.col("funding").fill_null(0.0))
        .sort("first", "market")
        .select(
            pl.int_range(1, pl.len() + 1, dtype=pl.Int32).alias("trade"),
            "market",
            "side",
            "signal_ts",
            "probability",
            pl.col("first").alias("entry_ts"),
            pl.col("last_out").alias("exit_ts"),
            pl.col("price").alias("entry_price"),
            pl.col("price_out").alias("exit_price"),
            "quantity",
            (pl.col("fee") + pl.col("fee_out")).alias("fees"),
            "funding",
            (gained - pl.col("fee") - pl.col("fee_out") + pl.col("funding")).alias("pnl"),
            "exit_reason",
            "targets",
            "targets_filled",
            "signal_id",
            pl.col("fee").alias("entry_fee"),
            pl.col("fee_out").alias("exit_fee"),
            pl.col("low_out").alias("exit_low"),
            pl.col("high_out").alias("exit_high"),
        )
        .with_columns((pl.col("pnl") / (pl.col("entry_price") * pl.col("quantity"))).alias("return"))
        .collect()
    )


def daily_equity(
    trades: pl.DataFrame,
    closes: Mapping[str, pl.DataFrame],
    *,
    starting_balance: float,
    start: datetime,
    end: datetime,
    fills: Sequence[Mapping[str, Any]] = (),
    funding: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The account at the end of each UTC day from ``start`` to ``end``, open positions marked to market.

    Parameters
    ----------
    trades
        From :func:`round_trips`.
    closes
        Market -> ``known_at`` and ``close``, ascending; what open positions are marked with.
    start, end
        The first and the last instant of the backtest; every day they touch has a row, traded or not.
    fills
        As for :func:`round_trips`: what closed a part of a trade before a midnight is marked no more, it has its price.
        Without them each trade is taken to be closed at once.
    funding
        As for :func:`round_trips`: a payment counts from its instant on, one at midnight on the day that begins then.

    Returns
    -------
    pl.DataFrame
        ``ts`` (the day's open), ``equity`` (at its close, quote currency), ``drawdown`` (fraction below the running
        peak, the starting balance included).
    """
    first, last = midnight(start.date()), midnight((end - timedelta(microseconds=1)).date())
    days = pl.DataFrame({"ts": pl.datetime_range(first, last, "1d", time_unit="us", time_zone="UTC", eager=True)})
    # what is closed when the data ends fills one latency later: it belongs to the last day, not to the one that follows
    trades = trades.with_columns(
        pl.min_horizontal("exit_ts", pl.lit(end - timedelta(microseconds=1), TS)).alias("exit_ts")
    )
    realised = trades.group_by(pl.col("exit_ts").dt.truncate("1d").alias("ts"), maintain_order=True).agg(
        pl.col("pnl").sum()
    )
    charged = pl.DataFrame(schema=CHARGES) if funding is None else funding
    floating = _floating(trades, closes, _frame(fills), charged)
    equity = pl.col("realised").fill_null(0).cum_sum() + pl.col("floating").fill_null(0) + starting_balance
    return (
        days.join(realised.rename({"pnl": "realised"}), on="ts", how="left")
        .join(floating, on="ts", how="left")
        .sort("ts")
        .select("ts", equity.alias("equity"))
        .with_columns(peak=pl.max_horizontal(pl.col("equity").cum_max(), pl.lit(starting_balance)))
        .select("ts", "equity", ((pl.col("peak") - pl.col("equity")) / pl.col("peak")).alias("drawdown"))
    )


def sign() -> pl.Expr:
    """1 for a long trade, -1 for a short one, from ``side``."""
    return pl.col("side").replace_strict({side.word: side.value for side in Side}, return_dtype=pl.Float64)


def _hits(plan: TradePlan) -> tuple[int, int]:
    """How many targets a trade had, and how many of them were filled."""
    return max(len(plan.exits.targets), len(plan.targets)), plan.targets_filled


def _frame(fills: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame([[row[name] for name in _FILL] for row in fills], schema=_FILL, orient="row")


def _floating(
    trades: pl.DataFrame, closes: Mapping[str, pl.DataFrame], fills: pl.DataFrame, funding: pl.DataFrame
) -> pl.DataFrame:
    """What open positions are worth at each midnight that they live through; ``ts`` is the day before it."""
    overnight = (
        trades.select("market", "side", "signal_id", "entry_ts", "exit_ts", "entry_price", "quantity", "entry_fee")
        .with_columns(entry_day=pl.col("entry_ts").dt.truncate("1d"), exit_day=pl.col("exit_ts").dt.truncate("1d"))
        .filter(pl.col("exit_day") > pl.col("entry_day"))
        .with_columns(ts=pl.datetime_ranges("entry_day", pl.col("exit_day") - _DAY, "1d"))
        .explode("ts")
        .with_columns(midnight=pl.col("ts") + _DAY)
    )
    parts = [
        part.sort("midnight").join_asof(
            closes[str(market)].select("known_at", "close"),
            left_on="midnight",
            right_on="known_at",
            strategy="backward",
        )
        for (market,), part in overnight.group_by("market", maintain_order=True)
    ]
    if not parts:
        return pl.DataFrame(schema={"ts": TS, "floating": pl.Float64})
    worth = sign() * (pl.col("close") - pl.col("entry_price")) * pl.col("quantity") - pl.col("entry_fee")
    open_at = pl.concat(parts)
    closed = (
        open_at.select("ts", "midnight", "signal_id", "side", "close")
        .join(fills.rename({"ts": "filled_at", "side": "way"}), on="signal_id")
        .filter(pl.col("filled_at") < pl.col("midnight"), (pl.col("way") == "buy") != (sign() > 0))
        .select("ts", more=sign() * (pl.col("price") - pl.col("close")) * pl.col("quantity") - pl.col("fee"))
    )
    paid = (
        open_at.select("ts", "midnight", "signal_id")
        .join(funding.select("signal_id", "amount", paid_at="ts"), on="signal_id")
        .filter(pl.col("paid_at") < pl.col("midnight"))
        .select("ts", more="amount")
    )
    marked = [open_at.select("ts", floating=worth), *(one.select("ts", floating="more") for one in (closed, paid))]
    return pl.concat(marked).group_by("ts", maintain_order=True).agg(pl.col("floating").sum())
