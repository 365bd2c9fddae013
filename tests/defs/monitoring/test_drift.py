"""Drift in the graph: a look at a model leaves rows, checks that warn, a picture, and a retraining where it alarms."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from typer.testing import CliRunner

from tests.defs.small import SYNA, Location, Undisturbed, copy_of
from trading_assets.models import bundle
from trading_assets.monitoring import profile
from trading_assets.settings import Settings
from trading_assets.store import open_store
from trading_assets.store.tables import DRIFT, FEATURES
from trading_cli.main import app


@pytest.fixture(scope="module")
def trained(
    location: Location, undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Settings, dg.DagsterInstance]:
    """A draft of a model whose newest ten days are held out: these are looked at."""
    settings = copy_of(undisturbed, location, tmp_path_factory.mktemp("drift"))
    held_out = settings.models["syna"].model_copy(update={"holdout_days": 10})
    settings = settings.model_copy(update={"models": {**settings.models, "syna": held_out}})
    instance = dg.DagsterInstance.ephemeral()
    assert location.run(settings, "train", instance=instance, partition="syna").success
    return settings, instance


def look(location: Location, settings: Settings, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    result = location.run(settings, "measure_drift", instance=instance, partition="syna")
    assert result.success
    return result


def tick(
    location: Location, settings: Settings, instance: dg.DagsterInstance, cursor: str | None = None
) -> dg.SensorExecutionData:
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, definitions=location.of(settings), resources={"settings": settings}
    )
    sensor = location.module("orchestration.drift_retraining").retrain_on_drift
    found: dg.SensorExecutionData = sensor.evaluate_tick(context)
    return found


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {one.check_name: one for one in result.get_asset_check_evaluations()}


def test_a_look_leaves_rows_checks_and_a_picture_and_an_alarm_asks_for_one_retraining(
    location: Location, trained: tuple[Settings, dg.DagsterInstance], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, instance = trained
    store = open_store(settings.store_url)
    (folder,) = [file.parent for file in settings.bundles_dir.rglob(profile.FILE)]
    assert set(profile.read(bundle.load(folder)) or {}) == {"feature", "prediction", "calibration", "outcome"}

    result = look(location, settings, instance)
    quiet = store.read(DRIFT)
    assert set(quiet["kind"]) == {"feature", "prediction", "calibration", "outcome"}
    assert quiet.filter(kind="feature")["ts"].n_unique() >= 8
    assert not quiet.filter(kind="feature")["alarmed"].any()
    (event,) = result.get_asset_materialization_events()
    assert "data:image/png" in str(event.materialization.metadata["heat_map"].value)
    assert set(checks_of(result)) == {f"{kind}_drift" for kind in ("feature", "prediction", "calibration", "outcome")}
    assert checks_of(result)["feature_drift"].passed
    if not quiet["alarmed"].any():
        assert not tick(location, settings, instance).run_requests

    judged = quiet.filter(kind="feature", test="ks").drop_nulls("threshold").sort("threshold")
    name = judged["name"][0]
    rows = store.read(FEATURES, where={"market": SYNA})
    changed = pl.when(pl.col("ts") >= rows["ts"].max() - pl.duration(days=2)).then(1e6).otherwise(pl.col(name))
    store.upsert(FEATURES, rows.with_columns(changed.alias(name)))
    result = look(location, settings, instance)
    check = checks_of(result)["feature_drift"]
    assert not check.passed
    assert f"syna: {name}: " in str(check.description)
    assert store.read(DRIFT).height == quiet.height, "the same days are written again"

    asked = tick(location, settings, instance)
    (request,) = asked.run_requests or []
    assert request.partition_key == "syna"
    assert request.run_key is not None
    assert request.run_key.startswith("syna-v1@2025-03-")
    assert not tick(location, settings, instance, asked.cursor).run_requests, "once for an alarm"
    past = json.dumps({"syna": (datetime.now(UTC) - timedelta(days=8)).isoformat()})
    assert tick(location, settings, instance, past).run_requests, "it still drifts a week later"

    monkeypatch.setenv("TRADING_DATA_DIR", str(settings.data_dir))
    small = ["--settings", str(Path(location.settings_file)), "drift"]
    told = CliRunner().invoke(app, [*small, "syna", "--json"])
    assert told.exit_code == 1, told.output
    newest = [row for row in json.loads(told.stdout) if row["alarmed"]]
    assert name in {row["name"] for row in newest}
    shown = CliRunner().invoke(app, small)
    assert shown.exit_code == 1
    assert "alarms of" in shown.stdout
    assert "DRIFT" in shown.stdout
    assert CliRunner().invoke(app, [*small, "noise"]).exit_code != 0, "it has no version"


def test_models_without_a_version_are_not_looked_at(location: Location, tmp_path: Path) -> None:
    settings = location.settings(tmp_path)
    schedule = location.module("orchestration.schedules").drift_schedule(settings)
    context = dg.build_schedule_context(
        scheduled_execution_time=datetime(2025, 3, 2, 1, 50, tzinfo=UTC),
        resources={"settings": settings, "store": open_store(settings.store_url)},
    )
    assert "no model has a version" in str(schedule.evaluate_tick(context).skip_message)
