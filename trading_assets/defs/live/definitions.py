"""What stands in this room, for the settings of a project."""

import dagster as dg

from trading_assets.defs.live.challengers import shadow_accounts
from trading_assets.defs.live.journal import journal
from trading_assets.settings import Settings


def live(_settings: Settings) -> dg.Definitions:
    """What the node did."""
    return dg.Definitions(assets=[journal, shadow_accounts])
