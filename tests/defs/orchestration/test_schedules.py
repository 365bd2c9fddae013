"""Schedules, evaluated: which runs a tick asks for, and when none."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.defs.small import NOISE, SYNA, Location, Undisturbed, assert_same_tables
from trading_assets.settings import Settings
from trading_assets.store import open_store


def tick(location: Location, settings: Settings, name: str, moment: datetime) -> dg.ScheduleExecutionData:
    schedule: Any = location.defs.resolve_schedule_def(name)
    home = settings.data_dir / "dagster"  # the context of a schedule passes on only an instance that outlives it
    home.mkdir(parents=True, exist_ok=True)
    with (
        dg.DagsterInstance.local_temp(str(home)) as instance,
        dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=moment,
            repository_def=location.defs.get_repository_def(),
            resources={"settings": settings},
        ) as context,
    ):
        data: dg.ScheduleExecutionData = schedule.evaluate_tick(context)
        return data


def spans(data: dg.ScheduleExecutionData) -> set[tuple[str, str]]:
    return {
        (
            request.tags["dagster/asset_partition_range_start"],
            request.tags["dagster/asset_partition_range_end"],
        )
        for request in data.run_requests or []
    }


@pytest.mark.parametrize(
    ("moment", "first", "last"),
    [
        ("2025-01-10T00:05Z", "2025-01", "2025-01"),
        ("2025-02-15T07:05Z", "2025-02", "2025-02"),
        ("2025-02-28T23:05Z", "2025-02", "2025-02"),
        ("2025-03-01T00:05Z", "2025-02", "2025-03"),
        ("2025-03-01T23:05Z", "2025-02", "2025-03"),
        ("2025-03-02T01:05Z", "2025-03", "2025-03"),
        ("2025-03-20T00:05Z", "2025-03", "2025-03"),
    ],
)
def test_an_hourly_tick_asks_for_one_run_per_market_over_the_months_that_it_may_complete(
    location: Location, tmp_path: Path, moment: str, first: str, last: str
) -> None:
    data = tick(location, location.settings(tmp_path), "hourly_market_data", datetime.fromisoformat(moment))
    assert spans(data) == {(f"{market}|{first}", f"{market}|{last}") for market in (SYNA, NOISE)}
    assert len({request.run_key for request in data.run_requests or []}) == 2


@pytest.mark.parametrize("name", ["hourly_market_data", "daily_retrain"])
def test_schedules_skip_with_the_reason_once_the_history_has_ended(
    location: Location, tmp_path: Path, name: str
) -> None:
    data = tick(location, location.settings(tmp_path), name, datetime(2025, 3, 21, 0, 5, tzinfo=UTC))
    assert not data.run_requests
    assert "2025-03-20" in str(data.skip_message)
    assert "history.end" in str(data.skip_message)


def test_a_history_without_an_end_is_refreshed_for_ever(location: Location, tmp_path: Path) -> None:
    schedules = location.module("orchestration.schedules")
    settings = location.settings(tmp_path, history={"start": date(2025, 1, 10), "end": None})
    assert schedules.months_to_refresh(
        datetime(2031, 5, 1, 0, 5, tzinfo=UTC), settings, {"2031-04": datetime(2031, 4, 30, tzinfo=UTC)}.get
    ) == ("2031-04", "2031-05")


@pytest.mark.parametrize(
    ("moment", "fetched", "expected"),
    [
        ("2025-03-05T07:05Z", {"2025-02": "2025-02-27T23:05Z"}, ("2025-02", "2025-03")),
        ("2025-03-05T07:05Z", {"2025-01": "2025-01-30T23:05Z"}, ("2025-01", "2025-03")),
        ("2025-03-05T07:05Z", {"2025-02": "2025-02-27T23:05Z", "2025-03": "2025-03-04T01:00Z"}, ("2025-02", "2025-03")),
        ("2025-03-05T07:05Z", {"2025-02": "2025-03-02T00:05Z"}, ("2025-03", "2025-03")),
        ("2025-03-05T07:05Z", {"2025-01": "2025-01-30T23:05Z", "2025-02": "2025-03-01T00:05Z"}, ("2025-03", "2025-03")),
        ("2025-03-24T07:05Z", {"2025-03": "2025-03-18T23:05Z"}, ("2025-03", "2025-03")),
        ("2025-04-24T07:05Z", {"2025-02": "2025-02-18T23:05Z"}, ("2025-02", "2025-03")),
        ("2025-04-24T07:05Z", {"2025-03": "2025-03-20T00:05Z"}, None),
    ],
)
def test_a_daemon_that_stood_still_catches_up_with_every_month_that_it_left_unfinished(
    location: Location, tmp_path: Path, moment: str, fetched: dict[str, str], expected: tuple[str, str] | None
) -> None:
    fetched_at = {month: datetime.fromisoformat(at) for month, at in fetched.items()}.get
    months_to_refresh = location.module("orchestration.schedules").months_to_refresh
    assert months_to_refresh(datetime.fromisoformat(moment), location.settings(tmp_path), fetched_at) == expected


def test_when_candles_were_fetched_is_what_the_instance_recorded(location: Location) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        partition = location.module("lib.partitions").partition_key(SYNA, "2025-02")
        before = datetime.now(UTC)
        instance.report_runless_asset_event(dg.AssetMaterialization("candles", partition=partition))
        fetched_at = location.module("orchestration.schedules").candles_fetched_at(instance, SYNA)
        assert before <= fetched_at("2025-02") <= datetime.now(UTC)
        assert fetched_at("2025-01") is None
        assert location.module("orchestration.schedules").candles_fetched_at(instance, NOISE)("2025-02") is None


def test_a_daily_tick_asks_for_one_run_per_model(location: Location, tmp_path: Path) -> None:
    data = tick(location, location.settings(tmp_path), "daily_retrain", datetime(2025, 3, 1, 2, 30, tzinfo=UTC))
    assert {request.partition_key for request in data.run_requests or []} == {"syna", "noise"}


def test_what_an_hourly_tick_asks_for_completes_the_turn_of_the_month(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    settings = location.settings(tmp_path)
    assert location.run(settings, "market_data", tags=location.months(SYNA, "2025-01", "2025-01")).success
    data = tick(location, settings, "hourly_market_data", datetime(2025, 3, 1, 0, 5, tzinfo=UTC))
    (request,) = [request for request in data.run_requests or [] if request.tags["market"] == SYNA]
    assert location.run(settings, "market_data", tags=request.tags).success
    assert_same_tables(open_store(settings.store_url), undisturbed.store, SYNA)
