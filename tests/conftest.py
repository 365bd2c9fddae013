"""Small real things that many tests need."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Protocol

import hypothesis
import numpy as np
import polars as pl
import pytest

from tests.examples import LOOP, SUITE
from tests.stores import fresh_store
from trading_assets.settings import Settings, load_settings
from trading_assets.store import Store
from trading_assets.store.tables import LABELS

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a third of collection, and a part of each process that a test starts
sys.dont_write_bytecode = False
gc.disable()  # until all is imported: nothing of it becomes garbage, and looking through it is a third of collection

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


PROCESSES = ("cli", "defs", "docs", "faults", "live", "placebo", "plugins", "registry", "research", "store")
"""Folders whose tests start nodes, servers or Dagster runs: `make check` leaves them out."""


@pytest.fixture(autouse=True)
def environment_of_before() -> Iterator[None]:
    """What a command carries to its children by the environment ends with the test."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update({name: value for name, value in before.items() if os.environ.get(name) != value})


def _in_the_loop(config: pytest.Config) -> bool:
    return bool(config.option.markexpr == "not slow")


def pytest_configure(config: pytest.Config) -> None:
    """Try properties on fewer examples in `make check`."""
    hypothesis.settings.load_profile(LOOP if _in_the_loop(config) else SUITE)


def pytest_collection_finish() -> None:
    """Collect garbage from here on, among what the tests make: to look through all that was imported is dear.

    At the end everything is let go, in order; after pytest's own collections.
    """
    gc.freeze()
    gc.enable()
    atexit.register(gc.unfreeze)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Spare `make check` the imports of what it leaves out."""
    folders = collection_path.relative_to(Path(__file__).parent).parts
    return True if _in_the_loop(config) and folders and folders[0] in PROCESSES else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts processes as slow, and let each worker begin with its share of the longest tests.

    Those of a module go to one worker: what they share is made once, and the soak's worlds, which mostly wait, go on
    beside what the other workers compute.
    """
    folder = Path(__file__).parent
    longest = [item for item in items if item.get_closest_marker("slow")]
    for item in items:
        if item.path.relative_to(folder).parts[0] in PROCESSES:
            item.add_marker("slow")
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for module in sorted((list(group) for _, group in groupby(longest, lambda item: item.path)), key=len, reverse=True):
        min(shares, key=len).extend(module)
    others = [item for item in items if item not in longest]
    block = len(items) // workers
    ordered: list[pytest.Item] = []
    for worker, share in enumerate(shares):
        taken = max(block - len(share), 0) if worker < workers - 1 else len(others)
        ordered += [*share, *others[:taken]]
        others = others[taken:]
    items[:] = ordered


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The project's own settings with everything a run writes in a temporary folder."""
    return load_settings(data_dir=tmp_path / "data")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty embedded store in a temporary folder; its file is kept open, as in a run of Dagster's."""
    store = fresh_store(tmp_path)
    with store.kept_open():
        yield store


@pytest.fixture(scope="session")
def real_candles() -> Path:
    """The folder of recorded Binance candles that may lie beside the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no recorded candles at {SHARED_DATA.name}: they are not part of the project")
    return SHARED_DATA


class PlantedFrames(Protocol):
    """Makes frames of the tables ``features`` and ``labels``."""

    def __call__(
        self, *, days: float = 60, edge: float = 1.0, seed: int = 1, markets: tuple[str, ...] = ("sample:A/USDT",)
    ) -> tuple[pl.DataFrame, pl.DataFrame]: ...


@pytest.fixture(scope="session")
def planted() -> PlantedFrames:
    """Features ``f0`` to ``f5`` and labels of 15-minute bars; ``f0`` and ``f1`` move the odds by ``edge``."""

    def make(
        *, days: float = 60, edge: float = 1.0, seed: int = 1, markets: tuple[str, ...] = ("sample:A/USDT",)
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        features, labels = [], []
        rng = np.random.default_rng(seed)
        for market in markets:
            rows = int(days * 96)
            values = rng.normal(size=(rows, 6))
            hit = rng.random(rows) < 1 / (1 + np.exp(0.7 - edge * values[:, 0] * np.sign(values[:, 1])))
            start, bar = datetime(2025, 1, 1, tzinfo=UTC), timedelta(minutes=15)
            ts = pl.datetime_range(start, start + rows * bar, bar, closed="left", time_unit="us", eager=True)
            key = pl.DataFrame({"ts": ts}).select(
                market=pl.lit(market), timeframe=pl.lit("15m"), ts="ts", known_at=pl.col("ts") + bar
            )
            features.append(key.with_columns(**{f"f{i}": values[:, i] for i in range(6)}))
            bars = np.where(hit, rng.integers(1, 25, rows), rng.integers(1, 13, rows))
            labels.append(
                key.with_columns(
                    label_set=pl.lit("default"),
                    label_end=pl.col("known_at") + pl.duration(minutes=pl.Series(15 * bars)),
                    side=pl.lit(1, pl.Int8),
                    entry_price=pl.lit(100.0),
                    take_profit=pl.lit(0.02),
                    stop_loss=pl.lit(0.01),
                    barrier=pl.Series(np.where(hit, "take_profit", "stop_loss")),
                    bars_to_hit=pl.Series(bars, dtype=pl.Int32),
                    **{"return": pl.Series(np.where(hit, 0.02, -0.01))},
                    label=pl.Series(np.where(hit, 1, -1), dtype=pl.Int8),
                    ambiguous=pl.lit(value=False),
                    resolution=pl.lit("15m"),
                    missing_candles=pl.lit(0, pl.Int32),
                ).select(*LABELS.columns)
            )
        return pl.concat(features), pl.concat(labels)

    return make
