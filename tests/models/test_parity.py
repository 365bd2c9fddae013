"""The parity certificate passes honest models, and names the bar and the column of those that are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.models.estimators.toys import BACK, trailing
from trading_assets import features
from trading_assets.core.errors import BundleError, ModelError
from trading_assets.core.timeframes import Timeframe
from trading_assets.features import lookback_bars
from trading_assets.features.framework import computation
from trading_assets.features.framework.registry import Registry
from trading_assets.labels import decides, widths
from trading_assets.labels import lookback_bars as lookback_of_labels
from trading_assets.labels import primary_rule as primary_rules
from trading_assets.models import Bundle, certificates, join, load, train, write
from trading_assets.models.certificates import Certificate
from trading_assets.models.decision import Companions, Compute, decide, features_of
from trading_assets.models.inputs import usable_names
from trading_assets.models.parity import certify, certify_stored
from trading_assets.settings import (
    EmaCrossRsiSettings,
    EstimatorSettings,
    LabelSettings,
    LightGBMSettings,
    LogisticSettings,
    ModelSettings,
    SamplingSettings,
    WalkForwardSettings,
    read_labels,
)
from trading_assets.store import Store
from trading_assets.store.tables import BARS, FEATURES, LABELS
from trading_assets.strategies.rules.ema_cross_rsi import EmaCrossRsi

M15 = Timeframe.parse("15m")
LOOKBACK_BARS = lookback_bars(M15)

BAR = timedelta(minutes=15)
A, B = "sample:A/USDT", "sample:B/USDT"
NEWEST = 40
SCALED = LabelSettings(barriers="volatility", scale_bars=20)


def walk(market: str, rows: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    start = datetime(2025, 1, 1, tzinfo=UTC)
    ts = pl.datetime_range(start, start + BAR * (rows - 1), BAR, time_unit="us", time_zone="UTC", eager=True)
    close = 100 * np.exp(np.cumsum(rng.standard_t(4, rows) * 2e-3))
    opened = np.concatenate([[100.0], close[:-1]])
    return pl.DataFrame(
        {
            "market": [market] * rows,
            "ts": ts,
            "known_at": ts + BAR,
            "open": opened,
            "high": np.maximum(opened, close) * (1 + rng.exponential(1e-3, rows)),
            "low": np.minimum(opened, close) * (1 - rng.exponential(1e-3, rows)),
            "close": close,
            "volume": rng.lognormal(3, 1, rows),
        }
    )


def labelled(bars: pl.DataFrame, rows: pl.DataFrame, settings: LabelSettings) -> pl.DataFrame:
    """Labels with the barriers of the settings and outcomes that mean nothing."""
    won = np.random.default_rng(3).random(rows.height) < 0.4
    barriers = bars.select("market", "ts").hstack(widths(bars, settings))
    return (
        rows.select("market", "ts", "known_at", label_end=pl.col("known_at") + 4 * BAR)
        .join(barriers, on=["market", "ts"])
        .with_columns(
            label_set=pl.lit("default"),
            timeframe=pl.lit("15m"),
            side=pl.lit(1, pl.Int8),
            entry_price=pl.lit(100.0),
            barrier=pl.Series(np.where(won, "take_profit", "stop_loss")),
            bars_to_hit=pl.lit(4, pl.Int32),
            label=pl.Series(np.where(won, 1, -1), dtype=pl.Int8),
            ambiguous=pl.lit(value=False),
            resolution=pl.lit("15m"),
            missing_candles=pl.lit(0, pl.Int32),
            **{"return": pl.Series(np.where(won, 0.02, -0.01))},
        )
        .select(*LABELS.columns)
    )


@dataclass(frozen=True)
class World:
    """Bars, tables made of them all at once, and a model trained on these."""

    bundle: Bundle
    bars: pl.DataFrame
    stored: pl.DataFrame
    labels: pl.DataFrame
    compute: Compute
    lookback: int

    def certificate(self, **changed: pl.DataFrame) -> Certificate:
        newest = self.stored.group_by("market", maintain_order=True).tail(NEWEST)
        tables = {"stored": newest, "bars": self.bars, "labels": self.labels} | changed
        return certify(self.bundle, **tables, compute=self.compute, lookback=self.lookback)


TREES = LightGBMSettings(num_boost_round=10, num_leaves=15, min_data_in_leaf=20, lambda_l2=1)


def made(
    folder: Path,
    markets: tuple[str, ...],
    compute: Compute,
    lookback: int,
    names: tuple[str, ...] = (),
    estimator: EstimatorSettings = TREES,
    labels_like: LabelSettings = SCALED,
) -> World:
    frames = [walk(market, lookback + 599, seed) for seed, market in enumerate(markets)]
    rows = [compute(bars, {}) for bars in frames]
    labels = pl.concat(labelled(*pair, labels_like) for pair in zip(frames, rows, strict=True))
    stored = pl.concat(rows)
    data = join(stored, labels, names=names or usable_names(timeframe=M15), fingerprint=features.fingerprint())
    data = replace(data, history=stored)
    spec = ModelSettings(
        markets=list(markets),
        walk_forward=WalkForwardSettings(train_days=4),
        estimator=estimator,
    )
    bundle = write(
        folder, model="m", trained=train(data, spec), dataset=data, spec=spec, labels=labels_like, metrics={}
    )
    return World(bundle, pl.concat(frames), stored, labels, compute, lookback)


def _small() -> Registry:
    """Two honest features that look back on a few bars."""
    registry = Registry()

    @registry.feature("momentum", inputs=["close"], lookback=21, unit="u", source="s")
    def momentum(frame: computation.Bars) -> np.ndarray:
        return np.log(frame.close / np.concatenate([np.full(20, np.nan), frame.close[:-20]]))

    @registry.feature("body", inputs=["open", "close"], lookback=1, unit="u", source="s")
    def body(frame: computation.Bars) -> np.ndarray:
        return frame.close / frame.open - 1

    return registry


def of_registry(registry: Registry) -> tuple[Compute, int, tuple[str, ...]]:
    features_of_it = registry.on(M15)

    def compute(bars: pl.DataFrame, companions: Companions) -> pl.DataFrame:
        return computation.compute(bars, features_of_it, companions)

    return compute, features_of_it.lookback_bars, features_of_it.names


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two markets and a registry of two features."""
    return made(tmp_path_factory.mktemp("small"), (A, B), *of_registry(_small()))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One market and every feature of the project."""
    return made(tmp_path_factory.mktemp("whole"), (A,), partial(features_of, timeframe=M15), LOOKBACK_BARS)


def nudged(rows: pl.DataFrame, column: str, place: int, factor: float = 1 + 1e-6) -> pl.DataFrame:
    here = pl.int_range(pl.len()) == place
    return rows.with_columns(pl.when(here).then(pl.col(column) * factor).otherwise(pl.col(column)).alias(column))


def test_a_model_of_every_feature_decides_on_stored_bars_as_the_node_does(whole: World) -> None:
    certificate = whole.certificate()
    assert certificate.divergence is None
    assert (certificate.bars, certificate.columns) == (NEWEST, len(whole.bundle.features) + 3)
    assert certificate.markets[A].last == whole.bars["ts"][-1]
    assert str(certificate) == f"{certificate.columns} columns of the newest 40 bars agree"


def test_every_market_of_a_model_is_compared(small: World) -> None:
    certificate = small.certificate()
    assert certificate.divergence is None
    assert {market: one.bars for market, one in certificate.markets.items()} == {A: NEWEST, B: NEWEST}


@pytest.mark.parametrize("column", ["rsi_14", "natr_14", "macd_hist", "realised_volatility_1d"])
def test_a_stored_value_that_is_a_millionth_off_is_named(whole: World, column: str) -> None:
    newest = whole.stored.tail(NEWEST)
    place = int(newest[column].abs().arg_max() or 0)
    found = whole.certificate(stored=nudged(newest, column, place)).divergence
    assert found is not None
    assert (found.market, found.ts, found.column) == (A, newest["ts"][place], column)
    assert found.live == newest[column][place]
    assert found.stored == pytest.approx(found.live * (1 + 1e-6), rel=1e-12)


def test_the_first_bar_of_several_is_named_whatever_its_market(small: World) -> None:
    newest = small.stored.group_by("market", maintain_order=True).tail(NEWEST)
    changed = nudged(nudged(newest, "body", 20, 1.5), "momentum", NEWEST + 7, 1.5)
    found = small.certificate(stored=changed).divergence
    assert found is not None
    assert (found.market, found.column, found.ts) == (B, "momentum", newest["ts"][NEWEST + 7])


def test_a_value_that_is_missing_in_the_table_is_a_divergence(small: World) -> None:
    newest = small.stored.group_by("market", maintain_order=True).tail(NEWEST)
    gone = newest.with_columns(body=pl.when(pl.int_range(pl.len()) != 5).then(pl.col("body")))
    found = small.certificate(stored=gone).divergence
    assert found is not None
    assert (found.column, found.stored, found.ts) == ("body", None, newest["ts"][5])


def test_a_barrier_that_is_not_the_nodes_is_named(small: World) -> None:
    newest = small.labels.group_by("market", maintain_order=True).tail(NEWEST)
    found = small.certificate(labels=nudged(newest, "stop_loss", 3)).divergence
    assert found is not None
    assert (found.column, found.ts) == ("stop_loss", newest["ts"][3])


def test_barriers_that_look_back_further_than_the_node_holds_bars_are_caught(small: World) -> None:
    distant = SCALED.model_copy(update={"scale_bars": small.lookback + 1})
    bundle, bars = replace(small.bundle, labels=distant), small.bars.filter(pl.col("market") == A)
    labels = labelled(bars, small.stored.filter(pl.col("market") == A), distant)
    found = replace(small, bundle=bundle).certificate(labels=labels).divergence
    assert found is not None
    assert (found.column, found.live) == ("take_profit", None)


def test_bars_without_a_label_yet_are_compared_without_barriers(small: World) -> None:
    assert small.certificate(labels=small.labels[:-10]).divergence is None
    assert small.certificate(labels=small.labels[:0]).divergence is None


def next_return(frame: computation.Bars) -> np.ndarray:
    """One bar ahead; the newest bar has none."""
    return np.append(np.log(frame.close[1:] / frame.close[:-1]), 0.0)


def normalised(frame: computation.Bars) -> np.ndarray:
    """With the mean and the deviation of the whole frame."""
    return (frame.close - frame.close.mean()) / frame.close.std()


def seeded(frame: computation.Bars) -> np.ndarray:
    """An average that starts with the frame and forgets nothing."""
    return pl.Series(frame.close).ewm_mean(alpha=0.02, adjust=False).to_numpy()


@pytest.mark.parametrize("liar", [next_return, normalised, seeded])
def test_a_model_whose_features_see_more_than_the_node_is_caught(
    tmp_path: Path, liar: Callable[[computation.Bars], np.ndarray]
) -> None:
    registry = _small()
    registry.feature("liar", inputs=["close"], lookback=30, unit="u", source="s")(liar)
    found = made(tmp_path, (A,), *of_registry(registry)).certificate().divergence
    assert found is not None
    assert found.column == "liar"


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("bar", "bars are missing at 1 of 40 bars, first at 2025-01-07 03:30; materialize bars"),
        ("row", "stored features are missing at 1 of 40 bars, first at 2025-01-07 03:30; materialize features"),
        ("past", "bars are missing: 19 before 2025-01-07 01:00, and the features look back on 20"),
        ("all", "no stored features to compare"),
    ],
)
def test_missing_bars_and_rows_are_refused_and_named(small: World, lost: str, said: str) -> None:
    newest = small.stored.group_by("market", maintain_order=True).tail(NEWEST)
    first = newest["ts"][0]
    tenth = (pl.col("market") == A) & (pl.col("ts") == newest["ts"][10])
    tables = {
        "bar": {"bars": small.bars.filter(~tenth)},
        "row": {"stored": newest.filter(~tenth)},
        "past": {"bars": small.bars.filter(pl.col("ts") >= first - 19 * BAR)},
        "all": {"stored": newest.filter(pl.col("market") != A)},
    }
    with pytest.raises(ModelError) as error:
        small.certificate(**tables[lost])
    assert said in str(error.value)
    assert str(error.value).startswith(A)


def test_each_bar_gets_the_companions_that_were_known_when_it_closed(small: World) -> None:
    seen: list[datetime] = []

    def compute(bars: pl.DataFrame, companions: Companions) -> pl.DataFrame:
        seen.append(companions["leader"]["known_at"].max() - bars["known_at"][-1])  # type: ignore[operator,arg-type]
        return small.compute(bars, {})

    leader = small.bars.filter(pl.col("market") == B).select("known_at", "close")
    newest = small.stored.group_by("market", maintain_order=True).tail(NEWEST)
    certify(
        small.bundle,
        newest,
        small.bars,
        companions={market: {"leader": leader} for market in (A, B)},
        compute=compute,
        lookback=small.lookback,
    )
    assert set(seen) == {timedelta(0)}


def test_a_logistic_regression_decides_to_the_last_bit_as_the_node_does(tmp_path: Path) -> None:
    world = made(tmp_path, (A,), *of_registry(_small()), LogisticSettings())
    assert (world.certificate().divergence, world.certificate().tolerance) == (None, 0)
    newest = world.stored.tail(NEWEST)
    slightly = nudged(newest, "momentum", 7, 1 + 1e-10)  # within the tolerance of features, not of the probability
    found = world.certificate(stored=slightly).divergence
    assert found is not None
    assert (found.column, found.ts) == ("probability", newest["ts"][7])


def test_an_estimator_that_reads_several_rows_is_compared_to_its_tolerance(tmp_path: Path) -> None:
    with trailing() as parameters:
        world = made(tmp_path, (A, B), *of_registry(_small()), parameters)
        certificate = world.certificate()
        assert certificate.divergence is None
        assert certificate.tolerance == 1e-9
        assert certificate.bars == 2 * (NEWEST - BACK + 1), "the first rows of a market are only read"
        newest = world.stored.group_by("market", maintain_order=True).tail(NEWEST)
        unseen = nudged(newest, "momentum", 0, 1.5)  # only read, so that the first windows differ
        found = world.certificate(stored=unseen).divergence
        assert found is not None
        assert (found.market, found.column, found.ts) == (A, "probability", newest["ts"][BACK - 1])


RULE = {"kind": "ema_cross_rsi", "fast": 2, "slow": 4, "rsi": 2, "overbought": 99, "oversold": 1}
WHERE_THE_RULE_SPEAKS = read_labels({"kind": "meta", "rule": RULE, "barriers": "volatility", "scale_bars": 20})
WHERE_THE_CLOCK_TICKS = SCALED.model_copy(update={"sampling": SamplingSettings(by="notional", per_day=20, days=1)})


@pytest.mark.parametrize("where", [WHERE_THE_RULE_SPEAKS, WHERE_THE_CLOCK_TICKS], ids=["rule", "clock"])
def test_a_model_decides_in_the_node_on_the_bars_that_research_decided_on(tmp_path: Path, where: LabelSettings) -> None:
    compute, lookback, names = of_registry(_small())
    needed = max(lookback, lookback_of_labels(where))
    world = made(tmp_path, (A, B), compute, needed, names, labels_like=where)
    certificate = world.certificate()
    assert certificate.divergence is None
    assert certificate.bars == 2 * NEWEST
    held = world.bars.filter(pl.col("market") == A)
    wanted = decides(held, where)
    assert wanted is not None
    ends = range(held.height - NEWEST, held.height)
    said = [bool(decide(world.bundle, held[: end + 1], compute=compute).probabilities) for end in ends]
    assert said == wanted["long"][-NEWEST:].to_list()
    assert 0 < sum(said) < NEWEST
    assert load(world.bundle.folder, feature_fingerprint=features.fingerprint).labels == where


def test_a_rule_that_sees_more_than_the_node_holds_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Liar(EmaCrossRsi):
        def sides(self, bars: pl.DataFrame) -> pl.Series:
            return (bars["close"] > bars["close"].mean()).cast(pl.Int8)

    monkeypatch.setitem(primary_rules._rules, EmaCrossRsiSettings, Liar)
    compute, lookback, names = of_registry(_small())
    where = WHERE_THE_RULE_SPEAKS
    world = made(tmp_path, (A,), compute, max(lookback, lookback_of_labels(where)), names, labels_like=where)
    found = world.certificate().divergence
    assert found is not None
    assert found.column == "probability"
    assert (found.stored is None) != (found.live is None)
    monkeypatch.undo()
    with pytest.raises(BundleError, match=r"said by other code now \(label kind meta\); materialize labels"):
        load(world.bundle.folder, feature_fingerprint=features.fingerprint)
    assert load(world.bundle.folder).labels == where, "a report may still read it"


def test_the_tables_of_a_store_are_certified(whole: World, store: Store) -> None:
    store.upsert(BARS["15m"], whole.bars.with_columns(pl.lit(15, pl.Int32).alias("candles")))
    store.upsert(FEATURES, whole.stored.with_columns(timeframe=pl.lit("15m")))
    store.upsert(LABELS, whole.labels[:-4])
    certificate = certify_stored(whole.bundle, store, bars=10)
    assert (certificate.bars, certificate.divergence) == (10, None)
    newest = whole.stored.tail(10)
    store.upsert(FEATURES, nudged(newest, "rsi_14", 4)[4:5].with_columns(timeframe=pl.lit("15m")))
    found = certify_stored(whole.bundle, store, bars=10).divergence
    assert found is not None
    assert (found.column, found.ts) == ("rsi_14", newest["ts"][4])


def test_a_market_without_stored_features_cannot_be_certified(small: World, store: Store) -> None:
    with pytest.raises(ModelError, match="no features are stored; materialize features"):
        certify_stored(small.bundle, store, bars=10)


def test_a_bundle_without_a_passed_certificate_of_its_own_is_refused(small: World) -> None:
    (small.bundle.folder / certificates.FILE).unlink(missing_ok=True)
    with pytest.raises(ModelError, match="has no parity certificate; run the job retrain"):
        certificates.check(small.bundle)

    good = small.certificate()
    path = certificates.write(small.bundle, good)
    assert certificates.check(small.bundle) == good

    certificates.write(small.bundle, good.model_copy(update={"bundle_hash": "0" * 64}))
    with pytest.raises(ModelError, match="was made for bundle 0000000000000000"):
        certificates.check(small.bundle)

    path.write_text("{}")
    with pytest.raises(ModelError, match="unreadable"):
        certificates.check(small.bundle)

    newest = small.stored.group_by("market", maintain_order=True).tail(NEWEST)
    bad = small.certificate(stored=nudged(newest, "body", 20, 2.0))
    certificates.write(small.bundle, bad)
    with pytest.raises(ModelError) as error:
        certificates.check(small.bundle)
    assert bad.divergence is not None
    for said in ("body of sample:A/USDT at 2025-01-07 06:00", repr(bad.divergence.stored), repr(bad.divergence.live)):
        assert said in str(error.value)
    assert "materialize bars, features and labels of sample:A/USDT from 2025-01 on" in error.value.remedy
