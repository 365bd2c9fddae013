"""Each exchange's way of handing out history, with the real ccxt client: nothing lost, nothing asked for in vain."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import ccxt
import polars as pl
import pytest

from tests.sources import venues
from tests.sources.desk import DAY, MARKETS, START, Desk
from tests.sources.venues import GATE_KEEPS, MINUTE
from trading_assets.core.candles import Market
from trading_assets.core.errors import SourceError
from trading_assets.settings import PROJECT_ROOT, SETTINGS_FILE_VARIABLE, CcxtSource, load_settings
from trading_assets.sources.candles import paging
from trading_assets.sources.candles.paging import page_limit

EVERY = pytest.mark.parametrize("kind", MARKETS)
Candles = Callable[..., pl.DataFrame]


@EVERY
@pytest.mark.parametrize("age", [timedelta(minutes=3), timedelta(days=400)], ids=["recent", "old"])
def test_every_candle_comes_once_in_full_pages(
    kind: str, age: timedelta, plain_candles: Candles, set_ccxt_clock: Callable[[datetime], None]
) -> None:
    candles = plain_candles(2500)
    now = START + timedelta(minutes=2500) + age
    set_ccxt_clock(now)
    with Desk(kind, candles, now) as desk:
        assert desk.read(START, START + timedelta(minutes=2500)).equals(candles)
        assert len(desk.venue.asked) == -(-2500 // desk.limit)


@EVERY
def test_more_than_an_exchange_allows_is_not_asked_for(
    kind: str, plain_candles: Candles, set_ccxt_clock: Callable[[datetime], None]
) -> None:
    candles = plain_candles(1500)
    now = START + timedelta(days=60)
    set_ccxt_clock(now)
    with Desk(kind, candles, now, page_limit=5000) as desk:
        assert desk.read(START, START + timedelta(minutes=1500)).equals(candles), (
            "Bitget cuts a longer page's beginning"
        )
    with Desk(kind, candles, now, page_limit=50) as desk:
        assert desk.read(START, START + timedelta(minutes=200)).equals(candles[:200])
        assert len(desk.venue.asked) == 4


@EVERY
def test_outages_of_an_hour_and_of_weeks_are_crossed_and_nothing_behind_them_is_lost(
    kind: str, plain_candles: Candles, set_ccxt_clock: Callable[[datetime], None]
) -> None:
    whole = plain_candles(40 * 1440)
    left = pl.concat([whole[:700], whole[760:2000], whole[30 * 1440 + 77 : 31 * 1440], whole[33 * 1440 :]])
    now = START + timedelta(days=45)
    set_ccxt_clock(now)
    with Desk(kind, left, now) as desk:
        assert desk.read(START, START + 34 * DAY).equals(left.filter(pl.col("ts") < START + 34 * DAY))
        assert len(desk.venue.asked) < 60 + 3 * 1440 // desk.limit, "weeks of silence are not asked for page by page"


@EVERY
def test_before_the_listing_there_is_nothing_and_that_is_told(
    kind: str, plain_candles: Candles, set_ccxt_clock: Callable[[datetime], None], caplog: pytest.LogCaptureFixture
) -> None:
    listed = START + timedelta(days=500, minutes=615)
    candles = plain_candles(1500, listed)
    now = START + timedelta(days=510)
    set_ccxt_clock(now)
    with Desk(kind, candles, now) as desk, caplog.at_level(logging.INFO):
        assert desk.read(START, listed + timedelta(minutes=1500)).equals(candles)
        asked = len(desk.venue.asked)
        assert asked < 60, "five hundred days are not asked for page by page"
        begins = desk.source.beginning(desk.market, "1m", START)
        assert begins is not None
        assert (begins.ts, begins.reason) == (listed, "before_listing")
        assert len(desk.venue.asked) == asked, "the fetch has found out already"
        assert desk.source.beginning(desk.market, "1m", listed) is None
        assert desk.source.beginning(desk.market, "1m", listed + timedelta(minutes=90)) is None
    assert f"lists {desk.market} since 2026-07-14 10:15 UTC" in caplog.text


@EVERY
def test_a_market_that_only_paused_was_listed_before(
    kind: str, plain_candles: Candles, set_ccxt_clock: Callable[[datetime], None]
) -> None:
    whole = plain_candles(20 * 1440)
    now = START + timedelta(days=20)
    set_ccxt_clock(now)
    with Desk(kind, pl.concat([whole[:1440], whole[15 * 1440 :]]), now) as desk:
        assert desk.source.beginning(desk.market, "1m", START + 5 * DAY) is None


@EVERY
def test_a_market_without_any_candle_is_not_listed_yet(
    kind: str, plain_candles: Candles, set_ccxt_clock: Callable[[datetime], None]
) -> None:
    now = START + timedelta(days=100)
    set_ccxt_clock(now)
    with Desk(kind, plain_candles(0), now) as desk:
        assert desk.read(START).is_empty()
        begins = desk.source.beginning(desk.market, "1m", START)
        assert begins is not None
        assert (begins.ts, begins.reason) == (now, "before_listing")


def test_kraken_spot_says_that_it_keeps_the_newest_720_candles_only(
    plain_candles: Candles, set_ccxt_clock: Callable[[datetime], None], caplog: pytest.LogCaptureFixture
) -> None:
    candles = plain_candles(5 * 1440)
    now = START + timedelta(days=5) - timedelta(seconds=30)  # the newest bar is forming
    set_ccxt_clock(now)
    with Desk("kraken spot", candles, now) as desk, caplog.at_level(logging.WARNING):
        assert desk.read(START).equals(candles[-720:-1])
        for start in (START, START + timedelta(days=4)):
            begins = desk.source.beginning(desk.market, "1m", start)
            assert begins is not None
            assert (begins.ts, begins.reason) == (candles["ts"][-720], "out_of_reach")
    assert "kraken gives only the newest 720 1m candles" in caplog.text
    assert "take older ones from files" in caplog.text


def test_kraken_spot_goes_on_from_the_last_stored_candle(
    plain_candles: Candles, set_ccxt_clock: Callable[[datetime], None]
) -> None:
    candles = plain_candles(2 * 1440)
    now = START + timedelta(days=2)
    set_ccxt_clock(now)
    with Desk("kraken spot", candles, now) as desk:
        since = now - timedelta(minutes=400)
        assert desk.read(since).equals(candles[-400:])
        assert len(desk.venue.asked) == 1


@pytest.mark.parametrize("age", [timedelta(), timedelta(days=3), timedelta(days=30)], ids=["all", "some", "none"])
def test_gate_gives_what_is_in_reach_and_says_that_it_refuses_the_rest(
    plain_candles: Candles, set_ccxt_clock: Callable[[datetime], None], age: timedelta
) -> None:
    candles = plain_candles(9000)
    now = START + timedelta(minutes=9000) + age
    oldest = max(now - timedelta(minutes=GATE_KEEPS), START)
    set_ccxt_clock(now)
    with Desk("gate spot", candles, now) as desk:
        assert desk.read(START, START + timedelta(minutes=9000)).equals(candles.filter(pl.col("ts") >= oldest))
        begins = desk.source.beginning(desk.market, "1m", START)
        if oldest == START:
            assert begins is None
            return
        assert begins is not None
        assert (begins.ts, begins.reason) == (oldest, "out_of_reach")
        asked = len(desk.venue.asked)
        assert asked < 60, "where it begins to refuse is found by halving"
        later = now + timedelta(minutes=7)
        set_ccxt_clock(later)
        desk.venue.now_ms += 7 * MINUTE
        desk.source.clock = lambda: later
        left = candles.filter(pl.col("ts") >= oldest + timedelta(minutes=7))
        assert desk.read(START, START + timedelta(minutes=9000)).equals(left)


def test_a_market_that_gate_listed_lately_was_not_traded_before(
    plain_candles: Candles, set_ccxt_clock: Callable[[datetime], None]
) -> None:
    now = START + timedelta(days=40)
    set_ccxt_clock(now)
    listed = now - timedelta(days=4)
    with Desk("gate spot", plain_candles(4 * 1440, listed), now) as desk:
        assert desk.read(START).height == 4 * 1440
        begins = desk.source.beginning(desk.market, "1m", START)
        assert begins is not None
        assert (begins.ts, begins.reason) == (listed, "before_listing")


def test_what_is_refused_at_any_age_is_an_error(
    plain_candles: Candles, set_ccxt_clock: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_ccxt_clock(START + DAY)
    monkeypatch.setattr(venues, "GATE_KEEPS", -10)
    with (
        Desk("gate spot", plain_candles(100), START + DAY) as desk,
        pytest.raises(SourceError, match=r"the exchange refuses: HTTP 400, BadRequest.*too long ago"),
    ):
        desk.read(START)
    assert len(desk.venue.asked) == 2, "once for the oldest, once for the newest"


def test_kraken_spot_knows_an_outage_within_its_newest_candles_from_what_is_out_of_reach(
    plain_candles: Candles, set_ccxt_clock: Callable[[datetime], None]
) -> None:
    candles = plain_candles(1440)
    set_ccxt_clock(START + DAY)
    with Desk("kraken spot", pl.concat([candles[:1000], candles[1100:]]), START + DAY) as desk:
        assert desk.source.beginning(desk.market, "1m", START + timedelta(minutes=1000)) is None
        assert desk.read(START + timedelta(minutes=1000)).equals(candles[1100:])


def test_pages_that_are_cut_at_their_older_end_are_refused_instead_of_leaving_gaps(
    plain_candles: Candles, set_ccxt_clock: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = START + timedelta(days=60)
    set_ccxt_clock(now)
    monkeypatch.setitem(paging._PAGE_LIMITS, "bitget", 1000)  # ccxt asks for the last 200 of these
    with (
        Desk("bitget spot", plain_candles(4000), now) as desk,
        pytest.raises(SourceError, match=r"cuts pages of 1000 candles at their older end.*set a smaller page_limit"),
    ):
        desk.read(START, START + timedelta(minutes=4000))


def test_volume_counts_base_units_where_the_exchange_counts_contracts(
    plain_candles: Candles, set_ccxt_clock: Callable[[datetime], None]
) -> None:
    set_ccxt_clock(START + DAY)
    with Desk("okx perpetual", plain_candles(10), START + DAY) as desk:
        assert desk.read(START)["volume"].to_list() == [10.0] * 10


def test_a_bar_is_closed_when_both_clocks_say_so(plain_candles: Candles, set_ccxt_clock: Callable[..., None]) -> None:
    now = START + timedelta(minutes=60)
    set_ccxt_clock(now)
    with Desk("bybit spot", plain_candles(200), now + timedelta(seconds=90)) as desk:  # theirs is ahead of ours
        desk.source.clock = lambda: now
        assert desk.read(START, START + timedelta(minutes=200)).height == 60
        ahead = datetime.now(UTC) + timedelta(days=3650)  # ours is ahead of theirs, as their answers' dates tell
        desk.source.clock = lambda: ahead
        desk.read(START, START + timedelta(minutes=1))
        assert desk.source._closed("1m") <= datetime.now(UTC)
        assert desk.venue.rows(MINUTE, 0, desk.venue.now_ms, 999)


def test_a_source_that_rested_asks_for_the_bars_closed_meanwhile(
    plain_candles: Candles, set_ccxt_clock: Callable[..., None]
) -> None:
    now = datetime.now(UTC).replace(second=30, microsecond=0)  # the answers' dates are this machine's
    start = now.replace(second=0) - timedelta(minutes=60)
    with Desk("bybit spot", plain_candles(120, start), now + timedelta(hours=1)) as desk:
        desk.source.clock = lambda: now
        assert desk.read(start, start + timedelta(minutes=120)).height <= 60
        desk.source.clock = lambda: now + timedelta(minutes=20)
        before = desk.source.requests
        desk.read(start + timedelta(minutes=70), start + timedelta(minutes=75))
        assert desk.source.requests > before


@pytest.mark.parametrize(
    "recipe", ["binance_spot", "binance_perpetuals", "okx_spot", "okx_perpetuals", "bybit_spot", "bybit_perpetuals",
               "bitget_spot", "bitget_perpetuals", "kraken_spot", "kraken_perpetuals"],
)  # fmt: skip
def test_the_recipes_ask_for_full_pages(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTINGS_FILE_VARIABLE, str(PROJECT_ROOT / "docs" / "recipes" / f"{recipe}.yaml"))
    settings = load_settings()
    for market in settings.markets:
        source = settings.sources[settings.markets[market].source]
        assert isinstance(source, CcxtSource)
        client = getattr(ccxt, source.exchange)()
        symbol = Market.parse(market)
        assert symbol.is_perpetual == recipe.endswith("perpetuals")
        kind = client.features["swap"]["linear"] if symbol.is_perpetual else client.features["spot"]
        assert source.page_limit == page_limit(source.exchange, kind["fetchOHLCV"]["limit"], None)
        assert settings.markets[market].timeframe in client.timeframes
