"""The feeds beside candles: funding rates and sentiment as assets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl

from tests.defs.small import SYNA, Location, Undisturbed
from tests.defs.test_checks import evaluate
from trading_assets.settings import Settings
from trading_assets.store import open_store
from trading_assets.store.tables import FUNDING_RATES, SENTIMENT

START = datetime(2025, 1, 10, tzinfo=UTC)


def test_funding_rates_come_with_the_candles_and_a_month_run_again_leaves_the_same_rows(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    stored = undisturbed.store.read(FUNDING_RATES, where={"market": SYNA})
    assert stored["ts"].to_list() == [START + timedelta(hours=8 * number) for number in range(69 * 3)]
    settings = location.settings(tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        for first, last in (("2025-02", "2025-03"), ("2025-01", "2025-01"), ("2025-02", "2025-02")):
            tags = location.months(SYNA, first, last)
            assert location.materialize(settings, "funding_rates", instance=instance, tags=tags).success
        (made,) = instance.get_latest_materialization_events([dg.AssetKey("funding_rates")]).values()
        assert made is not None
        assert "SYNTHETIC" in str(made.asset_materialization.metadata["data"].value)  # type: ignore[union-attr]
    assert open_store(settings.store_url).read(FUNDING_RATES).equals(stored)


def test_payments_that_are_missing_are_a_warning_of_their_month(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    settings = location.settings(tmp_path)
    lost = pl.col("ts") == datetime(2025, 2, 10, 8, tzinfo=UTC)
    stored = undisturbed.store.read(FUNDING_RATES)
    open_store(settings.store_url).upsert(FUNDING_RATES, stored.filter((pl.col("market") != SYNA) | ~lost))
    found = evaluate(location, settings, "funding_rates")["funding_gaps"]
    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert found.metadata["bad_partitions"].value == [
        f"{SYNA}|2025-02: 16.0 h without a payment from 2025-02-10 00:00, usual 8.0 h"
    ]
    assert all(check.passed for check in evaluate(location, undisturbed.settings, "funding_rates").values())


def with_providers(location: Location, folder: Path) -> Settings:
    days = pl.datetime_range(START, START + timedelta(days=4), "1d", time_unit="us", time_zone="UTC", eager=True)
    pl.DataFrame({"ts": days, "score": [0.1, -0.2, 0.3, 7.0, -0.5]}).write_parquet(folder / "mood.parquet")
    mood = {"kind": "files", "path": str(folder / "mood.parquet"), "publication_lag_s": 60}
    return location.settings(folder, sentiment={"lost": {**mood, "path": str(folder / "lost.csv")}, "mood": mood})


def test_a_provider_that_fails_is_named_and_keeps_no_other_from_being_asked(location: Location, tmp_path: Path) -> None:
    settings = with_providers(location, tmp_path)
    assert not location.run(settings, "load_sentiment").success
    stored = open_store(settings.store_url).read(SENTIMENT)
    assert stored["score"].to_list() == [0.1, -0.2, 0.3, -0.5]
    (tmp_path / "lost.csv").write_text("ts,score\n2025-01-10T00:00:00Z,0.5\n")
    result = location.run(settings, "load_sentiment")
    assert result.success
    (made,) = result.asset_materializations_for_node("sentiment")
    assert made.metadata["dagster/row_count"].value == 5
    assert made.metadata["quarantined"].value == 1


def test_sentiment_is_scheduled_where_a_provider_is_named(location: Location, tmp_path: Path) -> None:
    schedule = location.defs.resolve_schedule_def("hourly_sentiment")
    for settings, runs in ((location.settings(tmp_path), 0), (with_providers(location, tmp_path), 1)):
        context = dg.build_schedule_context(
            scheduled_execution_time=datetime(2025, 3, 1, 12, 10, tzinfo=UTC), resources={"settings": settings}
        )
        requests = schedule.evaluate_tick(context).run_requests or []
        assert [request.run_key for request in requests] == ["2025-03-01T12:10"] * runs
