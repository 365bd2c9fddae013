"""What a verdict says of calibration and prediction sets, and by which moods of the market coverage is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.confidence import coverage_rows, measure, remarks
from trading_assets.backtest.judging import _moods
from trading_assets.backtest.regimes import lookback_of, regimes
from trading_assets.core.candles import TS
from trading_assets.core.errors import InvalidFrame
from trading_assets.settings import load_settings
from trading_assets.store import open_store
from trading_assets.store.tables import BARS, FOLDS
from trading_assets.validation import coverage, live_coverage

START = datetime(2025, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MARKET = "sample:A/USDT"
ROWS = 3000


def bars(rows: int = ROWS, seed: int = 1) -> pl.DataFrame:
    """A market whose second half is five times as wild as its first."""
    rng = np.random.default_rng(seed)
    spread = np.where(np.arange(rows) < rows / 2, 0.002, 0.01)
    return pl.DataFrame(
        {
            "market": MARKET,
            "ts": pl.Series([START + number * HOUR for number in range(rows)], dtype=TS),
            "close": 100 * np.exp(np.cumsum(rng.normal(size=rows) * spread)),
        }
    )


def predictions(stretch: float, held: float = 0.9, seed: int = 1) -> pl.DataFrame:
    """Raw probabilities of which the log-odds are ``stretch`` times the true ones, which calibration says."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-0.5, 0.5, ROWS)
    truth, raw = 1 / (1 + np.exp(-odds)), 1 / (1 + np.exp(-stretch * odds))
    hit = rng.random(ROWS) < truth
    other = np.where(hit, 2, 1)
    inside = np.where(rng.random(ROWS) < 0.5, 3, 3 - other)
    ts = [START + number * HOUR for number in range(ROWS)]
    return pl.DataFrame(
        {
            "market": MARKET,
            "ts": pl.Series(ts, dtype=TS),
            "known_at": pl.Series([one + HOUR for one in ts], dtype=TS),
            "side": pl.Series([1] * ROWS, dtype=pl.Int8),
            "fold": pl.Series(np.arange(ROWS) // 1000 + 1, dtype=pl.Int32),
            "probability": truth,
            "raw_probability": raw,
            "label": pl.Series(np.where(hit, 1, -1), dtype=pl.Int8),
            "prediction_set": pl.Series(np.where(rng.random(ROWS) < held, inside, other), dtype=pl.Int8),
        }
    )


def folds(kept: tuple[bool, ...] = (True, True, False)) -> pl.DataFrame:
    rows = [{"fold": number, "calibration": "sigmoid", "calibrated": one} for number, one in enumerate(kept, 1)]
    return pl.DataFrame(rows, schema={name: FOLDS.columns[name] for name in ("fold", "calibration", "calibrated")})


def test_a_model_that_asks_for_nothing_has_no_such_metrics() -> None:
    silent = predictions(1.0).with_columns(prediction_set=pl.lit(None, pl.Int8))
    plain = folds().with_columns(calibration=pl.lit(None, pl.String), calibrated=pl.lit(None, pl.Boolean))
    assert measure(silent, plain) == {}
    assert remarks({}) == []
    assert coverage_rows(silent) == []


def test_what_calibration_gained_out_of_sample_is_measured_with_its_interval() -> None:
    found = measure(predictions(2.5), folds())
    assert (found["calibrators"], found["calibrators_kept"]) == (3, 2)
    assert 0 < found["brier_gain_low"] < found["brier_gain"] < found["brier_gain_high"]
    assert found["brier_raw"] - found["brier_calibrated"] == pytest.approx(found["brier_gain"])
    assert remarks(found) == [
        f"a calibrator was kept in 2 of 3 trainings: Brier score out of sample {found['brier_raw']:.4f} before, "
        f"{found['brier_calibrated']:.4f} after"
    ]
    worse = predictions(2.5).select(pl.exclude("probability"), probability="raw_probability")
    worse = worse.with_columns(raw_probability=predictions(2.5)["probability"])
    assert remarks(measure(worse, folds()))[0].startswith("calibration made probabilities worse out of sample")
    assert remarks(measure(predictions(1.0), folds((False, False))))[0].startswith("no calibrator was kept in 2 train")


def test_coverage_is_told_by_mood_and_a_promise_that_is_broken_there_is_said() -> None:
    moods = regimes(bars(), HOUR)
    whole = predictions(1.0)
    found = measure(whole, folds(), moods, 0.9)
    assert found["coverage"] == pytest.approx(0.9, abs=0.02)
    for name in ("calm", "middling", "wild", "falling", "flat", "rising"):
        assert found[f"coverage_{name}"] == pytest.approx(0.9, abs=0.04)
    assert not any("prediction sets" in one for one in remarks(found))
    wild = whole.join(moods.filter(pl.col("volatility") == "wild"), on=["market", "ts"], how="semi")["ts"]
    empty = pl.when(pl.col("ts").is_in(wild.implode()) & (pl.int_range(pl.len()) % 4 == 0)).then(pl.lit(0, pl.Int8))
    broken = measure(whole.with_columns(prediction_set=empty.otherwise("prediction_set")), folds(), moods, 0.9)
    (said,) = [one for one in remarks(broken) if "prediction sets" in one]
    assert "90% were promised" in said
    assert "in wild markets" in said
    assert "in calm markets" not in said


def test_the_table_has_a_row_for_each_part() -> None:
    rows = coverage_rows(predictions(1.0), regimes(bars(), HOUR))
    assert [row[0] for row in rows] == [
        "all predictions",
        *(f"{name} market" for name in ("calm", "middling", "wild", "falling", "flat", "rising")),
        "fold 1",
        "fold 2",
        "fold 3",
    ]
    assert rows[0][1] == "3,000"
    both = pl.concat([predictions(1.0), predictions(1.0, seed=2).with_columns(side=pl.lit(-1, pl.Int8))])
    assert {"long", "short"} <= {row[0] for row in coverage_rows(both)}


def test_moods_come_in_thirds_and_know_the_day_before_alone() -> None:
    found = regimes(bars(), HOUR)
    counts = found["volatility"].value_counts()["count"]
    assert counts.max() - counts.min() <= 1
    late = pl.col("ts") >= START + ROWS // 2 * HOUR
    assert (found.filter(late)["volatility"] == "wild").mean() > 0.6
    assert not (found.filter(~late)["volatility"] == "wild").any()
    assert found["ts"][0] == START + lookback_of(HOUR) * HOUR
    longer = pl.concat([bars(), bars().with_columns(market=pl.lit("sample:B/USDT"))])
    assert regimes(longer, HOUR).filter(market=MARKET).equals(found), "each market by itself"
    still = bars().with_columns(close=pl.lit(5.0))
    assert regimes(still, HOUR).height == found.height


def test_live_coverage_joins_what_was_decided_with_what_happened() -> None:
    ts = [START + number * HOUR for number in range(48)]
    signals = pl.DataFrame(
        {
            "model": "m",
            "model_version": pl.Series([1] * 48, dtype=pl.Int32),
            "market": MARKET,
            "bar_ts": pl.Series(ts, dtype=TS),
            "side": pl.Series([1] * 48, dtype=pl.Int8),
            "prediction_set": pl.Series([1, 3, 2, None] * 12, dtype=pl.Int8),
        }
    )
    outcomes = pl.DataFrame(
        {
            "market": MARKET,
            "ts": pl.Series(ts[:40], dtype=TS),  # what came after the last eight is not known yet
            "side": pl.Series([1] * 40, dtype=pl.Int8),
            "label": pl.Series([1] * 40, dtype=pl.Int8),
        }
    )
    found = live_coverage(signals, outcomes)
    assert found["rows"].to_list() == [18, 12]
    assert found["coverage"].to_list() == pytest.approx([2 / 3, 2 / 3])
    assert found["certain_share"].to_list() == pytest.approx([2 / 3, 2 / 3])
    with pytest.raises(InvalidFrame, match="several outcomes"):
        live_coverage(signals, pl.concat([outcomes, outcomes]))


def test_no_sets_have_no_coverage() -> None:
    assert coverage(pl.Series([None], dtype=pl.Int8), pl.Series([1])).share is None


def test_the_moods_of_a_candidates_predictions_come_from_its_stored_bars(tmp_path: Path) -> None:
    settings = load_settings()
    name = next(iter(settings.models))
    market, timeframe = settings.models[name].markets[0], settings.timeframe_of(name)
    table = BARS[timeframe.name]
    rng = np.random.default_rng(1)
    ts = pl.Series([START + number * timeframe.length for number in range(400)], dtype=TS)
    close = 100 * np.exp(np.cumsum(rng.normal(size=400) * 1e-3))
    known = {"market": pl.lit(market), "ts": ts, "known_at": ts + timeframe.length, "close": pl.Series(close)}
    rows = pl.select(
        **{column: known.get(column, pl.lit(1, kind)) for column, kind in table.columns.items()}  # type: ignore[arg-type]
    )
    store = open_store(f"duckdb:///{tmp_path / 'store.duckdb'}")
    store.upsert(table, rows)
    told = pl.DataFrame({"market": market, "ts": ts[200:300], "prediction_set": pl.Series([3] * 100, dtype=pl.Int8)})
    found = _moods(told, settings, store, name)
    assert found is not None
    assert found["ts"].equals(told["ts"])
    assert sorted(found["volatility"].value_counts()["count"]) == [33, 33, 34]
    silent = told.with_columns(prediction_set=pl.lit(None, pl.Int8))
    assert found.equals(_moods(silent, settings, store, name))
