"""A rule's way: record, walk-forward, skill, bundle, certificate, and the node that answers as research did."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.live.conftest import put_live
from tests.strategies.rules.toys import Ahead, AheadSettings, Drift, DriftSettings, drifting, known, start
from trading_assets.backtest.significance import choice, skill_of_rule, spoken
from trading_assets.core.candles import timeframe_delta
from trading_assets.core.errors import BundleError, ModelError
from trading_assets.core.sides import Side
from trading_assets.labels import label
from trading_assets.lineage import rebuild
from trading_assets.lineage.contributions import contributions
from trading_assets.models import Dataset, bundle, folds, training
from trading_assets.models.certificates import write as write_certificate
from trading_assets.models.record import Record
from trading_assets.registry import configuration
from trading_assets.settings import (
    LabelSettings,
    ModelSettings,
    RuleSettings,
    RuleStrategySettings,
    Settings,
    WalkForwardSettings,
    read_labels,
)
from trading_assets.sql import build_bars, load_models
from trading_assets.store import Store, open_store
from trading_assets.store.tables import BARS, CANDLES, LABELS, TRIAL_RETURNS
from trading_assets.strategies.certifying import certify_stored
from trading_assets.strategies.decisions import bars_needed, rule_strategy
from trading_assets.strategies.rules import rows
from trading_assets.strategies.signals import ClosedBar, Stream
from trading_live.node.decisions.deployed_models import DeployedModels
from trading_live.node.decisions.signals import LiveSignals

MARKET, OTHER = "sample:SYNA/USDT:USDT", "sample:NOISE/USDT:USDT"
DAYS = 80
LABELS_OF = LabelSettings(take_profit_pct=2.0, stop_loss_pct=1.0, horizon_bars=12, cost_bps=10)
WINDOWS = WalkForwardSettings(train_days=30, purge_days=1, embargo_days=1, test_days=10)


def spec_of(rule: RuleSettings, market: str = MARKET) -> RuleStrategySettings:
    return RuleStrategySettings(markets=[market], rule=rule, sides=["long", "short"], walk_forward=WINDOWS)


@dataclass(frozen=True)
class World:
    """A store with bars and labels of a market that keeps its way, and of one that does not."""

    store: Store

    def data(self, rule: RuleSettings, market: str = MARKET) -> Dataset:
        return rows.build(self.store, spec_of(rule, market), LABELS_OF)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    store = open_store(f"duckdb:///{tmp_path_factory.mktemp('rules') / 'market.duckdb'}")
    until = start() + DAYS * timeframe_delta("1d")
    for market, edge in ((MARKET, 0.25), (OTHER, 0.0)):
        candles = drifting(DAYS, seed=3, market=market, edge=edge)
        store.upsert(CANDLES, candles)
        model = load_models()["bars_15m"]
        bars = build_bars(store, model, market=market, timeframe="15m", start=start(), end=until)
        store.upsert(BARS["15m"], bars)
        sides = list(Side)
        made = label(
            bars, candles, label_set="default", settings=LABELS_OF, sides=sides, candle_timeframe="15m", until=until
        )
        store.upsert(LABELS, made)
    return World(store)


@pytest.fixture(autouse=True)
def registered() -> object:
    with known(Drift, Ahead):
        yield


def test_a_record_is_drawn_towards_the_base_rate_and_without_a_signal_there_is_none() -> None:
    told = pl.DataFrame({"wanted": [1.0, 1.0, 0.0, -1.0, 0.0], "label": [1, -1, 1, 1, 1]})
    record = Record.of(told, Side.LONG)
    assert (record.signals, record.hits, record.base_rate) == (2, 1, 0.8)
    assert record.probability == pytest.approx((1 + 2 * 0.8) / (2 + 2))
    assert record.predict(told).to_list() == [record.probability, record.probability, None, None, None]
    assert Record.of(told.filter(pl.col("wanted") == 0), Side.LONG).probability is None
    assert Record.load(record.files, Side.LONG) == record


def test_each_fold_takes_its_record_from_its_purged_window_alone(world: World) -> None:
    spec = spec_of(DriftSettings())
    data = world.data(spec.rule)
    result = folds.walk_forward(data, spec)
    for fold in result.folds.iter_rows(named=True):
        embargo = timeframe_delta("1d")
        train = data.frame.filter(
            pl.col("known_at") >= fold["train_start"],
            pl.col("known_at") + data.horizon <= fold["test_start"] - embargo,
            pl.col("known_at") < fold["train_end"],
            side=fold["side"],
        )
        assert train.height == fold["train_rows"]
        expected = Record.of(train, Side(fold["side"])).probability
        told = result.predictions.filter(fold=fold["fold"], side=fold["side"])
        assert told["probability"].drop_nulls().unique().to_list() == [expected]
        assert told.height == fold["test_rows"]
    wanted = data.frame.select("ts", "side", says=pl.col("wanted") == pl.col("side"))
    both = result.predictions.join(wanted, on=["ts", "side"])
    assert (both["probability"].is_not_null() == both["says"]).all()
    assert both["says"].any()


def test_its_skill_is_that_of_the_bars_it_picks_and_no_constant_passes_or_fails_by_accident(world: World) -> None:
    found = {}
    for market in (MARKET, OTHER):
        predictions = folds.walk_forward(
            world.data(DriftSettings(), market), spec_of(DriftSettings(), market)
        ).predictions
        found[market] = skill_of_rule(spoken(predictions))
        scaled = predictions.with_columns(probability=pl.col("probability") * pl.col("fold") / 100)
        assert skill_of_rule(spoken(scaled)) == found[market], "what the folds' records are changes nothing"
        days = predictions.select(ts=pl.col("known_at").dt.truncate("1d").unique().sort())
        none = pl.DataFrame(schema=TRIAL_RETURNS.columns)
        pbo = choice(days, np.zeros(days.height), spoken(predictions), other_trials=none, bands=2)
        assert pbo["choices"] == 2
        assert (pbo["pbo"] < 0.2) is (market == MARKET)
    assert found[MARKET]["skill_low"] > 0.02
    assert found[OTHER]["skill_low"] < 0
    always = predictions.with_columns(probability=pl.lit(0.4))
    assert math.isnan(skill_of_rule(spoken(always))["skill_low"]), "one that always speaks picks nothing"
    rarely = predictions.with_columns(
        probability=pl.when(pl.col("known_at") < pl.col("known_at").min() + pl.duration(days=5)).then("probability")
    )
    assert math.isnan(skill_of_rule(spoken(rarely))["skill_low"]), "five days are no sample"


def test_its_parameters_are_a_trial_each(world: World) -> None:
    tried = set()
    for rule in (DriftSettings(), DriftSettings(bars=5), DriftSettings()):
        data = world.data(rule)
        tried.add(configuration(spec_of(rule), LABELS_OF, features=data.features, fingerprint=data.fingerprint))
    assert len(tried) == 2


def test_another_code_of_the_rule_that_a_meta_label_names_is_a_trial_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def tried(labels: LabelSettings) -> str:
        return configuration(ModelSettings(markets=[MARKET]), labels, features=["roc_4"], fingerprint="0" * 64)

    meta = read_labels({"kind": "meta", "rule": {"kind": "drift"}})
    before = tried(meta), tried(LABELS_OF)
    assert (tried(meta), tried(LABELS_OF)) == before
    monkeypatch.setattr(Drift, "version", lambda _: "changed")
    assert tried(meta) != before[0]
    assert tried(LABELS_OF) == before[1]


def test_a_rule_that_never_speaks_is_told_so(world: World) -> None:
    spec = spec_of(DriftSettings(per_mille=1e6))
    with pytest.raises(ModelError, match="the rule wants no trade in any training window"):
        folds.walk_forward(world.data(spec.rule), spec)
    with pytest.raises(ModelError, match="the rule wants no trade in the"):
        training.train(world.data(spec.rule), spec)


def made(world: World, folder: Path, rule: RuleSettings) -> bundle.Bundle:
    data, spec = world.data(rule), spec_of(rule)
    return bundle.write(
        folder, model="drift", trained=training.train(data, spec), dataset=data, spec=spec, labels=LABELS_OF, metrics={}
    )


def test_its_decision_is_rebuilt_from_stored_bars_with_what_it_wanted(
    world: World, settings: Settings, tmp_path: Path
) -> None:
    kept, data = made(world, tmp_path, DriftSettings()), world.data(DriftSettings())
    ts = data.frame.filter(pl.col("wanted") == 1)["ts"][-1]
    again = rebuild(kept, MARKET, ts, store=world.store, settings=settings)
    record = kept.classifiers[Side.LONG]
    assert isinstance(record, Record)
    assert again.decision.probabilities == {Side.LONG: record.probability}
    assert (again.wanted, again.raw(Side.LONG), again.calibrator(Side.LONG)) == (1, None, "")
    assert contributions(again, Side.LONG) == ("none", [])
    assert again.held.source == "bars", "of 15m candles, where the settings name those of a minute"


def test_its_bundle_holds_json_alone_is_certified_and_a_tampered_one_is_refused(world: World, tmp_path: Path) -> None:
    kept = made(world, tmp_path, DriftSettings())
    files = {path.relative_to(kept.folder).as_posix() for path in kept.folder.rglob("*") if path.is_file()}
    described = {f"{name}.json" for name in ("bundle", "features", "metrics", "settings")}
    assert files == {*described, "long/record.json", "short/record.json"}
    again = bundle.load(kept.folder, expected_hash=kept.bundle_hash)
    assert again == kept
    again.check_code(Drift.fingerprint())
    with pytest.raises(BundleError, match="its rule was"):
        again.check_code(Ahead.fingerprint()[::-1])
    strategy = rule_strategy(again)
    assert strategy is not None
    assert strategy.rule.parameters == {"bars": 4, "per_mille": 4.0}
    certificate = certify_stored(kept, world.store, bars=200)
    assert certificate.divergence is None
    assert certificate.bars == 200
    record = kept.folder / "long" / "record.json"
    record.write_text(record.read_text().replace('"hits": ', '"hits": 1'))
    with pytest.raises(BundleError, match=r"long/record\.json is not the file that was written"):
        bundle.load(kept.folder)
    with pytest.raises(ModelError, match="5 hits of 3 signals cannot be"):
        Record.load({"record.json": b'{"side": 1, "signals": 3, "hits": 5, "base_rate": 0.3}'}, Side.LONG)


def test_the_certificate_of_a_rule_that_looks_ahead_names_the_bar(world: World, tmp_path: Path) -> None:
    found = certify_stored(made(world, tmp_path, AheadSettings()), world.store, bars=50).divergence
    assert found is not None
    assert found.column == "wanted"


def test_the_node_says_of_closed_bars_what_the_research_said_of_stored_ones(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = made(world, settings.bundles_dir, DriftSettings())
    write_certificate(kept, certify_stored(kept, world.store, bars=10))
    put_live(settings, kept)
    shelf = DeployedModels(settings, lambda *_: None)
    shelf.refresh()
    assert [one.bundle.bundle_hash for one in shelf.models] == [kept.bundle_hash], shelf.refusals
    stream = Stream(MARKET, "15m")
    signals = LiveSignals({stream: 200}, shelf, lambda *_: None, cost_bps=0.0)
    monkeypatch.setattr(LiveSignals, "_crosses", lambda *_: False)
    assert signals.bars_needed(stream) == bars_needed(kept) == 5
    bars = world.store.read(BARS["15m"], where={"market": MARKET}).tail(300)
    closed = [
        ClosedBar(MARKET, "15m", *one)
        for one in bars.select("ts", "known_at", "open", "high", "low", "close", "volume").rows()
    ]
    said = signals.on_bars(closed[:1]) + [signals.on_bar(bar) for bar in closed[1:]]
    research = rows.rule_rows(bars, Drift(DriftSettings()))
    expected = {
        ts: (Side(int(side)), kept.classifiers[Side(int(side))].predict(pl.DataFrame({"wanted": [side]}))[0])
        for ts, side in research.select("ts", "wanted").rows()
        if side
    }
    assert {one.ts: (one.side, one.probability) for one in said if one is not None} == expected
    assert len({side for side, _ in expected.values()}) == 2
