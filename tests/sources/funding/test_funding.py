"""Funding rates: from files, from the real ccxt client against a local server, and their rules."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.sources.local_web import Answer, LocalWeb, serving
from trading_assets.core.errors import InvalidFrame, SettingsError, SourceError
from trading_assets.settings import CcxtSource, FilesSource, Settings, load_settings
from trading_assets.sources.candles.exchange import ExchangeCandles
from trading_assets.sources.contract import RAW_FUNDING
from trading_assets.sources.funding.exchange import ExchangeFunding
from trading_assets.sources.funding.files import FundingFiles
from trading_assets.sources.funding.ingestion import LONGEST_INTERVAL, ingest_funding, open_funding, split_funding
from trading_assets.sources.transport.backoff import Backoff
from trading_assets.sources.transport.ccxt_client import connect
from trading_assets.store import Store
from trading_assets.store.tables import FEED_QUARANTINE, FUNDING_RATES, FUNDING_REVISIONS

MARKET = "binance:BTC/USDT:USDT"
SAMPLE = "sample:SYNA/USDT:USDT"
START = datetime(2025, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOW = START + timedelta(days=90)


def payments(count: int, hours: int = 8, start: datetime = START) -> pl.DataFrame:
    """Payments every so many hours, stamped some milliseconds late as exchanges do."""
    ts = [start + timedelta(hours=hours * number, milliseconds=number % 9) for number in range(count)]
    rates = [round(1e-4 + number * 1e-8, 10) for number in range(count)]
    empty = [None] * count
    columns = {"ts": ts, "rate": rates, "interval_hours": empty, "mark_price": empty}
    return pl.DataFrame(columns, schema=RAW_FUNDING)


class Pages:
    """A source that gives what it is told."""

    name = "pages"

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame

    def fetch(self, market: str, start: datetime, end: datetime) -> Iterator[pl.DataFrame]:
        yield self.frame.filter(pl.col("ts").is_between(start, end, closed="left").fill_null(True))


def test_a_payment_lies_on_its_minute_and_is_known_when_it_was_stamped(store: Store) -> None:
    ingest_funding(store, Pages(payments(30)), market=MARKET, start=START, end=START + 80 * HOUR, now=NOW)
    stored = store.read(FUNDING_RATES)
    assert stored["ts"].to_list() == [START + number * 8 * HOUR for number in range(10)]
    assert stored["known_at"][4] == START + 32 * HOUR + timedelta(milliseconds=4)
    assert stored["interval_hours"].to_list() == [None, *[8.0] * 9]


@examples(40)
@given(cuts=st.lists(st.integers(1, 239), max_size=4), hours=st.sampled_from([1, 4, 8]))
def test_windows_of_any_size_give_what_one_window_gives(cuts: list[int], hours: int) -> None:
    source = Pages(payments(400, hours, START - timedelta(days=5)))
    ends = [START + cut * HOUR for cut in sorted({0, *cuts, 240})]

    def stored(start: datetime, end: datetime) -> pl.DataFrame:
        fetched = pl.concat(source.fetch(MARKET, start - LONGEST_INTERVAL, end))
        return split_funding(fetched, market=MARKET, start=start, end=end, now=NOW)[0]

    whole = stored(START, ends[-1])
    assert pl.concat(stored(*window) for window in pairwise(ends)).equals(whole)
    assert whole["interval_hours"].to_list() == [hours] * (240 // hours)


def test_a_rate_that_changes_later_is_replaced_and_both_are_kept(store: Store) -> None:
    first = payments(6)
    changed = first.with_columns(rate=pl.when(pl.int_range(pl.len()) == 3).then(0.005).otherwise("rate"))
    revised = [
        ingest_funding(
            store, Pages(frame), market=MARKET, start=START, end=START + 48 * HOUR, now=NOW + place * HOUR
        ).revised
        for place, frame in enumerate([first, first, changed, changed, first])
    ]
    assert revised == [0, 0, 1, 0, 1]
    notes = store.read(FUNDING_REVISIONS).select("ts", "seen_at", "source", "old_rate", "new_rate").rows()
    at, rate = START + 24 * HOUR, first["rate"][3]
    assert notes == [(at, NOW + 2 * HOUR, "pages", rate, 0.005), (at, NOW + 4 * HOUR, "pages", 0.005, rate)]
    assert store.read(FUNDING_RATES)["rate"].to_list() == first["rate"].to_list()


BAD: Sequence[tuple[str, dict[str, Any]]] = (
    ("missing_time", {"ts": None, "rate": 0.01}),
    ("missing_rate", {"ts": START + HOUR, "rate": None}),
    ("not_finite", {"ts": START + HOUR, "rate": float("inf")}),
    ("implausible_rate", {"ts": START + HOUR, "rate": -0.06}),
    ("implausible_rate", {"ts": START + HOUR, "rate": 0.97}),  # a mark price
    ("bad_interval", {"ts": START + HOUR, "rate": 0.01, "interval_hours": 0.0}),
    ("from_the_future", {"ts": START + 20 * HOUR, "rate": 0.01}),
)


@pytest.mark.parametrize(("reason", "row"), BAD)
def test_a_payment_that_breaks_a_rule_is_kept_apart_with_the_reason_and_only_once(
    store: Store, reason: str, row: dict[str, Any]
) -> None:
    good = payments(2)
    spoilt = pl.concat([good, pl.DataFrame([row], schema=RAW_FUNDING)])
    for minutes in (0, 5):
        now = START + 10 * HOUR + timedelta(minutes=minutes)
        report = ingest_funding(store, Pages(spoilt), market=MARKET, start=START, end=START + 24 * HOUR, now=now)
        assert (report.rows, report.quarantined, report.stored) == (2, 1, 2)
    (kept,) = store.read(FEED_QUARANTINE).to_dicts()
    assert (kept["feed"], kept["subject"], kept["reason"]) == ("funding_rates", MARKET, reason)
    assert kept["seen_at"] == START + 10 * HOUR
    assert '"rate":' in kept["row"]


def test_equal_rows_are_one_and_rivals_are_none() -> None:
    first = payments(1)
    late = first.with_columns(pl.col("ts") + timedelta(milliseconds=3), interval_hours=pl.lit(8.0))
    good, bad = split_funding(pl.concat([late, first, first]), market=MARKET, start=START, end=START + HOUR, now=NOW)
    assert bad.is_empty()
    assert good.select("ts", "known_at", "interval_hours").row(0) == (START, START, 8.0)
    rival = first.with_columns(rate=pl.lit(0.005))
    good, bad = split_funding(pl.concat([first, rival]), market=MARKET, start=START, end=START + HOUR, now=NOW)
    assert good.is_empty()
    assert bad["reason"].to_list() == ["conflicting_duplicate"] * 2


# --- files


def files(path: Path | str, **columns: str) -> FundingFiles:
    settings = FilesSource(kind="files", funding={MARKET: str(path)}, funding_columns=columns)
    return FundingFiles.from_settings("recorded", settings)


def fetched(source: FundingFiles | ExchangeFunding, start: datetime = START, days: int = 80) -> pl.DataFrame:
    return pl.concat(source.fetch(MARKET, start, start + timedelta(days=days)))


@pytest.mark.parametrize("header", [True, False])
def test_binances_zips_of_funding_rates_are_read(tmp_path: Path, header: bool) -> None:
    wanted = payments(180).with_columns(interval_hours=pl.lit(8.0))
    for month in ("2025-03", "2025-04"):
        part = wanted.filter(pl.col("ts").dt.strftime("%Y-%m") == month).select(
            pl.col("ts").dt.timestamp("ms").alias("calc_time"),
            pl.lit(8).alias("funding_interval_hours"),
            pl.col("rate").alias("last_funding_rate"),
        )
        with zipfile.ZipFile(tmp_path / f"BTCUSDT-fundingRate-{month}.zip", "w") as archive:
            archive.writestr(f"BTCUSDT-fundingRate-{month}.csv", part.write_csv(include_header=header))
    assert fetched(files(tmp_path / "*.zip")).equals(wanted)
    assert fetched(files(tmp_path / "*.zip"), START + timedelta(days=31), 3).equals(wanted[93:102])


def test_freqtrades_and_mapped_files_are_read(tmp_path: Path) -> None:
    wanted = payments(20)
    kept = wanted.select(date="ts", open="rate", high=pl.lit(0.0))
    kept.write_ipc(tmp_path / "BTC_USDT_USDT-8h-funding_rate.feather", compression="lz4")
    assert fetched(files(tmp_path / "*.feather")).equals(wanted)
    wanted.select(when="ts", funding="rate", price=pl.lit(7.0)).write_parquet(tmp_path / "mine.parquet")
    mine = files(tmp_path / "mine.parquet", ts="when", rate="funding", mark_price="price")
    assert fetched(mine).equals(wanted.with_columns(mark_price=pl.lit(7.0)))


def test_files_that_are_not_right_are_named(tmp_path: Path) -> None:
    path = tmp_path / "funding.csv"
    path.write_text("time,rate\n2025-03-01T00:00:00Z,0.1\n")
    with pytest.raises(InvalidFrame, match=r"funding.csv: no column ts; the file has time, rate; map ours"):
        fetched(files(path))
    path.write_text("ts,rate\n2025-03-01T00:00:00Z,0.1\n2025-03-01T08:00:00Z,ten\n")
    with pytest.raises(InvalidFrame, match=r"column rate: 1 values are not numbers, e.g. 'ten' in row 2"):
        fetched(files(path))
    with pytest.raises(SettingsError, match=r"sources.recorded.funding_columns: payments have no column price"):
        files(path, price="x")
    with pytest.raises(SourceError, match=r"no funding rates of this market; add a path under `funding`"):
        list(files(path).fetch("binance:ETH/USDT:USDT", START, NOW))


# --- an exchange


class FundingExchange:
    """Binance's ``fapi`` answers: markets, and payments ascending from ``startTime`` up to ``limit``."""

    def __init__(self, frame: pl.DataFrame) -> None:
        ms = frame["ts"].dt.timestamp("ms")
        self.rows = [
            {"symbol": "BTCUSDT", "fundingTime": at, "fundingRate": f"{rate:.10f}", "markPrice": "100.5"}
            for at, rate in zip(ms, frame["rate"], strict=True)
        ]
        self.asked: list[dict[str, str]] = []
        self.knows_end = True
        self.silent = 0

    def __call__(self, path: str, query: dict[str, str]) -> Answer:
        if path == "/fapi/v1/exchangeInfo":
            symbol = {
                "symbol": "BTCUSDT",
                "pair": "BTCUSDT",
                "contractType": "PERPETUAL",
                "status": "TRADING",
                "baseAsset": "BTC",
                "quoteAsset": "USDT",
                "marginAsset": "USDT",
                "filters": [],
            }
            return 200, {"timezone": "UTC", "serverTime": 0, "rateLimits": [], "symbols": [symbol]}
        assert path == "/fapi/v1/fundingRate", path
        self.asked.append(query)
        if self.silent >= len(self.asked):
            return 200, []
        since, until = int(query["startTime"]), int(query["endTime"]) if self.knows_end else 10**15
        return 200, [row for row in self.rows if since <= row["fundingTime"] <= until][: int(query["limit"])]


@pytest.fixture
def exchange() -> FundingExchange:
    return FundingExchange(payments(700, 1))


@pytest.fixture
def web(exchange: FundingExchange) -> Iterator[LocalWeb]:
    with serving(exchange) as server:
        yield server


def from_exchange(web: LocalWeb, slept: list[float], page: int = 100) -> ExchangeFunding:
    settings = CcxtSource(kind="ccxt", exchange="binanceusdm", base_url=web.url, page_limit=page, rate_limit=False)
    return ExchangeFunding(ExchangeCandles(settings, Backoff(4, sleep=slept.append)))


@pytest.mark.parametrize("knows_end", [True, False])
@pytest.mark.parametrize("hours", [1, 8])
def test_an_exchanges_history_is_paged_without_loss(hours: int, knows_end: bool) -> None:
    wanted = payments(300, hours)
    exchange = FundingExchange(wanted)
    exchange.knows_end = knows_end
    with serving(exchange) as web:
        found = fetched(from_exchange(web, []), START - timedelta(days=10), 120)
    assert found.unique("ts", keep="first", maintain_order=True).equals(wanted.with_columns(mark_price=pl.lit(100.5)))
    assert len(exchange.asked) < 60


def test_faults_are_sat_out_and_the_run_repeated_stores_the_same(web: LocalWeb, store: Store) -> None:
    slept: list[float] = []
    web.faults.extend(["", "500", "truncated", "429 asks", "", "html", "", "drop"])
    end = START + 650 * HOUR
    ingest_funding(store, from_exchange(web, slept), market=MARKET, start=START, end=end, now=NOW)
    stored = store.read(FUNDING_RATES)
    assert stored.height == 650
    assert len(slept) == 5
    ingest_funding(store, from_exchange(web, slept), market=MARKET, start=START, end=end, now=NOW)
    assert store.read(FUNDING_RATES).equals(stored)


def test_an_empty_answer_is_asked_for_again_before_it_is_believed(exchange: FundingExchange, web: LocalWeb) -> None:
    exchange.silent = 3
    source = from_exchange(web, [])
    assert not list(source.fetch(MARKET, START, START + 96 * HOUR))
    assert len(exchange.asked) == 2
    assert fetched(source, START, 4).height == 96


def test_the_rest_of_a_month_that_goes_on_is_not_asked_for(exchange: FundingExchange, web: LocalWeb) -> None:
    source = from_exchange(web, [])
    source.exchange.clock = lambda: START + 50.5 * HOUR
    assert fetched(source, START, 30).height == 51
    assert len(exchange.asked) == 1


def test_an_unknown_market_is_said_at_once(web: LocalWeb) -> None:
    with pytest.raises(SourceError, match=r"the exchange has no market BTX/USDT:USDT"):
        list(from_exchange(web, []).fetch("binance:BTX/USDT:USDT", START, NOW))


def newest_first(wanted: pl.DataFrame) -> Callable[[str, dict[str, str]], Answer]:
    """OKX and Bitget: payments in descending time; OKX between ``before`` and ``after``, Bitget in numbered pages."""
    ms = wanted["ts"].dt.timestamp("ms")
    rows = [{"fundingTime": str(at), "rate": f"{rate:.10f}"} for at, rate in zip(ms, wanted["rate"], strict=True)][::-1]

    def answer(path: str, query: dict[str, str]) -> Answer:
        if path == "/api/v5/public/funding-rate-history":
            within = [row for row in rows if int(query["before"]) < int(row["fundingTime"]) < int(query["after"])]
            found = [{**row, "instId": query["instId"], "realizedRate": row["rate"]} for row in within]
            return 200, {"code": "0", "msg": "", "data": found[: int(query["limit"])]}
        assert path == "/api/v2/mix/market/history-fund-rate", path
        size, number = int(query["pageSize"]), int(query.get("pageNo", "1"))
        found = [{**row, "symbol": "BTCUSDT", "fundingRate": row["rate"]} for row in rows]
        return 200, {"code": "00000", "msg": "success", "data": found[(number - 1) * size : number * size]}

    return answer


@pytest.mark.parametrize("name", ["okx", "bitget"])
def test_exchanges_that_answer_the_newest_first_are_paged_without_loss(name: str) -> None:
    wanted = payments(330)
    market = {"id": "BTC-USDT-SWAP" if name == "okx" else "BTCUSDT", "symbol": "BTC/USDT:USDT", "base": "BTC"}
    market |= {"quote": "USDT", "settle": "USDT", "type": "swap", "swap": True, "linear": True, "contract": True}
    with serving(newest_first(wanted)) as web:
        settings = CcxtSource(kind="ccxt", exchange=name, base_url=web.url, rate_limit=False)
        exchange = ExchangeCandles.from_settings(settings)
        exchange._client = connect(settings, exchange._answer)
        exchange._client.urls["api"] = {"rest": web.url, "spot": web.url, "mix": web.url}
        exchange._client.set_markets([exchange._client.safe_market_structure(market)])
        found = pl.concat(ExchangeFunding(exchange).fetch(MARKET, START + 24 * HOUR, NOW))
    assert found.sort("ts").unique("ts", keep="first", maintain_order=True).equals(wanted[3:270])


# --- the source that a market names


def settings_of(**market: Any) -> Settings:
    return load_settings(
        sources={
            "okx": {"kind": "ccxt", "exchange": "okx"},
            "disk": {"kind": "files", "paths": {MARKET: "x.csv"}, "funding": {MARKET: "y.csv"}},
            "bare": {"kind": "files", "paths": {MARKET: "x.csv"}},
            "sample": {"kind": "sample", "days": 10},
        },
        markets={MARKET: {"source": "okx", **market}, "okx:BTC/USDT": {"source": "okx"}, SAMPLE: {"source": "sample"}},
        models={"btc": {"markets": [MARKET]}},
    )


@pytest.mark.parametrize(
    ("market", "name"),
    [
        ({}, "ccxt:okx"),
        ({"source": "disk"}, "files:disk"),
        ({"source": "bare"}, None),
        ({"source": "bare", "funding": "okx"}, "ccxt:okx"),
        ({"funding": "disk"}, "files:disk"),
        ({"funding": "none"}, None),
    ],
)
def test_a_perpetual_has_its_own_source_of_funding_or_the_one_that_it_names(
    market: dict[str, str], name: str | None
) -> None:
    source = open_funding(settings_of(**market), MARKET)
    assert (source.name if source else None) == name


def test_spot_has_no_funding_and_an_unknown_source_is_refused() -> None:
    assert open_funding(settings_of(), "okx:BTC/USDT") is None
    with pytest.raises(SettingsError, match="no source 'nowhere'"):
        settings_of(funding="nowhere")


def test_the_samples_funding_is_seeded_and_ends_with_its_candles(store: Store) -> None:
    settings = settings_of()
    source = open_funding(settings, SAMPLE)
    assert source is not None
    start = settings.history_start
    for _ in range(2):
        ingest_funding(store, source, market=SAMPLE, start=start, end=start + timedelta(days=20), now=NOW)
    stored = store.read(FUNDING_RATES)
    assert stored.height == 30
    assert stored["interval_hours"].to_list() == [8.0] * 30
    assert 0 < stored["rate"].mean() < 2e-4  # type: ignore[operator]
