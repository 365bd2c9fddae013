"""What shadow signals would have earned, and who is better."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from tests.live.conftest import MARKET, START, MakeBundle, put_live
from trading_assets import models
from trading_assets.backtest.challengers import ShadowRecord, compare_in_shadow, keep, to_promote
from trading_assets.backtest.report.challengers import page_of, render_challengers
from trading_assets.backtest.report.files import reports
from trading_assets.backtest.simulation.engine import run_backtest
from trading_assets.core.errors import TradingError
from trading_assets.registry.deployment import DeployedModel, Manifest, shadow
from trading_assets.settings import LabelSettings, Settings, load_settings
from trading_assets.settings.sections.promotion import PromotionSettings
from trading_assets.store import Store, open_store
from trading_assets.store.tables import CANDLES, CHALLENGERS, SHADOW_EQUITY, SHADOW_SIGNALS, SHADOW_TRADES
from trading_cli.research import challengers

ATR = LabelSettings(barriers="atr", horizon_bars=6)
SINCE = START - timedelta(days=14)


@pytest.fixture(scope="module")
def said(decision_rows: pl.DataFrame) -> pl.DataFrame:
    """The feature rows that decisions are made from."""
    return decision_rows.filter(pl.col("ts") >= SINCE)


@pytest.fixture(scope="module")
def own_store(live_store_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = open_store(f"duckdb:///{tmp_path_factory.mktemp('own') / 'own.duckdb'}")
    store.upsert(
        CANDLES, open_store(f"duckdb:///{live_store_file}").read(CANDLES, where={"market": MARKET}, start=SINCE)
    )
    return store


def answers(said: pl.DataFrame, bundle: models.Bundle, version: int, *, role: str, threshold: float) -> pl.DataFrame:
    """Rows of ``shadow_signals`` of a bundle that wants a trade from a probability on."""
    probability = bundle.predict(said)
    width = pl.lit(0.006)
    return said.select(
        node=pl.lit("n"),
        seq=pl.int_range(pl.len()),
        ts="known_at",
        market="market",
        timeframe=pl.lit("15m"),
        bar_ts="ts",
        model=pl.lit("syna"),
        model_version=pl.lit(version, pl.Int32),
        bundle_hash=pl.lit(bundle.bundle_hash[:16]),
        role=pl.lit(role),
        side=pl.lit(1, pl.Int8),
        probability=probability,
        threshold=pl.lit(threshold),
        take_profit=width,
        stop_loss=width,
        action=pl.when(probability >= threshold).then(pl.lit("enter")).otherwise(pl.lit("hold")),
    )


@pytest.fixture(scope="module")
def spoken(
    tmp_path_factory: pytest.TempPathFactory, own_store: Store, make_bundle: MakeBundle, said: pl.DataFrame
) -> Settings:
    """A champion, a challenger that wants fewer trades, and one that came twelve days later."""
    settings = load_settings(data_dir=tmp_path_factory.mktemp("spoken"))
    champion = make_bundle(settings.bundles_dir, labels=ATR)
    picky, late = (make_bundle(settings.bundles_dir, labels=ATR, threshold=one) for one in (0.41, 0.42))
    put_live(settings, champion)
    for version, bundle in ((2, picky), (3, late)):
        shadow(settings.live_dir, DeployedModel.of(bundle, version, settings.data_dir, datetime.now(UTC)))
    own_store.upsert(SHADOW_SIGNALS, answers(said, champion, 1, role="champion", threshold=0.0))
    own_store.upsert(SHADOW_SIGNALS, answers(said, picky, 2, role="challenger", threshold=0.41))
    newest = said.filter(pl.col("ts") >= START)
    own_store.upsert(SHADOW_SIGNALS, answers(newest, late, 3, role="challenger", threshold=0.42))
    return settings


@pytest.fixture(scope="module")
def records(spoken: Settings, own_store: Store) -> list[ShadowRecord]:
    return compare_in_shadow(spoken, own_store, "syna")


def test_hypothetical_trades_are_the_backtests_own(
    records: list[ShadowRecord], spoken: Settings, own_store: Store, said: pl.DataFrame, make_bundle: MakeBundle
) -> None:
    champion, picky, _ = records
    bundle = make_bundle(spoken.bundles_dir, labels=ATR, threshold=0.41)
    rows = said.select("market", "ts", "known_at", probability=bundle.predict(said), take_profit=0.006, stop_loss=0.006)
    assert rows.height == picky.decisions == champion.decisions
    directly = run_backtest(
        rows,
        {MARKET: own_store.read(CANDLES, where={"market": MARKET})},
        candle_timeframe="1m",
        model=bundle.spec,
        labels=ATR,
        settings=spoken.simulation,
        risk=spoken.trading.risk,
        name="syna",
        version=2,
        reckoned_bps=spoken.trading.costs.round_trip_bps,
    )
    assert picky.result is not None
    assert directly.trades.height > 20
    assert picky.result.trades.equals(directly.trades)
    assert picky.result.equity.equals(directly.equity)


def test_versions_are_compared_on_the_bars_that_both_answered_on(
    records: list[ShadowRecord], spoken: Settings, own_store: Store
) -> None:
    champion, picky, late = records
    assert [one.is_champion for one in (champion, picky, late)] == [True, False, False]
    assert champion.better is None
    assert picky.better is not None
    assert 0 <= picky.better <= 1
    assert picky.champion_return == pytest.approx(champion.result.metrics["total_return"])  # type: ignore[union-attr]
    assert picky.common_days >= 15
    assert late.better is None
    assert late.note == f"{late.common_days} days in common, 10 are needed to compare"
    assert late.first == START
    rows = keep(spoken, own_store, "syna", [champion, picky, late])
    assert own_store.read(CHALLENGERS).equals(rows)
    assert rows["champion"].to_list() == [1, 1, 1]
    assert rows["sharpe_low"][0] < rows["sharpe"][0] < rows["sharpe_high"][0]
    assert own_store.read(SHADOW_EQUITY).group_by("version").len().height == 3
    assert own_store.read(SHADOW_TRADES).height == rows["trades"].sum()


def test_days_on_which_nobody_answered_are_no_days_in_shadow(
    spoken: Settings, own_store: Store, records: list[ShadowRecord], tmp_path: Path
) -> None:
    store = open_store(f"duckdb:///{tmp_path / 'stood.duckdb'}")
    store.upsert(CANDLES, own_store.read(CANDLES))
    silent = pl.col("bar_ts").is_between(SINCE + timedelta(days=3), START, closed="left")
    store.upsert(SHADOW_SIGNALS, own_store.read(SHADOW_SIGNALS).filter(~silent))
    _, picky, late = compare_in_shadow(spoken, store, "syna")
    assert picky.days == pytest.approx(records[1].days)
    assert picky.common_days == 3 + late.common_days < 10 <= records[1].common_days
    assert picky.better is None, "it stood still for the rest"
    assert picky.note == f"{picky.common_days} days in common, 10 are needed to compare"


def test_what_cannot_be_measured_says_why(
    spoken: Settings, own_store: Store, make_bundle: MakeBundle, tmp_path: Path
) -> None:
    spoken = spoken.model_copy(update={"data_dir": shutil.copytree(spoken.data_dir, tmp_path / "data")})
    silent = make_bundle(spoken.bundles_dir, labels=ATR, threshold=0.5)
    shadow(spoken.live_dir, DeployedModel.of(silent, 4, spoken.data_dir, datetime.now(UTC)))
    lost = spoken.bundles_dir / "syna" / make_bundle(spoken.bundles_dir, labels=ATR, threshold=0.41).bundle_hash[:16]
    (lost / "bundle.json").unlink()
    _, picky, _, fourth = compare_in_shadow(spoken, own_store, "syna")
    assert fourth.note == "it has not answered yet"
    assert picky.result is None
    assert str(lost) in picky.note
    rows = keep(spoken, own_store, "syna", [picky, fourth])
    assert rows["decisions"].to_list() == [picky.decisions, 0]
    assert rows["first_ts"][1] is None


def test_the_page_shows_every_version_and_its_equity(
    records: list[ShadowRecord], spoken: Settings, own_store: Store
) -> None:
    rows = keep(spoken, own_store, "syna", records).to_dicts()
    page = render_challengers(records, rows, spoken, created_at=START)
    assert page == page_of(spoken.reports_dir, "syna")
    text = page.read_text()
    assert "version 1 (champion)" in text
    assert "version 2" in text
    assert f"{rows[1]['net_return']:+.2%}" in text
    assert f"{rows[1]['better']:.0%}" in text
    assert text.count("data:image/svg+xml") == 1
    assert "SYNTHETIC DATA" in text
    assert reports(spoken.reports_dir) == []


def test_a_challenger_is_due_after_its_days_where_it_is_surely_enough_better() -> None:
    row = dict.fromkeys(CHALLENGERS.columns, None) | {"model": "m", "champion": 1, "note": ""}
    shown = [
        *((1, 40, None, 50), (2, 40, 0.7, 50), (3, 40, 0.95, 10), (4, 29, 0.99, 50), (5, 40, 0.59, 50)),
        *((6, 40, None, 50), (7, 40, 0.99, 9), (8, 40, 0.99, 0), (9, 40, 0.99, None)),
    ]
    rows = pl.DataFrame(
        [
            row | {"version": version, "common_days": days, "better": better, "trades": trades}
            for version, days, better, trades in shown
        ],
        schema=CHALLENGERS.columns,
    )
    assert to_promote(rows, PromotionSettings()) == {}
    due = to_promote(rows, PromotionSettings(challenger_days=30))
    why = "better than version 1 with a probability of 95% after 40 days and 10 trades in shadow"
    assert {model: (one.version, one.champion, one.reason) for model, one in due.items()} == {"m": (3, 1, why)}
    assert to_promote(rows, PromotionSettings(challenger_days=30, min_better=0.96)) == {}, "7 to 9 hardly traded"
    assert to_promote(rows, PromotionSettings(challenger_days=30, min_trades=9))["m"].version == 7
    assert to_promote(rows.clear(), PromotionSettings(challenger_days=30)) == {}


def test_the_command_shows_them_as_a_table_and_as_json(
    records: list[ShadowRecord], spoken: Settings, own_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trading_assets.backtest.challengers.compare_in_shadow", lambda *_: records)
    monkeypatch.setattr(challengers, "begin", lambda _: spoken)
    monkeypatch.setattr("trading_assets.store.configured_store", lambda _: own_store)
    monkeypatch.setattr(challengers.console, "width", 200)
    runner, app = CliRunner(), typer.Typer()
    app.command()(challengers.challengers)
    found = runner.invoke(app, ["--json"])
    assert found.exit_code == 0, found.output
    assert [one["version"] for one in json.loads(found.stdout)] == [1, 2, 3]
    with challengers.console.capture() as printed:
        assert runner.invoke(app, ["syna"]).exit_code == 0
    assert "1 champion" in printed.get()
    assert "version 3: 2 days in common" in printed.get()
    monkeypatch.setattr("trading_assets.registry.read_manifest", lambda _: Manifest())
    with challengers.console.capture() as printed:
        assert runner.invoke(app, []).exit_code == 1
    assert "No challenger is in shadow." in printed.get()
    unknown = runner.invoke(app, ["nobody"])
    assert isinstance(unknown.exception, TradingError)
