"""A calibrated model in the node: it says the calibrated probability and its set, and enters where it is certain."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from tests.live.conftest import STREAM, put_live
from tests.live.node.test_parts import closed_bars
from tests.live.node.test_two_sides import LABELS, WINDOWS
from trading_assets import features, models
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.models.confidence import Confidence, Conformal
from trading_assets.models.confidence.sigmoid import Sigmoid
from trading_assets.models.decision import Question, decide, decide_together
from trading_assets.settings import ConfidenceSettings, ModelSettings, Settings
from trading_live.node.decisions.deployed_models import DeployedModels
from trading_live.node.decisions.signals import LiveSignals

LOOKBACK_BARS = features.lookback_bars(Timeframe.parse("15m"))
ASKED = ConfidenceSettings(calibration="sigmoid", conformal=0.9, enter_only_when_certain=True)


@pytest.mark.parametrize(("quantile", "sets"), [(0.99, {3}), (0.49, {1, 2})])
def test_the_node_says_what_was_calibrated_and_enters_where_it_is_certain(
    quantile: float, sets: set[int], settings: Settings, dataset: models.Dataset, decision_bars: pl.DataFrame
) -> None:
    spec = ModelSettings(markets=["x:Y/Z"], walk_forward=WINDOWS, min_edge_bps=-1e6, confidence=ASKED)
    plain = models.train(dataset, spec.model_copy(update={"confidence": ConfidenceSettings()}))
    rate = plain.base_rate
    curve = Sigmoid(slope=0.5, intercept=0.0)
    kept = Confidence(curve=curve, conformal=Conformal(coverage=0.9, quantile=quantile, rows=100))
    learnt = {side: replace(one, confidence=kept) for side, one in plain.classifiers.items()}
    spec = spec.model_copy(update={"markets": [STREAM.market]})
    bundle = models.write(
        settings.bundles_dir,
        model="calibrated",
        trained=replace(plain, classifiers=learnt),
        dataset=dataset,
        spec=spec,
        labels=LABELS,
        metrics={},
    )
    put_live(settings, bundle)
    shelf = DeployedModels(settings, lambda *_: None)
    assert shelf.refresh()
    signals = LiveSignals({STREAM: LOOKBACK_BARS}, shelf, lambda *_: None, cost_bps=0.0)
    bars = closed_bars(decision_bars)
    signals.histories[STREAM].merge(bars[: LOOKBACK_BARS - 1])
    live = [signals.on_bar(bar) for bar in bars[LOOKBACK_BARS - 1 : LOOKBACK_BARS + 5]]
    rows = features.compute(decision_bars.head(LOOKBACK_BARS + 5), timeframe=Timeframe.parse("15m")).tail(6)
    answers = bundle.classifiers[Side.LONG].answers(rows)
    assert 0 < rate < 1
    assert not answers["probability"].equals(answers["raw_probability"].alias("probability"))
    for one, answer in zip(live, answers.iter_rows(named=True), strict=True):
        assert one is not None
        assert one.probability == pytest.approx(answer["probability"], abs=1e-9)
        assert one.prediction_set == answer["prediction_set"]
        assert one.enters == (one.prediction_set == 1)
        assert one.prediction_set in sets
    held = [decision_bars[: LOOKBACK_BARS + back] for back in range(6)]
    together = decide_together([Question(bundle, frame, {}) for frame in held])
    alone = [decide(bundle, frame) for frame in held]
    assert [one.sets for one in together] == [one.sets for one in alone]
    assert [one.probabilities for one in together] == [one.probabilities for one in alone]
