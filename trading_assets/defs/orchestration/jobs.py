"""The jobs: one run per market up to the labels, one run per model from there on."""

from typing import Final

import dagster as dg

from trading_assets.defs.market_data.candles import CANDLE_ASSETS
from trading_assets.defs.sql_models.bars import project_models
from trading_assets.settings import Settings
from trading_assets.sql import load_models

BACKFILL_TAG: Final = "dagster/backfill"
_SQL_ASSETS = [model.name for model in load_models().values() if "market" in model.parameters and not model.timeframe]
"""Gaps, quality: what SQL makes of one market's candles, whatever the project; its bars stand in a group."""


def market_data_assets(settings: Settings) -> list[str]:
    """What the job ``market_data`` makes, in its order."""
    sql = [model.name for model in project_models(settings).values() if "market" in model.parameters]
    return [*CANDLE_ASSETS, "funding_rates", *sql, "features", "labels"]


market_data = dg.define_asset_job(
    "market_data",
    selection=dg.AssetSelection.groups("bars")
    | dg.AssetSelection.assets(*CANDLE_ASSETS, "funding_rates", *_SQL_ASSETS, "features", "labels"),
    description="Candles through labels of one market, and its funding rates; a range of months is one run.",
)
recompute_features = dg.define_asset_job(
    "recompute_features",
    selection=dg.AssetSelection.assets("features"),
    description="Features alone, from stored bars: of the other markets where bars of their leader came later.",
)
retrain = dg.define_asset_job(
    "retrain",
    selection=dg.AssetSelection.assets("walk_forward", "candidate", "backtest", "approved"),
    description="Walk-forward, candidate, backtest and its gates; approves the candidate where all gates pass.",
)
train = dg.define_asset_job(
    "train",
    selection=dg.AssetSelection.assets("walk_forward", "candidate"),
    description="Walk-forward and candidate alone: a draft in the registry.",
)
search = dg.define_asset_job(
    "search",
    selection=dg.AssetSelection.assets("parameter_search"),
    description="Searches a model's parameters in the older part of its history, and judges what is found on the rest. "
    "It goes on where an earlier one stopped, unless the tag `trading/search` is `anew`.",
)
screen = dg.define_asset_job(
    "screen",
    selection=["screening"],
    description="Trades many parameter sets of a rule by arithmetic in the older part of its history, each a trial.",
)
evaluate = dg.define_asset_job(
    "evaluate",
    selection=dg.AssetSelection.assets("backtest"),
    description="Backtest and its gates alone, on the stored predictions.",
)
approve = dg.define_asset_job(
    "approve",
    selection=dg.AssetSelection.assets("approved"),
    description="Approval alone, of the newest candidate whose backtest passes all gates.",
)
promote = dg.define_asset_job(
    "promote",
    selection=dg.AssetSelection.assets("deployment"),
    description="Makes an approved version the active one if it is better than the champion on the same out-of-sample "
    "days, else a challenger. The run's config may choose a version; with a reason it is promoted anyway.",
)
rollback = dg.define_asset_job(
    "rollback",
    selection=dg.AssetSelection.assets("deployment"),
    config={"ops": {"deployment": {"config": {"rollback": True}}}},
    description="Goes back to the version that traded before, or to the one that the run's config names.",
)
load_journal = dg.define_asset_job(
    "load_journal",
    selection=dg.AssetSelection.assets(
        "signals",
        "orders",
        "fills",
        "positions",
        "risk_states",
        "payments",
        "balances",
        "account_equity",
        "live_features",
        "live_funding",
        "shadow_signals",
        "live_trades",
        "performance",
        "performance_summary",
    ),
    description="Brings the node's journal into the tables, reckons its funding, and sums it up.",
)
compare_challengers = dg.define_asset_job(
    "compare_challengers",
    selection=dg.AssetSelection.assets("shadow_trades", "shadow_equity", "challengers"),
    description="Trades what champion and challengers said in shadow by the backtest's engine, and compares them.",
)
compare_live = dg.define_asset_job(
    "compare_live",
    selection=dg.AssetSelection.assets("divergence", "divergence_days"),
    description="Trades the newest days' signals again by the backtest's engine, and says how far the node's trades "
    "are from that, and why.",
)

measure_drift = dg.define_asset_job(
    "measure_drift",
    selection=dg.AssetSelection.assets("drift"),
    description="Compares each day since a model's training window with it, and checks the newest one.",
)


def assets_asked(instance: dg.DagsterInstance, run: dg.DagsterRun, settings: Settings) -> list[dg.AssetKey]:
    """The assets, up to the labels, that a run or the backfill that it belongs to was asked for."""
    known = [dg.AssetKey(name) for name in market_data_assets(settings)]
    asked = run.asset_selection or frozenset()  # empty means all of the job's
    if not asked and run.job_name == market_data.name:
        return known
    if (whole := instance.get_backfill(run.tags[BACKFILL_TAG]) if BACKFILL_TAG in run.tags else None) is not None:
        asked |= frozenset(whole.asset_selection or ())
    return [key for key in known if key in asked]
