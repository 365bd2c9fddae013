"""The champion as it is, on days after its training, against a candidate that was trained again since."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.defs.small import LENIENT, Location, Undisturbed, copy_of
from trading_assets import lifecycle
from trading_assets.backtest.judging import judge_candidate
from trading_assets.lifecycle.records import returns_since_training, walk_forward_returns
from trading_assets.models import bundle, certificates, dataset, folds, training
from trading_assets.models.certificates import Certificate, Compared
from trading_assets.registry import Cause, Registry, read_manifest
from trading_assets.settings import Settings, WalkForwardSettings
from trading_assets.store import Store, open_store
from trading_assets.store.tables import FOLDS, PREDICTIONS

MODEL, EARLIER = "syna", datetime(2025, 3, 5, tzinfo=UTC)


def retrain(settings: Settings, store: Store, until: datetime | None) -> int:
    """What the job `retrain` does, with what was known at a time; gates and certificate taken as passed."""
    spec = settings.models[MODEL]
    data = dataset.build(store, spec.markets, timeframe=settings.timeframe_of(MODEL), until=until)
    walked, trained = folds.walk_forward(data, spec), training.train(data, spec)
    for table, frame in ((PREDICTIONS, walked.predictions), (FOLDS, walked.folds)):
        store.replace(table, frame.with_columns(model=pl.lit(MODEL)), where={"model": MODEL})
    made = bundle.write(
        settings.bundles_dir,
        model=MODEL,
        trained=trained,
        dataset=data,
        spec=spec,
        labels=settings.labels_of(MODEL),
        metrics={},
        run_id="a run",
    )
    bars = {market: Compared(bars=1, first=EARLIER, last=EARLIER) for market in spec.markets}
    certificates.write(
        made, Certificate(bundle_hash=made.bundle_hash, markets=bars, columns=1, divergence=None, made_at=EARLIER)
    )
    version = Registry(settings).register(made, MODEL)
    judge_candidate(settings, store, MODEL, version)
    Registry(settings).set_status(MODEL, version, "approved")
    return version


def test_a_model_trained_again_is_compared_with_the_champion_as_it_is_now(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    settings = copy_of(undisturbed, location, tmp_path, gates=LENIENT, promotion={"min_common_days": 10})
    short = WalkForwardSettings(train_days=14, purge_days=1, embargo_days=1, test_days=5)
    spec = settings.models[MODEL].model_copy(update={"walk_forward": short})
    settings = settings.model_copy(update={"models": {**settings.models, MODEL: spec}})
    store = open_store(settings.store_url)
    cause = Cause("test")
    first = retrain(settings, store, EARLIER)
    assert lifecycle.promote(settings, store, MODEL, first, cause).is_deployed
    second = retrain(settings, store, None)
    champion = Registry(settings).get(MODEL, first)

    kept, anew = walk_forward_returns(store, MODEL, first), walk_forward_returns(store, MODEL, second)
    same = kept.join(anew, on="ts", suffix="_anew").filter(pl.col("ts") < champion.train_end - timedelta(days=10))
    assert same["return"].to_list() == pytest.approx(same["return_anew"].to_list()), (
        "windows that had ended say nothing"
    )

    newer = returns_since_training(store, settings, champion, after=kept["ts"].max())  # type: ignore[arg-type]
    assert newer["ts"].min() >= champion.train_end + timedelta(days=1)  # type: ignore[operator]
    assert newer["ts"].min() > kept["ts"].max()  # type: ignore[operator]
    assert newer["ts"].to_list() == [day for day in anew["ts"] if day >= newer["ts"].min()]

    outcome = lifecycle.promote(settings, store, MODEL, second, cause)
    comparison = outcome.comparison
    assert comparison is not None
    assert comparison.since_training == newer.height >= 10
    common = pl.concat([kept, newer])["ts"].is_in(anew["ts"].implode()).sum()
    assert (comparison.days, comparison.last) == (common, anew["ts"].max())
    assert comparison.found["mean_return"].second == pytest.approx(
        anew.join(pl.concat([kept, newer]), on="ts", suffix="_champion")["return_champion"].mean()
    )
    assert outcome.is_deployed == comparison.is_better
    assert outcome.trades == read_manifest(settings.live_dir).models[MODEL].version

    dearer = settings.trading.costs.model_copy(update={"taker_fee_bps": 20.0})
    elsewhere = settings.model_copy(update={"trading": settings.trading.model_copy(update={"costs": dearer})})
    compared = lifecycle.compare_with_champion(elsewhere, store, champion, Registry(settings).get(MODEL, second))
    assert compared.since_training == 0, "days of other costs are not mixed"
    assert any("traded under other costs than today's" in note for note in compared.notes)
