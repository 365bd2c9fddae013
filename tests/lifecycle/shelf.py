"""Registered versions of a model with records of daily returns, as backtests leave them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
import polars as pl

from trading_assets.backtest.approval import conditions
from trading_assets.core.sides import Side
from trading_assets.features import fingerprint
from trading_assets.models import Bundle, Dataset, certificates, join, train, write
from trading_assets.models.certificates import Certificate, Compared
from trading_assets.models.training import TrainedModel
from trading_assets.registry import Cause, ModelVersion, Registry
from trading_assets.settings import LabelSettings, LightGBMSettings, ModelSettings, Settings, WalkForwardSettings
from trading_assets.store import Store
from trading_assets.store.tables import BACKTEST_METRICS, TRIAL_RETURNS

MODEL, MARKET = "syna", "sample:SYNA/USDT:USDT"
SPEC = ModelSettings(
    markets=[MARKET],
    walk_forward=WalkForwardSettings(train_days=10),
    estimator=LightGBMSettings(num_boost_round=3),
    sides=[Side.LONG],
)
DAYS, BEGIN = 120, datetime(2025, 3, 1, tzinfo=UTC)


def learnt(frames: tuple[pl.DataFrame, pl.DataFrame]) -> tuple[Dataset, TrainedModel]:
    """A data set of this code's fingerprint, and a model of it."""
    data = join(*frames, names=["f0", "f1"], fingerprint=fingerprint(["f0", "f1"]))
    return data, train(data, SPEC)


def record(edge: float, seed: int, days: int = DAYS) -> np.ndarray:
    """Daily returns of a strategy of a common market that earns ``edge`` standard deviations a day."""
    market = np.random.default_rng(1).normal(size=days)
    return np.asarray(0.01 * (0.7 * market + 0.7 * np.random.default_rng(seed).normal(size=days) + edge))


@dataclass
class Shelf:
    """A registry and a store, and approved versions to put there."""

    settings: Settings
    store: Store
    learnt: tuple[Dataset, TrainedModel]

    @cached_property
    def registry(self) -> Registry:
        return Registry(self.settings)

    def bundle(self, number: float) -> Bundle:
        data, trained = self.learnt
        made = write(
            self.settings.bundles_dir,
            model=MODEL,
            trained=trained,
            dataset=data,
            spec=SPEC,
            labels=LabelSettings(),
            metrics={"oos_auc": number},
            run_id="dagster-1",
        )
        bars = Compared(bars=100, first=BEGIN, last=BEGIN)
        certificate = Certificate(
            bundle_hash=made.bundle_hash, markets={MARKET: bars}, columns=5, divergence=None, made_at=BEGIN
        )
        certificates.write(made, certificate)
        return made

    def approve(
        self, edge: float = 0.0, *, begin: datetime = BEGIN, days: int = DAYS, under: str | None = None, seed: int = 0
    ) -> int:
        """A version that passed its gates, with the record of its backtest."""
        number = self.registry.register(self.bundle(0.5 + len(self.registry.list(MODEL)) / 100), MODEL)
        self.registry.note_conditions(MODEL, number, conditions(self.settings) if under is None else under)
        self.registry.set_status(MODEL, number, "approved", Cause("test"))
        returns = record(edge, seed or number, days)
        ts = pl.Series([begin + timedelta(days=day) for day in range(days)], dtype=TRIAL_RETURNS.columns["ts"])
        rows = pl.DataFrame({"ts": ts, "return": returns}).with_columns(
            model=pl.lit(MODEL), version=pl.lit(number, pl.Int32), markets=pl.lit(MARKET)
        )
        self.store.upsert(TRIAL_RETURNS, rows.select(*TRIAL_RETURNS.columns))
        metrics = pl.DataFrame([(MODEL, number, "sharpe", 1.0 + number)], schema=BACKTEST_METRICS.columns, orient="row")
        self.store.upsert(BACKTEST_METRICS, metrics)
        self.registry.write_to(self.store)
        return number

    def get(self, version: int) -> ModelVersion:
        return self.registry.get(MODEL, version)

    def statuses(self) -> list[str]:
        return [known.status for known in self.registry.list(MODEL)]
