"""A screening of what is stored: what it sees, what it counts, what it leaves."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from tests.screening.worlds import MARKET, candles
from tests.stores import fresh_store
from trading_assets.backtest.simulation.slices import decision_bars
from trading_assets.core.errors import ModelError
from trading_assets.registry.screenings import kept_screenings
from trading_assets.registry.searches import searched
from trading_assets.research import Project
from trading_assets.screening.stored import screen_stored
from trading_assets.settings import Settings, load_settings
from trading_assets.settings.sections.strategies import STRATEGIES
from trading_assets.store import Store
from trading_assets.store.tables import BARS, CANDLES, SCREENED_SETS
from trading_assets.validation import performance

DAYS = 60
SPACE = {"trend": {"rule.threshold": {"low": 0.2, "high": 1.5}, "rule.volatility": None}}


def project(folder: Path, **model: Any) -> Settings:
    """One rule on hours of 15-minute candles."""
    rule = {
        "kind": "rule",
        "markets": [MARKET],
        "label": "hours",
        "sides": ["long", "short"],
        "rule": {"kind": "momentum"},
    }
    base = load_settings(
        data_dir=folder / "data",
        history={"start": "2025-01-01"},
        markets={MARKET: {"source": "sample", "timeframe": "15m"}},
        labels={"hours": {"timeframe": "1h", "horizon_bars": 12}},
        models={},
        features={"leader": None},
    )
    asked = type(base.search).model_validate({"space": SPACE, "unseen_share": 0.4})
    return base.model_copy(update={"models": {"trend": STRATEGIES.read(rule | model)}, "search": asked})


def stored(folder: Path, frame: pl.DataFrame) -> Store:
    """A store with these candles, and their bars."""
    store, until = fresh_store(folder), frame["ts"][-1] + timedelta(minutes=15)
    bars = decision_bars(frame, timeframe="15m", decision_timeframe="1h", until=until)
    for table, rows in ((CANDLES, frame.with_columns(timeframe=pl.lit("15m"))), (BARS["1h"], bars)):
        whole = rows.with_columns(market=pl.lit(MARKET))
        missing = {name: kind for name, kind in table.columns.items() if name not in whole.columns}
        store.upsert(table, whole.with_columns(pl.lit(None, kind).alias(name) for name, kind in missing.items()))
    return store


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    """Sixty days."""
    return candles(DAYS * 96, seed=11)


def test_a_screening_sees_the_older_part_alone_and_says_from_when_on_others_judge(
    tmp_path: Path, frame: pl.DataFrame
) -> None:
    settings, store = project(tmp_path), stored(tmp_path, frame)
    found = screen_stored(settings, store, "trend", sets=40)
    split = found.part.split
    other = frame.with_columns(
        pl.when(pl.col("ts") >= split).then(pl.col(name) * 3).otherwise(name).alias(name)
        for name in ("open", "high", "low", "close")
    )
    (tmp_path / "other").mkdir()
    again = screen_stored(project(tmp_path / "other"), stored(tmp_path / "other", other), "trend", sets=40)
    assert again.part.split == split
    assert again.screened.table.equals(found.screened.table)
    assert (split - found.part.start) / (found.part.end - found.part.start) == pytest.approx(0.6, abs=0.02)

    fragment = yaml.safe_load(found.fragment_file.read_text())["models"]["trend"]
    assert fragment["walk_forward"]["tested_from"] == split.date()
    model = STRATEGIES.read({"kind": "rule", "markets": [MARKET], "label": "hours", **fragment})
    assert model.rule == found.screened.rules[int(found.best(1)["set"][0]) - 1]
    assert found.spec.rule == model.rule
    assert {"bars", "threshold", "trades", "net", "sharpe", "max_drawdown"} <= {*found.best(3).columns}
    assert "volatility" not in found.space
    rows = store.read(SCREENED_SETS)
    assert rows.height == found.screened.table.height
    assert json.loads(rows["tried"][0]) == {"bars": 24, "threshold": 1.0}
    assert rows["net"].to_list() == found.screened.table["net"].to_list()
    assert found.picture.read_bytes().startswith(b"<?xml")


def test_the_python_call_tries_and_counts_the_same_sets_and_stores_nothing(tmp_path: Path, frame: pl.DataFrame) -> None:
    settings, store = project(tmp_path), stored(tmp_path, frame)
    opened = Project(settings, store)
    opened.screen("trend", sets=20, count_trial=False)
    assert searched(settings, [MARKET]).count == 0
    found = opened.screen("trend", sets=20)
    assert searched(settings, [MARKET]).count == 20
    assert store.read(SCREENED_SETS).is_empty()
    assert kept_screenings(settings, [MARKET]) == []
    assert screen_stored(settings, store, "trend", sets=20).screened.table.equals(found.table)
    assert searched(settings, [MARKET]).count == 20, "the same again is no further try"
    opened.screen("trend", sets=20, sides=["long"])
    assert searched(settings, [MARKET]).count == 40


def test_every_set_is_a_trial_once_and_what_was_not_finished_too(
    tmp_path: Path, frame: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, store = project(tmp_path), stored(tmp_path, frame)
    assert searched(settings, [MARKET]).count == 0
    found = screen_stored(settings, store, "trend", sets=30)
    tried = searched(settings, [MARKET])
    assert (tried.count, sorted(tried.sharpes)) == (30, sorted(found.screened.table["sharpe"].to_list()))
    screen_stored(settings, store, "trend", sets=50)  # the same seed: thirty of them are known
    assert searched(settings, [MARKET]).count == 50
    assert searched(settings, ["sample:B/USDT:USDT"]).count == 0
    dearer = settings.trading.costs.model_copy(update={"taker_fee_bps": 9.0})
    costly = settings.model_copy(update={"trading": settings.trading.model_copy(update={"costs": dearer})})
    screen_stored(costly, store, "trend", sets=30)
    assert searched(settings, [MARKET]).count == 80, "other costs are another trial"

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trading_assets.screening.frames.Screening.screen", killed)
    with pytest.raises(KeyboardInterrupt):
        screen_stored(settings, store, "trend", sets=60)
    tried = searched(settings, [MARKET])
    assert (tried.count, len(tried.sharpes)) == (90, 80)


def test_daily_returns_of_all_sets_are_kept_for_those_who_ask_by_market(tmp_path: Path, frame: pl.DataFrame) -> None:
    settings = project(tmp_path)
    found = screen_stored(settings, stored(tmp_path, frame), "trend", sets=20, grid=True)
    (kept,) = kept_screenings(settings, [MARKET])
    assert kept_screenings(settings, ["sample:B/USDT:USDT"]) == []
    returns = kept["returns"].to_numpy()
    assert returns.shape == found.screened.returns.shape
    assert returns == pytest.approx(found.screened.returns, abs=1e-7)
    assert performance.sharpe(returns.astype(np.float64)) == pytest.approx(kept["sharpe"].to_numpy(), abs=1e-3)
    assert kept["first_day"][0] == found.screened.first_day == frame["ts"][0]
    assert kept["configuration"].n_unique() == kept.height
    assert found.kept.stat().st_size < 20 * returns.size


def test_what_cannot_be_screened_is_refused_by_name(tmp_path: Path, frame: pl.DataFrame) -> None:
    store = stored(tmp_path, frame.head(30 * 96))
    learnt = project(tmp_path).model_copy(
        update={"models": {"a": STRATEGIES.read({"markets": [MARKET], "label": "hours"})}}
    )
    with pytest.raises(ModelError, match="a model that is trained is not screened"):
        screen_stored(learnt, store, "a")
    with pytest.raises(ModelError, match=r"30.0 days of history .* 14 are needed of each"):
        screen_stored(project(tmp_path), store, "trend")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="no bars are stored"):
        screen_stored(project(tmp_path), fresh_store(tmp_path / "empty"), "trend")
    settings = project(tmp_path)
    nothing = dict.fromkeys(("rule.bars", "rule.volatility", "rule.threshold"))
    asked = settings.search.model_copy(update={"space": {"trend": nothing}})
    with pytest.raises(ModelError, match="nothing of its rule is to be tried"):
        screen_stored(settings.model_copy(update={"search": asked}), store, "trend")
