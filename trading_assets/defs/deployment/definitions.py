"""What stands in this room, for the settings of a project."""

import dagster as dg

from trading_assets.defs.deployment.assets import approved_asset, deployment_asset
from trading_assets.defs.deployment.portfolio import portfolio_asset, rebalance, rebalancing_schedule
from trading_assets.settings import Settings


def deployment(settings: Settings) -> dg.Definitions:
    """Approval, what the node is to run, and, where the settings ask for one, the portfolio that it sizes by."""
    assets = [approved_asset(settings), deployment_asset(settings)]
    if settings.portfolio is None:
        return dg.Definitions(assets=assets)
    return dg.Definitions(
        assets=[*assets, portfolio_asset(settings)],
        jobs=[rebalance],
        schedules=[rebalancing_schedule(settings, settings.portfolio)],
    )
