"""What stands in this room, for the settings of a project."""

import dagster as dg

from trading_assets.defs.sql_models.assets import sql_model_assets
from trading_assets.defs.sql_models.bars import bar_assets
from trading_assets.defs.sql_models.checks import sql_model_checks
from trading_assets.defs.sql_models.exchange_comparison import across_markets, comparison_schedule
from trading_assets.settings import Settings


def sql_models(settings: Settings) -> dg.Definitions:
    """Every model in ``dbt_like_sql/`` with its tests, and the comparison of exchanges by the clock."""
    return dg.Definitions(
        assets=[*bar_assets(settings), *sql_model_assets(settings)],
        asset_checks=sql_model_checks(settings),
        jobs=[across_markets],
        schedules=[comparison_schedule(settings)],
    )
