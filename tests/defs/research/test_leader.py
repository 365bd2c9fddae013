"""Features that read a leader's bars: there whatever the order of the markets, or refused, never silently null."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from tests.defs.small import Location, tables
from trading_assets.core.errors import MissingCandles, ModelError
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import feature_names, required_companions, select
from trading_assets.models import dataset
from trading_assets.settings import Settings
from trading_assets.store import Store, open_store
from trading_assets.store.tables import BARS, FEATURES

M15 = Timeframe.parse("15m")

FOLLOWER, LEADER = "sample:SYNA/USDT:USDT", "sample:SYNB/USDT:USDT"
LED = [name for name in feature_names(M15) if "leader" in required_companions([name])]


@pytest.fixture(scope="module")
def location() -> Location:
    return Location(Path(__file__).with_name("led.yaml"))


@pytest.fixture(scope="module")
def at_once(location: Location, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = location.settings(tmp_path_factory.mktemp("at_once"))
    results = list(location.launch.materialize_markets(settings))
    assert [result.subject for result in results] == [LEADER, FOLLOWER]
    return settings


def features_of(settings: Settings, market: str) -> pl.DataFrame:
    return open_store(settings.store_url).read(FEATURES, where={"market": market})


def test_a_leader_listed_after_its_follower_is_there_when_the_follower_is_computed(at_once: Settings) -> None:
    led = features_of(at_once, FOLLOWER).select(LED)
    assert led.null_count().sum_horizontal().item() == 0
    assert features_of(at_once, LEADER).select(LED).drop_nulls().is_empty(), "it does not lead itself"


def copy_of(at_once: Settings, location: Location, folder: Path) -> Settings:
    shutil.copy(at_once.data_dir / "market.duckdb", folder / "market.duckdb")
    return location.settings(folder)


def test_features_without_the_leaders_bars_are_refused_and_with_some_of_them_said(
    location: Location, at_once: Settings, tmp_path: Path
) -> None:
    settings = copy_of(at_once, location, tmp_path)
    store, write = open_store(settings.store_url), location.module("research.features").write_features
    months = [f"{FOLLOWER}|2025-0{month}" for month in (1, 2)]
    (window,) = location.module("lib.partitions").windows(months, settings)
    bars, where = store.read(BARS["15m"], where={"market": LEADER}), {"market": LEADER}
    store.replace(BARS["15m"], bars[: 18 * 96], where=where)
    _, share = write(store, window, settings)
    assert share == pytest.approx(0.5, abs=0.004), "of 36 days"
    store.replace(BARS["15m"], bars[:0], where=where)
    with pytest.raises(MissingCandles) as refused:
        write(store, window, settings)
    assert str(refused.value) == (
        f"{FOLLOWER}: its leader {LEADER} has no bars from 2025-01-15 to 2025-02-19; "
        f"run trading backfill --market {LEADER} for these months first"
    )


def test_a_run_of_the_leader_alone_brings_the_features_that_read_it_up_to_date(
    location: Location, at_once: Settings, tmp_path: Path
) -> None:
    settings = copy_of(at_once, location, tmp_path)
    store = open_store(settings.store_url)
    rows = store.read(FEATURES, where={"market": FOLLOWER})
    store.replace(FEATURES, rows.with_columns(pl.col(LED) * 2), where={"market": FOLLOWER})
    results = list(location.launch.materialize_markets(settings, [LEADER], "2025-02", "2025-02"))
    assert [(one.subject, one.job) for one in results] == [(LEADER, "market_data"), (FOLLOWER, "recompute_features")]
    for name, frame in tables(store, FOLLOWER).items():
        assert frame.equals(tables(open_store(at_once.store_url), FOLLOWER)[name]), name


def test_in_the_graph_a_followers_features_depend_on_its_leaders_bars_too(location: Location) -> None:
    graph = location.defs.resolve_asset_graph()
    months = location.partitions.market_months
    key = location.module("lib.partitions").partition_key(FOLLOWER, "2025-02")
    mapping = graph.get_partition_mapping(dg.AssetKey("features"), dg.AssetKey("bars_15m"))
    found = mapping.get_upstream_mapped_partitions_result_for_partitions(
        months.subset_with_partition_keys([key]),
        months,
        months,
    ).partitions_subset.get_partition_keys()
    assert {str(one).split("|")[0] for one in found} == {FOLLOWER, LEADER}


def test_features_that_read_bars_alone_wait_for_no_leader_and_no_funding(location: Location, tmp_path: Path) -> None:
    settings = location.settings(tmp_path)
    few = {"features": ["momentum"], "companions": [], "markets": list(settings.markets)}
    models = {name: model.model_copy(update=few) for name, model in settings.models.items()}
    settings = settings.model_copy(update={"models": models})
    (spec,) = location.module("research.features").features_asset(settings).specs
    assert {dep.asset_key.to_user_string() for dep in spec.deps} == {"bars_15m"}
    (dep,) = spec.deps
    assert dep.partition_mapping == location.module("lib.partitions").look_back(
        select(["momentum"], M15).lookback, markets=settings.markets
    )


def test_a_model_is_not_trained_without_what_it_asks_for(at_once: Settings) -> None:
    store = open_store(at_once.store_url)
    full = dataset.build(store, [FOLLOWER, LEADER], companions=["leader"], leader=LEADER, timeframe=M15)
    assert set(LED) <= set(full.features)
    assert full.missing == ()
    with pytest.raises(ModelError, match=rf"{FOLLOWER}: funding is among the model's companions, and none is stored"):
        dataset.build(
            _without(store, ("funding_rate", "funding_change_1d")), [FOLLOWER], companions=["funding"], timeframe=M15
        )


def test_what_is_partly_missing_is_said_with_how_much(at_once: Settings) -> None:
    store = open_store(at_once.store_url)
    rows = store.read(FEATURES, where={"market": FOLLOWER})
    late = datetime(2025, 2, 12, tzinfo=UTC)
    data = dataset.build(_without(store, LED, late), [FOLLOWER], companions=["leader"], leader=LEADER, timeframe=M15)
    (partly,) = data.missing
    share = (rows["ts"] < late).mean()
    assert str(partly) == f"{FOLLOWER}: leader is missing in {share:.1%} of the rows"


class _Without:
    """A store whose features lack some columns, or their values before a moment."""

    def __init__(self, store: Store, names: Any, before: datetime) -> None:
        self._store, self._names, self._before = store, list(names), before

    def read(self, table: Any, **options: Any) -> pl.DataFrame:
        frame = self._store.read(table, **options)
        gone = pl.when(pl.col("ts") >= self._before).then(pl.col(self._names)) if table is FEATURES else None
        return frame if gone is None else frame.with_columns(gone)


def _without(store: Store, names: Any, before: datetime = datetime(2100, 1, 1, tzinfo=UTC)) -> Any:
    return _Without(store, names, before)
