"""Every metric that ``trading metrics`` exports: of Dagster, the store, models, and the node seen from outside."""

from __future__ import annotations

from typing import Final

from trading_assets.monitoring.exported.page import Catalogue

DATA: Final = Catalogue()

# -- the exporter itself --------------------------------------------------------------------------------------------

AT: Final = DATA.gauge("trading_export_timestamp_seconds", "When this page was made.")
TOOK: Final = DATA.gauge("trading_export_duration_seconds", "How long a part of it took.", "part")
FAILED: Final = DATA.gauge(
    "trading_export_failed", "1 where a part could not be read: dagster, store, models or node.", "part"
)

# -- the node, from outside -------------------------------------------------------------------------------------------

NODE_RUNNING: Final = DATA.gauge("trading_node_running", "1 while a process holds the node's folder.")
NODE_BEAT: Final = DATA.gauge(
    "trading_node_beat_timestamp_seconds", "The heartbeat in the node's folder, also of a node that has ended."
)
NODE_PROBLEMS: Final = DATA.gauge(
    "trading_node_problems", "What trading status --check complains about, by kind; 0 where there is nothing.", "kind"
)
JOURNAL_BEHIND: Final = DATA.gauge(
    "trading_journal_unloaded", "1 while the journal has events that are not in the tables yet."
)

# -- Dagster ----------------------------------------------------------------------------------------------------------

RUNS: Final = DATA.gauge("trading_dagster_runs", "Runs of the last 24 hours by job and status.", "job_name", "status")
RUN_SUCCESS: Final = DATA.gauge(
    "trading_dagster_run_success_timestamp_seconds", "End of a job's newest run that succeeded, of 30 days.", "job_name"
)
RUN_FAILURE: Final = DATA.gauge(
    "trading_dagster_run_failure_timestamp_seconds", "End of a job's newest run that failed, of 30 days.", "job_name"
)
RUN_DURATION: Final = DATA.gauge(
    "trading_dagster_run_duration_seconds", "How long a job's newest ended run took.", "job_name"
)
UNFINISHED: Final = DATA.gauge(
    "trading_dagster_unfinished_run_seconds",
    "Age of a job's oldest run that has not ended, or 0.",
    "job_name",
)
DAEMON: Final = DATA.gauge("trading_dagster_daemon_timestamp_seconds", "A daemon's newest heartbeat.", "daemon")
MATERIALIZED: Final = DATA.gauge(
    "trading_asset_materialized_timestamp_seconds", "When an asset was last written.", "asset"
)
ASSET_LIMIT: Final = DATA.gauge(
    "trading_asset_freshness_limit_seconds",
    "How old an asset may become before it counts as stale (schedules.stale_after_hours); none for a finite history.",
    "asset",
)
PARTITIONS: Final = DATA.gauge(
    "trading_asset_partitions", "Partitions of an asset by state: materialized or missing.", "asset", "state"
)
CHECK_PASSED: Final = DATA.gauge(
    "trading_check_passed", "1 where a check passed when it was last evaluated, else 0.", "asset", "check", "severity"
)
CHECK_AT: Final = DATA.gauge("trading_check_timestamp_seconds", "When it was.", "asset", "check")

# -- the store --------------------------------------------------------------------------------------------------------

STORE_BYTES: Final = DATA.gauge("trading_store_size_bytes", "The embedded store's file.")
NEWEST: Final = DATA.gauge(
    "trading_store_newest_timestamp_seconds", "Open of the newest row of a market in a table.", "table", "market"
)
LATE_LIMIT: Final = DATA.gauge(
    "trading_store_late_limit_seconds",
    "How old the newest candle may become (schedules.late_after_hours); none for a finite history.",
)
GAPS: Final = DATA.gauge("trading_gap_candles", "Missing candles by what is known about why.", "market", "reason")
QUARANTINED: Final = DATA.gauge("trading_quarantined_candles", "Candles that are kept apart.", "market")
CHECK_PROBLEMS: Final = DATA.gauge(
    "trading_check_problems", "Parts of an asset (markets, months, models) that a check finds bad.", "asset", "check"
)

# -- models -----------------------------------------------------------------------------------------------------------

VERSIONS: Final = DATA.gauge("trading_registry_versions", "Versions of a model in the registry.", "model", "status")
DRIFT_ALARMS: Final = DATA.gauge(
    "trading_drift_alarms", "Subjects that alarmed on the newest day.", "model", "version", "source", "kind"
)
DRIFT_SHARE: Final = DATA.gauge(
    "trading_drift_threshold_ratio",
    "The newest day's largest distance as a multiple of its threshold.",
    "model",
    "version",
    "source",
    "kind",
)
COVERAGE: Final = DATA.gauge(
    "trading_conformal_coverage_ratio",
    "Share of live prediction sets of the last 30 days that held the outcome.",
    "model",
    "version",
)
COVERAGE_TARGET: Final = DATA.gauge(
    "trading_conformal_target_ratio", "The share that was promised (confidence.conformal).", "model"
)
COVERAGE_ROWS: Final = DATA.gauge("trading_conformal_rows", "How many sets that share is of.", "model", "version")
BETTER: Final = DATA.gauge(
    "trading_challenger_better_ratio", "Probability that a challenger is better than the champion.", "model", "version"
)
