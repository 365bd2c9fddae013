"""Every table of the store: columns, key, and what one row means; ``docs/reference/tables.md`` comes from here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import polars as pl

from trading_assets.candles import CANDLE_COLUMNS, TS

Schema = dict[str, pl.DataType | type[pl.DataType]]


@dataclass(frozen=True, slots=True)
class Table:
    """A stored table.

    Attributes
    ----------
    name
        Its name in SQL.
    row
        What one row means, in one sentence.
    columns
        Column -> Polars type.
    key
        The columns that identify a row; writes are idempotent by them.
    time
        The column that windows are cut on.
    open_ended
        Whether a write may bring further Float64 columns (one per feature).
    """

    name: str
    row: str
    columns: Schema
    key: tuple[str, ...]
    time: str = "ts"
    open_ended: bool = False
    notes: dict[str, str] = field(default_factory=dict)


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


def _bars(timeframe: str) -> Table:
    return Table(
        f"bars_{timeframe}",
        f"One closed {timeframe} bar built from stored candles; `candles` says how many of them it had.",
        _BAR,
        ("market", "ts"),
    )


CANDLES: Final = Table(
    "candles", "One closed candle as the source gave it.", CANDLE_COLUMNS, ("market", "timeframe", "ts")
)
CANDLES_QUARANTINE: Final = Table(
    "candles_quarantine",
    "One candle that broke a rule, kept as it came, with the reason.",
    {**CANDLE_COLUMNS, "reason": pl.String, "source": pl.String, "row_hash": pl.UInt64, "seen_at": TS},
    ("market", "timeframe", "ts", "row_hash"),
    notes={"row_hash": "hash of the row's values: two different bad rows of one minute are both kept"},
)
BARS: Final = {timeframe: _bars(timeframe) for timeframe in ("5m", "15m", "1h", "4h", "1d")}
FEATURES: Final = Table(
    "features",
    "All features of one 15-minute bar; a row exists only where the full look-back is stored.",
    {"market": pl.String, "ts": TS, "known_at": TS},
    ("market", "ts"),
    open_ended=True,
)
LABELS: Final = Table(
    "labels",
    "What happened after one 15-minute bar was known: which barrier came first.",
    {
        "market": pl.String,
        "ts": TS,
        "known_at": TS,
        "label_end": TS,
        "entry_price": pl.Float64,
        "barrier": pl.String,  # take_profit | stop_loss | time
        "bars_to_hit": pl.Int32,
        "return": pl.Float64,
        "label": pl.Int8,  # 1 take_profit, -1 stop_loss, 0 time
        "ambiguous": pl.Boolean,
        "resolution": pl.String,
    },
    ("market", "ts"),
    notes={
        "label_end": "when the outcome became known; purging works on it",
        "bars_to_hit": "15-minute bars from known_at to the hit, rounded up",
        "return": "fraction, from entry_price to the exit price, before costs",
        "label": "1 take-profit first, -1 stop-loss first, 0 neither within the horizon",
        "ambiguous": "one candle touched both barriers; the policy in the settings decided",
        "resolution": "timeframe of the candles that decided",
    },
)
PREDICTIONS: Final = Table(
    "predictions",
    "One out-of-sample prediction of a walk-forward fold: the model had seen nothing after its training window.",
    {
        "model": pl.String,
        "market": pl.String,
        "ts": TS,
        "known_at": TS,
        "fold": pl.Int32,
        "probability": pl.Float64,
        "label": pl.Int8,
        "return": pl.Float64,
        "label_end": TS,
    },
    ("model", "market", "ts"),
)
FOLDS: Final = Table(
    "folds",
    "One walk-forward fold: its windows and its out-of-sample metrics.",
    {
        "model": pl.String,
        "fold": pl.Int32,
        "train_start": TS,
        "train_end": TS,
        "test_start": TS,
        "test_end": TS,
        "train_rows": pl.Int64,
        "test_rows": pl.Int64,
        "base_rate": pl.Float64,
        "auc": pl.Float64,
        "log_loss": pl.Float64,
        "brier": pl.Float64,
    },
    ("model", "fold"),
    time="test_start",
)
TRADES: Final = Table(
    "trades",
    "One round trip of the backtest, costs included.",
    {
        "model": pl.String,
        "trade": pl.Int32,
        "market": pl.String,
        "side": pl.String,
        "signal_ts": TS,
        "probability": pl.Float64,
        "entry_ts": TS,
        "exit_ts": TS,
        "entry_price": pl.Float64,
        "exit_price": pl.Float64,
        "quantity": pl.Float64,
        "fees": pl.Float64,
        "pnl": pl.Float64,
        "return": pl.Float64,
        "exit_reason": pl.String,  # take_profit | stop_loss | time | end
    },
    ("model", "trade"),
    time="entry_ts",
    notes={"pnl": "quote currency, after fees", "return": "pnl over entry notional"},
)
EQUITY: Final = Table(
    "equity",
    "The backtest account at the end of one day (UTC), open positions marked to market.",
    {"model": pl.String, "ts": TS, "equity": pl.Float64, "drawdown": pl.Float64},
    ("model", "ts"),
    notes={"ts": "the day's open; equity is taken at its close", "drawdown": "fraction below the running peak, >= 0"},
)
BACKTEST_METRICS: Final = Table(
    "backtest_metrics",
    "One out-of-sample metric of a model's newest backtest.",
    {"model": pl.String, "metric": pl.String, "value": pl.Float64},
    ("model", "metric"),
    time="",
)
MODEL_VERSIONS: Final = Table(
    "model_versions",
    "One version of a model in the registry and its status: draft, approved, active or archived.",
    {
        "model": pl.String,
        "version": pl.Int32,
        "status": pl.String,
        "bundle": pl.String,
        "bundle_hash": pl.String,
        "dataset_hash": pl.String,
        "train_start": TS,
        "train_end": TS,
        "created_at": TS,
        "changed_at": TS,
        "run_id": pl.String,
    },
    ("model", "version"),
    time="created_at",
    notes={"bundle": "folder below data/bundles"},
)

_EVENT: Schema = {"node": pl.String, "seq": pl.Int64, "ts": TS, "market": pl.String}
SIGNALS: Final = Table(
    "signals",
    "One decision of the node on one bar.",
    {
        **_EVENT,
        "signal_id": pl.String,
        "bar_ts": TS,
        "probability": pl.Float64,
        "threshold": pl.Float64,
        "action": pl.String,
        "reason": pl.String,
        "model": pl.String,
        "model_version": pl.Int32,
        "bundle_hash": pl.String,
    },
    ("node", "seq"),
    notes={"action": "enter, hold or refuse", "bar_ts": "the feature row's ts"},
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
    notes={"quantity": "signed: positive is long", "realized_pnl": "quote currency, after fees"},
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

TABLES: Final[dict[str, Table]] = {
    table.name: table
    for table in (
        CANDLES,
        CANDLES_QUARANTINE,
        *BARS.values(),
        FEATURES,
        LABELS,
        PREDICTIONS,
        FOLDS,
        TRADES,
        EQUITY,
        BACKTEST_METRICS,
        MODEL_VERSIONS,
        SIGNALS,
        ORDERS,
        FILLS,
        POSITIONS,
        PERFORMANCE_SUMMARY,
    )
}
