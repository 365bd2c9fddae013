"""A model of both sides in the node: one answer a bar, of the better side, and none where both promise the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from tests.live.conftest import MARKET, STREAM, put_live
from tests.live.node.test_parts import closed_bars
from trading_assets import features, models
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.models import parity
from trading_assets.models.decision import Question, decide, decide_together
from trading_assets.settings import LabelSettings, LightGBMSettings, ModelSettings, Settings, WalkForwardSettings
from trading_live.node.decisions.deployed_models import DeployedModels
from trading_live.node.decisions.signals import LiveSignals

M15 = Timeframe.parse("15m")
LOOKBACK_BARS = features.lookback_bars(M15)
WINDOWS = WalkForwardSettings(train_days=10, purge_days=1, embargo_days=1, test_days=5)
LABELS = LabelSettings(take_profit_pct=0.8, stop_loss_pct=0.4, horizon_bars=4)


def two_sided(dataset: models.Dataset, folder: Path, *seeds: int) -> models.Bundle:
    """A bundle whose long and short models were trained with these seeds."""
    specs = [
        ModelSettings(
            markets=[MARKET],
            estimator=LightGBMSettings(num_boost_round=5, num_leaves=15, min_data_in_leaf=20, seed=seed),
            walk_forward=WINDOWS,
            min_edge_bps=-1e6,
        )
        for seed in seeds
    ]
    long, short = (models.train(dataset, spec) for spec in specs)
    trained = replace(long, classifiers={Side.LONG: long.classifier, Side.SHORT: short.classifier})
    return models.write(
        folder, model="both", trained=trained, dataset=dataset, spec=specs[0], labels=LABELS, metrics={}
    )


def answers(
    settings: Settings, bundle: models.Bundle, decision_bars: pl.DataFrame, count: int
) -> list[tuple[Side, bool]]:
    """Side, and whether it is entered, of the newest bars."""
    shelf = DeployedModels(settings, lambda *_: None)
    put_live(settings, bundle)
    shelf.refresh()
    signals = LiveSignals({STREAM: LOOKBACK_BARS}, shelf, lambda *_: None, cost_bps=0.0)
    bars = closed_bars(decision_bars)
    signals.histories[STREAM].merge(bars[:LOOKBACK_BARS])
    said = [signals.on_bar(bar) for bar in bars[LOOKBACK_BARS : LOOKBACK_BARS + count]]
    assert all(said)
    return [(one.side, one.enters) for one in said if one is not None]


def test_the_node_answers_with_the_side_that_promises_more(
    settings: Settings, dataset: models.Dataset, decision_bars: pl.DataFrame
) -> None:
    bundle = two_sided(dataset, settings.bundles_dir, 7, 8)
    assert bundle.sides == (Side.LONG, Side.SHORT)
    said = answers(settings, bundle, decision_bars, 12)
    rows = features.compute(decision_bars.head(LOOKBACK_BARS + 12), timeframe=M15).tail(12)
    both = pl.DataFrame({"long": bundle.predict(rows, Side.LONG), "short": bundle.predict(rows, Side.SHORT)})
    for (side, enters), (long, short) in zip(said, both.iter_rows(), strict=True):
        if long == short:
            assert not enters
        else:
            assert (side, enters) == (Side.LONG if long > short else Side.SHORT, True)
    assert {side for side, _ in said} == set(Side)


def test_of_two_equal_sides_none_is_entered(
    settings: Settings, dataset: models.Dataset, decision_bars: pl.DataFrame
) -> None:
    said = answers(settings, two_sided(dataset, settings.bundles_dir, 7, 7), decision_bars, 3)
    assert [enters for _, enters in said] == [False] * 3


def test_both_probabilities_are_the_same_alone_and_together_and_are_certified(
    settings: Settings, dataset: models.Dataset, decision_bars: pl.DataFrame
) -> None:
    bundle = two_sided(dataset, settings.bundles_dir, 7, 8)
    held = decision_bars.head(LOOKBACK_BARS)
    other = held.with_columns(market=pl.lit("x:Y/Z"), close="open")
    together = decide_together([Question(bundle, frame, {}) for frame in (held, other)])
    for frame, decision in zip((held, other), together, strict=True):
        assert decision.probabilities == pytest.approx(decide(bundle, frame).probabilities, abs=1e-9)
    bars = decision_bars.head(LOOKBACK_BARS + 4)
    stored = features.compute(bars, timeframe=M15).tail(5)
    certificate = parity.certify(bundle, stored, bars)
    assert certificate.divergence is None
    assert certificate.columns == len(bundle.features) + 4
