"""The code location as Dagster loads it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import polars as pl
import yaml

from tests.defs.small import Location
from trading_assets.core.timeframes import Timeframe
from trading_assets.quality import CANDLE_CHECKS
from trading_assets.settings import PROJECT_ROOT
from trading_assets.sql import load_models
from trading_cli.ui import GRAPH_GROUPS

M15 = Timeframe.parse("15m")

BARS = {"bars_15m"}
GROUPS = {
    "market_data": {"candles", "candles_quarantine", "candle_revisions", "candle_gaps", "funding_rates", "sentiment"},
    "bars": BARS,
    "quality": {"gaps", "daily_quality", "exchange_comparison"},
    "features": {"features"},
    "labels": {"labels"},
    "models": {"walk_forward", "candidate", "parameter_search", "screening"},
    "evaluation": {"backtest"},
    "deployment": {"approved", "deployment"},
    "recordings": {"book_snapshots", "public_trades", "recording_gaps"},
    "live": {
        "signals",
        "orders",
        "fills",
        "positions",
        "risk_states",
        "payments",
        "balances",
        "account_equity",
        "live_trades",
        "performance",
        "divergence",
        "divergence_days",
        "live_features",
        "live_funding",
        "performance_summary",
        "shadow_signals",
        "shadow_trades",
        "shadow_equity",
        "challengers",
    },
    "monitoring": {"drift"},
}
HEAVY = ("pandera", "lightgbm", "sklearn", "nautilus_trader", "ccxt", "mlflow", "matplotlib", "pandas")


def specs(location: Location) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in location.defs.resolve_all_asset_specs()}


def test_exactly_the_expected_assets_exist_each_in_its_group(location: Location) -> None:
    found: dict[str, set[str]] = {}
    for name, spec in specs(location).items():
        found.setdefault(str(spec.group_name), set()).add(name)
    assert found == GROUPS
    assert set(GRAPH_GROUPS) == set(GROUPS), "`trading ui` opens them all"


def test_every_asset_tells_what_it_holds_and_who_owns_it(location: Location) -> None:
    for name, spec in specs(location).items():
        assert spec.description, name
        assert spec.owners, name
        assert spec.kinds, name
        assert spec.metadata["dagster/column_schema"].columns, name
        assert spec.metadata["row"], name


def test_every_column_schedule_and_sensor_says_what_it_is(location: Location) -> None:
    silent = [
        f"{name}.{column.name}"
        for name, spec in specs(location).items()
        for column in spec.metadata["dagster/column_schema"].columns
        if not column.description
    ]
    assert silent == []
    repository = location.defs.get_repository_def()
    assert [one.name for one in (*repository.schedule_defs, *repository.sensor_defs) if not one.description] == []


def test_a_preview_has_no_row_of_types_and_four_significant_digits(location: Location) -> None:
    frame = pl.DataFrame({"market": ["a", "b"], "x": [0.0123456, 102345.678], "n": [1, None], "y": [-8.12345e-9, None]})
    assert location.module("lib.metadata").preview(frame).value.splitlines() == [
        "| market | x       | n    | y          |",
        "|--------|---------|------|------------|",
        "| a      | 0.01235 | 1    | -8.123e-09 |",
        "| b      | 102346  | null | null       |",
    ]


def test_features_show_every_indicator_in_their_column_schema(location: Location) -> None:
    from trading_assets.features import feature_names

    columns = {column.name for column in specs(location)["features"].metadata["dagster/column_schema"].columns}
    assert columns >= set(feature_names(M15))


def test_assets_made_from_sql_depend_on_the_tables_that_the_sql_reads(location: Location) -> None:
    for name, model in load_models(timeframes=[M15]).items():
        spec = specs(location)[name]
        assert {dep.asset_key.to_user_string() for dep in spec.deps} == set(model.dependencies)


def test_months_reach_from_the_first_to_the_last_of_the_history(location: Location) -> None:
    partitions = location.partitions
    assert list(partitions.months.get_partition_keys()) == ["2025-01", "2025-02", "2025-03"]
    assert len(partitions.market_months.get_partition_keys()) == 6


def test_a_history_without_an_end_has_the_current_month(location: Location) -> None:
    from datetime import UTC, date, datetime

    from trading_assets.settings import History

    months = location.module("lib.partitions")._months(History(start=date(2025, 1, 1), end=None))
    assert months.get_last_partition_key() == f"{datetime.now(UTC):%Y-%m}"


def test_jobs_schedules_and_sensors_are_there_and_only_sensors_run_by_themselves(location: Location) -> None:
    repository = location.defs.get_repository_def()
    assert {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")} == {
        "market_data",
        "recompute_features",
        "load_sentiment",
        "retrain",
        "search",
        "screen",
        "train",
        "evaluate",
        "approve",
        "promote",
        "rollback",
        "load_journal",
        "compare_challengers",
        "measure_drift",
        "compare_live",
        "across_markets",
        "load_recordings",
    }
    statuses = {schedule.name: schedule.default_status for schedule in repository.schedule_defs}
    names = ("hourly_market_data", "hourly_sentiment", "daily_retrain", "daily_comparison", "daily_challengers")
    names = (*names, "daily_drift", "daily_divergence")
    assert statuses == dict.fromkeys(names, dg.DefaultScheduleStatus.STOPPED)
    sensors = {sensor.name: sensor.default_status for sensor in repository.sensor_defs}
    assert sensors == {
        **dict.fromkeys(
            (
                "promotion",
                "challenger_promotion",
                "journal_ingest",
                "recordings_ingest",
                "run_failure_alert",
                "alert_watch",
                "other_months",
            ),
            dg.DefaultSensorStatus.RUNNING,
        ),
        "follow_data": dg.DefaultSensorStatus.STOPPED,
        "retrain_on_drift": dg.DefaultSensorStatus.STOPPED,
    }


def test_gates_block_what_follows_them(location: Location) -> None:
    checks = {
        (spec.asset_key.to_user_string(), spec.name): spec.blocking
        for checks in location.defs.asset_checks or []
        for spec in checks.check_specs
        if spec.asset_key.to_user_string() not in load_models(timeframes=[M15])
    }
    warnings = ("frozen_prices", "outliers", "level_step", "zero_volume", "volume_unit", "second_exchange", "freshness")
    advisory = [("candles", name) for name in warnings] + [("funding_rates", "funding_gaps")]
    advisory += [("divergence_days", "divergence_limits")]
    advisory += [("drift", f"{kind}_drift") for kind in ("feature", "prediction", "calibration", "outcome")]
    assert checks == dict.fromkeys(advisory, False) | dict.fromkeys(
        [("candles", name) for name in CANDLE_CHECKS if name not in warnings]
        + [("features", "finite_after_warmup"), ("labels", "label_balance")]
        + [
            ("backtest", name)
            for name in ("sharpe", "win_rate", "profit_factor", "max_drawdown", "trades", "dsr", "pbo", "skill_low")
        ],
        True,
    )


def test_the_location_has_one_name_for_every_way_to_load_it() -> None:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    (module,) = yaml.safe_load((PROJECT_ROOT / "workspace.yaml").read_text())["load_from"]
    assert module["python_module"] == {
        "module_name": project["code_location_target_module"],
        "location_name": project["code_location_name"],
    }


def test_loading_needs_no_heavy_library(tmp_path: Path) -> None:
    program = (
        "import json, sys\n"
        "import trading_assets.definitions as d\n"
        "d.defs().get_repository_def()\n"
        f"print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert json.loads(done.stdout) == []
