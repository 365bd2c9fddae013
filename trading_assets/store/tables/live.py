"""What the node did."""

from __future__ import annotations

from typing import Final

import polars as pl

from trading_assets.core.candles import TS
from trading_assets.store.tables.research import EQUITY, TRADES
from trading_assets.store.tables.table import Schema, Table

_EVENT: Schema = {"node": pl.String, "seq": pl.Int64, "ts": TS, "market": pl.String}
SIGNALS: Final = Table(
    "signals",
    "One decision of the node on one bar.",
    {
        **_EVENT,
        "signal_id": pl.String,
        "timeframe": pl.String,
        "bar_ts": TS,
        "side": pl.Int8,
        "probability": pl.Float64,
        "threshold": pl.Float64,
        "action": pl.String,
        "reason": pl.String,
        "model": pl.String,
        "model_version": pl.Int32,
        "bundle_hash": pl.String,
        "prediction_set": pl.Int8,
    },
    ("node", "seq"),
    joined={"timeframe": "15m", "side": 1},
    notes={
        "prediction_set": "what the model cannot rule out: 0 nothing, 1 take-profit alone, 2 not alone, 3 both; null "
        "where it makes no sets",
        "timeframe": "of the bar that was decided on",
        "action": "enter, hold or refuse",
        "bar_ts": "the feature row's ts",
        "side": "1 long, -1 short",
    },
)
SHADOW_SIGNALS: Final = Table(
    "shadow_signals",
    "What one version said on one bar while challengers decided in shadow: nothing is ordered on it.",
    {
        **_EVENT,
        "timeframe": pl.String,
        "bar_ts": TS,
        "model": pl.String,
        "model_version": pl.Int32,
        "bundle_hash": pl.String,
        "role": pl.String,
        "side": pl.Int8,
        "probability": pl.Float64,
        "threshold": pl.Float64,
        "take_profit": pl.Float64,
        "stop_loss": pl.Float64,
        "action": pl.String,
    },
    ("node", "seq", "model", "model_version"),
    notes={
        "timeframe": "of the bar that was decided on",
        "bar_ts": "the feature row's ts",
        "bundle_hash": "its first 16 digits, as its folder is named",
        "role": "champion for the version that traded, else challenger",
        "side": "1 long, -1 short",
        "threshold": "the probability that the trade needs, four digits",
        "take_profit": "the barrier's distance as a fraction of the entry price",
        "stop_loss": "likewise",
        "action": "enter or hold: what the version wanted; no account stands behind it",
    },
)
SHADOW_TRADES: Final = Table(
    "shadow_trades",
    "One round trip that a version's shadow signals would have made, by the backtest's own engine.",
    dict(TRADES.columns),
    TRADES.key,
    time=TRADES.time,
    notes=TRADES.notes,
)
SHADOW_EQUITY: Final = Table(
    "shadow_equity",
    "The account that a version's shadow signals alone would have led, at the end of one UTC day.",
    dict(EQUITY.columns),
    EQUITY.key,
    time=EQUITY.time,
    notes=EQUITY.notes,
)
CHALLENGERS: Final = Table(
    "challengers",
    "One version that decided in shadow, beside the version that trades.",
    {
        "model": pl.String,
        "version": pl.Int32,
        "champion": pl.Int32,
        "first_ts": TS,
        "last_ts": TS,
        "days": pl.Float64,
        "decisions": pl.Int64,
        "entries": pl.Int64,
        "trades": pl.Int64,
        "net_return": pl.Float64,
        "sharpe": pl.Float64,
        "sharpe_low": pl.Float64,
        "sharpe_high": pl.Float64,
        "common_days": pl.Int64,
        "champion_return": pl.Float64,
        "better": pl.Float64,
        "note": pl.String,
    },
    ("model", "version"),
    time="last_ts",
    notes={
        "champion": "the version that trades; the row of it compares it with nothing",
        "first_ts": "the first bar that it decided on",
        "last_ts": "the end of the last one",
        "days": "from the first bar to the end of the last one",
        "decisions": "bars that it answered on",
        "entries": "answers that it would have entered on",
        "net_return": "of its hypothetical account, after costs, as a fraction",
        "sharpe": "annualised, of its account's daily returns; null below two days",
        "trades": "round trips of its hypothetical account",
        "sharpe_low": "lower bound of the 95 % interval (block bootstrap); null below ten days",
        "sharpe_high": "upper bound likewise",
        "common_days": "UTC days on which both answered, hence days that they are compared on",
        "champion_return": "of the champion's signals on those bars, by the same engine",
        "better": "probability that its mean daily return is the higher one (paired block bootstrap); null where it "
        "cannot be measured",
        "note": "why nothing could be measured; empty otherwise",
    },
)
ORDERS: Final = Table(
    "orders",
    "One event in the life of an order that the node sent.",
    {
        **_EVENT,
        "order_id": pl.String,
        "signal_id": pl.String,
        "purpose": pl.String,  # entry | take_profit | stop_loss | exit
        "side": pl.String,
        "order_type": pl.String,
        "quantity": pl.Float64,
        "price": pl.Float64,
        "status": pl.String,
        "reason": pl.String,
    },
    ("node", "seq"),
)
FILLS: Final = Table(
    "fills",
    "One fill of an order.",
    {
        **_EVENT,
        "order_id": pl.String,
        "trade_id": pl.String,
        "signal_id": pl.String,
        "side": pl.String,
        "quantity": pl.Float64,
        "price": pl.Float64,
        "fee": pl.Float64,
        "fee_currency": pl.String,
    },
    ("node", "seq"),
)
POSITIONS: Final = Table(
    "positions",
    "The node's position in a market right after it changed.",
    {
        **_EVENT,
        "position_id": pl.String,
        "event": pl.String,  # opened | changed | closed
        "quantity": pl.Float64,
        "average_price": pl.Float64,
        "realized_pnl": pl.Float64,
        "signal_id": pl.String,
    },
    ("node", "seq"),
    notes={"quantity": "signed: positive is long, negative short", "realized_pnl": "quote currency, after fees"},
)
LIVE_FEATURES: Final = Table(
    "live_features",
    "One decision of the node: the feature row that it was made from, packed, and the probability of each side.",
    {
        **_EVENT,
        "timeframe": pl.String,
        "bar_ts": TS,
        "model": pl.String,
        "model_version": pl.Int32,
        "bundle_hash": pl.String,
        "probability_long": pl.Float64,
        "probability_short": pl.Float64,
        "packed": pl.String,
    },
    ("node", "seq"),
    notes={
        "ts": "when the bar was known",
        "timeframe": "of the bar that was decided on",
        "bar_ts": "the feature row's ts",
        "probability_long": "that a long trade's take-profit comes first; null where the side is not traded",
        "probability_short": "likewise, of a short trade",
        "packed": "the features in the order of the bundle: little-endian float32 in base64, NaN for null",
    },
)
DRIFT: Final = Table(
    "drift",
    "How far one day's window lies from the training window of a model version: one subject, by one test.",
    {
        "model": pl.String,
        "version": pl.Int32,
        "ts": TS,
        "source": pl.String,
        "kind": pl.String,
        "name": pl.String,
        "test": pl.String,
        "value": pl.Float64,
        "threshold": pl.Float64,
        "effective_n": pl.Float64,
        "alarmed": pl.Boolean,
    },
    ("model", "version", "ts", "source", "kind", "name", "test"),
    notes={
        "ts": "open of the window's last day (UTC)",
        "source": "stored: rows as the assets computed them; live: rows that a node decided on",
        "kind": "feature, prediction, calibration or outcome",
        "name": "the feature; else the side, and hit or return",
        "test": "a drift test: psi, ks, adwin, or one of a plug-in",
        "value": "the distance",
        "threshold": "null where the subject remembers too long to be judged, and for adwin, which cuts by itself",
        "effective_n": "independent rows that the window is worth; of adwin, the days or blocks that it looks back on",
        "alarmed": "whether that is drift",
    },
)
PERFORMANCE_SUMMARY: Final = Table(
    "performance_summary",
    "How one model did on one node so far, from what the node journalled.",
    {
        "node": pl.String,
        "model": pl.String,
        "model_version": pl.Int32,
        "first_ts": TS,
        "last_ts": TS,
        "decisions": pl.Int64,
        "signals_taken": pl.Int64,
        "signals_refused": pl.Int64,
        "fills": pl.Int64,
        "fees": pl.Float64,
        "trades_closed": pl.Int64,
        "trades_won": pl.Int64,
        "win_rate": pl.Float64,
        "realized_pnl": pl.Float64,
        "profit_factor": pl.Float64,
        "best_trade": pl.Float64,
        "worst_trade": pl.Float64,
        "open_positions": pl.Int64,
    },
    ("node", "model"),
    time="last_ts",
    notes={
        "model": "(none) for what no signal caused, e.g. a position closed by the kill switch after a restart",
        "model_version": "the newest version that decided",
        "first_ts": "first and last journal entry",
        "decisions": "signals of any action: enter, hold, refuse",
        "fees": "quote currency",
        "win_rate": "fraction of the closed trades with a realized profit; null before the first",
        "realized_pnl": "quote currency, after fees, closed trades only",
        "profit_factor": "profit of the winners over loss of the losers; null without a loser",
        "best_trade": "quote currency",
        "worst_trade": "quote currency",
    },
)
