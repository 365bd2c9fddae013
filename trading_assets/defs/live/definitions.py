"""What stands in this room, for the settings of a project."""

import dagster as dg

from trading_assets.defs.live.challengers import shadow_accounts
from trading_assets.defs.live.divergence import divergence_limits, divergence_of_days
from trading_assets.defs.live.journal import journal, live_funding
from trading_assets.defs.live.performance import live_performance
from trading_assets.settings import Settings


def live(_settings: Settings) -> dg.Definitions:
    """What the node did."""
    return dg.Definitions(
        assets=[journal, live_funding, shadow_accounts, live_performance, divergence_of_days],
        asset_checks=[divergence_limits],
    )
