"""Following data without a clock: off until switched on in the UI, because the hourly schedule does the same work.

With it on, a month that is materialized by hand (candles repaired, say) is followed by its bars, features and labels,
and positions by the performance summary. What a run of `market_data` is about to materialize itself is not requested
again.
"""

import dagster as dg

follow_data = dg.AutomationConditionSensorDefinition(
    "follow_data",
    target=dg.AssetSelection.groups("bars", "quality", "sql_models", "features", "labels", "live"),
    default_status=dg.DefaultSensorStatus.STOPPED,
    minimum_interval_seconds=30,
    description="Once checks passed: bars, SQL models, features and labels follow candles, the summary the journal.",
)
