"""What stands in this room, for the settings of a project."""

import dagster as dg

from trading_assets.defs.deployment.assets import approved_asset, deployment_asset
from trading_assets.settings import Settings


def deployment(settings: Settings) -> dg.Definitions:
    """Approval, and what the node is to run."""
    return dg.Definitions(assets=[approved_asset(settings), deployment_asset(settings)])
