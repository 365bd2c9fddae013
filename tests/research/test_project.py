"""What is asked for from Python is what the assets made; what is computed in memory is the same, to the bit."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime, timedelta, timezone

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.defs.small import SYNA
from trading_assets import research
from trading_assets.core.errors import InvalidFrame, ModelError, SettingsError, StoreError
from trading_assets.registry import Registry
from trading_assets.research import FramesOver, Project
from trading_assets.store.tables import BARS, CANDLES, FEATURES, TABLES


def test_importing_it_loads_no_engine_scheduler_or_learner() -> None:
    heavy = ("dagster", "lightgbm", "xgboost", "sklearn", "nautilus_trader", "mlflow", "matplotlib", "ccxt", "pandera")
    code = f"import sys; from trading_assets import research; print([m for m in {heavy} if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_tables_are_read_by_what_is_named_and_by_time(project: Project) -> None:
    day = project.candles(SYNA, start="2025-01-10", end="2025-01-11")
    assert 1_400 < day.height <= 1_440
    assert set(day["timeframe"]) == {"1m"}
    assert set(day["ts"].dt.date()) == {date(2025, 1, 10)}
    assert project.candles(start=date(2025, 1, 10), end=date(2025, 1, 11)).equals(day)
    shifted = datetime(2025, 1, 10, 2, tzinfo=timezone(timedelta(hours=2)))
    assert project.candles(start=shifted, end="2025-01-11").equals(day), "a time zone is heeded"
    assert project.features(timeframe="15m").equals(project.store.read(FEATURES))
    assert project.features(timeframe="1h").is_empty()
    assert set(project.labels(label_set="default")["label"]) == {-1, 0, 1}
    assert project.predictions("syna", SYNA).height == project.folds("syna")["test_rows"].sum()
    assert set(project.trades("syna")["version"]) == {1}
    assert project.trades("syna", 2).is_empty()
    assert project.metrics("syna")["trades"] == project.trades("syna").height


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda of: of.candles("binance:BTC/USDT"), "no market 'binance:BTC/USDT' in the settings; known: sample:SYNA"),
        (lambda of: of.predictions("synna"), "no model 'synna' in the settings; did you mean 'syna'?"),
        (lambda of: of.labels(label_set="fast"), "no label set 'fast'"),
        (lambda of: of.candles(start="last week"), "no time: 'last week'; e.g. 2025-02-01"),
        (lambda of: of.model("syna", treshold=0.6), r"models\.syna: treshold: .*; see docs/reference/settings\.md"),
        (lambda of: of.model("syna", label="fast"), "fast"),
        (lambda of: of.bars("7m"), "7m"),
    ],
)
def test_what_is_not_there_is_named(project: Project, ask: object, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        ask(project)  # type: ignore[operator]


def test_bars_features_and_labels_in_memory_are_the_stored_ones(project: Project) -> None:
    candles, bars = project.candles(SYNA), project.bars("15m", SYNA)
    assert_frame_equal(research.bars(candles, "15m"), bars, check_exact=True)
    computed, stored = project.compute_features(bars), project.features(SYNA)
    assert computed.columns == stored.columns
    assert_frame_equal(computed.sort("ts"), stored.sort("ts"), check_exact=True)
    labelled = project.compute_labels(bars, candles).sort("ts")
    assert_frame_equal(labelled, project.labels(SYNA).sort("ts"), check_exact=True)


def test_other_settings_of_a_label_set_give_other_labels(project: Project) -> None:
    bars, candles = project.bars("15m", end="2025-01-20"), project.candles(end="2025-01-20")
    longer = project.compute_labels(bars, candles, horizon_bars=48)
    assert longer["bars_to_hit"].max() > project.labels()["bars_to_hit"].max()  # type: ignore[operator]


def test_walk_forward_and_backtest_in_memory_are_what_the_assets_stored(project: Project) -> None:
    before = {name: project.store.read(TABLES[name]).height for name in TABLES if not TABLES[name].on_demand}
    counted = Registry(project.settings).trials([SYNA])
    result = project.walk_forward("syna")
    stored = project.predictions("syna").drop("model")
    assert_frame_equal(result.predictions, stored, check_exact=True, check_column_order=False)
    traded = project.backtest("syna", result.predictions)
    assert_frame_equal(traded.trades, project.trades("syna"), check_exact=True)
    assert_frame_equal(traded.equity, project.equity("syna"), check_exact=True)
    kept = project.metrics("syna")
    assert {name: traded.metrics[name] for name in kept if name in traded.metrics} == pytest.approx(
        {name: kept[name] for name in kept if name in traded.metrics}, nan_ok=True
    )
    assert {"sharpe", "dsr", "pbo", "skill_low"} <= set(traded.metrics)
    assert Registry(project.settings).trials([SYNA]) == counted, "the same as the version's: no further try"
    assert {name: project.store.read(TABLES[name]).height for name in before} == before, "nothing is stored"


def test_every_other_try_counts_once_unless_it_is_said_not_to(project: Project) -> None:
    registry, changes = Registry(project.settings), {"estimator": {"kind": "logistic"}}
    before = registry.trials([SYNA]).count
    other = project.walk_forward("syna", count_trial=False, **changes)
    told = project.backtest("syna", other.predictions, count_trial=False, **changes)
    assert "dsr" not in told.metrics
    assert registry.trials([SYNA]).count == before
    for _ in range(2):  # the same again is no further try
        other = project.walk_forward("syna", project.dataset("syna"), **changes)
        assert registry.trials([SYNA]).count == before + 1
        told = project.backtest("syna", other.predictions, **changes)
        assert registry.trials([SYNA]).count == before + 1, "a walk-forward and its backtest are one try"
        assert told.metrics["sharpe"] in registry.trials([SYNA]).sharpes
    dear = project.changed(trading={"costs": {"slippage_bps": 20}})
    assert dear.backtest("syna", other.predictions, **changes).metrics["sharpe"] != told.metrics["sharpe"]
    assert registry.trials([SYNA]).count == before + 2


def test_frames_stand_in_the_place_of_tables(project: Project) -> None:
    """What is learnt from frames is what is learnt from tables of the same rows."""
    features, labels = project.features(), project.labels()
    whole = project.dataset("syna")
    assert project.dataset("syna", features=features, labels=labels.reverse()).content_hash == whole.content_hash
    fewer = labels.filter(pl.col("ts") < pl.col("ts").max() - timedelta(days=7))
    assert project.dataset("syna", labels=fewer).frame.equals(whole.frame.join(fewer, on="ts", how="semi"))
    with pytest.raises(ModelError, match="no labelled rows"):
        project.dataset("syna", labels=labels.clear())
    candles = project.candles()
    assert project.backtest("syna", candles=candles, count_trial=False).trades.equals(project.trades("syna"))


def test_a_frame_over_a_store_answers_as_the_store_and_takes_nothing(project: Project) -> None:
    store, table = project.store, BARS["15m"]
    over = FramesOver.of(store, (table, store.read(table).sample(fraction=1.0, shuffle=True, seed=1)))
    where, begin = {"market": SYNA}, datetime.fromisoformat("2025-01-20T00:00Z")
    for ask in (
        lambda of: of.read(table, where={"market": [SYNA]}, start=begin, columns=["ts", "close"]),
        lambda of: of.read(table, where={"market": "other"}),
        lambda of: of.tail(table, where=where, before=begin, rows=3),
        lambda of: of.read(CANDLES, where=where, end=begin),
    ):
        assert_frame_equal(ask(over), ask(store))
    assert over.bounds(table, where=where) == store.bounds(table, where=where)
    with over.kept_open():
        assert over.query("SELECT count(*) AS n FROM candles").item() > 0
    rows = over.read(table)
    for write in (lambda: over.upsert(table, rows), lambda: over.replace(table, rows, where=where)):
        with pytest.raises(StoreError, match="bars_15m: frames in memory are not written"):
            write()
    with pytest.raises(InvalidFrame, match="no column market"):
        FramesOver.of(store, (table, over.read(table).drop("market")))
    assert FramesOver.of(store, (table, None)) is store


def test_bars_are_those_of_one_market(project: Project) -> None:
    candles = project.candles(end="2025-01-02")
    both = pl.concat([candles, candles.with_columns(market=pl.lit("sample:OTHER/USDT"))])
    with pytest.raises(InvalidFrame, match="one market"):
        research.bars(both, "1h")
    assert research.bars(candles.clear(), "1h").is_empty()


def test_pictures_are_drawn_and_too_much_is_refused(project: Project) -> None:
    equity, trades = project.equity("syna"), project.trades("syna")
    hours = timedelta(hours=6)
    bars = project.bars("15m", start=trades["entry_ts"][0] - hours, end=trades["exit_ts"][0] + hours)
    for picture in (research.plot_equity(equity), research.plot_trades(bars, trades)):
        assert picture._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(InvalidFrame, match="no rows"):
        research.plot_equity(equity.clear())
    with pytest.raises(InvalidFrame, match="candles; give from 2 to 2,000"):
        research.plot_trades(project.candles(), trades)
