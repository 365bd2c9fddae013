"""What stands in this room, for the settings of a project."""

import dagster as dg

from trading_assets.defs.research.checks import finite_after_warmup, label_balance
from trading_assets.defs.research.evaluation import backtest_asset, gate_checks
from trading_assets.defs.research.features import features_asset
from trading_assets.defs.research.labels import labels_asset
from trading_assets.defs.research.models import candidate_asset, walk_forward_asset
from trading_assets.defs.research.screening import screening_asset
from trading_assets.defs.research.search import search_asset
from trading_assets.settings import Settings


def research(settings: Settings) -> dg.Definitions:
    """Features and labels, models and their backtests, and the gates of each."""
    return dg.Definitions(
        assets=[
            features_asset(settings),
            labels_asset(settings),
            walk_forward_asset(settings),
            candidate_asset(settings),
            backtest_asset(settings),
            search_asset(settings),
            screening_asset(settings),
        ],
        asset_checks=[finite_after_warmup, label_balance, gate_checks(settings)],
    )
