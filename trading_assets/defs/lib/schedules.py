"""A schedule as this project makes them: by the clock of UTC, and started by whoever wants it."""

from collections.abc import Callable
from typing import Any

import dagster as dg


def by_the_clock(job: Any, cron: str, description: str) -> Callable[[Callable[..., Any]], dg.ScheduleDefinition]:
    """Make a function the schedule of a job, at the times of a cron expression (UTC); stopped until it is started."""
    return dg.schedule(
        job=job,
        description=description,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )
