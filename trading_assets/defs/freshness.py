"""Until when data counts as fresh, as the UI shows it on the assets that the hourly schedule refreshes."""

from datetime import timedelta
from typing import Final

import dagster as dg

from trading_assets.defs.partitions import SETTINGS


def _policy() -> dg.FreshnessPolicy | None:
    """Late and stale by the settings; none for a history that has ended: nothing new can come."""
    if SETTINGS.history.end is not None:
        return None
    schedules = SETTINGS.schedules
    return dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=schedules.stale_after_hours),
        warn_window=timedelta(hours=schedules.late_after_hours),
    )


FRESH: Final = _policy()
