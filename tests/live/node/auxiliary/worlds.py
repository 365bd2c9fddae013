"""Small models that read auxiliary series."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tests.live.conftest import MARKET, START, meaningless
from trading_assets import features, models
from trading_assets.core.timeframes import Timeframe
from trading_assets.features.framework.stored_series import read_companions
from trading_assets.features.proofs.proving import made_up_companions
from trading_assets.models import certificates, parity
from trading_assets.models.inputs import usable_names
from trading_assets.settings import LabelSettings, LightGBMSettings, ModelSettings, WalkForwardSettings
from trading_assets.settings.sections.exits import ExitSettings
from trading_assets.store import Store
from trading_assets.store.tables import BARS, FEATURES

M5 = Timeframe.parse("5m")
CERTIFIED = 20


def bundle_of(
    folder: Path, store: Store, bars: pl.DataFrame, series: list[str], exit_plan: ExitSettings | None = None
) -> models.Bundle:
    """A model that learnt from some series, which meant nothing; certified on what is stored of them.

    Parameters
    ----------
    bars
        Of five minutes.
    """
    names = [name for name in usable_names(series, timeframe=M5) if features.required_companions([name])]
    past = bars.filter(pl.col("known_at") <= START).tail(4_000)
    learnt = features.compute(past, made_up_companions(past, M5), timeframe=M5, features=names)
    data = models.join(learnt, meaningless(learnt), names=names, fingerprint=features.fingerprint())
    spec = ModelSettings(
        markets=[MARKET],
        companions=series,
        exit_plan=exit_plan,
        min_edge_bps=-1e6,
        walk_forward=WalkForwardSettings(train_days=5, purge_days=1, embargo_days=1, test_days=3),
        estimator=LightGBMSettings(num_boost_round=5, num_leaves=15, min_data_in_leaf=20, lambda_l2=5),
    )
    bundle = models.write(
        folder,
        model="beside",
        trained=models.train(data, spec),
        dataset=data,
        spec=spec,
        labels=LabelSettings(timeframe="5m", take_profit_pct=0.8, stop_loss_pct=0.4, horizon_bars=4),
        metrics={},
    )
    store.upsert(BARS["5m"], past)
    known = read_companions(store, MARKET, timeframe=M5, names=series, start=past["ts"][0], end=past["known_at"][-1])
    rows = features.compute(past, known, timeframe=M5).tail(CERTIFIED)
    store.upsert(FEATURES, rows.with_columns(timeframe=pl.lit("5m")))
    certificates.write(bundle, parity.certify_stored(bundle, store, bars=CERTIFIED))
    return bundle
