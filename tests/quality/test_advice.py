"""What each check advises, followed: the check passes afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from tests.quality.stretches import START, stretch, walk
from tests.quality.test_checks import FAULTS, spoilt
from tests.stores import fresh_store
from trading_assets.core.missing_candles import Span
from trading_assets.quality import CANDLE_CHECKS, Finding, inspect
from trading_assets.quality.gaps import ADVICE
from trading_assets.settings import FilesSource
from trading_assets.settings.sections.quality import QualitySettings
from trading_assets.sources import ingest
from trading_assets.sources.candles.files import FileCandles
from trading_assets.sources.contract import RAW_COLUMNS
from trading_assets.sources.gaps.coverage import Coverage
from trading_assets.sources.gaps.ledger import mark
from trading_assets.sources.gaps.repair import repair
from trading_assets.sources.ingest import quarantine
from trading_assets.sources.ingest.renewal import set_broken_apart
from trading_assets.store import Store
from trading_assets.store.tables import CANDLE_GAPS, CANDLES, CANDLES_QUARANTINE

MARKET = "m:A/B"
KEY = {"market": MARKET, "timeframe": "1m"}
TRUTH = walk()
END = START + timedelta(days=4)
NOW = END + timedelta(days=30)
HOLE = (START + timedelta(hours=20), START + timedelta(hours=26))


class Desk:
    """A store, and the files that its market is read from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store: Store = fresh_store(folder)
        paths = {MARKET: str(folder / "*.parquet")}
        self.source = FileCandles.from_settings("recorded", FilesSource(kind="files", paths=paths))

    def lay(self, candles: pl.DataFrame, name: str = "a") -> None:
        candles.select(list(RAW_COLUMNS)).write_parquet(self.folder / f"{name}.parquet")

    def backfill(self, *, again: bool = False, now: datetime = NOW) -> None:
        if again:
            set_broken_apart(self.store, **KEY, start=START, end=END, now=now)
        ingest(self.store, self.source, **KEY, start=START, end=END, now=now)

    def repair(self, *, again: bool = False) -> None:
        repair(self.store, self.source, **KEY, start=START, end=END, now=NOW, peers={}, again=again)

    def judged(self, check: str, quality: QualitySettings | None = None, **changes: object) -> Finding:
        candles = self.store.read(CANDLES, where=KEY)
        told = {
            "months": ((START, END),),
            "listed": START,
            "now": NOW,
            "ledger": self.store.read(CANDLE_GAPS, where=KEY),
        }
        return inspect(stretch(candles, **(told | changes)), quality or QualitySettings(), [check])[check]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Files with all candles, and an empty store."""
    made = Desk(tmp_path)
    made.lay(TRUTH)
    return made


AGAIN = [name for name in FAULTS if "trading backfill --again" in CANDLE_CHECKS[name].remedy]


@pytest.mark.slow
@pytest.mark.parametrize("check", AGAIN)
def test_a_backfill_of_everything_again_heals_what_is_stored(desk: Desk, check: str) -> None:
    if check == "no_duplicates":
        desk.store.upsert(CANDLES, TRUTH)
        with duckdb.connect(str(desk.folder / "market.duckdb")) as other:
            other.execute("INSERT INTO candles SELECT * FROM candles LIMIT 5")
    else:
        desk.store.replace(CANDLES, spoilt(TRUTH, check, 2000), where=KEY)
    assert not desk.judged(check).passed
    desk.backfill(again=True)
    assert desk.judged(check).passed
    assert desk.store.read(CANDLES, where=KEY).equals(TRUTH)


def test_bars_of_the_future_are_set_apart_once_the_clock_is_right(desk: Desk) -> None:
    assert "trading backfill --again" in CANDLE_CHECKS["clock_skew"].remedy
    desk.store.upsert(CANDLES, TRUTH)
    now = END - timedelta(minutes=90)
    assert not desk.judged("clock_skew", now=now).passed
    desk.backfill(again=True, now=now)
    assert desk.judged("clock_skew", now=now).passed


def test_a_backfill_brings_what_is_late(desk: Desk) -> None:
    assert CANDLE_CHECKS["freshness"].remedy.endswith("then trading backfill")
    now = END - timedelta(minutes=10)
    desk.store.upsert(CANDLES, TRUTH[:-500])
    assert not desk.judged("freshness", now=now).passed
    desk.backfill(now=now)
    assert desk.judged("freshness", now=now).passed


LIMITS: dict[str, Callable[[Finding], float]] = {
    "frozen_prices": lambda found: float(found.rows["bars"].max()),  # type: ignore[arg-type]
    "zero_volume": lambda found: float(found.rows["bars"].max()),  # type: ignore[arg-type]
    "outliers": lambda found: float(found.rows["z"].max()),  # type: ignore[arg-type]
    "volume_unit": lambda found: float(found.rows["factor"].max()),  # type: ignore[arg-type]
    "second_exchange": lambda found: float(found.rows["deviation_bps"].abs().max()),  # type: ignore[arg-type]
}
"""Check -> the value that the limit must reach."""


@pytest.mark.parametrize("check", LIMITS)
def test_a_limit_that_the_advice_names_lets_real_values_pass(desk: Desk, check: str) -> None:
    (named,) = re.findall(r"raise `quality\.(\w+)\.(\w+)`", CANDLE_CHECKS[check].remedy)
    second = TRUTH.select("ts", close=pl.col("close") * 1.05)
    desk.store.upsert(CANDLES, TRUTH if check == "second_exchange" else spoilt(TRUTH, check, 2000))
    beside = {"second": second, "second_name": "n:A/B"} if check == "second_exchange" else {}
    found = desk.judged(check, **beside)
    assert not found.passed
    raised = QualitySettings.model_validate({named[0]: {named[1]: round(LIMITS[check](found)) + 1}})
    assert desk.judged(check, raised, **beside).passed


def test_the_advice_of_every_check_is_followed_here() -> None:
    followed = {*AGAIN, *LIMITS, "clock_skew", "freshness", "gap_share"}
    assert set(CANDLE_CHECKS) - {"level_step"} == followed, "what a step in price was is told in the settings"


def raised(setting: str) -> QualitySettings:
    return QualitySettings.model_validate({"gap_share": {setting.rsplit(".", 1)[1]: 0.9}})


def known_as(desk: Desk, reason: str) -> None:
    coverage = Coverage(desk.store, MARKET, "1m", START, END)
    told = mark(coverage.missing(START, END), pl.lit(value=True), reason, detail="", now=NOW)
    coverage.write(told, START, END)


def without(hole: Span) -> pl.DataFrame:
    return TRUTH.filter(~pl.col("ts").is_between(*hole, closed="left"))


@pytest.mark.parametrize("reason", ADVICE)
def test_the_advice_against_missing_candles_depends_on_the_reason_and_helps(desk: Desk, reason: str) -> None:
    desk.store.upsert(CANDLES, without(HOLE))
    strict = QualitySettings.model_validate({"gap_share": {"max_share": 0.02, "max_empty_share": 0.02}})
    if reason == "quarantined":
        low = pl.when(pl.col("ts").is_between(*HOLE, closed="left")).then(pl.col("high")).otherwise("low")
        desk.lay(TRUTH.with_columns(low=low))
        desk.backfill()
    elif reason == "not_in_files":
        desk.lay(TRUTH.filter(pl.col("ts") < HOLE[0]))
        desk.lay(TRUTH.filter(pl.col("ts") >= HOLE[1]), "c")
        desk.backfill()
    elif reason != "unchecked":
        known_as(desk, reason)
    found = desk.judged("gap_share", strict)
    assert found.advice == ADVICE[reason]
    (setting, *_) = [*re.findall(r"quality[.]gap_share[.]\w+", found.advice), ""]
    if setting:
        strict = raised(setting)
    elif reason == "quarantined":
        rows = desk.store.read(CANDLES_QUARANTINE)
        assert "release it" in quarantine.REMEDIES["low_too_high"]
        quarantine.release(desk.store, rows, by="me", note="", now=NOW)
    else:
        if reason == "not_in_files":
            desk.lay(TRUTH.filter(pl.col("ts").is_between(*HOLE, closed="left")), "b")
        assert "trading gaps --repair" in found.advice
        desk.repair(again="--again" in found.advice)
    assert desk.judged("gap_share", strict).passed
