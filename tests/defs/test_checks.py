"""The data's quality gates: each finds what it is there for, names it, and stops what follows."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from tests.defs.small import MONTHS, NOISE, QUIET, SYNA, Location, Undisturbed, copy_of, part
from trading_assets.core.timeframes import Timeframe
from trading_assets.defs.lib.resources import resources
from trading_assets.quality import CANDLE_CHECKS
from trading_assets.settings import Settings
from trading_assets.sql import load_models
from trading_assets.store import open_store
from trading_assets.store.tables import CANDLES, FEATURES, LABELS


@pytest.fixture(scope="module")
def copied(location: Location, undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings over a copy of the undisturbed store, for tests that spoil it."""
    settings = location.settings(tmp_path_factory.mktemp("copied"))
    target = open_store(settings.store_url)
    for table in (CANDLES, FEATURES, LABELS):
        target.upsert(table, undisturbed.store.read(table))
    return settings


def evaluate(
    location: Location,
    settings: Settings,
    *names: str,
    selection: dg.AssetSelection | None = None,
    tags: dict[str, str] | None = None,
    **given: Any,
) -> dict[str, dg.AssetCheckEvaluation]:
    """Run the checks of some assets on their own."""
    checks, definitions = location.module("research.checks"), location.of(settings)
    specs = [dg.AssetSpec(name) for name in ("candles", "funding_rates", "features", "labels")]
    job = dg.Definitions(
        assets=specs,
        asset_checks=[
            part(definitions, "candle_checks"),
            part(definitions, "funding_rates_funding_gaps"),
            checks.finite_after_warmup,
            checks.label_balance,
        ],
        jobs=[dg.define_asset_job("only_checks", selection=selection or dg.AssetSelection.checks_for_assets(*names))],
        resources=resources(settings),
        executor=dg.in_process_executor,
    ).resolve_job_def("only_checks")
    result = job.execute_in_process(
        instance=dg.DagsterInstance.ephemeral(),
        tags=tags or {},
        resources={"settings": settings, **given},
        raise_on_error=False,
        run_config=QUIET,
    )
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def spoil(settings: Settings, sql: str) -> None:
    with duckdb.connect(settings.store_url.removeprefix("duckdb:///")) as connection:
        connection.execute("SET TimeZone='UTC'")
        connection.execute(sql)


def test_good_data_pass_every_check(undisturbed: Undisturbed) -> None:
    for result in undisturbed.results.values():
        checks = {
            check.check_name: check
            for check in result.get_asset_check_evaluations()
            if check.asset_key.to_user_string() not in load_models(timeframes=[Timeframe.parse("15m")])
        }
        assert set(checks) == {*CANDLE_CHECKS, "funding_gaps", "finite_after_warmup", "label_balance"}
        for check in checks.values():
            assert check.passed, check.description
            assert check.metadata["bad_partitions"].value == []


def test_bad_candles_are_found_and_their_months_named(location: Location, copied: Settings) -> None:
    february = f"market = '{SYNA}' AND ts >= '2025-02-03' AND ts < '2025-02-03 00:05:00'"
    spoil(copied, f"INSERT INTO candles SELECT * FROM candles WHERE {february}")
    spoil(copied, f"UPDATE candles SET low = -1 WHERE {february}")
    spoil(copied, f"UPDATE candles SET high = low / 2 WHERE market = '{NOISE}' AND ts = '2025-03-04 05:06:00'")
    spoil(copied, f"DELETE FROM candles WHERE market = '{NOISE}' AND ts >= '2025-03-10' AND ts < '2025-03-12'")

    checks = evaluate(location, copied, "candles")
    bad = {name: check.metadata["bad_partitions"].value for name, check in checks.items()}
    failed = {name for name, check in checks.items() if not check.passed}
    assert failed == {"candle_schema", "no_duplicates", "ohlc_consistency", "gap_share"}
    assert bad["candle_schema"] == [f"{SYNA}|2025-02: 10 times, worst: low is -1.0, must be greater than 0"]
    assert bad["no_duplicates"] == [f"{SYNA}|2025-02: 5 times, worst: 2 candles share the key of 2025-02-03 00:00"]
    assert len(bad["ohlc_consistency"]) == 1
    assert re.match(rf"{re.escape(NOISE)}\|2025-03: high \d+\.\d+ is below", bad["ohlc_consistency"][0])
    assert len(bad["gap_share"]) == 1
    assert re.match(rf"{re.escape(NOISE)}\|2025-03: 1\d\.\d\d% missing", bad["gap_share"][0])
    assert "limit 2.0%" in str(checks["gap_share"].description)
    assert "trading gaps --repair" in str(checks["gap_share"].description)

    clean = location.module("lib.partitions").range_tags(f"{SYNA}|2025-01", f"{SYNA}|2025-01")
    passed_here = location.module("lib.check_states").passed_here
    found = evaluate(location, copied, "candles", tags=clean)
    assert all(passed_here(check) for check in found.values()), "a run judges its own months only"
    assert {name for name, check in found.items() if not check.passed} == failed, "but is not green beside bad ones"


@pytest.mark.parametrize(("now", "passes"), [("00:05", True), ("00:25", True), ("01:05", False)])
def test_an_exchange_that_lags_at_the_turn_of_a_month_is_no_gap_yet_but_one_that_stands_still_is(
    location: Location,
    undisturbed: Undisturbed,
    tmp_path: Path,
    now: str,
    passes: bool,
) -> None:
    def clock() -> datetime:
        return datetime.fromisoformat(f"2025-03-01T{now}Z")

    settings = copy_of(undisturbed, location, tmp_path)
    spoil(settings, "DELETE FROM candles WHERE ts >= '2025-03-01'")
    tags = location.months(SYNA, "2025-03", "2025-03")
    check = evaluate(location, settings, "candles", tags=tags, clock=clock)["gap_share"]
    assert check.passed == passes, check.description


def test_a_feature_that_was_taken_out_leaves_a_column_that_nobody_minds(location: Location, copied: Settings) -> None:
    spoil(copied, "ALTER TABLE features ADD COLUMN taken_out DOUBLE")
    check = evaluate(location, copied, "features")["finite_after_warmup"]
    assert check.passed, check.description


def test_features_that_are_not_finite_are_found(location: Location, copied: Settings) -> None:
    name = next(column for column in open_store(copied.store_url).read(FEATURES).columns if column.startswith("rsi"))
    spoil(copied, f"UPDATE features SET {name} = 'inf'::DOUBLE WHERE market = '{SYNA}' AND ts = '2025-02-20'")
    check = evaluate(location, copied, "features")["finite_after_warmup"]
    assert not check.passed
    assert check.metadata["bad_partitions"].value == [f"{SYNA}|2025-02: {name}"]


def test_labels_with_hardly_any_take_profit_are_found(location: Location, copied: Settings) -> None:
    spoil(copied, f"UPDATE labels SET barrier = 'time', label = 0 WHERE market = '{NOISE}' AND label = 1")
    check = evaluate(location, copied, "labels")["label_balance"]
    assert not check.passed
    assert NOISE in str(check.metadata["bad_partitions"].value)
    assert SYNA not in str(check.metadata["bad_partitions"].value)
    assert "2.00%" in str(check.description)


def test_a_failed_gate_stops_its_market_and_no_other(location: Location, tmp_path: Path) -> None:
    strict = location.settings(tmp_path, quality={"gap_share": {"max_share": 0.0}})
    result = location.run(strict, "market_data", tags=location.months(SYNA, *MONTHS[:1] * 2))
    assert not result.success
    made = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key}
    fetched = {"candles", "candles_quarantine", "candle_revisions", "candle_gaps", "funding_rates"}
    assert made <= fetched, "nothing that is computed from candles"
    assert "candles" in made
    failed = [check.check_name for check in result.get_asset_check_evaluations() if not check.passed]
    assert failed == ["gap_share"]

    usual = location.settings(tmp_path)
    assert location.run(usual, "market_data", tags=location.months(NOISE, *MONTHS[:1] * 2)).success


def test_a_check_is_not_green_while_another_market_is_blocked_and_blocks_its_own_alone(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    settings = copy_of(undisturbed, location, tmp_path)
    hole = f"market = '{SYNA}' AND ts >= '2025-02-10' AND ts < '2025-02-15'"
    spoil(settings, f"DELETE FROM candles WHERE {hole}")

    def gap_share(market: str, **days: str) -> dg.AssetCheckEvaluation:
        tags = location.months(market, "2025-02", "2025-02") | days
        return evaluate(location, settings, "candles", tags=tags)["gap_share"]

    failed = gap_share(SYNA)
    assert (failed.passed, failed.severity) == (False, dg.AssetCheckSeverity.ERROR)

    other = gap_share(NOISE)
    assert not other.passed, "the page shows the newest result alone"
    assert other.severity == dg.AssetCheckSeverity.WARN, "which stops nothing"
    assert other.metadata["bad_partitions"].value == []
    assert f"Other runs found: {SYNA}|2025-02: 18.13% missing" in str(other.description)
    assert other.metadata[f"bad_partitions of {NOISE}"].value == 0
    assert f"bad_partitions of {SYNA}" not in other.metadata

    days = {"first_day": "2025-02-20", "last_day": "2025-02-25"}
    tags = {getattr(location.module("lib.partitions"), f"{name.upper()}_TAG"): day for name, day in days.items()}
    assert gap_share(SYNA, **tags).severity == dg.AssetCheckSeverity.ERROR, "other days do not mend the hole"

    store = open_store(settings.store_url)
    store.upsert(CANDLES, undisturbed.store.read(CANDLES, where={"market": SYNA}))
    assert gap_share(SYNA, **tags).passed
    assert gap_share(NOISE).passed


def test_a_sql_test_is_not_green_while_another_market_breaks_it(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    settings = copy_of(undisturbed, location, tmp_path)
    model = load_models()["bars_15m"]
    spoil(settings, f"UPDATE bars_15m SET low = 2 * high WHERE market = '{SYNA}' AND ts = '2025-02-10'")
    bars = dg.AssetKey("bars_15m")
    checks = next(
        one
        for one in location.module("sql_models.checks").sql_model_checks(settings)
        if {spec.asset_key for spec in one.check_specs} == {bars}
    )
    job = dg.Definitions(
        assets=[dg.AssetSpec("bars_15m")],
        asset_checks=[checks],
        jobs=[dg.define_asset_job("only", selection=dg.AssetSelection.checks_for_assets("bars_15m"))],
        resources=resources(settings),
        executor=dg.in_process_executor,
    ).resolve_job_def("only")

    def broken(market: str, month: str) -> dict[str, dg.AssetCheckEvaluation]:
        result = job.execute_in_process(
            instance=dg.DagsterInstance.ephemeral(),
            tags=location.months(market, "2025-01", month),
            resources={"settings": settings},
            raise_on_error=False,
            run_config=QUIET,
        )
        return {one.check_name: one for one in result.get_asset_check_evaluations() if not one.passed}

    assert len(model.expectations) > 1
    own = broken(SYNA, "2025-03")
    assert own
    others = broken(NOISE, "2025-03")
    assert others.keys() == own.keys()
    for one in others.values():
        assert one.severity == dg.AssetCheckSeverity.WARN
        assert str(one.description).endswith(f"Other runs found: {SYNA}|2025-02: 1 rows break it")


def test_what_lies_before_a_markets_first_candle_is_no_gap(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    settings = location.settings(tmp_path)
    listed = datetime(2025, 2, 14, tzinfo=UTC)
    candles = undisturbed.store.read(CANDLES, where={"market": SYNA}, start=listed)
    open_store(settings.store_url).upsert(CANDLES, candles)
    tags = location.months(SYNA, MONTHS[0], MONTHS[-1])
    assert evaluate(location, settings, "candles", tags=tags)["gap_share"].passed


def test_a_market_without_any_candle_is_all_gap(location: Location, tmp_path: Path) -> None:
    settings = location.settings(tmp_path)
    check = evaluate(location, settings, "candles", tags=location.months(SYNA, "2025-02", "2025-02"))["gap_share"]
    assert check.metadata["bad_partitions"].value == [
        f"{SYNA}|2025-02: 100.00% missing (40,320 of 40,320: unchecked 40,320), limit 2.0%"
    ]


def test_one_check_of_a_group_can_be_run_alone(location: Location, undisturbed: Undisturbed, tmp_path: Path) -> None:
    settings = location.settings(tmp_path)
    open_store(settings.store_url).upsert(CANDLES, undisturbed.store.read(CANDLES, where={"market": SYNA}))
    gaps = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("candles"), "no_duplicates"))
    checks = evaluate(location, settings, selection=gaps, tags=location.months(SYNA, *MONTHS[:1] * 2))
    assert {name: check.passed for name, check in checks.items()} == {"no_duplicates": True}


def test_a_warning_is_shown_and_stops_nothing(location: Location, tmp_path: Path) -> None:
    lenient = location.settings(tmp_path, quality={"gap_share": {"max_share": 0.0, "severity": "warn"}})
    result = location.run(lenient, "market_data", tags=location.months(SYNA, *MONTHS[:1] * 2))
    assert result.success
    (check,) = (check for check in result.get_asset_check_evaluations() if not check.passed)
    assert (check.check_name, check.severity) == ("gap_share", dg.AssetCheckSeverity.WARN)


def test_a_market_is_compared_with_its_second_exchange(location: Location, undisturbed: Undisturbed) -> None:
    usual = undisturbed.settings
    paired = usual.markets[SYNA].model_copy(update={"second_exchange": NOISE})
    settings = usual.model_copy(update={"markets": {**usual.markets, SYNA: paired}})
    tags = location.months(SYNA, "2025-02", "2025-02")
    check = evaluate(location, settings, "candles", tags=tags)["second_exchange"]
    assert not check.passed
    assert re.search(rf"\|2025-02: .* bps from {re.escape(NOISE)} in .* limit 100", str(check.description))
    assert evaluate(location, usual, "candles", tags=tags)["second_exchange"].passed
