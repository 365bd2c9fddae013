"""Until when data counts as fresh, as the UI shows it on the assets that the hourly schedule refreshes."""

from datetime import timedelta

import dagster as dg

from trading_assets.settings import Settings


def freshness_policy(settings: Settings) -> dg.FreshnessPolicy | None:
    """Late and stale by the settings; none for a history that has an end: nothing new can come after it."""
    if settings.history.end is not None:
        return None
    schedules = settings.schedules
    return dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=schedules.stale_after_hours),
        warn_window=timedelta(hours=schedules.late_after_hours),
    )
