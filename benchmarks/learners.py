"""A walk-forward by each estimator: eight markets, a year of 15-minute bars, six folds, beside its library as it comes.

In the clock is what the asset `walk_forward` calls on its data set. A peer is the library's own scikit-learn class with
the same parameters, given the same frame, as FreqAI does: one fold of it, times their number. An estimator that looks
back over rows is measured by `python -m benchmarks lstm`.
"""

from __future__ import annotations

import time
from typing import Final

from benchmarks.peers import PEERS, one_fold
from benchmarks.table import Measurement, Target, best_of, main
from benchmarks.train import M15, MARKETS, SPEC, labelled, year_of
from trading_assets import features
from trading_assets.models import folds
from trading_assets.models.estimators import installed
from trading_assets.models.inputs import usable_names
from trading_assets.validation import WalkForward

FAMILIES: Final = ("momentum", "trend", "volatility")
TARGETS: Final = {"lightgbm": 60.0, "xgboost": 90.0, "ensemble": 180.0, "stacked": 180.0}
"""Seconds on two idle cores."""


def run() -> list[Measurement]:
    """Time six folds of each estimator that can be trained here."""
    names = usable_names(timeframe=M15, chosen=FAMILIES)
    bars = {market: year_of(market, seed) for seed, market in enumerate(MARKETS)}
    rows = {market: features.compute(one, timeframe=M15, features=FAMILIES) for market, one in bars.items()}
    data = labelled(bars, rows, names)
    split = WalkForward(SPEC.walk_forward).split(data.frame["known_at"], data.frame["label_end"])
    trained_on = sum(len(fold.train) for fold in split)
    measured = []
    for kind, estimator in installed().items():
        parameters = estimator.parameters()
        if estimator.lookback_rows(parameters) > 1:
            continue
        spec = SPEC.model_copy(update={"estimator": parameters, "features": list(FAMILIES)})
        begin = time.perf_counter()
        folds.walk_forward(data, spec)
        seconds = time.perf_counter() - begin
        name = f"{kind}: {len(split)} folds, {len(MARKETS)} markets, {len(names)} features"
        target = Target(max_seconds=TARGETS[kind]) if kind in TARGETS else None
        peer = PEERS.get(kind)
        if peer is None:
            measured.append(Measurement(name, seconds, trained_on, target=target))
            continue
        library, model = peer(parameters)
        plain = best_of(lambda chosen=model: one_fold(chosen, data, split[0]), repeat=1) * len(split)  # type: ignore[misc]
        measured.append(Measurement(name, seconds, trained_on, f"{library}, from one fold", plain, target))
    return measured


if __name__ == "__main__":
    main(run, __doc__, title="Learners")
