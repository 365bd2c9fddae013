"""A model that reads the bars of a leading market: certified, deployed, and decided on as the tables have it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from tests.live.conftest import MARKET, OTHER, OTHER_STREAM, START, STREAM, bars_of, meaningless, put_live
from tests.live.desk import desk, finish, wait_for
from tests.live.node.test_parts import _Gaps, closed_bars
from trading_assets import features, models
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import lookback_bars
from trading_assets.lineage import rebuild
from trading_assets.models import certificates, parity
from trading_assets.models.inputs import usable_names
from trading_assets.models.training import TrainedModel
from trading_assets.settings import (
    FeatureSettings,
    LabelSettings,
    LightGBMSettings,
    ModelSettings,
    Settings,
    WalkForwardSettings,
)
from trading_assets.store import Store
from trading_assets.store.tables import BARS, FEATURES
from trading_assets.strategies.decisions import bars_needed
from trading_live.node.decisions.deployed_models import DeployedModels
from trading_live.node.decisions.reach import late_bars
from trading_live.node.decisions.signals import LiveSignals
from trading_live.operations import kill_switch

M15 = Timeframe.parse("15m")
LOOKBACK_BARS = lookback_bars(M15)

CERTIFIED = 20


@dataclass(frozen=True)
class World:
    """A model of OTHER that is led by MARKET, and what it learnt from.

    The venue sends OTHER's bar before MARKET's (by symbol), so the node has to wait for the leader's.
    """

    dataset: models.Dataset
    trained: TrainedModel
    spec: ModelSettings
    bars: dict[str, pl.DataFrame]
    rows: pl.DataFrame

    def bundle(self, folder: Path, store: Store | None = None, leader: str | None = MARKET) -> models.Bundle:
        """The bundle; with a store, certified there."""
        bundle = models.write(
            folder,
            model="led",
            trained=self.trained,
            dataset=self.dataset,
            spec=self.spec,
            labels=LabelSettings(take_profit_pct=0.8, stop_loss_pct=0.4, horizon_bars=4),
            metrics={},
        )
        if store is not None:
            store.upsert(BARS["15m"], pl.concat(self.bars.values()))
            store.upsert(FEATURES, self.rows.tail(CERTIFIED).with_columns(timeframe=pl.lit("15m")))
            certificates.write(bundle, parity.certify_stored(bundle, store, bars=CERTIFIED, leader=leader))
        return bundle

    def said(self, bundle: models.Bundle, rows: pl.DataFrame) -> list[float]:
        """What the model says of feature rows."""
        return bundle.predict(rows).to_list()


@pytest.fixture(scope="module")
def led(live_store_file: Path) -> World:
    bars = {market: bars_of(live_store_file, market) for market in (OTHER, MARKET)}
    rows = features.compute(bars[OTHER], {"leader": bars[MARKET].select("known_at", "close")}, timeframe=M15)
    names = [name for name in usable_names(["leader"], timeframe=M15) if features.required_companions([name])]
    data = models.join(rows, meaningless(rows), names=names, fingerprint=features.fingerprint())
    spec = ModelSettings(
        markets=[OTHER],
        companions=["leader"],
        min_edge_bps=-1e6,
        walk_forward=WalkForwardSettings(train_days=10, purge_days=1, embargo_days=1, test_days=5),
        estimator=LightGBMSettings(num_boost_round=5, num_leaves=15, min_data_in_leaf=20, lambda_l2=5),
    )
    return World(data, models.train(data, spec), spec, bars, rows)


def with_leader(settings: Settings, leader: str | None) -> Settings:
    return settings.model_copy(update={"features": FeatureSettings(leader=leader)})


def test_the_certificate_gives_the_model_its_leaders_bars_and_names_the_leader(
    led: World, store: Store, tmp_path: Path
) -> None:
    certificate = certificates.check(led.bundle(tmp_path, store))
    assert (certificate.bars, certificate.leader, certificate.divergence) == (CERTIFIED, MARKET, None)
    without = parity.certify_stored(led.bundle(tmp_path), store, bars=CERTIFIED)
    assert without.divergence is not None
    assert without.divergence.column.startswith("leader_")
    assert without.divergence.live is None


@pytest.mark.parametrize(
    ("leader", "certified", "said"),
    [
        (MARKET, True, None),
        (MARKET, False, "has no parity certificate"),
        (None, True, "reads features of leader, which the node does not hold"),
        ("sample:SYNB/USDT:USDT", True, f"was made with the leader {MARKET}, and features.leader is sample:SYNB"),
    ],
)
def test_the_shelf_takes_a_model_with_the_leader_that_it_was_made_with(
    led: World, settings: Settings, store: Store, leader: str | None, certified: bool, said: str | None
) -> None:
    put_live(settings, led.bundle(settings.bundles_dir, store if certified else None))
    shelf = DeployedModels(with_leader(settings, leader), lambda *_: None)
    assert shelf.refresh() is (said is None)
    if said is None:
        assert shelf.leader_of(OTHER_STREAM) == MARKET
        assert shelf.leader_of(STREAM) is None
    else:
        assert said in shelf.refusals["led"]


def test_a_leader_on_another_exchange_than_the_nodes_is_not_held(led: World, settings: Settings, store: Store) -> None:
    put_live(settings, led.bundle(settings.bundles_dir, store))
    node = settings.node.model_copy(update={"environment": "live"})
    shelf = DeployedModels(with_leader(settings.model_copy(update={"node": node}), MARKET), lambda *_: None)
    assert not shelf.refresh()
    assert "which the node does not hold" in shelf.refusals["led"]


def test_a_led_decision_is_rebuilt_with_its_leaders_bars(
    led: World, live_settings: Settings, live_store: Store, tmp_path: Path
) -> None:
    bundle, row = led.bundle(tmp_path), led.rows[-20:-19]
    again = rebuild(bundle, OTHER, row["ts"][0], store=live_store, settings=with_leader(live_settings, MARKET))
    assert again.decision.probabilities[Side.LONG] == led.said(bundle, row)[0]
    assert again.companions["leader"]["known_at"][-1] == row["known_at"][0]


def test_decisions_are_those_of_the_stored_rows_with_and_without_the_leaders_newest_bar(
    led: World, settings: Settings, store: Store
) -> None:
    bundle = led.bundle(settings.bundles_dir, store)
    put_live(settings, bundle)
    shelf, gaps = DeployedModels(with_leader(settings, MARKET), lambda *_: None), _Gaps()
    shelf.refresh()
    signals = LiveSignals({OTHER_STREAM: LOOKBACK_BARS, STREAM: LOOKBACK_BARS}, shelf, gaps, cost_bps=0.0)
    own, leading = closed_bars(led.bars[OTHER]), closed_bars(led.bars[MARKET])
    signals.histories[OTHER_STREAM].merge(own[:LOOKBACK_BARS])
    signals.histories[STREAM].merge(leading[:LOOKBACK_BARS])
    lost = LOOKBACK_BARS + 3
    said = {}
    for number in range(LOOKBACK_BARS, LOOKBACK_BARS + 8):
        if number != lost:
            assert signals.on_bar(leading[number]) is None
        if (signal := signals.on_bar(own[number])) is not None:
            said[number] = signal.probability
        if gaps.asked and number == lost + 2:  # the venue has none
            assert signals.waiting
            signals.go_on(STREAM)
    assert gaps.asked == [(STREAM, leading[lost].ts, leading[lost + 1].ts)]
    assert sorted(said) == [n for n in range(LOOKBACK_BARS, LOOKBACK_BARS + 8) if n not in (lost + 1, lost + 2)]
    holed = led.bars[MARKET].filter(pl.col("ts") != leading[lost].ts).select("known_at", "close")
    rows = features.compute(led.bars[OTHER], {"leader": holed}, timeframe=M15)
    expected = rows.filter(pl.col("ts").is_in([own[number].ts for number in said]))
    assert list(said.values()) == led.said(bundle, expected)


@pytest.mark.slow
def test_a_node_decides_on_its_leaders_newest_bars_as_the_tables_have_them(
    led: World, live_store_file: Path, store: Store, tmp_path: Path
) -> None:
    further = {"TRADING_FEATURES__LEADER": MARKET}
    with desk(tmp_path, live_store_file, speed=1800, hours=5, markets=[OTHER, MARKET], further=further) as one:
        bundle = led.bundle(one.settings.bundles_dir, store)
        put_live(one.settings, bundle)
        process = one.start()
        try:
            wait_for(lambda: one.signals().height >= 12, while_alive=process)
            kill_switch.engage(one.settings.live_dir, "enough")
            code, output = finish(process)
            assert code == 0, output
        finally:
            process.kill()
        signals = one.signals().sort("bar_ts")
    assert set(signals["market"]) == {OTHER}
    expected = led.rows.filter(pl.col("ts").is_in(signals["bar_ts"].implode()))
    assert signals["probability"].to_list() == led.said(bundle, expected)
    assert all(then - now == M15.length for now, then in pairwise(signals["bar_ts"])), "no bar is left out"
    assert signals["bar_ts"][0] >= START - timedelta(minutes=15)


def test_a_market_that_lacks_bars_reads_its_leader_as_far_back_as_the_tables_do(
    led: World, settings: Settings, store: Store
) -> None:
    bundle = led.bundle(settings.bundles_dir, store)
    put_live(settings, bundle)
    shelf, gaps = DeployedModels(with_leader(settings, MARKET), lambda *_: None), _Gaps()
    shelf.refresh()
    number = pl.int_range(pl.len())
    holed = led.bars[OTHER].filter((number % 3 != 1) | (number > pl.len() - 6))  # of the others the venue has none
    own, leading = closed_bars(holed), closed_bars(led.bars[MARKET])
    held = {OTHER_STREAM: bars_needed(bundle), STREAM: bars_needed(bundle) + late_bars(OTHER_STREAM)}
    signals = LiveSignals(held, shelf, gaps, cost_bps=0.0)
    signals.histories[OTHER_STREAM].merge(own[:-2])
    signals.histories[STREAM].merge(leading[:-2])
    assert signals.on_bars([leading[-2], own[-2]]) == [None, None], "its leader's bars do not reach back so far"
    [(stream, since, until)] = gaps.asked
    assert (stream, until) == (STREAM, leading[-2 - held[STREAM] + 1].ts)
    signals.histories[STREAM].merge([bar for bar in leading if since <= bar.ts < until])
    signals.go_on(STREAM)
    _, said = signals.on_bars([leading[-1], own[-1]])
    assert said is not None
    rows = features.compute(holed, {"leader": led.bars[MARKET].select("known_at", "close")}, timeframe=M15)
    assert [said.probability] == led.said(bundle, rows.tail(1))
    assert len(gaps.asked) == 1
