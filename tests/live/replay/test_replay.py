"""The local exchange: what a Binance client sees of it, and that it never shows the future."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.live.conftest import MARKET, OTHER, START
from trading_assets.core.errors import InvalidFrame, MissingCandles, NodeError, SettingsError
from trading_assets.settings import CcxtSource, Settings
from trading_assets.sources.funding.exchange import ExchangeFunding
from trading_assets.sources.funding.ingestion import ingest_funding
from trading_assets.sql import build_bars, load_models
from trading_assets.store import Store, open_store
from trading_assets.store.tables import CANDLES, FUNDING_RATES
from trading_live.replay import Faults, Progress, ReplayServer, Tape, open_replay, read_tape
from trading_live.replay.funding import Funding

MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def tape(live_store_file: Any) -> Tape:
    store = open_store(f"duckdb:///{live_store_file}")
    return read_tape(store, {MARKET: "1m", OTHER: "1m"}, start=START, end=START + timedelta(hours=6))


def get(server: ReplayServer, path: str) -> Any:
    with urllib.request.urlopen(server.url_http + path, timeout=300) as response:
        return json.load(response)


def test_a_client_finds_its_markets_with_the_precision_of_the_candles(tape: Tape) -> None:
    with ReplayServer(tape) as server:
        info = get(server, "/fapi/v1/exchangeInfo")
        assert get(server, "/fapi/v1/ping") == {}
        assert get(server, "/fapi/v1/time") == {"serverTime": START.timestamp() * 1000}
        assert float(get(server, "/fapi/v1/premiumIndex?symbol=SYNAUSDT")["markPrice"]) > 0
    assert {one["symbol"] for one in info["symbols"]} == {"SYNAUSDT", "NOISEUSDT"}
    syna = next(one for one in info["symbols"] if one["symbol"] == "SYNAUSDT")
    assert (syna["pricePrecision"], syna["quantityPrecision"], syna["baseAsset"]) == (2, 3, "SYNA")


def test_klines_page_through_history_and_equal_the_bars_of_the_sql_models(tape: Tape, live_store: Store) -> None:
    end = int(START.timestamp() * 1000) - 1
    rows: list[list[Any]] = []
    with ReplayServer(tape) as server:
        while len(rows) < 2_500:
            page = get(server, f"/fapi/v1/klines?symbol=SYNAUSDT&interval=15m&limit=1000&endTime={end}")
            rows = page + rows
            end = page[0][0] - 1
    expected = build_bars(
        live_store,
        load_models()["bars_15m"],
        market=MARKET,
        timeframe="1m",
        start=START - timedelta(days=35),
        end=START,
    ).tail(len(rows))
    assert [row[0] for row in rows] == expected["ts"].dt.epoch("ms").to_list()
    assert {row[6] - row[0] for row in rows} == {15 * MINUTE_MS - 1}
    for position, column in enumerate(("open", "high", "low", "close", "volume"), start=1):
        assert [float(row[position]) for row in rows] == pytest.approx(expected[column].to_list(), rel=1e-12)


def test_bybits_klines_are_the_same_bars_the_newest_first(tape: Tape) -> None:
    begin = int(START.timestamp() * 1000)

    def bybit(server: ReplayServer, **query: Any) -> Any:
        asked = {"category": "linear", "symbol": "SYNAUSDT", "interval": "15"} | query
        return get(server, f"/v5/market/kline?{urllib.parse.urlencode(asked)}")

    with ReplayServer(tape) as server:
        same = get(server, f"/fapi/v1/klines?symbol=SYNAUSDT&interval=15m&limit=1000&endTime={begin - 1}")
        told = bybit(server, limit=1000)["result"]["list"]
        page = bybit(server, limit=10, start=begin - 20 * 15 * MINUTE_MS)["result"]["list"]
        between = bybit(server, limit=10, start=begin - 20 * 15 * MINUTE_MS, end=begin)["result"]["list"]
        days = bybit(server, interval="D")["result"]["list"]
        refused = [
            bybit(server, **wrong)["retCode"]
            for wrong in ({"interval": "7"}, {"symbol": "X"}, {"category": "spot"}, {"limit": 1001}, {"start": "now"})
        ]
    assert [[int(row[0]), *row[1:6]] for row in reversed(told)] == [row[:6] for row in same]
    assert page == told[10:20], "of one page of time from its start on"
    assert between == told[:10], "up to its end"
    assert {int(row[0]) % (24 * 60 * MINUTE_MS) for row in days} == {0}
    assert refused == [10001] * 5


@given(
    interval=st.sampled_from(["1m", "5m", "15m", "1h", "4h", "1d"]),
    elapsed=st.integers(0, 6 * 3600),
    start=st.none() | st.integers(-86_400, 30_000),
    end=st.none() | st.integers(-86_400, 90_000),
    limit=st.integers(1, 1500),
)
@examples(200)
def test_rest_never_shows_a_bar_that_has_not_closed(
    tape: Tape, interval: str, elapsed: int, start: int | None, end: int | None, limit: int
) -> None:
    begin = int(START.timestamp() * 1000)
    now = begin + elapsed * 1000
    series = tape.instruments["SYNAUSDT"].series[interval]
    bounds = [None if bound is None else begin + bound * 1000 for bound in (start, end)]
    bars = series.closed(now, start_ms=bounds[0], end_ms=bounds[1], limit=limit)
    assert len(bars) <= limit
    assert all(bar.close_ms < now for bar in bars)
    assert all(bounds[0] is None or bar.open_ms >= bounds[0] for bar in bars)
    assert all(bounds[1] is None or bar.open_ms <= bounds[1] for bar in bars)
    assert [bar.open_ms for bar in bars] == sorted({bar.open_ms for bar in bars})


@pytest.fixture(scope="module")
def payments() -> pl.DataFrame:
    """Funding of MARKET every hour around START, stamped some milliseconds late; now and then with a price."""
    count = 1_200
    ts = [START + timedelta(hours=number - 1_000) for number in range(count)]
    columns = {
        "market": [MARKET] * count,
        "ts": ts,
        "known_at": [at + timedelta(milliseconds=number % 9) for number, at in enumerate(ts)],
        "rate": [(-1) ** number * (1e-4 + number * 1e-8) for number in range(count)],
        "interval_hours": [1.0] * count,
        "mark_price": [None if number % 3 else 100.0 + number for number in range(count)],
    }
    return pl.DataFrame(columns, schema=FUNDING_RATES.columns)


@pytest.fixture(scope="module")
def funded(live_store_file: Any, payments: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Tape:
    """A tape from a store that has funding of MARKET."""
    candles = open_store(f"duckdb:///{live_store_file}").read(CANDLES, start=START - timedelta(days=1))
    store = open_store(f"duckdb:///{tmp_path_factory.mktemp('funded') / 'market.duckdb'}")
    store.upsert(CANDLES, candles)
    store.upsert(FUNDING_RATES, payments)
    return read_tape(store, {MARKET: "1m", OTHER: "1m"}, start=START, end=START + timedelta(hours=6))


@pytest.mark.parametrize("exchange", ["binanceusdm", "bybit"])
def test_the_real_client_gets_back_the_stored_payments_up_to_the_replayed_clock(
    funded: Tape, payments: pl.DataFrame, store: Store, exchange: str
) -> None:
    faults = Faults()
    with ReplayServer(funded, middlewares=[faults.middleware]) as server:
        settings = CcxtSource(
            kind="ccxt", exchange=exchange, base_url=server.url_http, page_limit=100, rate_limit=False
        )
        begin = payments["ts"][0]
        for market in (MARKET, OTHER):  # the exchange has the market, and no payment of it
            ingest_funding(
                store,
                ExchangeFunding.from_settings(settings),
                market=market,
                start=begin + timedelta(hours=1),  # the payment before tells the first interval
                end=START + timedelta(days=3),
                now=START + timedelta(days=30),
            )
    settled = payments.filter(pl.col("known_at") <= START, pl.col("ts") > begin)
    told = settled if exchange == "binanceusdm" else settled.with_columns(mark_price=pl.lit(None, pl.Float64))
    assert store.read(FUNDING_RATES).equals(told)
    asked = [asked.query for asked in faults.asked if "/funding" in asked.path]
    assert len(asked) > settled.height / 100, "in pages"


def test_without_a_start_the_newest_payments_come_and_the_index_tells_the_last_one(
    funded: Tape, payments: pl.DataFrame
) -> None:
    with ReplayServer(funded) as server:
        newest = get(server, "/fapi/v1/fundingRate?symbol=SYNAUSDT")
        none = get(server, "/fapi/v1/fundingRate?symbol=NOISEUSDT&startTime=0")
        index = get(server, "/fapi/v1/premiumIndex?symbol=SYNAUSDT")
        unfunded = get(server, "/fapi/v1/premiumIndex?symbol=NOISEUSDT")
    settled = payments.filter(pl.col("known_at") <= START)
    assert [row["fundingTime"] for row in newest] == settled["known_at"].dt.epoch("ms").tail(100).to_list()
    assert none == []
    assert float(index["lastFundingRate"]) == settled["rate"][-1]
    assert index["nextFundingTime"] == (START.timestamp() + 3_600 * (settled["ts"][-1] == START)) * 1000
    assert (unfunded["lastFundingRate"], unfunded["nextFundingTime"]) == ("0", 0)


def test_payments_can_be_revised_later_and_missing(funded: Tape, payments: pl.DataFrame) -> None:
    faults = Faults()
    path = f"/fapi/v1/fundingRate?symbol=SYNAUSDT&startTime={int(payments['ts'][990].timestamp() * 1000)}"
    with ReplayServer(funded, middlewares=[faults.middleware]) as server:
        good = get(server, path)
        faults.next("revised", "missing", path="/fundingRate", start=payments["ts"][993], end=payments["ts"][995])
        revised, missing = get(server, path), get(server, path)
        assert get(server, path) == good
    assert revised[:-3] == good[:-3]
    assert [2 * float(row["fundingRate"]) for row in revised[-3:]] == pytest.approx(
        [float(row["fundingRate"]) for row in good[-3:]], abs=2e-8
    )
    assert missing == good[:3] + good[5:]


@given(
    elapsed=st.integers(0, 200 * 3600),
    start=st.none() | st.integers(-4_000_000, 800_000),
    end=st.none() | st.integers(-4_000_000, 800_000),
    limit=st.integers(1, 1000),
)
@examples(100)
def test_payments_are_those_of_the_window_that_were_settled(
    payments: pl.DataFrame, elapsed: int, start: int | None, end: int | None, limit: int
) -> None:
    begin = int(START.timestamp() * 1000)
    now, bounds = begin + elapsed * 1000, [None if bound is None else begin + bound * 1000 for bound in (start, end)]
    found = Funding("SYNAUSDT", payments).settled(now, start_ms=bounds[0], end_ms=bounds[1], limit=limit)
    upper = now if bounds[1] is None else min(now, bounds[1])
    within = [ms for ms in payments["known_at"].dt.epoch("ms") if (bounds[0] or 0) <= ms <= upper]
    assert [row["fundingTime"] for row in found] == (within[-limit:] if bounds[0] is None else within[:limit])


async def collect(server: ReplayServer, path: str, streams: list[str]) -> list[dict[str, Any]]:
    """All messages of a subscription until the replay has ended."""
    messages: list[dict[str, Any]] = []
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(server.url_ws.removesuffix("/ws") + path) as client,
    ):
        await client.send_json({"method": "SUBSCRIBE", "params": streams, "id": 7})
        silent = 0
        while silent < 3:  # a stall of this process looks like silence, once
            ended = server.finished
            try:
                messages.append(await client.receive_json(timeout=0.1))
                silent = 0
            except TimeoutError:
                silent += ended
    return messages


def test_a_subscriber_gets_every_closed_bar_once_in_the_order_of_closing(tape: Tape, live_store: Store) -> None:
    progress: list[Progress] = []
    server = ReplayServer(tape, speed=40_000, on_progress=progress.append)
    with server:
        messages = asyncio.run(collect(server, "/ws", ["synausdt@kline_1m", "synausdt@kline_15m"]))
        newest = get(server, "/fapi/v1/klines?symbol=SYNAUSDT&interval=1m&limit=1")
    assert messages[0] == {"result": None, "id": 7}
    bars = [message["k"] for message in messages[1:]]
    assert all(bar["x"] for bar in bars)
    keys = [(bar["T"], bar["i"] == "15m") for bar in bars]
    assert keys == sorted(set(keys))
    stored = live_store.read(CANDLES, where={"market": MARKET}, start=START, end=START + timedelta(hours=6))
    minutes = [bar for bar in bars if bar["i"] == "1m"]
    assert [bar["t"] for bar in minutes] == stored["ts"].dt.epoch("ms").to_list()
    assert [float(bar["c"]) for bar in minutes] == stored["close"].to_list()
    assert len(bars) - len(minutes) == 24
    assert newest[0][0] == minutes[-1]["t"]
    assert progress[0].waiting
    assert not progress[-1].waiting
    assert progress[-1].fraction == 1.0
    assert progress[-1].replayed_at == START + timedelta(hours=6)


def test_the_combined_path_wraps_and_unsubscribing_ends_a_stream(tape: Tape) -> None:
    async def talk(server: ReplayServer) -> list[Any]:
        url = server.url_ws.removesuffix("/ws") + "/market/stream"
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as client:
            answers = []
            for command in (
                {"method": "SUBSCRIBE", "params": ["noiseusdt@kline_1m", "noiseusdt@kline_5m"], "id": 1},
                {"method": "UNSUBSCRIBE", "params": ["noiseusdt@kline_5m"], "id": 2},
                {"method": "LIST_SUBSCRIPTIONS", "id": 3},
                {"method": "DANCE", "id": 4},
            ):
                await client.send_json(command)
                answer = await client.receive_json(timeout=300)
                while "stream" in answer:
                    answer = await client.receive_json(timeout=300)
                answers.append(answer)
            await client.send_str("not json")
            answer = await client.receive_json(timeout=300)
            while "stream" in answer:
                answer = await client.receive_json(timeout=300)
            return [*answers, answer, await client.receive_json(timeout=300)]

    with ReplayServer(tape, speed=600) as server:
        *answers, message = asyncio.run(talk(server))
    assert [answer.get("result", answer.get("error", {}).get("code")) for answer in answers] == [
        None,
        None,
        ["noiseusdt@kline_1m"],
        1,
        3,
    ]
    assert message["stream"] == "noiseusdt@kline_1m"
    assert message["data"]["k"]["s"] == "NOISEUSDT"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/fapi/v1/klines?symbol=NONE&interval=1m", -1121),
        ("/fapi/v1/klines?symbol=SYNAUSDT&interval=7m", -1120),
        ("/fapi/v1/klines?symbol=SYNAUSDT&interval=1m&limit=0", -1130),
        ("/fapi/v1/klines?symbol=SYNAUSDT&interval=1m&startTime=soon", -1102),
        ("/fapi/v1/premiumIndex?symbol=NONE", -1121),
        ("/fapi/v1/fundingRate?symbol=NONE", -1121),
        ("/fapi/v1/fundingRate?symbol=SYNAUSDT&limit=1001", -1130),
        ("/fapi/v1/order", -2014),
        ("/fapi/v1/nothing", -5000),
    ],
)
def test_a_wrong_request_gets_the_venues_error_code(tape: Tape, path: str, code: int) -> None:
    with ReplayServer(tape) as server, pytest.raises(urllib.error.HTTPError) as error:
        get(server, path)
    assert json.load(error.value)["code"] == code


def test_in_an_outage_nobody_is_served_and_the_clock_goes_on(tape: Tape) -> None:
    with ReplayServer(tape, speed=36_000, hold=False) as server:
        server.begin_outage()
        with pytest.raises(urllib.error.HTTPError):
            get(server, "/fapi/v1/ping")
        assert server.wait(120)
        server.end_outage()
        assert get(server, "/fapi/v1/time")["serverTime"] == (START + timedelta(hours=6)).timestamp() * 1000


def test_a_port_in_use_is_named_with_the_remedy(tape: Tape) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(NodeError, match=rf"port {port} is in use.*--port"):
            ReplayServer(tape, port=port).start()


def test_stopping_frees_the_port(tape: Tape) -> None:
    with ReplayServer(tape) as first:
        port = first.port
    with ReplayServer(tape, port=port):
        pass


def test_settings_choose_what_is_replayed(live_settings: Settings) -> None:
    server = open_replay(live_settings, markets=[MARKET], speed=90)
    assert list(server.tape.instruments) == ["SYNAUSDT"]
    newest: datetime = server.tape.end
    assert newest - server.tape.start == timedelta(days=3) + timedelta(minutes=1)
    assert server.speed == 90


def test_what_cannot_be_replayed_is_said(live_settings: Settings) -> None:
    with pytest.raises(SettingsError, match="no market 'sample:X/USDT'"):
        open_replay(live_settings, markets=["sample:X/USDT"])
    with pytest.raises(SettingsError, match="the replay is empty"):
        open_replay(live_settings, markets=[MARKET], start=START, end=START)
    with pytest.raises(MissingCandles, match="no 1m candles to replay"):
        open_replay(live_settings, markets=[MARKET], start=START + timedelta(days=90))
    with pytest.raises(MissingCandles, match="run trading backfill"):
        open_replay(live_settings, markets=["sample:SYNB/USDT:USDT"])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"close": pl.col("high") * 2}, "1 candles cannot be, the first of 2025-05-19 00:00: open "),
        ({"low": pl.lit(0.0)}, "low 0"),
        ({"low": pl.col("high")}, "1 candles cannot be"),
    ],
)
def test_a_candle_that_would_end_a_node_is_not_replayed(tmp_path: Path, changes: dict[str, pl.Expr], says: str) -> None:
    ts = pl.datetime_range(START - timedelta(days=1), START, "1m", time_unit="us", time_zone="UTC", eager=True)
    candles = pl.DataFrame({"ts": ts}).select(
        market=pl.lit(MARKET),
        timeframe=pl.lit("1m"),
        ts="ts",
        open=100.0,
        high=101.0,
        low=99.0,
        close=100.0,
        volume=5.0,
    )
    spoilt = candles.with_columns(
        pl.when(pl.col("ts") == ts[0]).then(change).otherwise(pl.col(name)).alias(name)
        for name, change in changes.items()
    )
    store = open_store(f"duckdb:///{tmp_path}/spoilt.duckdb")
    store.upsert(CANDLES, spoilt)
    with pytest.raises(InvalidFrame, match=says):
        read_tape(store, {MARKET: "1m"}, start=START - timedelta(hours=6))
