"""What stands in this room, for the settings of a project."""

import dagster as dg

from trading_assets.defs.monitoring.drift import drift_asset, drift_checks
from trading_assets.settings import Settings


def monitoring(settings: Settings) -> dg.Definitions:
    """Drift, and the checks on it."""
    return dg.Definitions(assets=[drift_asset(settings)], asset_checks=[drift_checks])
