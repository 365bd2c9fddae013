"""SQL models over all markets at once, such as the comparison of exchanges: a job, and a daily schedule."""

from datetime import timedelta

import dagster as dg

from trading_assets.defs.lib.partitions import MONTHS, SETTINGS
from trading_assets.defs.sql_models.bars import project_models
from trading_assets.settings import Settings
from trading_assets.settings.days import MONTH_FORMAT, months_of_history

across_markets = dg.define_asset_job(
    "across_markets",
    selection=[
        model.name
        for model in project_models(SETTINGS).values()
        if "start" in model.parameters and "market" not in model.parameters
    ],
    partitions_def=MONTHS,
    description="Markets side by side, a month at a time: the same symbol on different exchanges.",
)


@dg.schedule(
    job=across_markets,
    description="By the clock: the same symbols on different exchanges side by side, for the newest months.",
    cron_schedule=SETTINGS.schedules.comparison,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
def daily_comparison(
    context: dg.ScheduleEvaluationContext, settings: dg.ResourceParam[Settings]
) -> dg.RunRequest | dg.SkipReason:
    """Bring the month of the day before up to date."""
    month = (context.scheduled_execution_time - timedelta(days=1)).strftime(MONTH_FORMAT)
    if month not in months_of_history(settings.history):
        return dg.SkipReason(f"{month} is not part of the history")
    return dg.RunRequest(partition_key=month)
