"""`trading explain`: a decision rebuilt from candles and bundle, held against what is journalled of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from tests.live.conftest import MARKET, START, MakeBundle
from trading_assets import models
from trading_assets.core.errors import ModelError, NodeError
from trading_assets.core.sides import Side
from trading_assets.journal import JOURNAL_FILE, PLANS, Answer, Journal, load_journal, pack, shadow_event
from trading_assets.lineage import JournalEvents, StoredEvents, explain
from trading_assets.lineage.trail import find
from trading_assets.models import Classifier
from trading_assets.models.confidence import Confidence
from trading_assets.models.confidence.conformal import Conformal
from trading_assets.models.confidence.sigmoid import Sigmoid
from trading_assets.models.estimators.deep.lstm import Network, Scaling, Weights
from trading_assets.models.estimators.odds import log_odds
from trading_assets.models.training import TrainedModel
from trading_assets.settings import LabelSettings, LSTMSettings, ModelSettings, Settings
from trading_assets.store import Store, open_store
from trading_assets.store.tables import CANDLES, FILLS, LIVE_FEATURES, ORDERS, POSITIONS, SIGNALS
from trading_assets.strategies.decisions import bars_needed, decide
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.orders.journal_rows import plan_row, signal_row
from trading_assets.strategies.orders.order_ids import OrderIds
from trading_assets.strategies.plans.plan import TradePlan
from trading_assets.strategies.signals import Signal
from trading_cli.console import console
from trading_cli.main import app

BAR = START + timedelta(hours=5)
M15 = timedelta(minutes=15)
EXIT = BAR + timedelta(hours=1)


@pytest.fixture
def bundle(live_settings: Settings, make_bundle: MakeBundle) -> models.Bundle:
    return make_bundle(live_settings.bundles_dir)


def journalled(settings: Settings, bundle: models.Bundle, bars: pl.DataFrame, **changed: Any) -> Signal:
    """A node's journal of one trade that reached its target; ``changed`` is what it says otherwise."""
    held = bars.filter(pl.col("ts") <= BAR).tail(bars_needed(bundle))
    made = decide(bundle, held)
    assert made.take_profit is not None
    assert made.stop_loss is not None
    signal = Signal(
        market=MARKET,
        ts=BAR,
        known_at=BAR + M15,
        probability=changed.get("probability", made.probabilities[Side.LONG]),
        rule=EntryRule(min_edge_bps=-1e6),
        take_profit_pct=100 * made.take_profit,
        stop_loss_pct=100 * made.stop_loss,
        horizon_bars=4,
        model="syna",
        model_version=1,
        bundle_hash=changed.get("bundle_hash", bundle.bundle_hash),
    )
    plan = TradePlan.of(signal, quantity=2.0, entry_order_id="O-1").filled(2.0, 100.0)
    by = {"market": MARKET, "signal_id": signal.signal_id}
    order = by | {"side": "buy", "order_type": "market", "quantity": 2.0, "price": None, "reason": ""}
    fill = by | {"order_id": "O-1", "side": "buy", "quantity": 2.0, "fee": 0.1, "fee_currency": "USDT"}
    position = by | {"position_id": "P-1", "average_price": 100.0}
    seen = {
        "market": MARKET,
        "timeframe": "15m",
        "bar_ts": BAR,
        "model": "syna",
        "model_version": 1,
        "bundle_hash": bundle.bundle_hash,
        "probability_long": signal.probability,
        "packed": changed.get("packed", pack(made.features.select(bundle.features))),
    }
    journal = Journal(settings.live_dir / JOURNAL_FILE, "here")
    journal.write(
        [
            journal_event(kind, {"ts": BAR + M15, **event})
            for kind, event in (
                (LIVE_FEATURES.name, seen),
                signal_row(signal, "enter", signal.reason, ts=BAR + M15),
                (PLANS, plan_row(plan, BAR + M15)),
                *((ORDERS.name, order | {"order_id": "O-1", "purpose": "entry", "status": s}) for s in _LIFE),
                (FILLS.name, fill | {"trade_id": "T-1", "price": 100.0}),
                (POSITIONS.name, position | {"event": "opened", "quantity": 2.0, "realized_pnl": -0.1}),
                (PLANS, plan_row(replace(plan, stage="closed", exit_reason="take_profit"), EXIT)),
                (FILLS.name, fill | {"trade_id": "T-2", "side": "sell", "price": 100.8, "ts": EXIT}),
                (POSITIONS.name, position | {"event": "closed", "quantity": 0.0, "realized_pnl": 1.4, "ts": EXIT}),
                (ORDERS.name, order | {"order_id": "O-9", "purpose": "exit", "status": "filled", "signal_id": ""}),
            )
        ]
    )
    journal.close()
    return signal


_LIFE = ("submitted", "filled")


def journal_event(kind: str, event: dict[str, Any]) -> tuple[str, str, str]:
    from trading_assets.journal.events import encode

    return encode(kind, event)


def explained(settings: Settings, store: Store, reference: str = "") -> Any:
    events = JournalEvents(settings.live_dir / JOURNAL_FILE)
    return explain(reference, events=events, store=store, settings=settings)


def test_every_name_of_a_trade_leads_to_its_decision_which_is_rebuilt_to_the_bit(
    live_settings: Settings, live_store: Store, bundle: models.Bundle, decision_bars: pl.DataFrame
) -> None:
    signal = journalled(live_settings, bundle, decision_bars)
    for reference in ("", signal.signal_id, "O-1", "T-2", "P-1"):
        found = explained(live_settings, live_store, reference)
        assert found.trail.signal["signal_id"] == signal.signal_id
    assert (found.equal, found.apart, found.differing, found.doubts) == (True, 0.0, (), ())
    assert found.probability == signal.probability
    assert found.trail.plan.exit_reason == "take_profit"
    assert found.trail.closed["realized_pnl"] == 1.4
    assert found.trail.fills["price"].to_list() == [100.0, 100.8]
    assert found.rebuilt.held.source == "1m"
    assert (found.rebuilt.decision.take_profit, found.rebuilt.decision.stop_loss) == (0.008, 0.004)


def test_the_contributions_add_up_to_the_log_odds_but_for_a_constant_of_the_model(
    live_settings: Settings, live_store: Store, bundle: models.Bundle, decision_bars: pl.DataFrame
) -> None:
    journalled(live_settings, bundle, decision_bars)
    found = explained(live_settings, live_store)
    assert found.how == "shap"
    assert [one.feature for one in found.contributions] != list(bundle.features)
    assert {one.feature for one in found.contributions} == set(bundle.features)
    sizes = [abs(one.log_odds) for one in found.contributions]
    assert sizes == sorted(sizes, reverse=True)
    assert all(one.description for one in found.contributions)
    constant = log_odds(found.probability) - sum(one.log_odds for one in found.contributions)
    again = bundle.classifiers[Side.LONG]
    assert isinstance(again, Classifier)
    other = again.inputs(found.rebuilt.rows.with_columns(pl.col(bundle.features) * 0.9))
    told = again.contributions(other)
    assert told is not None
    assert log_odds(again.probabilities(other)[0]) - told.sum() == pytest.approx(constant)


def test_a_probability_that_is_not_the_rebuilt_one_is_said_with_how_far_and_exits_with_1(
    live_settings: Settings, live_store: Store, bundle: models.Bundle, decision_bars: pl.DataFrame
) -> None:
    row = decision_bars.select(pl.lit(0.5).alias(name) for name in bundle.features).head(1)
    signal = journalled(live_settings, bundle, decision_bars, probability=0.4, packed=pack(row))
    found = explained(live_settings, live_store)
    assert not found.equal
    assert found.apart == abs(found.probability - 0.4)
    assert len(found.differing) > 100
    assert "features are others than the node journalled" in found.doubts[-1]
    ended = CliRunner().invoke(app, ["explain", signal.signal_id])
    assert ended.exit_code == 1
    assert f"{found.apart:.3g} apart, 0 is allowed" in ended.output


def test_the_command_shows_it_all_and_gives_it_as_json(
    live_settings: Settings, bundle: models.Bundle, decision_bars: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "width", 200)
    signal = journalled(live_settings, bundle, decision_bars)
    shown = CliRunner().invoke(app, ["explain", "T-1", "--top", "3"])
    assert shown.exit_code == 0, shown.output
    for said in (
        signal.signal_id,
        "equal to the last bit",
        "what moved it (SHAP)",
        f"{len(bundle.features) - 3} others",
        "submitted, filled",
        "+1.40 after fees, closed 2025-05-20 06:00 (take profit)",
        bundle.bundle_hash,
        bundle.provenance.dataset_hash,
        "built from 1m candles (",
    ):
        assert said in shown.output
    told = json.loads(CliRunner().invoke(app, ["explain", "O-1", "--json"]).output)
    assert told["rebuilt"]["equal"] is True
    assert told["signal"]["signal_id"] == signal.signal_id
    assert told["plan"]["exit_reason"] == "take_profit"
    assert len(told["contributions"]["of"]) == len(bundle.features)
    assert told["lineage"]["train_rows"] == bundle.provenance.train_rows


def test_what_was_loaded_into_the_store_is_explained_without_the_journals_file(
    live_settings: Settings, live_store_file: Path, bundle: models.Bundle, decision_bars: pl.DataFrame, tmp_path: Path
) -> None:
    signal = journalled(live_settings, bundle, decision_bars)
    shutil.copy(live_store_file, tmp_path / "own.duckdb")
    store = open_store(f"duckdb:///{tmp_path / 'own.duckdb'}")
    load_journal(store, live_settings.live_dir / JOURNAL_FILE)
    for reference in ("", signal.signal_id, "O-1", "T-2"):
        found = explain(reference, events=StoredEvents(store), store=store, settings=live_settings)
        assert (found.equal, found.differing, found.trail.plan) == (True, (), None)
        assert found.trail.fills.height == 2


def test_what_a_challenger_said_in_shadow_is_rebuilt_too(
    live_settings: Settings, live_store_file: Path, bundle: models.Bundle, decision_bars: pl.DataFrame, tmp_path: Path
) -> None:
    made = decide(bundle, decision_bars.filter(pl.col("ts") <= BAR).tail(bars_needed(bundle)))
    said = Answer("syna", 4, bundle.bundle_hash, 1, made.probabilities[Side.LONG], 0.3, 0.8, 0.4, "enter")
    journal = Journal(live_settings.live_dir / JOURNAL_FILE, "here")
    event = shadow_event(MARKET, "15m", BAR, ts=BAR + M15, champion=None, others=[said])
    journal.write([journal_event(*event)])
    journal.close()
    shutil.copy(live_store_file, tmp_path / "own.duckdb")
    store = open_store(f"duckdb:///{tmp_path / 'own.duckdb'}")
    load_journal(store, journal.path)
    reference = f"syna-v4-{MARKET}-{BAR:%Y%m%dT%H%M}"
    for events in (JournalEvents(journal.path), StoredEvents(store)):
        found = explain(reference, events=events, store=store, settings=live_settings)
        assert (found.equal, found.apart, found.bundle.bundle_hash) == (True, 0.0, bundle.bundle_hash)
        assert (found.trail.plan, found.trail.orders.height, found.differing) == (None, 0, None)
        assert found.trail.signal["reason"].startswith("in shadow, nothing is ordered on it")
        json.dumps(found.as_dict(3), allow_nan=False)
        for other in (reference.replace("v4", "v5"), reference[:-13] + "20259999T9999"):
            with pytest.raises(NodeError, match="is journalled; the journal has no signal yet"):
                explain(other, events=events, store=store, settings=live_settings)


def test_a_trade_is_found_by_what_the_ids_of_its_orders_begin_with(tmp_path: Path) -> None:
    ids, path, signal_id = OrderIds("main"), tmp_path / "journal.sqlite", "syna-v1-somewhere"
    by = {"market": MARKET, "signal_id": signal_id, "ts": BAR + M15}
    order = {"order_id": ids.entry(MARKET, signal_id, BAR + M15), "purpose": "entry", "status": "submitted"}
    journal = Journal(path, "here")
    journal.record_all([(SIGNALS.name, by | {"action": "enter", "side": 1}), (ORDERS.name, by | order)])
    journal.close()
    trail = find(ids.of_signal(MARKET, signal_id, BAR + M15), JournalEvents(path))
    assert (trail.signal["signal_id"], trail.correlation_id) == (signal_id, order["order_id"][:14])


# what cannot be explained


def test_what_is_not_journalled_and_what_no_signal_caused_is_said(
    live_settings: Settings, live_store: Store, bundle: models.Bundle, decision_bars: pl.DataFrame
) -> None:
    with pytest.raises(NodeError, match="no entry yet"):
        explained(live_settings, live_store)
    with pytest.raises(NodeError, match="the journal has no signal yet"):
        explained(live_settings, live_store, "O-1")
    signal = journalled(live_settings, bundle, decision_bars)
    with pytest.raises(NodeError, match=f"'nothing' is journalled; the newest signals are {signal.signal_id}"):
        explained(live_settings, live_store, "nothing")
    with pytest.raises(NodeError, match=r"no signal caused 'O-9': exit buy of sample:SYNA/USDT:USDT at 2025"):
        explained(live_settings, live_store, "O-9")


def kept(store_file: Path, folder: Path, keep: pl.Expr) -> Store:
    """A store with some of the candles."""
    store = open_store(f"duckdb:///{folder / 'some.duckdb'}")
    store.upsert(CANDLES, open_store(f"duckdb:///{store_file}").read(CANDLES).filter(keep))
    return store


def test_missing_candles_are_named_with_what_to_do(
    live_settings: Settings, live_store_file: Path, bundle: models.Bundle, decision_bars: pl.DataFrame, tmp_path: Path
) -> None:
    journalled(live_settings, bundle, decision_bars)
    needed, ts = bars_needed(bundle), pl.col("ts")
    first = BAR - (needed - 1) * M15
    with pytest.raises(ModelError, match=rf"97 of {needed:,} 15m bars are stored: .*--from {first:%Y-%m-%d}"):
        explained(live_settings, kept(live_store_file, tmp_path, ts >= BAR - timedelta(days=1)))
    (tmp_path / "some.duckdb").unlink()
    with pytest.raises(ModelError, match=r"decided on is not stored \(newest before it: 2025-05-20 03:45\)"):
        explained(live_settings, kept(live_store_file, tmp_path, ts < BAR - timedelta(hours=1)))
    (tmp_path / "some.duckdb").unlink()
    found = explained(
        live_settings,
        kept(live_store_file, tmp_path, ~ts.is_between(BAR - timedelta(hours=9), BAR - timedelta(hours=7))),
    )
    assert not found.equal or found.differing
    assert "1m candles of the look-back are not stored: trading gaps shows them" in found.doubts[0]
    assert found.rebuilt.held.missing >= 121


def test_a_bundle_that_is_gone_or_of_other_code_is_said(
    live_settings: Settings,
    live_store: Store,
    bundle: models.Bundle,
    decision_bars: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journalled(live_settings, bundle, decision_bars)
    with monkeypatch.context() as patch:
        patch.setattr("trading_assets.features.fingerprint", lambda *_: "f" * 64)
        found = explained(live_settings, live_store)
    assert found.equal
    assert found.doubts[0].startswith(
        f"the features that decided had the fingerprint {bundle.feature_fingerprint[:16]}"
    )
    assert f"run the code of the bundle ({bundle.provenance.code_version}" in found.doubts[0]
    shutil.rmtree(bundle.folder)
    with pytest.raises(ModelError, match=f"the bundle {bundle.bundle_hash[:16]} that decided is not there"):
        explained(live_settings, live_store)


# other models


def test_a_calibrated_model_shows_both_probabilities_and_its_sets(
    live_settings: Settings,
    live_store: Store,
    bundle: models.Bundle,
    dataset: models.Dataset,
    decision_bars: pl.DataFrame,
) -> None:
    plain = bundle.classifiers[Side.LONG]
    assert isinstance(plain, Classifier)
    known = Confidence(
        curve=Sigmoid(slope=0.5, intercept=-0.2), conformal=Conformal(coverage=0.9, quantile=0.45, rows=99)
    )
    made = bundle.provenance
    trained = TrainedModel({Side.LONG: replace(plain, confidence=known)}, made.train_start, made.train_end, 9, 0.4)
    calibrated = models.write(
        live_settings.bundles_dir,
        model="syna",
        trained=trained,
        dataset=dataset,
        spec=bundle.spec,
        labels=bundle.labels,
        metrics={},
    )
    journalled(live_settings, calibrated, decision_bars)
    found = explained(live_settings, live_store)
    assert not found.equal, "the journal says nothing of the set"
    assert found.apart == 0
    assert found.prediction_set in (0, 1, 2, 3)
    raw = found.rebuilt.raw(Side.LONG)
    assert found.probability == known.probabilities(np.array([raw]))[0] != raw
    shown = CliRunner().invoke(app, ["explain"]).output
    assert f"{raw!r} before calibration (sigmoid)" in shown
    assert "equal, but for the prediction set" in shown


def test_a_model_that_reads_windows_is_rebuilt_and_explained_by_what_is_missing(
    live_settings: Settings,
    live_store: Store,
    dataset: models.Dataset,
    decision_bars: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = dataset.features[:12]
    spec = ModelSettings(markets=[MARKET], estimator=LSTMSettings(window=4, hidden=3), min_edge_bps=-1e6)
    rows = dataset.frame.select(pl.col(names).cast(pl.Float64)).to_numpy()
    rng, inputs = np.random.default_rng(1), 12
    shapes = {"entry": (12, inputs), "state": (12, 3), "bias": (12,), "head": (3,), "odds": ()}
    weights = Weights(**{name: np.asarray(rng.normal(size=one), np.float32) for name, one in shapes.items()})
    fitted = Network(Scaling.of(rows, np.ones(len(rows)), 5.0), weights)
    assert fitted.scaling.inputs == inputs
    classifier = Classifier(names, spec.estimator, fitted.save())
    trained = TrainedModel({Side.LONG: classifier}, dataset.start, dataset.end, len(rows), 0.4)
    monkeypatch.setattr("trading_assets.models.estimators.deep.lstm.LSTM.version", lambda *_: "jax 0")
    bundle = models.write(
        live_settings.bundles_dir,
        model="syna",
        trained=trained,
        dataset=replace(dataset, features=names),
        spec=spec,
        labels=LabelSettings(take_profit_pct=0.8, stop_loss_pct=0.4, horizon_bars=4),
        metrics={},
    )
    journalled(live_settings, bundle, decision_bars)
    found = explained(live_settings, live_store)
    assert found.equal
    assert found.rebuilt.rows.height == 4
    assert (found.how, len(found.contributions)) == ("without", 12)
    assert found.contributions[0].log_odds != 0
