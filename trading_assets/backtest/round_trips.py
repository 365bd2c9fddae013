"""From what the strategy journalled to round trips and a daily equity curve. Pure frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from trading_assets.core.candles import TS, timeframe_delta
from trading_assets.core.sides import Side
from trading_assets.store.tables import Schema
from trading_assets.strategies.orders.plans import TradePlan

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
}


def round_trips(
    plans: Sequence[Mapping[str, Any]], fills: Sequence[Mapping[str, Any]], *, decision_timeframe: str
) -> pl.DataFrame:
    """One row per closed trade, by entry time; a long one was opened by buys, a short one by sells.

    Parameters
    ----------
    plans, fills
        The journal's events of these kinds.

    Returns
    -------
    pl.DataFrame
        The ``trades`` table without ``model``; also ``entry_fee`` and ``exit_fee``, which sum to ``fees``.
    """
    length = timeframe_delta(decision_timeframe)
    last = {row["signal_id"]: row["plan"] for row in plans}
    newest = {signal_id: TradePlan.from_json(plan) for signal_id, plan in last.items()}
    said = [
        (one.signal_id, one.side.word, one.market, one.known_at - length, one.probability, one.exit_reason)
        for one in newest.values()
    ]
    planned = pl.DataFrame(said, schema=_PLAN, orient="row")
    filled = pl.DataFrame([[row[name] for name in _FILL] for row in fills], schema=_FILL, orient="row")
    notional = pl.col("price") * pl.col("quantity")
    opens = (pl.col("side") == "buy") == (pl.col("side_planned") == Side.LONG.word)
    mine = filled.lazy().join(planned.lazy().select("signal_id", "side"), on="signal_id", suffix="_planned")
    ways = {
        way: mine.filter(chosen)
        .group_by("signal_id")
        .agg(
            pl.col("ts").min().alias("first"),
            pl.col("ts").max().alias("last"),
            pl.col("quantity").sum(),
            pl.when(pl.len() == 1)
            .then(pl.col("price").first())
            .otherwise(notional.sum() / pl.col("quantity").sum())
            .alias("price"),
            pl.col("fee").sum(),
        )
        for way, chosen in (("in", opens), ("out", ~opens))
    }
    gained = sign() * (pl.col("price_out") - pl.col("price")) * pl.col("quantity")
    return (
        planned.lazy()
        .join(ways["in"], on="signal_id")
        .join(ways["out"], on="signal_id", suffix="_out")
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
            (gained - pl.col("fee") - pl.col("fee_out")).alias("pnl"),
            "exit_reason",
            pl.col("fee").alias("entry_fee"),
            pl.col("fee_out").alias("exit_fee"),
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

    Returns
    -------
    pl.DataFrame
        ``ts`` (the day's open), ``equity`` (at its close, quote currency), ``drawdown`` (fraction below the running
        peak, the starting balance included).
    """
    first, last = _midnight(start), _midnight(end - timedelta(microseconds=1))
    days = pl.DataFrame({"ts": pl.datetime_range(first, last, "1d", time_unit="us", time_zone="UTC", eager=True)})
    # what is closed when the data ends fills one latency later: it belongs to the last day, not to the one that follows
    trades = trades.with_columns(
        pl.min_horizontal("exit_ts", pl.lit(end - timedelta(microseconds=1), TS)).alias("exit_ts")
    )
    realised = trades.group_by(pl.col("exit_ts").dt.truncate("1d").alias("ts")).agg(pl.col("pnl").sum())
    floating = _floating(trades, closes)
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


def _floating(trades: pl.DataFrame, closes: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """What open positions are worth at each midnight that they live through; ``ts`` is the day before it."""
    overnight = (
        trades.select("market", "side", "entry_ts", "exit_ts", "entry_price", "quantity", "entry_fee")
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
        for (market,), part in overnight.group_by("market")
    ]
    if not parts:
        return pl.DataFrame(schema={"ts": TS, "floating": pl.Float64})
    worth = sign() * (pl.col("close") - pl.col("entry_price")) * pl.col("quantity") - pl.col("entry_fee")
    return pl.concat(parts).group_by("ts").agg(worth.sum().alias("floating"))


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
