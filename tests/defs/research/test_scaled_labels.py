"""Scaled labels: the same however the months are run, and the same barriers wherever they are used."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import polars as pl
import pytest

from tests.defs.small import MONTHS, SYNA, Location, Undisturbed, copy_of
from trading_assets.core.sides import Side
from trading_assets.labels import label_window, scale_lookback
from trading_assets.models.decision import decide
from trading_assets.settings import DEFAULT_LABELS, LabelSettings, Settings
from trading_assets.store import open_store
from trading_assets.store.tables import BARS, LABELS
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.signals import ClosedBar
from trading_assets.strategies.stored_signals import StoredSignals

BOTH = {"markets": [SYNA], "sides": ["long", "short"]}
SCALED = {"barriers": "atr", "scale_bars": 96, "take_profit_multiple": 8.0, "stop_loss_multiple": 4.0}
_OF_A_BAR = ("market", "ts", "known_at", "open", "high", "low", "close", "volume")


@pytest.fixture(scope="module")
def at_once(location: Location, undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = copy_of(undisturbed, location, tmp_path_factory.mktemp("at_once"), labels={DEFAULT_LABELS: SCALED})
    run(location, settings, MONTHS[0], MONTHS[-1])
    return settings


def run(location: Location, settings: Settings, first: str, last: str) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        tags = location.months(SYNA, first, last)
        result = location.materialize(settings, "labels", instance=instance, tags=tags)
    assert result.success
    return result


def stored(settings: Settings) -> pl.DataFrame:
    return open_store(settings.store_url).read(LABELS, where={"market": SYNA})


def test_what_a_rule_bets_on_a_clock_of_activity_is_the_same_however_the_months_are_run(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    clock = {"by": "notional", "per_day": 48, "days": 3}
    rule = {"kind": "ema_cross_rsi", "fast": 2, "slow": 5, "rsi": 3, "overbought": 95, "oversold": 5}
    chosen = {DEFAULT_LABELS: {"kind": "meta", "rule": rule, "sampling": clock, **SCALED}}
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole, parts = (
        copy_of(undisturbed, location, tmp_path / name, labels=chosen, models={"syna": BOTH})
        for name in ("whole", "parts")
    )
    told = run(location, whole, MONTHS[0], MONTHS[-1]).asset_materializations_for_node("labels")[0].metadata
    for month in reversed(MONTHS):
        run(location, parts, month, month)
    found, known = stored(whole), ["ts", "side", "label", "label_end"]
    assert stored(parts).select(known).equals(found.select(known))
    assert found.height > 50
    assert set(found["side"]) == {1, -1}
    assert not found["ts"].is_duplicated().any(), "a rule bets on one side"
    outcomes = told["outcomes"].value
    assert "target first, or it paid" in outcomes  # type: ignore[operator]
    assert outcomes.count(DEFAULT_LABELS) == 2  # type: ignore[union-attr]
    assert told["distribution"].value.startswith("![labels by outcome](data:image/png")  # type: ignore[union-attr]


def test_scaled_labels_month_by_month_are_those_of_all_months_at_once(
    location: Location, undisturbed: Undisturbed, at_once: Settings, tmp_path: Path
) -> None:
    settings = copy_of(undisturbed, location, tmp_path, labels={DEFAULT_LABELS: SCALED})
    for month in reversed(MONTHS):  # the warm-up is read from the bars, not from an earlier run
        run(location, settings, month, month)
    whole, parts = stored(at_once), stored(settings)
    widths = ["take_profit", "stop_loss"]
    exact = [name for name in whole.columns if name not in (*widths, "return")]
    assert parts.select(exact).equals(whole.select(exact))
    for name in (*widths, "return"):
        assert (parts[name] - whole[name]).abs().max() < 1e-12  # type: ignore[operator]
    assert whole["stop_loss"].n_unique() > 0.9 * whole.height
    # The first bar with a label is the one whose warm-up is stored; nothing is labelled on less.
    first = undisturbed.store.read(BARS["15m"], where={"market": SYNA})["ts"][
        scale_lookback(settings.labels[DEFAULT_LABELS]) - 1
    ]
    assert whole["ts"].min() == first


def test_ambiguous_rows_are_stored_and_counted_whatever_the_policy(
    location: Location, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    found = []
    for policy in ("worst_case", "drop"):
        folder = tmp_path / policy
        folder.mkdir()
        narrow = {"take_profit_pct": 0.1, "stop_loss_pct": 0.1, "ambiguous": policy}
        settings = copy_of(undisturbed, location, folder, labels={DEFAULT_LABELS: narrow})
        result = run(location, settings, MONTHS[1], MONTHS[1])
        said = result.asset_materializations_for_node("labels")[0].metadata["ambiguous_share"].value
        begin, end = (datetime(2025, month, 1, tzinfo=UTC) for month in (2, 3))
        first, last = label_window(begin, end, settings=settings.labels[DEFAULT_LABELS])
        rows = stored(settings).filter(pl.col("ts") >= first, pl.col("ts") < last)
        assert said == pytest.approx(rows["ambiguous"].mean())
        assert said > 0.01
        found.append(rows)
    assert found[0].equals(found[1])  # nobody knows beforehand: such bars are predicted and traded, but do not train


def test_the_node_and_the_backtest_have_the_barriers_of_the_scaled_label(
    location: Location, undisturbed: Undisturbed, at_once: Settings
) -> None:
    bars = undisturbed.store.read(BARS["15m"], where={"market": SYNA})
    labels, chosen = stored(at_once), LabelSettings(**SCALED)  # type: ignore[arg-type]
    predictions = labels.with_columns(probability=pl.lit(0.6))
    backtest = StoredSignals(predictions, rule=EntryRule(threshold=0.5), labels=chosen)
    bundle: Any = SimpleNamespace(
        bundle_hash="",
        features=("close",),
        plugins=None,
        labels=chosen,
        spec=SimpleNamespace(exit_plan=None),
        lookback_rows=1,
        sides=(Side.LONG,),
        said_of=lambda *_: ([0.6], None),
    )
    for row in labels.gather_every(389).iter_rows(named=True):
        held = bars.filter(pl.col("ts") <= row["ts"]).tail(300)
        newest = held.row(-1, named=True)
        node = decide(bundle, held, compute=lambda frame, _: frame)
        said = backtest.on_bar(ClosedBar(timeframe="15m", **{name: newest[name] for name in _OF_A_BAR}))
        assert said is not None
        assert node.take_profit is not None
        assert node.stop_loss is not None
        assert 100 * node.take_profit == pytest.approx(said.take_profit_pct, rel=1e-9)
        assert 100 * node.stop_loss == pytest.approx(said.stop_loss_pct, rel=1e-9)
        assert said.take_profit_pct == pytest.approx(100 * row["take_profit"], rel=1e-12)
