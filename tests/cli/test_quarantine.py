"""`trading quarantine` from the outside: what it prints, what it asks, what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from trading_assets.core.errors import TradingError
from trading_assets.sources.contract import RAW_COLUMNS
from trading_assets.sources.ingest.ingestion import ingest
from trading_assets.store import Store
from trading_assets.store.tables import CANDLES
from trading_cli.main import app

MARKET = "sample:SYNA/USDT:USDT"
START = datetime(2025, 3, 4, 5, tzinfo=UTC)
PAGE = pl.DataFrame(
    [
        (START, 10.0, 12.0, 9.0, 11.0, 5.0),
        (START + timedelta(minutes=1), 10.0, 10.5, 9.0, 11.0, 5.0),
        (START + timedelta(minutes=2), 10.0, 12.0, 9.0, 11.0, -5.0),
        (START + timedelta(minutes=3), 10.0, 12.0, 9.0, 11.5, 5.0),
    ],
    schema=RAW_COLUMNS,
    orient="row",
)


class OnePage:
    """A source of one page."""

    name, synthetic, retries = "page", True, 0

    def fetch(self, market: str, timeframe: str, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
        yield PAGE


@pytest.fixture
def filled(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store of the settings in force, with two rows in quarantine."""
    monkeypatch.setenv("TRADING_DATA_DIR", str(tmp_path))
    end = START + timedelta(minutes=4)
    ingest(store, OnePage(), market=MARKET, timeframe="1m", start=START, end=end, now=end)
    return store


def run(*words: str, answer: str = "") -> str:
    result = CliRunner(env={"COLUMNS": "140"}).invoke(app, ["quarantine", *words], input=answer)
    if isinstance(result.exception, TradingError):
        raise result.exception
    return result.output


def test_rows_are_listed_shown_and_explained(filled: Store) -> None:
    listed = run("list")
    assert MARKET in listed
    assert "high_too_low" in listed
    shown = run("show", "--reason", "high_too_low", "--context", "1")
    assert "05:00:00" in shown
    assert "05:03:00" in shown
    assert "set apart" in shown
    assert "high 10.5 is below close 11" in run("explain", "--month", "2025-03", "--reason", "high_too_low")
    assert "volume is -5" in run("explain", "--at", "2025-03-04 05:02")


def test_a_release_asks_first_then_says_what_must_run_again(filled: Store) -> None:
    which = ("--market", MARKET, "--reason", "high_too_low", "--note", "seen elsewhere", "--by", "me")
    assert "Make 1 row a candle (1 high_too_low)?" in run("release", *which, answer="n\n")
    assert filled.read(CANDLES).height == 2
    said = run("release", *which, answer="y\n")
    assert "1 row is a candle now" in said
    assert f"trading backfill --market {MARKET} --from 2025-03 --to 2025-0" in said
    assert filled.read(CANDLES).height == 3
    assert "0 rows are candles now, 1 had been before" in run("release", *which)
    assert "by me: seen elsewhere" in run("explain", "--reason", "high_too_low")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("release", "--note", "x"), "no rows are selected"),
        (("release", "--note", " ", "--reason", "high_too_low"), "a release needs a reason"),
        (("release", "--note", "x", "--reason", "negative_volume", "--yes"), "volume is -5"),
        (("show", "--reason", "ugly"), "no reason 'ugly'"),
        (("show", "--month", "March"), "'March' is no time"),
        (("explain", "--row", "zz"), "no such rows in quarantine"),
    ],
)
def test_what_cannot_be_done_is_said(filled: Store, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(TradingError, match=message):
        run(*words)


def test_an_empty_quarantine_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADING_DATA_DIR", str(tmp_path))
    assert "Nothing is in quarantine." in run("list")
