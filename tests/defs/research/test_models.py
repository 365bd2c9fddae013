"""From the walk-forward to the deployment: gates decide, sensors promote, and nothing happens twice."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest

from tests.defs.small import LENIENT, NOISE, SYNA, Location, Undisturbed, copy_of
from trading_assets.backtest.approval import traded_with
from trading_assets.models import certificates, load
from trading_assets.registry import Registry, read_manifest
from trading_assets.settings import MlflowSettings, Settings
from trading_assets.store import open_store
from trading_assets.store.tables import (
    BACKTEST_METRICS,
    CHECK_STATES,
    EQUITY,
    FOLDS,
    MODEL_VERSIONS,
    PREDICTIONS,
    TRADES,
)


@dataclass(frozen=True)
class Trained:
    """A copy of the undisturbed store, in which one model was approved and one refused."""

    settings: Settings
    instance: dg.DagsterInstance
    approved: dg.ExecuteInProcessResult
    refused: dg.ExecuteInProcessResult


@pytest.fixture(scope="module")
def trained(location: Location, undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    lenient = copy_of(undisturbed, location, folder, gates=LENIENT)
    strict = lenient.model_copy(update={"gates": lenient.gates.model_copy(update={"min_trades": 10_000})})
    instance = dg.DagsterInstance.ephemeral()
    return Trained(
        lenient,
        instance,
        location.run(lenient, "retrain", instance=instance, partition="syna"),
        location.run(strict, "retrain", instance=instance, partition="noise"),
    )


def made(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key}


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, object]:
    (event,) = [event for event in result.get_asset_materialization_events() if event.asset_key == dg.AssetKey(asset)]
    return {name: value.value for name, value in event.materialization.metadata.items()}


@pytest.mark.parametrize("asset", ["features", "labels"])
def test_months_that_other_code_or_settings_made_are_not_learnt_from(
    location: Location, undisturbed: Undisturbed, tmp_path: Path, asset: str
) -> None:
    settings = copy_of(undisturbed, location, tmp_path)
    partitions = location.module("lib.partitions")
    instance = dg.DagsterInstance.ephemeral()
    for result in undisturbed.results.values():
        for event in result.get_asset_materialization_events():
            instance.report_runless_asset_event(event.materialization)
    versions, made_by = location.module("lib.versions"), location.module(f"research.{asset}").code_version(settings)
    versions.refuse_outdated(instance, asset, settings.markets, code_version=made_by)

    february = partitions.partition_key(SYNA, "2025-02")
    other = dg.AssetMaterialization(asset, partition=february, tags={"dagster/code_version": "of last week"})
    instance.report_runless_asset_event(other)
    refused = location.run(settings, "retrain", instance=instance, partition="syna")
    assert not made(refused)
    reason = location.module("lib.failures").failure_reason(refused.get_step_failure_events()[0])
    assert f"{SYNA}: {asset} of 2025-02 to 2025-02 were made by other code or settings" in reason
    assert reason.endswith(f"run trading backfill --market {SYNA} --from 2025-02 --to 2025-02")


def test_a_candidate_whose_gates_all_pass_is_approved(trained: Trained) -> None:
    assert trained.approved.success
    assert made(trained.approved) == {"walk_forward", "candidate", "backtest", "approved"}
    assert all(check.passed for check in trained.approved.get_asset_check_evaluations())
    assert metadata(trained.approved, "approved")["version"] == 1


def test_a_failed_gate_keeps_the_candidate_a_draft_and_says_why(trained: Trained) -> None:
    assert trained.refused.success, "a refusal is a verdict: nothing went wrong"
    assert made(trained.refused) == {"walk_forward", "candidate", "backtest"}
    checks = {check.check_name: check for check in trained.refused.get_asset_check_evaluations()}
    assert {name for name, check in checks.items() if not check.passed} == {"trades"}
    description = str(checks["trades"].description)
    assert "noise: trades" in description
    assert "required >= 10000" in description
    assert "too few to judge" in description
    assert checks["trades"].metadata["threshold"].value == 10_000
    assert checks["trades"].severity == dg.AssetCheckSeverity.WARN
    (version,) = Registry(trained.settings).list("noise")
    assert version.status == "draft"


def test_the_gates_page_is_not_green_while_another_model_is_refused(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    settings = copy_of(undisturbed, location, tmp_path, gates=LENIENT)
    states = location.module("lib.check_states")
    refusal = pl.DataFrame(
        [("backtest", "trades", "noise", "trades 3, required >= 10: FAILED", None, None, datetime.now(UTC), "earlier")],
        schema=CHECK_STATES.columns,
        orient="row",
    )
    gone = refusal.with_columns(part=pl.lit("of older settings"))
    open_store(settings.store_url).upsert(CHECK_STATES, pl.concat([refusal, gone]))
    with dg.DagsterInstance.ephemeral() as instance:
        result = location.run(settings, "retrain", instance=instance, partition="syna")
    assert result.success
    assert "approved" in made(result), "another model's refusal does not hold this one back"
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert {name for name, check in checks.items() if not check.passed} == {"trades"}
    assert all(states.passed_here(check) for check in checks.values())
    assert str(checks["trades"].description).endswith("Other runs found: noise: trades 3, required >= 10: FAILED")
    assert checks["trades"].metadata["value of syna"].value > 0, "a line of its own per model"
    assert "value of noise" not in checks["trades"].metadata


def test_a_run_leaves_its_tables_its_pictures_and_its_report(trained: Trained) -> None:
    store = open_store(trained.settings.store_url)
    for table in (PREDICTIONS, FOLDS, EQUITY, BACKTEST_METRICS, MODEL_VERSIONS):
        assert store.read(table, where={"model": "syna"}).height, table.name
    shown = metadata(trained.approved, "backtest")
    assert shown["dagster/row_count"] == store.read(TRADES, where={"model": "syna"}).height
    assert "data:image/png;base64" in str(shown["equity"])
    assert "data:image/png;base64" in str(metadata(trained.approved, "walk_forward")["auc_by_fold"])
    assert shown["report"] == "/logs/reports/syna/1/html"
    assert shown["chart"] == "/logs/reports/syna/1-chart/html"
    chart = (trained.settings.reports_dir / "syna" / "1-chart.html").read_text()
    assert "SYNTHETIC DATA" in chart
    assert "Single trades" in chart
    page = (trained.settings.reports_dir / "syna" / "1.html").read_text()
    assert "SYNTHETIC" in page
    for asset in ("walk_forward", "candidate", "backtest", "approved"):
        assert "SYNTHETIC" in str(metadata(trained.approved, asset)["data"]), asset


def test_the_same_data_and_code_give_the_same_version(location: Location, trained: Trained) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        again = location.materialize(trained.settings, "candidate", instance=instance, partition="syna")
    assert again.success
    shown = metadata(again, "candidate")
    assert (shown["version"], shown["bundle_hash"]) == tuple(
        metadata(trained.approved, "candidate")[name] for name in ("version", "bundle_hash")
    )


@contextmanager
def copied(trained: Trained, folder: Path) -> Iterator[tuple[Settings, dg.DagsterInstance]]:
    """The approved model with its store and registry, and an instance of its own that knows what was made."""
    shutil.copytree(trained.settings.data_dir, folder / "copy")
    with dg.DagsterInstance.ephemeral() as instance:
        for event in trained.approved.get_asset_materialization_events():
            instance.report_runless_asset_event(event.materialization)
        yield trained.settings.model_copy(update={"data_dir": folder / "copy"}), instance


def reason(result: dg.ExecuteInProcessResult, location: Location) -> str:
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    return str(location.module("lib.failures").failure_reason(failure))


def test_a_candidate_that_learnt_from_other_data_than_was_judged_is_not_approved(
    location: Location, trained: Trained, tmp_path: Path
) -> None:
    with copied(trained, tmp_path) as (settings, instance):
        with duckdb.connect(settings.store_url.removeprefix("duckdb:///")) as connection:
            connection.execute("DELETE FROM labels WHERE ts > '2025-03-18'")
        assert location.materialize(settings, "candidate", instance=instance, partition="syna").success
        result = location.materialize(settings, "approved", instance=instance, partition="syna")
    assert "different data sets" in reason(result, location)


def of_version(settings: Settings, version: int) -> dict[str, int]:
    """Table -> hash of its rows of a version of the model syna."""
    where: dict[str, str | int] = {"model": "syna", "version": version}
    store = open_store(settings.store_url)
    frames = {table.name: store.read(table, where=where) for table in (TRADES, EQUITY, BACKTEST_METRICS)}
    return {name: frame.hash_rows().sum() for name, frame in frames.items() if frame.height}


def test_a_candidate_that_no_backtest_followed_is_not_approved(
    location: Location, trained: Trained, tmp_path: Path
) -> None:
    with copied(trained, tmp_path) as (settings, instance):
        other = settings.models["syna"].model_copy(update={"threshold": 0.5})
        changed = settings.model_copy(update={"models": settings.models | {"syna": other}})
        assert location.materialize(changed, "candidate", instance=instance, partition="syna").success
        result = location.materialize(changed, "approved", instance=instance, partition="syna")
        assert "the newest backtest was made for version 1, the candidate is version 2" in reason(result, location)

        kept = of_version(settings, 1)
        assert location.materialize(changed, "backtest", instance=instance, partition="syna").success
    assert all(height for height in kept.values())
    assert of_version(settings, 1) == kept, "what the deployed version did stays beside what was tried after it"
    assert of_version(settings, 2).keys() == kept.keys()
    pages = sorted(page.name for page in (settings.reports_dir / "syna").iterdir())
    assert pages == ["1-chart.html", "1.html", "2-chart.html", "2.html"]


def test_a_backtest_with_another_threshold_than_the_candidates_approves_nothing(
    location: Location, trained: Trained
) -> None:
    bolder = trained.settings.models["noise"].model_copy(update={"threshold": 0.4})
    settings = trained.settings.model_copy(update={"models": trained.settings.models | {"noise": bolder}})
    assert location.materialize(settings, "backtest", instance=trained.instance, partition="noise").success
    result = location.materialize(settings, "approved", instance=trained.instance, partition="noise")
    assert "settings of the model or of its labels changed after it was trained" in reason(result, location)
    assert location.materialize(trained.settings, "backtest", instance=trained.instance, partition="noise").success


def test_a_backtest_that_was_traded_otherwise_than_the_settings_say_approves_nothing(
    location: Location, trained: Trained
) -> None:
    settings = trained.settings
    trading = settings.trading
    cheap = trading.model_copy(update={"costs": trading.costs.model_copy(update={"taker_fee_bps": 0.0})})
    free = settings.model_copy(update={"trading": cheap})
    bolder = settings.models | {"noise": settings.models["noise"].model_copy(update={"threshold": 0.4})}
    unbound = trading.model_copy(update={"risk": trading.risk.model_copy(update={"max_daily_loss": 9e9})})
    wider = {name: one.model_copy(update={"take_profit_pct": 9.0}) for name, one in settings.labels.items()}
    others = [settings.model_copy(update=one) for one in ({"models": bolder}, {"trading": unbound}, {"labels": wider})]
    assert len({traded_with(one, "noise") for one in (settings, free, *others)}) == 5
    assert traded_with(others[0], "syna") == traded_with(settings, "syna"), "another model's threshold is another's"

    assert location.materialize(free, "backtest", instance=trained.instance, partition="noise").success
    result = location.materialize(settings, "approved", instance=trained.instance, partition="noise")
    assert "the newest backtest was traded with other settings" in reason(result, location)


def test_a_backtest_of_another_walk_forward_than_the_candidates_approves_nothing(
    location: Location, trained: Trained
) -> None:
    noise = trained.settings.models["noise"]
    shorter = noise.model_copy(update={"walk_forward": noise.walk_forward.model_copy(update={"test_days": 5})})
    hunted = trained.settings.model_copy(update={"models": trained.settings.models | {"noise": shorter}})

    def approval(*steps: tuple[Settings, str]) -> str:
        for settings, asset in steps:
            assert location.materialize(settings, asset, instance=trained.instance, partition="noise").success
        return reason(
            location.materialize(trained.settings, "approved", instance=trained.instance, partition="noise"), location
        )

    said = approval((hunted, "walk_forward"), (trained.settings, "backtest"))
    assert "the newest walk-forward tried another configuration than the candidate's" in said
    said = approval((trained.settings, "walk_forward"))
    assert "the newest backtest traded other predictions than the newest walk-forward made" in said


def test_approval_looks_at_the_gates_again_where_it_is_run_alone(location: Location, trained: Trained) -> None:
    strict = trained.settings.model_copy(
        update={"gates": trained.settings.gates.model_copy(update={"min_trades": 9999})}
    )
    result = location.materialize(strict, "approved", instance=trained.instance, partition="noise")
    assert "model noise: trades" in reason(result, location)
    assert "required >= 9999: FAILED" in reason(result, location)


def test_a_model_that_the_node_would_compute_otherwise_is_neither_approved_nor_deployed(
    location: Location, trained: Trained, tmp_path: Path
) -> None:
    shutil.copytree(trained.settings.data_dir, tmp_path / "copy")
    settings = trained.settings.model_copy(update={"data_dir": tmp_path / "copy"})
    assert "agree" in str(metadata(trained.approved, "candidate")["parity"])
    assert "agree" in str(metadata(trained.approved, "approved")["parity"])
    bundle = Path(str(metadata(trained.approved, "candidate")["bundle"])).relative_to(trained.settings.data_dir)
    path = settings.data_dir / bundle / certificates.FILE
    good = certificates.Certificate.model_validate_json(path.read_bytes())
    assert good.markets[SYNA].bars == settings.gates.parity_bars
    ts = good.markets[SYNA].first
    one = certificates.Divergence(market=SYNA, ts=ts, column="rsi_14", stored=48.25, live=51.5)
    path.write_text(good.model_copy(update={"divergence": one}).model_dump_json())
    for asset in ("approved", "deployment"):
        result = location.materialize(settings, asset, instance=trained.instance, partition="syna")
        said = reason(result, location)
        assert f"rsi_14 of {SYNA} at {ts:%Y-%m-%d %H:%M} is 48.25 in the tables, but 51.5" in said
        assert "trading prove-features" in said
    path.unlink()
    result = location.materialize(settings, "deployment", instance=trained.instance, partition="syna")
    assert "it has no parity certificate" in reason(result, location)
    assert read_manifest(settings.live_dir).models == {}


def test_another_bundle_under_the_approved_versions_number_is_not_deployed(
    location: Location, trained: Trained, tmp_path: Path
) -> None:
    (other,) = Registry(trained.settings).list("noise")
    replaced = MlflowSettings(tracking_uri=f"sqlite:///{tmp_path / 'another.db'}")
    settings = trained.settings.model_copy(update={"mlflow": replaced})
    registry = Registry(settings)
    assert registry.register(load(other.bundle_path), "syna") == metadata(trained.approved, "approved")["version"]
    registry.set_status("syna", 1, "approved")
    result = location.materialize(settings, "deployment", instance=trained.instance, partition="syna")
    assert "version 1 of the registry is not the bundle that was approved" in reason(result, location)
    assert read_manifest(settings.live_dir).models == {}


def test_a_candidate_says_where_the_stored_features_are_not_the_nodes(
    location: Location, trained: Trained, tmp_path: Path
) -> None:
    shutil.copytree(trained.settings.data_dir, tmp_path / "copy")
    settings = trained.settings.model_copy(update={"data_dir": tmp_path / "copy"})
    with duckdb.connect(settings.store_url.removeprefix("duckdb:///")) as connection:
        connection.execute("UPDATE features SET rsi_14 = rsi_14 * 1.000001 WHERE ts >= '2025-03-19'")
    with dg.DagsterInstance.ephemeral() as instance:  # its data set is another: not among those of the other tests
        result = location.materialize(settings, "candidate", instance=instance, partition="noise")
    assert f"rsi_14 of {NOISE} at 2025-03-" in str(metadata(result, "candidate")["parity"])


def tick(location: Location, trained: Trained, cursor: str | None = None) -> dg.SensorExecutionData:
    context = dg.build_sensor_context(
        instance=trained.instance, cursor=cursor, definitions=location.defs, resources={"settings": trained.settings}
    )
    data: dg.SensorExecutionData = location.module("orchestration.sensors").promotion.evaluate_tick(context)
    return data


def test_an_approval_is_promoted_once(location: Location, trained: Trained) -> None:
    first = tick(location, trained)
    assert [request.partition_key for request in first.run_requests or []] == ["syna"]
    assert [r.run_key for r in tick(location, trained).run_requests or []] == [
        r.run_key for r in first.run_requests or []
    ], "until it has run, a second tick asks for the same run"

    result = location.run(trained.settings, "promote", instance=trained.instance, partition="syna")
    assert result.success
    deployed = read_manifest(trained.settings.live_dir).models["syna"]
    assert deployed.bundle_hash == metadata(trained.approved, "approved")["bundle_hash"]
    assert deployed.folder(trained.settings.data_dir).is_dir()
    champion = Registry(trained.settings).champion("syna")
    assert champion is not None
    assert champion.version == deployed.version

    for cursor in (None, first.cursor):
        later = tick(location, trained, cursor)
        assert not later.run_requests
    assert "deployed" in str(tick(location, trained).skip_message)


def test_a_draft_is_not_deployed(location: Location, undisturbed: Undisturbed, tmp_path: Path) -> None:
    settings = copy_of(undisturbed, location, tmp_path, gates=LENIENT)
    with dg.DagsterInstance.ephemeral() as instance:
        result = location.run(settings, "promote", instance=instance, partition="syna")
        assert "the asset approved has none of it yet" in reason(result, location)
    assert read_manifest(settings.live_dir).models == {}


def test_a_bundle_that_was_changed_on_disk_is_not_deployed(
    location: Location, trained: Trained, tmp_path: Path
) -> None:
    shutil.copytree(trained.settings.data_dir, tmp_path / "copy")
    settings = trained.settings.model_copy(update={"data_dir": tmp_path / "copy"})
    (settings.live_dir / "deployment.json").unlink(missing_ok=True)
    bundle = Path(str(metadata(trained.approved, "candidate")["bundle"])).relative_to(trained.settings.data_dir)
    with (settings.data_dir / bundle / "long" / "model.txt").open("a") as file:
        file.write("\n")
    result = location.run(settings, "promote", instance=trained.instance, partition="syna")
    assert "SHA-256" in reason(result, location)
    assert read_manifest(settings.live_dir).models == {}
