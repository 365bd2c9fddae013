"""SQL models over all markets at once, such as the comparison of exchanges: a job, and a daily schedule."""

from datetime import timedelta

import dagster as dg

from trading_assets.defs.lib.schedules import by_the_clock
from trading_assets.settings import Settings
from trading_assets.settings.days import MONTH_FORMAT, months_of_history
from trading_assets.sql import load_models

across_markets = dg.define_asset_job(
    "across_markets",
    selection=dg.AssetSelection.assets(
        *(
            model.name
            for model in load_models().values()
            if "start" in model.parameters and "market" not in model.parameters
        )
    ),
    description="Markets side by side, a month at a time: the same symbol on different exchanges.",
)


def comparison_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """The schedule, at a project's `schedules.comparison`."""
    return by_the_clock(
        across_markets,
        settings.schedules.comparison,
        "By the clock: the same symbols on different exchanges side by side, for the newest months.",
    )(daily_comparison)


def daily_comparison(
    context: dg.ScheduleEvaluationContext, settings: dg.ResourceParam[Settings]
) -> dg.RunRequest | dg.SkipReason:
    """Bring the month of the day before up to date."""
    month = (context.scheduled_execution_time - timedelta(days=1)).strftime(MONTH_FORMAT)
    if month not in months_of_history(settings.history):
        return dg.SkipReason(f"{month} is not part of the history")
    return dg.RunRequest(partition_key=month)
