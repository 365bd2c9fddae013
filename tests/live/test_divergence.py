"""Decisions that the stored feature rows make otherwise, from a store to the parts of the gap."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.live.conftest import MARKET, START, MakeBundle
from trading_assets.backtest.shadow import Contender
from trading_assets.divergence.attribution import DECISIONS, LIVE, attribute
from trading_assets.divergence.backtests import Beside, backtests_of, is_open
from trading_assets.divergence.decisions import decisions_of, with_known_at
from trading_assets.journal import pack
from trading_assets.performance.stored import finest
from trading_assets.settings import LabelSettings, load_settings
from trading_assets.store import Store, open_store
from trading_assets.store.tables import CANDLE_REVISIONS, FEATURES, LIVE_FEATURES, ORDERS, SIGNALS

LABELS = LabelSettings(barriers="atr", horizon_bars=4)
BARS = 64
M15 = timedelta(minutes=15)


@pytest.fixture(scope="module")
def decided(
    tmp_path_factory: pytest.TempPathFactory,
    live_store_file: Path,
    make_bundle: MakeBundle,
    decision_rows: pl.DataFrame,
) -> dict[str, Any]:
    """A node that entered on half of its bars; of two of them another row is stored than it decided on."""
    folder = tmp_path_factory.mktemp("stored")
    settings = load_settings(data_dir=folder / "data")
    rows = decision_rows.filter(pl.col("ts") >= START).head(BARS)
    threshold = float(make_bundle(settings.bundles_dir, labels=LABELS).predict(rows).median())  # type: ignore[arg-type]
    bundle = make_bundle(settings.bundles_dir, labels=LABELS, threshold=threshold)
    probability = bundle.predict(rows)
    wanted = probability >= threshold
    signals = rows.select(
        node=pl.lit("n"),
        seq=pl.int_range(pl.len()),
        market="market",
        signal_id=pl.format("s{}", pl.int_range(pl.len())),
        timeframe=pl.lit("15m"),
        bar_ts="ts",
        side=pl.lit(1, pl.Int8),
        probability=probability,
        action=pl.when(wanted).then(pl.lit("enter")).otherwise(pl.lit("hold")),
        reason=pl.lit("as the rule has it"),
        model=pl.lit("syna"),
        model_version=pl.lit(1, pl.Int32),
        bundle_hash=pl.lit(bundle.bundle_hash),
    )
    signals = pl.concat([pl.DataFrame(schema=SIGNALS.columns), signals], how="diagonal")
    packed = [pack(rows[n].select(bundle.features)) for n in range(rows.height)]
    live = signals.select("node", "seq", "market", "bar_ts", "model", "bundle_hash", packed=pl.Series(packed))
    live = pl.concat([pl.DataFrame(schema=LIVE_FEATURES.columns), live], how="diagonal")
    store = open_store(f"duckdb:///{shutil.copy(live_store_file, folder / 'market.duckdb')}")
    turned = [int(wanted.arg_true()[0]), int((~wanted).arg_true()[-1])]
    like = [int((~wanted).arg_true()[0]), int(wanted.arg_true()[0])]
    features = pl.concat([rows[like[turned.index(n)]] if n in turned else rows[n] for n in range(rows.height)])
    stored = features.with_columns(rows["ts"], rows["known_at"], timeframe=pl.lit("15m"))
    store.upsert(FEATURES, stored)
    contender = Contender("syna", 1, bundle.bundle_hash)
    return {
        "store": store,
        "settings": settings,
        "contender": contender,
        "signals": signals,
        "live": live,
        "turned": turned,
    }


def backtests(decided: dict[str, Any]) -> Beside:
    return backtests_of(*(decided[name] for name in ("store", "settings", "contender", "signals", "live")))


def gaps(decided: dict[str, Any], found: Beside) -> pl.DataFrame:
    """Of a node that traded just as its own signals' backtest does."""
    over = found.said.filter(~is_open())
    live = over.with_columns(filled_by=pl.lit("paper")).select(*LIVE)
    decisions = decisions_of(decided["signals"], pl.DataFrame(schema=ORDERS.columns), found.changed).select(*DECISIONS)
    candles = finest(decided["store"], decided["settings"], MARKET, START - timedelta(days=1))
    return attribute(live, over, found.stored.filter(~is_open()), candles, decisions)


def turned_at(decided: dict[str, Any]) -> list[Any]:
    known = with_known_at(decided["signals"])["known_at"]
    return [known[number] for number in decided["turned"]]


def test_a_decision_on_another_row_than_the_stored_one_is_of_the_features(decided: dict[str, Any]) -> None:
    found = backtests(decided)
    assert sorted(found.changed["bar_ts"] + M15) == sorted(turned_at(decided))
    assert set(found.changed["changed"]) == {"features"}
    assert not found.said.equals(found.stored)
    rows = gaps(decided, found)
    (first, *_) = turned_at(decided)
    mine = rows.filter(ts=first)
    assert mine["backtest_exit"].item() is None
    assert mine["note"].item() == "what is stored decides otherwise (features)"
    assert mine["features_bps"].item() == pytest.approx(mine["gap_bps"].item())
    assert rows["unexplained_bps"].abs().max() < 1e-6  # type: ignore[operator]
    assert rows["data_bps"].abs().max() == 0


def test_where_a_candle_was_revised_since_it_is_of_the_data(decided: dict[str, Any]) -> None:
    store: Store = decided["store"]
    first, _ = turned_at(decided)
    revised = dict.fromkeys(CANDLE_REVISIONS.columns, 1.0) | {
        "market": MARKET,
        "timeframe": "1m",
        "ts": first - timedelta(hours=1),
        "seen_at": first + timedelta(hours=1),
        "source": "sample",
    }
    store.upsert(CANDLE_REVISIONS, pl.DataFrame([revised], schema=CANDLE_REVISIONS.columns))
    rows = gaps(decided, backtests(decided))
    assert rows.filter(ts=first)["data_bps"].item() == pytest.approx(rows.filter(ts=first)["gap_bps"].item())
    assert rows["unexplained_bps"].abs().max() < 1e-6  # type: ignore[operator]
