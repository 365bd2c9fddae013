"""A model of a label set that does not decide on every bar speaks in the node where it was trained and tested."""

from __future__ import annotations

import polars as pl
import pytest

from tests.live.conftest import M15, STREAM, MakeBundle, put_live
from tests.live.node.test_parts import closed_bars
from trading_assets import features, models
from trading_assets.core.sides import Side
from trading_assets.labels import decides, label, lookback_bars
from trading_assets.models import folds
from trading_assets.models.decision import Question, bars_needed, decide, decide_together
from trading_assets.settings import LabelSettings, ModelSettings, Settings, read_labels
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.stored_signals import StoredSignals
from trading_live.node.decisions.deployed_models import DeployedModels
from trading_live.node.decisions.reach import bars_to_hold
from trading_live.node.decisions.signals import LiveSignals

RULE = {"kind": "ema_cross_rsi", "fast": 2, "slow": 5, "rsi": 3, "overbought": 95, "oversold": 5}
SETS = {
    "rule": {"kind": "meta", "rule": RULE},
    "clock": {"sampling": {"by": "notional", "per_day": 30, "days": 3}},
    "both": {"kind": "meta", "rule": RULE, "sampling": {"by": "moves", "per_day": 60, "days": 1}},
}
NAMES = ["rsi_14", "roc_4"]
LAST = 60


@pytest.mark.parametrize("name", list(SETS))
def test_the_node_speaks_where_the_backtest_does_and_says_the_same(
    name: str, settings: Settings, make_bundle: MakeBundle, decision_bars: pl.DataFrame
) -> None:
    chosen = read_labels({"take_profit_pct": 0.4, "stop_loss_pct": 0.3, "horizon_bars": 8, **SETS[name]})
    spec = make_bundle(settings.bundles_dir).spec.model_copy(update={"sides": [Side.LONG, Side.SHORT]})
    bundle, stored = researched(settings, chosen, spec, decision_bars)
    put_live(settings, bundle)
    shelf = DeployedModels(settings, lambda *_: None)
    assert shelf.refresh()
    needed, bars = bars_needed(bundle), closed_bars(decision_bars)
    signals = LiveSignals({STREAM: needed}, shelf, lambda *_: None, cost_bps=0.0)
    assert needed >= lookback_bars(chosen)
    signals.histories[STREAM].merge(bars[-needed - LAST + 1 : -LAST])
    live = [signals.on_bar(bar) for bar in bars[-LAST:]]
    wanted = decides(decision_bars, chosen)
    assert wanted is not None
    either = wanted["long"] | wanted["short"]
    assert [one is not None for one in live] == either[-LAST:].to_list()
    spoken = [one for one in live if one is not None]
    assert 3 <= len(spoken) < LAST
    for one in spoken:
        assert wanted.filter(decision_bars["ts"] == one.ts)[one.side.word].item()
    asked = [Question(bundle, decision_bars[: decision_bars.height - back], {}) for back in range(40)]
    alone = [decide(one.bundle, one.held, one.companions).probabilities for one in asked]
    assert [one.probabilities for one in decide_together(asked)] == alone
    assert {len(one) for one in alone} > {0}, "on some bars nothing is said"
    told = [stored.on_bar(bar) for bar in bars]
    assert {one.ts for one in told if one is not None} <= set(decision_bars.filter(either)["ts"]), "nothing else"
    assert any(told)


@pytest.mark.parametrize("name", list(SETS))
def test_the_bars_that_a_label_set_decides_from_are_held_before_its_model_is_deployed(
    name: str, settings: Settings
) -> None:
    chosen = read_labels(SETS[name] | ({} if name == "clock" else {"rule": RULE | {"slow": 200}}))
    expected = next(iter(settings.models.values())).model_copy(
        update={"markets": [STREAM.market], "label": "default", "features": ["roc_4"]}
    )
    changed = settings.model_copy(update={"labels": {"default": chosen}, "models": {"later": expected}})
    held = bars_to_hold([STREAM], changed, DeployedModels(changed, lambda *_: None))
    assert held == {STREAM: lookback_bars(chosen)}


def researched(
    settings: Settings, chosen: LabelSettings, spec: ModelSettings, bars: pl.DataFrame
) -> tuple[models.Bundle, StoredSignals]:
    """A model of the set, and the predictions of its walk-forward."""
    rows = features.compute(bars, timeframe=M15, features=NAMES)
    found = label(
        bars,
        bars,
        label_set="default",
        settings=chosen,
        sides=spec.sides,
        candle_timeframe="15m",
        until=bars["known_at"][-1],
    )
    data = models.join(rows, found, names=NAMES, fingerprint=features.fingerprint(NAMES))
    trained = models.train(data, spec)
    bundle = models.write(
        settings.bundles_dir, model="where", trained=trained, dataset=data, spec=spec, labels=chosen, metrics={}
    )
    predictions = folds.walk_forward(data, spec).predictions
    return bundle, StoredSignals(predictions, rule=EntryRule(), labels=chosen)
