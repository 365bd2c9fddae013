"""A small market in a store, and the local exchange that replays it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
import pytest

from tests.shared import made_once
from trading_assets import features, models
from trading_assets.core.timeframes import Timeframe
from trading_assets.models.inputs import usable_names
from trading_assets.registry.deployment import DeployedModel, deploy
from trading_assets.settings import (
    LabelSettings,
    LightGBMSettings,
    ModelSettings,
    Settings,
    WalkForwardSettings,
    load_settings,
)
from trading_assets.settings.sections.exits import ExitSettings
from trading_assets.sql import build_bars, load_models
from trading_assets.store import Store, open_store
from trading_assets.store.tables import CANDLES, LABELS
from trading_assets.strategies.signals import Stream

M15 = Timeframe.parse("15m")

MARKET = "sample:SYNA/USDT:USDT"
OTHER = "sample:NOISE/USDT:USDT"
STREAM, OTHER_STREAM = Stream(MARKET, "15m"), Stream(OTHER, "15m")
START = datetime(2025, 5, 20, tzinfo=UTC)
"""Where replays begin; the stored history goes back 40 days and ahead 2."""


def random_walk(market: str, *, seed: int, days_before: int = 40, days_after: int = 2) -> pl.DataFrame:
    """One-minute candles around START with a few missing minutes; prices have 2 decimals, volumes 3."""
    rng = np.random.default_rng(seed)
    begin, end = START - timedelta(days=days_before), START + timedelta(days=days_after)
    ts = pl.datetime_range(begin, end, "1m", closed="left", time_unit="us", time_zone="UTC", eager=True)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, 8e-4, len(ts)))), 2)
    opened = np.concatenate([[100.0], close[:-1]])
    spread = np.round(np.abs(rng.normal(0, 0.03, len(ts))), 2)
    frame = pl.DataFrame(
        {
            "market": [market] * len(ts),
            "timeframe": ["1m"] * len(ts),
            "ts": ts,
            "open": opened,
            "high": np.round(np.maximum(opened, close) + spread, 2),
            "low": np.round(np.minimum(opened, close) - spread, 2),
            "close": close,
            "volume": np.round(rng.gamma(2.0, 40.0, len(ts)), 3),
        },
        schema=CANDLES.columns,
    )
    lost = set(rng.choice(len(ts), 60, replace=False).tolist())
    return frame.filter(~pl.Series(range(len(ts))).is_in(sorted(lost)))


@pytest.fixture(scope="session")
def live_store_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store file with the candles of two markets: each worker's own copy of what is made once."""

    made = made_once(tmp_path_factory, "live", store_markets)
    return Path(shutil.copy(made / "market.duckdb", tmp_path_factory.mktemp("live")))


def store_markets(folder: Path) -> None:
    """Write ``market.duckdb`` with the candles of both markets into a folder."""
    store = open_store(f"duckdb:///{folder / 'market.duckdb'}")
    store.upsert(CANDLES, pl.concat([random_walk(MARKET, seed=1), random_walk(OTHER, seed=2)]))


@pytest.fixture
def live_store(live_store_file: Path) -> Store:
    """The store of ``live_store_file``."""
    return open_store(f"duckdb:///{live_store_file}")


@pytest.fixture
def live_settings(tmp_path: Path, live_store_file: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with the two markets' store and a data folder of their own, also for child processes."""
    monkeypatch.setenv("TRADING_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TRADING_STORE__URL", f"duckdb:///{live_store_file}")
    monkeypatch.setenv("TRADING_REPLAY__PORT", "0")
    return load_settings()


def bars_of(store_file: Path, market: str, timeframe: str = "15m") -> pl.DataFrame:
    """All bars of a timeframe of a market."""
    store = open_store(f"duckdb:///{store_file}")
    begin, end = START - timedelta(days=40), START + timedelta(days=2)
    return build_bars(store, load_models()[f"bars_{timeframe}"], market=market, timeframe="1m", start=begin, end=end)


@pytest.fixture(scope="session")
def decision_bars(live_store_file: Path) -> pl.DataFrame:
    """All 15-minute bars of MARKET."""
    return bars_of(live_store_file, MARKET)


@pytest.fixture(scope="session")
def decision_rows(decision_bars: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """The features of all 15-minute bars of MARKET."""

    def make(folder: Path) -> None:
        features.compute(decision_bars, timeframe=M15).write_parquet(folder / "rows.parquet")

    return pl.read_parquet(made_once(tmp_path_factory, "live-features", make) / "rows.parquet")


@pytest.fixture(scope="session")
def dataset(decision_rows: pl.DataFrame) -> models.Dataset:
    """Real features of MARKET with labels that mean nothing."""
    return dataset_of(decision_rows)


def dataset_of(rows: pl.DataFrame) -> models.Dataset:
    """Feature rows with labels that mean nothing."""
    return models.join(rows, meaningless(rows), names=usable_names(timeframe=M15), fingerprint=features.fingerprint())


def meaningless(rows: pl.DataFrame) -> pl.DataFrame:
    """Labels of feature rows by the throw of a coin."""
    rng = np.random.default_rng(3)
    won = rng.random(rows.height) < 0.4
    return rows.select(
        "market",
        "ts",
        "known_at",
        label_set=pl.lit("default"),
        timeframe=pl.lit("15m"),
        label_end=pl.col("known_at") + pl.duration(hours=2),
        side=pl.lit(1, pl.Int8),
        entry_price=pl.lit(100.0),
        take_profit=pl.lit(0.02),
        stop_loss=pl.lit(0.01),
        barrier=pl.Series(np.where(won, "take_profit", "stop_loss")),
        bars_to_hit=pl.lit(8, dtype=pl.Int32),
        **{"return": pl.Series(np.where(won, 0.02, -0.01))},
        label=pl.Series(np.where(won, 1, -1), dtype=pl.Int8),
        ambiguous=pl.lit(value=False),
        resolution=pl.lit("1m"),
        missing_candles=pl.lit(0, pl.Int32),
    ).select(*LABELS.columns)


class MakeBundle(Protocol):
    """Writes a bundle of MARKET into a data folder."""

    def __call__(
        self,
        bundles_dir: Path,
        *,
        threshold: float = 0.0,
        labels: LabelSettings | None = None,
        exit_plan: ExitSettings | None = None,
    ) -> models.Bundle: ...


@pytest.fixture(scope="session")
def make_bundle(dataset: models.Dataset) -> MakeBundle:
    """Train and write a small model; with the default threshold it wants to trade on every bar."""
    return bundle_maker(dataset)


def bundle_maker(dataset: models.Dataset) -> MakeBundle:
    """Train a small model of a data set once, to be written anywhere."""
    windows = WalkForwardSettings(train_days=10, purge_days=1, embargo_days=1, test_days=5)
    learner = LightGBMSettings(num_boost_round=5, num_leaves=15, min_data_in_leaf=20, lambda_l2=5)
    spec = ModelSettings(markets=[MARKET], estimator=learner, walk_forward=windows, min_edge_bps=-1e6)
    trained = models.train(dataset, spec)

    def make(
        bundles_dir: Path,
        *,
        threshold: float = 0.0,
        labels: LabelSettings | None = None,
        exit_plan: ExitSettings | None = None,
    ) -> models.Bundle:
        return models.write(
            bundles_dir,
            model="syna",
            trained=trained,
            dataset=dataset,
            spec=spec.model_copy(update={"threshold": threshold, "exit_plan": exit_plan}),
            labels=labels or LabelSettings(take_profit_pct=0.8, stop_loss_pct=0.4, horizon_bars=4),
            metrics={},
        )

    return make


def put_live(settings: Settings, bundle: models.Bundle, version: int = 1) -> DeployedModel:
    """Deploy a bundle for the node of ``settings``."""
    deployed = DeployedModel(
        model=bundle.model,
        version=version,
        bundle=str(bundle.folder.relative_to(settings.data_dir)),
        bundle_hash=bundle.bundle_hash,
        markets=bundle.markets,
        deployed_at=datetime.now(UTC),
    )
    deploy(settings.live_dir, deployed)
    return deployed


def rewrite_model(bundle: models.Bundle, change: Callable[[str], str]) -> models.Bundle:
    """Change a bundle's model and its hashes with it: what a fault in training, not on the disk, would leave."""
    name = "long/model.txt"
    file, index_file = bundle.folder / name, bundle.folder / "bundle.json"
    file.write_text(change(file.read_text()))
    index = json.loads(index_file.read_text())
    index["sha256"][name] = hashlib.sha256(file.read_bytes()).hexdigest()
    lines = "".join(f"{digest}  {file}\n" for file, digest in sorted(index["sha256"].items()))
    index["bundle_hash"] = hashlib.sha256(lines.encode()).hexdigest()
    index_file.write_text(json.dumps(index))
    return models.load(bundle.folder)
