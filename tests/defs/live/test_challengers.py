"""Champion and challengers in the graph: what they said, what came of it, and the rule that promotes one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from tests.defs.small import SYNA, Location
from trading_assets.backtest.challengers import ShadowRecord
from trading_assets.backtest.shadow import Contender
from trading_assets.journal import JOURNAL_FILE, Answer, Journal, shadow_event
from trading_assets.registry.deployment import DeployedModel, Manifest, write_manifest
from trading_assets.settings import Settings
from trading_assets.store import open_store
from trading_assets.store.tables import CHALLENGERS, SHADOW_SIGNALS

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
HASH = "9f86d081884c7d65" * 4


def deployed(version: int) -> DeployedModel:
    return DeployedModel(
        model="syna", version=version, bundle="bundles/x", bundle_hash=HASH, markets=(SYNA,), deployed_at=NOON
    )


def name_in_manifest(settings: Settings, *challengers: int) -> None:
    shadows = {"syna": tuple(map(deployed, challengers))} if challengers else {}
    write_manifest(settings.live_dir, Manifest(models={"syna": deployed(1)}, challengers=shadows))


def record(version: int) -> ShadowRecord:
    contender = Contender("syna", version, HASH[:16])
    return ShadowRecord(contender, version == 1, NOON, NOON + timedelta(days=40), 3840, 12, None, note="no candles")


def rows(*shown: tuple[int, int, float | None]) -> pl.DataFrame:
    row: dict[str, Any] = dict.fromkeys(CHALLENGERS.columns, None) | {"model": "syna", "champion": 1}
    return pl.DataFrame(
        [
            row | {"version": version, "common_days": days, "better": better, "trades": 20}
            for version, days, better in shown
        ],
        schema=CHALLENGERS.columns,
    )


def test_what_they_said_is_loaded_and_compared_where_there_are_any(
    location: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = location.settings(tmp_path)
    store, one = open_store(settings.store_url), Answer("syna", 2, HASH, 1, 0.6, 0.5, 0.8, 0.4, "enter")
    journal = Journal(settings.live_dir / JOURNAL_FILE, "paper")
    journal.record_all([shadow_event(SYNA, "15m", NOON, ts=NOON, champion=None, others=[one])])
    journal.close()
    assert location.run(settings, "load_journal").success
    assert store.read(SHADOW_SIGNALS)["role"].to_list() == ["challenger"]
    assert location.run(settings, "compare_challengers").success
    assert store.read(CHALLENGERS).is_empty()

    name_in_manifest(settings, 2)
    compared = "trading_assets.backtest.challengers.compare_in_shadow"
    monkeypatch.setattr(compared, lambda *_: [record(1), record(2)])
    result = location.run(settings, "compare_challengers")
    assert store.read(CHALLENGERS)["note"].to_list() == ["no candles"] * 2
    (made,) = [
        event for event in result.get_asset_materialization_events() if event.asset_key == dg.AssetKey("challengers")
    ]
    page = Path(str(made.materialization.metadata["page syna"].value))
    assert page == settings.reports_dir / "syna" / "challengers.html"
    assert "version 1 (champion)" in page.read_text()


def test_the_schedule_skips_without_challengers(location: Location, tmp_path: Path) -> None:
    settings = location.settings(tmp_path)
    schedules = location.module("orchestration.schedules")
    context = dg.build_schedule_context(scheduled_execution_time=NOON)
    skipped = schedules.daily_challengers(context, settings)
    assert skipped.skip_message == "no challenger is in shadow"
    name_in_manifest(settings, 2)
    assert schedules.daily_challengers(context, settings).run_key == "challengers@2025-03-01T12:00"


def tick(location: Location, settings: Settings) -> dg.SensorExecutionData:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("challengers"))
        store = open_store(settings.store_url)
        context = dg.build_sensor_context(
            instance=instance, definitions=location.defs, resources={"settings": settings, "store": store}
        )
        sensor = location.module("orchestration.challengers").challenger_promotion
        data: dg.SensorExecutionData = sensor.evaluate_tick(context)
        return data


def test_a_challenger_is_promoted_by_rule_only_where_one_is_set_and_only_while_it_is_in_shadow(
    location: Location, tmp_path: Path
) -> None:
    settings = location.settings(tmp_path)
    open_store(settings.store_url).upsert(CHALLENGERS, rows((1, 40, None), (2, 40, 0.93), (3, 40, 0.7)))
    name_in_manifest(settings, 2, 3)
    data = tick(location, settings)
    assert not data.run_requests
    assert "promotion.challenger_days is not set" in str(data.skip_message)

    by_rule = settings.model_copy(
        update={"promotion": settings.promotion.model_copy(update={"challenger_days": 30.0, "min_better": 0.9})}
    )
    (request,) = tick(location, by_rule).run_requests or []
    assert (request.run_key, request.partition_key) == ("syna@2", "syna")
    assert request.run_config == {"ops": {"deployment": {"config": {"version": 2, "by_rule": True}}}}
    name_in_manifest(settings, 3)
    assert "no challenger has shown enough yet" in str(tick(location, by_rule).skip_message)
