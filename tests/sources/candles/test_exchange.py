"""The ccxt source, with the real ccxt client against a local server."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from tests.exchange import MARKET, LocalExchange
from trading_assets.core.errors import SettingsError, SourceError
from trading_assets.settings import CcxtSource
from trading_assets.sources import ingest
from trading_assets.sources.candles.exchange import ExchangeCandles
from trading_assets.sources.transport.backoff import Backoff
from trading_assets.sources.transport.ccxt_client import environment_keys, without_secrets
from trading_assets.store import Store
from trading_assets.store.tables import CANDLES
from trading_live.replay.faults import Kind


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def source(local_exchange: LocalExchange, slept: list[float]) -> ExchangeCandles:
    settings = CcxtSource(
        kind="ccxt", exchange="binanceusdm", base_url=local_exchange.url, page_limit=100, rate_limit=False
    )
    return ExchangeCandles(settings, Backoff(4, 1.0, sleep=slept.append))


def read(source: ExchangeCandles, start: datetime, minutes: int) -> pl.DataFrame:
    return pl.concat(source.fetch(MARKET, "1m", start, start + timedelta(minutes=minutes)))


def test_pages_follow_each_other_until_the_window_is_full(
    source: ExchangeCandles, local_exchange: LocalExchange, plain_candles: Callable[..., pl.DataFrame], start: datetime
) -> None:
    candles = plain_candles(450)
    local_exchange.hold(candles)
    pages = list(source.fetch(MARKET, "1m", start + timedelta(minutes=10), start + timedelta(minutes=430)))
    assert [page.height for page in pages] == [100, 100, 100, 100, 20]
    assert pl.concat(pages).equals(candles[10:430])
    assert source.requests == 1 + 5
    assert source.retries == 0


def test_a_gap_longer_than_a_page_is_crossed(
    source: ExchangeCandles, local_exchange: LocalExchange, plain_candles: Callable[..., pl.DataFrame], start: datetime
) -> None:
    candles = plain_candles(600)
    kept = pl.concat([candles[:50], candles[400:]])
    local_exchange.hold(kept)
    assert read(source, start, 600).equals(kept)


def test_an_empty_answer_is_believed_only_the_second_time(
    source: ExchangeCandles, local_exchange: LocalExchange, plain_candles: Callable[..., pl.DataFrame], start: datetime
) -> None:
    candles = plain_candles(200)
    local_exchange.hold(candles)
    local_exchange.faults.next(None, "empty")
    assert read(source, start, 200).equals(candles)


def test_a_market_without_candles_in_the_window_gives_no_page(
    source: ExchangeCandles, local_exchange: LocalExchange, plain_candles: Callable[..., pl.DataFrame], start: datetime
) -> None:
    local_exchange.hold(plain_candles(100, start + timedelta(days=30)))
    assert list(source.fetch(MARKET, "1m", start, start + timedelta(days=1))) == []
    assert len(local_exchange.requests) < 6, "the first answer shows that nothing lies in the window"


AT_ONCE = ["429", "418", "500", "502", "503", "maintenance", "truncated", "html", "drop"]


@pytest.mark.parametrize("fault", [*AT_ONCE, pytest.param("timeout", marks=pytest.mark.slow)])
def test_a_passing_fault_costs_a_retry_and_no_candle(
    source: ExchangeCandles,
    local_exchange: LocalExchange,
    plain_candles: Callable[..., pl.DataFrame],
    start: datetime,
    slept: list[float],
    caplog: pytest.LogCaptureFixture,
    fault: Kind,
) -> None:
    candles = plain_candles(250)
    local_exchange.hold(candles)
    if fault == "timeout":
        source.settings = source.settings.model_copy(update={"timeout_s": 2})
    local_exchange.faults.next(None, fault, fault, seconds=60)
    with caplog.at_level(logging.WARNING):
        assert read(source, start, 250).equals(candles)
    assert source.retries == 2
    assert 0.5 <= slept[0] <= 1.0
    assert 1.0 <= slept[1] <= 2.0, "the wait doubles"
    assert caplog.text.count("failed, the next follows in") == 2


def test_a_lasting_fault_is_given_up_with_what_came_before_stored(
    source: ExchangeCandles,
    local_exchange: LocalExchange,
    plain_candles: Callable[..., pl.DataFrame],
    start: datetime,
    store: Store,
) -> None:
    candles = plain_candles(300)
    local_exchange.hold(candles)
    local_exchange.faults.next(None, *["500"] * 4)
    window = {"start": start, "end": start + timedelta(minutes=300), "now": datetime(2025, 6, 1, tzinfo=UTC)}
    with pytest.raises(SourceError, match=r"gave up after 4 attempts: .*500.*; run it again later"):
        ingest(store, source, market=MARKET, timeframe="1m", **window)  # type: ignore[arg-type]
    assert store.read(CANDLES).height == 99, "the last row of a page waits for the next page"
    report = ingest(store, source, market=MARKET, timeframe="1m", **window)  # type: ignore[arg-type]
    assert report.missing == 0
    assert report.retries == 0
    assert store.read(CANDLES).select(candles.columns).equals(candles)


def test_retries_stand_in_the_report(
    source: ExchangeCandles,
    local_exchange: LocalExchange,
    plain_candles: Callable[..., pl.DataFrame],
    start: datetime,
    store: Store,
) -> None:
    local_exchange.hold(plain_candles(50))
    local_exchange.faults.next("429")
    report = ingest(
        store,
        source,
        market=MARKET,
        timeframe="1m",
        start=start,
        end=start + timedelta(minutes=50),
        now=datetime(2025, 6, 1, tzinfo=UTC),
    )
    assert report.retries == 1
    assert "1 requests repeated" in str(report)


def test_a_long_ban_is_reported_instead_of_sat_out(
    source: ExchangeCandles, local_exchange: LocalExchange, start: datetime, slept: list[float]
) -> None:
    local_exchange.faults.next("418", retry_after_s=7200)
    with pytest.raises(SourceError, match=r"asks for a pause of 7,200 s"):
        read(source, start, 10)
    assert slept == []


@pytest.mark.parametrize("fault", ["401", "404", "403"])
def test_a_permanent_refusal_surfaces_at_once(
    source: ExchangeCandles, local_exchange: LocalExchange, start: datetime, slept: list[float], fault: Kind
) -> None:
    local_exchange.faults.next(fault)
    with pytest.raises(SourceError, match="the exchange refuses"):
        read(source, start, 10)
    assert slept == []
    assert len(local_exchange.requests) == 1


def test_an_unknown_symbol_is_named_with_its_neighbours(source: ExchangeCandles, start: datetime) -> None:
    with pytest.raises(SourceError, match=r"no market BTC/USDC:USDC; did you mean BTC/USDT:USDT"):
        list(source.fetch("binance:BTC/USDC:USDC", "1m", start, start + timedelta(minutes=1)))


def test_an_unknown_timeframe_is_named_with_the_known_ones(source: ExchangeCandles, start: datetime) -> None:
    with pytest.raises(SourceError, match=r"no 7m candles; it has 1s, 1m, 3m"):
        list(source.fetch(MARKET, "7m", start, start + timedelta(minutes=70)))


def test_an_unknown_exchange_is_named(start: datetime) -> None:
    source = ExchangeCandles.from_settings(CcxtSource(kind="ccxt", exchange="binanze"))
    with pytest.raises(SourceError, match=r"binanze: ccxt knows no such exchange"):
        read(source, start, 10)


def test_an_empty_range_is_refused(source: ExchangeCandles, start: datetime) -> None:
    with pytest.raises(SettingsError, match="the range is empty"):
        read(source, start, 0)


def test_a_bar_that_is_still_forming_is_left_out(
    source: ExchangeCandles, local_exchange: LocalExchange, plain_candles: Callable[..., pl.DataFrame], start: datetime
) -> None:
    candles = plain_candles(30)
    local_exchange.hold(candles)
    source.clock = lambda: start + timedelta(minutes=20, seconds=30)
    assert read(source, start, 30).equals(candles[:20])


def test_reordered_and_repeated_rows_are_stored_once(
    source: ExchangeCandles,
    local_exchange: LocalExchange,
    plain_candles: Callable[..., pl.DataFrame],
    start: datetime,
    store: Store,
) -> None:
    candles = plain_candles(80)
    local_exchange.hold(candles)
    local_exchange.faults.next("reordered")
    local_exchange.faults.next("duplicated")
    report = ingest(
        store,
        source,
        market=MARKET,
        timeframe="1m",
        start=start,
        end=start + timedelta(minutes=80),
        now=datetime(2025, 6, 1, tzinfo=UTC),
    )
    assert (report.rows, report.quarantined) == (80, 0)
    assert store.read(CANDLES).select(candles.columns).equals(candles)


def test_keys_come_from_the_environment_and_stay_out_of_messages(
    source: ExchangeCandles,
    local_exchange: LocalExchange,
    start: datetime,
    monkeypatch: pytest.MonkeyPatch,
    plain_candles: Callable[..., pl.DataFrame],
) -> None:
    monkeypatch.setenv("TRADING_KEYS__BINANCEUSDM__API_KEY", "my-key-17")
    monkeypatch.setenv("TRADING_KEYS__BINANCEUSDM__SECRET", "my-secret-17")
    assert environment_keys("binanceusdm") == {"apiKey": "my-key-17", "secret": "my-secret-17"}
    assert environment_keys("okx") == {}
    local_exchange.hold(plain_candles(10))
    assert read(source, start, 10).height == 10, "keys change nothing for public data"
    assert without_secrets("GET ?key=my-key-17\nmy-secret-17", source._client) == "GET ?key=*** ***"
    assert "my-key-17" not in repr(source)
