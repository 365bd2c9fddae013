"""The polygon source: the real client against a local server that speaks the aggregates protocol."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from tests.sources.local_web import Answer, LocalWeb, serving
from trading_assets.core.errors import SettingsError, SourceError
from trading_assets.settings import PolygonSource, Settings, load_settings
from trading_assets.sources import ingest, open_source
from trading_assets.sources.candles.polygon import PolygonCandles
from trading_assets.sources.transport.backoff import Backoff
from trading_assets.sources.transport.http import PatientHttp
from trading_assets.store import Store
from trading_assets.store.tables import CANDLES

MARKET = "polygon:BTC/USD"
KEY = "very-secret-key"
START = datetime(2025, 3, 1, tzinfo=UTC)


@dataclass
class Aggregates:
    """Answers ``/v2/aggs`` as Polygon does: a page and, where there is more, ``next_url``."""

    page: int = 100
    bars: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    url: str = ""

    def hold(self, ticker: str, candles: pl.DataFrame) -> None:
        letters = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}
        rows = candles.select(pl.col("ts").dt.timestamp("ms").alias("t"), **{k: pl.col(v) for k, v in letters.items()})
        self.bars[ticker] = rows.with_columns(vw=pl.col("c"), n=pl.lit(3)).to_dicts()

    def __call__(self, path: str, query: dict[str, str]) -> Answer:
        if details := re.fullmatch(r"/v3/reference/tickers/(.+)", path):
            known = details[1] in self.bars
            return (
                (200, {"status": "OK", "results": {"ticker": details[1]}}) if known else (404, {"status": "NOT_FOUND"})
            )
        asked = re.fullmatch(r"/v2/aggs/ticker/([^/]+)/range/1/(minute|hour)/(\d+)/(\d+)", path)
        assert asked is not None, path
        ticker, first, last = asked[1], int(asked[3]), int(asked[4])
        bars = [bar for bar in self.bars.get(ticker, []) if first <= bar["t"] <= last]
        done = int(query.get("cursor", "0"))
        answer = {"ticker": ticker, "status": "DELAYED", "resultsCount": len(bars), "adjusted": True}
        if bars:
            answer["results"] = bars[done : done + self.page]
        if done + self.page < len(bars):  # like the real one, on the host's public name
            answer["next_url"] = f"https://api.polygon.io{path}?cursor={done + self.page}"
        return 200, answer


@pytest.fixture
def aggregates() -> Aggregates:
    return Aggregates()


@pytest.fixture
def web(aggregates: Aggregates) -> Iterator[LocalWeb]:
    with serving(aggregates) as server:
        yield server


@pytest.fixture
def slept() -> list[float]:
    return []


def source(web: LocalWeb, slept: list[float], **further: Any) -> PolygonCandles:
    settings = PolygonSource(kind="polygon", base_url=web.url, **further)
    return PolygonCandles(settings, KEY, PatientHttp(Backoff(4, sleep=slept.append), (KEY,)))


def read(files: PolygonCandles, minutes: int = 450, market: str = MARKET, timeframe: str = "1m") -> pl.DataFrame:
    pages = list(files.fetch(market, timeframe, START, START + timedelta(minutes=minutes)))
    return pl.concat(pages) if pages else pl.DataFrame()


def test_pages_follow_each_other_by_their_next_url(
    web: LocalWeb, aggregates: Aggregates, slept: list[float], plain_candles: Callable[..., pl.DataFrame]
) -> None:
    candles = plain_candles(450)
    aggregates.hold("X:BTCUSD", candles)
    assert read(source(web, slept)).equals(candles)
    assert [re.findall(r"cursor=(\d+)", request) for request in web.requests] == [
        [],
        ["100"],
        ["200"],
        ["300"],
        ["400"],
    ]
    assert {headers["Authorization"] for headers in web.headers} == {f"Bearer {KEY}"}
    assert "limit=50000" in web.requests[0]
    assert "adjusted=true" in web.requests[0]
    assert not any(KEY in request for request in web.requests)


def test_only_the_window_is_asked_for(
    web: LocalWeb, aggregates: Aggregates, slept: list[float], plain_candles: Callable[..., pl.DataFrame]
) -> None:
    aggregates.hold("X:BTCUSD", plain_candles(450))
    assert read(source(web, slept), minutes=7).height == 7
    assert len(web.requests) == 1


@pytest.mark.parametrize(
    ("faults", "waits"),
    [
        (["429", "429 asks", "500"], 3),
        (["drop", "truncated", "html"], 3),
        (["", "503", "truncated"], 2),
        (["", "", "429 asks"], 1),
    ],
)
def test_what_may_pass_is_tried_again_and_nothing_is_lost(
    web: LocalWeb,
    aggregates: Aggregates,
    slept: list[float],
    plain_candles: Callable[..., pl.DataFrame],
    faults: list[str],
    waits: int,
) -> None:
    candles = plain_candles(250)
    aggregates.hold("X:BTCUSD", candles)
    web.faults.extend(faults)
    polygon = source(web, slept)
    assert read(polygon).equals(candles)
    assert polygon.retries == len(slept) == waits
    assert ("429 asks" in faults) == (7.0 in slept), "Retry-After is honoured"


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        (["401"], r"the server refuses with 401: ERROR; check the key in the environment"),
        (["403"], r"the server refuses with 403: ERROR; the key's plan does not cover this"),
        (["moved"], r"302, a redirection to http://127.0.0.1:1/elsewhere"),
        (["429 for hours"], r"asks for a pause of 7,200 s"),
        (["429"] * 4, r"gave up after 4 attempts: 429: You've exceeded the maximum requests per minute; run it again"),
        (["", "500", "500", "500", "500"], r"gave up after 4 attempts"),
    ],
)
def test_what_will_not_pass_is_said_with_the_remedy(
    web: LocalWeb,
    aggregates: Aggregates,
    slept: list[float],
    plain_candles: Callable[..., pl.DataFrame],
    faults: list[str],
    message: str,
) -> None:
    aggregates.hold("X:BTCUSD", plain_candles(250))
    web.faults.extend(faults)
    with pytest.raises(SourceError, match=message) as raised:
        read(source(web, slept))
    assert "/v2/aggs/ticker/X:BTCUSD" in str(raised.value)


def test_a_plan_that_does_not_cover_the_history_says_so_in_polygons_words(
    aggregates: Aggregates, slept: list[float]
) -> None:
    refusal = {"status": "NOT_AUTHORIZED", "message": f"Your plan doesn't include this data timeframe ({KEY})."}
    with serving(lambda _path, _query: (403, refusal)) as web, pytest.raises(SourceError) as raised:
        read(source(web, slept))
    assert "403: Your plan doesn't include this data timeframe (***)." in str(raised.value)
    assert slept == []


def test_a_ticker_that_did_not_trade_is_told_from_one_that_does_not_exist(
    web: LocalWeb, aggregates: Aggregates, slept: list[float], plain_candles: Callable[..., pl.DataFrame]
) -> None:
    aggregates.hold("X:BTCUSD", plain_candles(10, START + timedelta(days=9)))
    assert read(source(web, slept)).is_empty()
    with pytest.raises(SourceError, match=r"polygon:BTX/USD: Polygon has no ticker X:BTXUSD; check asset_class"):
        read(source(web, slept), market="polygon:BTX/USD")


def test_stocks_keep_their_own_tickers_and_their_gaps(
    web: LocalWeb,
    aggregates: Aggregates,
    slept: list[float],
    plain_candles: Callable[..., pl.DataFrame],
    store: Store,
) -> None:
    session = pl.concat([plain_candles(30, START + timedelta(hours=at)) for at in (1, 3)])
    aggregates.hold("AAPL", session)
    aggregates.hold("BRK.B", session[:5])
    stocks = source(web, slept, asset_class="stocks", adjusted=False, tickers={"polygon:BRKB/USD": "BRK.B"})
    assert read(stocks, market="polygon:AAPL/USD").equals(session)
    assert "adjusted=false" in web.requests[0]
    assert read(stocks, market="polygon:BRKB/USD").equals(session[:5])
    with pytest.raises(SourceError, match=r"4h bars of stocks begin at midnight in New York, not UTC; take candles"):
        read(stocks, market="polygon:AAPL/USD", timeframe="4h")
    end = START + timedelta(hours=6)
    for _ in range(2):
        ingest(store, stocks, market="polygon:AAPL/USD", timeframe="1m", start=START, end=end, now=end)
    assert store.read(CANDLES).drop("market", "timeframe").equals(session)


def test_the_key_comes_from_the_environment_and_never_into_a_message(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, web: LocalWeb
) -> None:
    settings = polygon_settings(web.url)
    monkeypatch.delenv("TRADING_KEYS__POLYGON__API_KEY", raising=False)
    with pytest.raises(SourceError, match="polygon: no API key; set TRADING_KEYS__POLYGON__API_KEY"):
        open_source(settings, MARKET)
    monkeypatch.setenv("TRADING_KEYS__POLYGON__API_KEY", KEY)
    polygon = open_source(settings, MARKET)
    assert KEY not in repr(polygon)
    web.faults.extend(["500", "401"])
    with caplog.at_level(logging.DEBUG), pytest.raises(SourceError) as raised:
        list(polygon.fetch(MARKET, "1m", START, START + timedelta(hours=1)))
    assert KEY not in caplog.text + str(raised.value)


def polygon_settings(url: str) -> Settings:
    return load_settings(
        sources={"polygon": {"kind": "polygon", "base_url": url, "first_wait_s": 0.001}},
        markets={MARKET: {"source": "polygon"}},
        models={"btc": {"markets": [MARKET]}},
    )


def test_an_empty_window_is_refused(web: LocalWeb, slept: list[float]) -> None:
    with pytest.raises(SettingsError, match="the range is empty"):
        read(source(web, slept), minutes=0)
