"""What the node's trades paid and received in funding, reckoned from its journalled fills and the stored payments.

The node's sandbox settles no funding: its adapter streams none and its engine is told no payments. So the ledger books
it, one mechanism for every venue: each stored payment on what the fills say was held. It is reckoned anew each time,
since payments are stored later than they are settled, and what was assumed in their place goes when they come.
"""

from __future__ import annotations

import polars as pl

from trading_assets.core.candles import timeframe_delta
from trading_assets.costs.funding import USUAL, charged, payments
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES, FILLS, FUNDING_RATES, LIVE_FUNDING


def live_funding(store: Store, settings: Settings) -> pl.DataFrame:
    """Rows of the table of this name, of all nodes whose fills are loaded.

    Up to the newest stored candle of each market; a market that the settings do not name any more has no rows.
    """
    fills = store.read(FILLS).sort("node", "seq")
    parts = [pl.DataFrame(schema=LIVE_FUNDING.columns)]
    for (node, market), traded in fills.group_by("node", "market", maintain_order=True):
        if str(market) in settings.markets:
            found = _of(str(market), traded, store, settings)
            parts.append(found.with_columns(node=pl.lit(node)).select(*LIVE_FUNDING.columns))
    return pl.concat(parts)


def _of(market: str, fills: pl.DataFrame, store: Store, settings: Settings) -> pl.DataFrame:
    timeframe = settings.markets[market].timeframe
    start = fills["ts"][0]
    where: dict[str, str | int] = {"market": market, "timeframe": timeframe}
    candles = store.read(CANDLES, where=where, start=start - USUAL, columns=["ts", "close"])
    end = start if candles.is_empty() else candles["ts"][-1] + timeframe_delta(timeframe)
    due = payments(
        market,
        store.read(FUNDING_RATES, where={"market": market}, start=start - USUAL),
        candles,
        timeframe=timeframe,
        start=start,
        end=max(start, end),
        assumed_bps=settings.trading.costs.assumed_funding_bps,
    )
    return charged(fills.to_dicts(), due)
