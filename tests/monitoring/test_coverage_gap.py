"""How far the live prediction sets of a model fall short of their promise, and that the node hears of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.monitoring.exported.test_stored import put
from trading_assets.monitoring.coverage_gap import FEWEST, tell_coverage_gap
from trading_assets.registry.facts import read_facts
from trading_assets.settings import Settings
from trading_assets.store import Store
from trading_assets.store.tables import LABELS, SIGNALS

NOW = datetime(2025, 5, 1, 12, tzinfo=UTC)
MARKET = "sample:SYNA/USDT:USDT"


def of_sets(settings: Settings, folder: Path) -> Settings:
    spec = settings.models["syna"]
    with_sets = spec.model_copy(update={"confidence": spec.confidence.model_copy(update={"conformal": 0.9})})  # type: ignore[union-attr]
    return settings.model_copy(update={"models": {"syna": with_sets}, "data_dir": folder})


def decided(store: Store, settings: Settings, count: int, wrong: int) -> None:
    bars = [NOW - n * timedelta(minutes=15) for n in range(1, count + 1)]
    signal = {"model": "syna", "model_version": 2, "market": MARKET, "side": 1, "prediction_set": 1}
    put(store, SIGNALS, *(signal | {"seq": n, "bar_ts": bar, "ts": bar} for n, bar in enumerate(bars)))
    outcome = {"market": MARKET, "label_set": settings.models["syna"].label, "timeframe": "15m", "side": 1}
    labels = (outcome | {"ts": bar, "label": -1 if n < wrong else 1} for n, bar in enumerate(bars))
    put(store, LABELS, *labels)


def test_the_gap_is_promised_less_measured_and_the_node_is_told(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    settings = of_sets(settings, tmp_path)
    decided(store, settings, FEWEST, wrong=FEWEST // 4)
    assert tell_coverage_gap(store, settings, "syna", 2) == pytest.approx(15.0)
    assert read_facts(settings.live_dir) == {"coverage_gap_pct": {("model", "syna"): pytest.approx(15.0)}}
    assert tell_coverage_gap(store, settings, "syna", 3) is None, "another version has decided nothing yet"
    assert read_facts(settings.live_dir) == {"coverage_gap_pct": {}}


def test_few_decisions_are_no_gap(store: Store, settings: Settings, tmp_path: Path) -> None:
    settings = of_sets(settings, tmp_path)
    decided(store, settings, FEWEST - 1, wrong=50)
    assert tell_coverage_gap(store, settings, "syna", 2) is None
    assert not (settings.live_dir / "facts").exists()


def test_a_model_without_sets_promises_nothing(store: Store, settings: Settings, tmp_path: Path) -> None:
    told = settings.model_copy(update={"data_dir": tmp_path})
    decided(store, told, FEWEST, wrong=50)
    assert tell_coverage_gap(store, told, "syna", 2) is None
