"""The node's closed trades, from the events of its journal. Pure frames."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import polars as pl

from trading_assets.backtest.metrics import with_excursions
from trading_assets.backtest.metrics.slippage import slippage_fees
from trading_assets.backtest.round_trips import round_trips, sign
from trading_assets.core.candles import TS
from trading_assets.core.timeframes import Timeframe
from trading_assets.costs.funding import CHARGES
from trading_assets.journal import NODE, PLANS, standing, valued
from trading_assets.settings.sections.trading import CostSettings
from trading_assets.store.tables import ACCOUNT_EQUITY, FILLS, LIVE_TRADES, ORDERS, PAYMENTS, SIGNALS
from trading_assets.strategies.plans.plan import TradePlan

_MINUTE: Final = timedelta(minutes=1)
_USUAL: Final = timedelta(minutes=15)
"""Length of the decision bars of plans from before they said it."""

READ: Final = (NODE, PLANS, FILLS.name, ORDERS.name, PAYMENTS.name, SIGNALS.name, ACCOUNT_EQUITY.name)
"""The kinds of events that trades and periods are made of."""

type Events = Mapping[str, pl.DataFrame]


def live_trades(
    events: Events,
    candles: Mapping[str, pl.DataFrame],
    costs: CostSettings,
    *,
    reckoned: pl.DataFrame | None = None,
    coins: Mapping[str, pl.DataFrame] | None = None,
) -> pl.DataFrame:
    """One row for each trade that is closed, by entry time.

    Parameters
    ----------
    events
        Of one session of a journal: kind -> frame, as :func:`trading_assets.journal.read_session` gives them.
    candles
        Market -> its finest stored candles, ascending: excursions and the decision's price come from them.
    costs
        What stands for slippage in the fees of fills that no venue made.
    reckoned
        Funding of trades that no venue filled: ``signal_id`` and ``amount``. What a venue booked is in the journal.
    coins
        Market -> stored candles of coins that fees were taken in and the node knew no price of.

    Returns
    -------
    pl.DataFrame
        Columns of the table of this name.
    """
    plans = _closed(events[PLANS])
    fills, orders = valued(standing(events[FILLS.name]), coins), events[ORDERS.name]
    parts = [pl.DataFrame(schema=LIVE_TRADES.columns)]
    for (bar,), mine in plans.group_by("bar", maintain_order=True):
        assert isinstance(bar, timedelta)
        timeframe = Timeframe(bar // _MINUTE).name
        own = fills.filter(pl.col("signal_id").is_in(mine["signal_id"].implode()))
        trips = round_trips(mine.to_dicts(), own.to_dicts(), decision_timeframe=timeframe)
        seen = _with_prices(with_excursions(trips, candles), candles, bar)
        parts.append(_told(seen.with_columns(timeframe=pl.lit(timeframe)), events, own, orders, costs, reckoned))
    return pl.concat(parts).sort("entry_ts", "market")


def _closed(plans: pl.DataFrame) -> pl.DataFrame:
    """The newest plan of each trade that is over, with the length of its bars."""
    newest = plans.sort("seq").unique("signal_id", keep="last", maintain_order=True)
    read = [TradePlan.from_json(text) for text in newest["plan"]]
    bars = [one.bar or _USUAL for one in read]
    over = [one.stage == "closed" and bool(one.signal_id) for one in read]
    return newest.with_columns(bar=pl.Series(bars, dtype=pl.Duration("us"))).filter(pl.Series(over, dtype=pl.Boolean))


def _with_prices(trips: pl.DataFrame, candles: Mapping[str, pl.DataFrame], bar: timedelta) -> pl.DataFrame:
    """With the close of the bar that was decided on: of its newest candle, if any of it is stored."""
    closes = [
        frame.select("ts", "close", market=pl.lit(market)) for market, frame in candles.items() if frame.height
    ] or [pl.DataFrame(schema={"ts": TS, "close": pl.Float64, "market": pl.String})]
    known = trips.with_columns(until=pl.col("signal_ts") + bar - timedelta(microseconds=1)).sort("until")
    found = known.join_asof(
        pl.concat(closes).sort("ts").rename({"ts": "candle_ts", "close": "decision_price"}),
        left_on="until",
        right_on="candle_ts",
        by="market",
        strategy="backward",
        tolerance=bar,
        check_sortedness=False,
    )
    return found.with_columns(slippage_bps=1e4 * sign() * (pl.col("entry_price") / pl.col("decision_price") - 1))


def _told(
    trips: pl.DataFrame,
    events: Events,
    fills: pl.DataFrame,
    orders: pl.DataFrame,
    costs: CostSettings,
    reckoned: pl.DataFrame | None,
) -> pl.DataFrame:
    """The trades with all that the journal says besides."""
    said = (
        events[SIGNALS.name].sort("seq").unique("signal_id", keep="last").select("signal_id", "model", "model_version")
    )
    by = fills.group_by("signal_id").agg(
        pl.col("filled_by").first(),
        pl.col("node").first(),
        pl.col("unvalued").drop_nulls().str.join(", ").alias("fees_unvalued"),
    )
    entries = orders.filter(pl.col("purpose") == "entry", pl.col("status") == "initialized")
    ordered = entries.group_by("signal_id").agg(ordered=pl.col("quantity").first())
    trades = (
        trips.drop("model", "funding", strict=False)
        .join(said, on="signal_id", how="left")
        .join(by, on="signal_id", how="left")
        .join(ordered, on="signal_id", how="left")
        .join(slippage_fees(fills, orders, costs, simulated=False), on="signal_id", how="left")
        .with_columns(
            pl.col("ordered").fill_null(pl.col("quantity")),
            pl.col("slippage_fees").fill_null(0.0),
            pl.col("filled_by").fill_null("paper"),
            duration_s=(pl.col("exit_ts") - pl.col("entry_ts")).dt.total_microseconds() / 1e6,
        )
    )
    paid = _funding(trades, events[PAYMENTS.name], reckoned)
    kept = _unsold(trades, fills)
    gross = pl.col("pnl") + pl.col("funding") - pl.col("unsold_gain").fill_null(0.0)
    return (
        trades.join(paid, on="signal_id", how="left")
        .join(kept, on="signal_id", how="left")
        .with_columns(pl.col("funding").fill_null(0.0))
        .with_columns(pnl=gross)
        .with_columns((pl.col("pnl") / (pl.col("entry_price") * pl.col("quantity"))).alias("return"))
        .select(pl.col(name).cast(dtype) for name, dtype in LIVE_TRADES.columns.items())
    )


def _unsold(trades: pl.DataFrame, fills: pl.DataFrame) -> pl.DataFrame:
    """What the price did of that part of a spot trade which its fees took, or left too small to be sold."""
    taken = fills.filter(pl.col("base_taken") != 0).select("signal_id").unique()
    signed = pl.when(pl.col("side") == "buy").then(pl.col("quantity")).otherwise(-pl.col("quantity"))
    left = fills.join(taken, on="signal_id", how="semi").group_by("signal_id").agg(left=signed.sum())
    moved = pl.col("exit_price") - pl.col("entry_price")
    return trades.join(left, on="signal_id").select("signal_id", unsold_gain=moved * pl.col("left"))


def _funding(trades: pl.DataFrame, payments: pl.DataFrame, reckoned: pl.DataFrame | None) -> pl.DataFrame:
    """Received and paid by each trade: what the venue booked while it was open, else what was reckoned."""
    booked = (
        payments.filter(pl.col("kind") == "funding")
        .select("market", "amount", paid_at="ts")
        .join(trades.filter(filled_by="live").select("market", "signal_id", "entry_ts", "exit_ts"), on="market")
        .filter(pl.col("paid_at") > pl.col("entry_ts"), pl.col("paid_at") <= pl.col("exit_ts"))
        .select("signal_id", "amount")
    )
    known = pl.DataFrame(schema=CHARGES) if reckoned is None else reckoned
    ours = known.select("signal_id", "amount").join(
        trades.filter(pl.col("filled_by") != "live"), on="signal_id", how="semi"
    )
    return pl.concat([booked, ours]).group_by("signal_id").agg(funding=pl.col("amount").sum())
