"""Features, labels, models and their backtests."""

from __future__ import annotations

from typing import Final

import polars as pl

from trading_assets.core.candles import TS
from trading_assets.store.tables.table import Table

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
        "side": pl.Int8,
        "entry_price": pl.Float64,
        "take_profit": pl.Float64,
        "stop_loss": pl.Float64,
        "barrier": pl.String,
        "bars_to_hit": pl.Int32,
        "return": pl.Float64,
        "label": pl.Int8,
        "ambiguous": pl.Boolean,
        "resolution": pl.String,
        "missing_candles": pl.Int32,
    },
    ("market", "ts"),
    notes={
        "label_end": "when the outcome became known; purging works on it",
        "entry_price": "open of the first candle that opens from known_at on",
        "barrier": "what ended the trade: take_profit, stop_loss, or time where neither was touched within the horizon",
        "bars_to_hit": "15-minute bars from the entry to label_end, rounded up",
        "side": "1 long, -1 short",
        "take_profit": "the barrier's distance as a fraction of entry_price",
        "stop_loss": "the barrier's distance as a fraction of entry_price",
        "return": "fraction of entry_price that the side earned, after `labels.cost_bps`",
        "label": "1 take-profit first, -1 stop-loss first, 0 neither within the horizon, or a target that costs ate",
        "ambiguous": "a candle touched both barriers; `labels.ambiguous` decided (`drop`: worst case, does not train)",
        "resolution": "timeframe of the candles that decided",
        "missing_candles": "of that timeframe, from the entry to label_end; null: labelled before they were counted",
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
        "take_profit": pl.Float64,
        "stop_loss": pl.Float64,
    },
    ("model", "market", "ts"),
    notes={"take_profit": "the label's barrier, which the trade has too", "stop_loss": "likewise"},
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
FEATURE_IMPORTANCE: Final = Table(
    "feature_importance",
    "How much one fold's model leans on one feature, measured on the fold's test rows.",
    {"model": pl.String, "fold": pl.Int32, "feature": pl.String, "permutation": pl.Float64, "shap": pl.Float64},
    ("model", "fold", "feature"),
    time="",
    notes={
        "permutation": "rise of the log loss when the feature's values are shuffled; at or below 0 it helps nothing",
        "shap": "mean absolute SHAP value: what it adds to or takes from the log-odds",
    },
)
TRADES: Final = Table(
    "trades",
    "One round trip of the newest backtest of one registered version, costs included.",
    {
        "model": pl.String,
        "version": pl.Int32,
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
    ("model", "version", "trade"),
    time="entry_ts",
    joined={"version": 0},
    notes={"pnl": "quote currency, after fees", "return": "pnl over entry notional"},
)
EQUITY: Final = Table(
    "equity",
    "The backtest account of one registered version at the end of one day (UTC), open positions marked to market.",
    {"model": pl.String, "version": pl.Int32, "ts": TS, "equity": pl.Float64, "drawdown": pl.Float64},
    ("model", "version", "ts"),
    joined={"version": 0},
    notes={"ts": "the day's open; equity is taken at its close", "drawdown": "fraction below the running peak, >= 0"},
)
BACKTEST_METRICS: Final = Table(
    "backtest_metrics",
    "One out-of-sample metric of the newest backtest of one registered version.",
    {"model": pl.String, "version": pl.Int32, "metric": pl.String, "value": pl.Float64},
    ("model", "version", "metric"),
    time="",
    joined={"version": 0},
)
TRIAL_RETURNS: Final = Table(
    "trial_returns",
    "One day of one registered version's backtest: every trial is kept, so that a choice among them can be judged.",
    {"model": pl.String, "version": pl.Int32, "ts": TS, "markets": pl.String, "return": pl.Float64},
    ("model", "version", "ts"),
    notes={"ts": "the day's open (UTC)", "markets": "comma-separated", "return": "of the account, flat days included"},
)
MODEL_VERSIONS: Final = Table(
    "model_versions",
    "One version of a model in the registry and its status: draft, approved, active, archived or rejected.",
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
