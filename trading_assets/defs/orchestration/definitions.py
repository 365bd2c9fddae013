"""What stands in this room, for the settings of a project."""

import dagster as dg

from trading_assets.defs.orchestration import jobs, schedules, sensors
from trading_assets.defs.orchestration.alerts import alert_watch
from trading_assets.defs.orchestration.automation import follow_data
from trading_assets.defs.orchestration.challengers import challenger_promotion
from trading_assets.defs.orchestration.drift_retraining import retrain_on_drift
from trading_assets.settings import Settings


def orchestration(settings: Settings) -> dg.Definitions:
    """The jobs over all rooms, and what starts them."""
    return dg.Definitions(
        jobs=[
            jobs.market_data,
            jobs.recompute_features,
            jobs.retrain,
            jobs.train,
            jobs.search,
            jobs.screen,
            jobs.evaluate,
            jobs.approve,
            jobs.promote,
            jobs.rollback,
            jobs.load_journal,
            jobs.compare_challengers,
            jobs.measure_drift,
            jobs.compare_live,
        ],
        schedules=[
            schedules.market_data_schedule(settings),
            schedules.retrain_schedule(settings),
            schedules.challengers_schedule(settings),
            schedules.drift_schedule(settings),
            schedules.divergence_schedule(settings),
        ],
        sensors=[
            sensors.promotion,
            challenger_promotion,
            sensors.journal_ingest,
            sensors.run_failure_alert,
            alert_watch,
            sensors.other_months,
            retrain_on_drift,
            follow_data,
        ],
    )
