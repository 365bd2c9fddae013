"""Features, labels, models and their backtests."""

from __future__ import annotations

from typing import Final

import polars as pl

from trading_assets.core.candles import TS
from trading_assets.store.tables.table import Table

FEATURES: Final = Table(
    "features",
    "Features of one bar of a timeframe that a model names; a row exists only where the full look-back is stored.",
    {"market": pl.String, "timeframe": pl.String, "ts": TS, "known_at": TS},
    ("market", "timeframe", "ts"),
    open_ended=True,
    joined={"timeframe": "15m"},
)
LABELS: Final = Table(
    "labels",
    "What happened after one bar was known, on one side: the outcome that a label set asks for, where it decides.",
    {
        "label_set": pl.String,
        "market": pl.String,
        "timeframe": pl.String,
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
    ("label_set", "market", "ts", "side"),
    joined={"label_set": "default", "timeframe": "15m", "side": 1},
    notes={
        "label_set": "a name under `labels` in the settings",
        "timeframe": "of the bar",
        "label_end": "when the outcome became known; purging works on it",
        "entry_price": "open of the first candle that opens from known_at on",
        "barrier": "what ended it: take_profit, stop_loss, or time where neither was touched in time, or asked for",
        "bars_to_hit": "bars of the timeframe from the entry to label_end, rounded up",
        "side": "1 long, -1 short",
        "take_profit": "the barrier's distance as a fraction of entry_price",
        "stop_loss": "the barrier's distance as a fraction of entry_price",
        "return": "fraction of entry_price that the side earned, after the label set's `cost_bps`",
        "label": "of the row's side: 1 target first, -1 stop first, 0 neither in time, or a target that costs ate; of "
        "a return or a trend 1 where it paid, else -1",
        "ambiguous": "a candle touched both barriers; its set's `ambiguous` decided (`drop`: worst, not trained on)",
        "resolution": "timeframe of the candles that decided",
        "missing_candles": "of the resolution, from the entry to label_end; null where they are not counted",
    },
)
PREDICTIONS: Final = Table(
    "predictions",
    "One out-of-sample prediction of a walk-forward fold: the model had seen nothing after its training window.",
    {
        "model": pl.String,
        "market": pl.String,
        "timeframe": pl.String,
        "ts": TS,
        "known_at": TS,
        "side": pl.Int8,
        "fold": pl.Int32,
        "probability": pl.Float64,
        "label": pl.Int8,
        "return": pl.Float64,
        "label_end": TS,
        "take_profit": pl.Float64,
        "stop_loss": pl.Float64,
    },
    ("model", "market", "timeframe", "ts", "side"),
    joined={"timeframe": "15m", "side": 1},
    notes={
        "side": "1 long, -1 short: what the probability is of, and what the label and the return are of",
        "take_profit": "the label's barrier, which the trade has too",
        "stop_loss": "likewise",
    },
)
FOLDS: Final = Table(
    "folds",
    "One walk-forward fold on one side: its windows and its out-of-sample metrics.",
    {
        "model": pl.String,
        "fold": pl.Int32,
        "side": pl.Int8,
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
    ("model", "fold", "side"),
    time="test_start",
    joined={"side": 1},
    notes={"side": "1 long, -1 short"},
)
FEATURE_IMPORTANCE: Final = Table(
    "feature_importance",
    "How much one fold's model of one side depends on one feature, measured on the fold's test rows.",
    {
        "model": pl.String,
        "fold": pl.Int32,
        "side": pl.Int8,
        "feature": pl.String,
        "permutation": pl.Float64,
        "shap": pl.Float64,
    },
    ("model", "fold", "side", "feature"),
    time="",
    joined={"side": 1},
    notes={
        "side": "1 long, -1 short",
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
    "One version of a model in the registry and its status: draft, approved, challenger, active, archived or rejected.",
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
MODEL_EVENTS: Final = Table(
    "model_events",
    "One change of the status of one version of a model: who, when, why.",
    {
        "model": pl.String,
        "version": pl.Int32,
        "event": pl.Int32,
        "ts": TS,
        "old_status": pl.String,
        "new_status": pl.String,
        "changed_by": pl.String,
        "reason": pl.String,
        "evidence": pl.String,
    },
    ("model", "version", "event"),
    notes={
        "event": "number of the change, 1 for the version's first",
        "old_status": "empty where the version was registered",
        "new_status": "draft, approved, challenger, active, archived or rejected",
        "changed_by": "user@host, or the Dagster run",
        "evidence": "the figures that the change rests on, as JSON, e.g. of the comparison with the champion",
    },
)
