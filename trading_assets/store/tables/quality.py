"""What the SQL models say about the stored candles: gaps, one summary a day, and exchanges side by side."""

from __future__ import annotations

from typing import Final

import polars as pl

from trading_assets.core.candles import TS
from trading_assets.store.tables.table import Table

GAPS: Final = Table(
    "gaps",
    "One range of missing candles between two stored ones.",
    {"market": pl.String, "timeframe": pl.String, "ts": TS, "end": TS, "candles": pl.Int64},
    ("market", "timeframe", "ts"),
    notes={
        "ts": "open of the first missing candle",
        "end": "open of the next stored one (exclusive)",
        "candles": "how many are missing",
    },
)
DAILY_QUALITY: Final = Table(
    "daily_quality",
    "How good one day (UTC) of a market's candles is.",
    {
        "market": pl.String,
        "timeframe": pl.String,
        "ts": TS,
        "candles_expected": pl.Int64,
        "candles_stored": pl.Int64,
        "candles_missing": pl.Int64,
        "zero_volume_share": pl.Float64,
        "longest_frozen_run": pl.Int64,
        "candles_quarantined": pl.Int64,
        "candles_revised": pl.Int64,
        "largest_return": pl.Float64,
        "largest_robust_z": pl.Float64,
    },
    ("market", "timeframe", "ts"),
    notes={
        "ts": "the day's open",
        "candles_expected": "from the market's first candle to the newest one stored",
        "zero_volume_share": "of the stored candles; null where there are none",
        "longest_frozen_run": "most candles in a row that did not move: high = low = the close before",
        "candles_quarantined": "rows kept out because they broke a rule, and not released since",
        "candles_revised": "times that the source changed a stored candle of the day",
        "largest_return": "largest |close / close before - 1| of two candles without a gap between them; a fraction",
        "largest_robust_z": "largest |return - median| / (1.4826 x MAD) of the day; null where MAD is 0",
    },
)
EXCHANGE_COMPARISON: Final = Table(
    "exchange_comparison",
    "One day (UTC) of a market beside the same symbol on another exchange; each pair stands there both ways round.",
    {
        "market": pl.String,
        "reference": pl.String,
        "timeframe": pl.String,
        "ts": TS,
        "candles": pl.Int64,
        "median_deviation_bps": pl.Float64,
        "median_distance_bps": pl.Float64,
        "largest_distance_bps": pl.Float64,
        "share_beyond_limit": pl.Float64,
        "lag_candles": pl.Int32,
        "lag_correlation": pl.Float64,
        "volume_ratio": pl.Float64,
    },
    ("market", "reference", "timeframe", "ts"),
    notes={
        "reference": "the market on the other exchange",
        "ts": "the day's open",
        "candles": "stored on both sides",
        "median_deviation_bps": "close over the reference's close, less 1, in basis points",
        "median_distance_bps": "the same without its sign",
        "share_beyond_limit": "of the candles: distance above `quality.second_exchange.max_bps` in the settings",
        "lag_candles": "how many candles the market's returns follow the reference's; negative where it leads",
        "lag_correlation": "correlation (about 0) of the returns at that lag",
        "volume_ratio": "the market's volume over the reference's, candles stored on both sides",
    },
)
CHECK_STATES: Final = Table(
    "check_states",
    "What a check said last about one part of its asset: a month of a market, a market, or a model.",
    {
        "asset": pl.String,
        "check": pl.String,
        "part": pl.String,
        "problem": pl.String,
        "start": TS,
        "end": TS,
        "checked_at": TS,
        "run_id": pl.String,
    },
    ("asset", "check", "part"),
    time="checked_at",
    notes={
        "part": "binance:BTC/USDT|2025-01, binance:BTC/USDT, or a model's name",
        "problem": "what is wrong; empty where it passed",
        "start": "of a month: from when on it was looked at (a run may cover days of it)",
        "end": "likewise, exclusive",
    },
)
