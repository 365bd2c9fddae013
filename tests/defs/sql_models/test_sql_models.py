"""SQL models as assets: lineage in the UI, tests as checks, months one by one or at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.defs.small import MONTHS, NOISE, QUIET, SYNA, Location, Undisturbed, copy_of
from tests.defs.test_checks import spoil
from trading_assets.core.errors import SqlModelError
from trading_assets.core.timeframes import Timeframe
from trading_assets.sql import load_models
from trading_assets.store import open_store
from trading_assets.store.tables import BARS, CANDLES, DAILY_QUALITY, EXCHANGE_COMPARISON, GAPS

M15 = Timeframe.parse("15m")
BAR = "SELECT market, ts, ts AS known_at, open, high, low, close, volume, 1 AS candles FROM candles"


def test_every_column_shows_which_columns_of_other_assets_it_is_computed_from(location: Location) -> None:
    specs = {spec.key.to_user_string(): spec for spec in location.defs.resolve_all_asset_specs()}
    for name, model in load_models(timeframes=[M15]).items():
        lineage = specs[name].metadata["dagster/column_lineage"].deps_by_column
        schema = {column.name for column in specs[name].metadata["dagster/column_schema"].columns}
        assert set(lineage) == schema
        upstream = {dep.asset_key.to_user_string() for dep in specs[name].deps}
        assert {dep.asset_key.to_user_string() for deps in lineage.values() for dep in deps} <= upstream
        assert upstream == set(model.dependencies)
    opened = specs["bars_15m"].metadata["dagster/column_lineage"].deps_by_column["open"]
    assert opened == [dg.TableColumnDep("candles", "open"), dg.TableColumnDep("candles", "ts")]


def test_a_materialization_carries_the_lineage_from_which_the_ui_draws_it(undisturbed: Undisturbed) -> None:
    events = undisturbed.results[SYNA].get_asset_materialization_events()
    told = {event.materialization.asset_key: event.materialization for event in events}
    for name in ("bars_15m", "gaps", "daily_quality"):
        lineage = told[dg.AssetKey(name)].metadata["dagster/column_lineage"].value
        assert isinstance(lineage, dg.TableColumnLineage)
        assert lineage.deps_by_column["market"] is not None


def test_the_tests_beside_the_models_are_checks_of_a_run_and_good_data_pass_them(undisturbed: Undisturbed) -> None:
    expected = {
        (model.name, one.name) for model in load_models(timeframes=[M15]).values() for one in model.expectations
    }
    for result in undisturbed.results.values():
        checks = {
            (check.asset_key.to_user_string(), check.check_name): check
            for check in result.get_asset_check_evaluations()
            if check.asset_key.to_user_string() in load_models(timeframes=[M15])
        }
        assert set(checks) == {one for one in expected if one[0] not in {"exchange_comparison", "performance_summary"}}
        failed = [key for key, check in checks.items() if not check.passed]
        assert failed == []


def test_gaps_and_quality_tell_what_the_candles_lack(undisturbed: Undisturbed) -> None:
    store = undisturbed.store
    for market in (SYNA, NOISE):
        candles = store.read(CANDLES, where={"market": market})
        gaps = store.read(GAPS, where={"market": market})
        days = store.read(DAILY_QUALITY, where={"market": market})
        span = int((candles["ts"][-1] - candles["ts"][0]).total_seconds()) // 60 + 1
        assert gaps["candles"].sum() == days["candles_missing"].sum() == span - candles.height
        assert days["candles_stored"].sum() == candles.height


def test_months_one_by_one_give_what_they_give_at_once(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    settings = copy_of(undisturbed, location, tmp_path)
    spoil(settings, "DELETE FROM gaps")
    spoil(settings, "DELETE FROM daily_quality")
    with dg.DagsterInstance.ephemeral() as instance:
        for month in MONTHS:
            tags = location.months(SYNA, month, month)
            assert location.materialize(settings, "gaps", "daily_quality", instance=instance, tags=tags).success
    for table in (GAPS, DAILY_QUALITY):
        where = {"market": SYNA}
        assert (
            open_store(settings.store_url).read(table, where=where).equals(undisturbed.store.read(table, where=where))
        )


def test_a_row_that_breaks_a_test_stops_what_follows_and_stands_in_the_checks_metadata(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    settings = copy_of(undisturbed, location, tmp_path)
    spoil(settings, f"UPDATE bars_15m SET low = high + 1 WHERE market = '{SYNA}' AND ts = '2025-02-03 04:15:00'")
    (checks,) = (
        one for one in location.module("sql_models.checks").sql_model_checks(settings) if _asset(one) == "bars_15m"
    )
    result = dg.materialize(
        [checks, dg.AssetSpec("bars_15m")],
        selection=dg.AssetSelection.all_asset_checks(),
        instance=dg.DagsterInstance.ephemeral(),
        run_config=QUIET,
        raise_on_error=False,
        resources={"settings": settings, "store": location.module("lib.resources").store_resource},
    )
    found = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert {name for name, one in found.items() if not one.passed} == {"ohlc_is_consistent"}
    bad = found["ohlc_is_consistent"]
    assert bad.severity == dg.AssetCheckSeverity.ERROR
    assert bad.metadata["failing_rows"].value == 1
    assert "2025-02-03 04:15:00" in str(bad.metadata["examples"].value)
    assert str(bad.metadata["file"].value).startswith("bars.yaml:")
    assert {spec.name for spec in checks.check_specs if spec.blocking} == set(found)


def _asset(checks: dg.AssetChecksDefinition) -> str:
    return next(iter(checks.check_specs)).asset_key.to_user_string()


def test_the_same_symbol_on_two_exchanges_is_compared_month_by_month(location: Location, tmp_path: Path) -> None:
    settings = location.settings(tmp_path)
    store = open_store(settings.store_url)
    rows = ", ".join(
        f"('{market}', '1m', TIMESTAMPTZ '2025-02-0{day} 00:0{n}:00+00', {price}::DOUBLE, 1::DOUBLE)"
        for market, price in (("a:X/Y", 100), ("b:X/Y", 101))
        for day in (1, 2)
        for n in range(3)
    )
    sql = "SELECT m AS market, f AS timeframe, t AS ts, p AS open, p AS high, p AS low, p AS close, v AS volume"
    store.upsert(CANDLES, store.query(f"{sql} FROM (VALUES {rows}) AS x (m, f, t, p, v)"))
    job = location.run(settings, "across_markets", partition="2025-02")
    assert job.success
    assert {one.check_name for one in job.get_asset_check_evaluations() if not one.passed} == {"prices_agree"}, (
        "100 basis points apart: a warning stops nothing"
    )
    stored = store.read(EXCHANGE_COMPARISON)
    assert stored.height == 4
    assert stored.filter(market="b:X/Y")["median_deviation_bps"].to_list() == pytest.approx([100, 100])


def test_a_new_file_is_a_new_asset_whose_parameters_say_what_it_is_run_for(location: Location, tmp_path: Path) -> None:
    make, settings = location.module("sql_models.assets").model_asset, location.settings(tmp_path)
    partitions = location.partitions
    for where, expected in (
        ("market = $market AND timeframe = $timeframe", partitions.market_months),
        ("ts >= $start AND ts < $end AND close > $limit_bps", partitions.months),
        ("close > 0", None),
    ):
        (tmp_path / f"{BARS['5m'].name}.sql").write_text(f"-- Bars.\n{BAR} WHERE {where}")
        asset = make(load_models(tmp_path)["bars_5m"], settings)
        assert asset.partitions_def == expected
        (spec,) = asset.specs
        assert (spec.group_name, spec.description) == ("sql_models", "Bars. Made by `bars_5m.sql`.")
    (tmp_path / "bars_5m.sql").write_text(f"{BAR} WHERE close > $threshold")
    with pytest.raises(SqlModelError, match=r"bars_5m.sql: nobody gives the parameter \$threshold; there is candle_"):
        make(load_models(tmp_path)["bars_5m"], settings)


def test_the_schedule_compares_the_month_of_the_day_before(location: Location, tmp_path: Path) -> None:
    from datetime import UTC, datetime

    module, settings = location.module("sql_models.exchange_comparison"), location.settings(tmp_path)

    def tick(month: int, day: int, year: int = 2025) -> Any:
        time = datetime(year, month, day, tzinfo=UTC)
        context = dg.build_schedule_context(scheduled_execution_time=time, resources={"settings": settings})
        return module.daily_comparison(context, settings)

    assert tick(3, 1).partition_key == "2025-02"
    assert tick(3, 2).partition_key == "2025-03"
    assert isinstance(tick(1, 1, year=2031), dg.SkipReason)
