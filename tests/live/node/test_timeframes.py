"""Models of several timeframes on one market in one node, and models of few features."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tests.live.conftest import M15, MARKET, STREAM, MakeBundle, bars_of, meaningless, put_live
from tests.live.desk import desk, finish, wait_for
from tests.live.node.test_parts import closed_bars
from trading_assets import features, models
from trading_assets.core.timeframes import Timeframe
from trading_assets.models.decision import Question, bars_needed, decide, decide_together
from trading_assets.settings import LabelSettings, Settings
from trading_live.node.decisions.deployed_models import DeployedModels
from trading_live.node.decisions.signals import LiveSignals
from trading_live.operations import kill_switch

M5 = Timeframe.parse("5m")
WIDE = {"take_profit_pct": 30, "stop_loss_pct": 20, "horizon_bars": 500}


def test_each_model_decides_on_the_bars_of_its_own_timeframe(
    tmp_path: Path, live_store_file: Path, make_bundle: MakeBundle, dataset: models.Dataset
) -> None:
    with desk(tmp_path, live_store_file, speed=900, hours=40) as one:
        slow = make_bundle(one.settings.bundles_dir, labels=LabelSettings(**WIDE))
        fast = models.write(
            one.settings.bundles_dir,
            model="fast",
            trained=models.train(dataset, slow.spec),
            dataset=dataset,
            spec=slow.spec,
            labels=LabelSettings(timeframe=M5, **WIDE),
            metrics={},
        )
        put_live(one.settings, slow)
        put_live(one.settings, fast)
        process = one.start()
        try:
            wait_for(lambda: (one.signals()["model"] == "syna").sum() >= 2, while_alive=process)
            beat = one.status().heartbeat
            kill_switch.engage(one.settings.live_dir)
            code, output = finish(process)
        finally:
            process.kill()
    assert code == 0, output
    assert beat is not None
    assert (beat.waiting, beat.refused) == ({}, {})
    assert beat.next_bars[MARKET] <= beat.last_bars[MARKET] + M5.length
    for bundle in (slow, fast):
        timeframe = bundle.labels.timeframe
        mine = one.signals().filter(pl.col("model") == bundle.model).select("bar_ts", "probability")
        rows = features.compute(bars_of(live_store_file, MARKET, timeframe.name), timeframe=timeframe)
        rows = rows.join(mine, left_on="ts", right_on="bar_ts").sort("ts")
        assert rows.height == mine.height >= 2
        assert rows["probability"].to_list() == bundle.predict(rows).to_list()
    told = one.told("history is short")
    assert told == []


def test_a_model_of_few_features_decides_with_the_bars_that_they_look_back_on(
    settings: Settings, make_bundle: MakeBundle, decision_bars: pl.DataFrame
) -> None:
    whole = make_bundle(settings.bundles_dir)
    names = features.feature_names(M15, ["rsi_14", "roc_4"])
    rows = features.compute(decision_bars, timeframe=M15, features=names)
    few = models.join(rows, meaningless(rows), names=names, fingerprint=features.fingerprint())
    bundle = models.write(
        settings.bundles_dir,
        model="few",
        trained=models.train(few, whole.spec),
        dataset=few,
        spec=whole.spec,
        labels=LabelSettings(**WIDE),
        metrics={},
    )
    put_live(settings, bundle)
    shelf = DeployedModels(settings, lambda *_: None)
    shelf.refresh()
    signals = LiveSignals([STREAM], shelf, lambda *_: None, cost_bps=0.0)
    needed, bars = bars_needed(bundle), closed_bars(decision_bars)
    assert needed < 600 < bars_needed(whole)
    assert signals.bars_needed(STREAM) == needed
    signals.histories[STREAM].merge(bars[-needed:-2])
    assert signals.on_bar(bars[-2]) is None
    assert signals.state() == {MARKET: f"{needed - 1:,} of {needed:,} bars of history"}
    signal = signals.on_bar(bars[-1])
    assert signal is not None
    assert signal.probability == bundle.predict(rows.tail(1)).item()
    asked = [Question(one, decision_bars, {}) for one in (whole, bundle, whole)]
    alone = [decide(one.bundle, one.held, one.companions).probabilities for one in asked]
    assert [one.probabilities for one in decide_together(asked)] == alone
