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
from trading_live.node.decisions.reach import LEAST
from trading_live.node.decisions.signals import LiveSignals
from trading_live.operations import kill_switch

M1, M30, H2 = (Timeframe.parse(text) for text in ("1m", "30m", "2h"))
WIDE = {"take_profit_pct": 30, "stop_loss_pct": 20, "horizon_bars": 500}


def few_features(dataset: models.Dataset, bars: pl.DataFrame, names: tuple[str, ...]) -> models.Dataset:
    rows = features.compute(bars, timeframe=M15, features=names)
    return models.join(rows, meaningless(rows), names=names, fingerprint=dataset.fingerprint)


def test_each_model_decides_on_the_bars_of_its_own_timeframe_and_loads_what_it_looks_back_on(
    tmp_path: Path, live_store_file: Path, make_bundle: MakeBundle, dataset: models.Dataset, decision_bars: pl.DataFrame
) -> None:
    short = few_features(dataset, decision_bars, features.feature_names(M15, ["roc_4", "roc_16"]))
    with desk(tmp_path, live_store_file, speed=1800, hours=40) as one:
        whole = make_bundle(one.settings.bundles_dir)
        trained = models.train(short, whole.spec)
        bundles = {
            timeframe: models.write(
                one.settings.bundles_dir,
                model=f"each_{timeframe}",
                trained=trained,
                dataset=short,
                spec=whole.spec,
                labels=LabelSettings(timeframe=timeframe, **WIDE),
                metrics={},
            )
            for timeframe in (M1, M30, H2)
        }
        for bundle in bundles.values():
            put_live(one.settings, bundle)
        process = one.start()
        try:
            wait_for(lambda: set(one.signals()["timeframe"]) == {"1m", "30m", "2h"}, while_alive=process)
            beat = one.status().heartbeat
            kill_switch.engage(one.settings.live_dir)
            code, output = finish(process)
        finally:
            process.kill()
    assert code == 0, output
    assert beat is not None
    assert not beat.refused
    for timeframe, bundle in bundles.items():
        mine = one.signals().filter(pl.col("model") == bundle.model).select("bar_ts", "probability")
        bars = bars_of(live_store_file, MARKET, timeframe.name)
        rows = features.compute(bars, timeframe=timeframe, features=short.features)
        rows = rows.join(mine, left_on="ts", right_on="bar_ts").sort("ts")
        assert rows.height == mine.height >= 1
        assert rows["probability"].to_list() == bundle.predict(rows).to_list()
        assert (rows["known_at"] - rows["ts"] == timeframe.length).all()
    asked = [each.query for each in one.faults.asked if each.path.endswith("klines")]
    loaded = {query["interval"]: int(query["limit"]) for query in reversed(asked)}  # first of all, before it listens
    assert {loaded[timeframe.name] for timeframe in bundles} == {LEAST + 2}, "not what others would look back on"
    assert one.told("history is short") == []


def test_a_model_of_bars_that_the_venue_does_not_stream_is_refused_by_name(
    settings: Settings, make_bundle: MakeBundle
) -> None:
    bundle = make_bundle(settings.bundles_dir, labels=LabelSettings(timeframe=Timeframe.parse("10m"), **WIDE))
    put_live(settings, bundle)
    shelf = DeployedModels(settings, lambda *_: None)
    shelf.refresh()
    assert not shelf.models
    assert "replay streams no 10m bars of sample:SYNA/USDT:USDT; it has 1m, 3m, 5m" in shelf.without_models


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
    signals = LiveSignals({STREAM: features.lookback_bars(M15)}, shelf, lambda *_: None, cost_bps=0.0)
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
