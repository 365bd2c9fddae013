"""Calibrated models decide in the node as in research: the same probability, the same set, alone and together."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from tests.models.estimators.toys import trailing
from tests.models.test_parity import A, B, World, _small, made, of_registry
from trading_assets.core.sides import Side
from trading_assets.models.confidence import Confidence, Conformal, curve_of
from trading_assets.models.confidence.isotonic import Isotonic
from trading_assets.models.confidence.sigmoid import Sigmoid
from trading_assets.models.confidence.venn_abers import VennAbers
from trading_assets.models.decision import decide
from trading_assets.models.parity import certify
from trading_assets.settings import ConfidenceSettings, EstimatorSettings, LogisticSettings, ModelSettings
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.orders.journal_rows import signal_row
from trading_assets.strategies.signals import ClosedBar, answer_on

CURVES = [
    Sigmoid(slope=0.5, intercept=0.1),
    Isotonic(scores=[0.3, 0.4, 0.5], probabilities=[0.1, 0.5, 0.6]),
    VennAbers(scores=[0.38, 0.4, 0.42], lower=[0.2, 0.4, 0.6], upper=[0.3, 0.5, 0.8]),
]


def confident(world: World, curve: object) -> World:
    known = Confidence(curve=curve, conformal=Conformal(coverage=0.9, quantile=0.6, rows=100))
    learnt = {side: replace(one, confidence=known) for side, one in world.bundle.classifiers.items()}  # type: ignore[type-var]
    return replace(world, bundle=replace(world.bundle, classifiers=learnt))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return made(tmp_path_factory.mktemp("calibrated"), (A, B), *of_registry(_small()), LogisticSettings())


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.kind)
def test_a_calibrated_model_decides_to_the_last_bit_as_the_node_does(world: World, curve: object) -> None:
    certificate = confident(world, curve).certificate()
    assert (certificate.divergence, certificate.tolerance) == (None, 0)
    plain = replace(world, bundle=confident(world, curve).bundle)
    asked = partial(decide, world.bundle, compute=world.compute)  # a node without the calibrator would be found
    stored = world.stored.group_by("market", maintain_order=True).tail(40)
    found = certify(plain.bundle, stored, world.bars, world.labels, ask=asked, lookback=world.lookback)
    assert found.divergence is not None
    assert found.divergence.column == "probability"


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.kind)
def test_an_estimator_with_a_tolerance_is_compared_to_what_its_calibrator_makes_of_it(
    tmp_path: Path, curve: object
) -> None:
    with trailing() as parameters:
        assert isinstance(parameters, EstimatorSettings)
        certificate = confident(made(tmp_path, (A,), *of_registry(_small()), parameters), curve).certificate()
        assert certificate.divergence is None
        assert certificate.tolerance == curve_of(curve.kind).reach(curve, 1e-9)  # type: ignore[attr-defined]
        assert certificate.tolerance < 2e-7 or curve.kind == "venn_abers"  # type: ignore[attr-defined]


def test_a_decision_says_the_set_and_the_journal_keeps_it(world: World) -> None:
    bundle = confident(world, CURVES[0]).bundle
    held = world.bars.filter(pl.col("market") == A)
    decision = decide(bundle, held, compute=world.compute)
    row = world.stored.filter(pl.col("market") == A).tail(1)
    answer = bundle.classifiers[Side.LONG].answers(row)
    assert decision.probabilities == {Side.LONG: answer["probability"][0]}
    assert decision.sets == {Side.LONG: answer["prediction_set"][0]}
    assert decide(world.bundle, held, compute=world.compute).sets == {}
    last = held.row(-1, named=True)
    bar = ClosedBar(A, "15m", last["ts"], last["known_at"], 1, 1, 1, 1, 1)
    signal = answer_on(
        bar,
        decision.probabilities,
        sets=decision.sets,
        rule=EntryRule(),
        take_profit_pct=2.0,
        stop_loss_pct=1.0,
        horizon_bars=24,
        model="m",
    )
    assert signal is not None
    assert signal_row(signal, "hold", "", ts=last["known_at"])[1]["prediction_set"] in range(4)


@pytest.mark.parametrize(("held", "enters"), [(1, True), (0, False), (2, False), (3, False), (None, False)])
def test_a_rule_that_asks_for_certainty_enters_on_nothing_else(held: int | None, enters: bool) -> None:
    certain = ConfidenceSettings(conformal=0.9, enter_only_when_certain=True)
    rule = EntryRule.of(ModelSettings(markets=["x:A/B"], confidence=certain), cost_bps=10)
    free = EntryRule.of(ModelSettings(markets=["x:A/B"], confidence=ConfidenceSettings(conformal=0.9)), cost_bps=10)
    assert rule.enters(0.9, 2.0, 1.0, held) == enters
    assert free.enters(0.9, 2.0, 1.0, held)
    assert not rule.enters(0.2, 2.0, 1.0, held)
    said = pl.DataFrame({"probability": [0.9], "prediction_set": pl.Series([held], dtype=pl.Int8)})
    assert said.filter(rule.entered(pl.lit(2.0), pl.lit(1.0))).height == enters
    assert said.drop("prediction_set").filter(free.entered(pl.lit(2.0), pl.lit(1.0))).height == 1
    assert ("not certain, the prediction set is" in rule.reason(0.9, 2.0, 1.0, held)) != enters
