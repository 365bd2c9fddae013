"""What came from the exchanges, and the bars built from it."""

from __future__ import annotations

from typing import Final

import polars as pl

from trading_assets.core.candles import CANDLE_COLUMNS, OHLCV, TS
from trading_assets.core.timeframes import TIMEFRAMES, Timeframe
from trading_assets.store.tables.table import Schema, Table

_BAR: Schema = {
    "market": pl.String,
    "ts": TS,
    "known_at": TS,
    "open": pl.Float64,
    "high": pl.Float64,
    "low": pl.Float64,
    "close": pl.Float64,
    "volume": pl.Float64,
    "candles": pl.Int32,
}


_MINUTES: Final = """
SELECT market, ts, ts + INTERVAL '1 minute' AS known_at, open, high, low, close, volume, 1 AS candles
FROM candles
WHERE timeframe = '1m'
"""


def _bars(timeframe: Timeframe) -> Table:
    return Table(
        f"bars_{timeframe}",
        f"One closed {timeframe} bar built from stored candles; `candles` says how many of them it had.",
        _BAR,
        ("market", "ts"),
        on_demand=True,
        view=_MINUTES if timeframe.minutes == 1 else "",
    )


CANDLES: Final = Table(
    "candles", "One closed candle as the source gave it.", CANDLE_COLUMNS, ("market", "timeframe", "ts")
)
CANDLES_QUARANTINE: Final = Table(
    "candles_quarantine",
    "One candle that broke a rule, kept as it came, with the reason.",
    {
        **CANDLE_COLUMNS,
        "reason": pl.String,
        "source": pl.String,
        "row_hash": pl.UInt64,
        "seen_at": TS,
        "released_at": TS,
        "released_by": pl.String,
        "note": pl.String,
    },
    ("market", "timeframe", "ts", "row_hash"),
    notes={
        "row_hash": "hash of the row's values: two different bad rows of one minute are both kept",
        "seen_at": "when it was first fetched",
        "released_at": "when somebody accepted it as a candle (`trading quarantine release`); null while set apart",
        "released_by": "who did",
        "note": "why",
    },
)
STREAMED_CANDLES: Final = Table(
    "streamed_candles",
    "One stored candle that the venue streamed and whose history has not been read since, as it was streamed.",
    {**CANDLE_COLUMNS, "known_at": TS, "source": pl.String},
    ("market", "timeframe", "ts"),
    notes={
        "known_at": "when the recorder received it",
        "source": "venue and environment",
    },
)
BARS: Final = {timeframe.name: _bars(timeframe) for timeframe in TIMEFRAMES}
"""By timeframe. Bars of a minute are the candles of a minute, and not stored again."""

MARKET_EVENTS: Final = Table(
    "market_events",
    "One event that changed what a market's price or volume means, as the settings tell it.",
    {
        "market": pl.String,
        "ts": TS,
        "kind": pl.String,  # rename | split | redenomination | contract_size | delisting
        "factor": pl.Float64,
        "note": pl.String,
        "who": pl.String,
    },
    ("market", "ts", "kind"),
    notes={
        "ts": "when it took effect: the open of the first candle after it",
        "kind": "rename, split, redenomination, contract_size or delisting",
        "factor": "new price over old price; prices are stored as they were traded, never multiplied by it",
        "note": "where it was announced, the old name, and the like",
        "who": "who says so",
    },
)
CANDLE_REVISIONS: Final = Table(
    "candle_revisions",
    "One stored candle that its source later gave with other values: the old ones and the new ones.",
    {
        "market": pl.String,
        "timeframe": pl.String,
        "ts": TS,
        "seen_at": TS,
        "source": pl.String,
        **{f"{when}_{column}": pl.Float64 for when in ("old", "new") for column in OHLCV},
    },
    ("market", "timeframe", "ts", "seen_at"),
    notes={
        "seen_at": "when the new values were fetched; `candles` holds the newest",
        "new_close": "null, as all new values, where it had been streamed and the venue's history does not have it",
    },
)
CANDLE_GAPS: Final = Table(
    "candle_gaps",
    "One range of missing candles and what is known about why.",
    {
        "market": pl.String,
        "timeframe": pl.String,
        "ts": TS,
        "end": TS,
        "candles": pl.Int64,
        "reason": pl.String,
        "detail": pl.String,
        "attempts": pl.Int32,
        "checked_at": TS,
    },
    ("market", "timeframe", "ts"),
    notes={
        "ts": "open of the first missing candle",
        "end": "open of the next stored one (exclusive)",
        "reason": "confirmed_empty (asked again: the exchange has none), exchange_outage (so, while a second exchange "
        "traded), fetch_failure, before_listing, out_of_reach, not_in_files or quarantined; what nobody looked into "
        "has no row",
        "attempts": "how often it was asked for again",
    },
)
FUNDING_RATES: Final = Table(
    "funding_rates",
    "One funding payment of a perpetual, known when it was settled.",
    {
        "market": pl.String,
        "ts": TS,
        "known_at": TS,
        "rate": pl.Float64,
        "interval_hours": pl.Float64,
        "mark_price": pl.Float64,
    },
    ("market", "ts"),
    notes={"rate": "fraction of notional that longs pay shorts for the interval", "mark_price": "null where not given"},
)
FUNDING_REVISIONS: Final = Table(
    "funding_revisions",
    "One stored funding payment that its source later gave with another rate: the old one and the new one.",
    {"market": pl.String, "ts": TS, "seen_at": TS, "source": pl.String, "old_rate": pl.Float64, "new_rate": pl.Float64},
    ("market", "ts", "seen_at"),
    notes={"seen_at": "when the new rate was fetched; `funding_rates` holds the newest"},
)
SENTIMENT: Final = Table(
    "sentiment",
    "One sentiment score as a provider published it; a score that it revised is a further row, known later.",
    {"scope": pl.String, "source": pl.String, "ts": TS, "known_at": TS, "score": pl.Float64},
    ("scope", "source", "ts", "known_at"),
    notes={
        "scope": "a base currency such as BTC, or * for the whole market",
        "ts": "the time that the score is about",
        "known_at": "when it could first be read: decisions join on it",
        "score": "-1 (fear) to 1 (greed)",
    },
)
FEED_QUARANTINE: Final = Table(
    "feed_quarantine",
    "One row of a feed other than candles that broke a rule, kept as it came, with the reason.",
    {
        "feed": pl.String,
        "subject": pl.String,
        "row_hash": pl.UInt64,
        "reason": pl.String,
        "row": pl.String,
        "source": pl.String,
        "seen_at": TS,
    },
    ("feed", "subject", "row_hash"),
    time="seen_at",
    notes={
        "feed": "the table that the row did not come into: funding_rates or sentiment",
        "subject": "whose row it is: a market, or a provider's name",
        "row_hash": "hash of the row: two different bad rows are both kept, the same one once",
        "row": "the row as JSON",
        "source": "where it came from",
        "seen_at": "when it was first fetched",
    },
)
BOOK_SNAPSHOTS: Final = Table(
    "book_snapshots",
    "The best twenty levels of an order book at one moment, as recorded live.",
    {
        "market": pl.String,
        "ts": TS,
        "known_at": TS,
        "sequence": pl.Int64,
        "bid_prices": pl.List(pl.Float64),
        "bid_sizes": pl.List(pl.Float64),
        "ask_prices": pl.List(pl.Float64),
        "ask_sizes": pl.List(pl.Float64),
    },
    ("market", "ts", "sequence"),
    notes={
        "ts": "the exchange's time",
        "known_at": "when the recorder received it",
        "sequence": "the exchange's number of the update",
        "bid_prices": "best first; as long as bid_sizes (base units)",
        "ask_prices": "best first; as long as ask_sizes (base units)",
    },
)
PUBLIC_TRADES: Final = Table(
    "public_trades",
    "One trade on the exchange, anybody's, as recorded live.",
    {
        "market": pl.String,
        "ts": TS,
        "known_at": TS,
        "trade_id": pl.String,
        "price": pl.Float64,
        "quantity": pl.Float64,
        "side": pl.String,  # buy | sell
    },
    ("market", "ts", "trade_id"),
    notes={
        "side": "of the aggressor: buy or sell",
        "quantity": "base units",
        "known_at": "when the recorder received it",
    },
)
RECORDING_GAPS: Final = Table(
    "recording_gaps",
    "One stretch of time in which a recording may lack order books or trades, and why.",
    {
        "market": pl.String,
        "stream": pl.String,
        "ts": TS,
        "end": TS,
        "known_at": TS,
        "reason": pl.String,
        "missing": pl.Int64,
    },
    ("market", "stream", "ts"),
    notes={
        "stream": "books or trades",
        "ts": "the exchange's time of what was recorded last before",
        "end": "the exchange's time of what was recorded first after it",
        "known_at": "when the recorder knew",
        "reason": "reconnect, restart (no recorder was running) or skipped (the exchange's numbers jump)",
        "missing": "how many trades, by the exchange's consecutive numbers; null where it has none",
    },
)
