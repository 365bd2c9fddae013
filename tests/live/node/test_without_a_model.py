"""A node that has a position open, and no model that it can use."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from tests.live.conftest import MARKET, START, STREAM, MakeBundle, put_live
from tests.live.desk import Desk, desk, finish, wait_for
from tests.live.node.test_node_ends import refuses_to_run
from tests.live.node.test_parts import closed_bars
from tests.models.estimators.toys import BACK, trailing
from trading_assets import features
from trading_assets.core.sides import Side
from trading_assets.core.timeframes import Timeframe
from trading_assets.exits.plan import ExitPlan
from trading_assets.journal import JOURNAL_FILE, Journal
from trading_assets.models import Classifier, Dataset, train, write
from trading_assets.models.decision import Question, decide, decide_together
from trading_assets.registry.deployment import MANIFEST
from trading_assets.settings import LabelSettings, ModelSettings, Settings, WalkForwardSettings
from trading_assets.strategies.plans.plan import TradePlan
from trading_live.node.decisions.deployed_models import DeployedModels
from trading_live.node.decisions.signals import LiveSignals
from trading_live.node.node import run_node
from trading_live.operations import kill_switch
from trading_live.recovery.from_journal import STARTED

M15 = Timeframe.parse("15m")
LOOKBACK_BARS = features.lookback_bars(M15)

MINUTE = timedelta(minutes=1)


def leave_open(
    settings: Settings, *, price: float, minutes: int, market: str = MARKET, side: Side = Side.LONG
) -> TradePlan:
    """What a node of before left in the journal: a position that expires some minutes after START."""
    bought_at = START - 5 * MINUTE
    plan = TradePlan(
        market=market,
        signal_id="s",
        probability=0.6,
        known_at=bought_at,
        expires_at=START + minutes * MINUTE,
        exits=ExitPlan.bracket(0.3, 0.2, minutes * MINUTE),
        quantity=10.0,
        entry_order_id="e",
        side=side,
    ).filled(10.0, price)
    word = "buy" if side is Side.LONG else "sell"
    order = {"ts": bought_at, "market": market, "order_id": "e", "signal_id": "s", "purpose": "entry", "side": word}
    fill = {name: order[name] for name in ("ts", "market", "order_id", "signal_id", "side")}
    numbers = {"trade_id": "t", "quantity": 10.0, "price": price, "fee": 0.5, "fee_currency": "USDT"}
    row = {"ts": bought_at, "market": market, "signal_id": "s", "plan": replace(plan, stop_order_id="x").to_json()}
    with closing(Journal(settings.live_dir / JOURNAL_FILE, "paper-replay")) as journal:
        journal.record("node", {"ts": bought_at, "event": STARTED, "detail": "binance replay"})
        order |= {"order_type": "market", "quantity": 10.0, "status": "filled"}
        journal.record_all([("orders", order), ("fills", fill | numbers), ("plans", row)])
    return plan


def last_plan(one: Desk) -> TradePlan:
    return TradePlan.from_json(one.journal()["plans"]["plan"][-1])


def price_at_start(bars: pl.DataFrame) -> float:
    return float(bars.filter(pl.col("ts") < START)["close"][-1])


def test_with_a_damaged_manifest_the_open_position_is_managed_and_a_model_that_comes_trades(
    tmp_path: Path, live_store_file: Path, make_bundle: MakeBundle, decision_bars: pl.DataFrame
) -> None:
    with desk(tmp_path, live_store_file, speed=1800, hours=40) as one:
        put_live(one.settings, make_bundle(one.settings.bundles_dir))
        manifest = one.settings.live_dir / MANIFEST
        intact = manifest.read_bytes()
        manifest.write_bytes(intact[:-9])
        left = leave_open(one.settings, price=price_at_start(decision_bars), minutes=65)
        process = one.start()
        try:
            beat = wait_for(
                lambda: (now := one.status().heartbeat) and now.state == "managing" and now, while_alive=process
            )
            assert "not a deployment manifest" in beat.refused[MANIFEST]
            wait_for(lambda: last_plan(one).stage == "closed", while_alive=process)
            manifest.write_bytes(intact)
            wait_for(lambda: one.signals().height >= 1, while_alive=process)
            kill_switch.engage(one.settings.live_dir)
            code, output = finish(process)
        finally:
            process.kill()
    assert code == 0, output
    (told,) = one.told("manage only")
    assert told.startswith(f"{MARKET}: no model can be used: ")
    assert "not a deployment manifest" in told
    events = one.journal()
    mine = events["plans"].filter(pl.col("signal_id") == left.signal_id)
    ended = [TradePlan.from_json(text) for text in mine["plan"]]
    assert [(plan.stage, plan.exit_reason) for plan in ended][-1] == ("closed", "time")
    protected = events["orders"].filter((pl.col("signal_id") == "s") & (pl.col("status") == "accepted"))
    assert set(protected["purpose"]) == {"stop_loss", "take_profit"}


def test_close_only_closes_what_is_open_and_ends_also_where_the_kill_switch_is_on(
    tmp_path: Path, live_store_file: Path, decision_bars: pl.DataFrame
) -> None:
    with desk(tmp_path, live_store_file, speed=1800, hours=40) as one:
        leave_open(one.settings, price=price_at_start(decision_bars), minutes=6000, side=Side.SHORT)
        code, output = finish(one.start("--close-only"))
        assert code == 0, output
        plan = last_plan(one)
        assert (plan.stage, plan.exit_reason) == ("closed", "close_only")
        assert one.status().positions == ()
        assert one.journal()["fills"]["side"].to_list() == ["sell", "buy"]
        assert one.signals().is_empty()
        kill_switch.engage(one.settings.live_dir)
        run_node(one.settings, close_only=True)
        assert one.told("nothing is open") == [""]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("manifest", "not a deployment manifest"),
        ("bundle", "SHA-256 differs"),
        ("fingerprint", "but this code computes other"),
    ],
)
def test_what_no_model_can_be_used_for_is_said(
    settings: Settings, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch, damage: str, says: str
) -> None:
    shelf = DeployedModels(settings, lambda *_: None)
    assert shelf.without_models == "no model is deployed"
    bundle = make_bundle(settings.bundles_dir)
    put_live(settings, bundle)
    if damage == "manifest":
        (settings.live_dir / MANIFEST).write_bytes(b"{")
    elif damage == "bundle":
        (bundle.folder / "metrics.json").write_bytes(b"{}")
    else:
        monkeypatch.setattr(features, "fingerprint", lambda *_, **__: "other")
    shelf.refresh()
    assert shelf.models == ()
    assert shelf.without_models.startswith("no model can be used: ")
    assert says in shelf.without_models


def test_a_damaged_manifest_with_nothing_open_is_not_called_no_model(
    live_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_settings.live_dir.mkdir(parents=True)
    (live_settings.live_dir / MANIFEST).write_bytes(b"{")
    refuses_to_run(live_settings, monkeypatch, "no model can be used: .*not a deployment manifest")


def test_a_model_that_fails_decides_nothing_more_until_another_version_comes(
    settings: Settings, make_bundle: MakeBundle, decision_bars: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []
    shelf = DeployedModels(settings, lambda event, detail: told.append((event, detail)))
    bundle = make_bundle(settings.bundles_dir)
    put_live(settings, bundle)
    shelf.refresh()
    signals = LiveSignals({STREAM: LOOKBACK_BARS}, shelf, lambda *_: None, cost_bps=0.0)
    bars = closed_bars(decision_bars)
    signals.histories[STREAM].merge(bars[:LOOKBACK_BARS])
    in_use = shelf.of(STREAM)
    assert in_use is not None

    def cannot(*_: object, **__: object) -> object:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Classifier, "probabilities", cannot)
    assert signals.on_bar(bars[LOOKBACK_BARS]) is None
    assert shelf.models == ()
    assert f"it failed on {MARKET}: RuntimeError: out of memory" in shelf.refusals["syna"]
    monkeypatch.undo()
    assert not shelf.refresh()
    assert signals.on_bar(bars[LOOKBACK_BARS + 1]) is None
    put_live(settings, bundle, version=2)
    assert shelf.refresh()
    assert signals.on_bar(bars[LOOKBACK_BARS + 2]) is not None
    assert [event for event, _ in told] == ["model deployed", "model refused", "model deployed"]


def test_a_model_that_reads_several_rows_decides_when_the_bars_before_them_are_there(
    settings: Settings, decision_bars: pl.DataFrame, dataset: Dataset
) -> None:
    asked: list[tuple[object, ...]] = []
    shelf = DeployedModels(settings, lambda *_: None)
    signals = LiveSignals({STREAM: LOOKBACK_BARS}, shelf, lambda *gap: asked.append(gap), cost_bps=0.0)
    bars, look_back = closed_bars(decision_bars), LOOKBACK_BARS
    signals.histories[STREAM].merge(bars[BACK : look_back + BACK])
    with trailing() as parameters:
        windows = WalkForwardSettings(train_days=10, purge_days=1, embargo_days=1, test_days=5)
        spec = ModelSettings(markets=[MARKET], estimator=parameters, walk_forward=windows)
        kept = {"model": "syna", "dataset": dataset, "spec": spec, "labels": LabelSettings(), "metrics": {}}
        bundle = write(settings.bundles_dir, trained=train(dataset, spec), **kept)  # type: ignore[arg-type]
        put_live(settings, bundle)
        assert shelf.refresh()
        newest = bars[look_back + BACK]
        assert signals.on_bar(newest) is None
        assert asked == [(STREAM, bars[2].ts, bars[BACK + 1].ts)]
        signals.histories[STREAM].merge(bars[1 : BACK + 1])
        signals.go_on(STREAM)
        signal = signals.on_bar(bars[look_back + BACK + 1])
        assert signal is not None
        bars = decision_bars.filter(pl.col("ts") <= signal.ts)
        rows = features.compute(bars, timeframe=M15).tail(BACK)
        assert signal.probability == pytest.approx(bundle.predict(rows.tail(1), history=rows)[0], abs=1e-9)

        held = decision_bars.head(look_back + BACK - 1)
        other = held.with_columns(market=pl.lit("x:Y/Z"), close="open")
        questions = [Question(bundle, frame, {}) for frame in (held, other)]
        alone = [decide(bundle, frame).probabilities[Side.LONG] for frame in (held, other)]
        assert [one.probabilities[Side.LONG] for one in decide_together(questions)] == pytest.approx(alone, abs=1e-9)
        assert alone[0] != alone[1]
