"""Order books and public trades as one row per bar: what features can read of them.

A row belongs to the bar in which it became known: with ``ts < known_at <= ts + timeframe``. Nothing reaches over from
one bar into the next, so a bar's row depends on that bar alone.
"""

from __future__ import annotations

import polars as pl

from trading_assets.core.timeframes import Timeframe


def _bar_end(timeframe: Timeframe) -> pl.Expr:
    """When the bar closes in which a row became known."""
    just_before = pl.col("known_at") - pl.duration(microseconds=1)
    return (just_before.dt.truncate(timeframe.length) + timeframe.length).alias("bar_end")


def of_books(snapshots: pl.DataFrame, timeframe: Timeframe) -> pl.DataFrame:
    """Spread, depth and order flow of each bar.

    Parameters
    ----------
    snapshots
        Rows of ``book_snapshots`` of one market.
    timeframe
        Of the bars.

    Returns
    -------
    polars.DataFrame
        ``known_at`` (the bar's end), ``spread_bps`` (mean over the snapshots), ``depth_imbalance`` (of the last one:
        bid minus ask sizes over both), ``order_flow_imbalance`` (Cont, Kukanov & Stoikov 2014, over the size of all
        flow; 0 where none was seen). Snapshots with an empty side are left out.
    """
    best = (
        snapshots.filter((pl.col("bid_prices").list.len() > 0) & (pl.col("ask_prices").list.len() > 0))
        .sort("known_at", "sequence")
        .select(
            _bar_end(timeframe),
            bid=pl.col("bid_prices").list.first(),
            ask=pl.col("ask_prices").list.first(),
            bid_size=pl.col("bid_sizes").list.first(),
            ask_size=pl.col("ask_sizes").list.first(),
            bids=pl.col("bid_sizes").list.sum(),
            asks=pl.col("ask_sizes").list.sum(),
        )
    )
    before = {name: pl.col(name).shift(1).over("bar_end") for name in ("bid", "ask", "bid_size", "ask_size")}
    to_bid = pl.when(pl.col("bid") >= before["bid"]).then("bid_size").otherwise(0.0) - pl.when(
        pl.col("bid") <= before["bid"]
    ).then(before["bid_size"]).otherwise(0.0)
    to_ask = pl.when(pl.col("ask") <= before["ask"]).then("ask_size").otherwise(0.0) - pl.when(
        pl.col("ask") >= before["ask"]
    ).then(before["ask_size"]).otherwise(0.0)
    flow = best.with_columns(flow=pl.when(before["bid"].is_not_null()).then(to_bid - to_ask))
    size = pl.col("flow").abs().sum()
    return (
        flow.group_by("bar_end", maintain_order=True)
        .agg(
            spread_bps=((pl.col("ask") - pl.col("bid")) / (pl.col("ask") + pl.col("bid")) * 2e4).mean(),
            depth_imbalance=((pl.col("bids") - pl.col("asks")) / (pl.col("bids") + pl.col("asks"))).last(),
            order_flow_imbalance=pl.when(size > 0).then(pl.col("flow").sum() / size).otherwise(0.0),
        )
        .rename({"bar_end": "known_at"})
        .sort("known_at")
    )


def of_trades(trades: pl.DataFrame, timeframe: Timeframe) -> pl.DataFrame:
    """Who was trading in each bar.

    Parameters
    ----------
    trades
        Rows of ``public_trades`` of one market.
    timeframe
        Of the bars.

    Returns
    -------
    polars.DataFrame
        ``known_at`` (the bar's end), ``sign_imbalance`` and ``volume_imbalance``: buyers' minus sellers' trades, and
        quantity, over all.
    """
    sign = pl.when(pl.col("side") == "buy").then(1.0).otherwise(-1.0)
    return (
        trades.group_by(_bar_end(timeframe))
        .agg(
            sign_imbalance=sign.mean(),
            volume_imbalance=(sign * pl.col("quantity")).sum() / pl.col("quantity").sum(),
        )
        .rename({"bar_end": "known_at"})
        .sort("known_at")
    )
