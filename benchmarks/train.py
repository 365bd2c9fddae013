"""Training: a walk-forward over a year of 15-minute bars of eight markets, beside LightGBM as it comes.

In the clock is what the asset `walk_forward` calls on its data set: six folds of splitting, training, predicting,
scoring and explaining. Features, labels and their join are made before; benchmarks of their own time them.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import polars as pl

from benchmarks.peers import lightgbm_alone, one_fold
from benchmarks.table import Measurement, Target, best_of, main
from benchmarks.walk import walk
from trading_assets import features, models
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import lookback_bars
from trading_assets.labels import triple_barrier
from trading_assets.models import parity
from trading_assets.models.inputs import usable_names
from trading_assets.settings import LabelSettings, ModelSettings
from trading_assets.settings.sections.estimators import LightGBMSettings
from trading_assets.validation import WalkForward

M15 = Timeframe.parse("15m")
LOOKBACK_BARS = lookback_bars(M15)

YEAR = 365 * 96
MARKETS = tuple(f"sample:WALK{number}/USDT" for number in range(8))
SPEC = ModelSettings(markets=list(MARKETS))
CERTIFIED = 1_000


def run() -> list[Measurement]:
    """Time six folds, and the certificate of a thousand bars."""
    bars = {market: year_of(market, seed) for seed, market in enumerate(MARKETS)}
    rows = {market: features.compute(frame, timeframe=M15) for market, frame in bars.items()}
    data = labelled(bars, rows)
    folds = WalkForward(SPEC.walk_forward).split(data.frame["known_at"], data.frame["label_end"])
    trained_on = sum(len(fold.train) for fold in folds)
    seconds = best_of(lambda: models.walk_forward(data, SPEC, explained=True), repeat=1)
    library, peer = lightgbm_alone(LightGBMSettings())  # what SPEC has, as its own type
    plain = best_of(lambda: one_fold(peer, data, folds[0]), repeat=1) * len(folds)
    name = f"walk-forward: {len(folds)} folds, {len(MARKETS)} markets, {len(data.features)} features"
    return [
        Measurement(name, seconds, trained_on, f"{library}, from one fold", plain, Target(max_seconds=60)),
        _certificate(data, bars[MARKETS[0]], rows[MARKETS[0]]),
    ]


def year_of(market: str, seed: int) -> pl.DataFrame:
    """Made-up bars of a market, with those before them that features look back on."""
    bars = walk(YEAR + LOOKBACK_BARS - 1, seed=seed, scale=2e-3)
    return bars.with_columns(market=pl.lit(market))


def labelled(
    bars: dict[str, pl.DataFrame], rows: dict[str, pl.DataFrame], names: list[str] | None = None
) -> models.Dataset:
    """Feature rows of the markets with their outcomes; all features where none are named."""
    labels = [
        triple_barrier(frame, frame, candle_timeframe="15m", settings=LabelSettings(), until=frame["known_at"][-1])
        for frame in bars.values()
    ]
    table = pl.concat(rows.values())
    return models.join(
        table, pl.concat(labels), names=names or usable_names(timeframe=M15), fingerprint=features.fingerprint()
    )


def _certificate(data: models.Dataset, bars: pl.DataFrame, rows: pl.DataFrame) -> Measurement:
    """Time the parity certificate of a model of one market."""
    spec = SPEC.model_copy(update={"markets": [MARKETS[0]]})
    own = replace(data, frame=data.frame.filter(pl.col("market") == MARKETS[0]))
    with tempfile.TemporaryDirectory() as folder:
        bundle = models.write(
            Path(folder),
            model="walk",
            trained=models.train(own, spec),
            dataset=own,
            spec=spec,
            labels=LabelSettings(),
            metrics={},
        )
        newest = rows.tail(CERTIFIED)
        held = bars.tail(CERTIFIED + LOOKBACK_BARS - 1)
        if (found := parity.certify(bundle, newest, held).divergence) is not None:
            raise SystemExit(str(found))
        seconds = best_of(lambda: parity.certify(bundle, newest, held), repeat=1)
    return Measurement(f"parity certificate: {CERTIFIED:,} bars of one market", seconds, CERTIFIED)


if __name__ == "__main__":
    main(run, __doc__, title="Training")
