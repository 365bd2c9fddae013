from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState

from trading_assets.core.errors import ModelError
from trading_assets.models import Bundle, Dataset, TrainedModel, join, load, train, write
from trading_assets.registry import CHAMPION, Cause, Registry, Tried, configuration
from trading_assets.registry.searches import open_searches, searched
from trading_assets.registry.stored import version_rows
from trading_assets.settings import (
    LabelSettings,
    LightGBMSettings,
    MlflowSettings,
    ModelSettings,
    Settings,
    WalkForwardSettings,
)
from trading_assets.store.tables import MODEL_VERSIONS

if TYPE_CHECKING:
    from conftest import PlantedFrames

SPEC = ModelSettings(
    markets=["sample:A/USDT"],
    walk_forward=WalkForwardSettings(train_days=10),
    estimator=LightGBMSettings(num_boost_round=5),
)


@pytest.fixture(scope="module")
def data(planted: PlantedFrames) -> Dataset:
    return join(*planted(days=12), names=[f"f{i}" for i in range(6)], fingerprint="ab" * 32)


@pytest.fixture(scope="module")
def trained(data: Dataset) -> TrainedModel:
    return train(data, SPEC)


class Desk:
    """A registry, and bundles to put into it."""

    def __init__(self, settings: Settings, trained: TrainedModel, data: Dataset) -> None:
        self.settings, self.trained, self.data = settings, trained, data
        self.registry = Registry(settings)

    def bundle(self, auc: float = 0.6, model: str = "a") -> Bundle:
        return write(
            self.settings.bundles_dir,
            model=model,
            trained=self.trained,
            dataset=self.data,
            spec=SPEC,
            labels=LabelSettings(),
            metrics={"oos_auc": auc},
            run_id="dagster-1",
        )

    def register(self, auc: float = 0.6, model: str = "a") -> int:
        return self.registry.register(self.bundle(auc, model), model)

    def rows(self) -> pl.DataFrame:
        return version_rows(self.registry.list(), self.settings.bundles_dir)

    def statuses(self, model: str = "a") -> list[str]:
        return [known.status for known in self.registry.list(model)]


@pytest.fixture
def desk(settings: Settings, trained: TrainedModel, data: Dataset) -> Desk:
    return Desk(settings, trained, data)


def test_a_registered_bundle_is_a_draft_with_its_lineage(desk: Desk) -> None:
    bundle = desk.bundle()
    assert desk.registry.register(bundle, "a") == 1
    known = desk.registry.get("a", 1)
    assert (known.name, known.version, known.status) == ("a", 1, "draft")
    assert (known.bundle_path, known.bundle_hash) == (bundle.folder, bundle.bundle_hash)
    assert (known.dataset_hash, known.run_id) == (desk.data.content_hash, "dagster-1")
    assert (known.train_start, known.train_end) == (desk.trained.train_start, desk.trained.train_end)
    assert known.code_version == bundle.provenance.code_version
    assert known.metrics == {"oos_auc": 0.6}
    assert abs(known.created_at - datetime.now(UTC)) < timedelta(hours=1)


def test_mlflow_holds_parameters_metrics_and_the_bundles_files(desk: Desk, tmp_path: Path) -> None:
    bundle = desk.bundle()
    desk.registry.register(bundle, "a")
    known = desk.registry.get("a", 1)
    from mlflow import MlflowClient

    uri = f"sqlite:///{desk.settings.data_dir / 'mlflow.db'}"
    client = MlflowClient(uri, uri)
    run = client.get_run(known.mlflow_run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["walk_forward.train_days"] == "10.0"
    assert run.data.params["estimator.seed"] == "7"
    assert run.data.params["estimator.kind"] == run.data.tags["estimator"] == "lightgbm"
    assert run.data.tags["estimator_version"].startswith("lightgbm 4.")
    assert run.data.params["labels.take_profit_pct"] == "2.0"
    assert run.data.params["min_edge_bps"] == "0.0"
    assert run.data.tags["dataset_hash"] == desk.data.content_hash
    assert run.data.tags["dagster_run_id"] == "dagster-1"
    copy = Path(client.download_artifacts(known.mlflow_run_id, "bundle", str(tmp_path)))
    assert load(copy).bundle_hash == bundle.bundle_hash
    assert (desk.settings.data_dir / "mlartifacts").is_dir()


def test_registering_the_same_bundle_again_changes_nothing(desk: Desk) -> None:
    assert desk.register() == 1
    desk.registry.set_status("a", 1, "approved")
    assert desk.register() == 1
    assert desk.statuses() == ["approved"]
    assert desk.register(auc=0.7) == 2
    assert desk.register(auc=0.7, model="b") == 1
    assert desk.statuses() == ["approved", "draft"]


def test_a_promoted_version_is_the_champion_and_its_predecessor_is_archived(desk: Desk) -> None:
    for auc in (0.6, 0.7):
        desk.registry.set_status("a", desk.register(auc), "approved")
    assert desk.registry.champion("a") is None
    assert desk.registry.promote("a", 1).status == "active"
    assert desk.registry.promote("a", 2).status == "active"
    assert desk.statuses() == ["archived", "active"]
    champion = desk.registry.champion("a")
    assert champion is not None
    assert champion.version == 2
    assert int(desk.registry._tracking.client.get_model_version_by_alias("a", CHAMPION).version) == 2
    assert desk.registry.set_status("a", 1, "active").status == "active"  # the rollback
    assert desk.statuses() == ["active", "archived"]
    desk.registry.set_status("a", 1, "archived")
    assert desk.registry.champion("a") is None
    assert desk.registry._tracking.client.get_registered_model("a").aliases == {}


def test_what_was_rejected_by_hand_stays_so_and_a_rollback_goes_to_the_newest_before(desk: Desk) -> None:
    with pytest.raises(ModelError, match="model a: no earlier version to go back to"):
        desk.registry.before("a")
    for version, auc in enumerate((0.6, 0.7, 0.8), 1):
        desk.registry.set_status("a", desk.register(auc), "approved")
        desk.registry.promote("a", version)
    assert desk.registry.before("a").version == 2
    assert desk.registry.reject("a", 2, Cause(reason="it learnt from a broken feed")).status == "rejected"
    assert desk.registry._tracking.client.get_model_version("a", "2").tags["reason"] == "it learnt from a broken feed"
    assert desk.registry.before("a").version == 1
    for version, said in ((2, "rejected cannot become active; it stays so"), (3, "active cannot become rejected")):
        with pytest.raises(ModelError, match=said):
            desk.registry.promote("a", version) if version == 2 else desk.registry.reject(
                "a", version, Cause(reason="")
            )


def test_promoting_again_finishes_what_a_killed_promotion_left(desk: Desk) -> None:
    for auc in (0.6, 0.7):
        desk.registry.set_status("a", desk.register(auc), "approved")
    desk.registry.promote("a", 1)
    desk.registry._tracking.client.set_registered_model_alias("a", CHAMPION, "2")
    desk.registry._tracking.client.set_model_version_tag("a", "2", "status", "active")  # killed before the archiving
    changed_at = desk.registry.get("a", 2).changed_at
    desk.registry.promote("a", 2)
    assert desk.statuses() == ["archived", "active"]
    assert desk.registry.get("a", 2).changed_at == changed_at


@pytest.mark.parametrize(
    ("path", "wanted", "message"),
    [
        ((), "active", "a version that is draft cannot become active; it can become approved or rejected"),
        ((), "archived", "draft cannot become archived"),
        (("approved",), "draft", "approved cannot become draft; it can become active"),
        (("approved", "active"), "approved", "active cannot become approved; it can become archived"),
        (("approved", "challenger"), "approved", "challenger cannot become approved; it can become active or archived"),
        (("approved", "active"), "challenger", "active cannot become challenger; it can become archived"),
        (("approved", "active", "archived"), "draft", "archived cannot become draft; it can become active or rejected"),
        ((), "retired", "'retired' is not a status; one of draft, approved, challenger, active, archived, rejected"),
    ],
)
def test_an_illegal_change_is_refused(desk: Desk, path: tuple[str, ...], wanted: str, message: str) -> None:
    desk.register()
    for status in path:
        desk.registry.set_status("a", 1, status)  # type: ignore[arg-type]
    before = desk.statuses()
    with pytest.raises(ModelError, match=message):
        desk.registry.set_status("a", 1, wanted)  # type: ignore[arg-type]
    assert desk.statuses() == before


def test_an_unknown_version_is_named(desk: Desk) -> None:
    desk.register()
    with pytest.raises(ModelError, match="model a has no version 7"):
        desk.registry.promote("a", 7)
    with pytest.raises(ModelError, match="model q has no version 1"):
        desk.registry.get("q", 1)


def test_the_frame_holds_the_rows_of_its_table(desk: Desk) -> None:
    assert desk.rows().schema == MODEL_VERSIONS.columns
    assert not (desk.settings.data_dir / "mlflow.db").exists()  # looking made nothing
    desk.register()
    desk.register(model="b")
    frame = desk.rows()
    assert frame.schema == MODEL_VERSIONS.columns
    assert frame["model"].to_list() == ["a", "b"]
    row = frame.row(0, named=True)
    assert row["bundle"] == f"a/{row['bundle_hash'][:16]}"
    assert row["status"] == "draft"
    assert row["changed_at"] is not None


def test_later_metrics_join_the_version(desk: Desk) -> None:
    desk.register()
    desk.registry.log_metrics("a", 1, {"sharpe": 1.5, "trades": 40})
    assert desk.registry.get("a", 1).metrics == {"oos_auc": 0.6, "sharpe": 1.5, "trades": 40}


def test_two_at_once_make_one_version(desk: Desk) -> None:
    bundles = [desk.bundle(0.6), desk.bundle(0.7)] * 3
    with ThreadPoolExecutor(6) as pool:
        versions = list(pool.map(lambda bundle: Registry(desk.settings).register(bundle, "a"), bundles))
    assert set(versions) == {1, 2}
    assert versions[0] == versions[2] == versions[4]
    assert len(desk.registry.list("a")) == 2


def test_a_damaged_database_is_one_clear_message(desk: Desk) -> None:
    desk.register()
    (desk.settings.data_dir / "mlflow.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(ModelError, match=r"mlflow\.db: the registry does not answer: .*; check mlflow\.tracking_uri"):
        Registry(desk.settings).list()


def test_a_new_process_registers_quietly_and_without_the_network(desk: Desk) -> None:
    bundle = desk.bundle()
    script = f"""
import socket
from pathlib import Path
def refuse(*arguments): raise AssertionError(f"went to the network: {{arguments}}")
socket.socket.connect = socket.create_connection = refuse
from trading_assets.models import load
from trading_assets.registry import Registry
from trading_assets.settings import load_settings
registry = Registry(load_settings(data_dir={str(desk.settings.data_dir)!r}))
print(registry.register(load(Path({str(bundle.folder)!r})), "a"), registry.list()[0].status)
"""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=dict(os.environ), check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "1 draft\n", "")


def test_every_run_on_a_shared_market_is_a_trial_whatever_became_of_it(desk: Desk) -> None:
    assert desk.registry.trials(["sample:A/USDT"]).count == 0
    for auc, sharpe in ((0.6, 1.5), (0.7, -0.5)):
        desk.registry.log_metrics("a", desk.register(auc), {"backtest_sharpe": sharpe})
    desk.register(0.8, model="b")  # never backtested
    client = desk.registry._tracking.client
    client.delete_run(desk.registry.get("a", 2).mlflow_run_id)
    tried = desk.registry.trials(["sample:A/USDT", "sample:Z/USDT"])
    assert tried.count == 3
    assert sorted(tried.sharpes) == [-0.5, 1.5]
    assert desk.registry.trials(["sample:Z/USDT"]).count == 0
    desk.register(0.6)  # the same bundle again
    assert desk.registry.trials(["sample:A/USDT"]).count == 3


def test_a_backtest_repeated_is_a_trial_where_it_came_out_otherwise(desk: Desk) -> None:
    desk.register()
    for sharpe in (0.8, 0.8, 1.4, 1.1, 1.4):  # e.g. with other thresholds or another seed, until one is good
        desk.registry.log_metrics("a", 1, {"backtest_sharpe": sharpe})
    tried = desk.registry.trials(["sample:A/USDT"])
    assert (tried.count, sorted(tried.sharpes)) == (3, [0.8, 1.1, 1.4])
    desk.registry._tracking.client.delete_run(desk.registry.get("a", 1).mlflow_run_id)
    assert desk.registry.trials(["sample:A/USDT"]).count == 3


def test_bundles_on_disk_remember_what_a_registry_that_was_moved_away_counted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for auc in (0.6, 0.7, 0.8):
        desk.register(auc)
    elsewhere = MlflowSettings(tracking_uri=f"sqlite:///{desk.settings.data_dir / 'another.db'}")
    desk.registry = Registry(desk.settings.model_copy(update={"mlflow": elsewhere}))
    assert desk.registry.trials(["sample:A/USDT"]).count == 0, "no registry, no count, no approval"
    assert desk.register(0.9) == 1, "versions begin anew"
    assert not (tmp_path / "mlruns").exists(), "a database without a server has its files in the data folder"
    assert desk.registry.trials(["sample:A/USDT"]).count == 4
    assert desk.registry.trials(["sample:Z/USDT"]).count == 0
    (desk.bundle(0.8).folder / "settings.json").write_text("{")
    assert desk.registry.trials(["sample:A/USDT"]).count == 4, "also where one is damaged"


def test_a_walk_forward_is_a_trial_once_and_no_further_one_where_a_version_is_made_of_it(desk: Desk) -> None:
    def tries(spec: ModelSettings, labels: LabelSettings | None = None, name: str = "a") -> int:
        made = desk.bundle()
        tried = configuration(
            spec, labels or LabelSettings(), features=made.features, fingerprint=made.feature_fingerprint
        )
        desk.registry.count_walk_forward(name, spec.markets, tried, {"oos_auc": 0.51})
        return desk.registry.trials(["sample:A/USDT"]).count

    assert tries(SPEC) == 1
    assert tries(SPEC) == 1, "the same again"
    assert tries(SPEC, name="another") == 1, "under another name"
    assert tries(SPEC.model_copy(update={"threshold": 0.6})) == 1, "only backtests try thresholds"
    desk.registry.log_metrics("a", desk.register(), {"backtest_sharpe": 1.5})
    assert desk.registry.trials(["sample:A/USDT"]) == Tried(1, (1.5,)), "its version is the same trial"
    wider = SPEC.model_copy(update={"estimator": LightGBMSettings(num_leaves=31)})
    assert tries(wider) == 2, "a hunt without registering is a hunt"
    assert tries(SPEC, LabelSettings(take_profit_pct=3)) == 3
    assert tries(SPEC.model_copy(update={"markets": ["sample:Z/USDT"]})) == 3, "elsewhere"
    assert desk.registry.trials(["sample:Z/USDT"]).count == 1
    assert [version.version for version in desk.registry.list()] == [1]


def test_the_trials_of_searches_count_on_their_markets_beside_what_the_registry_knows(
    desk: Desk, tmp_path: Path
) -> None:
    storage = open_searches(desk.settings)
    told: list[tuple[str | None, float | None, TrialState]] = [
        ("one", 1.5, TrialState.COMPLETE),
        ("two", None, TrialState.PRUNED),
        ("three", None, TrialState.FAIL),
        ("three", 0.5, TrialState.COMPLETE),
        ("four", None, TrialState.RUNNING),
        (None, None, TrialState.FAIL),
    ]
    for market in ("sample:A/USDT", "sample:Z/USDT"):
        study = storage.create_new_study([StudyDirection.MAXIMIZE], market)
        storage.set_study_user_attr(study, "markets", [market])
        for configured, sharpe, state in told:
            number = storage.create_new_trial(study)
            if configured is not None:
                storage.set_trial_user_attr(number, "configuration", f"{configured} {market}")
            if sharpe is not None:
                storage.set_trial_user_attr(number, "sharpe", sharpe)
            if state is not TrialState.RUNNING:
                storage.set_trial_state_values(number, state, [1.0] if sharpe else None)
    assert desk.registry.trials(["sample:A/USDT"]).count == 0, "no registry, no count, no approval"
    desk.registry.log_metrics("a", desk.register(), {"backtest_sharpe": 2.5})
    found = desk.registry.trials(["sample:A/USDT"])
    assert found == Tried(1, (2.5,)).beside(Tried(4, (1.5, 0.5)))
    assert found.apart == (Tried(1, (2.5,)), Tried(4, (1.5, 0.5)))
    assert desk.registry.trials(["sample:A/USDT", "sample:Z/USDT"]).count == 1 + 8
    assert desk.registry.trials(["sample:B/USDT"]).count == 0


def test_a_database_of_searches_that_does_not_open_is_one_clear_message(desk: Desk) -> None:
    desk.settings.data_dir.mkdir(parents=True)
    (desk.settings.data_dir / "search.db").write_bytes(b"no database, but long enough to be taken for one" * 100)
    with pytest.raises(ModelError, match=r"the database of searches does not open: .*not a database"):
        searched(desk.settings, ["sample:A/USDT"])
