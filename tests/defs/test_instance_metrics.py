"""What Dagster's instance says as numbers: of runs that really ran, in an instance of their own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg

from trading_assets.defs.monitoring.instance_metrics import read_assets, read_runs
from trading_assets.monitoring.exported import catalogue as m
from trading_assets.monitoring.exported.page import Page
from trading_assets.settings import Settings

DAYS = dg.StaticPartitionsDefinition(["a", "b", "c"])
POLICY = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=6))


@dg.asset(name="features", partitions_def=DAYS, freshness_policy=POLICY)
def written() -> None: ...


@dg.asset
def broken() -> None:
    raise ValueError("as it is")


@dg.asset_check(asset=written)
def unhappy() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)


@dg.asset_check(asset=written)
def shut() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False)


DEFINITIONS = dg.Definitions(
    assets=[written, broken],
    asset_checks=[unhappy, shut],
    jobs=[dg.define_asset_job("good", selection=["features"]), dg.define_asset_job("bad", selection=["broken"])],
)


def test_runs_assets_partitions_and_checks_are_told(settings: Settings) -> None:
    page, began = Page(), datetime.now(UTC)
    endless = settings.model_copy(update={"history": settings.history.model_copy(update={"end": None})})
    with dg.DagsterInstance.ephemeral() as instance:
        jobs = DEFINITIONS.get_repository_def()
        assert jobs.get_job("good").execute_in_process(instance=instance, partition_key="b").success
        assert not jobs.get_job("bad").execute_in_process(instance=instance, raise_on_error=False).success
        waits = instance.create_run_for_job(jobs.get_job("good"), status=dg.DagsterRunStatus.STARTED)
        later = datetime.now(UTC) + timedelta(hours=3)
        read_runs(page, instance, later)
        read_assets(page, instance, DEFINITIONS, endless)
        assert waits.status is dg.DagsterRunStatus.STARTED
    assert page.values[m.RUNS] == {("good", "success"): 1, ("bad", "failure"): 1, ("good", "started"): 1}
    assert page.values[m.RUN_SUCCESS]["good",] >= began.timestamp() - 1
    assert page.values[m.RUN_FAILURE]["bad",] >= began.timestamp() - 1
    assert page.values[m.RUN_DURATION]["good",] >= 0
    assert 3 * 3600 - 60 < page.values[m.UNFINISHED]["good",] < 4 * 3600
    assert page.values[m.UNFINISHED]["bad",] == 0
    assert page.values[m.MATERIALIZED]["features",] >= began.timestamp() - 1
    assert page.values[m.ASSET_LIMIT] == {("features",): endless.schedules.stale_after_hours * 3600}
    assert page.values[m.PARTITIONS] == {("features", "materialized"): 1, ("features", "missing"): 2}
    assert page.values[m.CHECK_PASSED] == {("features", "unhappy", "warn"): 0, ("features", "shut", "error"): 0}
    assert page.values[m.CHECK_AT]["features", "unhappy"] >= began.timestamp() - 1
