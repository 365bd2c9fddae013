"""The jobs: one run per market up to the labels, one run per model from there on."""

import dagster as dg

from trading_assets.defs.lib.partitions import MARKET_MONTHS, MODELS, SETTINGS
from trading_assets.defs.market_data.candles import CANDLE_ASSETS
from trading_assets.defs.sql_models.bars import project_models

SQL_ASSETS = [model.name for model in project_models(SETTINGS).values() if "market" in model.parameters]
"""Bars, gaps, quality: what SQL makes of one market's candles."""

MARKET_DATA_ASSETS = [*CANDLE_ASSETS, "funding_rates", *SQL_ASSETS, "features", "labels"]

market_data = dg.define_asset_job(
    "market_data",
    selection=MARKET_DATA_ASSETS,
    partitions_def=MARKET_MONTHS,
    description="Candles through labels of one market, and its funding rates; a range of months is one run.",
)
recompute_features = dg.define_asset_job(
    "recompute_features",
    selection=["features"],
    partitions_def=MARKET_MONTHS,
    description="Features alone, from stored bars: of the other markets where bars of their leader came later.",
)
retrain = dg.define_asset_job(
    "retrain",
    selection=["walk_forward", "candidate", "backtest", "approved"],
    partitions_def=MODELS,
    description="Walk-forward, candidate, backtest and its gates; approves the candidate where all gates pass.",
)
train = dg.define_asset_job(
    "train",
    selection=["walk_forward", "candidate"],
    partitions_def=MODELS,
    description="Walk-forward and candidate alone: a draft in the registry.",
)
evaluate = dg.define_asset_job(
    "evaluate",
    selection=["backtest"],
    partitions_def=MODELS,
    description="Backtest and its gates alone, on the stored predictions.",
)
approve = dg.define_asset_job(
    "approve",
    selection=["approved"],
    partitions_def=MODELS,
    description="Approval alone, of the newest candidate whose backtest passes all gates.",
)
promote = dg.define_asset_job(
    "promote",
    selection=["deployment"],
    partitions_def=MODELS,
    description="Makes an approved version the active one: registry, alias and the node's deployment manifest. The tag "
    "`trading/version` chooses another version, e.g. for a rollback.",
)
load_journal = dg.define_asset_job(
    "load_journal",
    selection=["signals", "orders", "fills", "positions", "performance_summary"],
    description="Brings the node's journal into the tables and sums it up.",
)
